/** How many alerts nobody has seen in this browser yet. */
import { onChanges } from '../events.js';
import { fetchAlerts } from '../alerts_api.js';
import { signal } from '../ui.js';
import { paced } from './paced.js';
import { keep, remember } from './preferences.js';

const GAP_MS = 5000;
/** The time of an alert is told to the microsecond. */
const MARGIN_S = 0.001;

export const nUnseen = signal(0);
/** When the newest alert that was seen here was raised. */
export const seenUntilS = signal(/** @type {number} */ (remember('alerts.seen', 0)));

const loader = paced(GAP_MS, async () => {
  const { n_matching: n } = await fetchAlerts('', { limit: 1, since_s: seenUntilS.peek() });
  nUnseen.value = n;
});
let isStarted = false;

/** Begin to count, for as long as the page lives. */
export function countAlerts() {
  if (isStarted) return;
  isStarted = true;
  loader.ask();
  onChanges((changes) => {
    if (changes === null || changes.some(({ kinds }) => kinds.includes('alerts') || kinds.includes('new'))) loader.ask();
  });
}

/** @param {readonly import('../types.js').Alert[]} alerts that somebody has just seen */
export function markSeen(alerts) {
  const newest = Math.max(seenUntilS.peek(), ...alerts.map(({ at_s: atS }) => atS + MARGIN_S));
  if (newest === seenUntilS.peek()) return;
  seenUntilS.value = newest;
  keep('alerts.seen', newest);
  nUnseen.value = 0;
  loader.ask();
}
