/** One run: header, and its tabs. Those that need much code bring it when they are opened. */
import { ApiError, fetchRun } from '../api.js';
import { runScope } from '../charts/panel_controller.js';
import { AlertBanner } from '../components/alert_banner.js';
import { ChartWall } from '../components/chart_wall.js';
import { EmptySnippet, EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon, StateBadge, Swatch } from '../components/icons.js';
import '../components/more_icons.js';
import { bindKeys } from '../components/keyboard.js';
import { StopRun } from '../components/stop_run.js';
import { Tags } from '../components/run_cells.js';
import { Shell, homeCrumb, projectCrumb } from '../components/shell.js';
import { Toolbar } from '../components/toolbar.js';
import { liveState, onChanges } from '../events.js';
import { slotStyle } from '../logic/colours.js';
import { keysOf } from '../logic/media.js';
import { formatDuration, formatNumber, formatTime, plural } from '../logic/format.js';
import { lostWriters } from '../logic/run_writers.js';
import { describeState, troubleText } from '../logic/states.js';
import { TABS } from '../logic/view_state.js';
import { homeUrl, navigate, projectUrl } from '../router.js';
import { paced } from '../state/paced.js';
import { theme } from '../state/preferences.js';
import { metrics, openProject, slotOf } from '../state/project_store.js';
import { chartAxes, systemAxes, systemWriter, tab, updateView } from '../state/view.js';
import { computed, effect, html, signal, useEffect, useMemo, useSignal } from '../ui.js';
import { KeyValues, RunErrorNote } from './run_details.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */

const REFRESH_GAP_MS = 700;
const SYNC_LOOK_MS = 3000;
const LABELS = /** @type {Record<string, string>} */ ({
  charts: 'Charts', media: 'Media', tables: 'Tables', plots: 'Plots', alerts: 'Alerts', artifacts: 'Artifacts', system: 'System', logs: 'Logs', code: 'Code', config: 'Config', summary: 'Summary', overview: 'Overview',
});
/** Tabs that fill the window and scroll inside. */
const FULL_HEIGHT = new Set(['logs', 'tables']);
/** Tabs that a run has only where it logged something for them. @type {Record<string, (run: RunDetail) => number>} */
const COUNTED = {
  media: (run) => keysOf(run.media ?? [], 'media').length,
  tables: (run) => keysOf(run.media ?? [], 'tables').length,
  plots: (run) => keysOf(run.media ?? [], 'plots').length,
  alerts: (run) => run.alerts?.length ?? 0,
};

/** @param {RunDetail} run @returns {string[]} */
const tabsOf = (run) => TABS.filter((key) => key === tab.value || !COUNTED[key] || COUNTED[key](run) > 0);

/** @type {Record<string, () => Promise<any>>} the component of a tab; written out, so that each file is found by tools */
const LOADERS = {
  media: async () => (await import('./run_media.js')).MediaTab,
  tables: async () => (await import('./run_tables.js')).TablesTab,
  plots: async () => (await import('./run_plots.js')).PlotsTab,
  alerts: async () => (await import('./run_alerts.js')).AlertsTab,
  artifacts: async () => (await import('./run_artifacts.js')).ArtifactsTab,
  system: async () => (await import('./run_system.js')).SystemTab,
  logs: async () => (await import('./run_logs.js')).LogsTab,
  code: async () => (await import('./run_code.js')).CodeTab,
  overview: async () => (await import('./run_overview.js')).OverviewTab,
};
const loadedTabs = signal(/** @type {Record<string, any>} */ ({}));
const tabError = signal(/** @type {Error|null} */ (null));

/** @param {string} key */
async function loadTab(key) {
  try {
    const component = await LOADERS[key]();
    tabError.value = null;
    if (!loadedTabs.peek()[key]) loadedTabs.value = { ...loadedTabs.peek(), [key]: component };
  } catch (problem) {
    tabError.value = /** @type {Error} */ (problem);
  }
}

/** @param {{name: string, run: RunDetail}} props */
function LazyTab({ name, run }) {
  const component = loadedTabs.value[name];
  useEffect(() => { if (!component) loadTab(name); }, [name, component]);
  if (component) return html`<${component} run=${run} />`;
  return tabError.value ? html`<${ErrorNote} error=${tabError.value} />` : html`<${Skeleton} rows=${8} />`;
}

/** @param {{project: string, run: string}} props */
export function RunPage({ project, run: id }) {
  const run = useSignal(/** @type {RunDetail|null} */ (null));
  const error = useSignal(/** @type {Error|null} */ (null));
  useEffect(() => {
    const loader = paced(REFRESH_GAP_MS, async () => {
      try {
        run.value = await fetchRun(project, id, systemWriter.peek());
        error.value = null;
      } catch (problem) {
        error.value = /** @type {Error} */ (problem);
      }
    });
    loader.ask();
    // What is sent to a server changes without a change of the run.
    const syncTimer = setInterval(() => { if (!document.hidden && isBeingSent(run.peek())) loader.ask(); }, SYNC_LOOK_MS);
    const stops = [
      () => clearInterval(syncTimer),
      openProject(project, { hasRunList: false }), loader.stop,
      // A run that began while the page was on its way to the server is told of by no later change.
      effect(() => { if (liveState.value === 'live' && error.peek()) loader.ask(); }),
      effect(() => { if (systemWriter.value !== '' || run.peek()) loader.ask(); }),
      onChanges((changes) => {
        if (changes === null || changes.some((change) => change.project === project && change.run === id)) loader.ask();
      }),
      bindKeys({ 'g r': () => navigate(projectUrl(project)), 'g p': () => navigate(homeUrl()), z: () => (tab.peek() === 'system' ? systemAxes : chartAxes).zoomBack() }),
    ];
    return () => stops.forEach((stop) => stop());
  }, [project, id]);
  const name = run.value?.name ?? id;
  useEffect(() => { document.title = `${name} · ${project} · Tracker`; }, [name, project]);
  const body = run.value
    ? html`<${Loaded} run=${run.value} />`
    : error.value ? html`<${NoRun} error=${error.value} project=${project} id=${id} />` : html`<${Skeleton} rows=${10} />`;
  return html`<${Shell} crumbs=${[homeCrumb(), projectCrumb(project), { label: name }]}>${body}<//>`;
}

