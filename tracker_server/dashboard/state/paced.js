/** Tasks that are asked for often and run seldom. */
import { refreshGapMs } from '../logic/coalesce.js';

/**
 * Run a task when asked, one at a time and not too often: asks during a run or a pause become one later run.
 * @param {number} gapMs
 * @param {() => Promise<void>} task
 */
export function paced(gapMs, task) {
  let isBusy = false;
  let isAsked = false;
  let isStopped = false;
  let timer = 0;
  const ask = () => {
    isAsked = true;
    if (!isBusy) start();
  };
  const start = async () => {
    isBusy = true;
    isAsked = false;
    const began = performance.now();
    try {
      await task();
    } catch (problem) {
      // The task's next run may succeed; the events module shows when the server is away.
      if (problem instanceof Error && problem.name !== 'AbortError') console.warn(problem.message);
    }
    if (isStopped) return;
    timer = setTimeout(() => {
      isBusy = false;
      if (isAsked) start();
    }, refreshGapMs(performance.now() - began, gapMs));
  };
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
  };
  return { ask, stop };
}
