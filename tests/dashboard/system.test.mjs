import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gpuIndices, searchSections, sectionsByDevice, sectionsByMetric, sizeNote, sizeOf, systemTitle } from '../../tracker_server/dashboard/logic/system_metrics.js';
import { gpuLine, presentTiles, throttledGpus } from '../../tracker_server/dashboard/logic/system_now.js';
import { axisFactor, axisRange, formatMeasured, measuredTicks } from '../../tracker_server/dashboard/logic/units.js';

const GIB = 1024 ** 3;
const metric = (key, last, { min = last, max = last } = {}) => ({ key, n_points: 9, first: min, last, min, max, mean: last, n_nonfinite: 0 });
const plain = (text) => text.replaceAll('\u202f', ' ');

test('a value is told in the unit that its name ends in', () => {
  const told = [['system/gpu0/power_w', 642.4], ['system/gpu0/utilization_percent', 97.25], ['system/memory_used_bytes', 71.25 * GIB],
    ['system/gpu0/temperature_c', 64], ['system/network/sent_bytes_per_s', 1.25e8], ['system/gpu0/sm_clock_mhz', 1755],
    ['system/gpu0/energy_j', 7.2e6], ['system/load_1m', 3.5], ['system/process/n_threads', 212], ['system/disk/free_bytes', 0]]
    .map(([key, value]) => plain(formatMeasured(key, value)));
  assert.deepEqual(told, ['642 W', '97.3%', '71.3 GiB', '64 °C', '125 MB/s', '1755 MHz', '2 kWh', '3.5', '212', '0 B']);
});

test('large values keep every digit before the point, and NaN is told as such', () => {
  assert.equal(plain(formatMeasured('x_w', 700)), '700 W');
  assert.equal(plain(formatMeasured('x_bytes', 1023.6 * GIB)), '1024 GiB');
  assert.equal(formatMeasured('x_w', NaN), 'NaN');
});

test('a percentage has an axis from 0 to 100, the use of single cores one from 0 on', () => {
  assert.deepEqual(axisRange('system/cpu_percent', { min: 20, max: 40 }), { min: 0, max: 100 });
  assert.deepEqual(axisRange('system/cpu_percent', { min: 20, max: 140 }), { min: 0, max: null });
  assert.deepEqual(axisRange('system/process_tree/cpu_percent', { min: 20, max: 40 }), { min: 0, max: null });
  assert.deepEqual(axisRange('system/gpu0/temperature_c', { min: 50, max: 60 }), { min: null, max: null });
  assert.deepEqual(axisRange('system/disk/free_bytes', { min: -1, max: 60 }), { min: null, max: null });
});

test('ticks of an axis carry their unit and are round in it', () => {
  assert.equal(axisFactor('system/memory_used_bytes', 80 * GIB), GIB);
  assert.deepEqual(measuredTicks('system/memory_used_bytes', [0, 20 * GIB, 40 * GIB]).map(plain), ['0 GiB', '20 GiB', '40 GiB']);
  assert.deepEqual(measuredTicks('system/cpu_percent', [0, 50, 100]), ['0%', '50%', '100%']);
});

const METRICS = [
  metric('system/cpu_percent', 20, { max: 90 }), metric('system/cpu_n_cores', 96), metric('system/memory_used_bytes', 3 * GIB),
  metric('system/memory_total_bytes', 8 * GIB), metric('system/process/memory_rss_bytes', GIB), metric('system/disk/used_percent', 61),
  metric('system/strange_new', 1),
  ...[0, 1, 10].flatMap((index) => [
    metric(`system/gpu${index}/power_w`, 600 + index), metric(`system/gpu${index}/power_limit_w`, 700),
    metric(`system/gpu${index}/utilization_percent`, 90 + index), metric(`system/gpu${index}/temperature_c`, 60 + index),
    metric(`system/gpu${index}/throttled`, index === 1 ? 1 : 0, { max: index === 0 ? 0 : 1 }),
    metric(`system/gpu${index}/throttle_hw_thermal`, index === 1 ? 1 : 0, { max: index === 0 ? 0 : 1 }),
  ]),
];

test('by device there is a section a GPU in the order of their numbers, then the machine; sizes are notes, not charts', () => {
  const sections = sectionsByDevice(METRICS, [{ index: 1, name: 'H100', uuid: 'GPU-1', memory_total_bytes: 80 * GIB }]);
  assert.deepEqual(sections.map((section) => section.title), ['GPU 0', 'GPU 1', 'GPU 10', 'CPU', 'Memory', 'Processes of the run', 'Disk', 'Other']);
  assert.equal(plain(sections[1].note), 'H100 · 80 GiB · GPU-1');
  assert.deepEqual(sections[0].metrics.slice(0, 3), ['system/gpu0/utilization_percent', 'system/gpu0/power_w', 'system/gpu0/temperature_c']);
  assert.ok(!sections.some((section) => section.metrics.includes('system/gpu0/power_limit_w')));
  assert.deepEqual(sections.at(-1).metrics, ['system/strange_new']);
  assert.equal(plain(sizeNote(METRICS, 'system/gpu0/power_w')), 'of 700 W');
  assert.equal(sizeNote(METRICS, 'system/cpu_percent'), '96 cores');
  assert.equal(sizeOf(METRICS, 'power_w'), 700);
  assert.equal(sizeOf([...METRICS, metric('system/gpu11/power_limit_w', 400)], 'power_w'), null);
});

test('a size that changed is a chart of its own', () => {
  const moved = [...METRICS.filter(({ key }) => key !== 'system/gpu0/power_limit_w'), metric('system/gpu0/power_limit_w', 500, { max: 700 })];
  assert.ok(sectionsByDevice(moved, [])[0].metrics.includes('system/gpu0/power_limit_w'));
  assert.equal(sizeNote(moved, 'system/gpu0/power_w'), '');
});

test('by metric all GPUs share one section of panels, and a search finds the name shown', () => {
  const sections = sectionsByMetric(METRICS);
  assert.equal(sections[0].name, 'gpus');
  assert.deepEqual(sections[0].metrics.slice(0, 2), ['utilization_percent', 'power_w']);
  assert.deepEqual(gpuIndices(METRICS), [0, 1, 10]);
  assert.deepEqual(searchSections(sections, 'utilisation').map((section) => section.metrics), [['utilization_percent']]);
  assert.equal(systemTitle('system/gpu3/some_new_percent'), 'Some new');
});

test('tiles tell the mean use, the sum of power and the hottest GPU', () => {
  const told = Object.fromEntries(presentTiles(METRICS).map(({ label, value, note }) => [label, plain(`${value} ${note}`.trim())]));
  assert.equal(told['GPU, 3 GPUs'], '93.7% 90% – 100%');
  assert.equal(told['GPU power'], '1.81 kW of 2.1 kW');
  assert.equal(told['Hottest GPU'], '70 °C coolest 60 °C');
  assert.equal(told.Memory, '3 GiB of 8 GiB');
  assert.equal(told['Process RSS'], '1 GiB');
  assert.deepEqual(presentTiles([]), []);
  assert.deepEqual(gpuLine(METRICS, 10).map(plain), ['100%', '610 W', '70 °C']);
});

test('a GPU that is held back now is told from one that was', () => {
  assert.deepEqual(throttledGpus(METRICS), [
    { gpu: 1, isNow: true, reasons: ['hw thermal'] }, { gpu: 10, isNow: false, reasons: ['hw thermal'] },
  ]);
});
