/**
 * A long list of runs of which the pages come one after the other, and only what is near the window is kept. The order is
 * a list of ids; the rows themselves lie in a map and may be missing.
 */

/** @typedef {import('../types.js').RunPage} RunPage */
/**
 * @typedef {object} RunOrder
 * @property {readonly string[]} ids from the first run of the list on, without a gap
 * @property {ReadonlySet<string>} known the same ids
 * @property {string|null} cursor where the next page begins; null: there is none
 * @property {number} nMatching runs in all, known or not
 */

/** @type {RunOrder} */
export const EMPTY_ORDER = Object.freeze({ ids: Object.freeze([]), known: new Set(), cursor: null, nMatching: 0 });
/** The server sends no more at once. */
export const MAX_PAGE = 1000;
/** A page that is read on the way to a place far below, or beyond the window for the next bit of scrolling. */
const AHEAD = 100;
/** Browsers place nothing below some 33 million pixels. */
export const MAX_ROWS = 500_000;

/** The order after the first page. @param {RunPage} page @returns {RunOrder} */
export function firstOrder(page) {
  return withPage({ ...EMPTY_ORDER, known: new Set() }, page);
}

/**
 * The order with one more page. A run that moved meanwhile may come a second time: it stays where it was.
 * @param {RunOrder} order
 * @param {RunPage} page
 * @returns {RunOrder}
 */
export function withPage(order, page) {
  // One set grows with the list: copying 100,000 ids a page would take seconds on the way down.
  const known = /** @type {Set<string>} */ (order.known);
  const ids = [...order.ids];
  for (const { id } of page.runs) {
    if (known.has(id)) continue;
    known.add(id);
    ids.push(id);
  }
  return { ids, known, cursor: page.next_cursor, nMatching: page.n_matching };
}

/** How many rows the list has room for; those not known yet are drawn as bars. @param {RunOrder} order */
export function rowCount({ ids, cursor, nMatching }) {
  return Math.min(MAX_ROWS, cursor === null ? ids.length : Math.max(nMatching, ids.length + 1));
}

/**
 * How many runs to ask for so that rows up to `end` become known; 0 where they are.
 * @param {RunOrder} order
 * @param {number} end
 */
export function pageSize({ ids, cursor }, end) {
  if (cursor === null || end <= ids.length) return 0;
  return Math.min(MAX_PAGE, end - ids.length + AHEAD);
}

/**
 * Whether the list has changed above what was shown: more runs match, or others come first.
 * @param {RunOrder} order
 * @param {RunPage} page the first page, fresh
 * @returns {{nNew: number, isOther: boolean}}
 */
export function comparedWith(order, page) {
  const nNew = Math.max(0, page.n_matching - order.nMatching);
  const isOther = page.n_matching !== order.nMatching || page.runs.some(({ id }, index) => order.ids[index] !== id);
  return { nNew, isOther };
}

/**
 * The rows to keep: those wanted, and no more than the limit of others, newest in the map.
 * @template T
 * @param {ReadonlyMap<string, T>} rows
 * @param {ReadonlySet<string>} wanted
 * @param {number} limit
 * @returns {ReadonlyMap<string, T>}
 */
export function prunedRows(rows, wanted, limit) {
  if (rows.size <= limit + wanted.size) return rows;
  const others = [...rows].filter(([id]) => !wanted.has(id)).slice(-limit);
  return new Map([...others, ...[...rows].filter(([id]) => wanted.has(id))]);
}
