import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnOf, columnValue, compactPaths, formatPath, parsePath, tablePaths } from '../../tracker_server/dashboard/logic/columns.js';
import { comparedWith, firstOrder, pageSize, prunedRows, rowCount, withPage } from '../../tracker_server/dashboard/logic/run_pages.js';
import { groupFilter, groupId, idFilters, isGroupId, isPlain, isUnfinished, parseSort, quote, toFilter } from '../../tracker_server/dashboard/logic/run_query.js';
import { asLine, groupCell, groupLabel, groupName, groupRows, isMember, sortedGroups } from '../../tracker_server/dashboard/logic/run_groups.js';
import { groupMetrics } from '../../tracker_server/dashboard/logic/sections.js';
import { columnWindow, rowWindow } from '../../tracker_server/dashboard/logic/window_range.js';

const run = (id, extra = {}) => ({
  id, name: `name-${id}`, project: 'p', state: 'finished', created_s: 0, ended_s: null, updated_s: 0, duration_s: 0, group: null,
  job_type: null, tags: [], notes: null, host: 'vm', n_rows: 1, config: {}, summary: {}, attempt: 1, ...extra,
});

test('words are plain text, and whatever has an operator is a filter', () => {
  for (const text of ['resnet', 'run-3 lr0.1', '"two words"', 'brandy island', 'a/b']) assert.ok(isPlain(text), text);
  for (const text of ['config.lr < 1', '"a" in tags', 'state == "failed"', 'not config.x exists', 'a and b', 'name ~ "x"', '(a)']) {
    assert.ok(!isPlain(text), text);
    assert.equal(toFilter(text), text);
  }
  assert.equal(toFilter('  '), '  ');
});

test('each plain word must be found somewhere, in any case, and no sign of it is a pattern', () => {
  const one = '(name ~ "(?i)a\\\\.b" or id ~ "(?i)a\\\\.b" or tags ~ "(?i)a\\\\.b" or notes ~ "(?i)a\\\\.b")';
  assert.equal(toFilter('a.b'), one);
  assert.equal(toFilter('x "two words"').split(' and ').length, 2);
  assert.ok(toFilter('"two words"').includes('(?i)two words'));
});

test('a name that is being typed is not searched for', () => {
  for (const text of ['config', 'config.', 'config.l', 'summary["val/lo', 'summary["val/loss"]']) assert.ok(isUnfinished(text), text);
  for (const text of ['configuration', 'config.lr < 1', 'config lr', 'resnet']) assert.ok(!isUnfinished(text), text);
});

test('text from outside stays text in a filter', () => {
  assert.equal(quote('a"b\\c\n'), '"a\\"b\\\\c\\n"');
});

test('ids are asked for in filters that the server takes', () => {
  const ids = Array.from({ length: 900 }, (_, index) => `run-${index}-${'x'.repeat(20)}`);
  const parts = idFilters(ids, 'config.lr < 1');
  assert.ok(parts.length > 1);
  assert.deepEqual(parts.flatMap((part) => part.ids), ids);
  for (const { filter } of parts) assert.ok(filter.length <= 10_000 && filter.startsWith('(config.lr < 1) and (id in ['));
  assert.deepEqual(idFilters([]), []);
});

test('the runs of a group are those with its values, also where these are none, NaN or lists', () => {
  assert.equal(groupFilter(['config.lr', 'config.opt'], [0.1, 'adam']), '(config.lr == 0.1) and (config.opt == "adam")');
  assert.equal(groupFilter(['config.lr'], [null]), '(config.lr is None or not config.lr exists)');
  assert.equal(groupFilter(['config.lr'], ['NaN']), '(config.lr == nan or config.lr == "NaN")');
  assert.equal(groupFilter(['config.on', 'config.l'], [true, [1, 'a']]), '(config.on == True) and (config.l == [1, "a"])');
});

test('an order is a path and a direction', () => {
  assert.deepEqual(parseSort('config.lr:desc'), { path: 'config.lr', isDescending: true });
  assert.deepEqual(parseSort('summary["a:desc"]'), { path: 'summary["a:desc"]', isDescending: false });
});

