/** The system tab: how the machine fared. Present values, then charts by device or by what was measured. */
import { linesOfRun } from '../charts/run_lines.js';
import { ChartWall } from '../components/chart_wall.js';
import { EmptyText } from '../components/empty.js';
import { Icon, Swatch } from '../components/icons.js';
import { Segments } from '../components/segments.js';
import { Toolbar } from '../components/toolbar.js';
import { WriterSelect } from '../components/writer_select.js';
import { N_STYLED, slotStyle } from '../logic/colours.js';
import { gpuIndex, gpuIndices, searchSections, sectionsByDevice, sectionsByMetric, sizeNote, sizeOf, systemTitle } from '../logic/system_metrics.js';
import { gpuLine, presentTiles, throttledGpus } from '../logic/system_now.js';
import { axisFactor, axisRange, formatMeasured, measuredTicks } from '../logic/units.js';
import { theme } from '../state/preferences.js';
import { onSystemPoints, slotOf } from '../state/project_store.js';
import { hoveredRun, panelQuery, systemAxes, systemBy, systemWriter, updateView } from '../state/view.js';
import { computed, html, useMemo, useRef } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */
/** @typedef {import('../types.js').RunMetric} RunMetric */
/** @typedef {import('../charts/panel_controller.js').Scope} Scope */

/** With more GPUs than these, one chart with a line each tells more than a page of charts. */
const MAX_BY_DEVICE = 2;
const GPU_LINE = /^gpu(\d+)$/;

/** @param {{run: RunDetail}} props */
export function SystemTab({ run }) {
  const metrics = run.system_metrics ?? [];
  const latest = useRef(metrics);
  latest.current = metrics;
  const indices = gpuIndices(metrics);
  const writer = systemWriter.value;
  const scopes = useMemo(() => makeScopes(run, writer, indices, () => latest.current), [run.project, run.id, run.name, writer, indices.join()]);
  if (metrics.length === 0 && writer === '') return html`<${NoSamples} run=${run} />`;
  const by = indices.length < 2 ? 'device' : systemBy.value || (indices.length > MAX_BY_DEVICE ? 'metric' : 'device');
  const choose = (/** @type {string} */ next) => updateView({ systemBy: /** @type {'device'|'metric'} */ (next) });
  return html`<${Present} run=${run} metrics=${metrics} />
    <${Toolbar} axes=${systemAxes}><${WriterChoice} run=${run} writer=${writer} />${indices.length > 1 && html`<${Segments} label="Arrange charts" value=${by} onChange=${choose}
      choices=${[['metric', 'By metric'], ['device', 'By GPU']]} />`}<//>
    <${ChartWall} key=${`${by} ${writer}`} scope=${scopes.single} parts=${parts(run, by, scopes)} />`;
}

/** Whose machine is shown; "" is the process that is usually shown. @param {{run: RunDetail, writer: string}} props */
function WriterChoice({ run, writer }) {
  const names = run.system_writers ?? [];
  // What `tracker run` recorded, else the primary process: as the server chooses.
  const usual = names.includes('launcher') ? 'launcher' : names.includes('main') ? 'main' : names[0] ?? '';
  return html`<${WriterSelect} names=${names} value=${writer || usual} writers=${run.writers ?? []}
    onChange=${(/** @type {string} */ next) => updateView({ systemWriter: next === usual ? '' : next, systemZoom: null })} />`;
}

/** @param {RunDetail} run @param {string} by @param {ReturnType<typeof makeScopes>} scopes */
function parts(run, by, scopes) {
  const metrics = run.system_metrics;
  const gpus = run.environment?.gpus ?? [];
  if (by === 'metric') {
    return searchSections(sectionsByMetric(metrics), panelQuery.value).map((section) => (
      section.name === 'gpus' ? { ...section, scope: scopes.gpus, note: html`<${GpuLegend} run=${run} scope=${scopes.gpus} />` } : section));
  }
  return searchSections(sectionsByDevice(metrics, gpus), panelQuery.value).map((section) => {
    const match = GPU_LINE.exec(section.name);
    return match ? { ...section, note: html`<${GpuNote} about=${section.note} now=${gpuLine(metrics, Number(match[1]))} />` } : section;
  });
}

/**
 * The two kinds of panels: of one line, and of a line a GPU.
 * @param {RunDetail} run @param {string} writer "": whose is usually shown @param {number[]} indices of GPUs
 * @param {() => readonly RunMetric[]} metrics
 */
