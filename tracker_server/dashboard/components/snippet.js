/** Lines of code to be copied. */
import { html } from '../ui.js';
import { CopyButton } from './copy_button.js';

/** @param {{text: string, label?: string}} props */
export function Snippet({ text, label = 'Copy these lines' }) {
  return html`<div class="snippet"><pre tabindex="0"><code>${text}</code></pre><${CopyButton} className="icon-button" label=${label} text=${() => text} /></div>`;
}
