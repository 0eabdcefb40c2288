/** A key of the gallery: its value at a step, beside that of another run or of a step that was held fast. */
import { kindOf, piecesOf } from '../logic/media.js';
import { formatNumber } from '../logic/format.js';
import { html, useRef, useState } from '../ui.js';
import { Icon } from './icons.js';
import { MediaPiece, TextPiece } from './media_piece.js';
import { useNear } from './on_screen.js';
import { StepSlider, useSeries, useStepKeys, useSteps } from './step_slider.js';

/** @typedef {import('../types.js').MediaValue} MediaValue */
/** @typedef {import('../media_api.js').Where} Where */
/** @typedef {{where: Where, name: string, nValues: number}} Other a run that it is compared with */

/** @param {{where: Where, mediaKey: import('../types.js').MediaKey, other: Other|null, runName: string}} props */
export function MediaCard({ where, mediaKey, other, runName }) {
  const { key, kind, n_values: nValues } = mediaKey;
  const ref = useRef(/** @type {HTMLElement|null} */ (null));
  const isNear = useNear(ref);
  const steps = useSteps(useSeries(where, key, nValues), isNear);
  const activate = useStepKeys(steps);
  const [held, setHeld] = useState(/** @type {MediaValue|null} */ (null));
  const [hidden, setHidden] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const { value, error } = steps;
  const isWide = kind === 'images' || kind === 'html' || kind === 'text' || held !== null || other !== null;
  const column = (/** @type {MediaValue|undefined} */ shown, /** @type {Where} */ of, label = '') => html`<div class="media-column">
    ${label && html`<p class="media-column-head" title=${label}>${label}</p>`}<${ValueBody} where=${of} value=${shown} hidden=${hidden} title=${key} /></div>`;
  return html`<section class=${isWide ? 'media-card is-wide' : 'media-card'} ref=${ref} aria-label=${key} data-key=${key} onPointerDown=${activate} onFocusIn=${activate}>
    <header class="media-head"><h3 title=${key}>${key}</h3>
      <${Overlays} value=${value} hidden=${hidden} onChange=${setHidden} />
      <button class="icon-button" aria-pressed=${held !== null} title=${held ? 'Let go of the step that is held' : 'Hold this step beside the others'}
        aria-label=${`Hold a step of ${key}`} onClick=${() => setHeld(held ? null : value ?? null)}><${Icon} name="pin" size=${14} /></button></header>
    <div class="media-columns">
      ${held && column(held, where, `held: step ${formatNumber(held.step)}`)}
      ${error && !value ? html`<p class="trouble" role="alert"><${Icon} name="warn" size=${12} />${error.message}</p>`
        : column(value, where, held || other ? (other ? runName : `step ${value ? formatNumber(value.step) : ''}`) : '')}
      ${other && html`<${OtherColumn} key=${other.where.run} other=${other} mediaKey=${key} isNear=${isNear} hidden=${hidden} />`}
    </div>
    <footer><${StepSlider} steps=${steps} label=${key} /></footer>
  </section>`;
}

/** @param {{other: Other, mediaKey: string, isNear: boolean, hidden: ReadonlySet<string>}} props */
function OtherColumn({ other, mediaKey, isNear, hidden }) {
  const { value } = useSteps(useSeries(other.where, mediaKey, other.nValues), isNear && other.nValues > 0, { isFollower: true });
  const head = `${other.name}${value ? ` · step ${formatNumber(value.step)}` : ''}`;
  return html`<div class="media-column"><p class="media-column-head" title=${head}>${head}</p>
    ${other.nValues > 0 ? html`<${ValueBody} where=${other.where} value=${value} hidden=${hidden} title=${mediaKey} />` : html`<p class="muted pad">has no such key</p>`}</div>`;
}

/** @param {{where: Where, value: MediaValue|undefined, hidden: ReadonlySet<string>, title: string}} props */
function ValueBody({ where, value, hidden, title }) {
  if (!value) return html`<div class="media-wait" aria-busy="true"></div>`;
  const { value: logged } = value;
  const kind = kindOf(logged);
  if (kind === 'text') return html`<${TextPiece} text=${logged} />`;
  const pieces = piecesOf(logged);
  if (kind === '' || pieces.length === 0) return html`<pre class="text-piece">${kind === '' ? JSON.stringify(logged, null, 1)?.slice(0, 5000) : 'an empty list'}</pre>`;
  if (kind !== 'images') return html`<${MediaPiece} where=${where} piece=${pieces[0]} hidden=${hidden} title=${title} />`;
  return html`<div class="media-grid">${pieces.map((piece, index) => html`<${MediaPiece} key=${index} where=${where} piece=${piece} hidden=${hidden} title=${title} />`)}</div>`;
}

/** Which boxes and masks are shown. @param {{value: MediaValue|undefined, hidden: ReadonlySet<string>, onChange: (hidden: ReadonlySet<string>) => void}} props */
function Overlays({ value, hidden, onChange }) {
  const pieces = value ? piecesOf(value.value) : [];
  const names = new Set(pieces.flatMap((piece) => [...piece.boxes.map(({ name }) => `box:${name}`), ...piece.masks.map(({ name }) => `mask:${name}`)]));
  const toggle = (/** @type {string} */ name) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    onChange(next);
  };
  return html`${[...names].slice(0, 6).map((name) => html`<button class="overlay-chip" aria-pressed=${!hidden.has(name)} title=${`Show or hide the ${name.startsWith('box:') ? 'boxes' : 'mask'} ${name.slice(name.indexOf(':') + 1)}`}
    onClick=${() => toggle(name)}>${name.slice(name.indexOf(':') + 1)}</button>`)}`;
}
