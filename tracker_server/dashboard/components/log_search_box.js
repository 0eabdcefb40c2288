/** The search box of the log: n of m, and the way from match to match. */
import { formatNumber } from '../logic/format.js';
import { html } from '../ui.js';
import { Icon } from './icons.js';

export const LOG_SEARCH_ID = 'log-search';

/**
 * @param {{search: import('../state/log_search.js').LogSearch, query: string, onQuery: (query: string) => void,
 *   from: () => number}} props from: the line on screen
 */
export function LogSearchBox({ search, query, onQuery, from }) {
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.currentTarget);
    if (event.key === 'Enter') search.step(event.shiftKey ? -1 : 1, from());
    else if (event.key === 'Escape') {
      onQuery('');
      input.blur();
    } else return;
    event.preventDefault();
  };
  const hasMatches = search.lines.value.length > 0;
  return html`<div class="log-search">
    <label class="search"><${Icon} name="search" size=${14} /><input id=${LOG_SEARCH_ID} type="search" placeholder="Search the whole log  /"
      aria-label="Search the whole log" spellcheck=${false} autocomplete="off" value=${query} onKeyDown=${onKeyDown}
      onInput=${(/** @type {any} */ event) => onQuery(event.currentTarget.value)} /></label>
    <${Count} search=${search} query=${query} />
    ${query !== '' && html`<button class="icon-button" disabled=${!hasMatches} title="Match before (Shift+Enter)" aria-label="Previous match" onClick=${() => search.step(-1, from())}>
      <${Icon} name="up" size=${14} /></button>
      <button class="icon-button" disabled=${!hasMatches} title="Next match (Enter)" aria-label="Next match" onClick=${() => search.step(1, from())}>
      <${Icon} name="down" size=${14} /></button>`}
  </div>`;
}

/** @param {{search: import('../state/log_search.js').LogSearch, query: string}} props */
function Count({ search, query }) {
  if (query === '') return null;
  if (search.error.value) return html`<span class="log-count is-bad" role="alert" title=${search.error.value}>not a search</span>`;
  const result = search.result.value;
  if (!result) return html`<span class="log-count" role="status">…</span>`;
  if (result.n_matches === 0) return html`<span class="log-count" role="status">nothing found</span>`;
  const lines = search.lines.value;
  const at = search.current.value === null ? -1 : lines.indexOf(search.current.value);
  const isBounded = lines.length < result.n_matches;
  const title = isBounded ? `The first ${formatNumber(lines.length)} can be gone to; narrow the search for the rest` : 'Lines that match';
  const total = `${formatNumber(result.n_matches)}${result.is_complete || isBounded ? '' : '+'}`;
  return html`<span class="log-count" role="status" title=${title}>${at < 0 ? `${total} found` : `${formatNumber(at + 1)} of ${total}`}</span>`;
}
