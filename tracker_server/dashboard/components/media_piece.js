/** One piece of media: an image with its boxes and masks, sound, a film, a page in a frame, text. */
import { htmlUrl, mediaUrl } from '../media_api.js';
import { html, useState } from '../ui.js';
import { openDialog } from './dialog.js';
import { Icon } from './icons.js';
import { MaskLayer, classColour } from './mask_layer.js';

/** @typedef {import('../logic/media.js').Media} Media */
/** @typedef {import('../media_api.js').Where} Where */

/** Images of so few pixels are shown as the squares that they are. */
const PIXELATED_PX = 128;
const MAX_TEXT_CHARS = 20_000;

/** @param {{where: Where, piece: Media, hidden: ReadonlySet<string>, isLarge?: boolean, title?: string}} props hidden: boxes and masks that are not shown */
export function MediaPiece({ where, piece, hidden, isLarge = false, title = '' }) {
  const { kind, caption } = piece;
  const label = caption || title;
  const body = kind === 'image' ? html`<${ImagePiece} where=${where} piece=${piece} hidden=${hidden} isLarge=${isLarge} label=${label} />`
    : kind === 'audio' ? html`<${Player} key=${piece.path} tag="audio" src=${mediaUrl(where, piece.path)} label=${label} />`
      : kind === 'video' ? html`<${Player} key=${piece.path} tag="video" src=${mediaUrl(where, piece.path)} label=${label} />`
        : kind === 'html' ? html`<${HtmlPiece} key=${piece.path} where=${where} path=${piece.path} label=${label} isLarge=${isLarge} />`
          : html`<p class="muted">A value of a kind that this page does not know</p>`;
  return html`<figure class=${`piece is-${kind}`}>${body}
    ${caption && html`<figcaption title=${caption}>${caption}</figcaption>`}
    ${isLarge && piece.facts && html`<p class="muted piece-facts">${piece.facts}</p>`}</figure>`;
}

/** @param {{text: string}} props */
export function TextPiece({ text }) {
  const shown = text.slice(0, MAX_TEXT_CHARS);
  return html`<pre class="text-piece" tabindex="0">${shown}${text.length > shown.length && html`<span class="muted"> … ${text.length - shown.length} more characters</span>`}</pre>`;
}

/** @param {{where: Where, piece: Media, hidden: ReadonlySet<string>, isLarge: boolean, label: string}} props */
function ImagePiece({ where, piece, hidden, isLarge, label }) {
  const [failed, setFailed] = useState('');
  const [lit, setLit] = useState(-1);
  const { path, width, height } = piece;
  const ratio = width > 0 && height > 0 ? `${width} / ${height}` : undefined;
  const isSmall = width > 0 && Math.max(width, height) <= PIXELATED_PX;
  const open = () => openDialog({
    title: label || path.split('/').at(-1) || 'Image', isWide: true,
    body: () => html`<${MediaPiece} where=${where} piece=${piece} hidden=${hidden} isLarge />`,
  });
  if (failed === path) return html`<${NotHere} onRetry=${() => setFailed('')} />`;
  // The overlays lie over the image itself, whatever its frame's shape is.
  const frame = html`<span class=${`image-frame${isSmall ? ' is-pixelated' : ''}`} style=${ratio ? `aspect-ratio:${ratio};--ratio:${width / height}` : undefined}>
    <img src=${mediaUrl(where, path)} alt=${label || 'Logged image'} loading="lazy" decoding="async" draggable=${false} onError=${() => setFailed(path)} />
    ${piece.masks.filter(({ name }) => !hidden.has(`mask:${name}`)).map((mask) => html`<${MaskLayer} key=${mask.name} src=${mediaUrl(where, mask.path)} />`)}
    ${piece.boxes.filter(({ name }) => !hidden.has(`box:${name}`)).map((set) => html`<${Boxes} key=${set.name} set=${set} isNamed=${isLarge || width > 120} lit=${lit} onLight=${isLarge ? setLit : undefined} />`)}
  </span>`;
  return isLarge ? frame : html`<button class="image-button" title=${label ? `${label}: show large` : 'Show large'} onClick=${open}>${frame}</button>`;
}

/** @param {{set: import('../logic/media.js').BoxSet, isNamed: boolean, lit: number, onLight?: (index: number) => void}} props */
function Boxes({ set, isNamed, lit, onLight }) {
  return html`<span class="boxes">${set.boxes.map((box, index) => html`<span class=${lit === index ? 'box is-lit' : 'box'}
    onMouseEnter=${onLight && (() => onLight(index))} onMouseLeave=${onLight && (() => onLight(-1))}
    style=${`left:${percent(box.minX)};top:${percent(box.minY)};width:${percent(box.maxX - box.minX)};height:${percent(box.maxY - box.minY)};--class:${classColour(box.classId)}`}
    title=${box.label}>${isNamed && box.label && html`<span class="box-label">${box.label}</span>`}</span>`)}</span>`;
}

/** @param {number} part */
const percent = (part) => `${(Math.max(-1, Math.min(part, 2)) * 100).toFixed(3)}%`;

/** @param {{tag: 'audio'|'video', src: string, label: string}} props */
function Player({ tag, src, label }) {
  const [isFailed, setFailed] = useState(false);
  if (isFailed) return html`<${NotHere} onRetry=${() => setFailed(false)} />`;
  return html`<${tag} src=${src} controls preload="metadata" aria-label=${label || 'Logged sound'} onError=${() => setFailed(true)}></${tag}>`;
}

/**
 * A page in a frame with an origin of its own: it reaches nothing of ours, nor any other address. Its scripts run only
 * where somebody says so.
 * @param {{where: Where, path: string, label: string, isLarge: boolean}} props
 */
function HtmlPiece({ where, path, label, isLarge }) {
  const [withScripts, setScripts] = useState(false);
  const open = () => openDialog({
    title: label || 'HTML', isWide: true, body: () => html`<${HtmlPiece} where=${where} path=${path} label=${label} isLarge />`,
  });
  return html`<div class="html-piece">
    <iframe key=${withScripts} class=${isLarge ? 'html-frame is-large' : 'html-frame'} sandbox=${withScripts ? 'allow-scripts' : ''} loading="lazy" referrerpolicy="no-referrer"
      src=${htmlUrl(where, path, withScripts)} title=${label || 'Logged HTML'}></iframe>
    <p class="html-tools"><button class="text-button" onClick=${() => setScripts(!withScripts)}>${withScripts ? 'Stop scripts' : 'Run its scripts'}</button>
      ${!isLarge && html`<button class="text-button" onClick=${open}>Show large</button>`}
      <span class="muted">${withScripts ? 'in a sandbox: no access to this page or the network' : 'scripts are off'}</span></p></div>`;
}

/** @param {{onRetry: () => void}} props */
export function NotHere({ onRetry }) {
  return html`<div class="not-here"><${Icon} name="clock" size=${16} /><span>not here yet</span><button class="text-button" onClick=${onRetry}>Look again</button></div>`;
}
