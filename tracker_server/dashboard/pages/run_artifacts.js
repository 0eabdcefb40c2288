/** The artifacts tab of a run: what it logged, what it used, and how both hang together. */
import { fetchRunArtifacts } from '../artifacts_api.js';
import { Ago, AliasChips, TypeTag, VersionName } from '../components/artifact_bits.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { LineageView } from '../components/lineage_view.js';
import { Snippet } from '../components/snippet.js';
import { sortAliases } from '../logic/artifacts.js';
import { formatNumber } from '../logic/format.js';
import { formatBytes } from '../logic/units.js';
import { useLoaded } from '../state/loaded.js';
import { html, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */
/** @typedef {import('../artifact_types.js').RunArtifact} RunArtifact */

const ROWS_AT_A_TIME = 100;

/** @param {{run: RunDetail}} props */
export function ArtifactsTab({ run }) {
  const { project, id } = run;
  const { value, error } = useLoaded((signal) => fetchRunArtifacts(project, id, signal), [project, id]);
  if (error && !value) return html`<${ErrorNote} error=${error} />`;
  if (!value) return html`<${Skeleton} rows=${6} />`;
  if (value.length === 0) return html`<${NoArtifacts} isRunning=${run.state === 'running'} />`;
  const [logged, used] = [true, false].map((isOutput) => value.filter((one) => one.is_output === isOutput));
  return html`<div class="run-artifacts">
    ${used.length > 0 && html`<${Listed} title="Used" rows=${used} />`}
    ${logged.length > 0 && html`<${Listed} title="Logged" rows=${[...logged].reverse()} />`}
    <section><h2>Lineage</h2><${LineageView} of=${{ project, run: id }} focus=${`run:${project}/${id}`} noun="run" /></section></div>`;
}

/** @param {{title: string, rows: RunArtifact[]}} props */
function Listed({ title, rows }) {
  const [limit, setLimit] = useState(ROWS_AT_A_TIME);
  const hasUsedAs = rows.some((row) => row.used_as !== '');
  return html`<section aria-label=${title}><h2>${title} <span class="count">${formatNumber(rows.length)}</span></h2>
    <div class="scroll-x"><table class="list is-small"><thead><tr><th scope="col">Artifact</th><th scope="col">Type</th>${hasUsedAs && html`<th scope="col">As</th>`}<th scope="col">Aliases</th>
      <th scope="col" class="is-numeric">Files</th><th scope="col" class="is-numeric">Size</th><th scope="col" class="is-numeric">When</th></tr></thead>
    <tbody>${rows.slice(0, limit).map((row) => html`<tr key=${row.version.uid}><th scope="row"><${VersionName} version=${row.version} /></th><td><${TypeTag} type=${row.version.type} /></td>
      ${hasUsedAs && html`<td>${row.used_as}</td>`}<td><${AliasChips} aliases=${sortAliases(row.version.aliases)} /></td>
      <td class="is-numeric">${formatNumber(row.version.n_files)}</td><td class="is-numeric">${formatBytes(row.version.size_bytes)}</td><td class="is-numeric"><${Ago} seconds=${row.at_s} /></td></tr>`)}</tbody></table></div>
    ${rows.length > limit && html`<button class="more-lines" onClick=${() => setLimit(limit * 4)}>Show more</button>`}</section>`;
}

/** @param {{isRunning: boolean}} props */
function NoArtifacts({ isRunning }) {
  return html`<${EmptyText} title="No artifacts">
    <p>${isRunning ? 'This run has neither used nor logged an artifact yet.' : 'This run has neither used nor logged an artifact.'}</p>
    <${Snippet} text=${'data = run.use_artifact("digits-train:latest").download()\n…\nrun.log_model("model.pt", name="digits")'} />
    <p class="muted">What a run uses and logs is joined into a lineage: which data a model came from, and what became of it.</p><//>`;
}
