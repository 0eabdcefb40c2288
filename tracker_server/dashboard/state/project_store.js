/** What the project on the page has: metrics, columns, and the runs that its charts draw; kept fresh by change notices. */
import { computed, effect, signal } from '../ui.js';
import { fetchColumns, fetchMetrics } from '../api.js';
import { assignSlots, slotStyle, slotsToKeep } from '../logic/colours.js';
import { chartedRuns } from '../logic/view_state.js';
import { onChanges } from '../events.js';
import { paced } from './paced.js';
import { keep, remember, theme } from './preferences.js';
import { isLoaded, listRuns, order, peekRow, pickedRuns, refreshRuns } from './run_list.js';
import { panelQuery, view } from './view.js';

/** @typedef {import('../types.js').MetricRow} MetricRow */
/** @typedef {import('../types.js').ColumnInfo} ColumnInfo */
/** @typedef {import('../types.js').Change} Change */

const SLOTS_KEPT = 300;
const RUNS_GAP_MS = 1000;
const METRICS_GAP_MS = 3000;
const COLUMNS_GAP_MS = 10_000;
const TYPING_MS = 250;
/** Of a project with more metrics, those are loaded that the search over the charts asks for. */
export const METRICS_LIMIT = 1000;
/** Columns that can be chosen without a search. */
const COLUMNS_LIMIT = 200;

export const projectName = signal(/** @type {string|null} */ (null));
export const metrics = signal(/** @type {MetricRow[]} */ ([]));
/** Metrics that the project has, loaded or not. */
export const nMetrics = signal(0);
/** The keys of config and summary that most runs have, and how many there are in all. */
export const columnInfos = signal(/** @type {readonly ColumnInfo[]} */ ([]));
export const nColumns = signal(0);
export const infoByPath = computed(() => new Map(columnInfos.value.map((info) => [info.path, info])));
export const hasColumns = signal(false);
/** What the charts draw when runs are grouped; the part that groups them sets it when it is loaded. */
export const groupScope = signal(/** @type {import('../charts/panel_controller.js').Scope|null} */ (null));

/** Text, not an array: readers wake only when the set of runs really changes, not at each new order of the list. */
const chartedText = computed(() => {
  const ids = chartedRuns(order.value.ids, pickedRuns.value, view.value);
  const begin = (/** @type {string} */ id) => peekRow(id)?.created_s ?? 0;
  return JSON.stringify(ids.sort((a, b) => begin(b) - begin(a) || (a < b ? -1 : 1)));
});
/** The ids of the runs that the charts draw, newest first. */
export const charted = computed(() => /** @type {string[]} */ (JSON.parse(chartedText.value)));
export const chartedSet = computed(() => new Set(charted.value));

/** Slots of runs by id; see logic/colours.js. */
const slots = signal(/** @type {Map<string, number>} */ (new Map()));
let heldSlots = /** @type {Set<string>} */ (new Set());

effect(() => {
  const shown = charted.value;
  // Oldest first: so the colours of a project do not change when a new run comes on top.
  slots.value = assignSlots(slots.peek(), heldSlots, [...shown].reverse());
  heldSlots = new Set(shown);
  const name = projectName.peek();
  if (name && shown.length > 0) keep(`slots.${name}`, slotsToKeep(slots.peek(), heldSlots, SLOTS_KEPT));
});

/** How every charted run is drawn. */
export const styles = computed(() => new Map(
  charted.value.map((id) => [id, slotStyle(slots.value.get(id) ?? Infinity, theme.value)]),
));

/** The slot of any run, also of one that the project's charts do not draw. @param {string} id */
export function slotOf(id) {
  return slots.value.get(id) ?? 0;
}

/** Changes that a row of the run list shows nothing of: a run prints far more often than it logs. */
const SILENT_KINDS = new Set(['console', 'system', 'environment', 'files']);

/** @type {Record<'points'|'system', Set<(ids: Set<string>|null) => void>>} */
const pointListeners = { points: new Set(), system: new Set() };

/** @param {'points'|'system'} kind @returns {(listener: (ids: Set<string>|null) => void) => (() => void)} */
const listenTo = (kind) => (listener) => {
  pointListeners[kind].add(listener);
  return () => pointListeners[kind].delete(listener);
};

/** Be told which runs have new points; null means that any may have. The answer stops it. */
export const onPoints = listenTo('points');
/** The same for samples of the machine. */
export const onSystemPoints = listenTo('system');

/** @param {'points'|'system'} kind @param {Change[]|null} changes */
function tellPoints(kind, changes) {
  const grown = changes && new Set(changes.filter((change) => change.kinds.includes(kind)).map((change) => change.run));
  if (grown?.size === 0) return false;
  for (const listener of pointListeners[kind]) listener(grown);
  return true;
}

