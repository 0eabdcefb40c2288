import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  describeFidelity, describeSmoothing, formatAge, formatCell, formatCompact, formatDuration, formatNumber, formatTicks, formatValue, formatX,
} from '../../tracker_server/dashboard/logic/format.js';
import { clockLabels, logTicks, niceTicks, timeTicks, xTicks } from '../../tracker_server/dashboard/charts/ticks.js';

test('numbers are short and keep five significant digits', () => {
  assert.equal(formatNumber(0.123456789), '0.12346');
  assert.equal(formatNumber(0.5), '0.5');
  assert.equal(formatNumber(-2.25), '−2.25');
  assert.equal(formatNumber(12345.678), '12346');
  assert.equal(formatNumber(123456), '123\u202f456');
  assert.equal(formatNumber(1.5e-7), '1.5e-7');
  assert.equal(formatNumber(3e20), '3e20');
  assert.equal(formatNumber(0), '0');
});

test('values that are no finite numbers have names', () => {
  assert.equal(formatNumber(NaN), 'NaN');
  assert.equal(formatNumber(Infinity), '+Inf');
  assert.equal(formatNumber(-Infinity), '−Inf');
});

test('cells of a column keep their zeros', () => {
  assert.equal(formatCell(0.5), '0.5000');
  assert.equal(formatCell(0.001), '0.001000');
  assert.equal(formatCell(12.5), '12.50');
  assert.equal(formatCell(3), '3');
  assert.equal(formatCell(-0.25), '−0.2500');
});

test('counts get suffixes', () => {
  assert.equal(formatCompact(999), '999');
  assert.equal(formatCompact(12500), '12.5k');
  assert.equal(formatCompact(3e6), '3M');
});

test('durations use their two largest units', () => {
  assert.deepEqual([0, 0.25, 5.5, 42, 200, 3840, 183600].map(formatDuration), ['0s', '250ms', '5.5s', '42s', '3m 20s', '1h 04m', '2d 3h']);
  assert.equal(formatDuration(59.7), '1m 00s');
  assert.equal(formatDuration(NaN), '');
});

test('ages use one unit', () => {
  assert.deepEqual([10, 300, 7200, 3 * 86400, 21 * 86400].map((age) => formatAge(1e9 - age, 1e9)), ['now', '5m', '2h', '3d', '3w']);
});

test('any value has one line of text', () => {
  assert.equal(formatValue({ a: [1, 2] }), '{"a":[1,2]}');
  assert.equal(formatValue(null), 'null');
  assert.equal(formatValue(true), 'true');
  assert.equal(formatValue(undefined), '');
  assert.equal(formatX(1500, 'step'), '1500');
  assert.equal(formatX(90, 'relative_time'), '1m 30s');
});

test('tick labels of one axis share their decimals', () => {
  assert.deepEqual(formatTicks([0, 0.5, 1]), ['0', '0.5', '1.0']);
  assert.deepEqual(formatTicks([0, 500, 1000]), ['0', '500', '1k']);
  assert.deepEqual(formatTicks([100000, 100001]), ['100\u202f000', '100\u202f001']);
  assert.deepEqual(formatTicks([]), []);
});

test('the footer says how exact a chart is', () => {
  const facts = { isExact: true, xKind: 'step', unitsPerPixel: 3, nNonfinite: 0, hasUndrawable: false, nClipped: 0 };
  assert.equal(describeFidelity(facts), 'exact');
  assert.equal(describeFidelity({ ...facts, isExact: false, unitsPerPixel: 128.4 }), '1 px ≈ 128 steps; spikes kept');
  assert.equal(describeFidelity({ ...facts, isExact: false, unitsPerPixel: 128, xError: 40 }), '1 px ≈ 128 steps; spikes kept · x ± 40 steps');
  assert.equal(describeFidelity({ ...facts, nNonfinite: 2, nClipped: 3 }), 'exact · 2 NaN/Inf · 3 outliers off the scale');
  assert.equal(describeFidelity({ ...facts, isExact: false, xKind: 'relative_time', unitsPerPixel: 75 }), '1 px ≈ 1m 15s; spikes kept');
});

test('ticks are round, in range and never too many', () => {
  for (const [min, max] of [[0, 1], [-3.2, 7.9], [1e-9, 3e-9], [1e6, 1.0001e6], [-5e12, 5e12], [0.1, 0.1 + 1e-6]]) {
    const ticks = niceTicks(min, max, 5);
    assert.ok(ticks.length >= 1 && ticks.length <= 5, `${min} ${max}: ${ticks}`);
    assert.ok(ticks.every((tick) => tick >= min - 1e-9 * Math.abs(min) - 1e-12 && tick <= max * (1 + 1e-9)));
  }
  assert.deepEqual(niceTicks(0, 1, 5), [0, 0.5, 1]);
  assert.deepEqual(niceTicks(5, 5, 5), [5]);
});

test('ticks of steps are whole', () => {
  assert.deepEqual(xTicks('step', 0, 3, 8), [0, 1, 2, 3]);
  assert.ok(xTicks('step', 0.5, 2.5, 8).every(Number.isInteger));
});

test('log ticks are powers of ten, or steps within one', () => {
  assert.deepEqual(logTicks(0.001, 1000, 5), [0.001, 0.1, 10, 1000]);
  assert.deepEqual(logTicks(1.5, 7, 5), [2, 5]);
});

test('time ticks fall on round times', () => {
  assert.deepEqual(timeTicks(0, 3600, 6), [0, 900, 1800, 2700, 3600]);
  assert.ok(timeTicks(0, 40 * 86400, 6).length <= 6);
  assert.equal(clockLabels(timeTicks(1.7e9, 1.7e9 + 100, 6)).every((label) => /^\d\d:\d\d/.test(label)), true);
});

test('smoothing is named with its length in x', () => {
  assert.equal(describeSmoothing({ kind: 'none' }, 'step'), '');
  assert.equal(describeSmoothing({ kind: 'ema', weight: 0.9 }, 'step'), 'EMA, weight = 0.9');
  assert.equal(describeSmoothing({ kind: 'gaussian', sigma: 120 }, 'step'), 'Gaussian, σ = 120 steps');
  assert.equal(describeSmoothing({ kind: 'running_mean', window: 90 }, 'relative_time'), 'Running mean, window = 1m 30s');
  assert.equal(describeSmoothing({ kind: 'time_weighted_ema', half_life: 0.5 }, 'metric:epoch'), 'Time-weighted EMA, half-life = 0.5');
});
