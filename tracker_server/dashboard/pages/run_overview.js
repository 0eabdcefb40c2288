/** The overview tab: how the run stands, what it ran on, what it kept, and whether its record is whole. */
import { fileUrl } from '../run_api.js';
import { Icon, StateBadge } from '../components/icons.js';
import { machineFacts, schedulerFacts, softwareFacts } from '../logic/environment.js';
import { formatDuration, formatNumber, formatTime, formatValue } from '../logic/format.js';
import { healthFindings } from '../logic/health.js';
import { fromWire } from '../logic/columns.js';
import { baseName } from '../logic/run_again.js';
import { syncText, writerHealth } from '../logic/run_writers.js';
import { describeState } from '../logic/states.js';
import { formatBytes } from '../logic/units.js';
import { runUrl } from '../router.js';
import { updateView } from '../state/view.js';
import { html } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */

/** A run's page below the root of a server. @param {string} project @param {string} run */
const pagePath = (project, run) => `/p/${encodeURIComponent(project)}/r/${encodeURIComponent(run)}`;

/** @param {{run: RunDetail}} props */
export function OverviewTab({ run }) {
  const environment = run.environment ?? {};
  return html`<div class="overview">
    <section><h2>Run</h2><${RunFacts} run=${run} /></section>
    <${Health} run=${run} />
    <${Writers} run=${run} />
    <${Facts} title="Machine" facts=${machineFacts(environment, run.host)} />
    <${Facts} title="Software" facts=${softwareFacts(environment)} />
    ${schedulerFacts(environment).map(({ title, facts }) => html`<${Facts} key=${title} title=${title} facts=${facts} />`)}
    <${Gpus} gpus=${environment.gpus ?? []} />
    <${Files} run=${run} />
    <section class="is-wide"><h2>Sessions</h2><${Sessions} sessions=${run.sessions} /></section>
    <section class="is-wide"><h2>Metrics</h2><${Metrics} metrics=${run.metrics} /></section>
  </div>`;
}

/** @param {{facts: [string, any][]}} props */
function FactTable({ facts }) {
  const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return html`<table class="kv-table"><tbody>${shown.map(([label, value]) => html`<tr key=${label}><th scope="row">${label}</th><td>${value}</td></tr>`)}</tbody></table>`;
}

/** @param {{title: string, facts: [string, any][]}} props */
function Facts({ title, facts }) {
  return facts.length > 0 && html`<section><h2>${title}</h2><${FactTable} facts=${facts} /></section>`;
}

/** @param {{run: RunDetail}} props */
function RunFacts({ run }) {
  const signals = (run.signals ?? []).map(({ name, at_s: at }) => `${name} at ${formatTime(at)}`).join(', ');
  const state = html`<span class="state-line"><${StateBadge} state=${run.state} />${describeState(run) !== run.state && html`<span>${describeState(run)}</span>`}</span>`;
  return html`<${FactTable} facts=${[
    ['State', state],
    ['Preemption', run.is_preempting && run.state === 'running' && 'announced: the scheduler will stop this run'],
    ['Signals received', signals],
    ['Run id', run.id], ['Project', run.project], ['Group', run.group], ['Job type', run.job_type],
    ['Started', formatTime(run.created_s)], ['Ended', run.ended_s && formatTime(run.ended_s)], ['Duration', formatDuration(run.duration_s)],
    ['Rows', formatNumber(run.n_rows)],
    ['Console lines', run.console?.n_lines > 0 && html`<button class="text-button" onClick=${() => updateView({ tab: 'logs' })}>${formatNumber(run.console.n_lines)}</button>`],
    ['Forked from', run.forked_from && html`<${Origin} run=${run} origin=${run.forked_from} />`],
    ['Forks', (run.forks ?? []).length > 0 && html`<${Forks} forks=${run.forks ?? []} />`],
    ['Sent to', (run.syncs ?? []).length > 0 && html`<${Syncs} run=${run} />`],
    ['Attempt', run.attempt > 1 && formatNumber(run.attempt)], ['Exit code', run.exit_code], ['Folder', run.folder],
  ]} />`;
}

