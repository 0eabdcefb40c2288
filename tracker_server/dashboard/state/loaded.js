/** Something of the server's that a component shows, asked for again when anything may have changed. */
import { onChanges } from '../events.js';
import { useEffect, useRef, useState } from '../ui.js';
import { paced } from './paced.js';

const GAP_MS = 3000;
/** What is decided about artifacts is in no change feed: a page that is looked at asks now and then. */
const LOOK_MS = 15_000;

/**
 * @template T
 * @typedef {{value: T|null, error: Error|null, reload: () => Promise<void>}} Loaded value and error are null while it is on its way;
 *   what was there stays while the server is away
 */

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {readonly unknown[]} inputs of `ask`: when they change, it is asked anew
 * @param {{isLive?: boolean, keepsOld?: boolean}} [options] isLive: whether it may change while it is looked at; keepsOld: what was
 *   asked for before stays until the new is there
 * @returns {Loaded<T>}
 */
export function useLoaded(ask, inputs, { isLive = true, keepsOld = false } = {}) {
  const [state, setState] = useState(/** @type {{key: string, value: T|null, error: Error|null}} */ ({ key: '', value: null, error: null }));
  const run = useRef(/** @type {() => Promise<void>} */ (async () => {}));
  const key = JSON.stringify(inputs);
  useEffect(() => {
    const abort = new AbortController();
    run.current = async () => {
      try {
        const value = await ask(abort.signal);
        if (!abort.signal.aborted) setState({ key, value, error: null });
      } catch (problem) {
        if (abort.signal.aborted) return;
        setState((before) => ({ key, value: before.key === key ? before.value : null, error: /** @type {Error} */ (problem) }));
      }
    };
    const loader = paced(GAP_MS, run.current);
    loader.ask();
    const timer = isLive ? setInterval(() => { if (!document.hidden) loader.ask(); }, LOOK_MS) : 0;
    const stopHearing = isLive ? onChanges(loader.ask) : () => {};
    return () => {
      abort.abort();
      clearInterval(timer);
      stopHearing();
      loader.stop();
    };
  }, [key, isLive]);
  const reload = () => run.current();
  return state.key === key || keepsOld ? { value: state.value, error: state.error, reload } : { value: null, error: null, reload };
}
