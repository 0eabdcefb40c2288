/** The logs tab: everything that the run printed. */
import { consoleTextUrl } from '../run_api.js';
import { CopyButton, copyText } from '../components/copy_button.js';
import { EmptyText } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { LogScroller } from '../components/log_scroller.js';
import { LOG_SEARCH_ID, LogSearchBox } from '../components/log_search_box.js';
import { LogView, plainLines } from '../components/log_view.js';
import { WriterSelect } from '../components/writer_select.js';
import { stripAnsi } from '../logic/ansi.js';
import { formatNumber, plural } from '../logic/format.js';
import { formatLines, parseLines } from '../logic/view_state.js';
import { columnsOf } from '../logic/log_text.js';
import { LogSearch } from '../state/log_search.js';
import { LogStore } from '../state/log_store.js';
import { isNarrow, keep, remember } from '../state/preferences.js';
import { logFind, logLine, logWriter, updateView } from '../state/view.js';
import { effect, html, signal, useEffect, useMemo, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */
/** @typedef {import('../logic/log_text.js').TimeKind} TimeKind */

const TIMES = /** @type {[TimeKind, string][]} */ ([['off', 'No times'], ['relative', 'Since start'], ['absolute', 'Clock time']]);
/** Lines copied at once at most: more is what the download is for. */
const MAX_COPIED = 20_000;
const LETTER_PX = 7.23;
const DIGIT_ROOM_PX = 30;
const TIME_ROOM_PX = 100;

const times = signal(/** @type {TimeKind} */ (remember('log.times', isNarrow.peek() ? 'off' : 'relative')));
const isWrapped = signal(/** @type {boolean} */ (remember('log.wrap', false)));

/** @param {{run: RunDetail}} props */
export function LogsTab({ run }) {
  const writer = logWriter.value;
  const parts = useMemo(() => makeParts(run, writer), [run.project, run.id, writer]);
  useEffect(() => parts.start(), [parts]);
  const { store } = parts;
  if (store.nLines.value === 0 && (run.console?.n_lines ?? 0) === 0) return html`<${NothingPrinted} run=${run} />`;
  return html`<div class="log">
    <${LogToolbar} run=${run} parts=${parts} />
    <${LogBody} run=${run} parts=${parts} />
    <${LogFoot} run=${run} parts=${parts} />
  </div>`;
}

/** @param {RunDetail} run @param {string} writer */
function makeParts({ project, id, console: known }, writer) {
  const where = { project, run: id, writer };
  const store = new LogStore({ ...where, nLines: writer === '' ? known?.n_lines ?? 0 : 0 });
  /** @type {LogScroller} */
  const scroller = new LogScroller({ nLines: () => store.nLines.value, rowsOf: (line) => rowsOf(store, scroller, line) });
  const search = new LogSearch(where, (line) => scroller.reveal(line));
  const start = () => {
    const linked = parseLines(logLine.peek());
    if (linked) scroller.reveal(linked.first);
    const stops = [
      effect(() => search.search(logFind.value, Math.floor(scroller.position.peek()))),
      effect(() => {
        store.nLines.value;
        search.refresh();
      }),
      bindKeys(keyMap(scroller)),
    ];
    return () => {
      for (const stop of stops) stop();
      search.stop();
      store.stop();
    };
  };
  return { store, scroller, search, start };
}

/** @param {LogScroller} scroller */
function keyMap(scroller) {
  return {
    '/': () => /** @type {HTMLInputElement|null} */ (document.getElementById(LOG_SEARCH_ID))?.select(),
    f: () => follow(scroller, !scroller.isFollowing.peek()),
    g: () => scroller.moveTo(0),
    G: () => follow(scroller, true),
  };
}

/** @param {LogScroller} scroller @param {boolean} isOn */
function follow(scroller, isOn) {
  scroller.isFollowing.value = isOn;
}

/** How many rows a line takes where lines are wrapped. @param {LogStore} store @param {LogScroller} scroller @param {number} number @returns {number} */
function rowsOf(store, scroller, number) {
  if (!isWrapped.value) return 1;
  const line = store.get(number);
  if (!line) return 1;
  const gutterPx = String(store.nLines.value).length * LETTER_PX + DIGIT_ROOM_PX + (times.value === 'off' ? 0 : TIME_ROOM_PX);
  const columns = Math.max(10, Math.floor((scroller.widthPx.value - gutterPx) / LETTER_PX));
  return Math.max(1, Math.ceil(columnsOf(stripAnsi(line.text)) / columns));
}

/** @typedef {ReturnType<typeof makeParts>} Parts */

/** @param {{run: RunDetail, parts: Parts}} props */
function LogBody({ run, parts: { store, scroller, search } }) {
  const range = parseLines(logLine.value);
  const onSelect = (/** @type {number} */ line, /** @type {boolean} */ isExtended) => {
    const isSame = range?.first === line && range.last === line;
    const next = isExtended && range ? { first: Math.min(range.first, line), last: Math.max(range.last, line) } : { first: line, last: line };
    updateView({ line: isSame && !isExtended ? '' : formatLines(next) });
  };
  const look = {
    times: times.value, startS: run.created_s, isWrapped: isWrapped.value, query: logFind.value,
    current: search.current.value, range, onSelect,
  };
  return html`<div class="log-body"><${LogView} store=${store} scroller=${scroller} look=${look} />
    <${NewLines} isLive=${run.state === 'running'} store=${store} scroller=${scroller} /></div>`;
}

/** @param {{isLive: boolean, store: LogStore, scroller: LogScroller}} props */
function NewLines({ isLive, store, scroller }) {
  const isFollowing = scroller.isFollowing.value;
  const nLines = store.nLines.value;
  const [seen, setSeen] = useState(nLines);
  useEffect(() => { if (isFollowing) setSeen(nLines); }, [isFollowing, nLines]);
  if (isFollowing || !isLive || nLines <= seen) return null;
  return html`<button class="new-lines" onClick=${() => follow(scroller, true)}><${Icon} name="down" size=${12} />${plural(nLines - seen, 'new line')}</button>`;
}

/** @param {{run: RunDetail, parts: Parts}} props */
function LogToolbar({ run, parts: { scroller, search } }) {
  const { writers = [], writer: usual = null } = run.console ?? {};
  const writer = logWriter.value || usual;
  const setWriter = (/** @type {string} */ next) => updateView({ writer: next === usual ? '' : next, line: '' });
  const isFollowing = scroller.isFollowing.value;
  const setTimes = (/** @type {any} */ event) => {
    times.value = event.currentTarget.value;
    keep('log.times', times.value);
  };
  const toggleWrap = () => {
    isWrapped.value = !isWrapped.value;
    keep('log.wrap', isWrapped.value);
  };
  return html`<div class="toolbar log-toolbar" role="toolbar" aria-label="Log">
    <${LogSearchBox} search=${search} query=${logFind.value} from=${() => Math.floor(scroller.position.peek())}
      onQuery=${(/** @type {string} */ find) => updateView({ find })} />
    <span class="toolbar-space"></span>
    <${WriterSelect} names=${writers} value=${writer ?? ''} writers=${run.writers ?? []} onChange=${setWriter} />
    <select class="select" aria-label="Times" value=${times.value} onChange=${setTimes}>
      ${TIMES.map(([key, label]) => html`<option value=${key} selected=${key === times.value}>${label}</option>`)}</select>
    <button class="button toggle" aria-pressed=${isWrapped.value} title="Wrap long lines" onClick=${toggleWrap}><${Icon} name="wrap" size=${14} /><span>Wrap</span></button>
    <button class="button toggle" aria-pressed=${isFollowing} title="Stay at the end (f)" onClick=${() => follow(scroller, !isFollowing)}><${Icon} name="follow" size=${14} /><span>Follow</span></button>
    <a class="button" href=${consoleTextUrl(run.project, run.id, logWriter.value)} download="console.txt" title="Download the whole log as text"><${Icon} name="download" size=${14} /><span>Download</span></a>
  </div>`;
}

/** @param {{run: RunDetail, parts: Parts}} props */
function LogFoot({ run, parts: { store } }) {
  const range = parseLines(logLine.value);
  const nLines = store.nLines.value;
  const nLeftOut = store.nLeftOut.value || run.console?.n_left_out || 0;
  const read = async () => {
    if (!range) return '';
    const end = Math.min(range.last + 1, nLines, range.first + MAX_COPIED);
    return plainLines(await store.read(range.first, end));
  };
  useEffect(() => {
    // With nothing else selected, copying means the chosen lines.
    const onCopy = async () => {
      if (range && getSelection()?.isCollapsed !== false && !(document.activeElement instanceof HTMLInputElement)) await copyText(await read());
    };
    document.addEventListener('copy', onCopy);
    return () => document.removeEventListener('copy', onCopy);
  });
  return html`<div class="log-foot">
    <span>${plural(nLines, 'line')}</span>
    ${nLeftOut > 0 && html`<span class="trouble" title="The log went over its bound; the setting console_max_mib raises it"><${Icon} name="warn" size=${12} />${plural(nLeftOut, 'line')} left out</span>`}
    ${store.error.value && html`<span class="trouble" role="alert"><${Icon} name="warn" size=${12} />${store.error.value.message}</span>`}
    ${range && html`<span class="log-range">${range.first === range.last ? 'Line' : 'Lines'} ${formatNumber(range.first + 1)}${range.last > range.first ? ` – ${formatNumber(range.last + 1)}` : ''}
      <${CopyButton} className="text-button" label="Copy the text of these lines" caption="Copy text" text=${read} />
      <button class="text-button" onClick=${() => updateView({ line: '' })}>Clear</button></span>`}
    <span class="toolbar-space"></span>
    <span class="log-hint">click a number to link to a line, shift-click for a range</span>
  </div>`;
}

/** @param {{run: RunDetail}} props */
function NothingPrinted({ run }) {
  return html`<${EmptyText} title=${run.state === 'running' ? 'Nothing printed yet' : 'Nothing was printed'}>
    <p>What the script prints, to stdout and stderr, shows up here line by line.</p>
    <p class="muted">Output is not recorded with <code>TRACKER_CONSOLE=off</code>. A command in another language is recorded by <code>tracker run -- COMMAND</code>.</p><//>`;
}