/** @param {{run: RunDetail, origin: NonNullable<RunDetail['forked_from']>}} props */
function Origin({ run, origin: { project, run: id, step } }) {
  if (project === run.project && id === run.id) return html`this run itself, rewound to step ${formatNumber(step)}`;
  return html`<a href=${runUrl(project, id)}>${project === run.project ? id : `${project}/${id}`}</a> at step ${formatNumber(step)}`;
}

/** @param {{forks: NonNullable<RunDetail['forks']>}} props */
function Forks({ forks }) {
  return html`<ul class="plain-list">${forks.map(({ project, run, name, step }) => html`<li key=${`${project}/${run}`}>
    <a href=${runUrl(project, run)}>${name || run}</a> <span class="muted">from step ${formatNumber(step)}</span></li>`)}</ul>`;
}

/** @param {{run: RunDetail}} props */
function Syncs({ run }) {
  return html`<ul class="plain-list">${(run.syncs ?? []).map((sync) => {
    const { text, isTrouble } = syncText(sync, run.state);
    const place = /^https?:\/\//.test(sync.address)
      ? html`<a href=${`${sync.address}${pagePath(run.project, run.id)}`} target="_blank" rel="noreferrer">${sync.address}</a>` : sync.address || 'a server';
    return html`<li key=${sync.address}>${place} <span class=${isTrouble ? 'trouble' : 'muted'}>${isTrouble && html`<${Icon} name="warn" size=${12} />`}${text}</span></li>`;
  })}</ul>`;
}

/** The processes that write to the run, where there are several. @param {{run: RunDetail}} props */
function Writers({ run }) {
  const writers = run.writers ?? [];
  if (writers.length < 2) return null;
  const now = { runState: run.state, nowS: Date.now() / 1000 };
  const hasNodes = writers.some(({ node }) => node !== '');
  return html`<section class="is-wide"><h2>Processes <span class="count">${writers.length}</span></h2><div class="scroll-x is-bounded" tabindex="0"><table class="list is-small"><thead><tr>
    <th scope="col">Process</th><th scope="col">State</th><th scope="col">Host</th>${hasNodes && html`<th scope="col" class="is-numeric">Node</th>`}
    <th scope="col" class="is-numeric">Rows</th><th scope="col">Last sign of life</th><th scope="col">Health</th><th scope="col">See</th></tr></thead>
    <tbody>${writers.map((writer) => {
      const { text, isTrouble } = writerHealth(writer, now);
      return html`<tr key=${writer.writer}><th scope="row">${writer.writer}</th><td><${StateBadge} state=${writer.state} /></td><td>${writer.host}</td>
        ${hasNodes && html`<td class="is-numeric">${writer.node}</td>`}<td class="is-numeric">${formatNumber(writer.n_rows)}</td>
        <td>${formatTime(writer.last_seen_s)}</td>
        <td>${isTrouble ? html`<span class="trouble"><${Icon} name="warn" size=${12} />${text}</span>` : html`<span class="muted">well</span>`}</td>
        <td class="see"><${SeeWriter} run=${run} name=${writer.writer} /></td></tr>`;
    })}</tbody></table></div></section>`;
}

/** @param {{run: RunDetail, name: string}} props */
function SeeWriter({ run, name }) {
  const see = (/** @type {any} */ change) => () => updateView(change);
  return html`${(run.console?.writers ?? []).includes(name) && html`<button class="text-button" aria-label=${`Logs of ${name}`}
      onClick=${see({ tab: 'logs', writer: name === run.console.writer ? '' : name, line: '' })}>logs</button>`}
    ${(run.system_writers ?? []).includes(name) && html`<button class="text-button" aria-label=${`System of ${name}`} onClick=${see({ tab: 'system', systemWriter: name })}>system</button>`}`;
}

