/**
 * What can be written where the cursor stands in a filter. It reads only the text before the cursor, and no more of the
 * language than it takes to tell a name from a value: the server alone knows what is right. Pure.
 */

/**
 * @typedef {object} Place
 * @property {'path'|'operator'|'state'|'joint'|'none'} kind what can stand here
 * @property {number} from where what is being written begins
 * @property {string} written of it
 * @property {string} path the field or key that is compared
 */

const TOKEN = /\s+|(?:[rR]?"(?:[^"\\]|\\.)*"|[rR]?'(?:[^'\\]|\\.)*')|["'].*$|==|!=|<=|>=|!~|[\p{L}\p{Nl}_][\p{L}\p{N}_]*(?:\.[\p{L}\p{Nl}_][\p{L}\p{N}_]*|\[(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\]|\.(?=\s*$)|\["[^"\]]*$)*|[0-9][\w.+-]*|./guy;
const COMPARING = new Set(['==', '!=', '<', '<=', '>', '>=', '~', '!~', '=']);
const JOINING = new Set(['and', 'or']);
const WORDS = new Set(['and', 'or', 'not', 'in', 'is', 'exists', 'None', 'True', 'False', 'inf', 'nan']);

/** @param {string} text @returns {{text: string, at: number}[]} */
function tokensOf(text) {
  return [...text.matchAll(TOKEN)].filter(([token]) => token.trim() !== '').map((found) => ({ text: found[0], at: found.index }));
}

/** @param {string} token */
const isName = (token) => /^[\p{L}\p{Nl}_]/u.test(token) && !/^[rR]?["']/.test(token) && !WORDS.has(token);

/**
 * @param {string} text
 * @param {number} caret
 * @returns {Place}
 */
export function placeAt(text, caret) {
  const before = text.slice(0, caret);
  const tokens = tokensOf(before);
  const last = tokens[tokens.length - 1];
  const isWriting = last !== undefined && !/\s$/.test(before) && /^[\p{L}\p{N}_"']/u.test(last.text) && !/^(["']).*\1$/s.test(last.text);
  const done = (isWriting ? tokens.slice(0, -1) : tokens).map((token) => token.text);
  const place = { from: isWriting ? last.at : caret, written: isWriting ? last.text : '', path: '' };
  return { ...place, ...kindAfter(done, place.written) };
}

/** @param {string[]} done @param {string} written @returns {{kind: Place['kind'], path: string}} */
function kindAfter(done, written) {
  const last = done[done.length - 1];
  const path = comparedPath(done);
  const isInList = done.lastIndexOf('[') > done.lastIndexOf(']');
  if (isInList || (last !== undefined && (COMPARING.has(last) || last === 'in'))) {
    if (path === 'state' || (isInList && comparedPath(done.slice(0, done.lastIndexOf('['))) === 'state')) return { kind: 'state', path: 'state' };
    return { kind: last === 'in' && !isInList ? 'path' : 'none', path };
  }
  if (last === undefined || JOINING.has(last) || last === 'not' || last === '(') return { kind: /^["'0-9]/.test(written) ? 'none' : 'path', path: '' };
  if (last === 'is') return { kind: 'none', path };
  if (isName(last) && !isCompared(done)) return { kind: 'operator', path: last };
  if (/^["']/.test(last) && !isCompared(done)) return { kind: 'operator', path: '' };
  return { kind: 'joint', path: '' };
}

/** The last name before the operator at the end. @param {string[]} done */
function comparedPath(done) {
  for (let index = done.length - 1; index >= 0; index -= 1) {
    if (JOINING.has(done[index])) return '';
    if (isName(done[index])) return done[index];
  }
  return '';
}

/** Whether the last comparison has its operator. @param {string[]} done */
function isCompared(done) {
  const start = Math.max(done.lastIndexOf('and'), done.lastIndexOf('or'), done.lastIndexOf('('));
  return done.slice(start + 1).some((token) => COMPARING.has(token) || token === 'in' || token === 'is' || token === 'exists');
}

/**
 * The text with a choice in the place of what was written.
 * @param {string} text
 * @param {number} caret
 * @param {Place} place
 * @param {string} choice
 */
export function completed(text, caret, place, choice) {
  const rest = text.slice(caret);
  const gap = /^\s/.test(rest) ? '' : ' ';
  return { text: text.slice(0, place.from) + choice + gap + rest, caret: place.from + choice.length + 1 };
}

/** The part of a written path to search keys by: config.l -> l, summary["val/ -> val/. @param {string} written */
export function searchOf(written) {
  return written.replace(/^(config|summary|environment)(?=[.[]|$)/, '').replace(/^[.[]?["']?/, '').replace(/["']?\]?$/, '');
}

/** Operators for a path, the likeliest first. @param {string} path @param {readonly string[]} kinds of its values */
export function operatorsFor(path, kinds) {
  if (path === '') return ['in tags', 'in name', 'in notes'];
  if (path === 'tags') return ['exists', '==', '~'];
  const isText = path === 'state' || (kinds.length > 0 && !kinds.includes('number'));
  return isText ? ['==', '!=', '~', 'in', 'exists'] : ['<', '>', '<=', '>=', '==', '!=', 'in', 'exists'];
}
