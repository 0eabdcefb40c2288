/** The lines of a log: only those on screen exist, however many there are. Text of a run is only ever a text node. */
import { markSpans, parseAnsi, stripAnsi } from '../logic/ansi.js';
import { spanCss } from '../logic/ansi_colours.js';
import { formatNumber, formatTime } from '../logic/format.js';
import { formatLines } from '../logic/view_state.js';
import { MAX_SHOWN_LETTERS, findMarks, lineTime } from '../logic/log_text.js';
import { theme } from '../state/preferences.js';
import { html, useEffect, useLayoutEffect, useRef } from '../ui.js';
import { ROW_PX } from './log_scroller.js';

/** @typedef {import('../types.js').LogLine} LogLine */
/** @typedef {import('../logic/log_text.js').TimeKind} TimeKind */
/**
 * @typedef {object} Look
 * @property {TimeKind} times
 * @property {number} startS
 * @property {boolean} isWrapped
 * @property {string} query marked in the lines
 * @property {number|null} current the line of the match that was gone to
 * @property {import('../logic/view_state.js').LineRange|null} range selected lines
 * @property {(line: number, isExtended: boolean) => void} onSelect
 */

/** @type {WeakMap<LogLine, import('../logic/ansi.js').Span[]>} */
const parsed = new WeakMap();

/** @param {LogLine} line */
function spansOf(line) {
  let spans = parsed.get(line);
  if (!spans) {
    spans = parseAnsi(line.text.slice(0, MAX_SHOWN_LETTERS));
    parsed.set(line, spans);
  }
  return spans;
}

/**
 * @param {{store: import('../state/log_store.js').LogStore, scroller: import('./log_scroller.js').LogScroller, look: Look}} props
 */
export function LogView({ store, scroller, look }) {
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => (element.current ? scroller.attach(element.current) : undefined), [scroller]);
  const nLines = store.nLines.value;
  store.version.value;
  const { first, end, hiddenRows, position, spacerPx } = scroller.layout();
  useLayoutEffect(() => { scroller.settle(position); });
  useEffect(() => { store.show(first, end); }, [store, first, end, nLines]);
  const numbers = Array.from({ length: end - first }, (_, index) => first + index);
  const classes = ['log-scroller', look.isWrapped && 'is-wrapped'].filter(Boolean).join(' ');
  return html`<div class=${classes} ref=${element} tabindex="0" role="region" aria-label="Output" onCopy=${copyPlain}
      style=${`--digits:${String(nLines).length}`}>
    <div class="log-layer"><div class="log-lines" style=${`transform:translateY(${-Math.round(hiddenRows * ROW_PX)}px)`}>
      ${numbers.map((number) => html`<${Line} key=${number} number=${number} line=${store.get(number)} look=${look} />`)}
    </div></div>
    <div class="log-spacer" style=${`height:${spacerPx}px`}></div>
  </div>`;
}

/** @param {{number: number, line: LogLine|undefined, look: Look}} props */
function Line({ number, line, look }) {
  const { range, current, onSelect } = look;
  const isSelected = range !== null && number >= range.first && number <= range.last;
  const classes = ['log-line', line?.stream === 2 && 'is-err', isSelected && 'is-selected', number === current && 'is-current'].filter(Boolean).join(' ');
  const select = (/** @type {MouseEvent} */ event) => {
    if (event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    onSelect(number, event.shiftKey);
  };
  return html`<div class=${classes} data-line=${number + 1}>
    <a class="log-number" href=${`?tab=logs&line=${formatLines({ first: number, last: number })}`} tabindex="-1" title=${line?.stream === 2 ? 'stderr' : ''}
      aria-label=${`Line ${number + 1}${line?.stream === 2 ? ', stderr' : ''}`} data-n=${number + 1} onClick=${select}></a>
    ${look.times !== 'off' && html`<span class="log-time" data-t=${line ? lineTime(line.time_s, look.times, look.startS) : ''} title=${line ? formatTime(line.time_s) : ''}></span>`}
    <span class="log-text">${line ? html`<${Spans} line=${line} look=${look} isCurrent=${number === current} />` : ''}</span>
  </div>`;
}

/** @param {{line: LogLine, look: Look, isCurrent: boolean}} props */
function Spans({ line, look, isCurrent }) {
  const spans = spansOf(line);
  const marks = look.query === '' ? [] : findMarks(spans.map((span) => span.text).join(''), look.query);
  const shown = theme.value;
  const more = line.text.length - MAX_SHOWN_LETTERS;
  return html`${markSpans(spans, marks).map(({ text, style, isMarked }) => {
    if (isMarked) return html`<mark class=${isCurrent ? 'is-current' : ''}>${text}</mark>`;
    return style ? html`<span style=${spanCss(style, shown)}>${text}</span>` : text;
  })}${more > 0 && html`<span class="log-cut" title="The download has all of it"> … ${formatNumber(more)} more letters</span>`}`;
}

/** Copy what is selected as plain text: without numbers and times, a line end after each line. @param {ClipboardEvent} event */
function copyPlain(event) {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return;
  const chosen = selection.getRangeAt(0);
  const host = /** @type {HTMLElement} */ (event.currentTarget);
  const texts = [...host.querySelectorAll('.log-text')].filter((text) => chosen.intersectsNode(text)).map((text) => {
    const part = document.createRange();
    part.selectNodeContents(text);
    if (text.contains(chosen.startContainer)) part.setStart(chosen.startContainer, chosen.startOffset);
    if (text.contains(chosen.endContainer)) part.setEnd(chosen.endContainer, chosen.endOffset);
    return part.toString();
  });
  event.clipboardData?.setData('text/plain', texts.join('\n'));
  event.preventDefault();
}

/** The plain text of lines. @param {readonly LogLine[]} lines */
export function plainLines(lines) {
  return `${lines.map((line) => stripAnsi(line.text)).join('\n')}\n`;
}
