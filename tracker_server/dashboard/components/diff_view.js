/** A diff, file by file. Only what is open exists, and of that as many lines as somebody asked for. */
import { diffLines, diffNotes, parseDiff } from '../logic/diff.js';
import { formatNumber, plural } from '../logic/format.js';
import { html, useMemo, useState } from '../ui.js';
import { Icon } from './icons.js';

/** @typedef {import('../logic/diff.js').DiffFile} DiffFile */
/** @typedef {import('../logic/diff.js').DiffLine} DiffLine */

/** Files are open from the first on, until so many lines are shown. */
const OPEN_LINES = 600;
const LINES_AT_A_TIME = 500;
const FILES_AT_A_TIME = 100;
/** A minified file has lines of megabytes. */
const MAX_LETTERS = 2000;
const SIGN_NAMES = /** @type {Record<string, string>} */ ({ '+': 'added', '-': 'removed' });

/** @param {{text: string, tools?: any}} props tools: buttons beside the sum */
export function DiffView({ text, tools = null }) {
  const files = useMemo(() => parseDiff(text), [text]);
  const notes = html`<ul class="diff-notes">${diffNotes(text).map((note) => html`<li class="trouble"><${Icon} name="warn" size=${12} />${note}</li>`)}</ul>`;
  const [limit, setLimit] = useState(FILES_AT_A_TIME);
  if (files.length === 0) return html`<div class="code-tools"><span class="muted">No text file was changed.</span><span class="toolbar-space"></span>${tools}</div>${notes}`;
  const sum = (/** @type {'nAdded'|'nRemoved'} */ key) => files.reduce((total, file) => total + file[key], 0);
  let shown = 0;
  const isOpen = files.map((file) => {
    shown += file.body.length;
    return shown <= OPEN_LINES || file === files[0];
  });
  return html`<div class="code-tools"><span>${plural(files.length, 'file')} changed</span><${Counts} nAdded=${sum('nAdded')} nRemoved=${sum('nRemoved')} /><span class="toolbar-space"></span>${tools}</div>${notes}
    ${files.slice(0, limit).map((file, index) => html`<${FileDiff} key=${file.path + index} file=${file} isFirstOpen=${isOpen[index]} />`)}
    ${files.length > limit && html`<button class="button" onClick=${() => setLimit(limit + FILES_AT_A_TIME)}>Show ${plural(Math.min(FILES_AT_A_TIME, files.length - limit), 'more file').replace(/ more files?/, ' more files')}</button>`}`;
}

/** @param {{nAdded: number, nRemoved: number}} props */
function Counts({ nAdded, nRemoved }) {
  return html`<span class="diff-counts"><span class="is-added">+${formatNumber(nAdded)}</span><span class="is-removed">−${formatNumber(nRemoved)}</span></span>`;
}

/** @param {{file: DiffFile, isFirstOpen: boolean}} props */
function FileDiff({ file, isFirstOpen }) {
  const [isOpen, setOpen] = useState(isFirstOpen);
  const [limit, setLimit] = useState(LINES_AT_A_TIME);
  const { path, oldPath, kind, nAdded, nRemoved, body } = file;
  const note = kind === 'changed' ? '' : kind === 'renamed' ? `renamed from ${oldPath}` : kind;
  return html`<section class="diff-file" aria-label=${path}>
    <h3 class="diff-head"><button class=${isOpen ? 'fold is-open' : 'fold'} aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name="chevron" size=${12} /><span class="diff-path" title=${path}>${path}</span></button>
      ${note && html`<span class="muted diff-note">${note}</span>`}<${Counts} nAdded=${nAdded} nRemoved=${nRemoved} /></h3>
    ${isOpen && (body.length === 0
      ? html`<p class="muted pad">${kind === 'binary' ? 'A binary file: its bytes are not shown.' : 'No line changed.'}</p>`
      : html`<div class="diff-scroll" tabindex="0"><table class="diff-table"><tbody>${diffLines(file, limit).map((line, index) => html`<${Row} key=${index} line=${line} />`)}</tbody></table></div>`)}
    ${isOpen && body.length > limit && html`<button class="more-lines" onClick=${() => setLimit(limit + LINES_AT_A_TIME)}>
      Show ${formatNumber(Math.min(LINES_AT_A_TIME, body.length - limit))} more of ${formatNumber(body.length - limit)} lines</button>`}
  </section>`;
}

const ROW_CLASSES = /** @type {Record<string, string>} */ ({ '+': 'is-added', '-': 'is-removed', '@': 'is-hunk', '\\': 'is-hunk', ' ': '' });

/** @param {{line: DiffLine}} props */
function Row({ line: { sign, oldNumber, newNumber, text } }) {
  const shown = text.length > MAX_LETTERS ? `${text.slice(0, MAX_LETTERS)} … ${formatNumber(text.length - MAX_LETTERS)} more letters` : text;
  if (sign === '@' || sign === '\\') return html`<tr class="is-hunk"><td class="diff-number"></td><td class="diff-number"></td><td class="diff-sign"></td><td>${sign === '@' ? `⋯ ${shown}` : shown}</td></tr>`;
  return html`<tr class=${ROW_CLASSES[sign]}><td class="diff-number" data-n=${oldNumber ?? ''}></td><td class="diff-number" data-n=${newNumber ?? ''}></td>
    <td class="diff-sign" aria-label=${SIGN_NAMES[sign]}>${sign === '-' ? '−' : sign}</td><td>${shown}</td></tr>`;
}
