/** The output of a run, fetched where it is looked at and kept fresh while it grows. */
import { fetchConsole } from '../run_api.js';
import { onChanges } from '../events.js';
import { CHUNK_LINES, LogCache } from '../logic/log_cache.js';
import { signal } from '../ui.js';
import { paced } from './paced.js';

/** @typedef {import('../types.js').LogLine} LogLine */

const REFRESH_GAP_MS = 400;
const RETRY_MS = 3000;
/** A program rewrites lines that are still on its terminal's screen, not those long gone. */
const REWRITTEN_LINES = 2000;

export class LogStore {
  /** @param {{project: string, run: string, writer: string, nLines: number}} options writer "": the usual one */
  constructor({ project, run, writer, nLines }) {
    this.where = { project, run, writer };
    this.cache = new LogCache();
    this.nLines = signal(nLines);
    this.nLeftOut = signal(0);
    /** Counts answers: what reads lines reads this too. */
    this.version = signal(0);
    this.error = signal(/** @type {Error|null} */ (null));
    this.window = { first: 0, end: 0 };
    this.isBusy = false;
    this.isStopped = false;
    this.retryTimer = 0;
    this.refresher = paced(REFRESH_GAP_MS, () => this.refresh());
    this.stopListening = onChanges((changes) => {
      const isOurs = changes === null || changes.some((change) => change.project === project && change.run === run && change.kinds.includes('console'));
      if (isOurs) this.refresher.ask();
    });
    this.refresher.ask();
  }

  stop() {
    this.isStopped = true;
    clearTimeout(this.retryTimer);
    this.stopListening();
    this.refresher.stop();
  }

  /** @param {number} number @returns {LogLine|undefined} undefined while it is not here */
  get(number) {
    return this.cache.get(number);
  }

  /** Say which lines are looked at. @param {number} first @param {number} end */
  show(first, end) {
    this.window = { first, end };
    this.fill();
  }

  /** Fetch what the window lacks, one chunk at a time: while it moves, only its last place matters. */
  async fill() {
    if (this.isBusy || this.isStopped) return;
    const [next] = this.cache.wanted(this.window.first, Math.min(this.window.end, this.nLines.peek()));
    if (next === undefined) return;
    this.isBusy = true;
    const isDone = await this.fetch(next, CHUNK_LINES);
    this.isBusy = false;
    clearTimeout(this.retryTimer);
    if (isDone) this.fill();
    else if (!this.isStopped) this.retryTimer = setTimeout(() => this.fill(), RETRY_MS);
  }

  /** Lines may have come or changed. */
  async refresh() {
    const before = this.nLines.peek();
    this.cache.markStale(before - REWRITTEN_LINES);
    // The last line is the cheapest way to learn how many there are; the window then asks for what it lacks.
    await this.fetch(Math.max(0, before - 1), 1);
    await this.fill();
  }

  /** @param {number} first @param {number} limit @returns {Promise<boolean>} whether it came */
  async fetch(first, limit) {
    const { project, run, writer } = this.where;
    try {
      const answer = await fetchConsole(project, run, { first, limit, writer });
      if (this.isStopped) return false;
      this.take(answer, limit);
      return true;
    } catch (problem) {
      if (!this.isStopped) this.error.value = /** @type {Error} */ (problem);
      return false;
    }
  }

  /** @param {import('../types.js').LogWindow} answer @param {number} limit */
  take({ n_lines: nLines, n_left_out: nLeftOut, first, lines }, limit) {
    // Fewer lines than before: a new attempt of the run began, with its own output.
    if (nLines < this.nLines.peek()) this.cache.clear();
    if (limit === CHUNK_LINES) this.cache.put(first, lines, nLines);
    this.nLines.value = nLines;
    this.nLeftOut.value = nLeftOut;
    this.error.value = null;
    this.version.value += 1;
  }

  /**
   * Fetch lines wherever they are, for copying.
   * @param {number} first
   * @param {number} end
   * @returns {Promise<LogLine[]>}
   */
  async read(first, end) {
    const { project, run, writer } = this.where;
    /** @type {LogLine[]} */
    const lines = [];
    while (first + lines.length < end) {
      const at = first + lines.length;
      const answer = await fetchConsole(project, run, { first: at, limit: Math.min(CHUNK_LINES, end - at), writer });
      if (answer.lines.length === 0) break;
      lines.push(...answer.lines);
    }
    return lines;
  }
}
