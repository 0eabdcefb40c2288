/** Above a run's tabs: its latest alert that is no mere note, until it is put away. */
import { formatAge, formatNumber } from '../logic/format.js';
import { keep, remember } from '../state/preferences.js';
import { updateView } from '../state/view.js';
import { html, useState } from '../ui.js';
import { Icon } from './icons.js';
import { LevelIcon } from './alert_list.js';

/** @param {{run: import('../types.js').RunDetail}} props */
export function AlertBanner({ run }) {
  const name = `alerts.put_away.${run.project}/${run.id}`;
  const [putAwayS, setPutAway] = useState(/** @type {number} */ (remember(name, 0)));
  const open = (run.alerts ?? []).filter((alert) => alert.level !== 'INFO' && alert.at_s > putAwayS);
  // An error is not hidden by a warning that came after it.
  const shown = open.findLast((alert) => alert.level === 'ERROR') ?? open.at(-1);
  if (!shown) return null;
  const putAway = () => {
    const newest = Math.max(...open.map(({ at_s: atS }) => atS));
    keep(name, newest);
    setPutAway(newest);
  };
  return html`<div class=${`alert-banner level-row-${shown.level}`} role="status">
    <${LevelIcon} level=${shown.level} /><strong title=${shown.title}>${shown.title}</strong>
    <span class="alert-banner-text" title=${shown.text}>${shown.text}</span>
    <span class="muted">step ${formatNumber(shown.step)} · ${formatAge(shown.at_s, Date.now() / 1000)}</span>
    <button class="text-button" onClick=${() => updateView({ tab: 'alerts' })}>${open.length > 1 ? `all ${open.length}` : 'show'}</button>
    <button class="icon-button" aria-label="Put this alert away" title="Put away" onClick=${putAway}><${Icon} name="close" size=${12} /></button></div>`;
}
