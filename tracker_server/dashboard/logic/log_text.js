/** Text around log lines: times, and marks of a search. Pure. */

/** @typedef {{begin: number, end: number}} Mark */
/** @typedef {'off'|'relative'|'absolute'} TimeKind */

const TAB = 8;
/** A line may be megabytes long; nobody reads more of it in place, and drawing it would block the page. */
export const MAX_SHOWN_LETTERS = 20_000;
const MAX_MARKS = 500;

/** @param {number} n @param {number} width */
const pad = (n, width) => String(n).padStart(width, '0');

/**
 * The time of a line.
 * @param {number} timeS unix seconds
 * @param {TimeKind} kind
 * @param {number} startS of the run
 */
export function lineTime(timeS, kind, startS) {
  if (kind === 'off') return '';
  if (kind === 'absolute') {
    const date = new Date(timeS * 1000);
    return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`;
  }
  const tenths = Math.max(0, Math.round((timeS - startS) * 10));
  const seconds = Math.floor(tenths / 10);
  return `${Math.floor(seconds / 3600)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}.${tenths % 10}`;
}

/**
 * Where a search finds something in a line, whatever the case of its letters.
 * @param {string} text without escape sequences
 * @param {string} query
 * @returns {Mark[]}
 */
export function findMarks(text, query) {
  if (query === '') return [];
  /** @type {Mark[]} */
  const marks = [];
  for (const match of text.matchAll(new RegExp(query.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), 'gi'))) {
    marks.push({ begin: match.index, end: match.index + match[0].length });
    if (marks.length >= MAX_MARKS) break;
  }
  return marks;
}

/**
 * The match to go to.
 * @param {readonly number[]} lines of the matches, ascending
 * @param {number} at the line to start from
 * @param {1|-1} direction
 * @param {boolean} isInclusive whether a match on that very line counts
 * @returns {number} an index into `lines`, round the ends; -1 when there is none
 */
export function nextMatch(lines, at, direction, isInclusive) {
  if (lines.length === 0) return -1;
  if (direction === 1) {
    const index = lines.findIndex((line) => (isInclusive ? line >= at : line > at));
    return index < 0 ? 0 : index;
  }
  const index = lines.findLastIndex((line) => (isInclusive ? line <= at : line < at));
  return index < 0 ? lines.length - 1 : index;
}

/** How many columns a text takes, where each letter takes one; wide letters take two. @param {string} text */
export function columnsOf(text) {
  if (/^[\u0020-\u02ff]*$/.test(text)) return text.length;
  let columns = 0;
  for (const letter of text) {
    if (letter === '\t') columns += TAB - (columns % TAB);
    else columns += isWide(letter) ? 2 : 1;
  }
  return columns;
}

/** @param {string} letter */
function isWide(letter) {
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(letter);
}
