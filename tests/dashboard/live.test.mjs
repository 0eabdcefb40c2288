import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeSet, refreshGapMs, retryDelayMs } from '../../tracker_server/dashboard/logic/coalesce.js';
import { csvCell, fileName, joinRunCsv } from '../../tracker_server/dashboard/logic/csv.js';

test('changes of one run become one change with all kinds', () => {
  const set = new ChangeSet();
  set.add([{ project: 'p', run: 'a', kinds: ['points'] }, { project: 'p', run: 'b', kinds: ['new'] }]);
  set.add([{ project: 'p', run: 'a', kinds: ['points', 'summary'] }]);
  assert.deepEqual(set.take(), [
    { project: 'p', run: 'a', kinds: ['points', 'summary'] }, { project: 'p', run: 'b', kinds: ['new'] },
  ]);
  assert.equal(set.isEmpty, true);
});

test('runs of the same id in two projects stay apart', () => {
  const set = new ChangeSet();
  set.add([{ project: 'p', run: 'a', kinds: ['points'] }, { project: 'q', run: 'a', kinds: ['state'] }]);
  assert.equal(set.take().length, 2);
});

test('tries come ever later, up to half a minute, and not all at once', () => {
  assert.deepEqual([1, 2, 3, 4, 10].map((n) => retryDelayMs(n, 0)), [1000, 2000, 4000, 8000, 30_000]);
  assert.ok(retryDelayMs(1, 0.99) > 1200);
});

test('a slow refresh is not repeated at once', () => {
  assert.equal(refreshGapMs(10, 500), 500);
  assert.equal(refreshGapMs(2000, 500), 4000);
});

test('the CSV of many runs has one header and a run on every line', () => {
  const text = joinRunCsv([
    { id: 'a', name: 'x, "y"', csv: 'step,value\r\n1,2\r\n' }, { id: 'b', name: 'z', csv: 'step,value\n3,4\n' }, { id: 'c', name: 'none', csv: '' },
  ]);
  assert.equal(text, 'run_id,run_name,step,value\na,"x, ""y""",1,2\nb,z,3,4\n');
  assert.equal(csvCell(null), '');
  assert.equal(fileName('train/loss: <b>'), 'train_loss_b_');
});
