/** Where in the run the media tabs stand: all together, or each card on its own; and which card the keys move. */
import { signal } from '../ui.js';
import { keep, remember } from './preferences.js';
import { mediaStep, updateView } from './view.js';

/** @typedef {{move: (by: number) => boolean}} Steppable */

export const isSynced = signal(/** @type {boolean} */ (remember('media.sync', true)));
export const isPlaying = signal(false);
/** @type {Steppable[]} the cards on the page, in their order */
const cards = [];
/** @type {Steppable|null} */
let active = null;
const PLAY_MS = 600;

/** @param {Steppable} card @returns {() => void} */
export function addCard(card) {
  cards.push(card);
  return () => {
    cards.splice(cards.indexOf(card), 1);
    if (active === card) active = null;
  };
}

/** @param {Steppable} card */
export function activate(card) {
  active = card;
}

/** Move the card used last, or the first one, to another step; with it all others, where they go together. @param {number} by */
export function moveStep(by) {
  return (active ?? cards[0])?.move(by) ?? false;
}

/** @param {number|null} step null: the latest */
export function goToStep(step) {
  updateView({ step: step === null ? '' : String(step) });
}

export function toggleSync() {
  isSynced.value = !isSynced.value;
  keep('media.sync', isSynced.value);
}

let timer = 0;

export function togglePlay() {
  isPlaying.value = !isPlaying.value;
  clearInterval(timer);
  if (!isPlaying.value) return;
  timer = setInterval(() => { if (!moveStep(1)) stopPlay(); }, PLAY_MS);
}

export function stopPlay() {
  clearInterval(timer);
  isPlaying.value = false;
}

export { mediaStep };
