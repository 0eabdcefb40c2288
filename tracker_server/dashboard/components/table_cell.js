/** A cell of a logged table. */
import { formatNumber } from '../logic/format.js';
import { kindOf, mediaOf, piecesOf } from '../logic/media.js';
import { html } from '../ui.js';
import { MediaPiece } from './media_piece.js';

const NOTHING = /** @type {ReadonlySet<string>} */ (new Set());

/** @param {{where: import('../media_api.js').Where, value: any, kind: string, column: string, isLarge?: boolean}} props */
export function TableCell({ where, value, kind, column, isLarge = false }) {
  if (value === null || value === undefined) return html`<span class="cell-none">–</span>`;
  if (typeof value === 'object' && typeof value._cut === 'string') return html`<span class="cell-text" title=${value._cut}>${value._cut}…</span>`;
  if (kind === 'media' && typeof value === 'object') return html`<${MediaCell} where=${where} value=${value} column=${column} isLarge=${isLarge} />`;
  if (typeof value === 'boolean') return html`<span class=${`cell-flag is-${value}`}>${value ? 'true' : 'false'}</span>`;
  if (typeof value === 'number') return html`<span title=${String(value)}>${formatNumber(value, 6)}</span>`;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return html`<span class="cell-text" title=${isLarge ? undefined : text}>${text}</span>`;
}

/** @param {{where: import('../media_api.js').Where, value: any, column: string, isLarge: boolean}} props */
function MediaCell({ where, value, column, isLarge }) {
  const kind = kindOf(value);
  const pieces = piecesOf(value).slice(0, isLarge ? 100 : 3);
  if (kind === 'images' || kind === 'image' || isLarge) {
    return html`<span class="cell-media">${pieces.map((piece, index) => html`<${MediaPiece} key=${index} where=${where} piece=${piece} hidden=${NOTHING} title=${column} />`)}</span>`;
  }
  // A row is too low for a player or a frame: the row's own view has them.
  return html`<span class="cell-text">${[mediaOf(value).caption || kind, mediaOf(value).facts].filter(Boolean).join(' · ')}</span>`;
}
