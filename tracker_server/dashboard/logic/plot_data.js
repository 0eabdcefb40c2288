/** What a plot that a run logged draws, from the JSON that it kept. Whatever that holds, what comes out can be drawn. Pure. */

/** @typedef {{name: string, x: number[], y: number[], note: string}} Series points in the order given; NaN breaks a line */
/** @typedef {{type: 'xy', isLine: boolean, isUnit: boolean, series: Series[], categories: string[], xLabel: string, yLabel: string, nLeftOut: number}} XyPlot */
/** @typedef {{type: 'bars', labels: string[], values: number[], xLabel: string, yLabel: string, nLeftOut: number}} BarPlot */
/** @typedef {{type: 'bins', bins: number[], counts: number[], xLabel: string, yLabel: string}} BinPlot */
/** @typedef {{type: 'matrix', classes: string[], counts: number[][], nLeftOut: number}} MatrixPlot */
/** @typedef {XyPlot|BarPlot|BinPlot|MatrixPlot} Plot */

const MAX_SERIES = 50;
const MAX_POINTS = 20_000;
const MAX_BARS = 500;
const MAX_CLASSES = 200;
const MAX_BINS = 4096;

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (/** @type {unknown} */ value) => (typeof value === 'string' ? value.slice(0, 300) : '');
const list = (/** @type {unknown} */ value) => (Array.isArray(value) ? value : []);
const named = (/** @type {unknown} */ value) => (typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 300) : '');

/** @param {unknown} value */
function number(value) {
  if (typeof value === 'number') return value;
  return typeof value === 'boolean' ? Number(value) : NaN;
}

/** @param {string} kind @param {unknown} content @returns {Plot|null} null: nothing that can be drawn */
export function plotOf(kind, content) {
  if (!isObject(content)) return null;
  const labels = { xLabel: text(content.x_label), yLabel: text(content.y_label) };
  if (kind === 'bar') return barsOf(content, labels);
  if (kind === 'histogram') return binsOf(content.bins, content.counts, labels);
  if (kind === 'confusion_matrix') return matrixOf(content);
  return xyOf(kind, content, labels);
}

/** @param {unknown} bins @param {unknown} counts @param {{xLabel: string, yLabel: string}} [labels] @returns {BinPlot|null} */
export function binsOf(bins, counts, labels = { xLabel: '', yLabel: '' }) {
  const edges = list(bins).slice(0, MAX_BINS + 1).map(number);
  const heights = list(counts).slice(0, MAX_BINS).map(number).map((count) => (Number.isFinite(count) ? Math.max(0, count) : 0));
  const isGood = heights.length > 0 && edges.length === heights.length + 1 && edges.every(Number.isFinite) && edges.every((edge, index) => index === 0 || edge >= edges[index - 1]);
  return isGood ? { type: 'bins', bins: edges, counts: heights, ...labels } : null;
}

/** @param {Record<string, any>} content @param {{xLabel: string, yLabel: string}} labels @returns {BarPlot|null} */
function barsOf(content, labels) {
  const values = list(content.values);
  const names = list(content.labels);
  if (values.length === 0) return null;
  const shown = values.slice(0, MAX_BARS);
  return { type: 'bars', labels: shown.map((_, index) => named(names[index]) || String(index)), values: shown.map(number), ...labels, nLeftOut: values.length - shown.length };
}

/** @param {Record<string, any>} content @returns {MatrixPlot|null} */
function matrixOf(content) {
  const rows = list(content.counts);
  const names = list(content.classes);
  const n = Math.min(rows.length, MAX_CLASSES);
  if (n === 0) return null;
  const counts = Array.from({ length: n }, (_, row) => Array.from({ length: n }, (_unused, column) => {
    const count = number(list(rows[row])[column]);
    return Number.isFinite(count) ? count : 0;
  }));
  return { type: 'matrix', classes: counts.map((_, index) => named(names[index]) || String(index)), counts, nLeftOut: rows.length - n };
}

