/** A kept file of code, with line numbers; Python's comments, strings and keywords have colours. */
import { formatNumber } from '../logic/format.js';
import { tokenLines } from '../logic/python_tokens.js';
import { html, useMemo, useState } from '../ui.js';

const LINES_AT_A_TIME = 1500;
const MAX_LETTERS = 2000;
const IS_PYTHON = /\.(py|pyi|pyx|ipynb)$/;

/** @param {{path: string, text: string}} props */
export function CodeView({ path, text }) {
  const lines = useMemo(() => linesOf(path, text), [path, text]);
  const [limit, setLimit] = useState(LINES_AT_A_TIME);
  const rows = lines.slice(0, limit);
  return html`<div class="code-scroll" tabindex="0"><pre class="code-lines" style=${`--digits:${String(lines.length).length}`}>${rows.map((tokens, index) => html`<span class="code-line" data-n=${index + 1}>${tokens.map(({ text: part, kind }) => (kind === '' ? part : html`<span class=${`token-${kind}`}>${part}</span>`))}${'\n'}</span>`)}</pre></div>
    ${lines.length > limit && html`<button class="more-lines" onClick=${() => setLimit(limit + LINES_AT_A_TIME)}>
      Show ${formatNumber(Math.min(LINES_AT_A_TIME, lines.length - limit))} more of ${formatNumber(lines.length - limit)} lines</button>`}`;
}

/** @param {string} path @param {string} text @returns {import('../logic/python_tokens.js').Token[][]} */
function linesOf(path, text) {
  const bounded = text.replace(/\n$/, '').split('\n').map((line) => (
    line.length > MAX_LETTERS ? `${line.slice(0, MAX_LETTERS)} … ${formatNumber(line.length - MAX_LETTERS)} more letters` : line));
  if (IS_PYTHON.test(path)) return tokenLines(bounded.join('\n'));
  return bounded.map((line) => [{ text: line, kind: '' }]);
}
