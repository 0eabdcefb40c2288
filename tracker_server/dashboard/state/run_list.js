/**
 * The runs of the project on the page: those that match the filter, in the order asked for, page by page from the server.
 * The list never holds all runs: ids as far as somebody scrolled, rows near the window and of the charts.
 */
import { ApiError, fetchRunPage } from '../api.js';
import { idFilters, isUnfinished, toFilter } from '../logic/run_query.js';
import { EMPTY_ORDER, comparedWith, firstOrder, pageSize, prunedRows, withPage } from '../logic/run_pages.js';
import { batch, computed, effect, signal } from '../ui.js';
import { filterText, shownRuns, sortOrder } from './view.js';

/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {import('../types.js').RunPage} RunPage */
/** @typedef {import('../logic/run_pages.js').RunOrder} RunOrder */
/** @typedef {{row: RunRow, columns: string}} Held a row, and the columns that it was asked with */

const FIRST_PAGE = 100;
/** Rows that are kept beyond those on screen. */
const KEPT_ROWS = 3000;
const TYPING_MS = 300;

const project = signal(/** @type {string|null} */ (null));
export const order = signal(/** @type {RunOrder} */ (EMPTY_ORDER));
const held = signal(/** @type {ReadonlyMap<string, Held>} */ (new Map()));
/** Rows by id, of those that are known. @param {string} id @returns {RunRow|undefined} */
export const rowOf = (id) => held.value.get(id)?.row;
/** The same without waking up when it changes. @param {string} id @returns {RunRow|undefined} */
export const peekRow = (id) => held.peek().get(id)?.row;
export const isLoaded = signal(false);
/** Whether another question is on its way. */
export const isBusy = signal(false);
export const loadError = signal(/** @type {Error|null} */ (null));
/** What the server says of a filter or order that it cannot read. */
export const queryError = signal(/** @type {ApiError|null} */ (null));
/** The text of the filter box that it was said of. */
export const wrongText = signal('');
/** Runs of the project without any filter; null: not known yet. */
export const nAllRuns = signal(/** @type {number|null} */ (null));
/** What came meanwhile and is not shown, so that the list stays where it is under reader and pointer. */
export const waiting = signal(/** @type {{nNew: number}|null} */ (null));
/** Ids that somebody showed and that match the filter. */
export const pickedRuns = signal(/** @type {readonly string[]} */ ([]));
/** Grows when the list begins anew: whoever shows it goes to its begin. */
export const listStart = signal(0);
/** The paths that rows are asked with; the pages that show columns set it. */
export const askedColumns = signal(/** @type {readonly string[]} */ ([]));

const columnsText = computed(() => askedColumns.value.join('\n'));
/** What was asked last: it stays while a name is being typed. */
let askedFilter = '';
let askedText = '';
const filter = computed(() => (isUnfinished(filterText.value) ? askedFilter : toFilter(filterText.value)));
/** The filter that the list answers, without what cannot be read. */
export const activeFilter = computed(() => (queryError.value?.detail.where?.startsWith('filter') ? '' : filter.value));

let generation = 0;
let abort = new AbortController();
let isFilling = false;
/** Rows [first, end) of the list that are near the window. */
let nearRows = { first: 0, end: 0 };
/** Whether somebody reads below the first rows or points at one: the order must not change under them. */
let isPlaceHeld = false;
/** Ids whose rows are out of date. @type {Set<string>} */
const stale = new Set();
/** Ids that the server had no run for, until the next look. @type {Set<string>} */
const gone = new Set();

/** @param {string|null} name of the project whose runs are listed; null: none */
export function listRuns(name) {
  if (project.peek() === name) return;
  abort.abort();
  generation += 1;
  stale.clear();
  gone.clear();
  askedFilter = '';
  isPlaceHeld = false;
  batch(() => {
    order.value = EMPTY_ORDER;
    held.value = new Map();
    isLoaded.value = false;
    loadError.value = null;
    queryError.value = null;
    nAllRuns.value = null;
    waiting.value = null;
    pickedRuns.value = [];
    project.value = name;
  });
}

