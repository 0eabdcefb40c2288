/** The page's view state: one signal, mirrored in the address. */
import { batch, computed, effect, signal } from '../ui.js';
import { DEFAULT_VIEW, formatView, parseView, withRunShown } from '../logic/view_state.js';
import { arrivals } from '../router.js';

/** @typedef {import('../logic/view_state.js').ViewState} ViewState */
/** @typedef {import('../logic/view_state.js').Range} Range */

// Safari refuses more than 100 address changes in 30 s, and a slider makes 60 a second.
const ADDRESS_DELAY_MS = 300;

export const view = signal(parseView(location.search));
/** The run under the pointer, in the list or on a chart. */
export const hoveredRun = signal(/** @type {string|null} */ (null));
/** @type {Range[]} zooms to go back to, the newest last */
let zoomsBefore = [];

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
export const xAxis = part('x');
export const zoom = part('zoom');
export const logMetrics = part('logY');
export const clippedMetrics = part('clipped');
export const panelQuery = part('panels');
export const isTableOpen = part('isTable');
export const chosenColumns = part('columns');
export const tab = part('tab');
export const shownRuns = part('shown');
export const hiddenRuns = part('hidden');
export const baseRuns = part('base');

/** Zoom all panels. @param {Range} range */
export function zoomTo(range) {
  if (view.value.zoom) zoomsBefore.push(view.value.zoom);
  updateView({ zoom: range });
}

/** Undo the last zoom. */
export function zoomBack() {
  updateView({ zoom: zoomsBefore.pop() ?? null });
}

/** Undo all zooms. */
export function zoomOut() {
  zoomsBefore = [];
  updateView({ zoom: null });
}

/** Choose the x axis; a range of the old one means nothing on the new one. @param {string} x */
export function chooseX(x) {
  zoomsBefore = [];
  updateView({ x, zoom: null });
}

/** @param {string} id @param {boolean} isShown */
export function showRun(id, isShown) {
  view.value = withRunShown(view.value, id, isShown);
}

/** @param {'logY'|'clipped'} what @param {string} metric */
export function toggleMetric(what, metric) {
  const list = view.value[what];
  updateView({ [what]: list.includes(metric) ? list.filter((key) => key !== metric) : [...list, metric] });
}

/** Sort by a column; the same column again turns the order round. @param {string} column @param {boolean} isNumeric */
export function sortBy(column, isNumeric) {
  const { sort } = view.value;
  const first = isNumeric ? `-${column}` : column;
  const second = isNumeric ? column : `-${column}`;
  updateView({ sort: sort === first ? second : first });
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
      zoomsBefore = [];
      hoveredRun.value = null;
      view.value = parseView(location.search);
    });
  });
  effect(() => {
    const query = formatView(view.value);
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (location.pathname === written && location.search !== query) {
        history.replaceState(history.state, '', location.pathname + query);
      }
    }, ADDRESS_DELAY_MS);
  });
}
