/** Text of numbers, times and values. Pure: the clock is always passed in. */
import { SMOOTH_KINDS } from './view_state.js';

const SUFFIXES = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];

/**
 * A number in few characters for tables and tooltips: 5 significant digits, never a wrong digit before the point.
 * @param {number} value
 * @param {number} [digits]
 */
export function formatNumber(value, digits = 5) {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '−Inf';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return withMinus(groupThousands(String(value)));
  if (size >= 1e7 || size < 1e-4) return withMinus(trimZeros(value.toExponential(Math.max(digits - 2, 1))));
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return withMinus(trimZeros(value.toFixed(Math.min(decimals, 12))));
}

/** @param {string} text */
function trimZeros(text) {
  const [mantissa, exponent] = text.split('e');
  const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
  return exponent === undefined ? short : `${short}e${exponent.replace('+', '')}`;
}

/** @param {string} text */
function groupThousands(text) {
  return text.length > 5 ? text.replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f') : text;
}

/** @param {string} text */
function withMinus(text) {
  return text.startsWith('-') ? `−${text.slice(1)}` : text;
}

/**
 * A number for a column: like formatNumber, but fractions keep their zeros, so that the digits of a column line up.
 * @param {number} value
 */
export function formatCell(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) || !(size >= 1e-4 && size < 1e4)) return formatNumber(value, 4);
  return withMinus(value.toPrecision(4));
}

/**
 * A count or axis value with a suffix: 12.5k, 3M.
 * @param {number} value
 */
export function formatCompact(value) {
  const size = Math.abs(value);
  for (const [unit, suffix] of /** @type {[number, string][]} */ (SUFFIXES)) {
    if (size >= unit && size < 1e15) return `${formatNumber(value / unit, 4)}${suffix}`;
  }
  return formatNumber(value, 4);
}

/**
 * Labels of an axis: large ones with a suffix, small ones all with the same number of decimals so that they line up.
 * @param {readonly number[]} ticks ascending
 * @returns {string[]}
 */
export function formatTicks(ticks) {
  if (ticks.length === 0) return [];
  const largest = Math.max(...ticks.map(Math.abs));
  const gap = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : largest || 1;
  if (largest >= 1e15 || (largest > 0 && gap < 1e-5)) {
    // As many digits as tell neighbours apart; a double has no more than 15.
    const digits = Math.min(15, Math.max(2, Math.ceil(Math.log10(largest / gap) + 1e-9)) + 2);
    return ticks.map((tick) => formatNumber(tick, digits));
  }
  if (largest >= 1000 && gap >= 1) {
    return ticks.map(gap >= largest / 1000 ? formatCompact : (tick) => withMinus(groupThousands(tick.toFixed(0))));
  }
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(gap) + 1e-9)));
  return ticks.map((tick) => (tick === 0 ? '0' : withMinus(tick.toFixed(decimals))));
}

/**
 * A duration in its two largest units: 42s, 3m 20s, 1h 04m, 2d 3h.
 * @param {number} seconds
 * @returns {string}
 */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 0) return `−${formatDuration(-seconds)}`;
  if (seconds < 1) return seconds === 0 ? '0s' : `${Math.max(1, Math.round(seconds * 1000))}ms`;
  if (seconds < 10) return `${trimZeros(seconds.toFixed(1))}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${String(whole % 60).padStart(2, '0')}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
  return `${Math.floor(minutes / 1440)}d ${Math.floor((minutes % 1440) / 60)}h`;
}

/**
 * How long ago, in one unit: now, 5m, 3h, 2d, 7w.
 * @param {number} thenS unix seconds
 * @param {number} nowS unix seconds
 */
export function formatAge(thenS, nowS) {
  const seconds = nowS - thenS;
  if (seconds < 45) return 'now';
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))}m`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)}h`;
  if (seconds < 14 * 86400) return `${Math.round(seconds / 86400)}d`;
  return `${Math.round(seconds / (7 * 86400))}w`;
}

/** A full local date and time. @param {number} seconds unix seconds */
export function formatTime(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return '';
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Any config or summary value as one line of text.
 * @param {unknown} value
 */
export function formatValue(value) {
  if (value === undefined) return '';
  if (value === null) return 'null';
  if (typeof value === 'number') return formatNumber(value);
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  // Media are told by their kind: a list has no room for more.
  const { _type: kind } = /** @type {{_type?: unknown}} */ (value);
  return typeof kind === 'string' ? kind : JSON.stringify(value);
}

/**
 * The x of a chart as text.
 * @param {number} x
 * @param {string} xKind
 */
export function formatX(x, xKind) {
  if (xKind === 'wall_time') return formatTime(x);
  if (xKind === 'relative_time') return formatDuration(x);
  return formatNumber(x, 6);
}

/**
 * The line under a chart that says how exact it is.
 * @param {{isExact: boolean, xKind: string, unitsPerPixel: number, nNonfinite: number, hasUndrawable: boolean, nClipped: number, isOfMeans?: boolean,
 *   xError?: number}} facts
 */
export function describeFidelity({ isExact, xKind, unitsPerPixel, nNonfinite, hasUndrawable, nClipped, isOfMeans = false, xError = 0 }) {
  const width = `1 px ≈ ${describeWidth(unitsPerPixel, xKind)}`;
  const parts = [isExact ? 'exact' : `${width}${nClipped > 0 ? '' : '; spikes kept'}`];
  if (xError > 0) parts.push(`x ± ${describeWidth(xError, xKind)}`);
  if (nNonfinite > 0) parts.push(`${formatCompact(nNonfinite)} NaN/Inf`);
  if (nClipped > 0) parts.push(`${formatCompact(nClipped)} outliers off the scale`);
  if (hasUndrawable) parts.push('values ≤ 0 are off the log axis');
  if (isOfMeans) parts.push('so many points that means of them are smoothed');
  return parts.join(' · ');
}

/** "Gaussian, σ = 120 steps". @param {import('../types.js').Smoothing} smoothing @param {string} xKind */
export function describeSmoothing(smoothing, xKind) {
  const kind = SMOOTH_KINDS.find(({ key }) => key === smoothing.kind);
  const value = kind && smoothing[/** @type {'weight'} */ (kind.parameter)];
  if (!kind || value === undefined) return '';
  return `${kind.name}, ${kind.symbol} = ${kind.key === 'ema' ? value : describeWidth(value, xKind)}`;
}

/** @param {number} width @param {string} xKind */
function describeWidth(width, xKind) {
  if (xKind === 'step') return `${formatCompact(width >= 10 ? Math.round(width) : Number(width.toPrecision(2)))} steps`;
  if (xKind.endsWith('_time')) return formatDuration(width >= 10 ? width : Number(width.toPrecision(2)));
  return formatNumber(width, 2);
}

/** "1 run", "2 runs". @param {number} n @param {string} noun */
export function plural(n, noun) {
  return `${formatNumber(n)} ${noun}${n === 1 ? '' : 's'}`;
}
