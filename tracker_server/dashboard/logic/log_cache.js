/** The lines of a console that were fetched, in chunks; the oldest used are forgotten, stale ones stay readable. */

/** @typedef {import('../types.js').LogLine} LogLine */
/** @typedef {{lines: (LogLine|undefined)[], isStale: boolean, nLines: number}} Chunk nLines: of the whole console, as it was then */

export const CHUNK_LINES = 500;
/** As many lines as fill a few hundred windows. */
const MAX_CHUNKS = 80;

export class LogCache {
  constructor() {
    /** @type {Map<number, Chunk>} the least used first */
    this.chunks = new Map();
  }

  /** @param {number} number @returns {LogLine|undefined} */
  get(number) {
    return this.chunks.get(Math.floor(number / CHUNK_LINES))?.lines[number % CHUNK_LINES];
  }

  /**
   * Keep an answer that began at the start of a chunk.
   * @param {number} first
   * @param {readonly LogLine[]} lines
   * @param {number} nLines that there are in all
   */
  put(first, lines, nLines) {
    const index = Math.floor(first / CHUNK_LINES);
    /** @type {Chunk} */
    const chunk = { lines: [], isStale: false, nLines };
    for (const line of lines) chunk.lines[line.number - index * CHUNK_LINES] = line;
    this.chunks.delete(index);
    this.chunks.set(index, chunk);
    for (const oldest of this.chunks.keys()) {
      if (this.chunks.size <= MAX_CHUNKS) break;
      this.chunks.delete(oldest);
    }
  }

  /** Lines from here on may have changed: a progress bar rewrites its line. @param {number} from */
  markStale(from) {
    for (const [index, chunk] of this.chunks) if ((index + 1) * CHUNK_LINES > from) chunk.isStale = true;
  }

  clear() {
    this.chunks.clear();
  }

  /**
   * Say which chunks must be fetched to show lines [first, end).
   * @param {number} first
   * @param {number} end
   * @returns {number[]} their first lines
   */
  wanted(first, end) {
    const found = [];
    for (let index = Math.floor(first / CHUNK_LINES); index * CHUNK_LINES < end; index += 1) {
      const chunk = this.chunks.get(index);
      if (chunk) this.touch(index, chunk);
      // A chunk that was the last one has gained lines since.
      const isShort = chunk && chunk.lines.length < CHUNK_LINES && chunk.nLines < end;
      if (!chunk || chunk.isStale || isShort) found.push(index * CHUNK_LINES);
    }
    return found;
  }

  /** @param {number} index @param {Chunk} chunk */
  touch(index, chunk) {
    this.chunks.delete(index);
    this.chunks.set(index, chunk);
  }
}
