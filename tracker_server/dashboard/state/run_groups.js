/** Runs put together by their values: the groups of the table, their members, and what the charts draw of them. */
import { fetchRunPage } from '../api.js';
import { groupScopeOf } from '../charts/group_lines.js';
import { onChanges } from '../events.js';
import { assignSlots, slotStyle } from '../logic/colours.js';
import { columnOf } from '../logic/columns.js';
import { groupName, isMember, sortedGroups } from '../logic/run_groups.js';
import { allOf, groupFilter, groupId, parseSort } from '../logic/run_query.js';
import { chartedRuns } from '../logic/view_state.js';
import { fetchGroups } from '../run_api.js';
import { batch, computed, effect, signal } from '../ui.js';
import { paced } from './paced.js';
import { theme } from './preferences.js';
import { groupScope, infoByPath, projectName } from './project_store.js';
import { activeFilter, askedColumns } from './run_list.js';
import { groupedValues } from './table_columns.js';
import { groupBy, sortOrder, view } from './view.js';

/** @typedef {import('../types.js').RunGroup} RunGroup */
/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {{rows: readonly RunRow[], cursor: string|null, nMatching: number}} Members runs of an open group, as far as they are shown */

const PAGE = 200;
const MEMBERS_PAGE = 100;
/** A chart takes no more runs. */
const MOST_CHARTED = 2000;
const IDS_PAGE = 1000;
const GAP_MS = 2000;

const loaded = signal(/** @type {readonly RunGroup[]} */ ([]));
export const nGroups = signal(0);
export const isReady = signal(false);
export const groupsError = signal(/** @type {Error|null} */ (null));
export const openGroups = signal(/** @type {ReadonlyMap<string, Members|null>} */ (new Map()));

/** The server tells no more of a group at once; those that stay in sight come first. */
const MOST_VALUES = 20;

/** Paths whose mean is told: numbers, but no times. */
const values = computed(() => groupedValues.value.filter((path) => (
  path !== 'created' && path !== 'ended' && columnOf(path, infoByPath.value).isNumeric)).slice(0, MOST_VALUES).sort());
const question = computed(() => JSON.stringify([projectName.value, groupBy.value, activeFilter.value]));

/** All loaded groups in the order of the table: by key, or by the mean of a column where all of them are there. */
export const groups = computed(() => (
  loaded.value.length === nGroups.value ? sortedGroups(loaded.value, parseSort(sortOrder.value)) : loaded.value));

const groupsById = computed(() => new Map(loaded.value.map((group) => [groupId(group.key), group])));
/** @param {string} id */
export const nameOfGroup = (id) => {
  const group = groupsById.peek().get(id);
  return group ? groupName(groupBy.peek(), group.key) : id;
};

/** Groups that the charts shall draw: the first ones and those picked by eye; and of these what a chart takes runs of. */
const wanted = computed(() => {
  const ids = groups.value.map((group) => groupId(group.key));
  return chartedRuns(ids, view.value.shown.filter((id) => groupsById.value.has(id)), view.value);
});
const chosen = computed(() => {
  let room = MOST_CHARTED;
  return wanted.value.filter((id) => {
    const size = groupsById.value.get(id)?.n_runs ?? 0;
    if (size > room) return false;
    room -= size;
    return true;
  });
});
export const chartedGroups = computed(() => new Set(chosen.value));
export const nLeftOut = computed(() => wanted.value.length - chosen.value.length);
/** Whether a group is too large for a chart. @param {RunGroup} group */
export const isTooLarge = (group) => group.n_runs > MOST_CHARTED;

/** Ids of the members of charted groups. */
const members = signal(/** @type {ReadonlyMap<string, readonly string[]>} */ (new Map()));
/** What is drawn: groups whose members are known; text, so that readers wake only when it changes. */
const drawnText = computed(() => JSON.stringify(chosen.value.filter((id) => members.value.has(id))));
const drawn = computed(() => /** @type {string[]} */ (JSON.parse(drawnText.value)));

const slots = signal(/** @type {Map<string, number>} */ (new Map()));
let heldSlots = /** @type {Set<string>} */ (new Set());
effect(() => {
  slots.value = assignSlots(slots.peek(), heldSlots, chosen.value);
  heldSlots = new Set(chosen.value);
});
/** How every charted group is drawn. */
export const groupStyles = computed(() => new Map(
  chosen.value.map((id) => [id, slotStyle(slots.value.get(id) ?? Infinity, theme.value)])));
const drawnStyles = computed(() => new Map([...groupStyles.value].filter(([id]) => members.value.has(id))));

let generation = 0;
const refresher = paced(GAP_MS, () => load(Math.max(PAGE, loaded.peek().length), 0, generation));