/** @param {string} kind @param {Record<string, any>} content @param {{xLabel: string, yLabel: string}} labels @returns {XyPlot|null} */
function xyOf(kind, content, labels) {
  const given = list(content.series).filter(isObject);
  const shown = given.slice(0, MAX_SERIES);
  const nEach = Math.max(100, Math.floor(MAX_POINTS / Math.max(1, shown.length)));
  /** @type {Map<string, number>} */
  const categories = new Map();
  let nLeftOut = given.length > shown.length ? 1 : 0;
  const series = shown.map((one, index) => {
    const n = Math.min(list(one.x).length, list(one.y).length);
    const places = n <= nEach ? Array.from({ length: n }, (_, at) => at) : Array.from({ length: nEach }, (_, at) => Math.round(at * (n - 1) / (nEach - 1)));
    nLeftOut += n - places.length;
    const note = ['area', 'average_precision'].map((name) => [name, one[name]]).filter(([, value]) => typeof value === 'number')
      .map(([name, value]) => `${name === 'area' ? 'AUC' : 'AP'} ${Number(value).toFixed(3)}`).join(' ');
    return { name: named(one.name) || `series ${index + 1}`, x: places.map((at) => position(one.x[at], categories)), y: places.map((at) => number(one.y[at])), note };
  });
  if (!series.some(({ x, y }) => x.some((value, at) => Number.isFinite(value) && Number.isFinite(y[at])))) return null;
  const isUnit = kind === 'pr_curve' || kind === 'roc_curve';
  return { type: 'xy', isLine: kind !== 'scatter', isUnit, series, categories: [...categories.keys()], ...labels, nLeftOut };
}

/** Texts stand side by side in the order in which they come. @param {unknown} value @param {Map<string, number>} categories */
function position(value, categories) {
  if (typeof value !== 'string') return number(value);
  const name = value.slice(0, 300);
  if (!categories.has(name)) categories.set(name, categories.size);
  return /** @type {number} */ (categories.get(name));
}

/** The bounds of finite numbers, a little wider where all are the same. @param {Iterable<number>} values @returns {[number, number]} */
export function boundsOf(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  if (low < high) return [low, high];
  const margin = Math.abs(low) * 0.05 || 1;
  return [low - margin, high + margin];
}

/** Whether positive values are so far apart that a linear axis shows nothing of most of them. @param {readonly Series[]} series */
export function suitsLog(series) {
  const all = series.flatMap(({ x }) => x.filter(Number.isFinite)).sort((a, b) => a - b);
  if (all.length < 8 || all[0] <= 0) return false;
  const middle = all[Math.floor(all.length / 2)];
  return all[all.length - 1] / all[0] > 1000 && middle / all[all.length - 1] < 0.05;
}

/** What of a Plotly figure can be drawn without Plotly. @param {unknown} figure @returns {{plot: Plot|null, title: string, traces: string[]}} */
export function plainFigure(figure) {
  const data = isObject(figure) ? list(figure.data).filter(isObject) : [];
  const layout = isObject(figure) && isObject(figure.layout) ? figure.layout : {};
  const title = text(isObject(layout.title) ? layout.title.text : layout.title);
  const lines = data.filter((trace) => ['scatter', 'scattergl', undefined].includes(trace.type) && Array.isArray(trace.y));
  const isScatter = lines.length > 0 && lines.every((trace) => trace.mode === 'markers');
  const series = lines.map((trace) => ({ name: trace.name, x: Array.isArray(trace.x) ? trace.x : trace.y.map((/** @type {any} */ _, /** @type {number} */ at) => at), y: trace.y }));
  const bar = data.find((trace) => trace.type === 'bar');
  const plot = series.length > 0 ? plotOf(isScatter ? 'scatter' : 'line', { series }) : bar ? plotOf('bar', { labels: bar.x, values: bar.y }) : null;
  return { plot, title, traces: data.slice(0, 50).map((trace) => [text(trace.type) || 'scatter', named(trace.name)].filter(Boolean).join(' ')) };
}
