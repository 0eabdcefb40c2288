/**
 * The frame of the run table: head, and of rows and columns those on screen. One real <table>, compact beside the charts or
 * full in the same place; what a row holds, whoever uses it says.
 */
import { parseSort } from '../logic/run_query.js';
import { columnWindow, rowWindow } from '../logic/window_range.js';
import { isNarrow } from '../state/preferences.js';
import { columnInfos } from '../state/project_store.js';
import { chooseCompact, columns, setWidth } from '../state/table_columns.js';
import { isTableOpen, sortBy, sortOrder } from '../state/view.js';
import { OWN_PATHS, columnOf, parsePath } from '../logic/columns.js';
import { html, useEffect, useMemo, useRef, useState } from '../ui.js';
import { Icon } from './icons.js';
import { scrollToRow, useViewport } from './on_screen.js';

/** @typedef {import('../logic/columns.js').Column} Column */
/**
 * @typedef {object} Layout which cells of a row exist, the same for all rows
 * @property {Column[]} pinned
 * @property {number[]} lefts px at which these stay
 * @property {Column[]} visible of the others
 * @property {boolean} hasBefore whether there are columns left out before these
 * @property {boolean} hasAfter
 * @property {number} height px of a row
 */
/** @typedef {{text: any, title: string}} Cell */

const ROW_PX = 28;
const TOUCH_ROW_PX = 40;
const HEAD_PX = 28;
const NAME_PX = 280;
const NARROW_NAME_PX = 190;
const NAME = /** @type {Column} */ ({ path: 'name', label: 'Name', root: 'run', width: 0, isNumeric: false });
const ROWS_KEPT = 1000;
/** Own columns that the compact list offers. */
const COMPACT_OWN = OWN_PATHS.filter((path) => path !== 'name');

/**
 * @param {object} props
 * @param {Column} [props.first] what the first column is; usual: the run's name
 * @param {number} props.count rows
 * @param {(index: number, layout: Layout) => any} props.row
 * @param {number} props.cursor the row to keep in sight, or -1
 * @param {unknown} props.start when it changes, the table goes to its begin
 * @param {(first: number, end: number) => void} [props.onWindow] told which rows are near the window
 * @param {(isHeld: boolean) => void} [props.onHold] told whether somebody reads below the first rows or points at one
 * @param {boolean} [props.isBusy]
 */
export function TableFrame({ first = NAME, count, row, cursor, start, onWindow, onHold, isBusy = false }) {
  const [scroller, viewport] = useViewport();
  const { layout, nameWidth, before, after, totalWidth } = useLayout(viewport);
  const rows = rowWindow(viewport.top, viewport.height, layout.height, count);
  const drawnRow = useRowMemory(row, layout);

  useEffect(() => onWindow?.(rows.first, rows.end), [rows.first, rows.end, start]);
  useEffect(() => { if (scroller.current) scroller.current.scrollTop = 0; }, [start]);
  useEffect(() => { if (cursor >= 0) scrollToRow(scroller.current, cursor, layout.height, HEAD_PX); }, [cursor]);
  useEffect(() => { onHold?.(viewport.top > 0 || isPointed(scroller.current)); }, [viewport.top > 0]);
  const hold = () => onHold?.(true);
  const release = () => onHold?.((scroller.current?.scrollTop ?? 0) > 0);
  const space = (/** @type {number} */ px) => px > 0 && html`<tr aria-hidden="true" style=${`height:${px}px`}></tr>`;

  return html`<div class="run-scroller" ref=${scroller} tabindex="-1" onPointerEnter=${hold} onPointerLeave=${release}>
    <table class="run-table" style=${`width:${totalWidth}px`} aria-rowcount=${count + 1} aria-busy=${isBusy}>
      <${Widths} layout=${layout} nameWidth=${nameWidth} before=${before} after=${after} />
      <${TableHead} first=${first} layout=${layout} />
      <tbody>
        ${space(rows.before)}
        ${Array.from({ length: rows.end - rows.first }, (_, index) => drawnRow(rows.first + index))}
        ${space(rows.after)}
      </tbody>
    </table>
  </div>`;
}

/** @param {readonly Column[]} list */
const widthOf = (list) => list.reduce((px, column) => px + column.width, 0);

