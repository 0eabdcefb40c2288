/** One artifact: what it is, how its versions are kept, and all versions. */
import { versionUrl } from '../artifact_urls.js';
import { deleteArtifact, editArtifact, fetchArtifact, fetchVersions } from '../artifacts_api.js';
import { Ago, AliasChips, Registrations, RunName, SearchBox, TagList, TypeTag } from '../components/artifact_bits.js';
import { TextField, openForm } from '../components/artifact_forms.js';
import { ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { Markdown } from '../components/markdown.js';
import { Menu } from '../components/menu.js';
import { Shell, homeCrumb, projectCrumb } from '../components/shell.js';
import { Snippet } from '../components/snippet.js';
import { openDeleteForm } from '../components/version_actions.js';
import { retentionTexts, sortAliases, splitNames, useText } from '../logic/artifacts.js';
import { formatNumber, formatTime, plural } from '../logic/format.js';
import { formatBytes } from '../logic/units.js';
import { artifactsUrl, navigate } from '../router.js';
import { useLoaded } from '../state/loaded.js';
import { mayChange } from '../state/me.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useEffect, useState } from '../ui.js';

/** @typedef {import('../artifact_types.js').CollectionRow} CollectionRow */
/** @typedef {import('../artifact_types.js').VersionRow} VersionRow */

const ROWS_AT_A_TIME = 100;

/** @param {string} project @param {{label: string, url?: string}[]} rest */
export const artifactCrumbs = (project, ...rest) => [homeCrumb(), projectCrumb(project), { label: 'Artifacts', url: artifactsUrl(project) }, ...rest];

/** @param {{project: string, name: string}} props */
export function ArtifactPage({ project, name }) {
  useEffect(() => { document.title = `${name} · ${project} · Tracker`; }, [project, name]);
  const [limit, setLimit] = useState(ROWS_AT_A_TIME);
  const artifact = useLoaded((signal) => fetchArtifact(project, name, signal), [project, name]);
  const list = useLoaded((signal) => fetchVersions(project, name, limit, signal), [project, name, limit], { keepsOld: true });
  const reload = () => { artifact.reload(); list.reload(); };
  const body = () => {
    const error = artifact.value ? null : artifact.error;
    if (error) return html`<h1 class="for-readers">${name}</h1><${ErrorNote} error=${error} what=${`artifact ${name} in ${project}`} />`;
    if (!artifact.value || !list.value) return html`<${Skeleton} rows=${10} />`;
    return html`<${Header} artifact=${artifact.value} onDone=${reload} />
      <${Versions} artifact=${artifact.value} versions=${list.value.versions} onDone=${reload} />
      ${list.value.next_place !== null && html`<p><button class="button" onClick=${() => setLimit(limit + ROWS_AT_A_TIME * 3)}>Show older versions</button></p>`}`;
  };
  return html`<${Shell} crumbs=${artifactCrumbs(project, { label: name })} place="artifacts"><div class="page is-roomy">${body()}</div><//>`;
}

/** @param {{artifact: CollectionRow, onDone: () => void}} props */
function Header({ artifact, onDone }) {
  const { project, name } = artifact;
  const kept = retentionTexts(artifact.retention);
  const describe = () => openForm({
    title: `Describe ${name}`, values: { description: artifact.description }, done: 'Save',
    body: ({ value, set }) => html`<${TextField} label="Description (Markdown)" isLong isFirst value=${value.description} onInput=${(/** @type {string} */ description) => set({ description })} />`,
    act: async ({ description }) => { await editArtifact(project, name, { description }); onDone(); },
  });
  const items = [
    { label: artifact.description === '' ? 'Describe it…' : 'Edit the description…', act: describe },
    { label: 'Which versions are kept…', act: () => openRetentionForm(artifact, onDone) },
    { label: 'Delete the artifact…', act: () => openDeleteAll(artifact) },
  ];
  return html`<header class="object-head"><div class="object-title"><h1>${name}</h1><${TypeTag} type=${artifact.type} />
      ${mayChange(project) && html`<${Menu} label="Change this artifact" icon="more" items=${items} />`}</div>
    <p class="facts"><span>${plural(artifact.n_versions, 'version')}</span><span title="All versions, as if nothing were shared">${formatBytes(artifact.size_bytes)} logged</span>
      <span title=${formatTime(artifact.created_s)}>since <${Ago} seconds=${artifact.created_s} /></span>
      ${kept.length > 0 && html`<span><${Icon} name="clock" size=${12} /> ${kept.join('; ')}</span>`}</p>
    ${artifact.description_html && html`<${Markdown} source=${artifact.description_html} />`}
    ${artifact.latest && html`<details class="use-it"><summary>Use it</summary><${Snippet} text=${useText(artifact, 'latest')} /></details>`}</header>`;
}

/** @param {CollectionRow} artifact @param {() => void} onDone */
function openRetentionForm(artifact, onDone) {
  const { keep_last: last, keep_best: best, ttl_days: ttl, protected_aliases: kept } = artifact.retention;
  const numberOf = (/** @type {string} */ text) => (text.trim() === '' ? null : Number(text));
  openForm({
    title: `Which versions of ${artifact.name} are kept`, done: 'Save',
    values: { last: last ? String(last) : '', n: best ? String(best.n) : '', metric: best?.metric ?? '', goal: best?.goal ?? 'minimize', ttl: ttl ? String(ttl) : '', kept: (kept ?? []).join(', ') },
    body: ({ value, set }) => html`<p class="muted">A version goes when a rule speaks of it and none keeps it, with the next <code>tracker gc</code>. Nothing filled in: all are kept.</p>
      <div class="form-row"><${TextField} label="Keep the last" type="number" min="1" isFirst value=${value.last} onInput=${(/** @type {string} */ text) => set({ last: text })} hint="versions" />
        <${TextField} label="Go after" type="number" min="0" value=${value.ttl} onInput=${(/** @type {string} */ text) => set({ ttl: text })} hint="days" /></div>
      <div class="form-row"><${TextField} label="Keep the best" type="number" min="1" value=${value.n} onInput=${(/** @type {string} */ text) => set({ n: text })} hint="versions" />
        <${TextField} label="by the summary value" value=${value.metric} onInput=${(/** @type {string} */ text) => set({ metric: text })} hint="of the run that logged it" />
        <label class="form-field"><span>which is best</span><select class="select" value=${value.goal} onChange=${(/** @type {any} */ event) => set({ goal: event.currentTarget.value })}>
          <option value="minimize">low</option><option value="maximize">high</option></select></label></div>
      <${TextField} label="Never delete versions with the aliases" value=${value.kept} onInput=${(/** @type {string} */ text) => set({ kept: text })} hint="Parted by commas, such as production." />`,
    act: async (value) => {
      const isBest = value.n.trim() !== '' && value.metric.trim() !== '';
      await editArtifact(artifact.project, artifact.name, { retention: {
        keep_last: numberOf(value.last), ttl_days: numberOf(value.ttl), protected_aliases: splitNames(value.kept),
        keep_best: isBest ? { metric: value.metric.trim(), n: Number(value.n), goal: value.goal } : null,
      } });
      onDone();
    },
  });
}

/** @param {CollectionRow} artifact */
function openDeleteAll({ project, name, n_versions: n }) {
  openForm({
    title: `Delete ${name} with ${plural(n, 'version')}?`, values: { text: '' }, done: 'Delete', isDanger: true, whyHint: 'optional',
    isReady: ({ text }) => text.trim() === name,
    body: ({ value, set }) => html`<p>All of its versions go, and with the next <code>tracker gc</code> their files. This cannot be undone.</p>
      <${TextField} label=${html`Type <code>${name}</code> to be sure`} isFirst value=${value.text} onInput=${(/** @type {string} */ text) => set({ text })} />`,
    act: async ({ why }) => { await deleteArtifact(project, name, why); navigate(artifactsUrl(project)); },
  });
}

/** @param {VersionRow} version @param {string} needle */
function matches(version, needle) {
  return [`v${version.number}`, ...version.aliases, ...version.tags, version.logged_by?.name ?? '', version.digest].some((text) => text.toLowerCase().includes(needle));
}

/** @param {{artifact: CollectionRow, versions: VersionRow[], onDone: () => void}} props */
function Versions({ artifact, versions, onDone }) {
  const [chosen, setChosen] = useState(/** @type {readonly string[]} */ ([]));
  const needle = queryValue('q').trim().toLowerCase();
  const shown = needle === '' ? versions : versions.filter((version) => matches(version, needle));
  const picked = versions.filter(({ uid }) => chosen.includes(uid));
  const toggle = (/** @type {string} */ uid) => setChosen(chosen.includes(uid) ? chosen.filter((other) => other !== uid) : [...chosen, uid]);
  const has = (/** @type {(version: VersionRow) => boolean} */ test) => versions.some(test);
  const [hasRegistry, hasReferences] = [has((version) => version.registered_as.length > 0), has((version) => version.n_references > 0)];
  return html`<section aria-label="Versions"><div class="section-head"><h2>Versions</h2>
      ${picked.length > 0 ? html`<${Picked} picked=${picked} onClear=${() => setChosen([])} onDone=${() => { setChosen([]); onDone(); }} />`
    : versions.length > 1 && html`<span class="muted hint">Choose two to compare them.</span>`}
      <span class="toolbar-space"></span>
      ${versions.length > 8 && html`<${SearchBox} isSmall label="Version, alias, tag, run" value=${queryValue('q')} onInput=${(/** @type {string} */ q) => setQuery({ q })} />`}</div>
    <div class="scroll-x"><table class="list version-list"><thead><tr><th scope="col"><span class="for-readers">Choose</span></th><th scope="col">Version</th><th scope="col">Aliases and tags</th>
        <th scope="col">Logged by</th><th scope="col" class="is-numeric">Files</th><th scope="col" class="is-numeric">Size</th><th scope="col" class="is-numeric is-extra">Used by</th>
        ${hasRegistry && html`<th scope="col" class="is-extra">Registered</th>`}<th scope="col" class="is-numeric">Logged</th></tr></thead>
      <tbody>${shown.map((version) => html`<${Row} key=${version.uid} version=${version} isChosen=${chosen.includes(version.uid)} onToggle=${() => toggle(version.uid)}
        hasRegistry=${hasRegistry} hasReferences=${hasReferences} />`)}</tbody></table></div>
    ${versions.length === 0 && html`<p class="muted">Every version of ${artifact.name} was deleted.</p>`}
    ${versions.length > 0 && shown.length === 0 && html`<p class="muted">No version matches “${needle}”.</p>`}</section>`;
}

/** What can be done with the chosen ones. @param {{picked: VersionRow[], onClear: () => void, onDone: () => void}} props */
function Picked({ picked, onClear, onDone }) {
  const [newer, older] = picked;
  return html`<span class="picked" role="status">
    ${picked.length === 2
    ? html`<a class="button is-primary" href=${`${versionUrl(newer.project, newer.name, `v${newer.number}`)}?tab=compare&with=v${older.number}`}><${Icon} name="compare" size=${14} />Compare v${older.number} with v${newer.number}</a>`
    : html`<span class="muted">${plural(picked.length, 'version')} chosen${picked.length === 1 ? ': choose another to compare' : ''}</span>`}
    ${mayChange(newer.project) && html`<button class="button" onClick=${() => openDeleteForm(picked, onDone)}><${Icon} name="trash" size=${14} />Delete</button>`}
    <button class="text-button" onClick=${onClear}>Clear</button></span>`;
}

/** @param {{version: VersionRow, isChosen: boolean, onToggle: () => void, hasRegistry: boolean, hasReferences: boolean}} props */
function Row({ version, isChosen, onToggle, hasRegistry, hasReferences }) {
  const { project, name, number } = version;
  return html`<tr class=${isChosen ? 'is-chosen' : ''}><td class="choose"><input class="over-row" type="checkbox" aria-label=${`Choose v${number}`} checked=${isChosen} onChange=${onToggle} /></td>
    <th scope="row"><a class="list-link" href=${versionUrl(project, name, `v${number}`)}>v${number}</a></th>
    <td><span class="alias-cell"><${AliasChips} aliases=${sortAliases(version.aliases)} /><${TagList} tags=${version.tags} /></span></td>
    <td><span class="over-row"><${RunName} run=${version.logged_by} /></span></td>
    <td class="is-numeric">${formatNumber(version.n_files)}${hasReferences && version.n_references > 0 && html`<span class="muted" title="References to files elsewhere"> (${formatNumber(version.n_references)} ref)</span>`}</td>
    <td class="is-numeric">${formatBytes(version.size_bytes)}</td>
    <td class="is-numeric is-extra">${version.n_used_by > 0 ? formatNumber(version.n_used_by) : html`<span class="muted">—</span>`}</td>
    ${hasRegistry && html`<td class="is-extra"><span class="over-row"><${Registrations} registrations=${version.registered_as} /></span></td>`}
    <td class="is-numeric"><${Ago} seconds=${version.created_s} /></td></tr>`;
}
