/** A choice of a few, side by side. */
import { html } from '../ui.js';

/**
 * @param {{label: string, value: string, choices: [string, any][], onChange: (value: string) => void}} props
 */
export function Segments({ label, value, choices, onChange }) {
  return html`<span class="segments" role="group" aria-label=${label}>${choices.map(([key, text]) => html`<button key=${key}
    aria-pressed=${key === value} onClick=${() => onChange(key)}>${text}</button>`)}</span>`;
}
