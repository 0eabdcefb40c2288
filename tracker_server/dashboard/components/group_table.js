/** The table of groups: a row a group with the mean and spread of the columns shown, opened to its runs. */
import { columnOf } from '../logic/columns.js';
import { formatNumber, plural } from '../logic/format.js';
import { groupCell, groupLabel, groupRows } from '../logic/run_groups.js';
import { groupId } from '../logic/run_query.js';
import { isBusy, listStart, queryError } from '../state/run_list.js';
import {
  chartedGroups, groupStyles, groups, groupsError, isReady, isTooLarge, loadMoreGroups, loadMoreMembers, nGroups, nLeftOut, nameOfGroup,
  openGroups, toggleGroup,
} from '../state/run_groups.js';
import { groupBy, hoveredRun, showRun, updateView } from '../state/view.js';
import { html } from '../ui.js';
import { ErrorNote, Skeleton } from './empty.js';
import { Icon, Swatch } from './icons.js';
import { RunLine, useNow } from './run_table.js';
import { TableFrame, cells } from './table_frame.js';

/** @typedef {import('../types.js').RunGroup} RunGroup */
/** @typedef {import('./table_frame.js').Layout} Layout */

const GROUP = { path: '', label: 'Group', root: 'run', width: 0, isNumeric: false };
/** How many rows before the end more groups are asked for. */
const AHEAD = 40;

export function GroupPane() {
  const nShown = chartedGroups.value.size;
  return html`<div class="pane-counts"><span>${plural(nGroups.value, 'group')} · ${formatNumber(nShown)} shown</span>
      <button class="text-button" onClick=${() => updateView({ base: nShown > 0 ? 'none' : 'auto', shown: [], hidden: [] })}>
        ${nShown > 0 ? 'Hide all' : 'Show first'}</button></div>
    <${GroupChips} />
    ${nLeftOut.value > 0 && html`<p class="pane-note">${plural(nLeftOut.value, 'more group')} not drawn: a chart takes 2\u202f000 runs in all.</p>`}
    <${Body} />`;
}

/** What runs are grouped by, each to be taken away. */
function GroupChips() {
  const paths = groupBy.value;
  return html`<div class="group-chips"><span class="muted">by</span>${paths.map((path) => {
    const { label } = columnOf(path, new Map());
    return html`<span class="chip" key=${path}><span class="chip-main">${label}</span><button class="icon-button" aria-label=${`Do not group by ${label}`}
      title=${`Do not group by ${label}`} onClick=${() => updateView({ groupBy: paths.filter((other) => other !== path), shown: [], hidden: [], base: 'auto' })}>
      <${Icon} name="close" size=${12} /></button></span>`;
  })}</div>`;
}

function Body() {
  const now = useNow();
  if (groupsError.value && groups.value.length === 0 && !queryError.value) return html`<div class="run-scroller"><${ErrorNote} error=${groupsError.value} /></div>`;
  if (!isReady.value) return html`<${Skeleton} rows=${12} />`;
  const rows = groupRows(groups.value, openGroups.value);
  const row = (/** @type {number} */ index, /** @type {Layout} */ layout) => {
    const item = rows[index];
    const position = index + 2;
    switch (item.kind) {
      case 'group': return html`<${GroupLine} key=${groupId(item.group.key)} group=${item.group} isOpen=${item.isOpen} layout=${layout} position=${position} />`;
      case 'run': return html`<${RunLine} key=${item.run.id} run=${item.run} layout=${layout} now=${now} position=${position} isMember />`;
      default: return html`<tr key=${`more ${groupId(item.group.key)}`} aria-rowindex=${position} style=${`height:${layout.height}px`}><th scope="row" class="more-runs">
        ${item.isLoading ? html`<span class="muted">Loading…</span>`
          : html`<button class="text-button" onClick=${() => loadMoreMembers(item.group)}>${plural(item.nMore, 'more run')}</button>`}</th></tr>`;
    }
  };
  return html`<${TableFrame} first=${GROUP} count=${rows.length} row=${row} cursor=${-1} start=${listStart.value} isBusy=${isBusy.value}
    onWindow=${(/** @type {number} */ _, /** @type {number} */ end) => { if (end + AHEAD > rows.length) loadMoreGroups(); }} />`;
}

/** @param {{group: RunGroup, isOpen: boolean, layout: Layout, position: number}} props */
function GroupLine({ group, isOpen, layout, position }) {
  const id = groupId(group.key);
  const name = nameOfGroup(id);
  const isShown = chartedGroups.value.has(id);
  const by = groupBy.value;
  const cell = (/** @type {{path: string}} */ { path }) => {
    const { mean, spread, title } = groupCell(group, path, by);
    return { text: spread === '' ? mean : html`${mean} <span class="spread">${spread}</span>`, title };
  };
  const running = group.n_running > 0 ? `, ${formatNumber(group.n_running)} running` : '';
  const eye = isTooLarge(group) ? 'Too many runs for a chart, which takes 2\u202f000' : `${isShown ? 'Hide' : 'Show'} ${name}`;
  return html`<tr class=${hoveredRun.value === id ? 'group-line is-hovered' : 'group-line'} aria-rowindex=${position} data-group=${id} style=${`height:${layout.height}px`}
      onMouseMove=${() => { hoveredRun.value = id; }} onMouseLeave=${() => { hoveredRun.value = null; }}>
    <th scope="row"><span class="name-cell">
      <button class=${isShown ? 'eye is-on' : 'eye'} aria-pressed=${isShown} aria-label=${eye} title=${eye} disabled=${isTooLarge(group)}
        onClick=${() => showRun(id, !isShown)}><${Icon} name=${isShown ? 'eye' : 'eyeOff'} size=${14} /></button>
      <${Swatch} style=${groupStyles.value.get(id)} />
      <button class=${isOpen ? 'fold is-open' : 'fold'} aria-expanded=${isOpen} title=${name} aria-label=${name} onClick=${() => toggleGroup(group)}>
        <${Icon} name="chevron" size=${12} /><span class="group-name">${groupLabel(by, group.key)}</span></button>
      <span class="count" title=${`${plural(group.n_runs, 'run')}${running}`}>${formatNumber(group.n_runs)}</span>
    </span></th>
    ${cells({ layout, cell })}
  </tr>`;
}
