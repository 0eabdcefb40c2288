/** The search over all of a run's output: asked of the server as one types, and again as lines come. */
import { searchConsole } from '../run_api.js';
import { nextMatch } from '../logic/log_text.js';
import { computed, signal } from '../ui.js';
import { paced } from './paced.js';

/** @typedef {import('../types.js').LogMatches} LogMatches */

const TYPING_MS = 200;
const LIVE_GAP_MS = 2000;
/** Matches that can be gone to one by one; all are counted. */
const MAX_MATCHES = 1000;

export class LogSearch {
  /** @param {{project: string, run: string, writer: string}} where @param {(line: number) => void} onGoTo */
  constructor(where, onGoTo) {
    this.where = where;
    this.onGoTo = onGoTo;
    this.query = signal('');
    this.result = signal(/** @type {LogMatches|null} */ (null));
    this.error = signal('');
    this.isBusy = signal(false);
    /** The line that was gone to last. */
    this.current = signal(/** @type {number|null} */ (null));
    this.lines = computed(() => (this.result.value?.matches ?? []).map((match) => match.number));
    this.timer = 0;
    this.abort = new AbortController();
    this.live = paced(LIVE_GAP_MS, () => this.ask(null));
  }

  stop() {
    clearTimeout(this.timer);
    this.abort.abort();
    this.live.stop();
  }

  /**
   * Search for something else, and go to its first match from a line on.
   * @param {string} query @param {number} from
   */
  search(query, from) {
    if (query === this.query.peek()) return;
    this.query.value = query;
    this.current.value = null;
    this.error.value = '';
    clearTimeout(this.timer);
    this.abort.abort();
    this.isBusy.value = query !== '';
    if (query === '') this.result.value = null;
    else this.timer = setTimeout(() => this.ask(from), TYPING_MS);
  }

  /** New lines came. */
  refresh() {
    if (this.query.peek() !== '' && !this.isBusy.peek()) this.live.ask();
  }

  /** @param {number|null} from go to the first match from there; null: stay */
  async ask(from) {
    const query = this.query.peek();
    if (query === '') return;
    this.abort = new AbortController();
    const { project, run, writer } = this.where;
    try {
      const result = await searchConsole(project, run, { query, limit: MAX_MATCHES, writer }, this.abort.signal);
      this.result.value = result;
      if (from !== null) this.goTo(nextMatch(this.lines.peek(), from, 1, true));
    } catch (problem) {
      if (problem instanceof Error && problem.name === 'AbortError') return;
      this.result.value = null;
      this.error.value = problem instanceof Error ? problem.message : String(problem);
    }
    this.isBusy.value = false;
  }

  /** @param {1|-1} direction @param {number} from where there is no current match */
  step(direction, from) {
    const at = this.current.peek();
    this.goTo(nextMatch(this.lines.peek(), at ?? from, direction, at === null));
  }

  /** @param {number} index of a match */
  goTo(index) {
    const line = this.lines.peek()[index];
    if (line === undefined) return;
    this.current.value = line;
    this.onGoTo(line);
  }
}
