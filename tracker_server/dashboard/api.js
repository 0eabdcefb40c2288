/** The only module that talks to the server. */
import { decodeChart } from './logic/decode.js';
import { signal } from './ui.js';

/** @typedef {import('./types.js').ChartRequest} ChartRequest */

/**
 * Where the server's root is. Taken from this module's own address (<root>/static/<hash>/api.js), so that the pages
 * also work below a prefix, behind a notebook server's proxy.
 */
export const ROOT = new URL('../../', import.meta.url).pathname.replace(/\/$/, '');
export const API = `${ROOT}/api/v1`;

/** What the last request met: shown in the top bar, because a page full of old data looks quite alive. */
export const serverState = signal(/** @type {'there'|'away'|'signed-out'} */ ('there'));

/** An answer that is not a success, with the server's own words. */
export class ApiError extends Error {
  /** @param {number} status @param {{where?: string, got?: string, expected?: string, remedy?: string, position?: number}} detail */
  constructor(status, detail) {
    const { where, got, expected, remedy } = detail;
    super([where, got && `got ${got}`, expected && `expected ${expected}`, remedy].filter(Boolean).join('; ')
      || `the server answered ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.detail = detail;
  }
}

/**
 * @param {string} path below /api/v1
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
async function request(path, init = {}) {
  const response = await fetch(API + path, { credentials: 'same-origin', ...init }).catch((problem) => {
    if (!init.signal?.aborted) serverState.value = 'away';
    throw problem;
  });
  serverState.value = response.status === 401 ? 'signed-out' : 'there';
  if (!response.ok) throw new ApiError(response.status, await readErrorDetail(response));
  return response;
}

/** @param {Response} response */
async function readErrorDetail(response) {
  try {
    const body = await response.json();
    return body?.error ?? {};
  } catch {
    // A proxy in between may answer with anything; the status alone is then what we know.
    return {};
  }
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function getJson(path, signal) {
  return (await request(path, { signal })).json();
}

/** @param {string} path @param {unknown} body @returns {Promise<any>} */
export async function postJson(path, body) {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  return (await request(path, init)).json();
}

/** @param {string} path @param {AbortSignal} [signal] */
export async function getText(path, signal) {
  return (await request(path, { signal })).text();
}

/** @param {string} project */
export const projectPath = (project) => `/projects/${encodeURIComponent(project)}`;
/** @param {string} project @param {string} run */
export const runPath = (project, run) => `${projectPath(project)}/runs/${encodeURIComponent(run)}`;

/** @returns {Promise<import('./types.js').ProjectRow[]>} */
export async function fetchProjects() {
  return (await getJson('/projects')).projects;
}

/** @param {[string, string|number|null|undefined][]} entries those without a value are left out */
export function queryOf(entries) {
  const params = new URLSearchParams();
  for (const [key, value] of entries) if (value !== '' && value !== null && value !== undefined) params.append(key, String(value));
  return params.size > 0 ? `?${params}` : '';
}

/**
 * One page of the runs that match. Never all runs at once: a project may have 100,000.
 * @param {string} project
 * @param {{filter?: string, sort?: string, limit: number, cursor?: string|null, columns?: readonly string[]}} query
 *   columns: the paths of config and summary that are wanted
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('./types.js').RunPage>}
 */
export async function fetchRunPage(project, { filter, sort, limit, cursor, columns = [] }, signal) {
  // Without a key only the fields that every run has are wanted, and a field must be named to say so.
  const wanted = (columns.length > 0 ? columns : ['id']).join(',');
  const query = queryOf([['filter', filter], ['sort', sort], ['limit', limit], ['cursor', cursor], ['columns', wanted]]);
  return getJson(`${projectPath(project)}/runs${query}`, signal);
}

/**
 * The keys of config and summary that runs of a project have, those of most runs first.
 * @param {string} project
 * @param {{search?: string, limit?: number}} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{n_columns: number, columns: import('./types.js').ColumnInfo[]}>}
 */
export async function fetchColumns(project, { search = '', limit }, signal) {
  return getJson(`${projectPath(project)}/columns${queryOf([['search', search], ['limit', limit]])}`, signal);
}

/**
 * @param {string} project
 * @param {string} run
 * @param {string} [writer] whose system metrics; "": whose are usually shown
 * @returns {Promise<import('./types.js').RunDetail>}
 */
export async function fetchRun(project, run, writer = '') {
  return getJson(runPath(project, run) + queryOf([['writer', writer]]));
}

/**
 * The metrics that runs of a project have.
 * @param {string} project
 * @param {{search?: string, limit: number}} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{metrics: import('./types.js').MetricRow[], n_metrics: number}>}
 */
export async function fetchMetrics(project, { search = '', limit }, signal) {
  return getJson(`${projectPath(project)}/metrics${queryOf([['search', search], ['limit', limit]])}`, signal);
}

/**
 * @param {string} project
 * @param {ChartRequest} chart
 * @param {AbortSignal} [signal]
 */
export async function fetchChart(project, chart, signal) {
  const response = await request(`${projectPath(project)}/chart`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/octet-stream' },
    body: JSON.stringify(chart),
    signal,
  });
  return decodeChart(await response.arrayBuffer());
}

/**
 * Every point of one metric of one run, as CSV text.
 * @param {string} project @param {string} run @param {string} key @param {string} [writer] "": whose are usually shown
 */
export async function fetchSeriesCsv(project, run, key, writer = '') {
  return (await request(`${runPath(project, run)}/series${queryOf([['key', key], ['format', 'csv'], ['writer', writer]])}`)).text();
}

/** Who looks at the page, and what they may do. @returns {Promise<import('./types.js').Me>} */
export async function fetchMe() {
  return getJson('/me');
}
