import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lostWriters, syncText, writerHealth, writerLabel } from '../../tracker_server/dashboard/logic/run_writers.js';
import { askedBy, describeState } from '../../tracker_server/dashboard/logic/states.js';
import { DEFAULT_VIEW, formatView, parseView } from '../../tracker_server/dashboard/logic/view_state.js';

const writer = (name, extra = {}) => ({
  writer: name, host: 'host-a', node: '', state: 'running', last_seen_s: 1000, n_rows: 5, n_damaged: 0, n_dropped: 0, ...extra,
});
const sync = (extra = {}) => ({ address: 'https://x', bytes_left: 0, state: 'ok', message: '', is_sending: true, contact_s: 1000, ...extra });

test('who stopped a run, or asked for it, is told with the reason', () => {
  assert.equal(describeState({ state: 'killed', signal: 'SIGTERM', stopped_by: 'ann: loss is NaN' }), 'stopped by ann: loss is NaN');
  assert.equal(describeState({ state: 'killed', signal: 'SIGTERM', stopped_by: '' }), 'killed by SIGTERM');
  assert.equal(describeState({ state: 'running', stop: { by: 'ann', why: '' } }), 'asked to stop by ann');
  assert.equal(describeState({ state: 'running', stop: null }), 'running');
  assert.equal(askedBy({ by: 'ann', why: 'too slow' }), 'ann: too slow');
});

test('a process is named with its host', () => {
  assert.equal(writerLabel('rank1', [writer('main'), writer('rank1', { host: 'host-b' })]), 'rank1 on host-b');
  assert.equal(writerLabel('rank7', []), 'rank7');
  assert.equal(writerLabel('rank1', [writer('rank1', { host: '' })]), 'rank1');
});

test('a process that is well is told to be so, and what is wrong with another is said', () => {
  const now = { runState: 'running', nowS: 1010 };
  assert.deepEqual(writerHealth(writer('main'), now), { text: '', isTrouble: false });
  assert.equal(writerHealth(writer('main'), { ...now, nowS: 1100 }).text, 'silent for 1m 40s');
  assert.equal(writerHealth(writer('rank1', { state: 'crashed', n_dropped: 3 }), now).text, '3 rows dropped; the run goes on without it');
  assert.deepEqual(writerHealth(writer('rank1', { state: 'finished' }), now), { text: '', isTrouble: false });
  assert.deepEqual(writerHealth(writer('rank1', { state: 'crashed' }), { ...now, runState: 'crashed' }), { text: '', isTrouble: false });
});

test('ranks that are gone while the run goes on get a sign', () => {
  const ranks = [1, 2, 3, 4, 5].map((rank) => writer(`rank${rank}`, { state: 'crashed' }));
  assert.equal(lostWriters([writer('main'), ranks[0]], 'running'), 'rank1 is gone');
  assert.equal(lostWriters(ranks, 'running'), 'rank1, rank2, rank3 and 2 more are gone');
  assert.equal(lostWriters(ranks, 'crashed'), '');
  assert.equal(lostWriters([writer('main')], 'running'), '');
});

test('how far a run is sent, and what keeps it, is told in words', () => {
  assert.deepEqual(syncText(sync(), 'finished'), { text: 'all sent', isTrouble: false });
  assert.deepEqual(syncText(sync({ bytes_left: 900 }), 'running'), { text: 'sent as it runs', isTrouble: false });
  const away = syncText(sync({ bytes_left: 3 << 20, state: 'waiting', message: 'connection refused' }), 'running');
  assert.ok(away.isTrouble && /^3\s?MiB left, server away since /.test(away.text), away.text);
  assert.equal(syncText(sync({ bytes_left: 900, state: 'waiting', contact_s: null }), 'finished').text.split(', ')[1], 'the server was not reached yet');
  assert.match(syncText(sync({ bytes_left: 900, is_sending: false }), 'finished').text, /nothing sends it: run “tracker sync”/);
  assert.match(syncText(sync({ bytes_left: 900, state: 'refused', message: 'the key was revoked' }), 'finished').text, /refuses the key, the key was revoked/);
});

test('whose machine is shown is part of the address', () => {
  const view = { ...DEFAULT_VIEW, tab: 'system', systemWriter: 'rank1' };
  assert.equal(formatView(view), '?tab=system&syswriter=rank1');
  assert.deepEqual(parseView(formatView(view)), view);
});
