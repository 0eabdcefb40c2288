/**
 * Units of measured values. A metric's name ends in its unit (power_w, used_bytes, sent_bytes_per_s): here that ending
 * becomes text, a scale for an axis, and the range that an axis of such values has.
 */
import { formatNumber, formatTicks } from './format.js';

/**
 * @typedef {object} Unit
 * @property {readonly (readonly [number, string])[]} scales factor and suffix, largest first
 * @property {number|null} floor where an axis of such values begins at the latest
 * @property {number|null} ceiling where it ends, whatever the values are
 */

const KIB = 1024;
const BINARY = /** @type {const} */ ([[KIB ** 4, 'TiB'], [KIB ** 3, 'GiB'], [KIB ** 2, 'MiB'], [KIB, 'KiB'], [1, 'B']]);
const RATE = /** @type {const} */ ([[1e9, 'GB/s'], [1e6, 'MB/s'], [1e3, 'kB/s'], [1, 'B/s']]);
const PLAIN = /** @type {const} */ ([[1, '']]);
const WH_J = 3600;

/** @type {[RegExp, Unit][]} the first that fits holds */
const UNITS = [
  // 100 is one core here, so there is no natural end.
  [/process(_tree)?\/cpu_percent$/, { scales: [[1, '%']], floor: 0, ceiling: null }],
  [/_percent$/, { scales: [[1, '%']], floor: 0, ceiling: 100 }],
  [/_bytes_per_s$/, { scales: RATE, floor: 0, ceiling: null }],
  [/_bytes$/, { scales: BINARY, floor: 0, ceiling: null }],
  [/_w$/, { scales: [[1e3, 'kW'], [1, 'W']], floor: 0, ceiling: null }],
  [/_c$/, { scales: [[1, '°C']], floor: null, ceiling: null }],
  [/_mhz$/, { scales: [[1, 'MHz']], floor: 0, ceiling: null }],
  [/_j$/, { scales: [[1e3 * WH_J, 'kWh'], [WH_J, 'Wh']], floor: 0, ceiling: null }],
  [/(^|[/_])throttle/, { scales: PLAIN, floor: 0, ceiling: 1 }],
];
/** @type {Unit} */
const NONE = { scales: PLAIN, floor: 0, ceiling: null };

/** The unit that a metric's name tells. @param {string} metric @returns {Unit} */
export function unitOf(metric) {
  return UNITS.find(([ending]) => ending.test(metric))?.[1] ?? NONE;
}

/** The scale in which a size is told, such as GiB. @param {Unit} unit @param {number} size @returns {readonly [number, string]} */
function scaleFor(unit, size) {
  return unit.scales.find(([factor]) => size >= factor) ?? unit.scales[unit.scales.length - 1];
}

/** A number and its suffix; "%" and "°C" stand close. @param {string} number @param {string} suffix */
function withSuffix(number, suffix) {
  if (suffix === '') return number;
  return suffix === '%' ? `${number}%` : `${number}\u202f${suffix}`;
}

/**
 * A measured value as text: 71.2 GiB, 98%, 640 W.
 * @param {string} metric
 * @param {number} value
 * @param {number} [digits]
 */
export function formatMeasured(metric, value, digits = 3) {
  if (!Number.isFinite(value)) return formatNumber(value);
  const [factor, suffix] = scaleFor(unitOf(metric), Math.abs(value));
  const scaled = value / factor;
  const size = Math.abs(scaled);
  const short = size >= 10 ** (digits - 1) ? Math.round(scaled) : Number(scaled.toPrecision(digits));
  return withSuffix(formatNumber(short), suffix);
}

/** A size of a file or of memory. @param {number} nBytes */
export function formatBytes(nBytes) {
  return formatMeasured('size_bytes', nBytes);
}

/**
 * The range of an axis of such values.
 * @param {string} metric
 * @param {{min: number, max: number}} extent of the values
 * @returns {{min: number|null, max: number|null}} null where the values decide
 */
export function axisRange(metric, extent) {
  const { floor, ceiling } = unitOf(metric);
  return {
    min: floor === null || extent.min < floor ? null : floor,
    max: ceiling === null || extent.max > ceiling ? null : ceiling,
  };
}

/**
 * What the values of a metric are divided by on an axis, so that ticks are round in the unit shown (20 GiB).
 * @param {string} metric
 * @param {number} largest
 */
export function axisFactor(metric, largest) {
  return scaleFor(unitOf(metric), Math.abs(largest))[0];
}

/**
 * Labels of an axis, each with its unit.
 * @param {string} metric
 * @param {readonly number[]} ticks ascending
 * @returns {string[]}
 */
export function measuredTicks(metric, ticks) {
  if (ticks.length === 0) return [];
  const [factor, suffix] = scaleFor(unitOf(metric), Math.max(...ticks.map(Math.abs)));
  return formatTicks(ticks.map((tick) => tick / factor)).map((label) => withSuffix(label, suffix));
}
