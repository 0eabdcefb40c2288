/** What pages of artifacts keep in the address behind "?": their tab, what is searched for, what is open. */
import { arrivals } from '../router.js';
import { signal } from '../ui.js';

const changes = signal(0);

/** What the address says; whoever reads it is drawn again when it changes. @param {string} key @param {string} [usual] */
export function queryValue(key, usual = '') {
  return `${arrivals.value}${changes.value}` && (new URLSearchParams(location.search).get(key) ?? usual);
}

/**
 * Change some of it; "" takes a key out.
 * @param {Record<string, string>} patch
 */
export function setQuery(patch) {
  const params = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(patch)) {
    if (value === '') params.delete(key);
    else params.set(key, value);
  }
  const text = params.toString();
  history.replaceState(history.state, '', location.pathname + (text === '' ? '' : `?${text}`));
  changes.value += 1;
}
