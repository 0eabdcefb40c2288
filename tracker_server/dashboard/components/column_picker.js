/** The dialogs that choose columns, and what runs are grouped by: all keys of the project, searched on the server. */
import { fetchColumns } from '../api.js';
import { AGGREGATES, OWN_PATHS, columnOf, formatPath, parsePath } from '../logic/columns.js';
import { formatNumber, plural } from '../logic/format.js';
import { columnInfos, infoByPath, nColumns, projectName } from '../state/project_store.js';
import { nAllRuns } from '../state/run_list.js';
import { MAX_COLUMNS, chooseColumns, moveColumn, showColumn, tableOrder, togglePin } from '../state/table_columns.js';
import { groupBy, pinnedColumns, tableColumns, updateView } from '../state/view.js';
import { html, useEffect, useState } from '../ui.js';
import { openDialog } from './dialog.js';
import { Icon } from './icons.js';
import './more_icons.js';

/** @typedef {import('../types.js').ColumnInfo} ColumnInfo */

const SEARCH_MS = 150;
const MOST_FOUND = 200;
/** More keys make groups of one run each. */
const MOST_KEYS = 5;
const FIELDS = OWN_PATHS.filter((path) => path !== 'name');
/** Fields that many runs share. */
const GROUP_FIELDS = ['group', 'job_type', 'state', 'host', 'name'];

/** @param {'columns'|'groups'} what */
export function openPicker(what) {
  if (what === 'columns') openDialog({ title: 'Columns', isWide: true, body: () => html`<${ColumnsBody} />` });
  else openDialog({ title: 'Group runs', body: () => html`<${GroupsBody} />` });
}

function ColumnsBody() {
  return html`<div class="picker"><${Chosen} /><${AllColumns} /></div>`;
}

/** The columns of the table, in their order. */
function Chosen() {
  const paths = tableOrder.value;
  const [dragged, setDragged] = useState('');
  return html`<section aria-label="Columns shown"><div class="picker-head"><h3>Shown <span class="count">${paths.length}</span></h3>
      ${tableColumns.value.length > 0 && html`<button class="text-button" onClick=${() => chooseColumns([])}>Back to the usual</button>`}</div>
    <ol class="picker-list">${paths.map((path, index) => {
      const { label, root } = columnOf(path, infoByPath.value);
      const isPinned = pinnedColumns.value.includes(path);
      const over = (/** @type {DragEvent} */ event) => {
        event.preventDefault();
        if (dragged !== '' && dragged !== path) moveColumn(dragged, index - paths.indexOf(dragged));
      };
      return html`<li key=${path} class=${dragged === path ? 'is-dragged' : ''} draggable="true" onDragStart=${() => setDragged(path)} onDragEnd=${() => setDragged('')} onDragOver=${over}>
        <${Icon} name="grip" size=${14} /><span class="picker-name" title=${path}>${label}</span>${root !== 'run' && html`<span class="muted">${root}</span>`}
        <button class="icon-button" aria-pressed=${isPinned} aria-label=${`Pin ${label}`} title="Keep in sight" onClick=${() => togglePin(path)}><${Icon} name="pin" size=${14} /></button>
        <button class="icon-button" disabled=${index === 0} aria-label=${`Move ${label} up`} title="Further left" onClick=${() => moveColumn(path, -1)}><${Icon} name="up" size=${14} /></button>
        <button class="icon-button" disabled=${index === paths.length - 1} aria-label=${`Move ${label} down`} title="Further right" onClick=${() => moveColumn(path, 1)}><${Icon} name="down" size=${14} /></button>
        <button class="icon-button" aria-label=${`Hide ${label}`} title="Hide" onClick=${() => showColumn(path, false)}><${Icon} name="close" size=${14} /></button></li>`;
    })}</ol></section>`;
}

/** Every key there is, with how many runs have it. */
function AllColumns() {
  const [query, setQuery] = useState('');
  const { found, nFound } = useColumnSearch(query);
  const shown = new Set(tableOrder.value);
  const isFull = shown.size >= MAX_COLUMNS;
  const fields = FIELDS.filter((path) => isIn(path, query));
  return html`<section aria-label="All columns"><div class="picker-head"><h3>All <span class="count">${formatNumber(fields.length + nFound)}</span></h3>
      <${SearchBox} query=${query} setQuery=${setQuery} /></div>
    <ul class="picker-list">
      ${fields.map((path) => html`<${Choice} key=${path} path=${path} isOn=${shown.has(path)} isFull=${isFull} />`)}
      ${found.map((info) => html`<${Choice} key=${info.path} path=${info.path} info=${info} isOn=${shown.has(info.path)} isFull=${isFull} />`)}
      ${fields.length + found.length === 0 && html`<li class="muted">No column has this in its name.</li>`}
      ${nFound > found.length && html`<li class="muted">${formatNumber(nFound - found.length)} more: search for them</li>`}</ul>
    ${isFull && html`<p class="muted">${MAX_COLUMNS} columns at most at once.</p>`}</section>`;
}

