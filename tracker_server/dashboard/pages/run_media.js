/** The media tab: images, sound, films, pages and text that the run logged, step by step. */
import { fetchRunPage } from '../api.js';
import { EmptyText } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { MediaCard } from '../components/media_card.js';
import { MediaToolbar } from '../components/media_toolbar.js';
import { keysOf } from '../logic/media.js';
import { fetchMediaKeys } from '../media_api.js';
import { moveStep } from '../state/media_steps.js';
import { mediaAgainst, mediaKeys, updateView } from '../state/view.js';
import { html, useEffect, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */

const SHOWN_AT_FIRST = 60;
const MAX_CHOICES = 50;

/** @param {{run: RunDetail}} props */
export function MediaTab({ run }) {
  const [nShown, setShown] = useState(SHOWN_AT_FIRST);
  const all = keysOf(run.media ?? [], 'media');
  const found = keysOf(run.media ?? [], 'media', mediaKeys.value);
  const other = useOther(run);
  useEffect(() => bindKeys({ '[': () => moveStep(-1), ']': () => moveStep(1) }), []);
  if (all.length === 0) return html`<${NoMedia} run=${run} />`;
  const where = { project: run.project, run: run.id };
  return html`<${MediaToolbar} noun="key" nAll=${all.length} nFound=${found.length}><${Against} run=${run} /><//>
    <div class="media-wall">${found.slice(0, nShown).map((mediaKey) => html`<${MediaCard} key=${mediaKey.key} where=${where} mediaKey=${mediaKey} runName=${run.name}
      other=${other && { where: { project: run.project, run: other.id }, name: other.name, nValues: other.counts.get(mediaKey.key) ?? 0 }} />`)}</div>
    ${found.length > nShown && html`<p class="pad"><button class="button" onClick=${() => setShown(nShown + SHOWN_AT_FIRST)}>Show more keys</button></p>`}
    ${found.length === 0 && html`<p class="muted pad">No key holds “${mediaKeys.value}”.</p>`}`;
}

/** The run that it is compared with. @param {RunDetail} run */
function useOther(run) {
  const id = mediaAgainst.value;
  const [other, setOther] = useState(/** @type {{id: string, name: string, counts: Map<string, number>}|null} */ (null));
  useEffect(() => {
    if (id === '' || id === run.id) return setOther(null);
    let isStale = false;
    fetchMediaKeys({ project: run.project, run: id }).then((keys) => {
      if (!isStale) setOther({ id, name: nameOf(id), counts: new Map(keys.map((key) => [key.key, key.n_values])) });
    }, () => { if (!isStale) setOther(null); });
    return () => { isStale = true; };
  }, [id, run.id, run.project]);
  return other?.id === id ? other : null;
}

/** @type {Map<string, string>} names of runs that can be chosen */
const names = new Map();
const nameOf = (/** @type {string} */ id) => names.get(id) ?? id;

/** @param {{run: RunDetail}} props */
function Against({ run }) {
  const [runs, setRuns] = useState(/** @type {{id: string, name: string}[]} */ ([]));
  const load = async () => {
    if (runs.length > 0) return;
    const page = await fetchRunPage(run.project, { limit: MAX_CHOICES }).catch(() => null);
    for (const { id, name } of page?.runs ?? []) names.set(id, name);
    setRuns(page?.runs.filter(({ id }) => id !== run.id) ?? []);
  };
  useEffect(() => { load(); }, []);
  const chosen = mediaAgainst.value;
  const known = chosen === '' || runs.some(({ id }) => id === chosen) ? runs : [{ id: chosen, name: nameOf(chosen) }, ...runs];
  return html`<label class="field"><${Icon} name="columns" size=${14} /><select class="select" aria-label="Compare with another run" value=${chosen}
    onChange=${(/** @type {any} */ event) => updateView({ against: event.currentTarget.value })}>
    <option value="">Compare with…</option>${known.map(({ id, name }) => html`<option value=${id} selected=${id === chosen}>${name}</option>`)}</select></label>`;
}

/** @param {{run: RunDetail}} props */
function NoMedia({ run }) {
  return html`<${EmptyText} title=${run.state === 'running' ? 'No media yet' : 'No media were logged'}>
    <p>Images, sound, films, HTML and text show up here, step by step:</p>
    <div class="snippet"><pre><code>run.log({"val/example": tracker.Image(pixels, caption="a cat")})</code></pre></div><//>`;
}