test('paths are read and written as the server does', () => {
  for (const [path, place] of [
    ['name', { root: 'run', key: 'name', aggregate: '' }],
    ['config.model.depth', { root: 'config', key: 'model.depth', aggregate: '' }],
    ['summary["val/loss"]', { root: 'summary', key: 'val/loss', aggregate: '' }],
    ['summary["val/loss"].min', { root: 'summary', key: 'val/loss', aggregate: 'min' }],
    ['summary.loss.max', { root: 'summary', key: 'loss', aggregate: 'max' }],
    ['summary["loss.max"]', { root: 'summary', key: 'loss.max', aggregate: '' }],
    ['config["a \\"b\\""]', { root: 'config', key: 'a "b"', aggregate: '' }],
  ]) {
    assert.deepEqual(parsePath(path), place, path);
    if (place.root !== 'run') assert.equal(formatPath(place.root, place.key, place.aggregate), path);
  }
  for (const path of ['', 'config', 'config.', 'config[', 'nothing', 'config.a-b', 'summary.']) assert.equal(parsePath(path), null, path);
});

test('values of columns come from what the server sent, never from the prototype', () => {
  const one = run('a', { config: { lr: 0.1 }, summary: { 'val/loss': 'NaN', 'val/loss.min': 0.5 }, tags: ['x', 'y'] });
  assert.equal(columnValue(one, 'config.lr'), 0.1);
  assert.ok(Number.isNaN(columnValue(one, 'summary["val/loss"]')));
  assert.equal(columnValue(one, 'summary["val/loss"].min'), 0.5);
  assert.equal(columnValue(one, 'tags'), 'x, y');
  for (const path of ['constructor', 'config.__proto__', 'config.toString', 'summary.gone']) assert.equal(columnValue(one, path), undefined);
});

const info = (path, kinds, n = 9) => ({ path, kinds, n_runs: n });
const INFOS = [info('config.lr', ['number']), info('config.opt', ['text']), info('summary.zeta', ['number']), info('summary["val/loss"]', ['number'])];

test('the usual columns are the most telling metric and the age, in the table what most runs have', () => {
  assert.deepEqual(compactPaths(INFOS), ['summary["val/loss"]', 'created']);
  assert.deepEqual(compactPaths([]), ['duration', 'created']);
  assert.deepEqual(tablePaths(INFOS).slice(-4), ['summary["val/loss"]', 'summary.zeta', 'config.lr', 'config.opt']);
  const many = Array.from({ length: 12_000 }, (_, index) => info(`config.key${index}`, ['number']));
  assert.ok(tablePaths(many).length < 20);
});

test('a column is as numeric as its values', () => {
  const infos = new Map(INFOS.map((each) => [each.path, each]));
  assert.deepEqual(['config.lr', 'config.opt', 'created', 'summary.zeta.min'].map((path) => columnOf(path, infos).isNumeric), [true, false, true, true]);
  assert.equal(columnOf('summary["val/loss"].min', infos).label, 'val/loss min');
});

const page = (ids, nMatching, cursor) => ({ runs: ids.map((id) => run(id)), n_matching: nMatching, next_cursor: cursor });

test('pages follow one another, and a run that moved is not listed twice', () => {
  let order = firstOrder(page(['a', 'b'], 5, 'c1'));
  assert.equal(rowCount(order), 5);
  assert.equal(pageSize(order, 2), 0);
  assert.ok(pageSize(order, 4) >= 2);
  assert.equal(pageSize(order, 90_000), 1000);
  order = withPage(order, page(['b', 'c', 'd'], 5, null));
  assert.deepEqual(order.ids, ['a', 'b', 'c', 'd']);
  assert.equal(rowCount(order), 4, 'the last page says how many there are');
  assert.equal(pageSize(order, 100), 0);
});

test('what came above is told, and does not move what is read', () => {
  const order = firstOrder(page(['a', 'b'], 2, null));
  assert.deepEqual(comparedWith(order, page(['a', 'b'], 2, null)), { nNew: 0, isOther: false });
  assert.deepEqual(comparedWith(order, page(['new', 'a', 'b'], 3, null)), { nNew: 1, isOther: true });
  assert.deepEqual(comparedWith(order, page(['b', 'a'], 2, null)), { nNew: 0, isOther: true });
});

test('far rows are forgotten, those near the window never', () => {
  const rows = new Map(Array.from({ length: 100 }, (_, index) => [`r${index}`, index]));
  const kept = prunedRows(rows, new Set(['r0', 'r1']), 10);
  assert.deepEqual([kept.size, kept.get('r0'), kept.get('r99'), kept.get('r50')], [12, 0, 99, undefined]);
});

