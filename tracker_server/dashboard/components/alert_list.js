/** Alerts as a list, newest first, by day. */
import { formatAge, formatNumber, formatTime } from '../logic/format.js';
import { projectUrl, runUrl } from '../router.js';
import { html, useState } from '../ui.js';
import { Icon } from './icons.js';

/** @typedef {import('../types.js').Alert} Alert */

export const LEVELS = /** @type {const} */ (['ERROR', 'WARN', 'INFO']);
const LEVEL_ICONS = { ERROR: 'error', WARN: 'warn', INFO: 'info' };
const LEVEL_NAMES = { ERROR: 'Error', WARN: 'Warning', INFO: 'Note' };
const LONG_CHARS = 240;
const LONG_LINES = 3;

/** @param {{level: import('../types.js').AlertLevel, isNamed?: boolean}} props */
export function LevelIcon({ level, isNamed = false }) {
  const known = level in LEVEL_ICONS ? level : 'INFO';
  return html`<span class=${`level level-${known}`} title=${LEVEL_NAMES[known]}><${Icon} name=${LEVEL_ICONS[known]} size=${14} />
    ${isNamed ? LEVEL_NAMES[known] : html`<span class="for-readers">${LEVEL_NAMES[known]}</span>`}</span>`;
}

/** @param {{alerts: readonly Alert[], newSinceS?: number, withRun?: boolean, withProject?: boolean}} props alerts: newest first */
export function AlertRows({ alerts, newSinceS = Infinity, withRun = false, withProject = false }) {
  const now = Date.now() / 1000;
  /** @type {Map<string, Alert[]>} */
  const days = new Map();
  for (const alert of alerts) {
    const day = dayOf(alert.at_s, now);
    days.set(day, [...(days.get(day) ?? []), alert]);
  }
  return html`<div class="alerts">${[...days].map(([day, ofDay]) => html`<section key=${day}><h2 class="alerts-day">${day}</h2>
    <ol>${ofDay.map((alert, index) => html`<${Row} key=${`${alert.run}/${alert.at_s}/${index}`} alert=${alert} now=${now} isNew=${alert.at_s > newSinceS} withRun=${withRun} withProject=${withProject} />`)}</ol></section>`)}</div>`;
}

/** @param {{alert: Alert, now: number, isNew: boolean, withRun: boolean, withProject: boolean}} props */
function Row({ alert, now, isNew, withRun, withProject }) {
  const [isOpen, setOpen] = useState(false);
  const { title, text, level, at_s: atS, step, project, run, run_name: name, writer } = alert;
  const lines = text.split('\n');
  const isLong = text.length > LONG_CHARS || lines.length > LONG_LINES;
  const shown = isOpen || !isLong ? text : `${lines.slice(0, LONG_LINES).join('\n').slice(0, LONG_CHARS)} …`;
  return html`<li class=${`alert level-row-${level}${isNew ? ' is-new' : ''}`}>
    <${LevelIcon} level=${level} />
    <div class="alert-body">
      <p class="alert-title">${title}${isNew && html`<span class="new-mark">new</span>`}</p>
      ${text && html`<p class="alert-text">${shown} ${isLong && html`<button class="text-button" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${isOpen ? 'less' : 'all of it'}</button>`}</p>`}
      <p class="alert-facts">
        ${withRun && html`<a href=${`${runUrl(project, run)}?tab=alerts`}>${name}</a>`}
        ${withProject && html`<a class="muted" href=${projectUrl(project)}>${project}</a>`}
        <span>step ${formatNumber(step)}</span>${writer !== 'main' && html`<span>${writer}</span>`}</p>
    </div>
    <time class="alert-time" title=${formatTime(atS)}>${ageText(atS, now)}</time></li>`;
}

/** @param {number} thenS @param {number} nowS */
function ageText(thenS, nowS) {
  const age = formatAge(thenS, nowS);
  return age === 'now' ? 'just now' : `${age} ago`;
}

/** @param {number} atS @param {number} nowS */
function dayOf(atS, nowS) {
  const day = formatTime(atS).slice(0, 10);
  if (day === formatTime(nowS).slice(0, 10)) return 'Today';
  return day === formatTime(nowS - 86400).slice(0, 10) ? 'Yesterday' : day;
}

/** @param {{chosen: ReadonlySet<string>, onChange: (levels: ReadonlySet<string>) => void}} props chosen: none is all */
export function LevelChoice({ chosen, onChange }) {
  const toggle = (/** @type {string} */ level) => {
    const next = new Set(chosen);
    if (!next.delete(level)) next.add(level);
    onChange(next);
  };
  return html`<span class="segments" role="group" aria-label="Levels">${LEVELS.map((level) => html`<button aria-pressed=${chosen.has(level)} onClick=${() => toggle(level)}>
    <${LevelIcon} level=${level} isNamed /></button>`)}</span>`;
}
