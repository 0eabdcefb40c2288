/** Several metrics of one run, side by side in a panel. */
import { fetchChart, fetchSeriesCsv } from '../api.js';
import { mergeCharts } from '../logic/merge_charts.js';

/** @typedef {import('./panel_controller.js').Scope} Scope */

/**
 * A loader of a line a metric of one run: each is fetched on its own, and all are put on one grid.
 * @param {string} project
 * @param {string} run
 * @param {(id: string, metric: string) => string} keyOf the run's metric behind a line of a panel
 * @returns {Pick<Scope, 'load'|'csvOf'>}
 */
export function linesOfRun(project, run, keyOf) {
  return {
    async load(request, signal) {
      const charts = await Promise.all(request.runs.map((id) => fetchChart(project, { ...request, runs: [run], metric: keyOf(id, request.metric) }, signal)));
      return mergeCharts(charts, request.runs);
    },
    csvOf: (id, metric) => fetchSeriesCsv(project, run, keyOf(id, metric)),
  };
}
