/** A small menu that opens below its button. */
import { html, useEffect, useRef, useState } from '../ui.js';
import { Icon } from './icons.js';

/** @typedef {{label: string, act: () => void, isChecked?: boolean}} MenuItem */

/** @param {{label: string, icon: string, items: MenuItem[]}} props */
export function Menu({ label, icon, items }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    if (!isOpen) return undefined;
    /** @type {HTMLElement|null|undefined} */ (root.current?.querySelector('[role^=menuitem]'))?.focus();
    const close = (/** @type {Event} */ event) => {
      if (!(event.target instanceof Node) || !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', close);
    return () => document.removeEventListener('pointerdown', close);
  }, [isOpen]);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === 'Escape') {
      // A dialog around the menu stays.
      event.preventDefault();
      setOpen(false);
      root.current?.querySelector('button')?.focus();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      moveFocus(root.current, event.key === 'ArrowDown' ? 1 : -1);
    } else return;
    event.stopPropagation();
  };
  return html`<span class="menu" ref=${root} onKeyDown=${onKeyDown}>
    <button class="icon-button" title=${label} aria-label=${label} aria-haspopup="menu" aria-expanded=${isOpen}
      onClick=${() => setOpen(!isOpen)}><${Icon} name=${icon} /></button>
    ${isOpen && html`<span class="menu-list" role="menu">
      ${items.map((item) => html`<button role=${item.isChecked === undefined ? 'menuitem' : 'menuitemcheckbox'}
        aria-checked=${item.isChecked} onClick=${() => { setOpen(false); item.act(); }}>
        <span class="menu-check">${item.isChecked ? html`<${Icon} name="check" size=${12} />` : ''}</span>${item.label}
      </button>`)}
    </span>`}
  </span>`;
}

/** @param {HTMLElement|null} root @param {number} by */
function moveFocus(root, by) {
  const entries = [...(root?.querySelectorAll('[role^=menuitem]') ?? [])];
  const next = entries.indexOf(/** @type {Element} */ (document.activeElement)) + by;
  /** @type {HTMLElement|undefined} */ (entries[(next + entries.length) % entries.length])?.focus();
}
