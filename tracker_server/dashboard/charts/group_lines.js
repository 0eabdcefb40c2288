/** Groups of runs as lines of a chart: the mean over the members in each cell, and a band of their spread. */
import { fetchChart, fetchSeriesCsv } from '../api.js';
import { asLine } from '../logic/run_groups.js';
import { BANDS } from '../logic/view_state.js';
import { onPoints } from '../state/project_store.js';
import { peekRow } from '../state/run_list.js';
import { band, smoothing, updateView } from '../state/view.js';
import { computed } from '../ui.js';
import { runScope } from './panel_controller.js';

/** @typedef {import('./panel_controller.js').Scope} Scope */

/**
 * @param {Pick<Scope, 'project'|'charted'|'styles'|'nameOf'> & {members: import('../vendor/signals.js').ReadonlySignal<ReadonlyMap<string, readonly string[]>>}} options
 *   charted: ids of groups; members: the ids of their runs
 * @returns {Scope}
 */
export function groupScopeOf({ project, charted, styles, nameOf, members }) {
  const runsOf = (/** @type {string} */ id) => [...members.peek().get(id) ?? []];
  const isGroup = (/** @type {string} */ id) => members.peek().has(id);
  return {
    ...runScope({ project, charted, styles, nameOf: (id) => (isGroup(id) ? nameOf(id) : peekRow(id)?.name ?? id) }),
    noun: 'group',
    // The line is smoothed, what its members have is not.
    noteOf: () => `${BANDS.find(([key]) => key === band.value)?.[1] ?? ''}${smoothing.value > 0 ? ', band not smoothed' : ''}`,
    choices: () => BANDS.map(([key, label]) => ({
      label: `Band: ${label}`, isChecked: band.value === key, act: () => updateView({ band: /** @type {'std'} */ (key) }),
    })),
    wishes: computed(() => `${band.value} ${charted.value.map((id) => members.value.get(id)?.length).join()}`),
    async load(request, signal) {
      const ids = request.runs;
      const groups = ids.map((id) => ({ name: id, runs: runsOf(id) }));
      const kind = band.peek();
      const data = await fetchChart(project, { ...request, runs: [], groups }, signal);
      return { ...data, runs: data.groups.map((group) => asLine(group, kind)) };
    },
    onPoints: (listener) => onPoints((ids) => {
      listener(ids && new Set(charted.peek().filter((id) => members.peek().get(id)?.some((run) => ids.has(run)))));
    }),
    csvIds: () => [...new Set(charted.peek().flatMap(runsOf))],
    csvOf: (id, metric) => fetchSeriesCsv(project, id, metric),
  };
}
