/** A plot that a run logged, as SVG in the colours of the page. Labels are always text nodes. */
import { slotStyle } from '../logic/colours.js';
import { formatNumber, formatTicks } from '../logic/format.js';
import { boundsOf, suitsLog } from '../logic/plot_data.js';
import { theme } from '../state/preferences.js';
import { html, useMemo, useState } from '../ui.js';
import { logTicks, niceTicks } from './ticks.js';

/** @typedef {import('../logic/plot_data.js').XyPlot} XyPlot */
/** @typedef {{low: number, high: number, isLog: boolean, from: number, to: number}} Axis values and pixels of its ends */

const LEFT = 52;
const RIGHT = 12;
const TOP = 8;
const BOTTOM = 38;
const MAX_LEGEND = 24;
const NEAR_PX = 24;
const LABEL_CHARS = 16;

/** @param {Axis} axis @param {number} value */
function at({ low, high, isLog, from, to }, value) {
  const part = isLog ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return from + part * (to - from);
}

/** @param {Axis} axis @param {number} limit */
const ticksOf = ({ low, high, isLog }, limit) => (isLog ? logTicks(low, high, limit) : niceTicks(low, high, limit));
/** @param {Axis} axis @param {number} limit @returns {[number, string][]} */
function labelled(axis, limit) {
  const ticks = ticksOf(axis, limit);
  const labels = axis.isLog ? ticks.map((tick) => formatNumber(tick, 2)) : formatTicks(ticks);
  return ticks.map((tick, index) => [tick, labels[index]]);
}

const short = (/** @type {string} */ label, n = LABEL_CHARS) => (label.length > n ? `${label.slice(0, n - 1)}…` : label);

/** @param {{plot: import('../logic/plot_data.js').Plot, width: number, height: number, label: string}} props */
export function PlotSvg({ plot, width, height, label }) {
  if (plot.type === 'matrix') return html`<${Matrix} plot=${plot} width=${width} height=${height} label=${label} />`;
  if (plot.type === 'xy') return html`<${Xy} plot=${plot} width=${width} height=${height} label=${label} />`;
  return html`<${Bars} plot=${plot} width=${width} height=${height} label=${label} />`;
}

/** @param {{x: Axis, y: Axis, xLabel: string, yLabel: string, xTicks: [number, string][], width: number, height: number}} props */
function Axes({ x, y, xLabel, yLabel, xTicks, width, height }) {
  const ticks = ticksOf(y, Math.max(2, Math.min(5, Math.floor(height / 44))));
  const labels = formatTicks(ticks);
  return html`<g class="plot-axes">
    ${ticks.map((tick, index) => html`<line x1=${LEFT} x2=${width - RIGHT} y1=${at(y, tick)} y2=${at(y, tick)} /><text x=${LEFT - 6} y=${at(y, tick) + 4} text-anchor="end">${labels[index]}</text>`)}
    ${xTicks.map(([tick, name]) => html`<text x=${at(x, tick)} y=${height - BOTTOM + 16} text-anchor="middle">${name}</text>`)}
    ${xLabel && html`<text class="plot-label" x=${(LEFT + width - RIGHT) / 2} y=${height - 4} text-anchor="middle">${short(xLabel, 60)}</text>`}
    ${yLabel && html`<text class="plot-label" transform=${`translate(10 ${(TOP + height - BOTTOM) / 2}) rotate(-90)`} text-anchor="middle">${short(yLabel, 40)}</text>`}</g>`;
}