// Another question: begin anew. What is typed is asked for when the typing rests.
let typed = filter.peek();
effect(() => {
  [project.value, sortOrder.value, filter.value];
  const isTyping = typed !== filter.value && isLoaded.peek();
  typed = filter.value;
  if (project.value === null) return undefined;
  const timer = setTimeout(loadFirst, isTyping ? TYPING_MS : 0);
  return () => clearTimeout(timer);
});

// Other columns: the rows near the window are asked for again, in their places.
effect(() => {
  columnsText.value;
  if (isLoaded.peek()) fill();
});

effect(() => {
  shownRuns.value;
  if (isLoaded.peek()) loadPicked();
});

/** @param {AbortSignal} signal @param {{limit: number, cursor?: string|null}} page */
async function askPage(signal, page) {
  return fetchRunPage(/** @type {string} */ (project.peek()), {
    filter: filter.peek(), sort: sortOrder.peek(), columns: askedColumns.peek(), ...page,
  }, signal);
}

/** Load the list anew from its begin. */
async function loadFirst() {
  abort.abort();
  abort = new AbortController();
  generation += 1;
  isPlaceHeld = false;
  [askedFilter, askedText] = [filter.peek(), filterText.peek()];
  isBusy.value = true;
  await readFirst((page, columns) => {
    order.value = firstOrder(page);
    waiting.value = null;
    listStart.value += 1;
    putRows(page.runs, columns);
  });
  countAll();
  loadPicked();
  fill();
}

/** @param {(page: RunPage, columns: string) => void} take */
async function readFirst(take) {
  const [now, columns, { signal }] = [generation, columnsText.peek(), abort];
  try {
    const page = await askPage(signal, { limit: FIRST_PAGE });
    if (now !== generation) return;
    batch(() => {
      take(page, columns);
      [queryError.value, loadError.value, isLoaded.value] = [null, null, true];
      if (filter.peek().trim() === '') nAllRuns.value = page.n_matching;
    });
  } catch (problem) {
    if (now === generation && !signal.aborted) failed(/** @type {Error} */ (problem));
  }
  if (now === generation) isBusy.value = false;
}

/** @param {Error} problem */
function failed(problem) {
  const isOfQuery = problem instanceof ApiError && (problem.status === 400 || problem.status === 422);
  batch(() => {
    if (isOfQuery) [queryError.value, wrongText.value] = [problem, askedText];
    else loadError.value = problem;
    isLoaded.value = true;
  });
}

/** How many runs there are beside those that match. */
async function countAll() {
  const name = project.peek();
  if (name === null || filter.peek().trim() === '') return;
  try {
    const page = await fetchRunPage(name, { limit: 1 });
    if (project.peek() === name) nAllRuns.value = page.n_matching;
  } catch {
    // The list itself tells what is wrong; without this number it says only how many match.
  }
}

/** @param {readonly RunRow[]} rows @param {string} columns */
function putRows(rows, columns) {
  const next = new Map(held.peek());
  for (const row of rows) {
    next.delete(row.id);
    next.set(row.id, { row, columns });
    stale.delete(row.id);
  }
  const { ids } = order.peek();
  const wanted = new Set([...ids.slice(0, FIRST_PAGE), ...ids.slice(nearRows.first, nearRows.end), ...pickedRuns.peek()]);
  held.value = prunedRows(next, wanted, KEPT_ROWS);
}

/** Tell which rows are near the window, and get what of them is missing. @param {number} first @param {number} end */
export function wantRows(first, end) {
  nearRows = { first, end };
  fill();
}

