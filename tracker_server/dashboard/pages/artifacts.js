/** The list of artifacts, of one project or of all. */
import { artifactUrl, versionUrl } from '../artifact_urls.js';
import { fetchArtifacts, fetchUsage } from '../artifacts_api.js';
import { Ago, AliasChips, SearchBox, TypeTag } from '../components/artifact_bits.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { bindKeys } from '../components/keyboard.js';
import { Shell, homeCrumb, projectCrumb } from '../components/shell.js';
import { Snippet } from '../components/snippet.js';
import { sortAliases, usageText } from '../logic/artifacts.js';
import { formatNumber } from '../logic/format.js';
import { formatBytes } from '../logic/units.js';
import { artifactsUrl } from '../router.js';
import { useLoaded } from '../state/loaded.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useEffect, useState } from '../ui.js';

/** @typedef {import('../artifact_types.js').CollectionRow} CollectionRow */

const FILTER_ID = 'artifact-filter';
const ROWS_AT_A_TIME = 200;
const MAX_ROWS = 1000;

/** @param {{project: string}} props "": of all projects */
export function ArtifactsPage({ project }) {
  useEffect(() => {
    document.title = `Artifacts${project === '' ? '' : ` · ${project}`} · Tracker`;
    return bindKeys({ '/': () => document.getElementById(FILTER_ID)?.focus() });
  }, [project]);
  const crumbs = project === '' ? [{ label: 'Artifacts' }] : [homeCrumb(), projectCrumb(project), { label: 'Artifacts' }];
  return html`<${Shell} crumbs=${crumbs} place="artifacts"><div class="page is-roomy"><${Body} project=${project} /></div><//>`;
}

/** @param {{project: string}} props */
function Body({ project }) {
  const [type, text] = [queryValue('type'), queryValue('q')];
  const [size, setSize] = useState(ROWS_AT_A_TIME);
  const { value, error } = useLoaded((signal) => fetchArtifacts({ project, type, text, size }, signal), [project, type, text, size], { keepsOld: true });
  const usage = useLoaded((signal) => fetchUsage(project, signal), [project]);
  if (error && !value) return html`<${ErrorNote} error=${error} />`;
  if (!value) return html`<${Skeleton} rows=${8} />`;
  if (value.types.length === 0 && type === '' && text === '') return html`<${NoArtifacts} project=${project} />`;
  const rows = value.artifacts;
  return html`<div class="page-head is-wrapping"><h1>Artifacts</h1>
      ${value.types.length > 1 && html`<${TypeChoice} types=${value.types} value=${type} />`}
      <${SearchBox} id=${FILTER_ID} label="Filter artifacts  /" value=${text} onInput=${(/** @type {string} */ q) => setQuery({ q })} /></div>
    ${usage.value && html`<p class="page-note muted">${usageText(usage.value)}${project !== '' && html` · <a href=${artifactsUrl()}>artifacts of all projects</a>`}</p>`}
    ${rows.length > 0 && html`<div class="scroll-x"><table class="list artifact-list"><thead><tr><th scope="col">Artifact</th><th scope="col">Type</th><th scope="col">Latest</th><th scope="col">Aliases</th>
        <th scope="col" class="is-numeric">Versions</th><th scope="col" class="is-numeric is-extra" title="All versions, as if nothing were shared">Size</th>
        <th scope="col" class="is-numeric">Changed</th></tr></thead>
      <tbody>${rows.map((row) => html`<${Row} key=${`${row.project}/${row.name}`} row=${row} hasProject=${project === ''} />`)}</tbody></table></div>`}
    ${rows.length === 0 && html`<p class="muted">No artifact ${type !== '' ? `of type ${type} ` : ''}${text === '' ? 'is here' : `has “${text}” in its name`}.</p>`}
    ${value.next_place !== null && size < MAX_ROWS && html`<p><button class="button" onClick=${() => setSize(Math.min(MAX_ROWS, size + ROWS_AT_A_TIME * 2))}>Show more</button></p>`}
    ${value.next_place !== null && size >= MAX_ROWS && html`<p class="muted">The ${formatNumber(MAX_ROWS)} last changed are shown: the filter finds the others.</p>`}`;
}

/** @param {{types: string[], value: string}} props */
function TypeChoice({ types, value }) {
  return html`<label class="field">Type <select class="select" value=${value} onChange=${(/** @type {any} */ event) => setQuery({ type: event.currentTarget.value })}>
    <option value="">all</option>${types.map((type) => html`<option key=${type} value=${type} selected=${type === value}>${type}</option>`)}</select></label>`;
}

/** @param {{row: CollectionRow, hasProject: boolean}} props */
function Row({ row, hasProject }) {
  const { project, name, latest } = row;
  return html`<tr><th scope="row"><a class="list-link" href=${artifactUrl(project, name)} title=${`${project}/${name}`}>${name}</a>
      ${hasProject && html`<a class="row-note over-row" href=${artifactsUrl(project)}>${project}</a>`}</th>
    <td><${TypeTag} type=${row.type} /></td>
    <td>${latest ? html`<a class="over-row version-link" href=${versionUrl(project, name, `v${latest.number}`)}>v${latest.number}</a>` : html`<span class="muted">none</span>`}</td>
    <td><span class="over-row"><${AliasChips} aliases=${sortAliases(row.aliases.filter((alias) => alias !== 'latest'))} max=${3} urlOf=${(/** @type {string} */ alias) => versionUrl(project, name, alias)} /></span></td>
    <td class="is-numeric">${formatNumber(row.n_versions)}</td>
    <td class="is-numeric is-extra">${formatBytes(row.size_bytes)}</td>
    <td class="is-numeric"><${Ago} seconds=${row.updated_s} /></td></tr>`;
}

/** @param {{project: string}} props */
function NoArtifacts({ project }) {
  return html`<${EmptyText} title=${project === '' ? 'No artifacts yet' : `No artifacts in ${project} yet`}>
    <p>An artifact is a set of files with versions: a data set, a model, a table. A run logs one in three lines:</p>
    <${Snippet} text=${'artifact = tracker.Artifact("digits-train", type="dataset")\nartifact.add_dir("data/train")\nrun.log_artifact(artifact)'} />
    <p class="muted">Logged again with the same content it stays the same version; what is in other versions already takes no more room.</p>
    ${project !== '' && html`<p><a href=${artifactsUrl()}>Artifacts of all projects</a></p>`}<//>`;
}
