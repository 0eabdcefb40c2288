/**
 * A line chart: our seam around uPlot, which gives axes, scales, pointer and selection. The lines are our own, drawn
 * on uPlot's canvas from cells (see paths.js), so that runs come and go, fade and light up without a new chart.
 */
import uPlot from '../vendor/uplot.js';
import { formatTicks } from '../logic/format.js';
import { lowerBound, nearestCell, paddedRange, yExtent } from './paths.js';
import { makePaths, markNonfinite, strokeRun } from './strokes.js';
import { logTicks, niceTicks, xLabels, xTicks } from './ticks.js';

/** @typedef {import('../types.js').ChartData} ChartData */
/** @typedef {import('../types.js').ChartRun} ChartRun */
/** @typedef {import('../logic/colours.js').LineStyle} LineStyle */
/** @typedef {{min: number, max: number}} Range */
/** @typedef {import('./strokes.js').RunPaths} RunPaths */
/** @typedef {{run: ChartRun, index: number, y: number, distance: number}} Hit a run's cell near the pointer */
/**
 * @typedef {object} ChartEvents
 * @property {(range: Range) => void} onZoom
 * @property {() => void} onZoomBack
 * @property {(hits: Hit[], x: number, event: MouseEvent|null) => void} onPoint nearest run first; empty on leaving
 */

/**
 * @typedef {object} YAxis how values with a unit are shown
 * @property {(extent: Range) => {min: number|null, max: number|null}} range ends that hold whatever the values are
 * @property {(largest: number) => number} factor ticks are round when divided by it
 * @property {(ticks: readonly number[]) => string[]} ticks labels
 * @property {(value: number) => string} value
 */

const Y_AXIS_PX = 52;
/** With units behind them. */
const UNIT_Y_AXIS_PX = 66;
/** Where digits far behind the first tell the ticks apart, their labels may take this much. */
const WIDE_Y_AXIS_PX = 110;
const X_AXIS_PX = 24;
const RIGHT_PX = 16;
const TOP_PX = 8;
const Y_TICKS = 5;
/** Half the width of a digit of an axis label. */
const LABEL_HALF_PX = 3.2;
const LABEL_ROOM_PX = 10;
/** How far from the pointer a run's point may be, sideways, to be named in the tooltip. */
const REACH_PX = 20;
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** CSS pixels of the plot, without asking the page for its layout. @param {uPlot} u */
function plotWidth(u) {
  return u.bbox.width / devicePixelRatio;
}

/**
 * Leave out a label that would run out of the canvas on the right.
 * @param {uPlot} u
 * @param {number[]} splits
 * @param {string[]} labels
 */
function withoutClipped(u, splits, labels) {
  const room = (/** @type {number} */ at) => plotWidth(u) + RIGHT_PX - u.valToPos(at, 'x');
  return labels.map((label, index) => (room(splits[index]) < label.length * LABEL_HALF_PX ? '' : label));
}

/**
 * @param {string[]|null} labels
 * @param {number} usual
 * @returns {number} CSS pixels: the same for most charts, so that their plots line up
 */
function yAxisWidth(labels, usual) {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length));
  return Math.min(WIDE_Y_AXIS_PX, Math.max(usual, Math.ceil(longest * 2 * LABEL_HALF_PX) + LABEL_ROOM_PX));
}

