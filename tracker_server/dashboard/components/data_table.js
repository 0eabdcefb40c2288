/** The rows of a logged table: those on screen, as one real <table>. */
import { formatNumber } from '../logic/format.js';
import { rowWindow } from '../logic/window_range.js';
import { MAX_COLUMNS } from '../state/table_store.js';
import { html, useEffect } from '../ui.js';
import { openDialog } from './dialog.js';
import { Icon } from './icons.js';
import { useViewport } from './on_screen.js';
import { RowView } from './table_row_view.js';
import { TableCell } from './table_cell.js';

/** @typedef {import('../state/table_store.js').TableStore} TableStore */
/** @typedef {import('../state/table_store.js').Order} Order */

const ROW_PX = 30;
const MEDIA_ROW_PX = 68;
const WIDTHS = /** @type {Record<string, number>} */ ({ number: 116, boolean: 92, text: 260, time: 190, media: 120, other: 220 });
const NUMBER_PX = 64;
const LETTER_PX = 7.4;

/** As wide as its cells need, and its name. @param {import('../types.js').TableColumn} column */
const widthOf = ({ kind, name }) => Math.round(Math.max(WIDTHS[kind] ?? 200, Math.min(280, name.length * LETTER_PX + 34)));

/** @param {{store: TableStore, onSort: (column: number, isAdded: boolean) => void, onFilter: (column: number) => void}} props */
export function DataTable({ store, onSort, onFilter }) {
  const [scroller, viewport] = useViewport();
  const head = store.head.value;
  store.version.value;
  const columns = head?.columns.slice(0, MAX_COLUMNS) ?? [];
  const height = columns.some(({ kind }) => kind === 'media') ? MEDIA_ROW_PX : ROW_PX;
  const count = head?.nMatching ?? 0;
  const rows = rowWindow(viewport.top, viewport.height, height, count);
  useEffect(() => store.need(rows.first, rows.end), [store, rows.first, rows.end]);
  useEffect(() => { if (scroller.current) scroller.current.scrollTop = 0; }, [store]);
  const space = (/** @type {number} */ px) => px > 0 && html`<tr aria-hidden="true" style=${`height:${px}px`}></tr>`;
  const width = NUMBER_PX + columns.reduce((px, column) => px + widthOf(column), 0);
  return html`<div class="logged-scroller" ref=${scroller} tabindex="0" role="region" aria-label="Rows of the table">
    <table class="logged-table" style=${`width:${width}px;--row:${height}px`} aria-rowcount=${count + 1}>
      <colgroup><col style=${`width:${NUMBER_PX}px`} />${columns.map((column) => html`<col style=${`width:${widthOf(column)}px`} />`)}</colgroup>
      <thead><tr><th scope="col" class="row-number">#</th>${columns.map((column, index) => html`<${Head} column=${column} index=${index} store=${store} onSort=${onSort} onFilter=${onFilter} />`)}</tr></thead>
      <tbody>${space(rows.before)}
        ${Array.from({ length: rows.end - rows.first }, (_, index) => html`<${Row} key=${rows.first + index} store=${store} index=${rows.first + index} columns=${columns} />`)}
        ${space(rows.after)}</tbody>
    </table></div>`;
}

/** @param {{column: import('../types.js').TableColumn, index: number, store: TableStore, onSort: (column: number, isAdded: boolean) => void, onFilter: (column: number) => void}} props */
function Head({ column, index, store, onSort, onFilter }) {
  const { sort, where } = store.query;
  const place = sort.findIndex((one) => one.column === index);
  const order = place < 0 ? 'none' : sort[place].is_descending ? 'descending' : 'ascending';
  const isFiltered = where.some((one) => one.column === index);
  const canSort = column.kind !== 'media' && column.kind !== 'other';
  const label = html`<span class="head-label">${column.name}</span>${place >= 0 && html`<${Icon} name=${order === 'ascending' ? 'sortUp' : 'sortDown'} size=${10} />${sort.length > 1 && html`<small>${place + 1}</small>`}`}`;
  return html`<th scope="col" aria-sort=${order} class=${column.kind === 'number' ? 'is-numeric' : ''} title=${`${column.name} (${column.type})`}>
    ${canSort ? html`<button class="head-button" title="Sort; with Shift by several columns" onClick=${(/** @type {MouseEvent} */ event) => onSort(index, event.shiftKey)}>${label}</button>` : html`<span class="head-button">${label}</span>`}
    <button class=${isFiltered ? 'head-filter is-on' : 'head-filter'} aria-label=${`Filter by ${column.name}`} title=${`Filter by ${column.name}`} onClick=${() => onFilter(index)}><${Icon} name="filter" size=${11} /></button></th>`;
}

/** @param {{store: TableStore, index: number, columns: import('../types.js').TableColumn[]}} props */
function Row({ store, index, columns }) {
  const row = store.row(index);
  const open = () => row && openDialog({ title: `Row ${formatNumber(row.number + 1)}`, isWide: true, body: () => html`<${RowView} store=${store} number=${row.number} />` });
  return html`<tr aria-rowindex=${index + 2} class=${row ? '' : 'is-waiting'}>
    <th scope="row" class="row-number">${row && html`<button title="Show the whole row" onClick=${open}>${row.number + 1}</button>`}</th>
    ${columns.map(({ kind, name }, place) => html`<td class=${kind === 'number' ? 'is-numeric' : ''}>${row ? html`<${TableCell} where=${store.where} value=${row.cells[place]} kind=${kind} column=${name} />` : ''}</td>`)}</tr>`;
}
