/** The tables of the run page. */
import { Icon } from '../components/icons.js';
import { formatDuration, formatNumber, formatTime, formatValue } from '../logic/format.js';
import { fromWire } from '../logic/run_filter.js';
import { html, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */

/** @param {{error: NonNullable<RunDetail['error']>, exitCode: number|null}} props */
export function RunErrorNote({ error, exitCode }) {
  return html`<section class="run-error" aria-label="Error">
    <h2>${error.type}${exitCode !== null && exitCode !== undefined && html`<span class="muted"> · exit code ${exitCode}</span>`}</h2>
    <p>${error.message}</p>
    ${error.traceback && html`<details open><summary>Traceback</summary><pre class="traceback">${error.traceback}</pre></details>`}
  </section>`;
}

/** Config or summary, searchable. @param {{values: Record<string, any>, noun: string, hint: string}} props */
export function KeyValues({ values, noun, hint }) {
  const [query, setQuery] = useState('');
  const entries = Object.entries(values).map(([key, value]) => ({ key, value: fromWire(value) }));
  if (entries.length === 0) {
    return html`<section class="empty"><h2>No ${noun}</h2><div class="snippet"><pre><code>${hint}</code></pre></div></section>`;
  }
  const needle = query.trim().toLowerCase();
  const rows = entries.filter(({ key, value }) => `${key} ${formatValue(value)}`.toLowerCase().includes(needle));
  return html`<div class="kv">
    <label class="search"><${Icon} name="search" size=${14} /><input type="search" placeholder=${`Find in ${noun}`} aria-label=${`Find in ${noun}`} value=${query}
      onInput=${(/** @type {any} */ event) => setQuery(event.currentTarget.value)} /></label>
    <table class="kv-table"><tbody>${rows.map(({ key, value }) => html`<tr key=${key}><th scope="row">${key}</th>
      <td class=${typeof value === 'number' ? 'is-number' : ''} title=${typeof value === 'number' ? String(value) : ''}>
        ${typeof value === 'object' && value !== null ? JSON.stringify(value) : exact(value)}</td></tr>`)}</tbody></table>
    ${rows.length === 0 && html`<p class="muted">Nothing here has “${query}” in it.</p>`}
  </div>`;
}

/** On this page there is room for every digit. @param {any} value */
function exact(value) {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return formatValue(value);
}

/** @param {{run: RunDetail}} props */
export function Overview({ run }) {
  const facts = [
    ['Run id', run.id], ['Project', run.project], ['Host', run.host], ['Group', run.group], ['Job type', run.job_type],
    ['Started', formatTime(run.created_s)], ['Ended', run.ended_s ? formatTime(run.ended_s) : null],
    ['Duration', formatDuration(run.duration_s)], ['Rows', formatNumber(run.n_rows)], ['Attempt', formatNumber(run.attempt)],
    ['Exit code', run.exit_code ?? null], ['Folder', run.folder],
  ].filter(([, value]) => value !== null && value !== undefined && value !== '');
  return html`<div class="overview">
    <section><h2>Run</h2><table class="kv-table"><tbody>${facts.map(([label, value]) => html`<tr><th scope="row">${label}</th><td>${value}</td></tr>`)}</tbody></table></section>
    <${Health} run=${run} />
    <section class="is-wide"><h2>Sessions</h2><${Sessions} sessions=${run.sessions} /></section>
    <section class="is-wide"><h2>Metrics</h2><${Metrics} metrics=${run.metrics} /></section>
  </div>`;
}

/** @param {{run: RunDetail}} props */
function Health({ run: { health, damage } }) {
  const isSound = health.n_dropped === 0 && health.n_damaged === 0 && !health.is_suspended;
  return html`<section><h2>Health of the record</h2>
    ${isSound
      ? html`<p class="good"><${Icon} name="check" size=${14} />Every row that was logged is here.</p>`
      : html`<ul class="health">
          ${health.n_dropped > 0 && html`<li><strong>${formatNumber(health.n_dropped)}</strong> rows could not be written</li>`}
          ${health.n_damaged > 0 && html`<li><strong>${formatNumber(health.n_damaged)}</strong> damaged places in the journal</li>`}
          ${health.is_suspended && html`<li>Writing is delayed: rows wait in memory until the disk answers</li>`}</ul>`}
    ${damage.length > 0 && html`<table class="list is-small"><thead><tr><th scope="col">Journal</th><th scope="col" class="is-numeric">Byte</th>
      <th scope="col" class="is-numeric">Lost</th><th scope="col">Reason</th></tr></thead>
      <tbody>${damage.map((place) => html`<tr><td class="mono">${place.journal}</td><td class="is-numeric">${formatNumber(place.offset)}</td>
        <td class="is-numeric">${place.n_lost === null ? '?' : formatNumber(place.n_lost)}</td><td>${place.reason}</td></tr>`)}</tbody></table>`}
  </section>`;
}

/** @param {{sessions: RunDetail['sessions']}} props */
function Sessions({ sessions }) {
  return html`<div class="scroll-x"><table class="list is-small"><thead><tr><th scope="col">Session</th><th scope="col">Writer</th><th scope="col">Host</th>
    <th scope="col" class="is-numeric">Process</th><th scope="col">Started</th><th scope="col" class="is-numeric">Duration</th>
    <th scope="col" class="is-numeric">Rows</th><th scope="col" class="is-numeric">Attempt</th></tr></thead>
    <tbody>${sessions.map((session) => html`<tr><td class="mono" title=${session.session}>${session.session.slice(0, 8)}</td><td>${session.writer}</td>
      <td>${session.host ?? ''}</td><td class="is-numeric">${session.pid ?? ''}</td><td>${formatTime(session.started_s)}</td>
      <td class="is-numeric">${session.ended_s === null ? 'open' : formatDuration(session.ended_s - session.started_s)}</td>
      <td class="is-numeric">${formatNumber(session.n_rows)}</td><td class="is-numeric">${session.attempt}</td></tr>`)}</tbody></table></div>`;
}

/** @param {{metrics: RunDetail['metrics']}} props */
function Metrics({ metrics }) {
  const number = (/** @type {any} */ value) => (value === null || value === undefined ? '' : formatValue(fromWire(value)));
  return html`<div class="scroll-x"><table class="list is-small"><thead><tr><th scope="col">Metric</th>${['Points', 'First', 'Last', 'Min', 'Max', 'Mean', 'NaN/Inf']
    .map((label) => html`<th scope="col" class="is-numeric">${label}</th>`)}</tr></thead>
    <tbody>${metrics.map((metric) => html`<tr><th scope="row">${metric.key}</th>
      ${[metric.n_points, metric.first, metric.last, metric.min, metric.max, metric.mean, metric.n_nonfinite || null]
        .map((value) => html`<td class="is-numeric" title=${value ?? ''}>${number(value)}</td>`)}</tr>`)}</tbody></table></div>`;
}
