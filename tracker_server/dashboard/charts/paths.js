/**
 * Turns the cells of a run into strokes. Pure: it draws on anything with moveTo, lineTo and arc.
 *
 * A cell is drawn as a line from first to last and a bar from min to max, the M4 aggregation of Jugel et al. (2014): so
 * the picture is the one that all raw points would make, and a spike of a single step is never hidden.
 */

/** @typedef {import('../types.js').ChartRun} ChartRun */
/** @typedef {{moveTo: (x: number, y: number) => void, lineTo: (x: number, y: number) => void}} LineSink */
/** @typedef {(x: number, y: number) => void} DotSink */
/** @typedef {(x: number, low: number, high: number) => void} BarSink */
/** @typedef {{toX: (x: number) => number, toY: (y: number) => number}} Transform */

/**
 * Draw the raw values. Cells without points are passed over: the line joins what the run did log. A NaN or infinity
 * breaks the line, because there is no value to join. A point with no neighbour becomes a dot.
 * @param {LineSink} sink
 * @param {BarSink} bar takes what a cell reaches beyond its first and last value
 * @param {DotSink} dot
 * @param {{x: Float64Array, bucketWidth: number|null}} grid
 * @param {ChartRun['cells']} cells
 * @param {Transform} transform
 */
export function traceRaw(sink, bar, dot, { x, bucketWidth }, cells, { toX, toY }) {
  const { first, last, min, max, count, nonfinite } = cells;
  let nInLine = 0;
  let px = 0;
  let py = 0;
  for (let i = 0; i < x.length; i += 1) {
    if (count[i] === 0) {
      if (nonfinite[i] > 0) {
        if (nInLine === 1) dot(px, py);
        nInLine = 0;
      }
      continue;
    }
    // n evenly spread points of a bucket begin and end this far from its centre; without it a slope turns into stairs.
    const reach = bucketWidth === null ? 0 : (bucketWidth / 2) * (1 - 1 / count[i]);
    px = toX(x[i] - reach);
    if (nInLine === 0) sink.moveTo(px, toY(first[i]));
    else sink.lineTo(px, toY(first[i]));
    if (min[i] < Math.min(first[i], last[i]) || max[i] > Math.max(first[i], last[i])) bar(toX(x[i]), toY(min[i]), toY(max[i]));
    px = toX(x[i] + reach);
    py = toY(last[i]);
    sink.lineTo(px, py);
    // A cell of many points has an extent of its own and needs no dot.
    nInLine += count[i];
  }
  if (nInLine === 1) dot(px, py);
}

/**
 * Draw one value a cell: the smoothed line.
 * @param {LineSink} sink
 * @param {DotSink} dot
 * @param {Float64Array} x
 * @param {Float32Array} values NaN where there is none
 * @param {Transform} transform
 */
export function traceValues(sink, dot, x, values, { toX, toY }) {
  let n = 0;
  let px = 0;
  let py = 0;
  for (let i = 0; i < x.length; i += 1) {
    if (Number.isNaN(values[i])) continue;
    px = toX(x[i]);
    py = toY(values[i]);
    if (n === 0) sink.moveTo(px, py);
    else sink.lineTo(px, py);
    n += 1;
  }
  if (n === 1) dot(px, py);
}

/** A gap of this many usual gaps of a group is a hole: there were no members. */
const HOLE = 4;

/**
 * Draw a group: the line of its means and the area of its spread. Neither goes over a hole in what its members logged, and
 * where a cell has no spread there is no area.
 * @param {{line: LineSink, area: LineSink, dot: DotSink}} sinks
 * @param {Float64Array} x
 * @param {ArrayLike<number>} values of the line, NaN where there is none
 * @param {{low: ArrayLike<number>, high: ArrayLike<number>}} band NaN where there is none
 * @param {Transform} transform
 */
export function traceGroup({ line, area, dot }, x, values, { low, high }, { toX, toY }) {
  const filled = [...x.keys()].filter((i) => !Number.isNaN(values[i]));
  const widest = HOLE * usualGap(filled.map((i) => x[i]));
  /** @type {number[]} */
  let part = [];
  const fill = () => {
    if (part.length > 1) {
      part.forEach((i, place) => (place === 0 ? area.moveTo(toX(x[i]), toY(low[i])) : area.lineTo(toX(x[i]), toY(low[i]))));
      for (const i of part.reverse()) area.lineTo(toX(x[i]), toY(high[i]));
    }
    part = [];
  };
  filled.forEach((i, place) => {
    const isStart = place === 0 || x[i] - x[filled[place - 1]] > widest;
    const isEnd = place === filled.length - 1 || x[filled[place + 1]] - x[i] > widest;
    if (isStart || Number.isNaN(low[i]) || Number.isNaN(high[i])) fill();
    if (!Number.isNaN(low[i]) && !Number.isNaN(high[i])) part.push(i);
    if (isStart && isEnd) dot(toX(x[i]), toY(values[i]));
    else if (isStart) line.moveTo(toX(x[i]), toY(values[i]));
    else line.lineTo(toX(x[i]), toY(values[i]));
  });
  fill();
}