/**
 * Load a project and follow its changes.
 * @param {string} project
 * @param {{hasRunList: boolean}} page whether the page shows the runs; a run's page can do without that answer
 * @returns {() => void} to stop
 */
export function openProject(project, { hasRunList }) {
  if (projectName.peek() !== project) {
    listRuns(null);
    metrics.value = [];
    nMetrics.value = 0;
    columnInfos.value = [];
    hasColumns.value = false;
    heldSlots = new Set();
    slots.value = new Map(remember(`slots.${project}`, /** @type {[string, number][]} */ ([])));
    projectName.value = project;
  }
  const refresher = createRefresher(project, hasRunList);
  if (hasRunList && isListed(project)) refreshRuns(null);
  if (hasRunList) listRuns(project);
  refresher.loadMetrics.ask();
  if (hasRunList) refresher.loadColumns.ask();
  const stops = [onChanges((changes) => refresher.changed(changes)), refresher.stop, followSearch(project)];
  return () => stops.forEach((stop) => stop());
}

let listed = '';
/** Whether the runs of this project are there from before. @param {string} project */
function isListed(project) {
  const before = listed;
  listed = project;
  return before === project && isLoaded.peek();
}

/** @param {string} project @param {AbortSignal} [signal] */
async function readMetrics(project, signal) {
  // A project that is not known to have many is asked for all: the page itself finds what it shows.
  const search = nMetrics.peek() > METRICS_LIMIT ? wordsToSearch(panelQuery.peek()) : '';
  const fresh = await fetchMetrics(project, { search, limit: METRICS_LIMIT }, signal);
  if (projectName.peek() !== project) return;
  if (search === '') nMetrics.value = fresh.n_metrics ?? fresh.metrics.length;
  if (!isSameJson(fresh.metrics, metrics.peek())) metrics.value = fresh.metrics;
}

/** What of a panel search the server looks for: all its words; a /pattern/ is for the metrics that are there. @param {string} query */
function wordsToSearch(query) {
  return query.trim().startsWith('/') ? '' : query.trim();
}

/** Of many metrics, load those that are searched for. @param {string} project */
function followSearch(project) {
  let abort = new AbortController();
  let asked = wordsToSearch(panelQuery.peek());
  let timer = 0;
  const stop = effect(() => {
    const words = wordsToSearch(panelQuery.value);
    clearTimeout(timer);
    if (words === asked || nMetrics.peek() <= METRICS_LIMIT) return;
    timer = setTimeout(() => {
      asked = words;
      abort.abort();
      abort = new AbortController();
      // The next change asks again; the top bar tells when the server is away.
      readMetrics(project, abort.signal).catch(() => {});
    }, TYPING_MS);
  });
  return () => {
    stop();
    clearTimeout(timer);
    abort.abort();
  };
}

/** @param {string} project @param {boolean} hasRunList */
function createRefresher(project, hasRunList) {
  let isStopped = false;
  /** @type {Set<string>|null} null: all */
  let changedRuns = new Set();
  const loadRuns = paced(RUNS_GAP_MS, async () => {
    const changed = changedRuns;
    changedRuns = new Set();
    await refreshRuns(changed);
  });
  const loadMetrics = paced(METRICS_GAP_MS, () => readMetrics(project));
  const loadColumns = paced(COLUMNS_GAP_MS, async () => {
    const fresh = await fetchColumns(project, { limit: COLUMNS_LIMIT });
    if (isStopped) return;
    nColumns.value = fresh.n_columns;
    if (!isSameJson(fresh.columns, columnInfos.peek())) columnInfos.value = fresh.columns;
    hasColumns.value = true;
  });
  const parts = [loadRuns, loadMetrics, loadColumns];
  return {
    loadMetrics,
    loadColumns,
    /** @param {Change[]|null} changes null: anything may have changed */
    changed(changes) {
      if (changes === null) {
        changedRuns = null;
        if (hasRunList) loadRuns.ask();
        loadMetrics.ask();
        tellPoints('points', null);
        tellPoints('system', null);
        return;
      }
      const all = changes.filter((change) => change.project === project);
      tellPoints('system', all);
      const ours = all.filter((change) => change.kinds.some((kind) => !SILENT_KINDS.has(kind)));
      if (ours.length === 0) return;
      for (const { run } of ours) changedRuns?.add(run);
      if (hasRunList) {
        loadRuns.ask();
        loadColumns.ask();
      }
      if (tellPoints('points', ours)) loadMetrics.ask();
    },
    stop() {
      isStopped = true;
      for (const part of parts) part.stop();
    },
  };
}

/** @param {unknown} a @param {unknown} b */
function isSameJson(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
