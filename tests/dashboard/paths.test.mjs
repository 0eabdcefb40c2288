import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestCell, paddedRange, traceGroup, tracePoints, traceRaw, traceValues, yExtent } from '../../tracker_server/dashboard/charts/paths.js';

const SAME = { toX: (x) => x, toY: (y) => y };

/** Cells of one value each; null for no point, NaN for a logged NaN. */
function cellsOf(values) {
  const numbers = Float32Array.from(values, (value) => value ?? NaN);
  return {
    first: numbers, last: numbers, min: numbers, max: numbers, mean: numbers, smooth: null,
    count: Uint32Array.from(values, (value) => Number(value !== null && !Number.isNaN(value))),
    nonfinite: Uint32Array.from(values, (value) => Number(Number.isNaN(value))),
  };
}
const gridOf = (n) => ({ x: Float64Array.from({ length: n }, (_, i) => i), bucketWidth: null });

/** Write down what is drawn. */
function recorder() {
  const log = [];
  return {
    log,
    sink: { moveTo: (x, y) => log.push(`M${x},${y}`), lineTo: (x, y) => log.push(`L${x},${y}`) },
    bar: (x, low, high) => log.push(`B${x},${low},${high}`),
    dot: (x, y) => log.push(`D${x},${y}`),
  };
}
function drawn(values) {
  const { sink, bar, dot, log } = recorder();
  traceRaw(sink, bar, dot, gridOf(values.length), cellsOf(values), SAME);
  return log;
}
const moves = (log) => log.filter((entry) => entry.startsWith('M'));

test('a line joins over x where only other runs logged', () => {
  assert.equal(moves(drawn([1, null, null, 2])).length, 1);
});

test('a logged NaN breaks the line', () => {
  assert.deepEqual(moves(drawn([1, 2, NaN, 3, 4])), ['M0,1', 'M3,3']);
});

test('a point without a neighbour is a dot', () => {
  assert.ok(drawn([null, 7, null]).includes('D1,7'));
  assert.deepEqual(drawn([1, 2, NaN, 3]).filter((entry) => entry[0] === 'D'), ['D3,3']);
  assert.deepEqual(drawn([5, NaN, 1, 2]).filter((entry) => entry[0] === 'D'), ['D0,5']);
});

test('a spike inside a bucket is drawn to its full height', () => {
  const cells = cellsOf([1, 1, 1]);
  cells.max = Float32Array.from([1, 900, 1]);
  cells.count = Uint32Array.from([50, 50, 50]);
  const { sink, bar, dot, log } = recorder();
  traceRaw(sink, bar, dot, { ...gridOf(3), bucketWidth: 1 }, cells, SAME);
  assert.ok(log.includes('B1,1,900'));
});

test('a slope through buckets has no stairs', () => {
  const cells = cellsOf([0, 0, 0]);
  cells.first = cells.min = Float32Array.from([0, 10, 20]);
  cells.last = cells.max = Float32Array.from([9, 19, 29]);
  cells.count = Uint32Array.from([10, 10, 10]);
  const { sink, bar, dot, log } = recorder();
  traceRaw(sink, bar, dot, { x: Float64Array.from([5, 15, 25]), bucketWidth: 10 }, cells, SAME);
  assert.deepEqual(log, ['M0.5,0', 'L9.5,9', 'L10.5,10', 'L19.5,19', 'L20.5,20', 'L29.5,29']);
});

test('the smoothed line joins over empty cells', () => {
  const { sink, dot, log } = recorder();
  traceValues(sink, dot, gridOf(3).x, Float32Array.from([1, NaN, 3]), SAME);
  assert.deepEqual(log, ['M0,1', 'L2,3']);
});

/** What is drawn of a group: line and dots, and the corners of its areas. */
function drawnGroup(x, values, low, high) {
  const line = recorder();
  const area = recorder();
  traceGroup({ line: line.sink, area: area.sink, dot: line.dot }, Float64Array.from(x), values, { low, high }, SAME);
  return { line: line.log, area: area.log };
}

