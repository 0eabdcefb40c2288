/** Choose one of a run's processes: "rank1 on host-b". */
import { writerLabel } from '../logic/run_writers.js';
import { html } from '../ui.js';

/**
 * Nothing where there is no choice.
 * @param {{names: readonly string[], value: string, writers: readonly import('../types.js').RunWriter[], onChange: (name: string) => void}} props
 */
export function WriterSelect({ names, value, writers, onChange }) {
  if (names.length < 2 && (value === '' || names.includes(value))) return null;
  const all = names.includes(value) || value === '' ? names : [...names, value];
  return html`<label class="field">Process <select class="select is-wide" value=${value} onChange=${(/** @type {any} */ event) => onChange(event.currentTarget.value)}>
    ${all.map((name) => html`<option value=${name} selected=${name === value}>${writerLabel(name, writers)}</option>`)}</select></label>`;
}
