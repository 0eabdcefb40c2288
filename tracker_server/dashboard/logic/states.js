/** The states of runs: which there are, in which order they are told, and what they mean in words. The only such place. */
import { formatNumber } from './format.js';

/** @typedef {import('../types.js').RunState} RunState */

/** @type {Readonly<Record<RunState, string>>} */
const MEANING = {
  running: 'running',
  finished: 'finished',
  failed: 'failed: it ended with an error',
  killed: 'killed: a signal ended it, or somebody stopped it',
  preempted: 'preempted by the scheduler',
  crashed: 'crashed: the process ended without a word: SIGKILL, out of memory or a crash of the machine',
};

/** In the order in which counts are shown. */
export const STATES = /** @type {readonly RunState[]} */ (Object.keys(MEANING));

/** The state that is drawn for one that this page does not know. */
export const UNKNOWN_STATE = 'crashed';

/** What a state means, for the tip of its sign. @param {string} state */
export function stateMeaning(state) {
  return Object.hasOwn(MEANING, state) ? MEANING[/** @type {RunState} */ (state)] : state;
}

/**
 * How a run ended, or that it goes on, in words.
 * @param {{state: string, signal?: string, exit_code?: number|null, error?: {type: string}|null, stopped_by?: string,
 *   stop?: {by: string, why: string}|null}} run
 */
export function describeState({ state, signal = '', exit_code: exitCode = null, error = null, stopped_by: stoppedBy = '', stop = null }) {
  const code = exitCode === null || exitCode === undefined ? '' : `exit code ${exitCode}`;
  switch (state) {
    case 'running':
      if (stop) return `asked to stop by ${askedBy(stop)}`;
      return signal ? `running; it received ${signal} and went on` : 'running';
    case 'finished': return code && exitCode !== 0 ? `finished with ${code}` : 'finished';
    case 'failed': return `failed${error ? ` with ${error.type}` : ''}${code ? `${error ? ',' : ' with'} ${code}` : ''}`;
    case 'killed': return stoppedBy ? `stopped by ${stoppedBy}` : `killed by ${signal || 'a signal'}`;
    case 'preempted': return `preempted by the scheduler${signal ? `, which sent ${signal}` : ''}`;
    default: return stateMeaning(state);
  }
}

/** Who asked, and why: "ann: loss is NaN". @param {{by: string, why: string}} stop */
export function askedBy({ by, why }) {
  return why ? `${by}: ${why}` : by;
}

/**
 * What is worth a sign beside the run's name: rows that were lost or are at stake. All findings are in health.js.
 * @param {import('../types.js').RunHealth|undefined} health
 * @returns {string} empty when there are none
 */
export function troubleText(health) {
  if (!health) return '';
  const parts = [];
  if (health.n_dropped > 0) parts.push(`${formatNumber(health.n_dropped)} rows could not be written`);
  if (health.n_damaged > 0) parts.push(`${formatNumber(health.n_damaged)} places of the journal are damaged`);
  if (health.is_suspended) parts.push('writing is delayed: the disk did not answer');
  return parts.join('; ');
}
