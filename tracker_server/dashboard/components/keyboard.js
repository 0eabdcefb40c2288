/** Keyboard shortcuts of all pages. A page says what its keys do; this module says when a key is meant as one. */

/** @typedef {Record<string, () => void>} KeyMap keys such as "j", or two pressed one after the other: "g r" */

const SEQUENCE_MS = 1000;
/** @type {KeyMap[]} the newest page last */
const maps = [];
let prefix = '';
let prefixTime = 0;

/**
 * Bind keys for as long as a page is shown.
 * @param {KeyMap} map
 * @returns {() => void} to unbind
 */
export function bindKeys(map) {
  maps.push(map);
  return () => {
    maps.splice(maps.indexOf(map), 1);
  };
}

export function startKeyboard() {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const now = performance.now();
    const sequence = now - prefixTime < SEQUENCE_MS && prefix !== '' ? `${prefix} ${event.key}` : event.key;
    const action = find(sequence) ?? find(event.key);
    const isPrefix = maps.some((map) => Object.keys(map).some((keys) => keys.startsWith(`${event.key} `)));
    prefix = isPrefix ? event.key : '';
    prefixTime = now;
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** @param {string} keys */
function find(keys) {
  return maps.findLast((map) => Object.hasOwn(map, keys))?.[keys];
}

/** @param {EventTarget|null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('dialog')) return true;
  if (target instanceof HTMLInputElement) return target.type !== 'range' && target.type !== 'checkbox';
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
