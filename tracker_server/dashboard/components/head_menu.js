/** The menu of a column of the full table. It lies above everything, so that the table's edge does not cut it off. */
import { AGGREGATES, formatPath, parsePath } from '../logic/columns.js';
import { formatSort } from '../logic/run_query.js';
import { chooseColumns, moveColumn, setWidth, showColumn, tableOrder, togglePin } from '../state/table_columns.js';
import { groupBy, pinnedColumns, updateView } from '../state/view.js';
import { html, render } from '../ui.js';
import { Icon } from './icons.js';

/** @typedef {import('../logic/columns.js').Column} Column */
/** @typedef {{label: string, act: () => void, isChecked?: boolean}} Item */

const WIDTH_STEP_PX = 40;
const EDGE_PX = 8;

/** @type {HTMLElement|null} */
let box = null;

/** @param {Column} column @param {HTMLElement} button that opens it */
export function openHeadMenu(column, button) {
  box ??= makeBox();
  const menu = box;
  // A page's own landmark; another page may have taken the last one along.
  document.getElementById('main')?.append(menu);
  const close = () => {
    menu.hidePopover();
    button.focus();
  };
  const choose = (/** @type {Item} */ item) => {
    close();
    item.act();
  };
  render(html`<div role="menu" aria-label=${`Column ${column.label}`} onKeyDown=${(/** @type {KeyboardEvent} */ event) => moveFocus(event, menu, close)}>
    ${itemsFor(column).map((part) => html`<div role="group">${part.map((item) => html`<button role=${item.isChecked === undefined ? 'menuitem' : 'menuitemcheckbox'}
      aria-checked=${item.isChecked} onClick=${() => choose(item)}><span class="menu-check">${item.isChecked ? html`<${Icon} name="check" size=${12} />` : ''}</span>${item.label}</button>`)}</div>`)}
  </div>`, menu);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  menu.querySelector('button')?.focus();
}

function makeBox() {
  const made = document.createElement('div');
  made.className = 'menu-list head-list';
  made.setAttribute('popover', 'auto');
  return made;
}

/** @param {HTMLElement} menu @param {DOMRect} at */
function place(menu, at) {
  const left = Math.min(at.left, innerWidth - menu.offsetWidth - EDGE_PX);
  const top = Math.min(at.bottom + 2, innerHeight - menu.offsetHeight - EDGE_PX);
  menu.style.left = `${Math.max(EDGE_PX, left)}px`;
  menu.style.top = `${Math.max(EDGE_PX, top)}px`;
}

/** @param {KeyboardEvent} event @param {HTMLElement} menu @param {() => void} close */
function moveFocus(event, menu, close) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === 'Escape' || event.key === 'Tab') close();
  else if (by === undefined) return;
  else {
    const entries = [...menu.querySelectorAll('button')];
    const next = entries.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement)) + by;
    entries[(next + entries.length) % entries.length]?.focus();
  }
  event.preventDefault();
  event.stopPropagation();
}

/** @param {Column} column @returns {Item[][]} in groups */
function itemsFor(column) {
  const { path, isNumeric } = column;
  const place = parsePath(path);
  const paths = tableOrder.peek();
  const index = paths.indexOf(path);
  const sortTo = (/** @type {boolean} */ isDescending) => () => updateView({ sort: formatSort({ path, isDescending }) });
  const words = isNumeric ? ['lowest', 'highest'] : ['first', 'last'];
  const other = place?.root === 'summary' && isNumeric ? AGGREGATES.filter((name) => name !== (place.aggregate || 'last')) : [];
  const withAggregate = (/** @type {string} */ name) => formatPath('summary', place?.key ?? '', name === 'last' ? '' : name);
  const isGrouped = groupBy.peek().includes(path);
  return [
    [{ label: `Sort: ${words[0]} first`, act: sortTo(false) }, { label: `Sort: ${isNumeric ? words[1] : 'last'} first`, act: sortTo(true) }],
    other.map((name) => ({ label: `Show the ${name} of all its points`, act: () => swap(path, withAggregate(name)) })),
    [
      { label: 'Pin', isChecked: pinnedColumns.peek().includes(path), act: () => togglePin(path) },
      ...(index > 0 ? [{ label: 'Move left', act: () => moveColumn(path, -1) }] : []),
      ...(index < paths.length - 1 ? [{ label: 'Move right', act: () => moveColumn(path, 1) }] : []),
      { label: 'Wider', act: () => setWidth(path, column.width + WIDTH_STEP_PX) },
      { label: 'Narrower', act: () => setWidth(path, column.width - WIDTH_STEP_PX) },
      { label: 'Hide', act: () => showColumn(path, false) },
    ],
    [{ label: 'Group by this', isChecked: isGrouped, act: () => updateView({
      groupBy: isGrouped ? groupBy.peek().filter((by) => by !== path) : [...groupBy.peek(), path], shown: [], hidden: [], base: 'auto',
    }) }],
  ].filter((part) => part.length > 0);
}

/** Show another column in the place of one. @param {string} path @param {string} next */
function swap(path, next) {
  chooseColumns([...new Set(tableOrder.peek().map((other) => (other === path ? next : other)))]);
}
