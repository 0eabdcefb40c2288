/** Addresses of artifacts, versions and registered models. */
import { artifactsUrl, registryUrl } from './router.js';

/** @param {string} project @param {string} name */
export const artifactUrl = (project, name) => `${artifactsUrl(project)}/${encodeURIComponent(name)}`;
/** @param {string} project @param {string} name @param {string} version "v3", an alias or a uid */
export const versionUrl = (project, name, version) => `${artifactUrl(project, name)}/${encodeURIComponent(version)}`;
/** @param {string} model */
export const modelUrl = (model) => `${registryUrl()}/${encodeURIComponent(model)}`;
