/** The left pane of a project: filter box, counts, buttons, and the table of runs or of groups. */
import { formatNumber, plural } from '../logic/format.js';
import { charted } from '../state/project_store.js';
import { isLoaded, nAllRuns, order, queryError, showWaiting, waiting } from '../state/run_list.js';
import { groupBy, isTableOpen, updateView } from '../state/view.js';
import { html, signal } from '../ui.js';
import { Skeleton } from './empty.js';
import { FilterBox } from './filter_box.js';
import { Icon } from './icons.js';
import { RunTable } from './run_table.js';

const groupModule = signal(/** @type {typeof import('./group_table.js')|null} */ (null));
async function loadGroups() {
  if (!groupModule.peek()) groupModule.value = await import('./group_table.js');
}

/** @param {'columns'|'groups'} what */
const openPicker = async (what) => (await import('./column_picker.js')).openPicker(what);

export function RunPane() {
  const isFull = isTableOpen.value;
  const isGrouped = groupBy.value.length > 0;
  return html`<div class="pane-head">
      <${FilterBox} />
      <button class="icon-button" aria-pressed=${isGrouped} title="Group runs" aria-label="Group runs" onClick=${() => openPicker('groups')}><${Icon} name="group" /></button>
      <button class="icon-button" title="Columns" aria-label="Choose columns" onClick=${() => openPicker('columns')}><${Icon} name="columns" /></button>
      <button class="icon-button" aria-pressed=${isFull} title=${isFull ? 'Back to the list (t)' : 'Full table of config and summary (t)'}
        aria-label=${isFull ? 'Back to the compact list' : 'Expand to the full table'} onClick=${() => updateView({ isTable: !isFull })}>
        <${Icon} name=${isFull ? 'collapse' : 'expand'} /></button>
    </div>
    ${isGrouped ? html`<${Grouped} />` : html`<div class="pane-counts"><${Counts} /></div>
      ${isLoaded.value ? html`<${List} />` : html`<${Skeleton} rows=${14} />`}`}`;
}

function Grouped() {
  const loaded = groupModule.value;
  if (loaded) return html`<${loaded.GroupPane} />`;
  loadGroups();
  return html`<${Skeleton} rows=${14} />`;
}

function List() {
  const isEmpty = order.value.ids.length === 0;
  if (isEmpty && queryError.value) return html`<div class="run-scroller"></div>`;
  if (!isEmpty) return html`<${RunTable} />`;
  return html`<div class="run-scroller pane-empty"><p class="muted">No run matches.</p>
    <button class="text-button" onClick=${() => updateView({ filter: '' })}>Show all runs</button></div>`;
}

function Counts() {
  const nAll = nAllRuns.value;
  const { nMatching } = order.value;
  const nShown = charted.value.length;
  const text = nAll === null || nMatching === nAll ? plural(nMatching, 'run') : `${formatNumber(nMatching)} of ${plural(nAll, 'run')}`;
  return html`<span>${text} · ${formatNumber(nShown)} shown</span>
    <${Waiting} />
    <button class="text-button" onClick=${() => updateView({ base: nShown > 0 ? 'none' : 'auto', shown: [], hidden: [] })}>
      ${nShown > 0 ? 'Hide all' : 'Show first'}</button>`;
}

/** What came while somebody reads below, or points at a run. */
function Waiting() {
  if (!waiting.value) return null;
  const { nNew } = waiting.value;
  return html`<button class="new-chip" onClick=${showWaiting}><${Icon} name="up" size=${12} />${nNew > 0 ? `${formatNumber(nNew)} new` : 'Order changed'}</button>`;
}
