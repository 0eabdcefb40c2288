/** One version of an artifact: what it is, its files, how it differs from another, what it came from and what came of it. */
import { artifactUrl, versionUrl } from '../artifact_urls.js';
import { byUid, fetchVersion, fetchVersions } from '../artifacts_api.js';
import { Ago, Registrations, RunName, Tabs, TagList, TypeTag } from '../components/artifact_bits.js';
import { CopyButton } from '../components/copy_button.js';
import { ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { LineageView } from '../components/lineage_view.js';
import { Markdown } from '../components/markdown.js';
import { Menu } from '../components/menu.js';
import { Shell } from '../components/shell.js';
import { Snippet } from '../components/snippet.js';
import { AliasEditor, openAliasForm, openDeleteForm, openDescriptionForm, openLinkForm } from '../components/version_actions.js';
import { fromWire } from '../logic/columns.js';
import { useText } from '../logic/artifacts.js';
import { formatNumber, formatTime, formatValue, plural } from '../logic/format.js';
import { formatBytes } from '../logic/units.js';
import { navigate } from '../router.js';
import { useLoaded } from '../state/loaded.js';
import { mayChange } from '../state/me.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useEffect } from '../ui.js';
import { artifactCrumbs } from './artifact.js';
import { KeyValues } from './run_details.js';
import { CompareTab } from './version_compare.js';
import { FilesTab } from './version_files.js';

/** @typedef {import('../artifact_types.js').VersionDetail} VersionDetail */
/** @typedef {import('../artifact_types.js').VersionRow} VersionRow */

const TABS = ['overview', 'files', 'compare', 'lineage'];
const MAX_CHOICES = 200;
const MAX_METRICS = 12;
/** So few are looked through without a search. */
const MAX_UNSEARCHED = 12;

/** @param {{project: string, name: string, version: string}} props */
export function VersionPage({ project, name, version: which }) {
  const detail = useLoaded((signal) => fetchVersion({ project, name, version: which }, signal), [project, name, which]);
  const others = useLoaded((signal) => fetchVersions(project, name, MAX_CHOICES, signal), [project, name]);
  const label = detail.value ? `v${detail.value.version.number}` : which;
  useEffect(() => { document.title = `${name} ${label} · ${project} · Tracker`; }, [name, label, project]);
  const reload = () => { detail.reload(); others.reload(); };
  const crumbs = artifactCrumbs(project, { label: name, url: artifactUrl(project, name) }, { label });
  const body = () => {
    if (!detail.value && detail.error) return html`<h1 class="for-readers">${name} ${which}</h1><${ErrorNote} error=${detail.error} what=${`version ${which} of ${name}`} />`;
    if (!detail.value) return html`<${Skeleton} rows=${10} />`;
    return html`<${Loaded} detail=${detail.value} others=${others.value?.versions ?? []} onDone=${reload} />`;
  };
  return html`<${Shell} crumbs=${crumbs} place="artifacts">${body()}<//>`;
}

/** @param {{detail: VersionDetail, others: VersionRow[], onDone: () => void}} props */
function Loaded({ detail, others, onDone }) {
  const { version } = detail;
  const asked = queryValue('tab', 'overview');
  const tab = TABS.includes(asked) ? asked : 'overview';
  const tabs = /** @type {[string, any][]} */ ([
    ['overview', 'Overview'],
    ['files', html`Files <span class="count">${formatNumber(version.n_files)}</span>`],
    ['compare', 'Compare'],
    ['lineage', 'Lineage'],
  ]);
  return html`<div class="run-page version-page"><${Header} detail=${detail} others=${others} onDone=${onDone} />
    <${Tabs} label="Parts of the version" tabs=${tabs} value=${tab} onChange=${(/** @type {string} */ key) => setQuery({ tab: key === 'overview' ? '' : key })} />
    <div id="tab-body" class=${`tab-body tab-${tab}`} role="tabpanel" aria-labelledby=${`tab-${tab}`}>
      ${tab === 'overview' && html`<${Overview} detail=${detail} />`}
      ${tab === 'files' && html`<${FilesTab} version=${version} />`}
      ${tab === 'compare' && html`<${CompareTab} version=${version} others=${others} />`}
      ${tab === 'lineage' && html`<${LineageView} of=${byUid(version)} focus=${`version:${version.uid}`} />`}
    </div></div>`;
}

/** @param {{detail: VersionDetail, others: VersionRow[], onDone: () => void}} props */
function Header({ detail, others, onDone }) {
  const { version } = detail;
  const items = [
    { label: 'Give it an alias…', act: () => openAliasForm(version, onDone) },
    { label: 'Put it into the registry…', act: () => { openLinkForm(version); } },
    { label: 'Edit description and tags…', act: () => openDescriptionForm(version, onDone) },
    { label: 'Delete it…', act: () => openDeleteForm([version], () => navigate(artifactUrl(version.project, version.name))) },
  ];
  const isLatest = detail.latest_number === version.number;
  return html`<header class="object-head"><div class="object-title"><h1>${version.name} <span class="version-number">v${version.number}</span></h1>
      <${VersionSteps} version=${version} others=${others} /><${TypeTag} type=${version.type} />
      <${AliasEditor} version=${version} onDone=${onDone} /><${TagList} tags=${version.tags} />
      ${mayChange(version.project) && html`<${Menu} label="Change this version" icon="more" items=${items} />`}</div>
    <p class="facts"><span>${plural(version.n_files, 'file')}${version.n_references > 0 && `, ${formatNumber(version.n_references)} of them elsewhere`}</span><span>${formatBytes(version.size_bytes)}</span>
      <span title=${formatTime(version.created_s)}>logged <${Ago} seconds=${version.created_s} />${version.logged_by && html` by <${RunName} run=${version.logged_by} />`}</span>
      ${version.registered_as.length > 0 && html`<${Registrations} registrations=${version.registered_as} />`}
      ${!isLatest && detail.latest_number !== null && html`<a href=${versionUrl(version.project, version.name, `v${detail.latest_number}`)}>there is a newer one: v${detail.latest_number}</a>`}</p>
  </header>`;
}

/** To the version before and after, and to any other. @param {{version: VersionRow, others: VersionRow[]}} props */
function VersionSteps({ version, others }) {
  if (others.length < 2) return null;
  const place = others.findIndex(({ uid }) => uid === version.uid);
  // Only the newest are fetched: an older one that is looked at stands behind them.
  const choices = place < 0 ? [...others, version] : others;
  const go = (/** @type {number} */ number) => navigate(versionUrl(version.project, version.name, `v${number}`) + location.search);
  const step = (/** @type {VersionRow|undefined} */ other, /** @type {string} */ label, /** @type {string} */ turn) => html`<button class=${`icon-button ${turn}`} disabled=${!other}
    title=${label} aria-label=${label} onClick=${() => other && go(other.number)}><${Icon} name="chevron" size=${14} /></button>`;
  return html`<span class="version-steps">${step(place < 0 ? undefined : others[place + 1], 'The version before', 'is-back')}
    <select class="select" aria-label="Other versions" value=${String(version.number)} onChange=${(/** @type {any} */ event) => go(Number(event.currentTarget.value))}>
      ${choices.map((other) => html`<option key=${other.uid} value=${String(other.number)} selected=${other.uid === version.uid}>v${other.number}${other.aliases.length > 0 ? ` · ${other.aliases.slice(0, 3).join(', ')}` : ''}</option>`)}</select>
    ${step(place > 0 ? others[place - 1] : undefined, 'The version after', '')}</span>`;
}

/** @param {{detail: VersionDetail}} props */
function Overview({ detail }) {
  const { version, metadata } = detail;
  return html`<div class="version-overview">
    <div class="version-main">
      ${detail.description_html && html`<section><h2>Description</h2><${Markdown} source=${detail.description_html} /></section>`}
      <section><h2>Metadata</h2>${Object.keys(metadata).length === 0
    ? html`<p class="muted">None. <code>Artifact("${version.name}", …, metadata=${'{'}"n_rows": 60000${'}'})</code> keeps facts with a version.</p>`
    : html`<${Metadata} values=${flatten(metadata)} />`}</section>
      <${Uses} detail=${detail} />
    </div>
    <div class="version-side">
      <section><h2>Use it</h2><${Snippet} text=${useText(version, `v${version.number}`)} />
        <p class="muted hint">In a terminal: <code>tracker artifact get ${version.project}/${version.name}:v${version.number}</code></p></section>
      <${SourceRun} version=${version} />
      <section><h2>Version</h2><${Facts} version=${version} /></section>
    </div></div>`;
}

/** @param {Record<string, any>} values @param {string} [prefix] @returns {Record<string, any>} */
function flatten(values, prefix = '') {
  return Object.fromEntries(Object.entries(values).flatMap(([key, value]) => (
    value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 0 ? Object.entries(flatten(value, `${prefix}${key}.`)) : [[prefix + key, value]])));
}

/** @param {{version: VersionRow}} props */
function Facts({ version }) {
  const rows = [
    ['Digest', html`<span class="commit" title=${version.digest}>${version.digest.slice(0, 16)}<${CopyButton} className="icon-button" label="Copy the whole digest" text=${() => version.digest} /></span>`],
    ['Uid', html`<span class="commit" title=${version.uid}>${version.uid.slice(0, 16)}<${CopyButton} className="icon-button" label="Copy the uid" text=${() => version.uid} /></span>`],
    ['Committed by', version.created_by],
    ['At step', version.history_step === null ? '' : formatNumber(version.history_step)],
    ['Goes', version.expires_s === null ? (version.ttl_days === 0 ? 'never' : '') : formatTime(version.expires_s)],
  ].filter(([, value]) => value !== '');
  return html`<table class="kv-table"><tbody>${rows.map(([label, value]) => html`<tr key=${label}><th scope="row">${label}</th><td>${value}</td></tr>`)}</tbody></table>`;
}

/** @param {{version: VersionRow}} props */
function SourceRun({ version }) {
  const run = version.logged_by;
  if (!run) return null;
  const metrics = Object.entries(run.summary).filter(([key]) => !/^(system|_)/.test(key));
  return html`<section><h2>Logged by</h2><p><${RunName} run=${run} /></p>
    ${metrics.length > 0 && html`<table class="kv-table"><tbody>${metrics.slice(0, MAX_METRICS).map(([key, value]) => html`<tr key=${key}><th scope="row">${key}</th><td>${formatValue(fromWire(value))}</td></tr>`)}</tbody></table>`}
    ${metrics.length > MAX_METRICS && html`<p class="muted">and ${formatNumber(metrics.length - MAX_METRICS)} more</p>`}</section>`;
}

/** @param {{detail: VersionDetail}} props */
function Uses({ detail }) {
  const used = detail.uses.filter((use) => !use.is_output);
  return html`<section><h2>Used by</h2>${used.length === 0
    ? html`<p class="muted">No run has used this version yet.</p>`
    : html`<table class="list is-small"><thead><tr><th scope="col">Run</th><th scope="col">Project</th><th scope="col">As</th><th scope="col" class="is-numeric">When</th></tr></thead>
      <tbody>${used.map((use) => html`<tr key=${`${use.run.project}/${use.run.id}`}><td><${RunName} run=${use.run} /></td><td>${use.run.project}</td><td>${use.used_as || html`<span class="muted">—</span>`}</td>
        <td class="is-numeric"><${Ago} seconds=${use.at_s} /></td></tr>`)}</tbody></table>`}</section>`;
}

/** @param {{values: Record<string, any>}} props */
function Metadata({ values }) {
  const entries = Object.entries(values);
  if (entries.length > MAX_UNSEARCHED) return html`<${KeyValues} values=${values} noun="metadata" hint="" />`;
  return html`<table class="kv-table"><tbody>${entries.map(([key, value]) => html`<tr key=${key}><th scope="row">${key}</th><td>${formatValue(fromWire(value))}</td></tr>`)}</tbody></table>`;
}
