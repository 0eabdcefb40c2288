/** Groups of runs: what they are called, in which order they come, and the rows of a table of them. Pure. */
import { columnOf, columnValue, fromWire } from './columns.js';
import { formatCell, formatDuration, formatNumber, formatValue } from './format.js';
import { groupId } from './run_query.js';

/** @typedef {import('../types.js').RunGroup} RunGroup */
/** @typedef {import('./run_query.js').KeyValue} KeyValue */

/** @param {string} path what it is called in the midst of a text */
function nameOf(path) {
  const { label, root } = columnOf(path, new Map());
  return root === 'run' ? label.toLowerCase() : label;
}

/** "0.1 · adam", where it is told elsewhere what these are. @param {readonly string[]} by paths @param {readonly KeyValue[]} key */
export function groupLabel(by, key) {
  return by.map((path, index) => (isNone(key[index]) ? `no ${nameOf(path)}` : valueText(key[index]))).join(' · ');
}

/** @param {KeyValue} value */
const isNone = (value) => value === null || value === undefined;
/** @param {KeyValue} value */
const valueText = (value) => (value === '' ? '“”' : formatValue(value));

/** "lr = 0.1, opt = adam". @param {readonly string[]} by paths @param {readonly KeyValue[]} key */
export function groupName(by, key) {
  return by.map((path, index) => (isNone(key[index]) ? `no ${nameOf(path)}` : `${nameOf(path)} = ${valueText(key[index])}`)).join(', ');
}

/**
 * Whether a run found by a group's filter is of the group: to a filter True is 1, but they are two groups.
 * @param {import('../types.js').RunRow} run with the columns grouped by
 * @param {readonly string[]} by paths
 * @param {readonly KeyValue[]} key
 */
export function isMember(run, by, key) {
  return by.every((path, index) => {
    const kind = typeof key[index];
    return (kind !== 'boolean' && kind !== 'number') || typeof columnValue(run, path) === kind;
  });
}

/**
 * Groups by the mean of a column, those without one last; by their keys where the column has no mean.
 * @param {readonly RunGroup[]} groups by key
 * @param {import('./run_query.js').Sort} sort
 * @returns {readonly RunGroup[]}
 */
export function sortedGroups(groups, { path, isDescending }) {
  if (!groups.some((group) => meanOf(group, path) !== null)) return groups;
  const sign = isDescending ? -1 : 1;
  return [...groups].sort((a, b) => {
    const [one, two] = [meanOf(a, path), meanOf(b, path)];
    if (one === null || two === null) return Number(one === null) - Number(two === null);
    return sign * (one - two);
  });
}

/** @param {RunGroup} group @param {string} path @returns {number|null} */
function meanOf(group, path) {
  const mean = Object.hasOwn(group.values, path) ? fromWire(group.values[path].mean) : null;
  return typeof mean === 'number' && !Number.isNaN(mean) ? mean : null;
}

/**
 * What a group's row shows of a column.
 * @param {RunGroup} group
 * @param {string} path
 * @param {readonly string[]} by paths that the runs are grouped by
 * @returns {{mean: string, spread: string, title: string}}
 */
export function groupCell(group, path, by) {
  const place = by.indexOf(path);
  if (place >= 0) {
    const text = group.key[place] === null ? '' : formatValue(group.key[place]);
    return { mean: text, spread: '', title: text };
  }
  const value = Object.hasOwn(group.values, path) ? group.values[path] : null;
  const mean = fromWire(value?.mean ?? null);
  if (!value || typeof mean !== 'number') return { mean: '', spread: '', title: '' };
  const std = fromWire(value.std);
  const text = path === 'duration' ? formatDuration : formatNumber;
  const spread = typeof std !== 'number' ? '' : `± ${path === 'duration' ? formatDuration(std) : formatNumber(std, 2)}`;
  const range = `${text(Number(fromWire(value.min)))} to ${text(Number(fromWire(value.max)))}`;
  return { mean: path === 'duration' ? formatDuration(mean) : formatCell(mean), spread, title: `${text(mean)} ${spread}; ${range}; n = ${value.n}` };
}

/**
 * A group in the form of a run.
 * @param {import('../types.js').ChartGroup} group
 * @param {'std'|'sem'|'minmax'} kind of the band
 * @returns {import('../types.js').ChartRun}
 */
export function asLine({ name, metric, n_runs: nRuns, n_points: nPoints, cells }, kind) {
  const { mean, n, smooth } = cells;
  const spread = kind === 'sem' ? cells.sem : cells.std;
  // One member alone has no spread: there is no band, rather than one without width.
  const end = (/** @type {1|-1} */ sign) => mean.map((value, i) => (n[i] > 1 ? value + sign * spread[i] : NaN));
  const [low, high] = kind === 'minmax' ? [cells.min, cells.max] : [end(-1), end(1)];
  const reach = (/** @type {Float32Array} */ ends) => ends.map((value, i) => (Number.isFinite(value) ? value : mean[i]));
  const present = mean.filter((value) => !Number.isNaN(value));
  const over = (/** @type {Float32Array} */ list, /** @type {(a: number, b: number) => number} */ pick, /** @type {number} */ start) => (
    present.length === 0 ? null : list.reduce((best, value) => (Number.isNaN(value) ? best : pick(best, value)), start));
  return {
    id: name, metric, n_points: nPoints, n_nonfinite: 0, last: present.length === 0 ? null : present[present.length - 1],
    min: over(cells.min, Math.min, Infinity), max: over(cells.max, Math.max, -Infinity),
    cells: { first: mean, last: mean, min: reach(low), max: reach(high), mean, count: n, nonfinite: new Uint32Array(n.length), smooth },
    band: { low, high, nRuns },
  };
}

/** @template R @typedef {{kind: 'group', group: RunGroup, isOpen: boolean}|{kind: 'run', run: R, group: RunGroup}|{kind: 'more', group: RunGroup, nMore: number, isLoading: boolean}} GroupTableRow */

/**
 * The rows of the table: groups, and below those that are open their runs.
 * @template R
 * @param {readonly RunGroup[]} groups
 * @param {ReadonlyMap<string, {rows: readonly R[], cursor: string|null, nMatching: number}|null>} open
 * @returns {GroupTableRow<R>[]}
 */
export function groupRows(groups, open) {
  /** @type {GroupTableRow<R>[]} */
  const rows = [];
  for (const group of groups) {
    const id = groupId(group.key);
    const isOpen = open.has(id);
    rows.push({ kind: 'group', group, isOpen });
    if (!isOpen) continue;
    const members = open.get(id);
    for (const run of members?.rows ?? []) rows.push({ kind: 'run', run, group });
    const nMore = (members?.nMatching ?? group.n_runs) - (members?.rows.length ?? 0);
    if (!members || members.cursor !== null) rows.push({ kind: 'more', group, nMore, isLoading: !members });
  }
  return rows;
}
