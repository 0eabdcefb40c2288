/** The charts of a project, of runs or of groups of runs. */
import { runScope } from '../charts/panel_controller.js';
import { ChartWall } from '../components/chart_wall.js';
import { EmptySnippet, Skeleton } from '../components/empty.js';
import { Toolbar } from '../components/toolbar.js';
import { formatNumber } from '../logic/format.js';
import { LINE_CHOICES } from '../logic/view_state.js';
import { charted, groupScope, metrics, nMetrics, styles } from '../state/project_store.js';
import { isLoaded, order, peekRow, rowOf } from '../state/run_list.js';
import { groupBy, nLines, panelQuery, updateView } from '../state/view.js';
import { html, useMemo } from '../ui.js';

/** @param {{project: string}} props */
export function ProjectCharts({ project }) {
  const isGrouped = groupBy.value.length > 0;
  const runsOnly = useMemo(() => runScope({ project, charted, styles, nameOf: (id) => peekRow(id)?.name ?? id }), [project]);
  // Loaded with the table of groups, which is beside it.
  const scope = isGrouped ? groupScope.value : runsOnly;
  const keys = metrics.value.filter((metric) => !metric.hidden).map((metric) => metric.key);
  return html`<${Toolbar}><${LineCount} /><//>
    ${nMetrics.value > metrics.value.length && html`<p class="wall-note">${formatNumber(metrics.value.length)} of ${formatNumber(nMetrics.value)} metrics; “Find a chart” looks through all of them</p>`}
    ${!scope ? html`<${Skeleton} rows=${6} />` : keys.length > 0 || panelQuery.value !== ''
      ? html`<${ChartWall} keys=${keys} scope=${scope} />` : html`<${NoCharts} project=${project} />`}`;
}

/** How many lines the charts draw. */
function LineCount() {
  const n = nLines.value;
  const noun = groupBy.value.length > 0 ? 'groups' : 'runs';
  return html`<label class="field line-count">First <select class="select" aria-label=${`How many ${noun} the charts draw`}
    onChange=${(/** @type {any} */ event) => updateView({ lines: Number(event.currentTarget.value), base: 'auto' })}>
    ${LINE_CHOICES.map((choice) => html`<option value=${choice} selected=${choice === n}>${choice} ${noun}</option>`)}</select></label>`;
}

/** @param {{project: string}} props */
function NoCharts({ project }) {
  if (!isLoaded.value || order.value.ids.some((id) => (rowOf(id)?.n_rows ?? 0) > 0)) return html`<${Skeleton} rows=${6} />`;
  return html`<${EmptySnippet} title="Nothing was logged yet" project=${project} />`;
}
