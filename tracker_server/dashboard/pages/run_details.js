/** Tables of config and summary, and the note of an error. */
import { Icon } from '../components/icons.js';
import { formatValue } from '../logic/format.js';
import { fromWire } from '../logic/columns.js';
import { describeMedia, isMedia, kindOf, tabOf } from '../logic/media.js';
import { html, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */

/** @param {{error: NonNullable<RunDetail['error']>, exitCode: number|null}} props */
export function RunErrorNote({ error, exitCode }) {
  return html`<section class="run-error" aria-label="Error">
    <h2>${error.type}${exitCode !== null && exitCode !== undefined && html`<span class="muted"> · exit code ${exitCode}</span>`}</h2>
    <p>${error.message}</p>
    ${error.traceback && html`<details open><summary>Traceback</summary><pre class="traceback">${error.traceback}</pre></details>`}
  </section>`;
}

/** Config or summary, searchable. @param {{values: Record<string, any>, noun: string, hint: string}} props */
export function KeyValues({ values, noun, hint }) {
  const [query, setQuery] = useState('');
  const entries = Object.entries(values).map(([key, value]) => ({ key, value: fromWire(value) }));
  if (entries.length === 0) {
    return html`<section class="empty"><h2>No ${noun}</h2><div class="snippet"><pre><code>${hint}</code></pre></div></section>`;
  }
  const needle = query.trim().toLowerCase();
  const rows = entries.filter(({ key, value }) => `${key} ${formatValue(value)}`.toLowerCase().includes(needle));
  return html`<div class="kv">
    <label class="search"><${Icon} name="search" size=${14} /><input type="search" placeholder=${`Find in ${noun}`} aria-label=${`Find in ${noun}`} value=${query}
      onInput=${(/** @type {any} */ event) => setQuery(event.currentTarget.value)} /></label>
    <table class="kv-table"><tbody>${rows.map(({ key, value }) => html`<tr key=${key}><th scope="row">${key}</th>
      <td class=${typeof value === 'number' ? 'is-number' : ''} title=${typeof value === 'number' ? String(value) : ''}>
        ${isMedia(value) ? html`<a class="media-link" href=${`?tab=${tabOf(kindOf(value))}&${kindOf(value) === 'table' ? 'logged' : 'keys'}=${encodeURIComponent(key)}`}>${describeMedia(value)}</a>`
    : typeof value === 'object' && value !== null ? JSON.stringify(value) : exact(value)}</td></tr>`)}</tbody></table>
    ${rows.length === 0 && html`<p class="muted">Nothing here has “${query}” in it.</p>`}
  </div>`;
}

/** On this page there is room for every digit. @param {any} value */
function exact(value) {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return formatValue(value);
}
