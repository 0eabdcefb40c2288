/** Fetches chart data for panels: few at a time, the newest wish of each panel wins, live refreshes are paced. */
import { refreshGapMs } from '../logic/coalesce.js';

/** Fewer than the six connections that a browser opens to one host, so that other requests still get through. */
const MAX_PARALLEL = 4;
/** Between refreshes, at least. */
const LIVE_GAP_MS = 500;

let nRunning = 0;
/** @type {(() => void)[]} */
const queue = [];

/** @template T @param {() => Promise<T>} task @returns {Promise<T>} */
async function inTurn(task) {
  if (nRunning >= MAX_PARALLEL) await new Promise((resolve) => { queue.push(() => resolve(undefined)); });
  nRunning += 1;
  try {
    return await task();
  } finally {
    nRunning -= 1;
    queue.shift()?.();
  }
}

/**
 * Make a loader. One request is under way at a time: what is wished meanwhile is fetched after it, so that a slider
 * being dragged still shows steps on its way.
 * @template Wish, Answer
 * @param {object} options
 * @param {(wish: Wish, signal: AbortSignal) => Promise<Answer>} options.load
 * @param {(answer: Answer, wish: Wish) => void} options.deliver
 * @param {(problem: Error) => void} options.fail
 */
export function createLoader({ load, deliver, fail }) {
  const abort = new AbortController();
  /** @type {Wish|null} */
  let wish = null;
  let isWanted = false;
  let isBusy = false;
  let isStopped = false;
  let lastDurationMs = 0;
  let lastEndMs = -Infinity;
  let timer = 0;

  const run = async () => {
    if (isBusy || isStopped || wish === null) return;
    clearTimeout(timer);
    timer = 0;
    isBusy = true;
    try {
      await inTurn(async () => {
        if (isStopped || wish === null) return;
        isWanted = false;
        const began = performance.now();
        const current = wish;
        const answer = await load(current, abort.signal);
        lastDurationMs = performance.now() - began;
        if (!isStopped) deliver(answer, current);
      });
    } catch (problem) {
      if (!isStopped && problem instanceof Error) fail(problem);
    }
    isBusy = false;
    lastEndMs = performance.now();
    if (isWanted) run();
  };

  return {
    /** Fetch this now, or as soon as the request under way has ended. @param {Wish} next */
    want(next) {
      wish = next;
      isWanted = true;
      run();
    },
    /** Fetch the last wish again because there is new data, but not too often. */
    again() {
      if (timer || wish === null || isStopped) return;
      const due = lastEndMs + refreshGapMs(lastDurationMs, LIVE_GAP_MS) - performance.now();
      timer = setTimeout(() => {
        timer = 0;
        isWanted = true;
        run();
      }, Math.max(0, due));
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
      abort.abort();
    },
  };
}
