/** Merges change notices, and decides how long to wait between tries. Pure: time is passed in. */

/** @typedef {import('../types.js').Change} Change */
/** @typedef {import('../types.js').ChangeKind} ChangeKind */

/** Gathers changes until they are taken; a run named twice is one change with both sets of kinds. */
export class ChangeSet {
  constructor() {
    /** @type {Map<string, {project: string, run: string, kinds: Set<ChangeKind>}>} */
    this.byRun = new Map();
  }

  get isEmpty() {
    return this.byRun.size === 0;
  }

  /** @param {readonly Change[]} changes */
  add(changes) {
    for (const { project, run, kinds } of changes) {
      const key = `${project}/${run}`;
      const entry = this.byRun.get(key) ?? { project, run, kinds: new Set() };
      for (const kind of kinds) entry.kinds.add(kind);
      this.byRun.set(key, entry);
    }
  }

  /** Return everything gathered, and forget it. @returns {Change[]} */
  take() {
    const changes = [...this.byRun.values()].map(({ project, run, kinds }) => ({ project, run, kinds: [...kinds] }));
    this.byRun.clear();
    return changes;
  }
}

/**
 * How long to wait before connecting again: 1, 2, 4 … 30 s, spread by up to a quarter so that many tabs do not
 * come back at once.
 * @param {number} nFailures in a row, from 1
 * @param {number} random in [0, 1)
 */
export function retryDelayMs(nFailures, random) {
  const base = Math.min(30_000, 1000 * 2 ** Math.max(0, nFailures - 1));
  return Math.round(base * (1 + random / 4));
}

/**
 * How long to wait before the next refresh of the same thing: at least the minimum, and never so short that
 * refreshing takes more than a third of the time.
 * @param {number} lastDurationMs
 * @param {number} minimumMs
 */
export function refreshGapMs(lastDurationMs, minimumMs) {
  return Math.min(30_000, Math.max(minimumMs, 2 * lastDurationMs));
}
