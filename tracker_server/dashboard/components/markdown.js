/**
 * Markdown that the server has made into harmless HTML. Its text is read in a document of its own, in which nothing runs and
 * nothing is loaded, and only elements and addresses that are listed here are made of it: it is never set as markup.
 */
import { html, useMemo } from '../ui.js';

const ELEMENTS = new Set(['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'p', 'br', 'hr', 'blockquote', 'pre', 'code', 'em', 'strong', 's', 'ul', 'ol', 'li',
  'table', 'thead', 'tbody', 'tr', 'th', 'td', 'a']);
/** The page has headings above it. */
const LOWERED = /** @type {Record<string, string>} */ ({ h1: 'h3', h2: 'h4', h3: 'h5', h4: 'h6', h5: 'h6', h6: 'h6' });
const SCHEMES = new Set(['http:', 'https:', 'mailto:']);
const MAX_DEPTH = 60;

/** @param {{source: string}} props source: the HTML */
export function Markdown({ source }) {
  const nodes = useMemo(() => [...new DOMParser().parseFromString(source, 'text/html').body.childNodes].map((node) => rebuilt(node, 0)), [source]);
  return html`<div class="markdown">${nodes}</div>`;
}

/** @param {Node} node @param {number} depth @returns {any} */
function rebuilt(node, depth) {
  if (node.nodeType === Node.TEXT_NODE) return node.nodeValue;
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  const element = /** @type {Element} */ (node);
  const name = element.localName;
  if (depth > MAX_DEPTH || !ELEMENTS.has(name)) return element.textContent;
  const children = [...element.childNodes].map((child) => rebuilt(child, depth + 1));
  if (name === 'br') return html`<br />`;
  if (name === 'hr') return html`<hr />`;
  if (name === 'a') return link(element, children);
  if (name === 'table') return html`<div class="scroll-x"><table>${children}</table></div>`;
  if (name === 'ol') return html`<ol start=${Number.parseInt(element.getAttribute('start') ?? '1', 10) || 1}>${children}</ol>`;
  if (name === 'pre') return html`<pre tabindex="0">${children}</pre>`;
  const Tag = LOWERED[name] ?? name;
  return html`<${Tag}>${children}<//>`;
}

/** @param {Element} element @param {any[]} children */
function link(element, children) {
  const url = parsed(element.getAttribute('href') ?? '');
  if (!url || !SCHEMES.has(url.protocol)) return children;
  return html`<a href=${url.href} title=${url.href} target="_blank" rel="noopener noreferrer nofollow">${children}</a>`;
}

/** @param {string} text */
function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}
