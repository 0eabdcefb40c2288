/** The toolbar above the charts: panel search, x axis, smoothing, zoom. */
import { MAX_SMOOTHING } from '../logic/view_state.js';
import { formatX } from '../logic/format.js';
import { metrics } from '../state/project_store.js';
import { chartAxes, panelQuery, smoothing, updateView } from '../state/view.js';
import { html } from '../ui.js';
import { Icon } from './icons.js';

const X_CHOICES = [['step', 'Step'], ['relative_time', 'Time since start'], ['wall_time', 'Clock time']];
/** The slider's ends at 0.99 for most of its way are dull: equal ways give equal factors of the window's length. */
const SLIDER_STEPS = 100;

/** @param {number} weight */
const toSlider = (weight) => Math.round(SLIDER_STEPS * (Math.log(1 - weight) / Math.log(1 - MAX_SMOOTHING)));
/** @param {number} position */
const fromSlider = (position) => Number((1 - (1 - MAX_SMOOTHING) ** (position / SLIDER_STEPS)).toFixed(3));

/** @typedef {import('../state/view.js').Axes} Axes */

/** @param {{axes?: Axes, children?: any}} props children: what the page adds before the axis */
export function Toolbar({ axes = chartAxes, children = null }) {
  return html`<div class="toolbar" role="toolbar" aria-label="Charts">
    <label class="search"><${Icon} name="search" size=${14} /><input type="search" placeholder="Find a chart" aria-label="Find a chart"
      value=${panelQuery.value} onInput=${(/** @type {any} */ event) => updateView({ panels: event.currentTarget.value })} /></label>
    <span class="toolbar-space"></span>
    <${ZoomChip} axes=${axes} />
    ${children}
    ${axes === chartAxes && html`<${Smoothing} />`}
    <${XChoice} axes=${axes} />
  </div>`;
}

function Smoothing() {
  const weight = smoothing.value;
  const set = (/** @type {any} */ event) => updateView({ smoothing: fromSlider(Number(event.currentTarget.value)) });
  return html`<label class="field smoothing" title="Weight of the exponential moving average, computed on every point">Smoothing
    <input type="range" min="0" max=${SLIDER_STEPS} value=${toSlider(weight)} onInput=${set} aria-valuetext=${String(weight)} />
    <output>${weight === 0 ? 'off' : weight.toFixed(weight >= 0.99 ? 3 : 2)}</output></label>`;
}

/** @param {{axes: Axes}} props */
function XChoice({ axes }) {
  const x = axes.x.value;
  const keys = metrics.value.map((metric) => metric.key);
  const own = x.startsWith('metric:') && !keys.includes(x.slice(7)) ? [x.slice(7), ...keys] : keys;
  return html`<label class="field">X axis
    <select class="select" value=${x} onChange=${(/** @type {any} */ event) => axes.chooseX(event.currentTarget.value)}>
      ${X_CHOICES.map(([value, label]) => html`<option value=${value} selected=${value === x}>${label}</option>`)}
      <optgroup label="A metric">${own.map((key) => html`<option value=${`metric:${key}`} selected=${x === `metric:${key}`}>${key}</option>`)}</optgroup>
    </select></label>`;
}

/** @param {{axes: Axes}} props */
function ZoomChip({ axes }) {
  const range = axes.zoom.value;
  if (!range) return null;
  const text = `${formatX(roundX(range.min, range), axes.x.value)} – ${formatX(roundX(range.max, range), axes.x.value)}`;
  return html`<span class="chip"><button class="chip-main" title="Back one zoom (z, or double-click on a chart)" onClick=${axes.zoomBack}>
      <${Icon} name="zoomOut" size=${14} />${text}</button>
    <button class="icon-button" title="Show everything" aria-label="Reset zoom" onClick=${axes.zoomOut}><${Icon} name="close" size=${12} /></button></span>`;
}

/** Digits below a thousandth of the range say nothing. @param {number} x @param {{min: number, max: number}} range */
function roundX(x, range) {
  const unit = 10 ** Math.floor(Math.log10((range.max - range.min) / 1000));
  return unit >= 1 ? Math.round(x) : Math.round(x / unit) * unit;
}