/** @param {{plot: XyPlot, width: number, height: number, label: string}} props */
function Xy({ plot, width, height, label }) {
  const [near, setNear] = useState(/** @type {{series: number, point: number, left: number, top: number}|null} */ (null));
  const [lit, setLit] = useState(-1);
  const { series, isLine, isUnit, categories } = plot;
  const { x, y } = useMemo(() => axesOf(plot, width, height), [plot, width, height]);
  const marks = useMemo(() => series.map((one) => (isLine ? linePath(one, x, y) : dotPath(one, x, y))), [plot, x, y]);
  const styles = series.map((_, index) => slotStyle(index, theme.value));
  const onMove = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {SVGElement} */ (event.currentTarget).getBoundingClientRect();
    setNear(nearest(series, x, y, (event.clientX - box.left) * (width / box.width), (event.clientY - box.top) * (height / box.height)));
  };
  const shown = near?.series ?? lit;
  const nTicks = Math.max(2, Math.floor(width / 70));
  const xTicks = /** @type {[number, string][]} */ (categories.length > 0
    ? categories.map((name, index) => [index, short(name, 12)]).filter((_, index) => index % Math.ceil(categories.length / nTicks) === 0)
    : labelled(x, nTicks));
  return html`<div class="plot-body"><svg class="plot" viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${`${label}: ${series.length} series`} onPointerMove=${onMove} onPointerLeave=${() => setNear(null)}>
      <${Axes} x=${x} y=${y} xLabel=${plot.xLabel} yLabel=${plot.yLabel} xTicks=${xTicks} width=${width} height=${height} />
      ${isUnit && plot.xLabel.startsWith('false') && html`<line class="plot-chance" x1=${x.from} y1=${y.from} x2=${x.to} y2=${y.to} />`}
      ${series.map((one, index) => html`<path d=${marks[index]} class=${isLine ? 'plot-line' : 'plot-dots'} stroke=${styles[index].colour}
        stroke-dasharray=${isLine ? styles[index].dash.join(' ') : undefined} opacity=${shown < 0 || shown === index ? 1 : 0.2} />`)}
      ${near && html`<circle class="plot-near" cx=${near.left} cy=${near.top} r="4" stroke=${styles[near.series].colour} />`}
    </svg>
    ${near && html`<div class="plot-tip" style=${`left:${Math.min(82, 100 * near.left / width)}%;top:${Math.max(0, 100 * near.top / height - 16)}%`}>
      <strong>${short(series[near.series].name, 40)}</strong> ${categories[series[near.series].x[near.point]] ?? formatNumber(series[near.series].x[near.point])}, ${formatNumber(series[near.series].y[near.point])}</div>`}
    ${(series.length > 1 || series[0].note) && html`<ul class="plot-legend">${series.slice(0, MAX_LEGEND).map((one, index) => html`<li title=${one.name} onMouseEnter=${() => setLit(index)} onMouseLeave=${() => setLit(-1)}>
      <svg width="14" height="8" aria-hidden="true"><line x1="0" x2="14" y1="4" y2="4" stroke=${styles[index].colour} stroke-width="3" stroke-dasharray=${styles[index].dash.join(' ')} /></svg><span>${one.name}</span>${one.note && html`<span class="muted">${one.note}</span>`}</li>`)}
      ${series.length > MAX_LEGEND && html`<li class="muted">and ${series.length - MAX_LEGEND} more</li>`}</ul>`}</div>`;
}

/** @param {XyPlot} plot @param {number} width @param {number} height */
function axesOf({ series, isUnit, isLine, categories }, width, height) {
  const isLog = isLine && !isUnit && categories.length === 0 && suitsLog(series);
  const [xLow, xHigh] = isUnit ? [0, 1] : boundsOf(series.flatMap((one) => one.x));
  const [yLow, yHigh] = isUnit ? [0, 1] : boundsOf(series.flatMap((one) => one.y));
  const room = (yHigh - yLow) * (isUnit ? 0 : 0.06);
  const side = isLog || isUnit ? 0 : (xHigh - xLow) * 0.02;
  return {
    x: { low: xLow - side, high: xHigh + side, isLog, from: LEFT, to: width - RIGHT },
    y: { low: yLow - room, high: yHigh + room, isLog: false, from: height - BOTTOM, to: TOP },
  };
}

/** @param {import('../logic/plot_data.js').Series} series @param {Axis} x @param {Axis} y */
function linePath(series, x, y) {
  let path = '';
  let isDown = false;
  series.x.forEach((value, index) => {
    const [left, top] = [at(x, value), at(y, series.y[index])];
    if (!Number.isFinite(left) || !Number.isFinite(top)) {
      isDown = false;
      return;
    }
    path += `${isDown ? 'L' : 'M'}${left.toFixed(1)} ${top.toFixed(1)}`;
    isDown = true;
  });
  return path;
}

/** @param {import('../logic/plot_data.js').Series} series @param {Axis} x @param {Axis} y */
function dotPath(series, x, y) {
  let path = '';
  series.x.forEach((value, index) => {
    const [left, top] = [at(x, value), at(y, series.y[index])];
    // A line of no length with round ends is a dot: one path draws thousands.
    if (Number.isFinite(left) && Number.isFinite(top)) path += `M${left.toFixed(1)} ${top.toFixed(1)}h0`;
  });
  return path;
}

/** @param {import('../logic/plot_data.js').Series[]} all @param {Axis} x @param {Axis} y @param {number} left @param {number} top */
function nearest(all, x, y, left, top) {
  let found = null;
  let best = NEAR_PX ** 2;
  all.forEach((series, index) => series.x.forEach((value, point) => {
    const [dx, dy] = [at(x, value), at(y, series.y[point])];
    const distance = (dx - left) ** 2 + (dy - top) ** 2;
    if (distance < best) {
      best = distance;
      found = { series: index, point, left: dx, top: dy };
    }
  }));
  return found;
}