/** The median way from one x to the next. @param {number[]} x ascending */
function usualGap(x) {
  const gaps = x.slice(1).map((value, index) => value - x[index]).sort((a, b) => a - b);
  return gaps.length === 0 ? 0 : gaps[gaps.length >> 1];
}

/**
 * Mark every single point, when there are few enough to tell apart.
 * @param {DotSink} dot
 * @param {Float64Array} x
 * @param {ChartRun['cells']} cells
 * @param {Transform} transform
 * @param {number} minGap px that points must be apart on average
 */
export function tracePoints(dot, x, cells, { toX, toY }, minGap) {
  let n = 0;
  let begin = 0;
  let end = 0;
  for (let i = 0; i < x.length; i += 1) {
    if (cells.count[i] === 0) continue;
    if (n === 0) begin = toX(x[i]);
    end = toX(x[i]);
    n += 1;
  }
  if (n < 2 || (end - begin) / (n - 1) < minGap) return;
  for (let i = 0; i < x.length; i += 1) if (cells.count[i] > 0) dot(toX(x[i]), toY(cells.last[i]));
}

/** With outliers left out, this part of the cells' bounds may lie beyond each end of the scale. */
const OUTLIER_PART = 0.02;

/**
 * The range of y over the cells in an x range.
 * @param {Float64Array} x
 * @param {readonly ChartRun[]} runs
 * @param {{min: number, max: number}} xRange
 * @param {{isLog: boolean, isClipped: boolean}} scale log: without values of 0 and below; clipped: without outliers
 * @returns {{min: number, max: number, hasUndrawable: boolean, nClipped: number}|null} null when nothing can be drawn
 */
export function yExtent(x, runs, xRange, { isLog, isClipped }) {
  let low = Infinity;
  let high = -Infinity;
  let hasUndrawable = false;
  /** @type {number[]} */
  const bounds = [];
  const take = (/** @type {number} */ value) => {
    if (!Number.isFinite(value)) return;
    if (isLog && value <= 0) hasUndrawable = true;
    else {
      if (value < low) low = value;
      if (value > high) high = value;
      if (isClipped) bounds.push(value);
    }
  };
  for (const { cells } of runs) {
    for (let i = 0; i < x.length; i += 1) {
      if (cells.count[i] === 0 || x[i] < xRange.min || x[i] > xRange.max) continue;
      take(cells.min[i]);
      take(cells.max[i]);
      // A log axis must reach down to the smallest value above 0 even where the minimum is below it.
      if (isLog && cells.min[i] <= 0) take(cells.last[i]);
      if (cells.smooth) take(cells.smooth[i]);
    }
  }
  if (low > high) return null;
  const [min, max] = isClipped ? innerRange(bounds) : [low, high];
  const nClipped = bounds.reduce((n, value) => n + Number(value < min || value > max), 0);
  return { min, max, hasUndrawable, nClipped };
}

/** @param {number[]} values not empty @returns {[number, number]} */
function innerRange(values) {
  const sorted = Float64Array.from(values).sort();
  const skip = Math.floor(sorted.length * OUTLIER_PART);
  return [sorted[skip], sorted[sorted.length - 1 - skip]];
}

/**
 * The y range of a chart: the extent with a little room, never of no height.
 * @param {{min: number, max: number}|null} extent
 * @param {boolean} isLog
 * @returns {{min: number, max: number}}
 */
export function paddedRange(extent, isLog) {
  if (extent === null) return isLog ? { min: 0.1, max: 10 } : { min: 0, max: 1 };
  const { min, max } = extent;
  if (isLog) {
    const factor = Math.max((max / min) ** 0.05, 1.1);
    return { min: min / factor, max: max * factor };
  }
  // Of equal values, and of values that differ by float32 rounding only, show a band around them.
  const span = Math.max(max - min, Math.max(Math.abs(min), Math.abs(max)) * 1e-6);
  if (span === 0) return { min: -1, max: 1 };
  const room = max === min ? Math.max(Math.abs(max) * 0.1, 1e-12) : span * 0.06;
  return { min: min - room, max: max + room };
}

/**
 * Find the cell of a run that is nearest to an x.
 * @param {Float64Array} x ascending
 * @param {ChartRun['cells']} cells
 * @param {number} at
 * @param {number} tolerance in units of x
 * @returns {number} index, or -1 when the run has nothing within the tolerance
 */
export function nearestCell(x, cells, at, tolerance) {
  let right = lowerBound(x, at);
  let left = right - 1;
  const isUsed = (/** @type {number} */ i) => cells.count[i] > 0 || cells.nonfinite[i] > 0;
  while (left >= 0 && at - x[left] <= tolerance && !isUsed(left)) left -= 1;
  while (right < x.length && x[right] - at <= tolerance && !isUsed(right)) right += 1;
  const leftGap = left >= 0 ? at - x[left] : Infinity;
  const rightGap = right < x.length ? x[right] - at : Infinity;
  if (Math.min(leftGap, rightGap) > tolerance) return -1;
  return leftGap < rightGap ? left : right;
}

/** The first index whose x is not below a value. @param {Float64Array} x @param {number} at */
export function lowerBound(x, at) {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
