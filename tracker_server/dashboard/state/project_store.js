/** The runs and metrics of the project on the page, kept fresh by change notices. */
import { computed, effect, signal } from '../ui.js';
import { ApiError, fetchMetrics, fetchRun, fetchRuns } from '../api.js';
import { assignSlots, slotStyle, slotsToKeep } from '../logic/colours.js';
import { compileFilter, sortRuns } from '../logic/run_filter.js';
import { chartedRuns } from '../logic/view_state.js';
import { onChanges } from '../events.js';
import { paced } from './paced.js';
import { keep, remember, theme } from './preferences.js';
import { filterText, sortOrder, view } from './view.js';

/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {import('../types.js').MetricRow} MetricRow */
/** @typedef {import('../types.js').Change} Change */

/** Runs drawn when nobody chose: one colour and dash each. */
const SHOWN_LIMIT = 20;
const SLOTS_KEPT = 300;
/** Fetching a few changed runs one by one is cheaper than the whole list; beyond this it is not. */
const SINGLE_RUNS_LIMIT = 4;
const RUNS_GAP_MS = 1000;
const METRICS_GAP_MS = 3000;

export const projectName = signal(/** @type {string|null} */ (null));
export const runs = signal(/** @type {RunRow[]} */ ([]));
export const metrics = signal(/** @type {MetricRow[]} */ ([]));
export const isLoaded = signal(false);
export const loadError = signal(/** @type {ApiError|Error|null} */ (null));

export const runsById = computed(() => new Map(runs.value.map((run) => [run.id, run])));
const compiled = computed(() => compileFilter(filterText.value));
export const filterError = computed(() => compiled.value.error);
/** Newest first, as the server sends them. */
export const filteredRuns = computed(() => runs.value.filter(compiled.value.test));
export const sortedRuns = computed(() => sortRuns(filteredRuns.value, sortOrder.value));

/** Text, not an array: readers wake only when the set of runs really changes, not at each new row of the list. */
const chartedText = computed(() => JSON.stringify(chartedRuns(filteredRuns.value, view.value, SHOWN_LIMIT)));
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
 * @param {{hasRunList: boolean}} page whether the page shows the runs; a run's page can do without that long answer
 * @returns {() => void} to stop
 */
export function openProject(project, { hasRunList }) {
  if (projectName.peek() !== project) {
    runs.value = [];
    metrics.value = [];
    isLoaded.value = false;
    loadError.value = null;
    heldSlots = new Set();
    slots.value = new Map(remember(`slots.${project}`, /** @type {[string, number][]} */ ([])));
    projectName.value = project;
  }
  const refresher = createRefresher(project, hasRunList);
  refresher.everything();
  const stop = onChanges((changes) => refresher.changed(changes));
  return () => {
    stop();
    refresher.stop();
  };
}

/** @param {string} project @param {boolean} hasRunList */
function createRefresher(project, hasRunList) {
  let isStopped = false;
  /** @type {Set<string>|'all'} */
  let pendingRuns = new Set();
  const loadRuns = paced(RUNS_GAP_MS, async () => {
    const wanted = pendingRuns;
    pendingRuns = new Set();
    await loadInto(project, wanted, () => isStopped);
  });
  const loadMetrics = paced(METRICS_GAP_MS, async () => {
    const fresh = await fetchMetrics(project);
    if (!isStopped && !isSameJson(fresh, metrics.peek())) metrics.value = fresh;
  });
  const everything = () => {
    pendingRuns = 'all';
    if (hasRunList) loadRuns.ask();
    loadMetrics.ask();
  };
  return {
    everything,
    /** @param {Change[]|null} changes null: anything may have changed */
    changed(changes) {
      if (changes === null) {
        everything();
        tellPoints('points', null);
        tellPoints('system', null);
        return;
      }
      const all = changes.filter((change) => change.project === project);
      tellPoints('system', all);
      const ours = all.filter((change) => change.kinds.some((kind) => !SILENT_KINDS.has(kind)));
      if (ours.length === 0) return;
      const known = runsById.peek();
      for (const { run, kinds } of ours) {
        if (!known.has(run) || kinds.includes('new')) pendingRuns = 'all';
        else if (pendingRuns !== 'all') pendingRuns.add(run);
      }
      if (hasRunList) loadRuns.ask();
      if (tellPoints('points', ours)) loadMetrics.ask();
    },
    stop() {
      isStopped = true;
      loadRuns.stop();
      loadMetrics.stop();
    },
  };
}

/** @param {string} project @param {Set<string>|'all'} wanted @param {() => boolean} isStopped */
async function loadInto(project, wanted, isStopped) {
  try {
    if (wanted === 'all' || wanted.size > SINGLE_RUNS_LIMIT) {
      const fresh = await fetchRuns(project);
      if (!isStopped()) runs.value = fresh;
    } else {
      const fresh = await Promise.all([...wanted].map((id) => fetchRun(project, id)));
      const byId = new Map(fresh.map((run) => [run.id, run]));
      if (!isStopped()) runs.value = runs.peek().map((run) => byId.get(run.id) ?? run);
    }
    loadError.value = null;
  } catch (problem) {
    if (!isStopped() && problem instanceof Error) loadError.value = problem;
  } finally {
    if (!isStopped()) isLoaded.value = true;
  }
}

/** @param {unknown} a @param {unknown} b */
function isSameJson(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