// Another question: other groups, in other colours.
effect(() => {
  question.value;
  generation += 1;
  batch(() => {
    loaded.value = [];
    nGroups.value = 0;
    isReady.value = false;
    openGroups.value = new Map();
    members.value = new Map();
    slots.value = new Map();
  });
  heldSlots = new Set();
  if (groupBy.value.length > 0) load(PAGE, 0, generation);
});
let valuesText = '';
effect(() => {
  const text = values.value.join('\n');
  if (text !== valuesText && isReady.peek()) refresher.ask();
  valuesText = text;
});
effect(() => {
  chosen.value;
  loadMembers();
});
onChanges((changes) => {
  const project = projectName.peek();
  const isOurs = changes === null || changes.some((change) => change.project === project && !change.kinds.every((kind) => kind === 'console' || kind === 'system'));
  if (groupBy.peek().length > 0 && isOurs) refresher.ask();
});

/** @param {number} limit @param {number} offset @param {number} now the question that is asked */
async function load(limit, offset, now) {
  const project = projectName.peek();
  if (project === null || groupBy.peek().length === 0) return;
  try {
    const answer = await fetchGroups(project, { by: groupBy.peek(), values: values.peek(), filter: activeFilter.peek(), limit, offset });
    if (now !== generation) return;
    batch(() => {
      loaded.value = [...loaded.peek().slice(0, offset), ...answer.groups];
      nGroups.value = answer.n_groups;
      [groupsError.value, isReady.value] = [null, true];
    });
  } catch (problem) {
    if (now === generation) [groupsError.value, isReady.value] = [/** @type {Error} */ (problem), true];
  }
}

let isReading = false;
/** More groups, when the end of those that are there comes near. */
export async function loadMoreGroups() {
  if (isReading || loaded.peek().length >= nGroups.peek()) return;
  isReading = true;
  await load(PAGE, loaded.peek().length, generation);
  isReading = false;
}

/** @param {RunGroup} group */
const filterOf = (group) => allOf([activeFilter.peek(), groupFilter(groupBy.peek(), group.key)]);

/** Ids of all members of the charted groups: a group counts whole or not at all. */
async function loadMembers() {
  const [now, project] = [generation, projectName.peek()];
  if (project === null) return;
  const missing = chosen.peek().filter((id) => members.peek().get(id)?.length !== groupsById.peek().get(id)?.n_runs);
  const found = await Promise.all(missing.map(async (id) => {
    const group = /** @type {RunGroup} */ (groupsById.peek().get(id));
    // The next change asks again; until then the group is drawn as it was, or not at all.
    return /** @type {const} */ ([id, await readIds(project, group).catch(() => null)]);
  }));
  if (now !== generation || missing.length === 0) return;
  const next = new Map(members.peek());
  for (const [id, ids] of found) if (ids) next.set(id, ids);
  members.value = next;
}

/** @param {string} project @param {RunGroup} group */
async function readIds(project, group) {
  const [by, filter] = [groupBy.peek(), filterOf(group)];
  /** @type {string[]} */
  const ids = [];
  let cursor = /** @type {string|null} */ (null);
  do {
    const page = await fetchRunPage(project, { filter, limit: IDS_PAGE, cursor, columns: by });
    ids.push(...page.runs.filter((run) => isMember(run, by, group.key)).map((run) => run.id));
    cursor = page.next_cursor;
  } while (cursor !== null && ids.length < MOST_CHARTED);
  return ids;
}

/** Open a group's runs, or close them. @param {RunGroup} group */
export function toggleGroup(group) {
  const id = groupId(group.key);
  const next = new Map(openGroups.peek());
  if (next.delete(id)) openGroups.value = next;
  else {
    openGroups.value = next.set(id, null);
    loadMoreMembers(group);
  }
}

/** More runs of an open group. @param {RunGroup} group */
export async function loadMoreMembers(group) {
  const [now, id, project] = [generation, groupId(group.key), projectName.peek()];
  const before = openGroups.peek().get(id) ?? { rows: [], cursor: null, nMatching: 0 };
  if (project === null) return;
  try {
    const page = await fetchRunPage(project, {
      filter: filterOf(group), sort: sortOrder.peek(), limit: MEMBERS_PAGE, cursor: before.cursor,
      columns: [...new Set([...askedColumns.peek(), ...groupBy.peek()])],
    });
    if (now !== generation || !openGroups.peek().has(id)) return;
    const rows = [...before.rows, ...page.runs.filter((run) => isMember(run, groupBy.peek(), group.key))];
    openGroups.value = new Map(openGroups.peek()).set(id, { rows, cursor: page.next_cursor, nMatching: page.n_matching });
  } catch (problem) {
    groupsError.value = /** @type {Error} */ (problem);
  }
}

/** Whether there is something to draw, or known to be nothing. */
const isDrawable = computed(() => isReady.value && (chosen.value.length === 0 || drawn.value.length > 0));

// The charts of the page draw groups from now on, whenever runs are grouped.
effect(() => {
  const project = projectName.value;
  groupScope.value = project === null || !isDrawable.value ? null
    : groupScopeOf({ project, charted: drawn, styles: drawnStyles, nameOf: nameOfGroup, members });
});