function makeScopes({ project, id: runId, name, environment }, writer, indices, metrics) {
  const shared = {
    project, storageKey: `${project}.system`, axes: systemAxes,
    titleOf: systemTitle,
    noteOf: (/** @type {string} */ metric) => sizeNote(metrics(), metric),
    axisOf: (/** @type {string} */ metric) => yAxis(metric, () => sizeOf(metrics(), metric)),
    onPoints: (/** @type {(ids: Set<string>|null) => void} */ listener) => onSystemPoints((ids) => {
      if (ids === null || ids.has(runId)) listener(null);
    }),
  };
  const gpuIds = indices.map((index) => `gpu${index}`);
  const gpuName = (/** @type {string} */ id) => {
    const index = Number(id.slice(3));
    const model = environment?.gpus?.find((gpu) => gpu.index === index)?.name;
    return `GPU ${index}${model ? ` ${model}` : ''}`;
  };
  return {
    /** @type {Scope} */
    single: {
      ...shared, charted: computed(() => [runId]), nameOf: () => name,
      fullTitleOf: (metric) => (gpuIndex(metric) === null ? systemTitle(metric) : `GPU ${gpuIndex(metric)}: ${systemTitle(metric)}`),
      styles: computed(() => new Map([[runId, { ...slotStyle(slotOf(runId), theme.value), dash: [] }]])),
      ...linesOfRun(project, runId, (_id, metric) => metric, writer),
    },
    /** @type {Scope} */
    gpus: {
      ...shared, charted: computed(() => gpuIds), nameOf: gpuName,
      fullTitleOf: (metric) => `GPUs: ${systemTitle(metric)}`,
      styles: computed(() => new Map(gpuIds.map((id, place) => [id, slotStyle(place % N_STYLED, theme.value)]))),
      ...linesOfRun(project, runId, (id, metric) => `system/${id}/${metric}`, writer),
    },
  };
}

/** @param {string} metric @param {() => number|null} size of the whole, where it is known @returns {import('../charts/line_chart.js').YAxis} */
function yAxis(metric, size) {
  return {
    range: (extent) => {
      const range = axisRange(metric, extent);
      const whole = metric.endsWith('cpu_percent') ? null : size();
      return range.max === null && whole !== null && extent.max <= whole ? { ...range, max: whole } : range;
    },
    factor: (largest) => axisFactor(metric, largest),
    ticks: (ticks) => measuredTicks(metric, ticks),
    value: (value) => formatMeasured(metric, value, 4),
  };
}

/** Present values, and what holds the GPUs back. @param {{run: RunDetail, metrics: readonly RunMetric[]}} props */
function Present({ run, metrics }) {
  const tiles = presentTiles(metrics);
  const held = throttledGpus(metrics);
  return html`<section class="present" aria-label=${run.state === 'running' ? 'Present values' : 'Values of the last sample'}>
    <dl class="tiles">${tiles.map(({ label, value, note }) => html`<div class="tile" key=${label}><dt>${label}</dt>
      <dd><span class="tile-value">${value}</span>${note && html`<span class="tile-note">${note}</span>`}</dd></div>`)}</dl>
    ${held.length > 0 && html`<ul class="held">${held.map(({ gpu, reasons, isNow }) => html`<li key=${gpu} class=${isNow ? 'warn-chip' : 'warn-chip is-past'}>
      <${Icon} name="warn" size=${12} />GPU ${gpu} ${isNow ? 'is' : 'was'} held back${reasons.length > 0 ? `: ${reasons.join(', ')}` : ''}</li>`)}</ul>`}
  </section>`;
}

/** @param {{about: string, now: string[]}} props */
function GpuNote({ about, now }) {
  return html`<span class="gpu-now">${now.map((value) => html`<span>${value}</span>`)}</span><span class="gpu-about" title=${about}>${about}</span>`;
}

/** The lines' names; pointing at one lights it up in all panels. @param {{run: RunDetail, scope: Scope}} props */
function GpuLegend({ run, scope }) {
  return html`<ul class="legend gpu-legend">${[...scope.styles.value].map(([id, style]) => {
    const uuid = run.environment?.gpus?.find((gpu) => `gpu${gpu.index}` === id)?.uuid;
    return html`<li key=${id} class=${hoveredRun.value === id ? 'is-lit' : ''} title=${[scope.nameOf(id), uuid].filter(Boolean).join('\n')}
      onMouseEnter=${() => { hoveredRun.value = id; }} onMouseLeave=${() => { hoveredRun.value = null; }}>
      <${Swatch} style=${style} />GPU ${id.slice(3)}</li>`;
  })}</ul>`;
}

/** @param {{run: RunDetail}} props */
function NoSamples({ run }) {
  return html`<${EmptyText} title="No samples of the machine">
    <p>${run.state === 'running' ? 'The first sample is taken as the run starts, then one every 15 s.' : 'This run recorded none.'}</p>
    <p class="muted">Turn them on with <code>TRACKER_SYSTEM_INTERVAL_S=15</code>; <code>tracker doctor</code> tells which GPUs can be read.</p><//>`;
}