/**
 * Which columns are on screen, and how wide everything is.
 * @param {import('./on_screen.js').Viewport} viewport
 */
function useLayout(viewport) {
  const [isFull, isSmall] = [isTableOpen.value, isNarrow.value];
  // Nothing but the name can stay in sight on a narrow page.
  const { pinned, others } = useMemo(() => (
    isSmall ? { pinned: [], others: [...columns.value.pinned, ...columns.value.others] } : columns.value), [columns.value, isSmall]);
  const fullName = isSmall ? NARROW_NAME_PX : NAME_PX;
  const nameWidth = isFull ? fullName : Math.max(120, viewport.width - widthOf(others));
  const fixed = nameWidth + widthOf(pinned);
  const { first, end, before, after } = columnWindow(viewport.left, Math.max(0, viewport.width - fixed), others.map(({ width }) => width));
  const height = isSmall ? TOUCH_ROW_PX : ROW_PX;
  const layout = useMemo(() => {
    const lefts = pinned.map((_, index) => nameWidth + widthOf(pinned.slice(0, index)));
    return { pinned, lefts, visible: others.slice(first, end), hasBefore: before > 0, hasAfter: after > 0, height };
  }, [pinned, others, first, end, nameWidth, height]);
  return { layout, nameWidth, before, after, totalWidth: fixed + widthOf(others) };
}

/** @param {{layout: Layout, nameWidth: number, before: number, after: number}} props */
function Widths({ layout, nameWidth, before, after }) {
  const col = (/** @type {number} */ px, key = '') => html`<col key=${key} style=${`width:${px}px`} />`;
  return html`<colgroup>
    ${col(nameWidth)}
    ${layout.pinned.map(({ path, width }) => col(width, path))}
    ${before > 0 && col(before)}
    ${layout.visible.map(({ path, width }) => col(width, path))}
    ${after > 0 && col(after)}
  </colgroup>`;
}

/** @param {{first: Column, layout: Layout}} props */
function TableHead({ first, layout }) {
  const { pinned, lefts, visible, hasBefore, hasAfter } = layout;
  const isFull = isTableOpen.value;
  return html`<thead><tr aria-rowindex="1">
    <${Head} column=${first} />
    ${pinned.map((column, index) => html`<${Head} key=${column.path} column=${column} left=${lefts[index]} />`)}
    ${hasBefore && html`<td aria-hidden="true"></td>`}
    ${visible.map((column, index) => html`<${Head} key=${column.path} column=${column} slot=${isFull ? -1 : index} />`)}
    ${hasAfter && html`<td aria-hidden="true"></td>`}
  </tr></thead>`;
}

/**
 * Rows as they were drawn last: scrolling draws those that come, and leaves those that stay.
 * @param {(index: number, layout: Layout) => any} row
 * @param {Layout} layout
 */
function useRowMemory(row, layout) {
  const memory = useRef({ row, layout, drawn: /** @type {Map<number, any>} */ (new Map()) });
  if (memory.current.row !== row || memory.current.layout !== layout || memory.current.drawn.size > ROWS_KEPT) {
    memory.current = { row, layout, drawn: new Map() };
  }
  const { drawn } = memory.current;
  return (/** @type {number} */ index) => {
    const known = drawn.get(index) ?? row(index, layout);
    drawn.set(index, known);
    return known;
  };
}

/** @param {HTMLElement|null} element */
const isPointed = (element) => element?.matches(':hover') ?? false;

/** All cells of a row but the first. @param {{layout: Layout, cell: (column: Column) => Cell}} props */
export function cells({ layout, cell }) {
  const { pinned, lefts, visible, hasBefore, hasAfter } = layout;
  const one = (/** @type {Column} */ column, left = -1) => {
    const { text, title } = cell(column);
    const className = [column.isNumeric && 'is-numeric', left >= 0 && 'is-pinned'].filter(Boolean).join(' ');
    return html`<td key=${column.path} class=${className} title=${title} style=${left >= 0 ? `left:${left}px` : undefined}>${text}</td>`;
  };
  return html`${pinned.map((column, index) => one(column, lefts[index]))}
    ${hasBefore && html`<td aria-hidden="true"></td>`}
    ${visible.map((column) => one(column))}
    ${hasAfter && html`<td aria-hidden="true"></td>`}`;
}

