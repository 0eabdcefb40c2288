/** One run: header, and the tabs Charts, Config, Summary, Overview. */
import { fetchRun } from '../api.js';
import { ChartWall } from '../components/chart_wall.js';
import { EmptySnippet, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon, StateBadge, Swatch } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { Tags, hasTrouble, troubleText } from '../components/run_cells.js';
import { Shell, homeCrumb, projectCrumb } from '../components/shell.js';
import { Toolbar } from '../components/toolbar.js';
import { onChanges } from '../events.js';
import { slotStyle } from '../logic/colours.js';
import { formatDuration, formatNumber, formatTime, plural } from '../logic/format.js';
import { homeUrl, navigate, projectUrl } from '../router.js';
import { paced } from '../state/paced.js';
import { theme } from '../state/preferences.js';
import { metrics, openProject, slotOf } from '../state/project_store.js';
import { tab, updateView, zoomBack } from '../state/view.js';
import { computed, html, useEffect, useMemo, useSignal } from '../ui.js';
import { KeyValues, Overview, RunErrorNote } from './run_details.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */
/** @typedef {import('../charts/panel_controller.js').Scope} Scope */

const REFRESH_GAP_MS = 700;
const TABS = [['charts', 'Charts'], ['config', 'Config'], ['summary', 'Summary'], ['overview', 'Overview']];

/** @param {{project: string, run: string}} props */
export function RunPage({ project, run: id }) {
  const run = useSignal(/** @type {RunDetail|null} */ (null));
  const error = useSignal(/** @type {Error|null} */ (null));
  useEffect(() => {
    const loader = paced(REFRESH_GAP_MS, async () => {
      try {
        run.value = await fetchRun(project, id);
        error.value = null;
      } catch (problem) {
        error.value = /** @type {Error} */ (problem);
      }
    });
    loader.ask();
    const stops = [
      openProject(project, { hasRunList: false }), loader.stop,
      onChanges((changes) => {
        if (changes === null || changes.some((change) => change.project === project && change.run === id)) loader.ask();
      }),
      bindKeys({ 'g r': () => navigate(projectUrl(project)), 'g p': () => navigate(homeUrl()), z: zoomBack }),
    ];
    return () => stops.forEach((stop) => stop());
  }, [project, id]);
  const name = run.value?.name ?? id;
  useEffect(() => { document.title = `${name} · ${project} · Tracker`; }, [name, project]);
  const body = run.value
    ? html`<${Loaded} run=${run.value} />`
    : error.value ? html`<${ErrorNote} error=${error.value} what=${`run ${id} in ${project}`} />` : html`<${Skeleton} rows=${10} />`;
  return html`<${Shell} crumbs=${[homeCrumb(), projectCrumb(project), { label: name }]}>${body}<//>`;
}

/** @param {{run: RunDetail}} props */
function Loaded({ run }) {
  const now = tab.value;
  return html`<div class="run-page">
    <${Header} run=${run} />
    <div class="tabs" role="tablist" aria-label="Parts of the run">${TABS.map(([key, label]) => html`<button role="tab" id=${`tab-${key}`}
      aria-selected=${key === now} aria-controls="tab-body" onClick=${() => updateView({ tab: key })}>${label}${tabCount(key, run)}</button>`)}</div>
    <div id="tab-body" class=${`tab-body tab-${now}`} role="tabpanel" aria-labelledby=${`tab-${now}`}>
      ${run.error && now !== 'config' && now !== 'summary' && html`<${RunErrorNote} error=${run.error} exitCode=${run.exit_code} />`}
      ${now === 'charts' && html`<${RunCharts} run=${run} />`}
      ${now === 'config' && html`<${KeyValues} values=${run.config} noun="config" hint='tracker.init(project="…", config={"lr": 0.001})' />`}
      ${now === 'summary' && html`<${KeyValues} values=${run.summary} noun="summary" hint='run.summary["best_accuracy"] = 0.97' />`}
      ${now === 'overview' && html`<${Overview} run=${run} />`}
    </div></div>`;
}

/** @param {string} key @param {RunDetail} run */
function tabCount(key, run) {
  const n = key === 'config' ? Object.keys(run.config).length : key === 'summary' ? Object.keys(run.summary).length : 0;
  return n > 0 ? html` <span class="count">${n}</span>` : '';
}

/** @param {{run: RunDetail}} props */
function Header({ run }) {
  const style = slotStyle(slotOf(run.id), theme.value);
  return html`<header class="run-head">
    <h1><${Swatch} style=${style} /><span title=${run.id}>${run.name}</span></h1>
    <${StateBadge} state=${run.state} />
    <span class="fact" title="Duration">${formatDuration(run.duration_s)}</span>
    <span class="fact" title="Started">${formatTime(run.created_s)}</span>
    <span class="fact">${plural(run.n_rows, 'row')}</span>
    ${run.group && html`<span class="fact">group ${run.group}</span>`}
    ${run.job_type && html`<span class="fact">${run.job_type}</span>`}
    ${run.attempt > 1 && html`<span class="fact">attempt ${formatNumber(run.attempt)}</span>`}
    <${Tags} tags=${run.tags} />
    ${hasTrouble(run) && html`<span class="trouble"><${Icon} name="warn" size=${14} />${troubleText(run)}</span>`}
    ${run.notes && html`<p class="run-notes">${run.notes}</p>`}
  </header>`;
}

/** @param {{run: RunDetail}} props */
function RunCharts({ run }) {
  const { id, project, name } = run;
  const scope = useMemo(() => /** @type {Scope} */ ({
    project,
    charted: computed(() => [id]),
    // One line alone needs no dashes to be told from others.
    styles: computed(() => new Map([[id, { ...slotStyle(slotOf(id), theme.value), dash: [] }]])),
    nameOf: () => name,
  }), [id, project, name]);
  const hidden = new Set(metrics.value.filter((metric) => metric.hidden).map((metric) => metric.key));
  const keys = run.metrics.map((metric) => metric.key).filter((key) => !hidden.has(key));
  if (keys.length === 0) return html`<${EmptySnippet} title="This run has logged no numbers yet" project=${project} />`;
  return html`<${Toolbar} /><${ChartWall} keys=${keys} scope=${scope} />`;
}
