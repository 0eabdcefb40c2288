/** Addresses of pages. One HTML shell serves them all; links inside it change the address without a reload. */
import { signal } from './ui.js';
import { ROOT } from './api.js';

/**
 * @typedef {{page: 'projects'} | {page: 'project', project: string} | {page: 'run', project: string, run: string}
 *   | {page: 'artifacts', project: string} | {page: 'artifact', project: string, name: string}
 *   | {page: 'version', project: string, name: string, version: string}
 *   | {page: 'alerts', project: string} | {page: 'registry'} | {page: 'model', model: string} | {page: 'missing'}} Route project "": all
 */

/**
 * Read a path below the root.
 * @param {string} path
 * @returns {Route}
 */
export function parsePath(path) {
  const parts = path.split('/').filter(Boolean);
  try {
    const names = parts.map(decodeURIComponent);
    if (names.length === 0) return { page: 'projects' };
    if (names[0] === 'p' && names.length === 2) return { page: 'project', project: names[1] };
    if (names[0] === 'p' && names[2] === 'a') return artifactRoute(names[1], names.slice(3));
    if (names[0] === 'alerts' && names.length === 1) return { page: 'alerts', project: '' };
    if (names[0] === 'p' && names[2] === 'alerts' && names.length === 3) return { page: 'alerts', project: names[1] };
    if (names[0] === 'artifacts' && names.length === 1) return { page: 'artifacts', project: '' };
    if (names[0] === 'registry' && names.length === 1) return { page: 'registry' };
    if (names[0] === 'registry' && names.length === 2) return { page: 'model', model: names[1] };
    if (names[0] === 'p' && names.length === 4 && names[2] === 'r') {
      return { page: 'run', project: names[1], run: names[3] };
    }
  } catch {
    // A stray "%" is no address of ours.
  }
  return { page: 'missing' };
}

/** @param {string} project @param {string[]} names @returns {Route} */
function artifactRoute(project, names) {
  if (names.length === 0) return { page: 'artifacts', project };
  if (names.length === 1) return { page: 'artifact', project, name: names[0] };
  return names.length === 2 ? { page: 'version', project, name: names[0], version: names[1] } : { page: 'missing' };
}

const here = () => parsePath(location.pathname.slice(ROOT.length));

/** The page now shown. */
export const route = signal(here());
/** Counts arrivals, so that state kept in the query is read again even when the page stays the same. */
export const arrivals = signal(0);

/** @param {string} project */
export const projectUrl = (project) => `${ROOT}/p/${encodeURIComponent(project)}`;
/** @param {string} project @param {string} run */
export const runUrl = (project, run) => `${projectUrl(project)}/r/${encodeURIComponent(run)}`;
/** The artifacts of a project, or of all. @param {string} [project] */
export const artifactsUrl = (project = '') => (project === '' ? `${ROOT}/artifacts` : `${projectUrl(project)}/a`);
/** The alerts of a project, or of all. @param {string} [project] */
export const alertsUrl = (project = '') => (project === '' ? `${ROOT}/alerts` : `${projectUrl(project)}/alerts`);
export const registryUrl = () => `${ROOT}/registry`;
export const homeUrl = () => `${ROOT}/`;
/** An address of the server that is no page of this app. @param {string} path */
export const rootUrl = (path) => ROOT + path;

/** Go to a page. @param {string} url */
export function navigate(url) {
  history.pushState(null, '', url);
  arrive();
}

function arrive() {
  route.value = here();
  arrivals.value += 1;
}

/** Follow the back button, and plain clicks on our own links. */
export function startRouter() {
  addEventListener('popstate', arrive);
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(`${ROOT}/`) || link.pathname.startsWith(`${ROOT}/api/`)) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