/** @param {{column: Column, slot?: number, left?: number}} props slot: which of the two compact columns, or -1 */
function Head({ column, slot = -1, left = -1 }) {
  const { path, label, isNumeric, root } = column;
  const sort = parseSort(sortOrder.value);
  const isSorted = sort.path === path;
  const order = !isSorted ? 'none' : sort.isDescending ? 'descending' : 'ascending';
  const short = slot >= 0 && label.includes('/') ? label.slice(label.lastIndexOf('/') + 1) : label;
  const className = [isNumeric && 'is-numeric', left >= 0 && 'is-pinned'].filter(Boolean).join(' ');
  const isFree = isTableOpen.value && path !== 'name' && path !== '';
  return html`<th scope="col" aria-sort=${order} class=${className} style=${left >= 0 ? `left:${left}px` : undefined}
      title=${root === 'run' ? label : path}>
    ${path === '' ? html`<span class="head-button">${label}</span>` : html`<button class="head-button" onClick=${() => sortBy(path, isNumeric)}>
      <span class="head-label">${path === 'created' && slot >= 0 ? 'Age' : short}</span>
      ${isSorted && html`<${Icon} name=${order === 'ascending' ? 'sortUp' : 'sortDown'} size=${10} />`}
    </button>`}
    ${slot >= 0 && html`<${ColumnChoice} column=${column} slot=${slot} />`}
    ${isFree && html`<button class="head-menu" aria-haspopup="menu" aria-label=${`Menu of column ${label}`} title=${`Menu of ${label}`}
      onClick=${(/** @type {any} */ event) => openMenu(column, event.currentTarget)}><${Icon} name="chevron" size=${10} /></button>
      <span class="head-edge" aria-hidden="true" onPointerDown=${(/** @type {PointerEvent} */ event) => dragWidth(event, column)}
        onDblClick=${() => setWidth(path, null)}></span>`}
  </th>`;
}

/** Loaded when first used. @param {Column} column @param {HTMLElement} button */
async function openMenu(column, button) {
  (await import('./head_menu.js')).openHeadMenu(column, button);
}

/** @param {PointerEvent} event @param {Column} column */
function dragWidth(event, column) {
  const edge = /** @type {HTMLElement} */ (event.currentTarget);
  const start = event.clientX - column.width;
  edge.setPointerCapture(event.pointerId);
  const move = (/** @type {PointerEvent} */ moved) => setWidth(column.path, moved.clientX - start);
  edge.addEventListener('pointermove', move);
  edge.addEventListener('lostpointercapture', () => edge.removeEventListener('pointermove', move), { once: true });
  event.preventDefault();
}

/** Choose what a compact column shows: the browser's own list, laid over a small arrow. @param {{column: Column, slot: number}} props */
function ColumnChoice({ column, slot }) {
  // Hundreds of choices are made when somebody comes near, not with every frame of scrolling.
  const [isNear, setNear] = useState(false);
  const come = () => setNear(true);
  const choose = (/** @type {any} */ event) => chooseCompact(slot, event.currentTarget.value);
  return html`<span class="column-choice" onPointerEnter=${come} onFocusIn=${come}><${Icon} name="chevron" size=${10} />
    <select aria-label=${`Column ${slot + 1} shows`} value=${column.path} onChange=${choose}>
      ${isNear ? compactChoices(column.path) : html`<option value=${column.path}>${column.label}</option>`}
    </select></span>`;
}

/** @param {string} chosen */
function compactChoices(chosen) {
  const paths = [...COMPACT_OWN, ...columnInfos.value.map((info) => info.path)];
  const all = paths.includes(chosen) ? paths : [...paths, chosen];
  return [['Run', 'run'], ['Summary', 'summary'], ['Config', 'config']].map(([label, root]) => html`<optgroup label=${label}>
    ${all.filter((path) => parsePath(path)?.root === root).map((path) => html`<option value=${path} selected=${path === chosen}>${columnOf(path, NO_INFOS).label}</option>`)}
  </optgroup>`);
}
const NO_INFOS = new Map();