/** @param {RunDetail|null} run */
function isBeingSent(run) {
  return (run?.syncs ?? []).some(({ bytes_left: left, address }) => left > 0 || address === '');
}

/** @param {{error: Error, project: string, id: string}} props */
function NoRun({ error, project, id }) {
  if (!(error instanceof ApiError) || error.status !== 404) return html`<${ErrorNote} error=${error} />`;
  return html`<h1 class="for-readers">${id}</h1><${EmptyText} title="No such run yet"><p>There is no run ${id} in ${project}. If it is just starting, it appears here by itself.</p>
    <p class="muted">Otherwise it may have been deleted, or the server may show another folder.</p>
    <p><a href=${projectUrl(project)}>Runs of ${project}</a></p><//>`;
}

/** @param {{run: RunDetail}} props */
function Loaded({ run }) {
  const now = tab.value;
  // On a narrow page the tabs scroll.
  useEffect(() => document.getElementById(`tab-${now}`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [now]);
  const hasError = run.error && (now === 'charts' || now === 'overview');
  return html`<div class=${FULL_HEIGHT.has(now) ? 'run-page is-full' : 'run-page'}>
    <${Header} run=${run} />
    ${now !== 'alerts' && html`<${AlertBanner} run=${run} />`}
    <div class="tabs" role="tablist" aria-label="Parts of the run" onKeyDown=${(/** @type {KeyboardEvent} */ event) => moveTab(event, tabsOf(run))}>${tabsOf(run).map((key) => html`<button role="tab" id=${`tab-${key}`}
      aria-selected=${key === now} tabindex=${key === now ? 0 : -1} aria-controls="tab-body" onClick=${() => updateView({ tab: key })}>${LABELS[key]}${tabCount(key, run)}</button>`)}</div>
    <div id="tab-body" class=${`tab-body tab-${now}`} role="tabpanel" aria-labelledby=${`tab-${now}`}>
      ${hasError && html`<${RunErrorNote} error=${run.error} exitCode=${run.exit_code} />`}
      ${now === 'charts' && html`<${RunCharts} run=${run} />`}
      ${now === 'config' && html`<${KeyValues} values=${run.config} noun="config" hint='tracker.init(project="…", config={"lr": 0.001})' />`}
      ${now === 'summary' && html`<${KeyValues} values=${run.summary} noun="summary" hint='run.summary["best_accuracy"] = 0.97' />`}
      ${LOADERS[now] && html`<${LazyTab} key=${now} name=${now} run=${run} />`}
    </div></div>`;
}

/** The arrow keys go from tab to tab. @param {KeyboardEvent} event @param {string[]} tabs */
function moveTab(event, tabs) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by === undefined) return;
  const next = tabs[(tabs.indexOf(tab.peek()) + by + tabs.length) % tabs.length];
  updateView({ tab: next });
  document.getElementById(`tab-${next}`)?.focus();
}

/** @param {string} key @param {RunDetail} run */
function tabCount(key, run) {
  const n = COUNTED[key]?.(run) ?? { config: Object.keys(run.config).length, summary: Object.keys(run.summary).length }[key] ?? 0;
  return n > 0 ? html` <span class="count">${n}</span>` : '';
}

/** @param {{run: RunDetail}} props */
function Header({ run }) {
  const style = slotStyle(slotOf(run.id), theme.value);
  const trouble = [troubleText(run.health), lostWriters(run.writers ?? [], run.state)].filter(Boolean).join('; ');
  return html`<header class="run-head">
    <h1><${Swatch} style=${style} /><span title=${run.id}>${run.name}</span></h1>
    <${StateBadge} state=${run.state} title=${describeState(run)} />
    ${run.stopped_by && html`<span class="stopped-by" title=${describeState(run)}>stopped by ${run.stopped_by}</span>`}
    <span class="fact" title="Duration">${formatDuration(run.duration_s)}</span>
    <span class="fact" title="Started">${formatTime(run.created_s)}</span>
    <span class="fact">${plural(run.n_rows, 'row')}</span>
    ${run.group && html`<span class="fact">group ${run.group}</span>`}
    ${run.job_type && html`<span class="fact">${run.job_type}</span>`}
    ${run.attempt > 1 && html`<span class="fact">attempt ${formatNumber(run.attempt)}</span>`}
    <${Tags} tags=${run.tags} />
    ${trouble && html`<span class="trouble"><${Icon} name="warn" size=${14} />${trouble}</span>`}
    <${StopRun} run=${run} />
    ${run.notes && html`<p class="run-notes">${run.notes}</p>`}
  </header>`;
}

/** @param {{run: RunDetail}} props */
function RunCharts({ run }) {
  const { id, project, name } = run;
  const scope = useMemo(() => runScope({
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
