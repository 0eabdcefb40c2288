/** Several metrics of one run, side by side in a panel. */
import { fetchChart, fetchSeriesCsv } from '../api.js';

/** @typedef {import('./panel_controller.js').Scope} Scope */

/**
 * A loader of a line a metric of one run: one request a panel, all on one grid.
 * @param {string} project
 * @param {string} run
 * @param {(id: string, metric: string) => string} keyOf the run's metric behind a line of a panel
 * @param {string} [writer] whose points; "": whose are usually shown
 * @returns {Pick<Scope, 'load'|'csvOf'>}
 */
export function linesOfRun(project, run, keyOf, writer = '') {
  const whose = writer === '' ? {} : { writer };
  return {
    async load(request, signal) {
      const panel = request.metric ?? '';
      const ids = new Map(request.runs.map((id) => [keyOf(id, panel), id]));
      const data = await fetchChart(project, { ...request, runs: [run], metric: null, metrics: [...ids.keys()], ...whose }, signal);
      return { ...data, runs: data.runs.map((line) => ({ ...line, id: ids.get(line.metric) ?? line.id })) };
    },
    csvOf: (id, metric) => fetchSeriesCsv(project, run, keyOf(id, metric), writer),
  };
}
