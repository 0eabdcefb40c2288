/** Finds comments, strings, numbers and keywords in Python source, for colours only: no parser, and never wrong by more. */

/** @typedef {{text: string, kind: ''|'comment'|'string'|'number'|'keyword'|'name'}} Token */

const KEYWORDS = 'False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|'
  + 'global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield|match|case';
const TOKEN = new RegExp([
  '(?<comment>#[^\\n]*)',
  // A string that is never closed ends with its line, or with the file when it has three quotes.
  '(?<string>(?<!\\w)[rbfuRBFU]{0,2}(?:"""|\'\'\')|[rbfuRBFU]{0,2}(?:"(?:\\\\[^]|[^"\\\\\\n])*"?|\'(?:\\\\[^]|[^\'\\\\\\n])*\'?))',
  '(?<number>\\b(?:0[xob][\\da-fA-F_]+|\\d[\\d_]*(?:\\.[\\d_]*)?(?:[eE][+-]?\\d+)?j?)\\b)',
  `(?<keyword>\\b(?:${KEYWORDS})\\b)`,
  '(?<decorator>(?<=^[ \\t]*)@[\\w.]+)',
  '(?<word>[A-Za-z_]\\w*)',
].join('|'), 'gm');

/**
 * Split source into lines of tokens.
 * @param {string} source
 * @returns {Token[][]}
 */
export function tokenLines(source) {
  /** @type {Token[][]} */
  const lines = [[]];
  const push = (/** @type {string} */ text, /** @type {Token['kind']} */ kind) => {
    text.split('\n').forEach((part, index) => {
      if (index > 0) lines.push([]);
      if (part !== '') lines[lines.length - 1].push({ text: part, kind });
    });
  };
  let done = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(source); match; match = TOKEN.exec(source)) {
    const kind = kindOf(match, lines[lines.length - 1]);
    let end = TOKEN.lastIndex;
    if (kind === 'string' && /("""|''')$/.test(match[0]) && match[0].replace(/^\w*/, '').length === 3) end = closeOf(source, end);
    if (kind !== '') {
      push(source.slice(done, match.index), '');
      push(source.slice(match.index, end), kind);
      done = end;
    }
    TOKEN.lastIndex = end;
  }
  push(source.slice(done), '');
  return lines;
}

/** @param {RegExpExecArray} match @param {Token[]} before @returns {Token['kind']} */
function kindOf({ groups = {} }, before) {
  if (groups.comment !== undefined) return 'comment';
  if (groups.string !== undefined) return 'string';
  if (groups.number !== undefined) return 'number';
  if (groups.keyword !== undefined) return 'keyword';
  if (groups.decorator !== undefined) return 'name';
  const last = before.at(-1);
  return last?.kind === 'keyword' && (last.text === 'def' || last.text === 'class') ? 'name' : '';
}

/** Where a string of three quotes ends. @param {string} source @param {number} begin after its opening quotes */
function closeOf(source, begin) {
  const quotes = source.slice(begin - 3, begin);
  const close = new RegExp(`(?:\\\\[^]|(?!${quotes})[^\\\\])*(?:${quotes})?`, 'y');
  close.lastIndex = begin;
  close.exec(source);
  return Math.max(begin, close.lastIndex);
}
