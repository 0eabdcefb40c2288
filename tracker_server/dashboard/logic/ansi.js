/** Reads the colours of a line of terminal output (ECMA-48 SGR) into spans of plain text with a style. Pure. */

/**
 * @typedef {object} Style
 * @property {Colour|null} fg
 * @property {Colour|null} bg
 * @property {boolean} isBold
 * @property {boolean} isDim
 * @property {boolean} isItalic
 * @property {boolean} isUnderlined
 * @property {boolean} isStruck
 * @property {boolean} isInverse
 */
/** @typedef {number|readonly [number, number, number]} Colour an index of the 256, or red, green, blue */
/** @typedef {{text: string, style: Style|null}} Span */

// An escape sequence of any kind; only "[…m" means something here, the others are left out of the text.
const ESCAPE = /\u001b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~]?)/g;
// What a browser would draw as a box, or would turn the line's direction round with, so that code reads otherwise than it runs.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** @type {Style} */
const PLAIN = Object.freeze({
  fg: null, bg: null, isBold: false, isDim: false, isItalic: false, isUnderlined: false, isStruck: false, isInverse: false,
});

/**
 * Split a line into spans of one style each.
 * @param {string} line
 * @returns {Span[]} style null is the usual look; empty spans are left out
 */
export function parseAnsi(line) {
  /** @type {Span[]} */
  const spans = [];
  let style = PLAIN;
  let begin = 0;
  const push = (/** @type {string} */ raw) => {
    const text = raw.replace(UNSEEN, '');
    if (text !== '') spans.push({ text, style: isPlain(style) ? null : style });
  };
  for (const match of line.matchAll(ESCAPE)) {
    push(line.slice(begin, match.index));
    begin = match.index + match[0].length;
    if (match[2] === 'm') style = applySgr(style, match[1]);
  }
  push(line.slice(begin));
  return spans;
}

/** The text alone. @param {string} line */
export function stripAnsi(line) {
  return line.replace(ESCAPE, '').replace(UNSEEN, '');
}

/** @param {Style} style */
function isPlain(style) {
  return style === PLAIN || Object.entries(style).every(([key, value]) => value === /** @type {any} */ (PLAIN)[key]);
}

/** @param {Style} style @param {string} parameters @returns {Style} */
function applySgr(style, parameters) {
  if (parameters === '' || parameters === '0') return PLAIN;
  // "38:2::1:2:3" has a place for a colour space that "38;2;1;2;3" has not.
  const codes = parameters.replace(/([34]8:2):\d*:(\d+:\d+:\d+)/g, '$1:$2').split(/[;:]/).map(Number);
  const next = { ...style };
  for (let at = 0; at < codes.length; at += 1) at += applyCode(next, codes, at);
  return next;
}

/** @param {Style} style changed in place @param {number[]} codes @param {number} at @returns {number} codes used beyond this */
function applyCode(style, codes, at) {
  const code = codes[at];
  if (code === 38 || code === 48) return applyExtended(style, codes, at);
  if (code === 0) Object.assign(style, PLAIN);
  else if (code === 1) style.isBold = true;
  else if (code === 2) style.isDim = true;
  else if (code === 3) style.isItalic = true;
  else if (code === 4 || code === 21) style.isUnderlined = true;
  else if (code === 7) style.isInverse = true;
  else if (code === 9) style.isStruck = true;
  else if (code === 22) Object.assign(style, { isBold: false, isDim: false });
  else if (code === 23) style.isItalic = false;
  else if (code === 24) style.isUnderlined = false;
  else if (code === 27) style.isInverse = false;
  else if (code === 29) style.isStruck = false;
  else if (code >= 30 && code <= 37) style.fg = code - 30;
  else if (code === 39) style.fg = null;
  else if (code >= 40 && code <= 47) style.bg = code - 40;
  else if (code === 49) style.bg = null;
  else if (code >= 90 && code <= 97) style.fg = code - 90 + 8;
  else if (code >= 100 && code <= 107) style.bg = code - 100 + 8;
  return 0;
}

/** @param {Style} style @param {number[]} codes @param {number} at @returns {number} */
function applyExtended(style, codes, at) {
  const part = codes[at] === 38 ? 'fg' : 'bg';
  const isByte = (/** @type {number} */ value) => Number.isInteger(value) && value >= 0 && value <= 255;
  if (codes[at + 1] === 5) {
    if (isByte(codes[at + 2])) style[part] = codes[at + 2];
    return 2;
  }
  if (codes[at + 1] !== 2) return 1;
  const rgb = codes.slice(at + 2, at + 5);
  if (rgb.length === 3 && rgb.every(isByte)) style[part] = /** @type {[number, number, number]} */ (/** @type {unknown} */ (rgb));
  return 4;
}

/**
 * Cut spans where something is to be marked.
 * @param {readonly Span[]} spans
 * @param {readonly {begin: number, end: number}[]} marks ascending, without overlap, in letters of the joined text
 * @returns {(Span & {isMarked: boolean})[]}
 */
export function markSpans(spans, marks) {
  /** @type {(Span & {isMarked: boolean})[]} */
  const parts = [];
  let offset = 0;
  let next = 0;
  for (const { text, style } of spans) {
    let done = 0;
    while (done < text.length) {
      while (next < marks.length && marks[next].end <= offset + done) next += 1;
      const mark = marks[next];
      const isMarked = mark !== undefined && mark.begin <= offset + done;
      const limit = mark === undefined ? Infinity : isMarked ? mark.end : mark.begin;
      const end = Math.min(text.length, limit - offset);
      parts.push({ text: text.slice(done, end), style, isMarked });
      done = end;
    }
    offset += text.length;
  }
  return parts;
}
