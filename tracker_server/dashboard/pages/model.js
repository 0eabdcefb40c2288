/** A registered model: which version is in use, all versions with the metrics of their runs, its card, and every change. */
import { deleteModel, fetchAudit, fetchModel, setModelAliases, unlinkVersion } from '../artifacts_api.js';
import { Ago, AliasChip, RunName, Tabs, TypeTag, VersionName } from '../components/artifact_bits.js';
import { TextField, openForm } from '../components/artifact_forms.js';
import { AuditTimeline } from '../components/audit_timeline.js';
import { ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { Menu } from '../components/menu.js';
import { CardTab } from '../components/model_card.js';
import { Shell } from '../components/shell.js';
import { Snippet } from '../components/snippet.js';
import { fromWire } from '../logic/columns.js';
import { STAGES, metricNames, sortAliases, splitNames, useModelText } from '../logic/artifacts.js';
import { formatCell, formatNumber, plural } from '../logic/format.js';
import { navigate, registryUrl } from '../router.js';
import { useLoaded } from '../state/loaded.js';
import { mayChange } from '../state/me.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useEffect, useState } from '../ui.js';

/** @typedef {import('../artifact_types.js').LinkedRow} LinkedRow */
/** @typedef {import('../artifact_types.js').ModelDetail} ModelDetail */

const TABS = ['versions', 'card', 'audit'];
const N_METRICS = 3;
const MAX_METRICS = 40;
const ROWS_AT_A_TIME = 100;
const MAX_IN_USE = 12;

/** @param {{model: string}} props */
export function ModelPage({ model: name }) {
  useEffect(() => { document.title = `${name} · Registry · Tracker`; }, [name]);
  const detail = useLoaded((signal) => fetchModel(name, signal), [name]);
  const audit = useLoaded((signal) => fetchAudit(name, signal), [name]);
  const reload = () => { detail.reload(); audit.reload(); };
  const asked = queryValue('tab', 'versions');
  const tab = TABS.includes(asked) ? asked : 'versions';
  const body = () => {
    if (!detail.value && detail.error) return html`<h1 class="for-readers">${name}</h1><${ErrorNote} error=${detail.error} what=${`registered model ${name}`} />`;
    if (!detail.value) return html`<${Skeleton} rows=${10} />`;
    const { model, versions } = detail.value;
    const tabs = [
      ['versions', html`Versions <span class="count">${formatNumber(versions.length)}</span>`], ['card', 'Card'],
      ['audit', html`Audit ${audit.value && html`<span class="count">${formatNumber(audit.value.length)}</span>`}`],
    ];
    return html`<div class="run-page version-page"><${Header} detail=${detail.value} />
      <${Tabs} label="Parts of the model" tabs=${tabs} value=${tab} onChange=${(/** @type {string} */ key) => setQuery({ tab: key === 'versions' ? '' : key })} />
      <div id="tab-body" class=${`tab-body model-${tab}`} role="tabpanel" aria-labelledby=${`tab-${tab}`}>
        ${tab === 'versions' && html`<${Versions} name=${model.name} versions=${versions} onDone=${reload} />`}
        ${tab === 'card' && html`<${CardTab} detail=${detail.value} onDone=${reload} />`}
        ${tab === 'audit' && (audit.value ? html`<${AuditTimeline} entries=${audit.value} model=${model.name} versions=${versions} />` : audit.error ? html`<${ErrorNote} error=${audit.error} />` : html`<${Skeleton} rows=${6} />`)}
      </div></div>`;
  };
  return html`<${Shell} crumbs=${[{ label: 'Registry', url: registryUrl() }, { label: name }]} place="registry">${body()}<//>`;
}

/** @param {{detail: ModelDetail}} props */
function Header({ detail }) {
  const { model, versions } = detail;
  const inUse = sortAliases(Object.keys(model.aliases).filter((alias) => alias !== 'latest'));
  const remove = () => openForm({
    title: `Delete ${model.name} from the registry?`, values: { text: '' }, done: 'Delete', isDanger: true, whyHint: 'kept in the audit',
    isReady: ({ text }) => text.trim() === model.name,
    body: ({ value, set }) => html`<p>The versions themselves stay with their artifacts. Whoever asks for <code>model-registry/${model.name}</code> finds nothing any more.</p>
      <${TextField} label=${html`Type <code>${model.name}</code> to be sure`} isFirst value=${value.text} onInput=${(/** @type {string} */ text) => set({ text })} />`,
    act: async ({ why }) => { await deleteModel(model.name, why); navigate(registryUrl()); },
  });
  const which = inUse[0] ?? 'latest';
  return html`<header class="object-head"><div class="object-title"><h1>${model.name}</h1><${TypeTag} type=${model.type} />
      ${mayChangeRegistry() && html`<${Menu} label="Change this model" icon="more" items=${[{ label: 'Delete it from the registry…', act: remove }]} />`}</div>
    <p class="facts"><span>${plural(versions.length, 'version')}</span><span>registered <${Ago} seconds=${model.created_s} />${model.created_by && html` by ${model.created_by}`}</span></p>
    ${inUse.length > 0 && html`<ul class="in-use">${inUse.slice(0, MAX_IN_USE).map((alias) => html`<li key=${alias}><${AliasChip} alias=${alias} /><span>v${model.aliases[alias]}</span>
      <${SourceOf} version=${versions.find(({ number }) => number === model.aliases[alias])} /></li>`)}
      ${inUse.length > MAX_IN_USE && html`<li class="muted" title=${inUse.slice(MAX_IN_USE).join(', ')}>and ${formatNumber(inUse.length - MAX_IN_USE)} more</li>`}</ul>`}
    ${versions.length > 0 && html`<details class="use-it"><summary>Use it</summary><${Snippet} text=${useModelText(model.name, which)} /></details>`}</header>`;
}

/** @param {{version: LinkedRow|undefined}} props */
function SourceOf({ version }) {
  return version ? html`<span class="muted"><${VersionName} version=${version.source} /></span>` : null;
}

/** Cards and whole models concern all projects. */
export const mayChangeRegistry = () => mayChange('');

/** @param {{name: string, versions: LinkedRow[], onDone: () => void}} props */
function Versions({ name, versions, onDone }) {
  const [limit, setLimit] = useState(ROWS_AT_A_TIME);
  const known = metricNames(versions);
  const asked = queryValue('metrics').split('|').filter((key) => known.includes(key));
  const metrics = asked.length > 0 ? asked : known.slice(0, N_METRICS);
  const toggle = (/** @type {string} */ key) => setQuery({ metrics: (metrics.includes(key) ? metrics.filter((other) => other !== key) : [...metrics, key]).join('|') });
  const items = known.slice(0, MAX_METRICS).map((key) => ({ label: key, isChecked: metrics.includes(key), act: () => toggle(key) }));
  if (versions.length === 0) return html`<p class="muted pad-page">Every version was taken out of this model.</p>`;
  return html`<div class="pad-page"><div class="section-head"><span class="muted hint">Metrics are those of the run that logged the version.</span><span class="toolbar-space"></span>
      ${items.length > 0 && html`<span class="field">Metrics <${Menu} label="Which metrics are shown" icon="columns" items=${items} /></span>`}</div>
    <div class="scroll-x"><table class="list linked-list"><thead><tr><th scope="col">Version</th><th scope="col">Aliases</th><th scope="col">Artifact</th><th scope="col">Logged by</th>
        ${metrics.map((key) => html`<th key=${key} scope="col" class="is-numeric metric-head" title=${key}><span>${key}</span></th>`)}<th scope="col">Linked</th><th scope="col"><span class="for-readers">Change</span></th></tr></thead>
      <tbody>${versions.slice(0, limit).map((version) => html`<${Row} key=${version.number} name=${name} version=${version} metrics=${metrics} onDone=${onDone} />`)}</tbody></table></div>
    ${versions.length > limit && html`<p><button class="button" onClick=${() => setLimit(limit * 4)}>Show more</button></p>`}</div>`;
}

/** @param {{name: string, version: LinkedRow, metrics: string[], onDone: () => void}} props */
function Row({ name, version, metrics, onDone }) {
  const { source, number } = version;
  const isEditable = mayChange(source.project);
  const remove = (/** @type {string} */ alias) => openForm({
    title: `Take ${alias} off v${number}?`, values: {}, done: 'Take it off', whyHint: 'kept in the audit',
    body: () => html`<p>Whoever asks for <code>model-registry/${name}:${alias}</code> then finds nothing until another version gets it.</p>`,
    act: async ({ why }) => { await setModelAliases(name, number, { add: [], remove: [alias], why }); onDone(); },
  });
  const items = [
    ...STAGES.filter((stage) => !version.aliases.includes(stage)).map((stage) => ({ label: `Make it ${stage}…`, act: () => openMoveForm(name, version, stage, onDone) })),
    { label: 'Another alias…', act: () => openMoveForm(name, version, '', onDone) },
    { label: 'Take it out of the model…', act: () => openUnlinkForm(name, version, onDone) },
  ];
  return html`<tr><th scope="row"><b>v${number}</b></th>
    <td><span class="aliases">${sortAliases(version.aliases).map((alias) => html`<${AliasChip} key=${alias} alias=${alias} onRemove=${isEditable && alias !== 'latest' ? () => remove(alias) : null} />`)}</span></td>
    <td><${VersionName} version=${source} /><span class="row-note">${source.project}</span></td><td><${RunName} run=${source.logged_by} /></td>
    ${metrics.map((key) => html`<td key=${key} class="is-numeric">${metricText(source.logged_by?.summary[key])}</td>`)}
    <td class="linked-note"><span title=${version.why || undefined}><${Ago} seconds=${version.linked_s} />${version.linked_by && html`<span class="muted"> by ${version.linked_by}</span>`}</span>${version.why && html`<span class="why">${version.why}</span>`}</td>
    <td class="is-numeric">${isEditable && html`<${Menu} label=${`Change v${number}`} icon="more" items=${items} />`}</td></tr>`;
}

/** @param {number|string|undefined} value */
function metricText(value) {
  if (value === undefined) return html`<span class="muted">—</span>`;
  const number = /** @type {number} */ (fromWire(value));
  return html`<span title=${String(number)}>${formatCell(number)}</span>`;
}

/** @param {string} name @param {LinkedRow} version @param {string} alias "": to be typed @param {() => void} onDone */
function openMoveForm(name, version, alias, onDone) {
  openForm({
    title: alias === '' ? `Give v${version.number} an alias` : `Make v${version.number} of ${name} ${alias}?`, values: { alias }, done: alias === '' ? 'Set the alias' : `Make it ${alias}`,
    whyHint: 'kept in the audit', isReady: (value) => splitNames(value.alias).length > 0,
    body: ({ value, set }) => html`${alias === '' && html`<${TextField} label="Alias" isFirst value=${value.alias} onInput=${(/** @type {string} */ text) => set({ alias: text })} />`}
      <p>Another version of ${name} that has it loses it. <code>model-registry/${name}:${value.alias || '…'}</code> is then this one: ${version.source.name} v${version.source.number}.</p>`,
    act: async (value) => { await setModelAliases(name, version.number, { add: splitNames(value.alias), remove: [], why: value.why }); onDone(); },
  });
}

/** @param {string} name @param {LinkedRow} version @param {() => void} onDone */
function openUnlinkForm(name, version, onDone) {
  openForm({
    title: `Take v${version.number} out of ${name}?`, values: {}, done: 'Take it out', isDanger: true, whyHint: 'kept in the audit',
    body: () => html`<p>${version.source.name} v${version.source.number} stays with its artifact.${version.aliases.length > 0 && ` The aliases ${version.aliases.join(', ')} go with it.`}</p>`,
    act: async ({ why }) => { await unlinkVersion(name, version.number, why); onDone(); },
  });
}
