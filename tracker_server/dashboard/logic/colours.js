/**
 * Colours of runs. Eight colours that stay apart for people with colour-vision deficiencies (the brief's measured
 * palette); the next sixteen runs repeat them dashed; beyond 24 a line is neutral grey until it is pointed at.
 */

export const PALETTE = {
  light: ['#389ec2', '#c18b00', '#fb0280', '#547643', '#3b30b2', '#8d0000', '#9c4fe0', '#682e5e'],
  dark: ['#73d4fb', '#e9b142', '#fb74a0', '#bde4ac', '#666bdd', '#d04e3f', '#bf87fb', '#a06294'],
};
/** Dashes, in CSS pixels, of slots 0-7, 8-15 and 16-23. */
export const DASHES = [[], [6, 3], [2, 2]];
export const N_STYLED = PALETTE.light.length * DASHES.length;
const NEUTRAL = { light: 'rgba(27, 31, 36, 0.35)', dark: 'rgba(230, 233, 237, 0.35)' };

/** @typedef {{colour: string, dash: number[], isNeutral: boolean}} LineStyle */

/**
 * Return how a slot is drawn.
 * @param {number} slot
 * @param {'light'|'dark'} theme
 * @returns {LineStyle}
 */
export function slotStyle(slot, theme) {
  if (slot >= N_STYLED) return { colour: NEUTRAL[theme], dash: [], isNeutral: true };
  const n = PALETTE[theme].length;
  return { colour: PALETTE[theme][slot % n], dash: DASHES[Math.floor(slot / n)], isNeutral: false };
}

/**
 * Give every shown run a slot. A run keeps the slot it holds; a run shown again gets its old slot when that is free;
 * any other run takes the lowest free one. Slots of hidden runs are remembered but may be taken.
 * @param {ReadonlyMap<string, number>} remembered slots from before, of shown and hidden runs
 * @param {ReadonlySet<string>} held ids that are shown already and so keep their slot
 * @param {readonly string[]} shown ids to show now, in the order in which new ones are served
 * @returns {Map<string, number>} slots of all remembered and shown runs
 */
export function assignSlots(remembered, held, shown) {
  const slots = new Map(remembered);
  /** @type {Set<number>} */
  const taken = new Set();
  /** @type {string[]} */
  const waiting = [];
  for (const id of shown) if (held.has(id) && slots.has(id)) taken.add(/** @type {number} */ (slots.get(id)));
  for (const id of shown) {
    if (held.has(id) && slots.has(id)) continue;
    const old = slots.get(id);
    if (old !== undefined && old < N_STYLED && !taken.has(old)) taken.add(old);
    else waiting.push(id);
  }
  let lowest = 0;
  for (const id of waiting) {
    while (taken.has(lowest)) lowest += 1;
    slots.set(id, lowest);
    taken.add(lowest);
  }
  return slots;
}

/**
 * Keep the newest entries only, so that a browser's storage does not fill.
 * @param {ReadonlyMap<string, number>} slots
 * @param {ReadonlySet<string>} shown
 * @param {number} limit
 * @returns {[string, number][]}
 */
export function slotsToKeep(slots, shown, limit) {
  const entries = [...slots].filter(([, slot]) => slot < N_STYLED);
  const rank = (/** @type {[string, number]} */ entry) => (shown.has(entry[0]) ? 1 : 0);
  return entries.sort((a, b) => rank(a) - rank(b)).slice(-limit);
}
