/** Draws runs on a canvas: makes the paths of a run once, and strokes them as often as something lights up or fades. */
import { traceGroup, tracePoints, traceRaw, traceValues } from './paths.js';

/** @typedef {import('../types.js').ChartData} ChartData */
/** @typedef {import('../types.js').ChartRun} ChartRun */
/** @typedef {import('../logic/colours.js').LineStyle} LineStyle */
/** @typedef {{raw: Path2D, bars: Path2D, dots: Path2D, smooth: Path2D|null, band: Path2D|null}} RunPaths */

const LINE_PX = 1.5;
const DOT_PX = 2;
/** A point without a neighbour has no line that leads to it. */
const LONE_DOT_PX = 3.5;
const MARK_PX = 3.5;
/** Points at least this far apart are marked one by one. */
const POINT_GAP_PX = 18;
const GHOST_ALPHA = 0.15;
const FADED_ALPHA = 0.2;
/** Bars let lines below shine through, but a lone spike must still be plain to see. */
const BAR_ALPHA = 0.6;
const MAX_BAR_PX = 4;
const BAND_ALPHA = 0.18;

/**
 * @param {ChartData} data
 * @param {ChartRun} run
 * @param {import('./paths.js').Transform} transform
 * @returns {RunPaths}
 */
export function makePaths(data, run, transform) {
  const raw = new Path2D();
  const bars = new Path2D();
  const dots = new Path2D();
  const dotOf = (/** @type {number} */ radiusPx) => (/** @type {number} */ x, /** @type {number} */ y) => {
    const radius = radiusPx * devicePixelRatio;
    dots.moveTo(x + radius, y);
    dots.arc(x, y, radius, 0, 2 * Math.PI);
  };
  const loneDot = dotOf(LONE_DOT_PX);
  const bar = (/** @type {number} */ x, /** @type {number} */ low, /** @type {number} */ high) => {
    bars.moveTo(x, low);
    bars.lineTo(x, high);
  };
  const smooth = run.cells.smooth ? new Path2D() : null;
  if (run.band) {
    const area = new Path2D();
    const none = new Path2D();
    traceGroup({ line: raw, area, dot: smooth ? () => {} : loneDot }, data.x, run.cells.mean, run.band, transform);
    if (smooth && run.cells.smooth) traceGroup({ line: smooth, area: none, dot: loneDot }, data.x, run.cells.smooth, run.band, transform);
    return { raw, bars, dots, smooth, band: area };
  }
  traceRaw(raw, bar, smooth ? () => {} : loneDot, data, run.cells, transform);
  if (smooth && run.cells.smooth) traceValues(smooth, loneDot, data.x, run.cells.smooth, transform);
  else tracePoints(dotOf(DOT_PX), data.x, run.cells, transform, POINT_GAP_PX * devicePixelRatio);
  return { raw, bars, dots, smooth, band: null };
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {RunPaths} paths
 * @param {{style: LineStyle, isLit: boolean, isFaded: boolean, barPx: number, background: string}} look
 */
export function strokeRun(ctx, { raw, bars, dots, smooth, band }, { style, isLit, isFaded, barPx, background }) {
  const ratio = devicePixelRatio;
  const alpha = isFaded ? FADED_ALPHA : 1;
  const dash = style.dash.map((length) => length * ratio);
  const stroke = (/** @type {Path2D} */ path, /** @type {number} */ width, /** @type {number} */ opacity, dashes = dash) => {
    ctx.globalAlpha = opacity;
    ctx.lineWidth = width * ratio;
    ctx.setLineDash(dashes);
    ctx.stroke(path);
  };
  ctx.strokeStyle = style.colour;
  ctx.fillStyle = style.colour;
  if (band) {
    ctx.globalAlpha = BAND_ALPHA * (smooth ? 0.6 : 1) * (isFaded ? 0.3 : isLit ? 1.6 : 1);
    ctx.fill(band);
  }
  const ghost = smooth ? GHOST_ALPHA * (isLit ? 2 : 1) : 1;
  // As wide as a bucket, so that neighbouring bars touch and make a band rather than a comb.
  stroke(bars, Math.min(MAX_BAR_PX, Math.max(LINE_PX, barPx)), alpha * ghost * (smooth ? 1 : BAR_ALPHA), []);
  if (smooth) stroke(raw, LINE_PX, alpha * ghost, []);
  const line = smooth ?? raw;
  if (isLit) {
    ctx.strokeStyle = background;
    stroke(line, LINE_PX + 2, 1, []);
    ctx.strokeStyle = style.colour;
  }
  stroke(line, isLit ? LINE_PX + 0.5 : LINE_PX, alpha);
  ctx.fill(dots);
}

/**
 * @param {CanvasRenderingContext2D} ctx filled with the run's colour
 * @param {Float64Array} x
 * @param {Uint32Array} nonfinite
 * @param {(x: number) => number} toX
 * @param {{left: number, top: number, width: number, height: number}} box of the plot
 */
export function markNonfinite(ctx, x, nonfinite, toX, box) {
  const size = MARK_PX * devicePixelRatio;
  const bottom = box.top + box.height;
  let lastX = -Infinity;
  for (let i = 0; i < x.length; i += 1) {
    if (nonfinite[i] === 0) continue;
    const px = toX(x[i]);
    // A long row of NaN is a band of marks, not thousands of them.
    if (px - lastX < size || px < box.left || px > box.left + box.width) continue;
    lastX = px;
    ctx.beginPath();
    ctx.moveTo(px - size, bottom);
    ctx.lineTo(px + size, bottom);
    ctx.lineTo(px, bottom - 1.7 * size);
    ctx.fill();
  }
}
