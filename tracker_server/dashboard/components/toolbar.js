/** The toolbar above the charts: panel search, x axis, smoothing, zoom. */
import { SLIDER_STEPS, SMOOTH_KINDS, sliderOf, smoothingAt } from '../logic/view_state.js';
import { formatX } from '../logic/format.js';
import { metrics } from '../state/project_store.js';
import { chartAxes, panelQuery, smoothing, smoothKind, updateView } from '../state/view.js';
import { html } from '../ui.js';
import { Icon } from './icons.js';

const X_CHOICES = [['step', 'Step'], ['relative_time', 'Time since start'], ['wall_time', 'Clock time']];
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
  const [kind, value] = [smoothKind.value, smoothing.value];
  const position = sliderOf(kind, value);
  const set = (/** @type {any} */ event) => updateView({ smoothing: smoothingAt(kind, Number(event.currentTarget.value)) });
  // The slider stays where it is: about as much smoothing, of another kind.
  const choose = (/** @type {any} */ event) => updateView({
    smoothKind: event.currentTarget.value, smoothing: smoothingAt(event.currentTarget.value, position),
  });
  const isWeight = kind === 'ema';
  const text = value === 0 ? 'off' : isWeight ? value.toFixed(value >= 0.99 ? 3 : 2) : `${Number((100 * value).toPrecision(2))}%`;
  const about = isWeight ? 'Weight that the average keeps per point' : 'Share of the whole range of x, the same at every zoom';
  return html`<span class="field smoothing">Smoothing
    <select class="select" aria-label="Kind of smoothing" onChange=${choose}>${SMOOTH_KINDS.map(({ key, name }) => html`<option
      value=${key} selected=${key === kind}>${name}</option>`)}</select>
    <input type="range" min="0" max=${SLIDER_STEPS} value=${position} onInput=${set} aria-label="Smoothing" aria-valuetext=${text}
      title=${`${about}; computed on every point`} />
    <output>${text}</output></span>`;
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
