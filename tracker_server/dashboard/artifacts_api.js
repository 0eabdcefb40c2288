/** What the pages of artifacts and of the registry ask of the server. */
import { API, getJson, postJson, projectPath, queryOf, runPath } from './api.js';

/** @typedef {import('./artifact_types.js').VersionRow} VersionRow */
/** @typedef {{project: string, name: string, version: string}} VersionName version: "v3", an alias or a uid */

const PAGE_SIZE = 1000;

/** @param {string} project @param {string} name */
const artifactPath = (project, name) => `${projectPath(project)}/artifacts/${encodeURIComponent(name)}`;
/** @param {VersionName} named */
const versionPath = ({ project, name, version }) => `${artifactPath(project, name)}/versions/${encodeURIComponent(version)}`;
/** @param {string} model */
const modelPath = (model) => `/registry/${encodeURIComponent(model)}`;
/** @param {string} path of a file */
const filePath = (path) => path.split('/').map(encodeURIComponent).join('/');
/** @param {{project: string, name: string, uid: string}} version */
export const byUid = ({ project, name, uid }) => ({ project, name, version: uid });

/**
 * @param {{project: string, type: string, text: string, size: number}} query @param {AbortSignal} [signal]
 * @returns {Promise<import('./artifact_types.js').CollectionList>}
 */
export async function fetchArtifacts({ project, type, text, size }, signal) {
  return getJson(`/artifacts${queryOf([['project', project], ['type', type], ['text', text], ['size', size]])}`, signal);
}

/** @param {string} project "": all @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').UsageRow[]>} */
export async function fetchUsage(project, signal) {
  return (await getJson(`/artifacts/usage${queryOf([['project', project]])}`, signal)).projects;
}

/** @param {string} project @param {string} name @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').CollectionRow>} */
export async function fetchArtifact(project, name, signal) {
  return getJson(artifactPath(project, name), signal);
}

/**
 * The newest versions, newest first.
 * @param {string} project @param {string} name @param {number} limit @param {AbortSignal} [signal]
 * @returns {Promise<import('./artifact_types.js').VersionList>}
 */
export async function fetchVersions(project, name, limit, signal) {
  /** @type {VersionRow[]} */
  const versions = [];
  /** @type {number|null} */
  let after = null;
  do {
    const size = Math.min(PAGE_SIZE, limit - versions.length);
    const page = await getJson(`${artifactPath(project, name)}/versions${queryOf([['after', after], ['size', size]])}`, signal);
    versions.push(...page.versions);
    after = page.next_place;
  } while (after !== null && versions.length < limit);
  return { versions, next_place: after };
}

/** @param {VersionName} named @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').VersionDetail>} */
export async function fetchVersion(named, signal) {
  return getJson(versionPath(named), signal);
}

/**
 * What is in a folder of a version, or which of its files match.
 * @param {VersionName} named @param {{folder: string, text: string, after: number, size: number}} query @param {AbortSignal} [signal]
 * @returns {Promise<import('./artifact_types.js').FileList>}
 */
export async function fetchFiles(named, { folder, text, after, size }, signal) {
  return getJson(`${versionPath(named)}/files${queryOf([['folder', folder], ['text', text], ['after', after], ['size', size]])}`, signal);
}

/** @param {VersionName} named @param {string} path @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').Preview>} */
export async function fetchPreview(named, path, signal) {
  return getJson(`${versionPath(named)}/preview${queryOf([['path', path]])}`, signal);
}

/** Where a file can be downloaded, or with `inline` shown where it is a picture. @param {VersionName} named @param {string} path @param {boolean} [inline] */
export function versionFileUrl(named, path, inline = false) {
  return `${API}${versionPath(named)}/files/${filePath(path)}${inline ? '?inline=true' : ''}`;
}

/**
 * @param {VersionName} named @param {string} old the version it is compared with @param {{after: number, size: number}} part @param {AbortSignal} [signal]
 * @returns {Promise<import('./artifact_types.js').VersionDiff>}
 */
