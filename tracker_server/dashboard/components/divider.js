/** The bar between run list and charts: dragged by the pointer, or moved by the arrow keys. */
import { html } from '../ui.js';

const KEY_STEP_PX = 16;

/** @param {{width: number, usual: number, onResize: (px: number) => void}} props */
export function Divider({ width, usual, onResize }) {
  const onPointerDown = (/** @type {PointerEvent} */ event) => {
    const bar = /** @type {HTMLElement} */ (event.currentTarget);
    const start = event.clientX - width;
    bar.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ moved) => onResize(moved.clientX - start);
    bar.addEventListener('pointermove', move);
    bar.addEventListener('pointerup', () => bar.removeEventListener('pointermove', move), { once: true });
    event.preventDefault();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    event.preventDefault();
    onResize(width + (event.key === 'ArrowRight' ? KEY_STEP_PX : -KEY_STEP_PX));
  };
  return html`<div class="divider" role="separator" aria-orientation="vertical" aria-label="Width of the run list" aria-valuenow=${width}
    tabindex="0" onPointerDown=${onPointerDown} onKeyDown=${onKeyDown} onDblClick=${() => onResize(usual)}></div>`;
}
