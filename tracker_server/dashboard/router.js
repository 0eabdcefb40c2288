/** Addresses of pages. One HTML shell serves them all; links inside it change the address without a reload. */
import { signal } from './ui.js';
import { ROOT } from './api.js';

/**
 * @typedef {{page: 'projects'} | {page: 'project', project: string} | {page: 'run', project: string, run: string}
 *   | {page: 'missing'}} Route
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
    if (names[0] === 'p' && names.length === 4 && names[2] === 'r') {
      return { page: 'run', project: names[1], run: names[3] };
    }
  } catch {
    // A stray "%" is no address of ours.
  }
  return { page: 'missing' };
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
/** A run's page below the root of a server. @param {string} project @param {string} run */
export const pagePath = (project, run) => `/p/${encodeURIComponent(project)}/r/${encodeURIComponent(run)}`;
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