test('a group is a line with an area around it', () => {
  const { line, area } = drawnGroup([0, 1, 2], [5, 6, 7], [4, 5, 6], [6, 7, 8]);
  assert.deepEqual(line, ['M0,5', 'L1,6', 'L2,7']);
  assert.deepEqual(area, ['M0,4', 'L1,5', 'L2,6', 'L2,8', 'L1,7', 'L0,6']);
});

test('neither line nor area of a group goes over a hole, but both join cells that only others have', () => {
  const { line, area } = drawnGroup([0, 1, 2, 3, 4, 30, 31, 32], [1, NaN, 1, NaN, 1, 1, 1, 1], new Array(8).fill(0), new Array(8).fill(2));
  assert.deepEqual(line, ['M0,1', 'L2,1', 'L4,1', 'M30,1', 'L31,1', 'L32,1']);
  assert.deepEqual(moves(area), ['M0,0', 'M30,0']);
});

test('where a group has one member there is no area, and a lone cell is a dot', () => {
  const { line, area } = drawnGroup([0, 1, 2, 3, 4], [1, 1, 1, 1, 1], [0, 0, NaN, 0, 0], [2, 2, NaN, 2, 2]);
  assert.equal(moves(line).length, 1);
  assert.deepEqual(moves(area), ['M0,0', 'M3,0']);
  assert.deepEqual(drawnGroup([7], [1], [0], [2]), { line: ['D7,1'], area: [] });
  assert.deepEqual(drawnGroup([], [], [], []), { line: [], area: [] });
});

test('points are marked only when far apart', () => {
  const { dot, log } = recorder();
  tracePoints(dot, gridOf(3).x, cellsOf([1, 2, 3]), SAME, 2);
  assert.deepEqual(log, []);
  tracePoints(dot, gridOf(3).x, cellsOf([1, null, 3]), SAME, 2);
  assert.deepEqual(log, ['D0,1', 'D2,3']);
});

const LINEAR = { isLog: false, isClipped: false };
const extentOf = (values, scale, range = { min: 0, max: 1e9 }) => yExtent(gridOf(values.length).x, [{ cells: cellsOf(values) }], range, scale);

test('the y range holds every value in the x range, spikes too', () => {
  assert.deepEqual(extentOf([1, 100, 2, NaN], LINEAR), { min: 1, max: 100, hasUndrawable: false, nClipped: 0 });
  const zoomed = extentOf([1, 100, 2], LINEAR, { min: 2, max: 3 });
  assert.deepEqual([zoomed.min, zoomed.max], [2, 2]);
  assert.equal(extentOf([null, NaN], LINEAR), null);
});

test('a log axis tells that it leaves values out', () => {
  assert.deepEqual(extentOf([0, 1, 10], { isLog: true, isClipped: false }), { min: 1, max: 10, hasUndrawable: true, nClipped: 0 });
  assert.equal(extentOf([0, -1], { isLog: true, isClipped: false }), null);
});

test('outliers are left out only when asked for, and counted', () => {
  const values = Array.from({ length: 200 }, (_, i) => (i === 50 ? 1e6 : i / 200));
  const { max, nClipped } = extentOf(values, { isLog: false, isClipped: true });
  assert.ok(max < 1);
  assert.ok(nClipped >= 1);
});

test('a padded range is never empty', () => {
  for (const value of [0, 5, -3, 1e-12, 1e300]) {
    const { min, max } = paddedRange({ min: value, max: value }, false);
    assert.ok(min < value && value < max, String(value));
  }
  const { min, max } = paddedRange({ min: 2, max: 2 }, true);
  assert.ok(0 < min && min < 2 && max > 2);
  assert.ok(paddedRange(null, true).min > 0);
});

test('the nearest cell that the run logged is found within reach', () => {
  const { x } = gridOf(6);
  const cells = cellsOf([1, null, null, NaN, null, 2]);
  assert.equal(nearestCell(x, cells, 0.4, 1), 0);
  assert.equal(nearestCell(x, cells, 2.4, 1), 3, 'a NaN is something that was logged');
  assert.equal(nearestCell(x, cells, 1.4, 0.5), -1);
  assert.equal(nearestCell(x, cells, 9, 10), 5);
  assert.equal(nearestCell(new Float64Array(0), cellsOf([]), 1, 10), -1);
});
