/** Above media, tables and plots: which keys, which step, all together or each on its own. */
import { plural } from '../logic/format.js';
import { goToStep, isPlaying, isSynced, mediaStep, stopPlay, togglePlay, toggleSync } from '../state/media_steps.js';
import { mediaKeys, updateView } from '../state/view.js';
import { html, useEffect } from '../ui.js';
import { Icon } from './icons.js';

/** @param {{noun: string, nAll: number, nFound: number, children?: any}} props */
export function MediaToolbar({ noun, nAll, nFound, children }) {
  useEffect(() => stopPlay, []);
  const onFind = (/** @type {any} */ event) => updateView({ keys: event.currentTarget.value });
  const step = mediaStep.value;
  return html`<div class="toolbar media-toolbar" role="toolbar" aria-label="Media">
    ${nAll > 3 && html`<label class="search"><${Icon} name="search" size=${14} /><input type="search" placeholder="Find a key" aria-label="Find a key" value=${mediaKeys.value} onInput=${onFind} /></label>`}
    <span class="muted media-count">${nFound === nAll ? plural(nAll, noun) : `${nFound} of ${plural(nAll, noun)}`}</span>
    <span class="toolbar-space"></span>
    ${children}
    ${step !== '' && html`<button class="button" title="Back to the latest values" onClick=${() => goToStep(null)}><span>step ${step}</span><${Icon} name="close" size=${12} /></button>`}
    <button class="button toggle" aria-pressed=${isPlaying.value} title="Go through the steps" onClick=${togglePlay}><${Icon} name=${isPlaying.value ? 'stop' : 'play'} size=${12} /><span>Play</span></button>
    <button class="button toggle" aria-pressed=${isSynced.value} title="Move all to the same step" onClick=${toggleSync}><${Icon} name="link" size=${14} /><span>Same step</span></button>
  </div>`;
}
