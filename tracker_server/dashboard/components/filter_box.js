/** The box that says which runs are listed: plain words, or a filter. Completion is loaded when somebody comes to type. */
import { isPlain } from '../logic/run_query.js';
import { isBusy, queryError, wrongText } from '../state/run_list.js';
import { filterText, updateView } from '../state/view.js';
import { html, signal, useRef, useState } from '../ui.js';
import { Icon } from './icons.js';

export const FILTER_ID = 'run-filter';
const ERROR_ID = 'run-filter-error';
const LIST_ID = 'run-filter-list';
const HINT = 'Filter by config.lr < 0.1 and state == "finished", or by words in name, id, tags and notes';

/** @typedef {typeof import('./filter_suggestions.js')} Suggestions */
const loaded = signal(/** @type {Suggestions|null} */ (null));

async function loadSuggestions() {
  if (!loaded.peek()) loaded.value = await import('./filter_suggestions.js');
}

/** Put the typing cursor in the filter box. */
export function focusFilter() {
  /** @type {HTMLInputElement|null} */ (document.getElementById(FILTER_ID))?.select();
}

export function FilterBox() {
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const { caret, active, setActive, close, onInput, onClick, onKeyDown, onTake } = useTyping(input);
  const [isTyping, setTyping] = useState(false);
  const text = filterText.value;
  // What was said of another text is not shown, nor that a filter ends too early while somebody is writing it.
  const isSaid = queryError.value !== null && (!isOfFilter() || wrongText.value === text);
  const isWrong = isSaid && !(isTyping && isAtEnd(text));
  const goTo = (/** @type {number} */ at) => {
    input.current?.focus();
    input.current?.setSelectionRange(at, at);
  };
  const come = () => { setTyping(true); loadSuggestions(); };
  const leave = () => { setTyping(false); close(); };
  const Part = loaded.value?.FilterSuggestions;
  return html`<div class="filter">
    <label class=${isWrong ? 'search is-wrong' : 'search'} title=${HINT}><${Icon} name="search" size=${14} />
      <input id=${FILTER_ID} ref=${input} type="search" placeholder="Words, or config.lr < 0.1 …  /" aria-label="Filter runs" spellcheck=${false} autocomplete="off"
        role="combobox" aria-autocomplete="list" aria-expanded=${caret !== null} aria-controls=${LIST_ID}
        aria-activedescendant=${active || undefined} aria-invalid=${isWrong} aria-describedby=${isWrong ? ERROR_ID : undefined}
        value=${text} onFocus=${come} onBlur=${leave} onInput=${onInput} onClick=${onClick} onKeyDown=${onKeyDown} />
      ${isBusy.value && html`<span class="busy" aria-hidden="true"></span>`}</label>
    ${Part && caret !== null && html`<${Part} id=${LIST_ID} text=${text} caret=${caret} active=${active} setActive=${setActive} take=${onTake} />`}
    ${isWrong && html`<${FilterError} text=${text} id=${ERROR_ID} onGo=${goTo} />`}
  </div>`;
}

/**
 * What is typed in the box, and where the typing cursor is while choices are shown.
 * @param {{current: HTMLInputElement|null}} input
 */
function useTyping(input) {
  const [caret, setCaret] = useState(/** @type {number|null} */ (null));
  const [active, setActive] = useState('');
  const place = () => input.current?.selectionStart ?? 0;
  const close = () => { setCaret(null); setActive(''); };
  /** @param {string} text @param {number} at */
  const write = (text, at) => {
    updateView({ filter: text });
    setActive('');
    setCaret(at);
  };
  const onTake = (/** @type {{text: string, caret: number}} */ next) => {
    // At once, not with the next drawing: somebody may type on before it.
    if (input.current) input.current.value = next.text;
    input.current?.setSelectionRange(next.caret, next.caret);
    write(next.text, next.caret);
  };
  const onInput = () => write(input.current?.value ?? '', place());
  const onClick = () => { if (caret !== null) setCaret(place()); };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const isOpen = caret !== null;
    if (loaded.peek()?.handleKey(event, { isOpen, listId: LIST_ID, active, setActive, open: () => setCaret(place()) })) return;
    if (event.key !== 'Escape' && event.key !== 'Enter') return;
    // The browser would empty the box at the first Escape.
    if (event.key === 'Escape') event.preventDefault();
    if (event.key === 'Escape' && !isOpen) updateView({ filter: '' });
    if (event.key === 'Enter' || !isOpen) input.current?.blur();
    close();
  };
  return { caret, active, setActive, close, onInput, onClick, onKeyDown, onTake };
}

const isOfFilter = () => queryError.value?.detail.where?.startsWith('filter') ?? false;

/** Whether the filter is wrong only in that it ends too early. @param {string} text */
function isAtEnd(text) {
  return isOfFilter() && (queryError.value?.detail.position ?? -1) >= [...text.trimEnd()].length;
}

/**
 * What is wrong, under the place where it is wrong.
 * @param {{text: string, id: string, onGo: (position: number) => void}} props
 */
function FilterError({ text, id, onGo }) {
  const detail = queryError.value?.detail ?? {};
  const { position, where, got, expected, remedy } = detail;
  // The place counts whole characters, as Python does; a text here counts halves of some.
  const letters = [...text];
  const at = position === undefined ? -1 : Math.min(position, letters.length);
  const isOfSort = where?.startsWith('sort') ?? false;
  const isOfText = !isOfSort && at >= 0 && !isPlain(text);
  const before = letters.slice(0, at).join('');
  const wrong = /^(?:[\p{L}\p{N}_]+|"[^"]*"?|'[^']*'?|.)/su.exec(letters.slice(at).join(''))?.[0] ?? '';
  return html`<div class="filter-error" role="alert" id=${id}>
    ${isOfText && html`<p><button class="filter-echo" title="Go to the place" onClick=${() => onGo(before.length)}><span>${before}</span><mark>${wrong || '\u2003'}</mark><span>${text.slice(before.length + wrong.length)}</span></button></p>`}
    <p>${isOfText ? 'Got' : `${where ?? 'The request'}: got`} ${got ?? 'this'}${expected && html`, expected ${expected}`}.</p>
    ${remedy && html`<p class="filter-remedy">${remedy[0].toUpperCase()}${remedy.slice(1)}</p>`}
    ${isOfSort && html`<p><button class="text-button" onClick=${() => updateView({ sort: 'created:desc' })}>Sort by start</button></p>`}
  </div>`;
}
