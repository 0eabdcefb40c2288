/** What can be written in the filter box where the cursor stands: names of fields and keys, operators, states. */
import { fetchColumns } from '../api.js';
import { AGGREGATES, OWN_PATHS, UNSENT_FIELDS } from '../logic/columns.js';
import { completed, operatorsFor, placeAt, searchOf } from '../logic/filter_complete.js';
import { plural } from '../logic/format.js';
import { isPlain, quote } from '../logic/run_query.js';
import { STATES, stateMeaning } from '../logic/states.js';
import { columnInfos, infoByPath, nColumns, projectName } from '../state/project_store.js';
import { html, useEffect, useState } from '../ui.js';

/** @typedef {import('../types.js').ColumnInfo} ColumnInfo */
/** @typedef {{text: string, note: string}} Choice */

const MOST = 12;
const SEARCH_MS = 120;
const FIELDS = [...OWN_PATHS, ...UNSENT_FIELDS];
const OPERATOR_NOTES = /** @type {Record<string, string>} */ ({
  '~': 'has a part that fits the pattern', in: 'is one of a list', exists: 'there is a value', '==': 'equals', '!=': 'is another',
  'in tags': 'is a tag', 'in name': 'is part of the name', 'in notes': 'is part of the notes',
});

/**
 * @param {object} props
 * @param {string} props.id of the list
 * @param {string} props.text
 * @param {number} props.caret
 * @param {string} props.active id of the choice that the keyboard is on
 * @param {(id: string) => void} props.setActive
 * @param {(next: {text: string, caret: number}) => void} props.take
 */
export function FilterSuggestions({ id, text, caret, active, setActive, take }) {
  const place = placeAt(text, caret);
  const found = useFoundColumns(place.kind === 'path' ? searchOf(place.written) : null);
  const choices = choicesFor(place, found, isPlain(text));
  if (choices.length === 0) return html`<div id=${id} hidden></div>`;
  return html`<ul id=${id} class="suggestions" role="listbox" aria-label="What can be written here">${choices.map((choice, index) => {
    const key = `${id}-${index}`;
    // Before the box loses the focus to the press.
    const onPointerDown = (/** @type {PointerEvent} */ event) => {
      event.preventDefault();
      take(completed(text, caret, place, choice.text));
    };
    return html`<li key=${key} id=${key} role="option" aria-selected=${key === active} onPointerDown=${onPointerDown}
      onPointerMove=${() => { if (active !== key) setActive(key); }}><code>${choice.text}</code><span>${choice.note}</span></li>`;
  })}</ul>`;
}

/** Keys that the server finds, when there are more than the page knows. @param {string|null} search null: none are wanted */
function useFoundColumns(search) {
  const [found, setFound] = useState(/** @type {readonly ColumnInfo[]} */ ([]));
  const isEnough = nColumns.value <= columnInfos.value.length;
  useEffect(() => {
    const project = projectName.peek();
    if (search === null || search === '' || isEnough || project === null) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      // Without an answer the choices are those that the page knows.
      fetchColumns(project, { search, limit: 50 }, abort.signal).then((answer) => setFound(answer.columns), () => {});
    }, SEARCH_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [search, isEnough]);
  return isEnough ? columnInfos.value : [...columnInfos.value, ...found];
}

/** @param {import('../logic/filter_complete.js').Place} place @param {readonly ColumnInfo[]} columns @param {boolean} isWords @returns {Choice[]} */
function choicesFor(place, columns, isWords) {
  const written = place.written.toLowerCase();
  switch (place.kind) {
    case 'path': return pathChoices(place.written, columns);
    case 'state': return STATES.map((state) => ({ text: quote(state), note: stateMeaning(state) }))
      .filter(({ text }) => text.replaceAll('"', '').startsWith(written.replace(/^["']/, '')));
    case 'operator': {
      // One word alone may be just that: a word to look for.
      if (isWords && !FIELDS.includes(place.path) && !infoByPath.value.has(place.path) && place.path !== '') return [];
      return operatorsFor(place.path, infoByPath.value.get(place.path)?.kinds ?? []).filter((text) => text.startsWith(written))
        .map((text) => ({ text, note: OPERATOR_NOTES[text] ?? '' }));
    }
    case 'joint': return ['and', 'or'].filter((text) => text.startsWith(written)).map((text) => ({ text, note: '' }));
    default: return [];
  }
}

/** @param {string} written @param {readonly ColumnInfo[]} columns @returns {Choice[]} */
function pathChoices(written, columns) {
  const aggregate = /^(summary(?:\.\w+|\[.+\])+)\.(\w*)$/.exec(written);
  if (aggregate && columns.some(({ path }) => path === aggregate[1])) {
    return AGGREGATES.filter((name) => name.startsWith(aggregate[2])).map((name) => ({ text: `${aggregate[1]}.${name}`, note: 'over all its points' }));
  }
  const whole = written.toLowerCase();
  const part = searchOf(written).toLowerCase();
  const fields = FIELDS.filter((field) => whole !== '' && field.startsWith(whole)).map((field) => ({ text: field, note: 'of every run' }));
  const root = /^(config|summary)(?=[.[]|$)/.exec(whole)?.[1] ?? '';
  const seen = new Set();
  const keys = columns.filter(({ path }) => {
    const isOf = path.startsWith(root) && (part === '' || path.toLowerCase().includes(part)) && !seen.has(path);
    seen.add(path);
    return isOf;
  });
  const rank = (/** @type {ColumnInfo} */ info) => Number(!searchOf(info.path).toLowerCase().startsWith(part));
  keys.sort((a, b) => rank(a) - rank(b));
  return [...fields, ...keys.map(({ path, n_runs: n }) => ({ text: path, note: plural(n, 'run') }))].slice(0, MOST)
    .filter(({ text }) => text !== written);
}

/**
 * Keys of the list of choices.
 * @param {KeyboardEvent} event
 * @param {{isOpen: boolean, listId: string, active: string, setActive: (id: string) => void, open: () => void}} state
 * @returns {boolean} whether the key was meant for it
 */
export function handleKey(event, { isOpen, listId, active, setActive, open }) {
  const options = [...document.querySelectorAll(`#${listId} [role=option]`)];
  const isMove = event.key === 'ArrowDown' || event.key === 'ArrowUp';
  if (!isOpen && (event.key === 'ArrowDown' || (event.key === ' ' && event.ctrlKey))) {
    open();
    event.preventDefault();
    return true;
  }
  if (options.length === 0) return false;
  const index = options.findIndex(({ id }) => id === active);
  if (isMove) {
    const next = index < 0 && event.key === 'ArrowUp' ? options.length - 1 : index + (event.key === 'ArrowDown' ? 1 : -1);
    setActive(options[(next + options.length) % options.length].id);
    event.preventDefault();
    return true;
  }
  if ((event.key === 'Enter' || event.key === 'Tab') && index >= 0) {
    options[index].dispatchEvent(new PointerEvent('pointerdown', { bubbles: true, cancelable: true }));
    event.preventDefault();
    return true;
  }
  return false;
}
