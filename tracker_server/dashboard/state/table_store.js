/** A logged table as it is looked at: sorted and filtered by the server, a page of rows at a time. */
import { fetchTable } from '../media_api.js';
import { signal } from '../ui.js';

/** @typedef {import('../types.js').TableCondition} TableCondition */
/** @typedef {{column: number, is_descending: boolean}} Order */
/** @typedef {{sort: Order[], where: TableCondition[], search: string}} TableQuery */
/** @typedef {{number: number, cells: any[]}} TableRow number: its place in the file */

export const PAGE_ROWS = 100;
/** More columns are not shown: whoever needs them downloads the table. */
export const MAX_COLUMNS = 60;
const MAX_PAGES = 30;
const MAX_FULL_CHARS = 200_000;

/** @type {TableQuery} */
export const ALL_ROWS = Object.freeze({ sort: [], where: [], search: '' });

export class TableStore {
  /** @param {import('../media_api.js').Where} where @param {string} path @param {TableQuery} query */
  constructor(where, path, query) {
    this.where = where;
    this.path = path;
    this.query = query;
    this.version = signal(0);
    this.error = signal(/** @type {Error|null} */ (null));
    this.head = signal(/** @type {{columns: import('../types.js').TableColumn[], nRows: number, nMatching: number}|null} */ (null));
    /** @type {Map<number, TableRow[]>} */
    this.pages = new Map();
    /** @type {Set<number>} */
    this.asked = new Set();
    this.isStopped = false;
  }

  stop() {
    this.isStopped = true;
  }

  /** @param {number} index @returns {TableRow|undefined} */
  row(index) {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
  }

  /** Fetch what rows [first, end) lack. @param {number} first @param {number} end */
  need(first, end) {
    for (let page = Math.floor(first / PAGE_ROWS); page * PAGE_ROWS < Math.max(end, 1); page += 1) if (!this.pages.has(page)) this.load(page);
  }

  /** @param {number} page */
  async load(page) {
    if (this.asked.has(page)) return;
    this.asked.add(page);
    try {
      const answer = await fetchTable(this.where, { path: this.path, first: page * PAGE_ROWS, limit: PAGE_ROWS, max_chars: 300, ...this.query, columns: await this.columns() });
      if (this.isStopped) return;
      this.pages.set(page, answer.rows.map((cells, index) => ({ number: answer.numbers[index], cells })));
      for (const oldest of this.pages.keys()) {
        if (this.pages.size <= MAX_PAGES) break;
        this.pages.delete(oldest);
      }
      this.head.value = { columns: answer.columns, nRows: answer.n_rows, nMatching: answer.n_matching };
      this.error.value = null;
      this.version.value += 1;
    } catch (problem) {
      if (!this.isStopped) this.error.value = /** @type {Error} */ (problem);
    } finally {
      this.asked.delete(page);
    }
  }

  /** Which are wanted: none is said of until it is known how many there are. */
  async columns() {
    const n = this.head.peek()?.columns.length;
    return n === undefined || n <= MAX_COLUMNS ? null : Array.from({ length: MAX_COLUMNS }, (_, index) => index);
  }

  /** One row with the whole text of its cells. @param {number} number its place in the file */
  async whole(number) {
    const answer = await fetchTable(this.where, { path: this.path, first: number, limit: 1, max_chars: MAX_FULL_CHARS });
    return { columns: answer.columns, shown: /** @type {number[]} */ (/** @type {any} */ (answer).shown_columns), cells: answer.rows[0] ?? [] };
  }
}