/** @param {{plot: import('../logic/plot_data.js').BarPlot|import('../logic/plot_data.js').BinPlot, width: number, height: number, label: string}} props */
function Bars({ plot, width, height, label }) {
  const isBins = plot.type === 'bins';
  const values = isBins ? plot.counts : plot.values;
  const n = values.length;
  const [yLow, yHigh] = boundsOf([0, ...values]);
  const y = { low: yLow, high: yHigh + (yHigh - yLow) * 0.05, isLog: false, from: height - BOTTOM, to: TOP };
  const [low, high] = isBins ? boundsOf([plot.bins[0], plot.bins[n]]) : [-0.5, n - 0.5];
  const x = { low, high, isLog: false, from: LEFT, to: width - RIGHT };
  const edges = (/** @type {number} */ index) => (isBins ? [plot.bins[index], plot.bins[index + 1]] : [index - 0.4, index + 0.4]);
  const nTicks = Math.max(2, Math.floor(width / 64));
  const ticks = isBins ? ticksOf(x, nTicks) : values.map((_, index) => index).filter((index) => index % Math.ceil(n / nTicks) === 0);
  const xTicks = /** @type {[number, string][]} */ (isBins ? formatTicks(ticks).map((name, index) => [ticks[index], name]) : ticks.map((index) => [index, short(plot.labels[index], Math.max(5, Math.floor(width / Math.max(1, ticks.length) / 7)))]));
  const colour = slotStyle(0, theme.value).colour;
  return html`<div class="plot-body"><svg class="plot" viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${`${label}: ${n} ${isBins ? 'bins' : 'bars'}`}>
    <${Axes} x=${x} y=${y} xLabel=${plot.xLabel} yLabel=${plot.yLabel} xTicks=${xTicks} width=${width} height=${height} />
    ${values.map((value, index) => {
      if (!Number.isFinite(value)) return null;
      const [begin, end] = edges(index).map((edge) => at(x, edge));
      const [top, zero] = [at(y, Math.max(value, 0)), at(y, Math.min(Math.max(0, yLow), value))];
      const name = isBins ? `${formatNumber(plot.bins[index])} to ${formatNumber(plot.bins[index + 1])}` : plot.labels[index];
      return html`<rect class="plot-bar" x=${begin} width=${Math.max(0.5, end - begin - (isBins ? 0.5 : 0))} y=${Math.min(top, zero)} height=${Math.max(0, zero - top)} fill=${colour}><title>${name}: ${formatNumber(value)}</title></rect>`;
    })}</svg></div>`;
}

/** @param {{plot: import('../logic/plot_data.js').MatrixPlot, width: number, height: number, label: string}} props */
function Matrix({ plot, width, height, label }) {
  const [isShare, setShare] = useState(false);
  const { classes, counts } = plot;
  const n = classes.length;
  const left = 78;
  const side = Math.max(4, Math.min((width - left - 8) / n, (height - 56) / n));
  const totals = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  const largest = Math.max(1e-9, ...counts.flat());
  const part = (/** @type {number} */ row, /** @type {number} */ column) => (isShare ? counts[row][column] / (totals[row] || 1) : counts[row][column] / largest);
  const hasText = side >= 20;
  const every = Math.max(1, Math.ceil(14 / side));
  return html`<div class="plot-body"><svg class="plot" viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${`${label}: confusion of ${n} classes`}>
    ${counts.map((row, index) => row.map((count, column) => html`<g><rect class="plot-cell" x=${left + column * side} y=${20 + index * side} width=${side - 1} height=${side - 1} style=${`--part:${(part(index, column) * 100).toFixed(1)}%`}>
        <title>${classes[index]} taken for ${classes[column]}: ${formatNumber(count)} (${(100 * count / (totals[index] || 1)).toFixed(1)} %)</title></rect>
      ${hasText && html`<text class=${part(index, column) > 0.55 ? 'plot-count is-on' : 'plot-count'} x=${left + (column + 0.5) * side - 0.5} y=${20 + (index + 0.5) * side + 3.5} text-anchor="middle">${isShare ? `${Math.round(100 * part(index, column))}` : formatNumber(count, 3)}</text>`}</g>`))}
    <g class="plot-axes">${classes.map((name, index) => (index % every === 0 ? html`<text x=${left - 5} y=${20 + (index + 0.5) * side + 4} text-anchor="end">${short(name, 10)}</text>
      <text x=${left + (index + 0.5) * side} y=${34 + n * side} text-anchor="middle">${short(name, Math.max(2, Math.floor(side / 6.5)))}</text>` : null))}
      <text class="plot-label" x=${left + n * side / 2} y="12" text-anchor="middle">predicted</text>
      <text class="plot-label" transform=${`translate(10 ${20 + n * side / 2}) rotate(-90)`} text-anchor="middle">actual</text></g></svg>
    <p class="plot-tools"><button class="text-button" onClick=${() => setShare(!isShare)}>${isShare ? 'Show counts' : 'Show % of the actual class'}</button></p></div>`;
}