/** Read on until the rows near the window are there: one request at a time, for where the window is by then. */
async function fill() {
  if (isFilling || project.peek() === null || !isLoaded.peek()) return;
  isFilling = true;
  let now = generation;
  try {
    for (;;) {
      now = generation;
      const limit = pageSize(order.peek(), nearRows.end);
      const missing = limit > 0 ? [] : missingRows();
      if (limit === 0 && missing.length === 0) break;
      if (limit > 0) await readNext(limit);
      else await readRows(missing, '');
      if (now !== generation && !isLoaded.peek()) break;
    }
  } catch (problem) {
    if (now === generation && !abort.signal.aborted) loadError.value = /** @type {Error} */ (problem);
  }
  isFilling = false;
}

/** @param {number} limit */
async function readNext(limit) {
  const [now, columns] = [generation, columnsText.peek()];
  const page = await askPage(abort.signal, { limit, cursor: order.peek().cursor });
  if (now !== generation) return;
  batch(() => {
    order.value = withPage(order.peek(), page);
    putRows(page.runs, columns);
  });
}

/** Ids near the window, and of picked runs, without a row that holds the present columns. */
function missingRows() {
  const columns = columnsText.peek();
  const near = order.peek().ids.slice(nearRows.first, nearRows.end);
  return [...near, ...pickedRuns.peek()].filter((id) => !gone.has(id) && (held.peek().get(id)?.columns !== columns || stale.has(id)));
}

/** @param {readonly string[]} ids @param {string} also the filter that they must match too @returns {Promise<Set<string>>} */
async function readRows(ids, also) {
  const [now, columns, name] = [generation, columnsText.peek(), /** @type {string} */ (project.peek())];
  /** @type {Set<string>} */
  const found = new Set();
  for (const part of idFilters(ids, also)) {
    const page = await fetchRunPage(name, { filter: part.filter, limit: part.ids.length, columns: askedColumns.peek() }, abort.signal);
    if (now !== generation) return found;
    for (const { id } of page.runs) found.add(id);
    if (also === '') for (const id of part.ids) if (!found.has(id)) gone.add(id);
    putRows(page.runs, columns);
  }
  return found;
}

/** Of the runs that somebody showed, those that match the filter. */
async function loadPicked() {
  const [now, ids, { known }] = [generation, shownRuns.peek(), order.peek()];
  const others = ids.filter((id) => !known.has(id));
  if (pickedRuns.peek().length + ids.length > 0) pickedRuns.value = ids.filter((id) => known.has(id) || pickedRuns.peek().includes(id));
  if (others.length === 0 || project.peek() === null) return;
  try {
    const found = await readRows(others, filter.peek());
    if (now === generation && ids === shownRuns.peek()) pickedRuns.value = ids.filter((id) => known.has(id) || found.has(id));
  } catch {
    // A filter that cannot be read picks nothing; the list tells why.
  }
}

/**
 * Look again: something changed. While somebody reads below the first rows or points at one, rows change where they are,
 * and what is new waits.
 * @param {ReadonlySet<string>|null} changed ids; null: any may have changed
 */
export async function refreshRuns(changed) {
  if (project.peek() === null) return;
  gone.clear();
  if (changed === null) for (const id of held.peek().keys()) stale.add(id);
  else for (const id of changed) if (held.peek().has(id)) stale.add(id);
  await readFirst((page, columns) => {
    const { nNew, isOther } = comparedWith(order.peek(), page);
    if (!isPlaceHeld) {
      order.value = firstOrder(page);
      waiting.value = null;
    } else if (isOther) waiting.value = { nNew };
    putRows(page.runs, columns);
  });
  await Promise.all([fill(), countAll()]);
}

/** Say whether the order must stay as it is. @param {boolean} isHeld */
export function holdPlace(isHeld) {
  if (isPlaceHeld === isHeld) return;
  isPlaceHeld = isHeld;
  if (!isHeld && waiting.peek()) loadFirst();
}

/** Show what came meanwhile. */
export function showWaiting() {
  loadFirst();
}
