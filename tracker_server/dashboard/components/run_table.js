/**
 * The list of runs: compact beside the charts, or the full table of config and summary in the same place. One real
 * <table> for both; only the rows and columns on screen exist.
 */
import { defaultColumns, listColumns } from '../logic/columns.js';
import { columnWindow, rowWindow } from '../logic/window_range.js';
import { isNarrow } from '../state/preferences.js';
import { runs, sortedRuns } from '../state/project_store.js';
import { chosenColumns, hoveredRun, isTableOpen, sortBy, sortOrder, updateView } from '../state/view.js';
import { computed, html, signal, useEffect, useState } from '../ui.js';
import { Icon } from './icons.js';
import { NameCell, cellContent } from './run_cells.js';
import { scrollToRow, useViewport } from './virtual_table.js';

/** @typedef {import('../logic/columns.js').Column} Column */
/** @typedef {import('../types.js').RunRow} RunRow */

const ROW_PX = 28;
const TOUCH_ROW_PX = 40;
const HEAD_PX = 28;
const COMPACT_COLUMN_PX = 72;
const AGE_COLUMN_PX = 58;

/** The run that the keyboard is on. */
export const cursorRun = signal(/** @type {string|null} */ (null));
/** What the column search of the full table holds, and whether columns with one value are left out. */
export const columnQuery = signal('');
export const onlyDiffering = signal(true);

const allColumns = computed(() => listColumns(runs.value));

/** The columns to the right of the name. */
const columns = computed(() => {
  const all = allColumns.value.filter((column) => column.key !== 'name');
  if (!isTableOpen.value) return compactColumns(all);
  const query = columnQuery.value.trim().toLowerCase();
  return all.filter((column) => (
    (query === '' || column.key.toLowerCase().includes(query)) && !(onlyDiffering.value && column.isConstant && query === '')));
});
export const nConstantColumns = computed(() => allColumns.value.filter((column) => column.isConstant).length);

/** @param {Column[]} all @returns {Column[]} */
function compactColumns(all) {
  const byKey = new Map(all.map((column) => [column.key, column]));
  const usual = defaultColumns(all);
  const keys = usual.map((key, index) => (byKey.has(chosenColumns.value[index]) ? chosenColumns.value[index] : key));
  return keys.flatMap((key) => {
    const column = byKey.get(key);
    return column ? [{ ...column, width: key === 'created' ? AGE_COLUMN_PX : COMPACT_COLUMN_PX }] : [];
  });
}

/** Move the keyboard's run by some rows. @param {number} by */
export function moveCursor(by) {
  const list = sortedRuns.peek();
  if (list.length === 0) return;
  const index = list.findIndex((run) => run.id === cursorRun.peek());
  const next = index < 0 ? 0 : Math.min(list.length - 1, Math.max(0, index + by));
  cursorRun.value = list[next].id;
  hoveredRun.value = list[next].id;
}

