/** What the server is asked of alerts: little, since every page counts the new ones. */
import { getJson, projectPath, queryOf } from './api.js';

/**
 * Alerts, newest first.
 * @param {string} project "": of all
 * @param {{first?: number, limit: number, since_s?: number, levels?: string, text?: string}} query
 * @returns {Promise<import('./types.js').AlertList>}
 */
export async function fetchAlerts(project, query) {
  return getJson(`${project === '' ? '' : projectPath(project)}/alerts${queryOf(Object.entries(query))}`);
}
