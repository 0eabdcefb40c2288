/** Joins one chart to the page: which data it wants, how its lines look, where the pointer is. */
import { ApiError, fetchChart, fetchSeriesCsv } from '../api.js';
import { describeFidelity, describeSmoothing, formatNumber, formatX, plural } from '../logic/format.js';
import { smoothingRequest } from '../logic/view_state.js';
import { theme } from '../state/preferences.js';
import { onPoints } from '../state/project_store.js';
import { chartAxes, hoveredRun } from '../state/view.js';
import { effect } from '../ui.js';
import { LineChart } from './line_chart.js';
import { createLoader } from './loader.js';

/** @typedef {import('../types.js').ChartData} ChartData */
/** @typedef {import('../types.js').ChartRequest} ChartRequest */
/** @typedef {import('../logic/colours.js').LineStyle} LineStyle */
/**
 * @typedef {object} Scope what a wall of panels draws; a line is a run, or one of several metrics of a run
 * @property {string} project
 * @property {string} [storageKey] under which folded sections are remembered; usual: the project
 * @property {import('../vendor/signals.js').ReadonlySignal<string[]>} charted ids of the lines
 * @property {import('../vendor/signals.js').ReadonlySignal<Map<string, LineStyle>>} styles by id
 * @property {(id: string) => string} nameOf of a line
 * @property {(metric: string) => string} titleOf of a panel
 * @property {(metric: string) => string} fullTitleOf the same away from its section: "GPU 0: Power"
 * @property {(metric: string) => string} noteOf what stands beside the title
 * @property {import('../state/view.js').Axes} axes
 * @property {(request: ChartRequest, signal: AbortSignal) => Promise<ChartData>} load
 * @property {(id: string, metric: string) => Promise<string>} csvOf every point of a line
 * @property {(listener: (ids: Set<string>|null) => void) => (() => void)} onPoints which lines have new points
 * @property {((metric: string) => import('./line_chart.js').YAxis)|null} axisOf null: plain numbers
 * @property {string} [noun] what a line is; usual: run
 * @property {() => import('../components/menu.js').MenuItem[]} [choices] in the menu of each panel
 * @property {import('../vendor/signals.js').ReadonlySignal<string>} [wishes] when it changes, panels load anew
 * @property {() => string[]} [csvIds] runs whose points are downloaded; usual: the lines
 */
/** @typedef {{kind: 'loading'|'ready'|'empty'|'error', footer: string, summary: string, subtitle: string}} PanelStatus */

/** Its code is not needed before somebody points at a chart; what is asked of it is done in the order of asking. */
const tooltip = () => import('./tooltip.js');
const ZOOM_MARGIN = 0.05;
/** Buckets in multiples of this, so that dragging a divider by a pixel asks for nothing new. */
const BUCKET_STEP = 16;
const LIT_PX = 28;

/**
 * A line a run.
 * @param {Pick<Scope, 'project'|'charted'|'styles'|'nameOf'>} options
 * @returns {Scope}
 */
export function runScope({ project, charted, styles, nameOf }) {
  return {
    project, charted, styles, nameOf, onPoints, axes: chartAxes, axisOf: null,
    titleOf: (metric) => metric,
    fullTitleOf: (metric) => metric,
    noteOf: () => '',
    load: (request, signal) => fetchChart(project, request, signal),
    csvOf: (id, metric) => fetchSeriesCsv(project, id, metric),
  };
}

export class PanelController {
  /**
   * @param {object} options
   * @param {HTMLElement} options.host
   * @param {Scope} options.scope
   * @param {string} options.metric
   * @param {boolean} options.isLog
   * @param {boolean} options.isClipped
   * @param {ChartData|null} options.cached data from an earlier mount, drawn until fresh data comes
   * @param {(status: PanelStatus) => void} options.onStatus
   */
  constructor({ host, scope, metric, isLog, isClipped, cached, onStatus }) {
    this.scope = scope;
    this.metric = metric;
    this.onStatus = onStatus;
    this.axes = scope.axes;
    this.axis = scope.axisOf?.(metric) ?? null;
    this.xKind = scope.axes.x.peek();
    this.chart = new LineChart(host, {
      xKind: this.xKind,
      isLog,
      isClipped,
      syncKey: `x:${this.xKind}`,
      axis: this.axis,
      events: { onZoom: scope.axes.zoomTo, onZoomBack: scope.axes.zoomBack, onPoint: (hits, x, event) => this.pointed(hits, x, event) },
    });
    /** @type {ReturnType<typeof createLoader<ChartRequest, ChartData>>} */
    this.loader = createLoader({
      load: scope.load,
      deliver: (data, request) => this.deliver(data, request),
      fail: (problem) => this.failed(problem),
    });
    if (cached) this.chart.setData(cached);
    this.stops = this.follow();
    this.resizer = new ResizeObserver(() => this.widthChanged());
    this.resizer.observe(host);
    this.nBuckets = 0;
    /** @type {{kind: string, value: number, request: import('../types.js').Smoothing|null}} */
    this.smoothed = { kind: '', value: 0, request: null };
    this.widthChanged();
  }

  /** @returns {(() => void)[]} */
  follow() {
    return [
      effect(() => this.restyle(this.scope.styles.value)),
      effect(() => this.chart.setZoom(this.axes.zoom.value)),
      effect(() => this.chart.setHighlight(hoveredRun.value)),
      effect(() => {
        theme.value;
        // The new theme's CSS variables hold from the next style pass on.
        requestAnimationFrame(() => this.chart.themeChanged());
      }),
      effect(() => {
        [this.scope.charted.value, this.scope.wishes?.value, this.axes.zoom.value, this.axes.smoothing.value, this.axes.smoothKind.value];
        if (this.nBuckets > 0) this.loader.want(this.request());
      }),
      this.scope.onPoints((ids) => {
        if (ids === null || this.scope.charted.peek().some((id) => ids.has(id))) this.loader.again();
      }),
    ];
  }

