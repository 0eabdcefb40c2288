/** The cells of a run's row. */
import { columnValue } from '../logic/columns.js';
import { formatAge, formatCell, formatDuration, formatNumber, formatTime, formatValue } from '../logic/format.js';
import { isGroupId } from '../logic/run_query.js';
import { stateMeaning, troubleText } from '../logic/states.js';
import { runUrl } from '../router.js';
import { chartedSet, groupScope, styles } from '../state/project_store.js';
import { isTableOpen, showRun, updateView } from '../state/view.js';
import { html } from '../ui.js';
import { Icon, StateBadge, StateIcon, Swatch } from './icons.js';

/** @typedef {import('../types.js').RunRow} RunRow */

/** Letters at the end of a name that are always shown. */
const NAME_END = 8;

/** Show or hide a run, or a group of runs. @param {string} id */
export function toggleRun(id) {
  const isShown = isGroupId(id) ? groupScope.peek()?.charted.peek().includes(id) : chartedSet.peek().has(id);
  showRun(id, !isShown);
}

/** Show this run, or group, and no other. @param {string} id */
export function showOnly(id) {
  updateView({ base: 'none', shown: [id], hidden: [] });
}

/** Eye, swatch, state and name. @param {{run: RunRow, isMember?: boolean}} props isMember: of a group, which is shown as a whole */
export function NameCell({ run, isMember = false }) {
  const isShown = chartedSet.value.has(run.id);
  const trouble = troubleText(run.health);
  const label = `${isShown ? 'Hide' : 'Show'} ${run.name}`;
  const onEye = (/** @type {MouseEvent} */ event) => (event.altKey ? showOnly(run.id) : toggleRun(run.id));
  return html`<span class="name-cell">
    ${!isMember && html`<button class=${isShown ? 'eye is-on' : 'eye'} aria-pressed=${isShown} aria-label=${label} title=${`${label} (h). Alt-click: only this`}
      onClick=${onEye}><${Icon} name=${isShown ? 'eye' : 'eyeOff'} size=${14} /></button>
    <${Swatch} style=${styles.value.get(run.id)} />`}
    <a class="run-name" href=${runUrl(run.project, run.id)} aria-label=${run.name} title=${`${run.name}\n${run.id}`}><${RunName} name=${run.name} /></a>
    ${trouble && html`<span class="trouble" title=${trouble}><${Icon} name="warn" size=${12} /></span>`}
    ${!isTableOpen.value && html`<${StateIcon} state=${run.state} />`}
  </span>`;
}

/**
 * A name that loses its middle where there is no room: the names of a sweep begin alike and differ at their end.
 * @param {{name: string}} props
 */
function RunName({ name }) {
  const letters = [...name];
  if (letters.length <= NAME_END * 2) return html`<span class="name-start">${name}</span>`;
  return html`<span class="name-start">${letters.slice(0, -NAME_END).join('')}</span><span>${letters.slice(-NAME_END).join('')}</span>`;
}

/**
 * The value of any other column.
 * @param {RunRow} run
 * @param {string} column
 * @param {number} nowS
 * @returns {{text: any, title: string}}
 */
export function cellContent(run, column, nowS) {
  const value = columnValue(run, column);
  switch (column) {
    case 'state': return { text: html`<${StateBadge} state=${run.state} />`, title: stateMeaning(run.state) };
    case 'created': return { text: formatAge(run.created_s, nowS), title: formatTime(run.created_s) };
    case 'ended': return run.ended_s === null ? { text: '', title: '' } : { text: formatAge(run.ended_s, nowS), title: formatTime(run.ended_s) };
    case 'duration': return { text: formatDuration(run.duration_s), title: formatDuration(run.duration_s) };
    case 'tags': return { text: html`<${Tags} tags=${run.tags} />`, title: run.tags.join(', ') };
    default: {
      // The full digits of a number are in the title; the cell holds what can be read at a glance.
      // A setting is shown as it was typed; measured values line up.
      const format = column.startsWith('config') ? formatNumber : formatCell;
      if (typeof value === 'number') return { text: format(value), title: String(value) };
      return { text: value === null && !isKey(column) ? '' : formatValue(value), title: formatValue(value ?? undefined) };
    }
  }
}

/** Whether a column is of config or summary, where null is a value. @param {string} column */
const isKey = (column) => /^(config|summary)[.[]/.test(column);

/** @param {{tags: string[]}} props */
export function Tags({ tags }) {
  return html`<span class="tags">${tags.map((tag) => html`<span class="tag">${tag}</span>`)}</span>`;
}
