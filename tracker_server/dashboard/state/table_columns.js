/** Which columns the run table shows, how wide, and which of them stay in sight. */
import { columnOf, compactPaths, parsePath, tablePaths } from '../logic/columns.js';
import { computed, effect, signal } from '../ui.js';
import { keep, remember } from './preferences.js';
import { hasColumns, columnInfos, infoByPath, projectName } from './project_store.js';
import { askedColumns } from './run_list.js';
import { chosenColumns, groupBy, isTableOpen, pinnedColumns, tableColumns, updateView, view } from './view.js';

/** @typedef {import('../logic/columns.js').Column} Column */

const COMPACT_PX = 72;
const AGE_PX = 58;
/** Room for a mean and its spread. */
const GROUPED_PX = 124;
export const WIDTH_PX = { least: 48, most: 900 };
/** The table asks for every column of every row that it shows. */
export const MAX_COLUMNS = 100;

/** Widths that somebody chose, by path. */
const widths = signal(/** @type {Record<string, number>} */ ({}));
/** The compact columns of the last visit, until the server has told which there are. */
const lastCompact = signal(/** @type {readonly string[]} */ ([]));
effect(() => {
  const name = projectName.value;
  if (name === null) return;
  widths.value = remember(`widths.${name}`, {});
  lastCompact.value = remember(`compact.${name}`, []);
});

/** @param {string|undefined} path */
const isKnown = (path) => path !== undefined && parsePath(path) !== null;

const compact = computed(() => {
  const usual = hasColumns.value || lastCompact.value.length === 0 ? compactPaths(columnInfos.value) : lastCompact.value;
  return usual.map((path, index) => (isKnown(chosenColumns.value[index]) ? chosenColumns.value[index] : path));
});
effect(() => {
  const paths = compact.value;
  if (hasColumns.value && projectName.peek() !== null) keep(`compact.${projectName.peek()}`, paths);
});

/** The paths of the full table, in their order. */
export const tableOrder = computed(() => {
  const chosen = tableColumns.value.filter((path) => isKnown(path) && path !== 'name');
  return (chosen.length > 0 ? [...new Set(chosen)] : tablePaths(columnInfos.value)).slice(0, MAX_COLUMNS);
});

/** The columns to the right of the name: first those that stay in sight. */
export const columns = computed(() => {
  const pinned = isTableOpen.value ? tableOrder.value.filter((path) => pinnedColumns.value.includes(path)) : [];
  // A group has no age.
  const short = groupBy.value.length > 0 ? compact.value.filter((path) => path !== 'created') : compact.value;
  const others = isTableOpen.value ? tableOrder.value.filter((path) => !pinned.includes(path)) : short;
  return { pinned: pinned.map(asColumn), others: others.map(asColumn) };
});

/** @param {string} path @returns {Column} */
function asColumn(path) {
  const column = columnOf(path, infoByPath.value);
  const usual = groupBy.value.length > 0 ? GROUPED_PX : COMPACT_PX;
  if (!isTableOpen.value) return { ...column, width: path === 'created' ? AGE_PX : usual };
  const least = groupBy.value.length > 0 && column.isNumeric && path !== 'created' && path !== 'ended' ? GROUPED_PX : 0;
  return { ...column, width: widths.value[path] ?? Math.max(least, column.width) };
}

// The values of these only are asked for.
effect(() => {
  const shown = [...columns.value.pinned, ...columns.value.others].filter(({ root }) => root !== 'run').map(({ path }) => path);
  const next = [...new Set(shown)].sort();
  if (next.join('\n') !== askedColumns.peek().join('\n')) askedColumns.value = next;
});

/** Paths whose mean and spread are told of a group. */
export const groupedValues = computed(() => [...columns.value.pinned, ...columns.value.others]
  .map(({ path }) => path).filter((path) => !groupBy.value.includes(path)));

/** @param {string} path @param {number|null} px null: as usual */
export function setWidth(path, px) {
  const { [path]: _, ...others } = widths.peek();
  const next = px === null ? others : { ...others, [path]: Math.round(Math.min(WIDTH_PX.most, Math.max(WIDTH_PX.least, px))) };
  widths.value = next;
  keep(`widths.${projectName.peek()}`, next);
}

/** Choose the columns of the full table. @param {readonly string[]} paths none: the usual ones */
export function chooseColumns(paths) {
  updateView({ tableColumns: paths, pinned: view.peek().pinned.filter((path) => paths.length === 0 || paths.includes(path)) });
}

/** @param {string} path */
export function togglePin(path) {
  const { pinned } = view.peek();
  updateView({ pinned: pinned.includes(path) ? pinned.filter((other) => other !== path) : [...pinned, path] });
}

/** @param {string} path @param {boolean} isShown */
export function showColumn(path, isShown) {
  const others = tableOrder.peek().filter((other) => other !== path);
  chooseColumns(isShown ? [...others, path] : others);
}

/** Put a column elsewhere. @param {string} path @param {number} by places */
export function moveColumn(path, by) {
  const paths = [...tableOrder.peek()];
  const from = paths.indexOf(path);
  const to = Math.min(paths.length - 1, Math.max(0, from + by));
  if (from < 0 || from === to) return;
  paths.splice(to, 0, ...paths.splice(from, 1));
  chooseColumns(paths);
}

/** Choose what a compact column shows. @param {number} slot @param {string} path */
export function chooseCompact(slot, path) {
  const next = [...compact.peek()];
  next[slot] = path;
  updateView({ columns: next });
}
