/** Places and labels of axis ticks. Pure. */
import { formatDuration, formatTicks } from '../logic/format.js';

const STEPS = [1, 2, 5, 10];
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];

/**
 * At most `limit` round numbers in [min, max].
 * @param {number} min
 * @param {number} max
 * @param {number} limit
 * @param {boolean} [isWhole] whether fractions make no sense (steps)
 * @returns {number[]}
 */
export function niceTicks(min, max, limit, isWhole = false) {
  const span = max - min;
  if (!(span > 0) || !Number.isFinite(span)) return Number.isFinite(min) ? [min] : [];
  const power = 10 ** Math.floor(Math.log10(span / limit));
  for (const step of [...STEPS, 20, 50, 100]) {
    const gap = isWhole ? Math.max(1, Math.round(step * power)) : step * power;
    const ticks = multiples(min, max, gap);
    if (ticks.length <= limit) return ticks;
  }
  return [];
}

/** @param {number} min @param {number} max @param {number} gap @returns {number[]} */
function multiples(min, max, gap) {
  const ticks = [];
  // Counting in whole gaps keeps 0.1 + 0.2 out of the labels.
  const first = Math.ceil(min / gap - 1e-9);
  const last = Math.floor(max / gap + 1e-9);
  if (last - first > 1000) return new Array(1001).fill(NaN);
  for (let index = first; index <= last; index += 1) ticks.push(Number((index * gap).toPrecision(12)));
  return ticks;
}

/**
 * At most `limit` powers of ten in [min, max], or 1-2-5 steps when the range is short.
 * @param {number} min above 0
 * @param {number} max
 * @param {number} limit
 * @returns {number[]}
 */
export function logTicks(min, max, limit) {
  const low = Math.ceil(Math.log10(min) - 1e-9);
  const high = Math.floor(Math.log10(max) + 1e-9);
  const n = high - low + 1;
  if (n >= 2) {
    const every = Math.ceil(n / limit);
    return Array.from({ length: n }, (_, index) => 10 ** (low + index)).filter((_, index) => index % every === 0);
  }
  const fine = [low - 1, low].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  const inside = fine.filter((tick) => tick >= min && tick <= max);
  return inside.length >= 2 ? inside : niceTicks(min, max, limit);
}

/**
 * At most `limit` ticks at round times.
 * @param {number} min seconds
 * @param {number} max seconds
 * @param {number} limit
 * @param {number} [offset] seconds that local time is ahead, so that days begin at local midnight
 * @returns {number[]}
 */
export function timeTicks(min, max, limit, offset = 0) {
  if (max - min < 2) return niceTicks(min, max, limit);
  const gap = TIME_STEPS.find((step) => (max - min) / step < limit) ?? Math.ceil((max - min) / (limit - 1) / DAY) * DAY;
  const ticks = [];
  for (let t = Math.ceil((min + offset) / gap) * gap; t - offset <= max; t += gap) ticks.push(t - offset);
  return ticks;
}

/**
 * @param {readonly number[]} ticks unix seconds
 * @returns {string[]}
 */
export function clockLabels(ticks) {
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const gap = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    if (gap >= DAY || isMidnight) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return gap < MINUTE ? `${clock}:${two(date.getSeconds())}` : clock;
  });
}

/** @param {readonly number[]} ticks seconds since the run's start @returns {string[]} */
export function durationLabels(ticks) {
  return ticks.map((tick) => formatDuration(Number(tick.toPrecision(6))).replace(/(m|h) 00(s|m)$/, '$1'));
}

/**
 * Ticks and labels of an x axis.
 * @param {string} xKind
 * @param {number} min
 * @param {number} max
 * @param {number} limit
 */
export function xTicks(xKind, min, max, limit) {
  if (xKind === 'wall_time') return timeTicks(min, max, limit, -new Date(min * 1000).getTimezoneOffset() * 60);
  if (xKind === 'relative_time') return timeTicks(min, max, limit);
  return niceTicks(min, max, limit, xKind === 'step');
}

/** @param {string} xKind @param {readonly number[]} ticks */
export function xLabels(xKind, ticks) {
  if (xKind === 'wall_time') return clockLabels(ticks);
  if (xKind === 'relative_time') return durationLabels(ticks);
  return formatTicks(ticks);
}
