/** Which value of a key is shown: by a slider of its own, and with all others where they go together. */
import { formatNumber } from '../logic/format.js';
import { MediaSeries } from '../state/media_series.js';
import { activate, addCard, goToStep, isSynced, mediaStep } from '../state/media_steps.js';
import { html, useEffect, useMemo, useRef, useState } from '../ui.js';
import { Icon } from './icons.js';

/** @typedef {import('../types.js').MediaValue} MediaValue */
/** @typedef {{place: number, nValues: number, value: MediaValue|undefined, error: Error|null, setPlace: (place: number) => void}} Steps */

/** @param {import('../media_api.js').Where} where @param {string} key @param {number} nValues */
export function useSeries({ project, run }, key, nValues) {
  const series = useMemo(() => new MediaSeries({ project, run }, key, nValues), [project, run, key]);
  useEffect(() => series.grow(nValues), [series, nValues]);
  return series;
}

/**
 * @param {MediaSeries} series
 * @param {boolean} isNear whether it is on screen, or nearly
 * @param {{isFollower?: boolean}} [options] isFollower: it has no slider of its own
 * @returns {Steps}
 */
export function useSteps(series, isNear, { isFollower = false } = {}) {
  const nValues = series.nValues.value;
  series.version.value;
  const [place, setOwn] = useState(nValues - 1);
  const [value, setValue] = useState(/** @type {MediaValue|undefined} */ (undefined));
  const isAtEnd = useRef(true);
  /** Where somebody moved it, until all others can be told which step that is. */
  const chosen = useRef(/** @type {number|null} */ (null));
  const step = mediaStep.value;
  const isTogether = isSynced.value || isFollower;

  useEffect(() => {
    if (!isNear) return undefined;
    let isStale = false;
    (async () => {
      const wanted = chosen.current ?? await wantedPlace(series, place, isTogether ? step : null, isAtEnd.current);
      const found = await series.at(wanted);
      if (isStale) return;
      // A card that is on its own from now on stays where it is.
      if (isTogether) isAtEnd.current = wanted === series.nValues.peek() - 1;
      setOwn(wanted);
      if (found) setValue(found);
      series.at(Math.min(wanted + 1, series.nValues.peek() - 1));
    })();
    return () => { isStale = true; };
  }, [series, isNear, place, step, isTogether, nValues]);

  const setPlace = (/** @type {number} */ next) => {
    const bounded = Math.max(0, Math.min(next, nValues - 1));
    const isLast = bounded === nValues - 1;
    isAtEnd.current = isLast;
    setOwn(bounded);
    if (!isTogether) return;
    chosen.current = bounded;
    series.at(bounded).then((found) => {
      if (chosen.current !== bounded) return;
      chosen.current = null;
      if (found) goToStep(isLast ? null : found.step);
    });
  };
  return { place: Math.max(0, Math.min(place, nValues - 1)), nValues, value, error: series.error.value, setPlace };
}

/** @param {MediaSeries} series @param {number} place @param {string|null} step null: on its own @param {boolean} isAtEnd */
async function wantedPlace(series, place, step, isAtEnd) {
  const last = series.nValues.peek() - 1;
  if (step === null) return isAtEnd ? last : Math.min(place, last);
  if (step === '') return last;
  // Of several values of one step the one that was chosen stays.
  return series.get(place)?.step === Number(step) ? place : series.placeOf(step);
}

/** The keys [ and ] move the card that was used last. @param {Steps} steps */
export function useStepKeys(steps) {
  const latest = useRef(steps);
  latest.current = steps;
  const card = useMemo(() => ({
    move: (/** @type {number} */ by) => {
      const { place, nValues, setPlace } = latest.current;
      if (place + by < 0 || place + by >= nValues) return false;
      setPlace(place + by);
      return true;
    },
  }), []);
  useEffect(() => addCard(card), [card]);
  return () => activate(card);
}

/** @param {{steps: Steps, label: string}} props */
export function StepSlider({ steps, label }) {
  const { place, nValues, value, setPlace } = steps;
  const shown = value ? `step ${formatNumber(value.step)}` : '…';
  if (nValues <= 1) return html`<div class="step-slider"><span class="step-now">${shown}</span></div>`;
  const onInput = (/** @type {any} */ event) => setPlace(Number(event.currentTarget.value));
  return html`<div class="step-slider">
    <button class="icon-button" aria-label="Step before" title="Step before ([)" disabled=${place <= 0} onClick=${() => setPlace(place - 1)}><${Icon} name="back" size=${12} /></button>
    <input type="range" min="0" max=${nValues - 1} value=${place} aria-label=${`Step of ${label}`} aria-valuetext=${shown} onInput=${onInput} />
    <button class="icon-button" aria-label="Step after" title="Step after (])" disabled=${place >= nValues - 1} onClick=${() => setPlace(place + 1)}><${Icon} name="chevron" size=${12} /></button>
    <span class="step-now">${shown}</span>
    <span class="step-count">${formatNumber(place + 1)} of ${formatNumber(nValues)}</span>
  </div>`;
}