/** @param {{path: string, info?: ColumnInfo, isOn: boolean, isFull: boolean}} props */
function Choice({ path, info, isOn, isFull }) {
  const { label, root } = columnOf(path, infoByPath.value);
  const key = parsePath(path)?.key ?? '';
  const isMetric = root === 'summary' && (info?.kinds.includes('number') ?? false);
  return html`<li><label class="check"><input type="checkbox" checked=${isOn} disabled=${!isOn && isFull}
      onChange=${(/** @type {any} */ event) => showColumn(path, event.currentTarget.checked)} /><span class="picker-name" title=${path}>${label}</span></label>
    ${isMetric && html`<select class="select is-bare" aria-label=${`Add a column of all points of ${label}`} value="" onChange=${(/** @type {any} */ event) => {
      showColumn(formatPath('summary', key, event.currentTarget.value), true);
      event.currentTarget.value = '';
    }}><option value="">+ min, max …</option>${AGGREGATES.filter((name) => name !== 'last').map((name) => html`<option value=${name}>${name}</option>`)}</select>`}
    <${Facts} root=${root} info=${info} /></li>`;
}

/** @param {{root: string, info?: ColumnInfo}} props */
function Facts({ root, info }) {
  if (!info) return html`<span class="picker-facts muted">of every run</span>`;
  const isAll = info.n_runs === nAllRuns.value;
  return html`<span class="picker-facts muted" title=${`${plural(info.n_runs, 'run')}; ${info.kinds.join(', ')}`}>${root} · ${isAll ? 'all runs' : plural(info.n_runs, 'run')}</span>`;
}

function GroupsBody() {
  const [query, setQuery] = useState('');
  const { found, nFound } = useColumnSearch(query);
  const by = groupBy.value;
  const set = (/** @type {readonly string[]} */ paths) => updateView({ groupBy: paths, shown: [], hidden: [], base: 'auto' });
  // What was typed in comes before what was measured: few group by a loss.
  const configFirst = [...found].sort((a, b) => Number(a.path.startsWith('summary')) - Number(b.path.startsWith('summary')));
  const fields = GROUP_FIELDS.filter((path) => isIn(path, query));
  const row = (/** @type {string} */ path, /** @type {ColumnInfo|undefined} */ info) => {
    const { label, root } = columnOf(path, infoByPath.value);
    const isOn = by.includes(path);
    return html`<li key=${path}><label class="check"><input type="checkbox" checked=${isOn} disabled=${!isOn && by.length >= MOST_KEYS}
      onChange=${() => set(isOn ? by.filter((other) => other !== path) : [...by, path])} /><span class="picker-name" title=${path}>${label}</span>
      ${isOn && by.length > 1 ? html`<span class="count">${by.indexOf(path) + 1}.</span>` : ''}</label><${Facts} root=${root} info=${info} /></li>`;
  };
  return html`<div class="picker-one"><p class="muted">Runs with the same values become one row, with mean ± standard deviation, and one line of a chart.</p>
    <div class="picker-head"><${SearchBox} query=${query} setQuery=${setQuery} />
      ${by.length > 0 && html`<button class="text-button" onClick=${() => set([])}>Do not group</button>`}</div>
    <ul class="picker-list">${configFirst.map((info) => row(info.path, info))}${fields.map((path) => row(path, undefined))}
      ${fields.length + found.length === 0 && html`<li class="muted">No key has this in its name.</li>`}
      ${nFound > found.length && html`<li class="muted">${formatNumber(nFound - found.length)} more: search for them</li>`}</ul></div>`;
}

/** @param {{query: string, setQuery: (text: string) => void}} props */
function SearchBox({ query, setQuery }) {
  return html`<label class="search is-small"><${Icon} name="search" size=${12} /><input type="search" placeholder="Find a column" aria-label="Find a column"
    value=${query} onInput=${(/** @type {any} */ event) => setQuery(event.currentTarget.value)} /></label>`;
}

/** @param {string} path @param {string} query */
const isIn = (path, query) => `${path} ${columnOf(path, new Map()).label}`.toLowerCase().includes(query.trim().toLowerCase());

/** The keys that have a text in their names; the server looks through all of them. @param {string} query */
function useColumnSearch(query) {
  const text = query.trim();
  const isAll = nColumns.value <= columnInfos.value.length;
  const [answer, setAnswer] = useState(/** @type {{text: string, found: readonly ColumnInfo[], nFound: number}} */ ({ text: '', found: [], nFound: 0 }));
  useEffect(() => {
    const project = projectName.peek();
    if (text === '' || isAll || project === null) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      // Without an answer the list stays as it is.
      fetchColumns(project, { search: text, limit: MOST_FOUND }, abort.signal)
        .then(({ columns, n_columns: n }) => setAnswer({ text, found: columns, nFound: n }), () => {});
    }, SEARCH_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, isAll]);
  if (text === '') return { found: columnInfos.value, nFound: nColumns.value };
  const known = columnInfos.value.filter(({ path }) => isIn(path, text));
  if (isAll) return { found: known, nFound: known.length };
  return answer.text === text ? answer : { found: known, nFound: known.length };
}
