/**
 * Live change notices. One tab of a browser holds the server's event stream (a Web Lock elects it) and passes what it
 * hears to the others (BroadcastChannel): a stream per tab would use up the six HTTP/1.1 connections that a browser
 * opens to one host, and the seventh tab would not load. Hidden tabs let go. When the stream cannot be had, the page
 * asks for everything each 5 s instead.
 */
import { API, serverState } from './api.js';
import { ChangeSet, retryDelayMs } from './logic/coalesce.js';
import { effect, signal } from './ui.js';

/** @typedef {import('./types.js').Change} Change */
/** @typedef {'connecting'|'live'|'polling'|'paused'} LiveState */

const FLUSH_MS = 60;
const POLL_MS = 5000;
/** A stream that is refused this often in a row is taken as not to be had; trying goes on beside the polling. */
const FAILURES_BEFORE_POLLING = 2;

export const liveState = signal(/** @type {LiveState} */ ('connecting'));

/** @type {Set<(changes: Change[]|null) => void>} */
const listeners = new Set();
const gathered = new ChangeSet();
let flushTimer = 0;
/** @type {BroadcastChannel|null} */
let channel = null;
/** @type {EventSource|null} */
let source = null;
let nFailures = 0;
let retryTimer = 0;
let pollTimer = 0;
let lastEventId = '';
/** Resolving it gives the lock back. @type {(() => void)|null} */
let resign = null;
/** @type {AbortController|null} */
let waiting = null;

/**
 * Be told of changes; null means that anything may have changed.
 * @param {(changes: Change[]|null) => void} listener
 * @returns {() => void} to stop
 */
export function onChanges(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Begin to listen, for as long as the page lives. */
export function startEvents() {
  if ('BroadcastChannel' in globalThis) {
    channel = new BroadcastChannel(`tracker-events:${API}`);
    channel.onmessage = ({ data }) => hear(data);
  }
  document.addEventListener('visibilitychange', () => (document.hidden ? pause() : resume(true)));
  effect(() => {
    // A request got through again: no need to sit out the pause before the next try.
    if (serverState.value === 'there' && nFailures > 0 && source === null && !document.hidden && (resign || !navigator.locks)) connect();
  });
  addEventListener('pagehide', pause);
  addEventListener('pageshow', (event) => { if (event.persisted) resume(true); });
  if (document.hidden) liveState.value = 'paused';
  else resume(false);
}

/** @param {boolean} isReturn whether something may have been missed */
function resume(isReturn) {
  if (isReturn) tell(null);
  liveState.value = 'connecting';
  // Web Locks exist only in secure contexts (https or localhost); elsewhere each visible tab has its own stream.
  if (!navigator.locks || !channel) return connect();
  channel.postMessage({ kind: 'hello' });
  if (waiting || resign) return undefined;
  waiting = new AbortController();
  navigator.locks.request(`tracker-events:${API}`, { signal: waiting.signal }, () => new Promise((resolve) => {
    waiting = null;
    resign = () => resolve(undefined);
    connect();
  })).catch(() => {
    // Aborted by pause(): another resume() asks anew.
  });
  return undefined;
}

function pause() {
  waiting?.abort();
  waiting = null;
  disconnect();
  stopPolling();
  resign?.();
  resign = null;
  liveState.value = 'paused';
}

function connect() {
  disconnect();
  const query = lastEventId === '' ? '' : `?after=${encodeURIComponent(lastEventId)}`;
  source = new EventSource(`${API}/events${query}`);
  source.onopen = () => {
    if (nFailures > 0) sendReset();
    nFailures = 0;
    stopPolling();
    setState('live');
  };
  source.addEventListener('change', (event) => {
    lastEventId = event.lastEventId || lastEventId;
    const { changes } = JSON.parse(event.data);
    hear({ kind: 'changes', changes });
    channel?.postMessage({ kind: 'changes', changes });
  });
  source.addEventListener('reset', () => {
    lastEventId = '';
    sendReset();
  });
  source.onerror = () => {
    // The browser's own reconnecting stops for good at an error answer, and has no back-off: we do it.
    disconnect();
    nFailures += 1;
    retryTimer = setTimeout(connect, retryDelayMs(nFailures, Math.random()));
    if (nFailures >= FAILURES_BEFORE_POLLING) startPolling();
    else setState('connecting');
  };
}

function disconnect() {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

function startPolling() {
  setState('polling');
  if (pollTimer) return;
  sendReset();
  pollTimer = setInterval(sendReset, POLL_MS);
}

function stopPolling() {
  clearInterval(pollTimer);
  pollTimer = 0;
}

function sendReset() {
  tell(null);
  channel?.postMessage({ kind: 'reset' });
}

/** @param {LiveState} state */
function setState(state) {
  liveState.value = state;
  channel?.postMessage({ kind: 'state', state });
}

/** @param {{kind: string, changes?: Change[], state?: LiveState}} message */
function hear(message) {
  if (document.hidden) return;
  if (message.kind === 'changes' && message.changes) gather(message.changes);
  else if (message.kind === 'reset') tell(null);
  else if (message.kind === 'state' && message.state && !resign) liveState.value = message.state;
  else if (message.kind === 'hello' && resign) channel?.postMessage({ kind: 'state', state: liveState.peek() });
}

/** @param {Change[]} changes */
function gather(changes) {
  gathered.add(changes);
  if (flushTimer || gathered.isEmpty) return;
  flushTimer = setTimeout(() => {
    flushTimer = 0;
    tell(gathered.take());
  }, FLUSH_MS);
}

/** @param {Change[]|null} changes */
function tell(changes) {
  for (const listener of listeners) listener(changes);
}
