/** The page's view state: one signal, mirrored in the address. */
import { batch, computed, effect, signal } from '../ui.js';
import { formatSort, parseSort } from '../logic/run_query.js';
import { DEFAULT_VIEW, formatView, keptQuery, keptView, parseView, withRunShown } from '../logic/view_state.js';
import { arrivals, route } from '../router.js';
import { keep, remember } from './preferences.js';

/** @typedef {import('../logic/view_state.js').ViewState} ViewState */
/** @typedef {import('../logic/view_state.js').Range} Range */

// Safari refuses more than 100 address changes in 30 s, and a slider makes 60 a second.
const ADDRESS_DELAY_MS = 300;
/** Pages that have such a view; the others keep what they like in the address. */
const VIEWED = new Set(['project', 'run']);

export const view = signal(parseView(location.search));
/** The run under the pointer, in the list or on a chart. */
export const hoveredRun = signal(/** @type {string|null} */ (null));
/** @param {Partial<ViewState>} patch */
export function updateView(patch) {
  view.value = { ...view.value, ...patch };
}

/** @template {keyof ViewState} K @param {K} key @returns {import('../vendor/signals.js').ReadonlySignal<ViewState[K]>} */
const part = (key) => computed(() => view.value[key]);
// A computed wakes its readers only when its own value changes: the run list does not care about the smoothing.
export const filterText = part('filter');
export const sortOrder = part('sort');
export const smoothing = part('smoothing');
export const smoothKind = part('smoothKind');
export const logMetrics = part('logY');
export const clippedMetrics = part('clipped');
export const panelQuery = part('panels');
export const isTableOpen = part('isTable');
export const chosenColumns = part('columns');
export const tableColumns = part('tableColumns');
export const pinnedColumns = part('pinned');
export const groupBy = part('groupBy');
export const band = part('band');
export const nLines = part('lines');
export const tab = part('tab');
export const systemBy = part('systemBy');
export const systemWriter = part('systemWriter');
export const codePart = part('codePart');
export const shownFile = part('file');
export const logLine = part('line');
export const logFind = part('find');
export const logWriter = part('writer');
export const mediaStep = part('step');
export const mediaKeys = part('keys');
export const mediaAgainst = part('against');
export const tableKey = part('table');
export const shownRuns = part('shown');
export const hiddenRuns = part('hidden');
export const baseRuns = part('base');

/**
 * The x axis that a wall of charts shares.
 * @typedef {object} Axes
 * @property {import('../vendor/signals.js').ReadonlySignal<string>} x
 * @property {import('../vendor/signals.js').ReadonlySignal<Range|null>} zoom
 * @property {import('../vendor/signals.js').ReadonlySignal<number>} smoothing
 * @property {import('../vendor/signals.js').ReadonlySignal<string>} smoothKind
 * @property {(x: string) => void} chooseX a range of the old axis means nothing on the new one
 * @property {(range: Range) => void} zoomTo zoom all panels
 * @property {() => void} zoomBack undo the last zoom
 * @property {() => void} zoomOut undo all zooms
 * @property {() => void} forget the zooms to go back to
 */

/**
 * @param {'x'|'systemX'} xKey @param {'zoom'|'systemZoom'} zoomKey
 * @param {import('../vendor/signals.js').ReadonlySignal<number>} smoothed
 * @returns {Axes}
 */
function makeAxes(xKey, zoomKey, smoothed) {
  /** @type {Range[]} zooms to go back to, the newest last */
  let before = [];
  const set = (/** @type {Range|null} */ range) => updateView({ [zoomKey]: range });
  const forget = () => { before = []; };
  return {
    x: part(xKey), zoom: part(zoomKey), smoothing: smoothed, smoothKind, forget,
    chooseX(x) {
      forget();
      updateView({ [xKey]: x, [zoomKey]: null });
    },
    zoomTo(range) {
      const now = view.value[zoomKey];
      if (now) before.push(now);
      set(range);
    },
    zoomBack: () => set(before.pop() ?? null),
    zoomOut() {
      forget();
      set(null);
    },
  };
}

/** Of the charts of metrics. */
export const chartAxes = makeAxes('x', 'zoom', smoothing);
/** Of the charts of the machine: time is what they are read by, and what a wiggle of a sensor means is not smoothed away. */
export const systemAxes = makeAxes('systemX', 'systemZoom', signal(0));

/** @param {string} id @param {boolean} isShown */
export function showRun(id, isShown) {
  view.value = withRunShown(view.value, id, isShown);
}

/** @param {'logY'|'clipped'} what @param {string} metric */
export function toggleMetric(what, metric) {
  const list = view.value[what];
  updateView({ [what]: list.includes(metric) ? list.filter((key) => key !== metric) : [...list, metric] });
}

/** Sort by a column; the same column again turns the order round. @param {string} path @param {boolean} isNumeric */
export function sortBy(path, isNumeric) {
  const now = parseSort(view.value.sort);
  const isDescending = now.path === path ? !now.isDescending : isNumeric;
  updateView({ sort: formatSort({ path, isDescending }) });
}

/** Whether anything differs from a fresh page. */
export const isDefaultView = computed(() => formatView(view.value) === formatView(DEFAULT_VIEW));

/** Keep the address and the state in step, both ways. */
export function startViewSync() {
  let timer = 0;
  let written = location.pathname;
  effect(() => {
    // Arriving at an address (a link, the back button) makes the state anew from it.
    arrivals.value;
    batch(() => {
      clearTimeout(timer);
      written = location.pathname;
      chartAxes.forget();
      systemAxes.forget();
      hoveredRun.value = null;
      view.value = parseView(location.search || rememberedQuery());
    });
  });
  effect(() => {
    const query = formatView(view.value);
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (VIEWED.has(route.peek().page) && location.pathname === written && location.search !== query) {
        history.replaceState(history.state, '', location.pathname + query);
      }
    }, ADDRESS_DELAY_MS);
    const here = route.peek();
    if (here.page === 'project' && location.pathname === written) keep(`view.${here.project}`, keptView(view.value));
  });
}

/** How this project was looked at last: filter, order, columns and groups come back with it. */
function rememberedQuery() {
  const here = route.peek();
  return here.page === 'project' ? keptQuery(remember(`view.${here.project}`, {})) : '';
}
