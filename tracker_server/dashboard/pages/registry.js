/** The registry: models and data sets that are meant for others, with the versions that are in use. */
import { modelUrl } from '../artifact_urls.js';
import { fetchModels } from '../artifacts_api.js';
import { Ago, AliasChip, SearchBox, TypeTag, VersionName } from '../components/artifact_bits.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { Shell } from '../components/shell.js';
import { Snippet } from '../components/snippet.js';
import { sortAliases } from '../logic/artifacts.js';
import { formatNumber } from '../logic/format.js';

import { useLoaded } from '../state/loaded.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useEffect } from '../ui.js';

/** @typedef {import('../artifact_types.js').ModelRow} ModelRow */

const FILTER_ID = 'model-filter';
const MAX_ALIASES = 4;

export function RegistryPage() {
  useEffect(() => {
    document.title = 'Registry · Tracker';
    return bindKeys({ '/': () => document.getElementById(FILTER_ID)?.focus() });
  }, []);
  return html`<${Shell} crumbs=${[{ label: 'Registry' }]} place="registry"><div class="page is-roomy"><${Body} /></div><//>`;
}

function Body() {
  const { value, error } = useLoaded((signal) => fetchModels(signal), []);
  const text = queryValue('q');
  if (error && !value) return html`<${ErrorNote} error=${error} />`;
  if (!value) return html`<${Skeleton} rows=${6} />`;
  if (value.length === 0) return html`<${NoModels} />`;
  const needle = text.trim().toLowerCase();
  const rows = value.filter(({ name, type, aliases }) => [name, type, ...Object.keys(aliases)].some((one) => one.toLowerCase().includes(needle)));
  return html`<div class="page-head is-wrapping"><h1>Registry</h1>
      <${SearchBox} id=${FILTER_ID} label="Filter models  /" value=${text} onInput=${(/** @type {string} */ q) => setQuery({ q })} /></div>
    <div class="scroll-x"><table class="list model-list"><thead><tr><th scope="col">Model</th><th scope="col">Type</th><th scope="col">In use</th><th scope="col" class="is-numeric">Versions</th>
      <th scope="col" class="is-extra">Latest from</th><th scope="col" class="is-numeric">Changed</th></tr></thead>
      <tbody>${rows.map((model) => html`<${Row} key=${model.name} model=${model} />`)}</tbody></table></div>
    ${rows.length === 0 && html`<p class="muted">No model has “${text}” in its name, type or aliases.</p>`}`;
}

/** @param {{model: ModelRow}} props */
function Row({ model }) {
  const aliases = sortAliases(Object.keys(model.aliases).filter((alias) => alias !== 'latest'));
  return html`<tr><th scope="row"><a class="list-link" href=${modelUrl(model.name)}>${model.name}</a>${model.has_card && html`<span class="row-note" title="It has a model card"><${Icon} name="file" size=${12} /></span>`}</th>
    <td><${TypeTag} type=${model.type} /></td>
    <td><span class="aliases">${aliases.slice(0, MAX_ALIASES).map((alias) => html`<span key=${alias} class="alias-pair"><${AliasChip} alias=${alias} /><span class="muted">v${model.aliases[alias]}</span></span>`)}
      ${aliases.length === 0 && html`<span class="muted">—</span>`}${aliases.length > MAX_ALIASES && html`<span class="muted">+${aliases.length - MAX_ALIASES}</span>`}</span></td>
    <td class="is-numeric">${formatNumber(model.n_versions)}</td>
    <td class="is-extra"><span class="over-row">${model.latest ? html`<${VersionName} version=${model.latest.source} />` : html`<span class="muted">—</span>`}</span></td>
    <td class="is-numeric"><${Ago} seconds=${model.updated_s} /></td></tr>`;
}

function NoModels() {
  return html`<${EmptyText} title="The registry is empty">
    <p>Models and data sets that others rely on are registered here: versions of artifacts, with aliases such as <code>candidate</code> and <code>production</code>, and a record of who moved them, when and why.</p>
    <${Snippet} text=${'artifact = run.log_model("model.pt", name="digits")\nrun.link_artifact(artifact, "model-registry/digits", aliases=["candidate"])'} />
    <p class="muted">In a terminal: <code>tracker registry promote digits --from candidate --to production --why "…"</code>. On a version’s page: its menu.</p><//>`;
}
