/** Small parts of the pages of artifacts and of the registry. */
import { modelUrl, versionUrl } from '../artifact_urls.js';
import { formatAge, formatTime } from '../logic/format.js';
import { stageOf } from '../logic/artifacts.js';
import { runUrl } from '../router.js';
import { html } from '../ui.js';
import './more_icons.js';
import { Icon, StateIcon } from './icons.js';

/** @typedef {import('../artifact_types.js').VersionRow} VersionRow */
/** @typedef {import('../artifact_types.js').RunLink} RunLink */

/** @param {{alias: string, onRemove?: (() => void)|null, title?: string, url?: string}} props url: of the version that has it */
export function AliasChip({ alias, onRemove = null, title, url = '' }) {
  if (url !== '') return html`<a class=${`alias is-${stageOf(alias)}`} href=${url} title=${`The version with the alias ${alias}`}><span class="alias-text">${alias}</span></a>`;
  return html`<span class=${`alias is-${stageOf(alias)}`} title=${title ?? alias}><span class="alias-text">${alias}</span>${onRemove && html`<button class="alias-remove"
    aria-label=${`Take the alias ${alias} off`} title="Take this alias off" onClick=${onRemove}><${Icon} name="close" size=${10} /></button>`}</span>`;
}

/** @param {{aliases: readonly string[], max?: number, urlOf?: (alias: string) => string}} props max: how many; the rest is counted */
export function AliasChips({ aliases, max = 4, urlOf = () => '' }) {
  if (aliases.length === 0) return null;
  const rest = aliases.slice(max);
  return html`<span class="aliases">${aliases.slice(0, max).map((alias) => html`<${AliasChip} key=${alias} alias=${alias} url=${urlOf(alias)} />`)}
    ${rest.length > 0 && html`<span class="muted" title=${rest.join(', ')}>+${rest.length}</span>`}</span>`;
}

/** @param {{type: string}} props */
export const TypeTag = ({ type }) => html`<span class="tag type-tag" title=${`Type: ${type}`}>${type}</span>`;

/** @param {{seconds: number}} props */
export function Ago({ seconds }) {
  const age = formatAge(seconds, Date.now() / 1000);
  return html`<span class="ago" title=${formatTime(seconds)}>${age === 'now' ? 'just now' : `${age} ago`}</span>`;
}

/** @param {{run: RunLink|null}} props */
export function RunName({ run }) {
  if (!run) return html`<span class="muted">—</span>`;
  if (run.state === '') return html`<span class="muted" title=${`Run ${run.id} of ${run.project} is not there any more`}>${run.id} (gone)</span>`;
  return html`<a class="run-link" href=${runUrl(run.project, run.id)} title=${`${run.project}/${run.id}`}><${StateIcon} state=${run.state} /><span>${run.name || run.id}</span></a>`;
}

/** @param {{version: VersionRow, isLong?: boolean}} props isLong: with the artifact's name */
export function VersionName({ version, isLong = true }) {
  const text = isLong ? `${version.name}:v${version.number}` : `v${version.number}`;
  if (version.is_deleted) return html`<span class="muted" title="This version was deleted"><s>${text}</s></span>`;
  return html`<a class="version-link" href=${versionUrl(version.project, version.name, `v${version.number}`)} title=${`${version.project}/${text}`}>${text}</a>`;
}

/** @param {{registrations: readonly {model: string, number: number}[]}} props */
export function Registrations({ registrations }) {
  return html`<span class="registrations">${registrations.map(({ model, number }) => html`<a key=${model} class="registration" href=${modelUrl(model)}
    title=${`v${number} of the registered model ${model}`}><${Icon} name="registry" size=${12} />${model} v${number}</a>`)}</span>`;
}

/** @param {{tags: readonly string[], max?: number}} props max: how many; the rest is counted */
export function TagList({ tags, max = 8 }) {
  if (tags.length === 0) return null;
  const rest = tags.slice(max);
  return html`<span class="tag-list">${tags.slice(0, max).map((tag) => html`<span key=${tag} class="tag" title=${tag}>${tag}</span>`)}
    ${rest.length > 0 && html`<span class="muted" title=${rest.join(', ')}>+${rest.length}</span>`}</span>`;
}

/** Tabs, of which the arrow keys go from one to the next. @param {{label: string, tabs: readonly (readonly [string, any])[], value: string, onChange: (key: string) => void}} props */
export function Tabs({ label, tabs, value, onChange }) {
  const move = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    const [key] = tabs[(tabs.findIndex(([name]) => name === value) + by + tabs.length) % tabs.length];
    onChange(key);
    document.getElementById(`tab-${key}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>${tabs.map(([key, text]) => html`<button key=${key} role="tab" id=${`tab-${key}`}
    aria-selected=${key === value} tabindex=${key === value ? 0 : -1} aria-controls="tab-body" onClick=${() => onChange(key)}>${text}</button>`)}</div>`;
}

/** A search box. @param {{id?: string, label: string, value: string, onInput: (text: string) => void, isSmall?: boolean}} props */
export function SearchBox({ id, label, value, onInput, isSmall = false }) {
  return html`<label class=${isSmall ? 'search is-small' : 'search'}><${Icon} name="search" size=${14} /><input id=${id} type="search" placeholder=${label} aria-label=${label} value=${value}
    onInput=${(/** @type {any} */ event) => onInput(event.currentTarget.value)} /></label>`;
}