export async function fetchVersionDiff(named, old, { after, size }, signal) {
  return getJson(`${versionPath(named)}/diff${queryOf([['old', old], ['after', after], ['size', size]])}`, signal);
}

/** @param {VersionName} named @param {string} old @param {string} path @param {string} oldPath @returns {Promise<{text: string, note: string}>} */
export async function fetchTextDiff(named, old, path, oldPath) {
  return getJson(`${versionPath(named)}/diff/text${queryOf([['old', old], ['path', path], ['old_path', oldPath]])}`);
}

/**
 * @param {VersionName|{project: string, run: string}} of
 * @param {{direction: string, depth: number|null}} query @param {AbortSignal} [signal]
 * @returns {Promise<import('./artifact_types.js').LineageGraph>}
 */
export async function fetchLineage(of, { direction, depth }, signal) {
  const path = 'run' in of ? runPath(of.project, of.run) : versionPath(of);
  return getJson(`${path}/lineage${queryOf([['direction', direction], ['depth', depth]])}`, signal);
}

/** @param {string} project @param {string} run @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').RunArtifact[]>} */
export async function fetchRunArtifacts(project, run, signal) {
  return (await getJson(`${runPath(project, run)}/artifacts`, signal)).artifacts;
}

/** @param {VersionName} named @param {Record<string, unknown>} changes @returns {Promise<VersionRow>} */
export async function editVersion(named, changes) {
  return postJson(`${versionPath(named)}/edit`, changes);
}

/** @param {string} project @param {string} name @param {{description?: string, retention?: import('./artifact_types.js').Retention}} changes */
export async function editArtifact(project, name, changes) {
  return postJson(`${artifactPath(project, name)}/edit`, changes);
}

/** @param {string} project @param {string} name @param {string} why */
export async function deleteArtifact(project, name, why) {
  return postJson(`${artifactPath(project, name)}/delete`, { why });
}

/** @param {string} project @param {string} name @param {{versions: string[], why: string, delete_aliases: boolean}} wish versions: uids */
export async function deleteVersions(project, name, wish) {
  return postJson(`${artifactPath(project, name)}/delete_versions`, wish);
}

/** @param {VersionName} named @param {{model: string, aliases: string[], why: string}} wish @returns {Promise<import('./artifact_types.js').LinkedRow>} */
export async function linkVersion(named, wish) {
  return postJson(`${versionPath(named)}/link`, wish);
}

/** @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').ModelRow[]>} */
export async function fetchModels(signal) {
  return (await getJson('/registry', signal)).models;
}

/** @param {string} model @param {AbortSignal} [signal] @returns {Promise<import('./artifact_types.js').ModelDetail>} */
export async function fetchModel(model, signal) {
  return getJson(modelPath(model), signal);
}

/** All changes of a model, the first one first. @param {string} model @param {AbortSignal} [signal] */
export async function fetchAudit(model, signal) {
  /** @type {import('./artifact_types.js').AuditRow[]} */
  const entries = [];
  for (let after = /** @type {number|null} */ (0); after !== null;) {
    const page = await getJson(`${modelPath(model)}/audit${queryOf([['after', after], ['size', PAGE_SIZE]])}`, signal);
    entries.push(...page.entries);
    after = page.next_place;
  }
  return entries;
}

/** @param {string} model @param {number} number @param {{add: string[], remove: string[], why: string}} wish */
export async function setModelAliases(model, number, wish) {
  return postJson(`${modelPath(model)}/versions/${number}/aliases`, wish);
}

/** @param {string} model @param {number} number @param {string} why */
export async function unlinkVersion(model, number, why) {
  return postJson(`${modelPath(model)}/versions/${number}/unlink`, { why });
}

/** @param {string} model @param {string} card @param {string} why */
export async function setCard(model, card, why) {
  return postJson(`${modelPath(model)}/card`, { card, why });
}

/** @param {string} model @param {string} why */
export async function deleteModel(model, why) {
  return postJson(`${modelPath(model)}/delete`, { why });
}

/** @param {string} text Markdown @returns {Promise<string>} harmless HTML */
export async function renderMarkdown(text) {
  return (await postJson('/markdown', { text })).html;
}
