/** The values of one key of one run, by their places from 0: fetched a few at a time around those that are looked at. */
import { fetchMediaValues } from '../media_api.js';
import { signal } from '../ui.js';

/** @typedef {import('../types.js').MediaValue} MediaValue */

const CHUNK = 12;
const MAX_KEPT = 240;

export class MediaSeries {
  /** @param {import('../media_api.js').Where} where @param {string} key @param {number} nValues */
  constructor(where, key, nValues) {
    this.where = where;
    this.key = key;
    this.nValues = signal(nValues);
    this.error = signal(/** @type {Error|null} */ (null));
    /** Counts what came. */
    this.version = signal(0);
    /** @type {Map<number, MediaValue>} the least used first */
    this.known = new Map();
    /** @type {Map<string, Promise<MediaValue[]>>} */
    this.asked = new Map();
  }

  /** @param {number} place @returns {MediaValue|undefined} */
  get(place) {
    return this.known.get(place);
  }

  /** There are more values now, perhaps some between those that were known. @param {number} nValues */
  grow(nValues) {
    if (nValues === this.nValues.peek()) return;
    this.known.clear();
    this.nValues.value = nValues;
  }

  /** @param {number} place @returns {Promise<MediaValue|undefined>} */
  async at(place) {
    const first = Math.max(0, Math.floor(place / CHUNK) * CHUNK);
    if (!this.known.has(place)) await this.fetch({ first });
    return this.known.get(place);
  }

  /** The last value whose step is at most this, or the first one. @param {string} step @returns {Promise<number>} its place */
  async placeOf(step) {
    const wanted = Number(step);
    for (const value of this.known.values()) {
      const next = this.known.get(value.place + 1);
      const isLast = value.place === this.nValues.peek() - 1;
      if (value.step === wanted && (isLast || (next && next.step > wanted))) return value.place;
    }
    const values = await this.fetch({ step });
    return values[0]?.place ?? 0;
  }

  /** @param {{first?: number, step?: string}} query @returns {Promise<MediaValue[]>} */
  fetch(query) {
    const name = JSON.stringify(query);
    const running = this.asked.get(name);
    if (running) return running;
    const task = this.load(query).finally(() => this.asked.delete(name));
    this.asked.set(name, task);
    return task;
  }

  /** @param {{first?: number, step?: string}} query */
  async load(query) {
    try {
      const answer = await fetchMediaValues(this.where, { key: this.key, limit: CHUNK, ...query });
      for (const value of answer.values) this.keep(value);
      this.nValues.value = answer.n_values;
      this.error.value = null;
      this.version.value += 1;
      return answer.values;
    } catch (problem) {
      this.error.value = /** @type {Error} */ (problem);
      return [];
    }
  }

  /** @param {MediaValue} value */
  keep(value) {
    this.known.delete(value.place);
    this.known.set(value.place, value);
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MAX_KEPT) break;
      this.known.delete(oldest);
    }
  }
}