/** @param {{run: RunDetail}} props */
function Health({ run: { health, damage } }) {
  const findings = healthFindings(health);
  return html`<section aria-label="Health of the record"><h2>Health of the record</h2>
    ${findings.length === 0 && html`<p class="good"><${Icon} name="check" size=${14} />Every row that was logged is here.</p>`}
    ${findings.length > 0 && html`<ul class="health">${findings.map(({ count, text, advice }) => html`<li key=${text}>
      <${Icon} name="warn" size=${14} /><span><strong>${count}</strong> ${text}<span class="advice">${advice}</span></span></li>`)}</ul>`}
    ${damage.length > 0 && html`<div class="scroll-x" tabindex="0"><table class="list is-small"><thead><tr><th scope="col">Journal</th><th scope="col" class="is-numeric">Byte</th>
      <th scope="col" class="is-numeric">Rows lost</th><th scope="col">Reason</th></tr></thead>
      <tbody>${damage.map((place) => html`<tr><td class="mono">${place.journal}</td><td class="is-numeric">${formatNumber(place.offset)}</td>
        <td class="is-numeric">${place.n_lost === null ? '?' : formatNumber(place.n_lost)}</td><td>${place.reason}</td></tr>`)}</tbody></table></div>`}
  </section>`;
}

/** @param {{gpus: import('../types.js').Gpu[]}} props */
function Gpus({ gpus }) {
  if (gpus.length === 0) return null;
  return html`<section class="is-wide"><h2>GPUs</h2><div class="scroll-x" tabindex="0"><table class="list is-small"><thead><tr>
    <th scope="col" class="is-numeric">Index</th><th scope="col">Model</th><th scope="col" class="is-numeric">Memory</th><th scope="col" class="is-numeric">On the host</th><th scope="col">UUID</th></tr></thead>
    <tbody>${gpus.map((gpu) => html`<tr key=${gpu.index}><td class="is-numeric">${gpu.index}</td><td>${gpu.name}${gpu.is_mig ? ' (MIG)' : ''}</td>
      <td class="is-numeric">${gpu.memory_total_bytes ? formatBytes(gpu.memory_total_bytes) : ''}</td>
      <td class="is-numeric">${gpu.nvml_index ?? ''}</td><td class="mono">${gpu.uuid}</td></tr>`)}</tbody></table></div></section>`;
}

const KINDS = { file: 'file', code: 'code', diff: 'changes' };

/** @param {{run: RunDetail}} props */
function Files({ run }) {
  const files = run.files ?? [];
  if (files.length === 0) return null;
  return html`<section class="is-wide"><h2>Files <span class="count">${files.length}</span></h2><div class="scroll-x is-bounded" tabindex="0"><table class="list is-small"><thead><tr>
    <th scope="col">Name</th><th scope="col">Kind</th><th scope="col" class="is-numeric">Size</th><th scope="col">Saved</th></tr></thead>
    <tbody>${files.map((file) => html`<tr key=${`${file.kind}/${file.path}`}>
      <td><a class="file-link" href=${fileUrl(run.project, run.id, file.path)} download=${baseName(file.path)}><${Icon} name="download" size=${12} />${file.path}</a></td>
      <td>${KINDS[file.kind] ?? file.kind}</td><td class="is-numeric">${formatBytes(file.size_bytes)}</td>
      <td>${formatTime(file.saved_s)}</td></tr>`)}</tbody></table></div></section>`;
}

/** @param {{sessions: RunDetail['sessions']}} props */
function Sessions({ sessions }) {
  return html`<div class="scroll-x" tabindex="0"><table class="list is-small"><thead><tr><th scope="col">Session</th><th scope="col">Writer</th><th scope="col">Host</th>
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
  return html`<div class="scroll-x" tabindex="0"><table class="list is-small"><thead><tr><th scope="col">Metric</th>${['Points', 'First', 'Last', 'Min', 'Max', 'Mean', 'NaN/Inf']
    .map((label) => html`<th scope="col" class="is-numeric">${label}</th>`)}</tr></thead>
    <tbody>${metrics.map((metric) => html`<tr><th scope="row">${metric.key}</th>
      ${[metric.n_points, metric.first, metric.last, metric.min, metric.max, metric.mean, metric.n_nonfinite || null]
        .map((value) => html`<td class="is-numeric" title=${value ?? ''}>${number(value)}</td>`)}</tr>`)}</tbody></table></div>`;
}
