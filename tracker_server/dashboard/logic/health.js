/** What a run's record lost, or may tell wrongly, in words. Pure. */
import { formatDuration, plural } from './format.js';

/** @typedef {import('../types.js').RunHealth} RunHealth */
/** @typedef {{count: string, text: string, advice: string}} Finding */

/** @param {number|undefined} value */
const count = (value) => value ?? 0;

/**
 * Everything that keeps the record from being whole; empty when every row that was logged is here.
 * @param {RunHealth} health
 * @returns {Finding[]}
 */
export function healthFindings(health) {
  /** @type {(Finding|false)[]} */
  const findings = [
    count(health.n_dropped) > 0 && {
      count: plural(health.n_dropped, 'row'), text: 'could not be written', advice: 'Memory for waiting rows ran out while the disk refused them.',
    },
    count(health.n_damaged) > 0 && {
      count: plural(health.n_damaged, 'place'), text: 'of the journal are damaged', advice: 'Everything before and after them is here; the places are listed below.',
    },
    count(health.n_unknown) > 0 && {
      count: plural(count(health.n_unknown), 'record'), text: 'of a kind that this version does not know', advice: 'A newer version of the tracker wrote them and will show them.',
    },
    count(health.n_console_left_out) > 0 && {
      count: plural(count(health.n_console_left_out), 'console line'), text: 'were left out', advice: 'The log went over its bound; the setting console_max_mib raises it.',
    },
    Boolean(health.is_suspended) && {
      count: 'Now', text: 'rows wait in memory', advice: 'The disk does not answer; a kill of the process would lose them.',
    },
    suspension(health),
    clockJumps(health),
  ];
  return findings.filter((finding) => finding !== false);
}

/** @param {RunHealth} health @returns {Finding|false} */
function suspension({ n_suspensions: n, suspended_s: seconds }) {
  return count(n) > 0 && {
    count: plural(count(n), 'time'), text: `rows waited in memory, ${formatDuration(count(seconds))} in all`,
    advice: 'The disk was slow or refused; none of these rows was lost unless it is counted above.',
  };
}

/** @param {RunHealth} health @returns {Finding|false} */
function clockJumps({ n_clock_jumps: n, clock_jumps: jumps = [] }) {
  if (count(n) === 0) return false;
  const list = jumps.slice(0, 3).map(({ jumped_s: seconds }) => `${seconds > 0 ? '+' : ''}${formatDuration(seconds)}`).join(', ');
  const more = count(n) > 3 ? ', …' : '';
  return {
    count: plural(count(n), 'jump'), text: `of the clock${list === '' ? '' : `: ${list}${more}`}`,
    advice: 'It was set, or the machine slept: times of day on either side do not compare. Steps are not touched.',
  };
}