export class LineChart {
  /**
   * @param {HTMLElement} host
   * @param {{xKind: string, isLog: boolean, isClipped: boolean, syncKey: string, axis: YAxis|null, events: ChartEvents}} options
   */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    /** @type {ChartData|null} */
    this.data = null;
    /** @type {ReadonlyMap<string, LineStyle>} */
    this.styles = new Map();
    /** @type {string|null} */
    this.highlight = null;
    /** @type {Range|null} */
    this.zoom = null;
    this.hasScale = false;
    this.hasUndrawable = false;
    this.nClipped = 0;
    /** @type {Map<string, RunPaths>} */
    this.paths = new Map();
    this.pathsKey = '';
    this.dataVersion = 0;
    this.isPointerInside = false;
    this.readTokens();
    this.plot = new uPlot(this.plotOptions(), [[0, 1], [null, null]], host);
    this.plot.over.addEventListener('mouseenter', () => { this.isPointerInside = true; });
    this.plot.over.addEventListener('mouseleave', () => this.pointerLeft());
    // The wheel must go on scrolling the page; only a drag zooms.
    this.resizer = new ResizeObserver(() => this.resize());
    this.resizer.observe(host);
  }

  /** Plot width in CSS pixels, for the number of buckets to ask for. */
  static plotWidth(/** @type {number} */ hostWidth) {
    return Math.max(50, hostWidth - Y_AXIS_PX - RIGHT_PX);
  }

  destroy() {
    this.pointerLeft();
    this.resizer.disconnect();
    this.plot.destroy();
  }

  /** @param {ChartData} data */
  setData(data) {
    this.data = data;
    this.dataVersion += 1;
    this.rescale();
  }

  /** @param {ReadonlyMap<string, LineStyle>} styles of the runs to draw; others of the data are left out */
  setStyles(styles) {
    this.styles = styles;
    this.rescale();
  }

  /** @param {string|null} id of the run to light up */
  setHighlight(id) {
    if (this.highlight === id) return;
    this.highlight = id;
    this.plot.redraw(false, false);
  }

  /** @param {Range|null} zoom */
  setZoom(zoom) {
    this.zoom = zoom;
    this.rescale();
  }

  /** Read the theme's colours again. */
  themeChanged() {
    this.readTokens();
    this.plot.redraw(false, true);
  }

  /** Runs that are drawn now. @returns {ChartRun[]} */
  drawnRuns() {
    return this.data ? this.data.runs.filter((run) => this.styles.has(run.id)) : [];
  }

  /** The x range that is drawn. @returns {Range} */
  xRange() {
    if (this.zoom) return this.zoom;
    const { xMin = null, xMax = null } = this.data ?? {};
    if (xMin === null || xMax === null) return { min: 0, max: 1 };
    // One point alone stands in the middle.
    return xMin === xMax ? { min: xMin - 0.5, max: xMax + 0.5 } : { min: xMin, max: xMax };
  }

  /** Units of x in one CSS pixel. */
  unitsPerPixel() {
    const { min, max } = this.xRange();
    return (max - min) / Math.max(1, plotWidth(this.plot));
  }

  rescale() {
    const range = this.xRange();
    const extent = this.data ? yExtent(this.data.x, this.drawnRuns(), range, this.options) : null;
    this.hasScale = extent !== null;
    this.hasUndrawable = extent?.hasUndrawable ?? false;
    this.nClipped = extent?.nClipped ?? 0;
    const fixed = extent && !this.options.isLog ? this.options.axis?.range(extent) : null;
    const padded = paddedRange(extent, this.options.isLog);
    const y = { min: fixed?.min ?? padded.min, max: fixed?.max ?? padded.max };
    this.plot.batch(() => {
      this.plot.setData([[range.min, range.max], [null, null]], false);
      this.plot.setScale('x', range);
      this.plot.setScale('y', y);
      this.plot.redraw(false, true);
    });
  }

  /** Ticks that are round in the unit that is shown. @param {number} min @param {number} max */
  yTicks(min, max) {
    const factor = this.options.axis?.factor(Math.max(Math.abs(min), Math.abs(max))) ?? 1;
    return niceTicks(min / factor, max / factor, Y_TICKS).map((tick) => tick * factor);
  }

  resize() {
    const { clientWidth, clientHeight } = this.host;
    if (clientWidth === 0 || clientHeight === 0) return;
    if (clientWidth === this.plot.width && clientHeight === this.plot.height) return;
    this.plot.setSize({ width: clientWidth, height: clientHeight });
  }

  readTokens() {
    const style = getComputedStyle(this.host);
    const read = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.tokens = { grid: read('--grid'), muted: read('--muted'), background: read('--surface-panel'), warn: read('--warn') };
  }

  /** @returns {uPlot.Options} */
  plotOptions() {
    const { xKind, isLog, axis } = this.options;
    const label = axis ? axis.ticks : formatTicks;
    const tickLimit = (/** @type {uPlot} */ u, /** @type {number} */ each) => Math.max(2, Math.floor(plotWidth(u) / each));
    return {
      width: Math.max(this.host.clientWidth, 100),
      height: Math.max(this.host.clientHeight, 80),
      padding: [TOP_PX, RIGHT_PX, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, auto: false, range: (_u, min, max) => [min, max] },
        y: { auto: false, distr: isLog ? 3 : 1, range: (_u, min, max) => [min, max] },
      },
      series: [{}, { scale: 'y', paths: () => null, points: { show: false } }],
      axes: [
        {
          ...this.axisLook(), size: X_AXIS_PX, gap: 4, grid: { show: false },
          splits: (u, _axis, min, max) => xTicks(xKind, min, max, Math.min(8, tickLimit(u, xKind === 'wall_time' ? 90 : 70))),
          values: (u, splits) => withoutClipped(u, splits, xLabels(xKind, splits)),
        },
        {
          ...this.axisLook(), size: (_u, labels) => yAxisWidth(labels, axis ? UNIT_Y_AXIS_PX : Y_AXIS_PX), gap: 4,
          grid: { show: true, stroke: () => this.tokens?.grid ?? '', width: 1 },
          // Where nothing can be drawn, as of a run of NaN alone, there is no scale to show.
          splits: (_u, _axis, min, max) => (!this.hasScale ? [] : isLog ? logTicks(min, max, Y_TICKS) : this.yTicks(min, max)),
          values: (_u, splits) => (isLog ? splits.map((tick) => label([tick])[0]) : label(splits)),
          filter: (_u, splits) => splits,
        },
      ],
      cursor: this.cursorOptions(),
      hooks: {
        draw: [() => this.draw()],
        setCursor: [() => this.pointerMoved()],
        setSelect: [() => this.selected()],
      },
    };
  }

  axisLook() {
    return { stroke: () => this.tokens?.muted ?? '', font: FONT, ticks: { show: false }, border: { show: false } };
  }

  /** @returns {uPlot.Cursor} */
  cursorOptions() {
    return {
      x: true,
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: 4 },
      // Only movements are shared: a zoom goes to all panels through the page's state.
      sync: {
        key: this.options.syncKey,
        setSeries: false,
        scales: ['x', null],
        filters: { pub: (type) => type === 'mousemove' || type === 'mouseleave', sub: () => true },
      },
      bind: {
        dblclick: () => () => {
          this.options.events.onZoomBack();
          return null;
        },
      },
    };
  }

  selected() {
    const { left, width } = this.plot.select;
    if (width < 4) return;
    const min = this.plot.posToVal(left, 'x');
    const max = this.plot.posToVal(left + width, 'x');
    this.plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (max > min) this.options.events.onZoom({ min, max });
  }

  pointerMoved() {
    if (!this.isPointerInside || !this.data) return;
    const { left, top } = this.plot.cursor;
    if (left === undefined || left < 0 || top === undefined) return this.options.events.onPoint([], 0, null);
    const at = this.plot.posToVal(left, 'x');
    return this.options.events.onPoint(this.hitsAt(at, top), at, this.plot.cursor.event ?? null);
  }

  pointerLeft() {
    if (!this.isPointerInside) return;
    this.isPointerInside = false;
    this.options.events.onPoint([], 0, null);
  }

  /** @param {number} at x @param {number} top px @returns {Hit[]} nearest first */
  hitsAt(at, top) {
    const { data } = this;
    if (!data) return [];
    const reach = Math.max(REACH_PX * this.unitsPerPixel(), (data.bucketWidth ?? 0) / 2);
    /** @type {Hit[]} */
    const hits = [];
    for (const run of this.drawnRuns()) {
      const index = nearestCell(data.x, run.cells, at, reach);
      if (index < 0) continue;
      const y = (run.cells.smooth ?? run.cells.last)[index];
      const distance = Number.isFinite(y) ? Math.abs(this.plot.valToPos(y, 'y') - top) : Infinity;
      hits.push({ run, index, y, distance });
    }
    return hits.sort((a, b) => a.distance - b.distance);
  }

  draw() {
    const { ctx, bbox } = this.plot;
    if (!this.data) return;
    this.buildPaths();
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 2, bbox.width, bbox.height + 4);
    ctx.clip();
    ctx.lineJoin = 'round';
    for (const run of this.drawOrder()) this.drawRun(ctx, run);
    ctx.restore();
    this.drawNonfinite(ctx);
  }

  /** Neutral lines lie below coloured ones, the lit one above all. */
  drawOrder() {
    const rank = (/** @type {ChartRun} */ run) => {
      if (run.id === this.highlight) return 2;
      return this.styles.get(run.id)?.isNeutral ? 0 : 1;
    };
    // Oldest first, so that newer runs lie on top.
    return this.drawnRuns().reverse().sort((a, b) => rank(a) - rank(b));
  }

  /** @param {CanvasRenderingContext2D} ctx @param {ChartRun} run */
  drawRun(ctx, run) {
    const style = this.styles.get(run.id);
    const paths = this.paths.get(run.id);
    if (!style || !paths) return;
    const isLit = run.id === this.highlight;
    const isFaded = !isLit && this.highlight !== null && this.styles.has(this.highlight);
    const barPx = (this.data?.bucketWidth ?? 0) / this.unitsPerPixel();
    strokeRun(ctx, paths, { style, isLit, isFaded, barPx, background: this.tokens?.background ?? '' });
  }

  /** A triangle on the axis wherever a run logged NaN or an infinity: these have no place on the scale. */
  drawNonfinite(/** @type {CanvasRenderingContext2D} */ ctx) {
    if (!this.data) return;
    const { toX } = this.transform();
    for (const run of this.drawnRuns()) {
      ctx.fillStyle = this.styles.get(run.id)?.colour ?? '';
      markNonfinite(ctx, this.data.x, run.cells.nonfinite, toX, this.plot.bbox);
    }
  }

  /** From values to canvas pixels; written out because a wall of charts calls it 100,000 times a second. */
  transform() {
    const { bbox, scales } = this.plot;
    const [xMin, xMax] = [scales.x.min ?? 0, scales.x.max ?? 1];
    const [yMin, yMax] = [scales.y.min ?? 0, scales.y.max ?? 1];
    const xFactor = bbox.width / (xMax - xMin);
    const toX = (/** @type {number} */ x) => bbox.left + (x - xMin) * xFactor;
    const bottom = bbox.top + bbox.height;
    if (this.options.isLog) {
      const low = Math.log10(yMin);
      const factor = bbox.height / (Math.log10(yMax) - low);
      // What is not above 0 goes just below the plot, where it is clipped.
      return { toX, toY: (/** @type {number} */ y) => (y > 0 ? bottom - (Math.log10(y) - low) * factor : bottom + bbox.height) };
    }
    const yFactor = bbox.height / (yMax - yMin);
    return { toX, toY: (/** @type {number} */ y) => bottom - (y - yMin) * yFactor };
  }

  /** Make the strokes anew only when data, scales or size changed: a hover redraws the same ones. */
  buildPaths() {
    const { data, plot: { bbox, scales } } = this;
    const key = [this.dataVersion, scales.x.min, scales.x.max, scales.y.min, scales.y.max, bbox.left, bbox.width,
      bbox.height].join();
    if (key !== this.pathsKey) this.paths.clear();
    this.pathsKey = key;
    if (!data) return;
    const transform = this.transform();
    for (const run of this.drawnRuns()) {
      if (!this.paths.has(run.id)) this.paths.set(run.id, makePaths(data, run, transform));
    }
  }

  /** The x of the grid that is nearest to a value. @param {number} at */
  gridX(at) {
    if (!this.data || this.data.x.length === 0) return at;
    const { x } = this.data;
    const right = Math.min(lowerBound(x, at), x.length - 1);
    return right > 0 && at - x[right - 1] < x[right] - at ? x[right - 1] : x[right];
  }
}
