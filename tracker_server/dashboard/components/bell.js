/** The way to all alerts, with how many are new. */
import { plural } from '../logic/format.js';
import { alertsUrl } from '../router.js';
import { countAlerts, nUnseen } from '../state/alerts.js';
import { html, useEffect } from '../ui.js';
import { Icon } from './icons.js';

/** @param {{isHere: boolean}} props */
export function Bell({ isHere }) {
  useEffect(countAlerts, []);
  const n = nUnseen.value;
  const label = n > 0 ? `Alerts: ${plural(n, 'new alert')}` : 'Alerts';
  return html`<a class="rail-item bell" href=${alertsUrl()} title=${label} aria-label=${label} aria-current=${isHere ? 'page' : undefined}>
    <${Icon} name="bell" size=${18} />${n > 0 && html`<span class="bell-count" aria-hidden="true">${n > 99 ? '99+' : n}</span>`}</a>`;
}
