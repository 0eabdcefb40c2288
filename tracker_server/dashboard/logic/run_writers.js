/** The processes of a run, and the sending of it to servers, in words. Pure. */
import { formatDuration, formatTime } from './format.js';
import { formatBytes } from './units.js';

/** @typedef {import('../types.js').RunWriter} RunWriter */
/** @typedef {import('../types.js').RunSync} RunSync */

/** A process that is silent for longer is told of with the time since. */
const SILENT_S = 30;

/**
 * What a process is called where one of several is chosen: "rank1 on host-b".
 * @param {string} name @param {readonly RunWriter[]} writers
 */
export function writerLabel(name, writers) {
  const found = writers.find(({ writer }) => writer === name);
  return found?.host ? `${name} on ${found.host}` : name;
}

/**
 * How a process fares, and whether that is worth a sign: one that died while the run goes on, or that lost something.
 * @param {RunWriter} writer @param {{runState: string, nowS: number}} now
 * @returns {{text: string, isTrouble: boolean}}
 */
export function writerHealth({ state, last_seen_s: seenS, n_dropped: nDropped, n_damaged: nDamaged }, { runState, nowS }) {
  const silentS = nowS - seenS;
  const parts = [state === 'running' && silentS > SILENT_S ? `silent for ${formatDuration(silentS)}` : ''];
  if (nDropped > 0) parts.push(`${nDropped} rows dropped`);
  if (nDamaged > 0) parts.push(`${nDamaged} damaged places`);
  const isLost = runState === 'running' && state !== 'running' && state !== 'finished';
  if (isLost) parts.push('the run goes on without it');
  const text = parts.filter(Boolean).join('; ');
  return { text, isTrouble: text !== '' };
}

/**
 * What is worth a sign beside the run's name: processes that are gone while the run goes on.
 * @param {readonly RunWriter[]} writers @param {string} runState
 */
export function lostWriters(writers, runState) {
  const lost = runState !== 'running' ? [] : writers.filter(({ state }) => state !== 'running' && state !== 'finished');
  if (lost.length === 0) return '';
  const names = lost.slice(0, 3).map(({ writer }) => writer).join(', ');
  return `${names}${lost.length > 3 ? ` and ${lost.length - 3} more` : ''} ${lost.length === 1 ? 'is' : 'are'} gone`;
}

/**
 * How far a run is sent to a server: "sent", or what is left and why.
 * @param {RunSync} sync @param {string} runState
 * @returns {{text: string, isTrouble: boolean}}
 */
export function syncText({ bytes_left: left, state, message, is_sending: isSending, contact_s: contactS }, runState) {
  // The beats of a process that lives are always some bytes ahead of what is sent.
  const isBehind = left > (runState === 'running' ? 64 * 1024 : 0);
  if (!isBehind && message === '') return { text: runState === 'running' ? 'sent as it runs' : 'all sent', isTrouble: false };
  const parts = left > 0 ? [`${formatBytes(left)} left`] : [];
  if (state === 'refused') parts.push('the server refuses the key');
  else if (state === 'waiting') parts.push(contactS ? `server away since ${formatTime(contactS)}` : 'the server was not reached yet');
  if (left > 0 && !isSending) parts.push('nothing sends it: run “tracker sync”');
  if (message && state !== 'waiting') parts.push(message);
  return { text: parts.join(', '), isTrouble: state === 'refused' || state === 'waiting' || !isSending || message !== '' };
}
