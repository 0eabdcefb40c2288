/** The lineage of a version or run: what it came from and what came of it, as a graph that is panned, zoomed and unfolded. */
import { fetchLineage } from '../artifacts_api.js';
import { MAX_SIBLINGS, groupLineage } from '../logic/lineage_groups.js';
import { formatNumber, plural } from '../logic/format.js';
import { useLoaded } from '../state/loaded.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useMemo, useState } from '../ui.js';
import { Ago, AliasChips, RunName, VersionName } from './artifact_bits.js';
import { EmptyText, ErrorNote, Skeleton } from './empty.js';
import { Icon } from './icons.js';
import { LineageGraphView } from './lineage_graph.js';
import { Segments } from './segments.js';

/** @typedef {import('../artifact_types.js').LineageNode} LineageNode */
/** @typedef {import('../logic/lineage_groups.js').Item} Item */

const DIRECTIONS = /** @type {[string, string][]} */ ([['both', 'Both ways'], ['up', 'Came from'], ['down', 'Led to']]);
const DEPTHS = /** @type {[string, string][]} */ ([['', 'all'], ['1', '1 step'], ['2', '2 steps'], ['4', '4 steps'], ['8', '8 steps']]);
const MEMBERS_AT_A_TIME = 50;
/** More than this would make the graph what the cluster avoids. */
const MAX_UNFOLDED = 60;

/**
 * @param {{of: import('../artifacts_api.js').VersionName|{project: string, run: string}, focus: string, noun?: string}} props focus: the id of
 *   the node looked at
 */
export function LineageView({ of, focus, noun = 'version' }) {
  const [local, setLocal] = useState(/** @type {Record<string, string>} */ ({}));
  // The run page has an address of its own making.
  const isInAddress = noun === 'version';
  const asked = (/** @type {string} */ key) => (isInAddress ? queryValue(key) : local[key] ?? '');
  const ask = (/** @type {Record<string, string>} */ patch) => (isInAddress ? setQuery(patch) : setLocal({ ...local, ...patch }));
  const direction = DIRECTIONS.some(([key]) => key === asked('dir')) ? asked('dir') : 'both';
  const depth = DEPTHS.some(([key]) => key === asked('depth')) ? asked('depth') : '';
  const [expanded, setExpanded] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [chosen, setChosen] = useState('');
  const query = { direction, depth: depth === '' ? null : Number(depth) };
  const { value, error } = useLoaded((signal) => fetchLineage(of, query, signal), [of, direction, depth], { keepsOld: true });
  const graph = useMemo(() => (value ? groupLineage(value.nodes, value.edges, { focus, expanded }) : null), [JSON.stringify(value), focus, expanded]);
  if (error && !value) return html`<${ErrorNote} error=${error} />`;
  if (!value || !graph) return html`<${Skeleton} rows=${8} />`;
  const cluster = graph.items.find((item) => item.id === chosen && item.members.length > 1) ?? null;
  const unfold = (/** @type {Item} */ item) => { setExpanded(new Set([...expanded, ...item.members.map(({ id }) => id)])); setChosen(''); };
  const nRuns = value.nodes.filter(({ run }) => run).length;
  return html`<div class="lineage"><div class="toolbar lineage-toolbar">
      <${Segments} label="Direction" value=${direction} choices=${DIRECTIONS} onChange=${(/** @type {string} */ dir) => ask({ dir: dir === 'both' ? '' : dir })} />
      <label class="field">Depth <select class="select" value=${depth} onChange=${(/** @type {any} */ event) => ask({ depth: event.currentTarget.value })}>
        ${DEPTHS.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === depth}>${text}</option>`)}</select></label>
      <span class="muted lineage-sum">${plural(value.nodes.length - nRuns, 'version')}, ${plural(nRuns, 'run')}</span>
      ${expanded.size > 0 && html`<button class="text-button" onClick=${() => setExpanded(new Set())}>Fold siblings again</button>`}
      ${!value.is_complete && html`<span class="trouble"><${Icon} name="warn" size=${14} />There is more: only the nearest ${formatNumber(value.nodes.length)} are shown</span>`}</div>
    ${value.nodes.length < 2
    ? html`<${EmptyText} title="Nothing came before, nothing after"><p>Lineage is drawn where runs say what they use: <code>run.use_artifact(…)</code>, and what they make: <code>run.log_artifact(…)</code>.</p><//>`
    : html`<div class=${cluster ? 'lineage-body has-side' : 'lineage-body'}><${LineageGraphView} graph=${graph} chosen=${chosen} onChoose=${setChosen} focus=${focus} />
      ${cluster && html`<${Members} key=${cluster.id} item=${cluster} onClose=${() => setChosen('')} onUnfold=${() => unfold(cluster)} />`}</div>`}
    ${value.nodes.length >= 2 && html`<p class="muted hint pad">Data flows from left to right; this ${noun} is framed. More than ${MAX_SIBLINGS} siblings, in the same place of the graph, are drawn as one stack: click it to see them.</p>`}</div>`;
}

/** The nodes of a stack. @param {{item: Item, onClose: () => void, onUnfold: () => void}} props */
function Members({ item, onClose, onUnfold }) {
  const [limit, setLimit] = useState(MEMBERS_AT_A_TIME);
  const { members, kind } = item;
  return html`<aside class="lineage-side" aria-label="Nodes of the stack"><header class="file-head"><h3>${plural(members.length, kind)}</h3>
      ${members.length <= MAX_UNFOLDED && html`<button class="button" onClick=${onUnfold}>Unfold in the graph</button>`}
      <button class="icon-button" aria-label="Close" title="Close" onClick=${onClose}><${Icon} name="close" /></button></header>
    <ul class="member-list">${members.slice(0, limit).map((node) => html`<li key=${node.id}>${node.run ? html`<${RunName} run=${node.run} />` : node.version && html`<${VersionName} version=${node.version} />
      <${AliasChips} aliases=${node.version.aliases} max=${2} /><span class="muted"><${Ago} seconds=${node.version.created_s} /></span>`}</li>`)}</ul>
    ${members.length > limit && html`<button class="more-lines" onClick=${() => setLimit(limit * 4)}>Show more</button>`}</aside>`;
}