const group = (key, mean, extra = {}) => ({ key, n_runs: 3, n_running: 0, values: { 'summary.loss': { n: 3, mean, std: 0.5, min: 0, max: 2 } }, ...extra });
const GROUPS = [group([0.1, 'adam'], 2), group([0.2, null], null), group([0.3, 'sgd'], 1)];

test('a group is called by its values', () => {
  assert.equal(groupName(['config.lr', 'config.opt'], [0.1, 'adam']), 'lr = 0.1, opt = adam');
  assert.equal(groupName(['group', 'config.opt'], ['', null]), 'group = “”, no opt');
  assert.ok(isGroupId(groupId([0.1])) && !isGroupId('a-run'));
  assert.equal(groupLabel(['config.lr', 'config.opt'], [0.1, null]), '0.1 · no opt');
});

test('True and 1 are two groups, though a filter finds both', () => {
  const runs = [run('a', { config: { on: true } }), run('b', { config: { on: 1 } })];
  const of = (key) => runs.filter((each) => isMember(each, ['config.on'], [key])).map(({ id }) => id);
  assert.deepEqual([of(true), of(1)], [['a'], ['b']]);
  assert.ok(isMember(run('c'), ['config.on', 'group'], [null, 'x']));
});

test('groups are sorted by a mean, those without one last', () => {
  const order = (path, isDescending) => sortedGroups(GROUPS, { path, isDescending }).map(({ key }) => key[0]);
  assert.deepEqual(order('summary.loss', false), [0.3, 0.1, 0.2]);
  assert.deepEqual(order('summary.loss', true), [0.1, 0.3, 0.2]);
  assert.deepEqual(order('created', true), [0.1, 0.2, 0.3]);
});

test('a cell of a group has mean and spread, or the value that its runs share', () => {
  assert.deepEqual(groupCell(GROUPS[0], 'config.lr', ['config.lr', 'config.opt']), { mean: '0.1', spread: '', title: '0.1' });
  const { mean, spread, title } = groupCell(GROUPS[0], 'summary.loss', ['config.lr']);
  assert.deepEqual([mean, spread], ['2', '± 0.5']);
  assert.match(title, /n = 3/);
  assert.deepEqual(groupCell(GROUPS[1], 'summary.loss', ['config.lr']).mean, '');
  assert.deepEqual(groupCell(GROUPS[1], 'constructor', ['config.lr']).mean, '');
});

test('a group is drawn as its mean, with a band only where there is a spread', () => {
  const of = (...values) => Float32Array.from(values);
  const cells = { mean: of(1, 2, NaN), std: of(0.5, NaN, NaN), sem: of(0.25, NaN, NaN), min: of(0, 2, NaN), max: of(3, 2, NaN), median: of(1, 2, NaN), n: Uint32Array.from([4, 1, 0]), smooth: null };
  const ends = (kind) => {
    const { band, cells: { min, max } } = asLine({ name: 'g', metric: 'm', n_runs: 4, n_points: 9, cells }, kind);
    return [[...band.low], [...band.high], [...min], [...max]];
  };
  assert.deepEqual(ends('std'), [[0.5, NaN, NaN], [1.5, NaN, NaN], [0.5, 2, NaN], [1.5, 2, NaN]]);
  assert.deepEqual(ends('sem')[0], [0.75, NaN, NaN]);
  assert.deepEqual(ends('minmax').slice(0, 2), [[0, 2, NaN], [3, 2, NaN]]);
  const line = asLine({ name: 'g', metric: 'm', n_runs: 4, n_points: 9, cells }, 'std');
  assert.deepEqual([line.last, line.min, line.max], [2, 0, 3]);
});

test('an open group has its runs below it, and says how many more there are', () => {
  const open = new Map([[groupId(GROUPS[0].key), { rows: [run('a')], cursor: 'more', nMatching: 3 }], [groupId(GROUPS[2].key), null]]);
  const rows = groupRows(GROUPS, open);
  assert.deepEqual(rows.map(({ kind }) => kind), ['group', 'run', 'more', 'group', 'group', 'more']);
  assert.equal(rows[2].nMore, 2);
  assert.equal(rows[5].isLoading, true);
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
