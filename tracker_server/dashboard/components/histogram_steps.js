/** Histograms of a key over the steps of a run, as a map of how many values were where. */
import { niceTicks } from '../charts/ticks.js';
import { formatTicks, formatNumber } from '../logic/format.js';
import { boundsOf, binsOf } from '../logic/plot_data.js';
import { fetchMediaValues } from '../media_api.js';
import { theme } from '../state/preferences.js';
import { html, useEffect, useMemo, useRef, useState } from '../ui.js';

const MAX_STEPS = 200;
const ROWS = 120;
const LEFT = 52;
const RIGHT = 12;
const TOP = 8;
const BOTTOM = 24;
const COLOURS = { light: [36, 88, 197], dark: [127, 176, 255] };

/** @param {{where: import('../media_api.js').Where, mediaKey: string, nValues: number, width: number, height: number}} props */
export function HistogramSteps({ where, mediaKey, nValues, width, height }) {
  const [values, setValues] = useState(/** @type {import('../types.js').MediaValue[]|null} */ (null));
  const [error, setError] = useState(/** @type {Error|null} */ (null));
  const ref = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useEffect(() => {
    let isStale = false;
    fetchMediaValues(where, { key: mediaKey, limit: MAX_STEPS, is_spread: 'true' })
      .then((page) => { if (!isStale) setValues(page.values); }, (problem) => { if (!isStale) setError(problem); });
    return () => { isStale = true; };
  }, [where.project, where.run, mediaKey, nValues]);
  const columns = useMemo(() => (values ?? []).map(({ step, value }) => ({ step, plot: binsOf(value?.bins, value?.counts) })).filter(({ plot }) => plot !== null), [values]);
  const [low, high] = useMemo(() => boundsOf(columns.flatMap(({ plot }) => (plot ? [plot.bins[0], plot.bins[plot.bins.length - 1]] : []))), [columns]);
  const shown = theme.value;
  useEffect(() => { if (ref.current && columns.length > 0) draw(ref.current, columns, low, high, COLOURS[shown]); }, [columns, low, high, shown]);
  if (error) return html`<p class="trouble" role="alert">${error.message}</p>`;
  if (!values) return html`<div class="media-wait is-plot"></div>`;
  if (columns.length === 0) return html`<p class="muted pad">No histograms</p>`;
  const ticks = niceTicks(low, high, 5);
  const labels = formatTicks(ticks);
  const top = (/** @type {number} */ value) => TOP + (height - BOTTOM - TOP) * (1 - (value - low) / (high - low));
  const nAll = values.length < nValues ? `${formatNumber(values.length)} of ${formatNumber(nValues)} steps` : `${formatNumber(nValues)} steps`;
  return html`<div class="plot-body"><div class="heat-place">
    <canvas ref=${ref} width=${Math.max(1, columns.length)} height=${ROWS} aria-label=${`${mediaKey} over ${nAll}`} role="img" style=${`left:${100 * LEFT / width}%;top:${100 * TOP / height}%;width:${100 * (width - LEFT - RIGHT) / width}%;height:${100 * (height - TOP - BOTTOM) / height}%`}></canvas>
    <svg class="plot" viewBox=${`0 0 ${width} ${height}`} aria-hidden="true"><g class="plot-axes">
      ${ticks.map((tick, index) => html`<text x=${LEFT - 6} y=${top(tick) + 4} text-anchor="end">${labels[index]}</text>`)}
      <text x=${LEFT} y=${height - 8}>${formatNumber(columns[0].step)}</text>
      <text class="plot-label" x=${(LEFT + width) / 2} y=${height - 8} text-anchor="middle">step</text>
      <text x=${width - RIGHT} y=${height - 8} text-anchor="end">${formatNumber(columns[columns.length - 1].step)}</text></g></svg></div>
    <p class="muted plot-note">${nAll}; the stronger, the more values, of each step by itself</p></div>`;
}

/** @param {HTMLCanvasElement} canvas @param {{step: number, plot: import('../logic/plot_data.js').BinPlot|null}[]} columns @param {number} low @param {number} high @param {number[]} colour */
function draw(canvas, columns, low, high, [red, green, blue]) {
  const context = canvas.getContext('2d');
  if (!context) return;
  canvas.width = columns.length;
  const image = context.createImageData(columns.length, ROWS);
  columns.forEach(({ plot }, column) => {
    if (!plot) return;
    const density = new Float64Array(ROWS);
    plot.counts.forEach((count, index) => spread(density, count, (plot.bins[index] - low) / (high - low) * ROWS, (plot.bins[index + 1] - low) / (high - low) * ROWS));
    const fullest = Math.max(...density) || 1;
    density.forEach((value, row) => {
      const at = ((ROWS - 1 - row) * columns.length + column) * 4;
      image.data.set([red, green, blue, Math.round(255 * Math.sqrt(value / fullest))], at);
    });
  });
  context.putImageData(image, 0, 0);
}

/** Add a bin's count to the rows that it covers, each by its part. @param {Float64Array} rows @param {number} count @param {number} from @param {number} to */
function spread(rows, count, from, to) {
  const width = Math.max(to - from, 1e-9);
  for (let row = Math.max(0, Math.floor(from)); row < Math.min(rows.length, Math.ceil(to) || 1); row += 1) {
    const part = Math.min(to, row + 1) - Math.max(from, row);
    rows[row] += count * (to - from < 1e-9 ? 1 : Math.max(0, part) / width);
  }
}
