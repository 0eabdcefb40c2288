import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultColumns, listColumns } from '../../tracker_server/dashboard/logic/columns.js';
import { columnValue, compileFilter, sortRuns, splitWords } from '../../tracker_server/dashboard/logic/run_filter.js';
import { groupMetrics } from '../../tracker_server/dashboard/logic/sections.js';
import { columnWindow, rowWindow } from '../../tracker_server/dashboard/logic/window_range.js';

const run = (id, extra = {}) => ({
  id, name: `name-${id}`, project: 'p', state: 'finished', created_s: 0, ended_s: null, updated_s: 0, duration_s: 0, group: null,
  job_type: null, tags: [], notes: null, host: 'vm', n_rows: 1, config: {}, summary: {}, attempt: 1, ...extra,
});
const RUNS = [
  run('a', { config: { lr: 0.1, opt: 'adam' }, tags: ['best'], state: 'running', created_s: 3, summary: { loss: 'NaN' } }),
  run('b', { config: { lr: 0.01, opt: 'sgd' }, group: 'my group', created_s: 2, summary: { loss: 2 } }),
  run('c', { config: { opt: 'adam' }, created_s: 1, state: 'failed', summary: { loss: 1, 'train/acc': 0.5 } }),
];
const passing = (text) => RUNS.filter(compileFilter(text).test).map(({ id }) => id).join('');

test('words, fields, numbers, patterns and their opposites filter runs', () => {
  assert.equal(passing(''), 'abc');
  assert.equal(passing('NAME-b'), 'b');
  assert.equal(passing('state:run'), 'a');
  assert.equal(passing('-state:running'), 'bc');
  assert.equal(passing('tag:best'), 'a');
  assert.equal(passing('lr>0.05'), 'a');
  assert.equal(passing('lr<=0.1'), 'ab');
  assert.equal(passing('lr=1e-2'), 'b');
  assert.equal(passing('opt=adam'), 'ac');
  assert.equal(passing('opt=adam loss=1'), 'c');
  assert.equal(passing('config.opt!=adam'), 'b');
  assert.equal(passing('/name-[bc]/'), 'bc');
  assert.equal(passing('"my group"'), 'b');
  assert.equal(passing('nothing-like-it'), '');
});

test('a wrong pattern is told and left out', () => {
  const { test: matches, error } = compileFilter('/(/ state:failed');
  assert.match(error, /Invalid regular expression/);
  assert.deepEqual(RUNS.filter(matches).map(({ id }) => id), ['c']);
});

test('words are split outside of quotes and patterns', () => {
  assert.deepEqual(splitWords('a "b c" /d e/ -f - ""'), ['a', '"b c"', '/d e/', '-f']);
});

test('names from the outside never reach the prototype', () => {
  assert.equal(columnValue(RUNS[0], 'constructor'), undefined);
  assert.equal(columnValue(RUNS[0], 'config.__proto__'), undefined);
  assert.equal(columnValue(RUNS[0], 'config.toString'), undefined);
});

test('sorting puts missing values and NaN last in both directions', () => {
  const order = (sort) => sortRuns(RUNS, sort).map(({ id }) => id).join('');
  assert.equal(order('config.lr'), 'bac');
  assert.equal(order('-config.lr'), 'abc');
  assert.equal(order('summary.loss'), 'cba');
  assert.equal(order('-summary.loss'), 'bca');
  assert.equal(order('-created'), 'abc');
});

test('names sort as people count', () => {
  const runs = ['run10', 'run9', 'run1'].map((name) => run(name, { name }));
  assert.deepEqual(sortRuns(runs, 'name').map(({ name }) => name), ['run1', 'run9', 'run10']);
});

test('columns come from the runs, and empty own columns are left out', () => {
  const columns = listColumns(RUNS);
  const keys = columns.map(({ key }) => key);
  assert.deepEqual(keys.slice(0, 2), ['name', 'state']);
  assert.ok(keys.includes('config.lr') && keys.includes('summary.train/acc') && keys.includes('group'));
  assert.ok(!keys.includes('job'));
  assert.equal(columns.find(({ key }) => key === 'config.lr').isNumeric, true);
  assert.equal(columns.find(({ key }) => key === 'summary.loss').isNumeric, true);
});

test('config that tells runs apart comes before the summary, defaults after it', () => {
  const runs = [
    run('a', { config: { default: 1, lr: 0.1 }, summary: { loss: 1 } }),
    run('b', { config: { lr: 0.2 }, summary: { loss: 2 } }),
  ];
  const keys = listColumns(runs).filter(({ group }) => group !== 'run').map(({ key }) => key);
  assert.deepEqual(keys, ['config.lr', 'summary.loss', 'config.default']);
});

test('a column with one value in all runs is constant', () => {
  const runs = [run('a', { config: { x: [1], y: 1 } }), run('b', { config: { x: [1], y: 2 } })];
  const constant = listColumns(runs).filter((column) => column.isConstant).map(({ key }) => key);
  assert.deepEqual(constant, ['config.x']);
});

test('the compact list shows the most telling metric', () => {
  assert.deepEqual(defaultColumns(listColumns(RUNS)), ['summary.loss', 'created']);
  assert.deepEqual(defaultColumns(listColumns([run('a')])), ['duration', 'created']);
});

test('metrics are grouped by prefix, training first and system last', () => {
  const keys = ['a/x', 'loss', 'system/gpu', 'train/loss', 'val/loss', 'layers/1', 'layers/2'];
  assert.deepEqual(groupMetrics(keys, '').map(({ name }) => name), ['', 'train', 'val', 'a', 'layers', 'system']);
  assert.deepEqual(groupMetrics(keys, 'LOSS').flatMap(({ metrics }) => metrics), ['loss', 'train/loss', 'val/loss']);
  assert.deepEqual(groupMetrics(keys, '/^layers/').flatMap(({ metrics }) => metrics), ['layers/1', 'layers/2']);
  assert.deepEqual(groupMetrics(keys, '/(/'), []);
});

test('losses come before scores, and counters last', () => {
  const keys = ['epoch', 'train/accuracy', 'train/epoch', 'train/grad_norm', 'train/learning_rate', 'train/loss'];
  const sections = groupMetrics(keys, '');
  assert.deepEqual(sections.map(({ name }) => name), ['train', '']);
  assert.deepEqual(sections[0].metrics,
    ['train/loss', 'train/accuracy', 'train/grad_norm', 'train/epoch', 'train/learning_rate']);
});

test('only the rows and columns on screen are drawn', () => {
  const rows = rowWindow(28 * 5000, 600, 28, 10_000);
  assert.ok(rows.end - rows.first < 45);
  assert.equal(rows.before + rows.after + (rows.end - rows.first) * 28, 28 * 10_000);
  assert.deepEqual(rowWindow(500, 600, 28, 0), { first: 0, end: 0, before: 0, after: 0 });
  const widths = new Array(12_000).fill(100);
  const across = columnWindow(600_000, 1000, widths);
  assert.ok(across.end - across.first < 20);
  assert.equal(across.before + across.after + (across.end - across.first) * 100, 1_200_000);
});
