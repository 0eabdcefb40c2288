/** What is asked of the server after the first view: groups of runs, a run's output, its files, and that it stops. */
import { API, getJson, getText, postJson, projectPath, queryOf, runPath } from './api.js';

/**
 * Runs put together by their values.
 * @param {string} project
 * @param {{by: readonly string[], values: readonly string[], filter: string, limit: number, offset: number}} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{n_groups: number, groups: import('./types.js').RunGroup[]}>}
 */
export async function fetchGroups(project, { by, values, filter, limit, offset }, signal) {
  const paths = /** @type {[string, string][]} */ ([...by.map((path) => ['by', path]), ...values.map((path) => ['values', path])]);
  return getJson(`${projectPath(project)}/groups${queryOf([...paths, ['filter', filter], ['limit', limit], ['offset', offset]])}`, signal);
}

/**
 * Ask a run to stop, or take that back.
 * @param {string} project
 * @param {string} run
 * @param {{why?: string, withdraw?: boolean}} order
 */
export async function stopRun(project, run, { why = '', withdraw = false }) {
  await postJson(`${projectPath(project)}/runs/stop`, { runs: [run], why, withdraw });
}

/** @param {string} project @param {string} run @param {string} tail of the path @param {Record<string, string|number|boolean>} query */
function consolePath(project, run, tail, query) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== '') params.set(key, String(value));
  return `${runPath(project, run)}/${tail}?${params}`;
}

/**
 * Lines of a run's output.
 * @param {string} project
 * @param {string} run
 * @param {{first: number, limit: number, writer: string}} query writer "": the one that is usually shown
 * @returns {Promise<import('./types.js').LogWindow>}
 */
export async function fetchConsole(project, run, query) {
  return getJson(consolePath(project, run, 'console', query));
}

/**
 * Search all of a run's output.
 * @param {string} project
 * @param {string} run
 * @param {{query: string, limit: number, writer: string}} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('./types.js').LogMatches>}
 */
export async function searchConsole(project, run, query, signal) {
  return getJson(consolePath(project, run, 'console/search', query), signal);
}

/** Where the whole output can be downloaded. @param {string} project @param {string} run @param {string} writer */
export function consoleTextUrl(project, run, writer) {
  return API + consolePath(project, run, 'console.txt', { ansi: false, writer });
}

/** Where a kept file can be downloaded. @param {string} project @param {string} run @param {string} path */
export function fileUrl(project, run, path) {
  return `${API}${runPath(project, run)}/files/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** @param {string} project @param {string} run @param {string} path @param {AbortSignal} [signal] */
export async function fetchFileText(project, run, path, signal) {
  const url = `${runPath(project, run)}/files/${path.split('/').map(encodeURIComponent).join('/')}`;
  return getText(url, signal);
}