  dispose() {
    for (const stop of this.stops) stop();
    this.loader.stop();
    this.resizer.disconnect();
    this.chart.destroy();
  }

  widthChanged() {
    const plotWidth = LineChart.plotWidth(this.chart.host.clientWidth);
    const nBuckets = Math.max(BUCKET_STEP, Math.round(plotWidth / 2 / BUCKET_STEP) * BUCKET_STEP);
    if (nBuckets === this.nBuckets || this.chart.host.clientWidth === 0) return;
    this.nBuckets = nBuckets;
    this.loader.want(this.request());
  }

  /** @returns {ChartRequest} */
  request() {
    const range = this.axes.zoom.peek();
    // A little beyond the edges, so that lines run out of the picture rather than end in it.
    const margin = range ? (range.max - range.min) * ZOOM_MARGIN : 0;
    return {
      runs: this.scope.charted.peek(),
      metric: this.metric,
      x: this.xKind,
      x_min: range ? range.min - margin : null,
      x_max: range ? range.max + margin : null,
      n_buckets: Math.round(this.nBuckets * (range ? 1 + 2 * ZOOM_MARGIN : 1)),
      smoothing: this.smoothing() ?? { kind: 'none' },
    };
  }

  /**
   * In units of x, made once from the whole range: neither a zoom nor another run nor new points move a curve.
   * Null until the first answer has told the range.
   */
  smoothing() {
    const [kind, value] = [this.axes.smoothKind.peek(), this.axes.smoothing.peek()];
    if (this.smoothed.request === null || this.smoothed.kind !== kind || this.smoothed.value !== value) {
      const { xMin = null, xMax = null } = this.chart.data ?? {};
      const range = xMin === null || xMax === null ? null : { min: xMin, max: xMax };
      this.smoothed = { kind, value, request: smoothingRequest(kind, value, range) };
    }
    return this.smoothed.request;
  }

  /** @param {ChartData} data @param {ChartRequest} request */
  deliver(data, request) {
    if (request.x !== this.xKind) return;
    this.chart.setData(data);
    this.report();
    if (this.smoothed.request === null && data.xMin !== null) this.loader.want(this.request());
  }

  /** @param {Error} problem */
  failed(problem) {
    const isRefused = problem instanceof ApiError && problem.status !== 401;
    // While the server is away or the session over, which the top bar tells, what was drawn stays readable.
    if (!isRefused && this.chart.data) return;
    const text = problem instanceof ApiError ? problem.message : 'The server does not answer';
    this.onStatus({ kind: 'error', footer: text, summary: '', subtitle: '' });
  }

  /** @param {Map<string, LineStyle>} styles */
  restyle(styles) {
    this.chart.setStyles(styles);
    if (this.chart.data) this.report();
  }

  report() {
    const { data } = this.chart;
    if (!data) return;
    const runs = this.chart.drawnRuns();
    const nNonfinite = runs.reduce((sum, run) => sum + run.n_nonfinite, 0);
    const footer = describeFidelity({
      isExact: data.isExact, xKind: data.xKind, unitsPerPixel: this.chart.unitsPerPixel(), nNonfinite,
      hasUndrawable: this.chart.hasUndrawable, nClipped: this.chart.nClipped,
      isOfMeans: data.smoothing.points === 'cells', xError: data.xError,
    });
    const described = runs.slice(0, 8).map((run) => this.describe(run));
    this.onStatus({
      kind: runs.length > 0 ? 'ready' : 'empty',
      footer: runs.length > 0 ? footer : '',
      summary: `${this.scope.fullTitleOf(this.metric)}, ${plural(runs.length, this.scope.noun ?? (this.axis ? 'line' : 'run'))}. ${described.join(' ')}`,
      subtitle: describeSmoothing(data.smoothing, data.xKind),
    });
  }

  /** @param {import('../types.js').ChartRun} run */
  describe(run) {
    const text = (/** @type {number|null} */ value) => (value === null ? 'none' : this.valueText(value));
    return `${this.scope.nameOf(run.id)}: last ${text(run.last)}, min ${text(run.min)}, max ${text(run.max)}.`;
  }

  /** @param {number} value @param {number} [digits] */
  valueText(value, digits) {
    return this.axis ? this.axis.value(value) : formatNumber(value, digits);
  }

  /** @param {import('./line_chart.js').Hit[]} hits @param {number} x @param {MouseEvent|null} event */
  pointed(hits, x, event) {
    if (hits.length === 0 || !event) {
      tooltip().then(({ hideTooltip }) => hideTooltip());
      hoveredRun.value = null;
      return;
    }
    const lit = hits[0].distance <= LIT_PX ? hits[0].run.id : null;
    hoveredRun.value = lit;
    const { data } = this.chart;
    const label = data?.xKind.startsWith('metric') ? data.xLabel : { step: 'step', relative_time: 'after', wall_time: '' }[this.xKind];
    const content = {
      hits, lit, nameOf: this.scope.nameOf, styles: this.scope.styles.peek(),
      format: (/** @type {number} */ value, /** @type {number|undefined} */ digits) => this.valueText(value, digits),
      xText: `${label ?? ''} ${formatX(this.chart.gridX(x), this.xKind)}`.trim(),
    };
    tooltip().then(({ showTooltip }) => showTooltip(content, { x: event.clientX, y: event.clientY }));
  }
}
