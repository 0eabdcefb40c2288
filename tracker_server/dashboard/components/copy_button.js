/** A button that copies text, and says that it did. */
import { html, useState } from '../ui.js';
import { Icon } from './icons.js';

const SAID_MS = 1500;

/** @param {string} text @returns {Promise<boolean>} whether it was copied */
export async function copyText(text) {
  try {
    // Missing where the page is neither https nor localhost; may be refused elsewhere.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    return isCopied;
  }
}

/** @param {{text: () => string|Promise<string>, label: string, caption?: string, icon?: string, className: string}} props */
export function CopyButton({ text, label, caption = '', icon = 'copy', className }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await copyText(await text()))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return html`<button class=${className} title=${label} aria-label=${caption ? undefined : label} onClick=${copy}>
    <${Icon} name=${isCopied ? 'check' : icon} size=${14} />${caption && html`<span>${isCopied ? 'Copied' : caption}</span>`}</button>`;
}