/** The time, for ages in the list; a minute is fine enough. */
function useNow() {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function RunTable() {
  const [scroller, viewport] = useViewport();
  const now = useNow();
  const list = sortedRuns.value;
  const isFull = isTableOpen.value;
  const rowPx = isNarrow.value ? TOUCH_ROW_PX : ROW_PX;
  const rest = columns.value;
  const nameWidth = isFull ? 280 : Math.max(120, viewport.width - rest.reduce((sum, column) => sum + column.width, 0));
  const rows = rowWindow(viewport.top, viewport.height, rowPx, list.length);
  const across = columnWindow(viewport.left, viewport.width - nameWidth, rest.map((column) => column.width));
  const visible = rest.slice(across.first, across.end);
  const total = nameWidth + rest.reduce((sum, column) => sum + column.width, 0);

  useEffect(() => {
    const index = list.findIndex((run) => run.id === cursorRun.value);
    if (index >= 0) scrollToRow(scroller.current, index, rowPx, HEAD_PX);
  }, [cursorRun.value]);

  return html`<div class="run-scroller" ref=${scroller} tabindex="-1">
    <table class="run-table" style=${`width:${total}px`} aria-rowcount=${list.length + 1}>
      <colgroup>
        <col style=${`width:${nameWidth}px`} />
        ${across.before > 0 && html`<col style=${`width:${across.before}px`} />`}
        ${visible.map((column) => html`<col key=${column.key} style=${`width:${column.width}px`} />`)}
        ${across.after > 0 && html`<col style=${`width:${across.after}px`} />`}
      </colgroup>
      <thead><tr aria-rowindex="1">
        <${Head} column=${NAME_COLUMN} />
        ${across.before > 0 && html`<td aria-hidden="true"></td>`}
        ${visible.map((column, index) => html`<${Head} key=${column.key} column=${column} slot=${isFull ? -1 : index} />`)}
        ${across.after > 0 && html`<td aria-hidden="true"></td>`}
      </tr></thead>
      <tbody>
        ${rows.before > 0 && html`<tr aria-hidden="true" style=${`height:${rows.before}px`}></tr>`}
        ${list.slice(rows.first, rows.end).map((run, index) => html`<${Row} key=${run.id} run=${run} columns=${visible} now=${now}
          position=${rows.first + index + 2} hasBefore=${across.before > 0} hasAfter=${across.after > 0} height=${rowPx} />`)}
        ${rows.after > 0 && html`<tr aria-hidden="true" style=${`height:${rows.after}px`}></tr>`}
      </tbody>
    </table>
  </div>`;
}

const NAME_COLUMN = /** @type {Column} */ ({ key: 'name', label: 'Name', group: 'run', width: 0, isNumeric: false, isConstant: false });

/** @param {{column: Column, slot?: number}} props slot: which of the two compact columns, or -1 */
function Head({ column, slot = -1 }) {
  const { key, label, isNumeric, group } = column;
  const sort = sortOrder.value;
  const isSorted = sort === key || sort === `-${key}`;
  const order = !isSorted ? 'none' : sort === key ? 'ascending' : 'descending';
  const short = slot >= 0 && label.includes('/') ? label.slice(label.lastIndexOf('/') + 1) : label;
  return html`<th scope="col" aria-sort=${order} class=${isNumeric ? 'is-numeric' : ''} title=${`${group === 'run' ? '' : `${group}: `}${label}`}>
    <button class="head-button" onClick=${() => sortBy(key, isNumeric)}>
      <span class="head-label">${key === 'created' && slot >= 0 ? 'Age' : short}</span>
      ${isSorted && html`<${Icon} name=${order === 'ascending' ? 'sortUp' : 'sortDown'} size=${10} />`}
    </button>
    ${slot >= 0 && html`<${ColumnChoice} column=${column} slot=${slot} />`}
  </th>`;
}

/** Choose what a compact column shows: the browser's own list, laid over a small arrow. @param {{column: Column, slot: number}} props */
function ColumnChoice({ column, slot }) {
  const choose = (/** @type {Event} */ event) => {
    const key = /** @type {HTMLSelectElement} */ (event.currentTarget).value;
    const next = columns.peek().map((other) => other.key);
    next[slot] = key;
    updateView({ columns: next });
  };
  const group = (/** @type {string} */ name) => allColumns.value
    .filter((other) => other.group === name && other.key !== 'name')
    .map((other) => html`<option value=${other.key} selected=${other.key === column.key}>${other.label}</option>`);
  return html`<span class="column-choice"><${Icon} name="chevron" size=${10} />
    <select aria-label=${`Column ${slot + 1} shows`} value=${column.key} onChange=${choose}>
      <optgroup label="Run">${group('run')}</optgroup>
      <optgroup label="Summary">${group('summary')}</optgroup>
      <optgroup label="Config">${group('config')}</optgroup>
    </select></span>`;
}

/** @param {{run: RunRow, columns: Column[], now: number, position: number, hasBefore: boolean, hasAfter: boolean, height: number}} props */
function Row({ run, columns: shown, now, position, hasBefore, hasAfter, height }) {
  const classes = [hoveredRun.value === run.id && 'is-hovered', cursorRun.value === run.id && 'is-cursor'].filter(Boolean).join(' ');
  // Moving, not entering: a row that comes to lie under a resting pointer must not fade all other runs.
  return html`<tr class=${classes} aria-rowindex=${position} data-run=${run.id} style=${`height:${height}px`}
      onMouseMove=${() => { hoveredRun.value = run.id; }} onMouseLeave=${() => { hoveredRun.value = null; }}>
    <th scope="row"><${NameCell} run=${run} /></th>
    ${hasBefore && html`<td aria-hidden="true"></td>`}
    ${shown.map((column) => {
      const { text, title } = cellContent(run, column.key, now);
      return html`<td key=${column.key} class=${column.isNumeric ? 'is-numeric' : ''} title=${title}>${text}</td>`;
    })}
    ${hasAfter && html`<td aria-hidden="true"></td>`}
  </tr>`;
}
