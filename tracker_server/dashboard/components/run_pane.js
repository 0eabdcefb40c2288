/** The left pane of a project: filter box, counts, buttons, and the table. */
import { formatNumber, plural } from '../logic/format.js';
import { charted, filterError, filteredRuns, isLoaded, runs } from '../state/project_store.js';
import { filterText, isTableOpen, updateView } from '../state/view.js';
import { html } from '../ui.js';
import { Skeleton } from './empty.js';
import { Icon } from './icons.js';
import { RunTable, columnQuery, nConstantColumns, onlyDiffering } from './run_table.js';

export const FILTER_ID = 'run-filter';

export function RunPane() {
  const isFull = isTableOpen.value;
  return html`<div class="pane-head">
      <label class="search"><${Icon} name="search" size=${14} />
        <input id=${FILTER_ID} type="search" placeholder="Filter runs  /" aria-label="Filter runs" spellcheck=${false} autocomplete="off"
          value=${filterText.value} onInput=${(/** @type {any} */ event) => updateView({ filter: event.currentTarget.value })}
          onKeyDown=${leaveOnEscape} /></label>
      <button class="icon-button" aria-pressed=${isFull} title=${isFull ? 'Back to the list (t)' : 'Full table of config and summary (t)'}
        aria-label=${isFull ? 'Back to the compact list' : 'Expand to the full table'} onClick=${() => updateView({ isTable: !isFull })}>
        <${Icon} name=${isFull ? 'collapse' : 'expand'} /></button>
    </div>
    ${filterError.value && html`<p class="filter-error" role="alert">${filterError.value}</p>`}
    <div class="pane-counts"><${Counts} />${isFull && html`<${ColumnTools} />`}</div>
    ${isLoaded.value ? html`<${RunTable} />` : html`<${Skeleton} rows=${14} />`}`;
}

function Counts() {
  const nAll = runs.value.length;
  const nFiltered = filteredRuns.value.length;
  const nShown = charted.value.length;
  const isAnyShown = nShown > 0;
  const text = nFiltered === nAll ? plural(nAll, 'run') : `${formatNumber(nFiltered)} of ${plural(nAll, 'run')}`;
  return html`<span>${text} · ${formatNumber(nShown)} shown</span>
    <button class="text-button" onClick=${() => updateView({ base: isAnyShown ? 'none' : 'auto', shown: [], hidden: [] })}>
      ${isAnyShown ? 'Hide all' : 'Show newest'}</button>`;
}

function ColumnTools() {
  const n = nConstantColumns.value;
  return html`<span class="pane-space"></span>
    <label class="search is-small"><${Icon} name="search" size=${12} /><input type="search" placeholder="Find a column" aria-label="Find a column"
      value=${columnQuery.value} onInput=${(/** @type {any} */ event) => { columnQuery.value = event.currentTarget.value; }} /></label>
    ${n > 0 && html`<label class="check"><input type="checkbox" checked=${onlyDiffering.value}
      onChange=${(/** @type {any} */ event) => { onlyDiffering.value = event.currentTarget.checked; }} />
      Hide ${plural(n, 'column')} that never differ${n === 1 ? 's' : ''}</label>`}`;
}

/** @param {KeyboardEvent} event */
function leaveOnEscape(event) {
  if (event.key !== 'Escape' && event.key !== 'Enter') return;
  if (event.key === 'Escape') updateView({ filter: '' });
  /** @type {HTMLElement} */ (event.currentTarget).blur();
}

/** Put the typing cursor in the filter box. */
export function focusFilter() {
  /** @type {HTMLInputElement|null} */ (document.getElementById(FILTER_ID))?.select();
}
