/** The present values of a machine in a few tiles, and which GPUs were held back. */
import { gpuIndex, gpuIndices, shortKey } from './system_metrics.js';
import { formatMeasured } from './units.js';

/** @typedef {import('../types.js').RunMetric} RunMetric */
/** @typedef {{label: string, value: string, note: string}} Tile */

const THROTTLE = 'throttle_';

/** @param {readonly RunMetric[]} metrics @param {string} short @returns {number[]} last values of all GPUs, by index */
function gpuValues(metrics, short) {
  return metrics.filter((metric) => gpuIndex(metric.key) !== null && shortKey(metric.key) === short)
    .map((metric) => metric.last).filter((value) => typeof value === 'number');
}

/** @param {readonly number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** @param {string} metric @param {readonly number[]} values @returns {string} the spread, where there is one to tell */
function spread(metric, values) {
  if (values.length < 2) return '';
  return `${formatMeasured(metric, Math.min(...values))} – ${formatMeasured(metric, Math.max(...values))}`;
}

/**
 * The tiles: GPUs together, then the machine and the process.
 * @param {readonly RunMetric[]} metrics
 * @returns {Tile[]}
 */
export function presentTiles(metrics) {
  return [...gpuTiles(metrics), ...hostTiles(metrics)];
}

/** @param {readonly RunMetric[]} metrics @returns {Tile[]} */
function gpuTiles(metrics) {
  const n = gpuIndices(metrics).length;
  const busy = gpuValues(metrics, 'utilization_percent');
  const used = gpuValues(metrics, 'memory_used_bytes');
  const total = sum(gpuValues(metrics, 'memory_total_bytes'));
  const power = gpuValues(metrics, 'power_w');
  const limit = sum(gpuValues(metrics, 'power_limit_w'));
  const heat = gpuValues(metrics, 'temperature_c');
  const many = n > 1 ? `, ${n} GPUs` : '';
  return [
    busy.length > 0 && { label: `GPU${many}`, value: formatMeasured('_percent', sum(busy) / busy.length), note: spread('_percent', busy) },
    used.length > 0 && { label: 'GPU memory', value: formatMeasured('_bytes', sum(used)), note: total > 0 ? `of ${formatMeasured('_bytes', total)}` : '' },
    power.length > 0 && { label: 'GPU power', value: formatMeasured('_w', sum(power)), note: limit > 0 ? `of ${formatMeasured('_w', limit)}` : '' },
    heat.length > 0 && { label: n > 1 ? 'Hottest GPU' : 'GPU temperature', value: formatMeasured('_c', Math.max(...heat)), note: n > 1 ? `coolest ${formatMeasured('_c', Math.min(...heat))}` : '' },
  ].filter((tile) => tile !== false);
}

/** @param {readonly RunMetric[]} metrics @returns {Tile[]} */
function hostTiles(metrics) {
  const byKey = new Map(metrics.map((metric) => [metric.key, metric.last]));
  const read = (/** @type {string} */ key) => {
    const value = byKey.get(`system/${key}`);
    return typeof value === 'number' ? value : null;
  };
  const tile = (/** @type {string} */ label, /** @type {string} */ key, /** @type {string} */ note) => {
    const value = read(key);
    return value === null ? [] : [{ label, value: formatMeasured(key, value), note }];
  };
  const cores = read('cpu_n_cores');
  const total = read('memory_total_bytes');
  const tree = read('process_tree/memory_rss_bytes');
  return [
    ...tile('CPU', 'cpu_percent', cores === null ? '' : `${cores} cores`),
    ...tile('Memory', 'memory_used_bytes', total === null ? '' : `of ${formatMeasured('_bytes', total)}`),
    ...tile('Process RSS', 'process/memory_rss_bytes', tree === null ? '' : `tree ${formatMeasured('_bytes', tree)}`),
  ];
}

/**
 * The GPUs that were held back, and why.
 * @param {readonly RunMetric[]} metrics
 * @returns {{gpu: number, reasons: string[], isNow: boolean}[]} isNow: at the last sample
 */
export function throttledGpus(metrics) {
  return gpuIndices(metrics).map((gpu) => {
    const own = metrics.filter((metric) => gpuIndex(metric.key) === gpu);
    const flags = own.filter((metric) => shortKey(metric.key).startsWith(THROTTLE) || shortKey(metric.key) === 'throttled');
    const now = flags.filter((metric) => isOn(metric.last));
    const isNow = now.length > 0;
    const reasons = (isNow ? now : flags.filter((metric) => isOn(metric.max))).map((metric) => shortKey(metric.key));
    return { gpu, isNow, flags: reasons };
  }).filter(({ flags }) => flags.length > 0).map(({ gpu, isNow, flags }) => ({
    gpu, isNow, reasons: flags.filter((key) => key !== 'throttled').map((key) => key.slice(THROTTLE.length).replaceAll('_', ' ')),
  }));
}

/** @param {number|string|null} value */
function isOn(value) {
  return typeof value === 'number' && value > 0;
}

/**
 * The last values of one GPU, for the heading of its section.
 * @param {readonly RunMetric[]} metrics
 * @param {number} index
 */
export function gpuLine(metrics, index) {
  return ['utilization_percent', 'memory_used_bytes', 'power_w', 'temperature_c'].flatMap((short) => {
    const value = metrics.find((metric) => metric.key === `system/gpu${index}/${short}`)?.last;
    return typeof value === 'number' ? [formatMeasured(short, value)] : [];
  });
}
