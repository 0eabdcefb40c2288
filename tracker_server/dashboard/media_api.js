/** What the server is asked of media and tables. */
import { API, getJson, getText, postJson, queryOf, runPath } from './api.js';

/** @typedef {{project: string, run: string}} Where */

/** @param {Where} where @param {string} path @param {[string, string|number|null|undefined][]} [query] */
const fileUrlOf = ({ project, run }, path, query = []) => (
  `${API}${runPath(project, run)}/media/files/${path.split('/').map(encodeURIComponent).join('/')}${queryOf(query)}`);

/** Where the bytes of a value are. @param {Where} where @param {string} path */
export const mediaUrl = (where, path) => fileUrlOf(where, path);

/** A page for a frame: without scripts, unless somebody asked for them. @param {Where} where @param {string} path @param {boolean} withScripts */
export const htmlUrl = (where, path, withScripts) => fileUrlOf(where, path, [['html', 'true'], ['scripts', withScripts ? 'true' : '']]);

/** @param {Where} where @returns {Promise<import('./types.js').MediaKey[]>} */
export async function fetchMediaKeys({ project, run }) {
  return (await getJson(`${runPath(project, run)}/media`)).keys;
}

/**
 * @param {Where} where
 * @param {{key: string, first?: number, limit: number, step?: string, is_spread?: string}} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('./types.js').MediaValues>}
 */
export async function fetchMediaValues({ project, run }, query, signal) {
  return getJson(`${runPath(project, run)}/media/values${queryOf(Object.entries(query))}`, signal);
}

/** A file of numbers, as JSON. @param {Where} where @param {string} path */
export async function fetchMediaJson(where, path) {
  return JSON.parse(await getText(mediaUrl(where, path).slice(API.length)));
}

/**
 * @param {Where} where
 * @param {{path: string, first: number, limit: number, sort?: {column: number, is_descending: boolean}[], where?: import('./types.js').TableCondition[],
 *   search?: string, columns?: number[]|null, max_chars?: number}} wanted
 * @returns {Promise<import('./types.js').TablePage>}
 */
export async function fetchTable({ project, run }, wanted) {
  return postJson(`${runPath(project, run)}/media/table`, wanted);
}
