/** In what a version differs from another one of its artifact. */
import { byUid, fetchTextDiff, fetchVersionDiff, versionFileUrl } from '../artifacts_api.js';
import { VersionName } from '../components/artifact_bits.js';
import { DiffView } from '../components/diff_view.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { fromWire } from '../logic/columns.js';
import { changeKind } from '../logic/artifacts.js';
import { formatNumber, formatValue, plural } from '../logic/format.js';
import { formatBytes } from '../logic/units.js';
import { useLoaded } from '../state/loaded.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useState } from '../ui.js';

/** @typedef {import('../artifact_types.js').FileChange} FileChange */
/** @typedef {import('../artifact_types.js').VersionDiff} VersionDiff */
/** @typedef {import('../artifact_types.js').VersionRow} VersionRow */

const ROWS_AT_A_TIME = 500;
const MAX_ROWS = 1000;
const PICTURE = /\.(png|jpe?g|gif|webp)$/i;
const SIGNS = { changed: '~', moved: '→', added: '+', removed: '−' };

/** @param {{version: VersionRow, others: VersionRow[]}} props */
export function CompareTab({ version, others }) {
  const choices = others.filter(({ uid }) => uid !== version.uid);
  const asked = queryValue('with');
  const before = choices.find(({ number }) => number < version.number) ?? choices[0];
  const old = choices.find(({ number, aliases }) => `v${number}` === asked || aliases.includes(asked)) ?? before;
  if (others.length === 0) return html`<${Skeleton} rows=${8} />`;
  if (!old) return html`<${EmptyText} title="Nothing to compare with"><p>${version.name} has only this version.</p><//>`;
  return html`<div class="compare-page"><div class="section-head"><label class="field">What changed from
      <select class="select is-wide" value=${String(old.number)} onChange=${(/** @type {any} */ event) => setQuery({ with: `v${event.currentTarget.value}` })}>
        ${choices.map((other) => html`<option key=${other.uid} value=${String(other.number)} selected=${other.uid === old.uid}>v${other.number}${other.aliases.length > 0 ? ` · ${other.aliases.slice(0, 3).join(', ')}` : ''}</option>`)}</select></label>
      <span class="muted">to</span><strong>v${version.number}</strong></div>
    <${Difference} key=${old.uid} version=${version} old=${old} /></div>`;
}

/** @param {{version: VersionRow, old: VersionRow}} props */
function Difference({ version, old }) {
  const [size, setSize] = useState(ROWS_AT_A_TIME);
  const named = byUid(version);
  const { value, error } = useLoaded((signal) => fetchVersionDiff(named, old.uid, { after: 0, size }, signal), [version.uid, old.uid, size], { isLive: false, keepsOld: true });
  if (error && !value) return html`<${ErrorNote} error=${error} />`;
  if (!value) return html`<${Skeleton} rows=${6} />`;
  const isSame = value.changes.length === 0 && value.metadata.length === 0;
  return html`<${Sum} diff=${value} />
    ${isSame && html`<p class="good"><${Icon} name="check" size=${14} />The files and the metadata are the same.</p>`}
    ${value.changes.length > 0 && html`<section><h2>Files</h2><div class="scroll-x"><table class="list is-small change-table"><thead><tr><th scope="col"><span class="for-readers">Change</span></th><th scope="col">File</th>
        <th scope="col" class="is-numeric">v${value.old.number}</th><th scope="col" class="is-numeric">v${value.new.number}</th><th scope="col" class="is-numeric">Difference</th></tr></thead>
      <tbody>${value.changes.map((change) => html`<${ChangeLine} key=${`${change.kind} ${(change.new ?? change.old)?.path}`} change=${change} version=${version} old=${old} />`)}</tbody></table></div>
      ${value.next_place !== null && (size < MAX_ROWS ? html`<button class="more-lines" onClick=${() => setSize(MAX_ROWS)}>Show more</button>`
    : html`<p class="muted">The first ${formatNumber(MAX_ROWS)} changes are shown.</p>`)}</section>`}
    ${value.metadata.length > 0 && html`<section><h2>Metadata</h2><${MetadataChanges} diff=${value} /></section>`}`;
}

/** @param {{diff: VersionDiff}} props */
function Sum({ diff }) {
  const counts = /** @type {[string, number][]} */ ([['changed', diff.n_changed], ['moved', diff.n_moved], ['added', diff.n_added], ['removed', diff.n_removed]]);
  const size = diff.new.size_bytes;
  const share = size > 0 ? Math.min(1, diff.reused_bytes / size) : 0;
  const percent = share === 1 ? '100' : share > 0.99 ? '>99' : String(Math.round(share * 100));
  return html`<div class="diff-sum"><span class="change-counts">${counts.filter(([, n]) => n > 0).map(([kind, n]) => html`<span key=${kind} class=${`change is-${kind}`}>${formatNumber(n)} ${kind}</span>`)}
      <span class="muted">${plural(diff.n_same, 'file')} the same</span></span>
    ${size > 0 && html`<span class="reuse" title=${`${formatBytes(diff.reused_bytes)} of ${formatBytes(size)}`}><span class="bar-track"><span class="bar-fill" style=${`width:${share * 100}%`}></span></span>
      ${percent}% of v${diff.new.number} was in <${VersionName} version=${diff.old} isLong=${false} /> already</span>`}</div>`;
}

/** @param {{change: FileChange, version: VersionRow, old: VersionRow}} props */
function ChangeLine({ change, version, old }) {
  const [isOpen, setOpen] = useState(false);
  const { kind } = change;
  const path = (change.new ?? change.old)?.path ?? '';
  const canOpen = kind === 'changed' && !change.old?.reference && !change.new?.reference;
  const sizes = [change.old, change.new].map((file) => (file && file.size_bytes >= 0 ? file.size_bytes : null));
  const name = html`<span class="change-path" title=${path}>${kind === 'moved' ? html`<span class="muted">${change.old?.path} → </span>${path}` : path}</span>`;
  return html`<tr class=${`change is-${kind}`}><td><span class="change-sign" title=${kind}>${SIGNS[kind]}</span><span class="for-readers">${kind}</span></td>
      <th scope="row">${canOpen ? html`<button class=${isOpen ? 'fold is-open' : 'fold'} aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}><${Icon} name="chevron" size=${12} />${name}</button>` : name}</th>
      ${sizes.map((size) => html`<td class="is-numeric">${size === null ? html`<span class="muted">—</span>` : formatBytes(size)}</td>`)}
      <td class="is-numeric">${growth(sizes)}</td></tr>
    ${isOpen && html`<tr class="change-text"><td colspan="5"><${PICTURE.test(path) ? PictureChange : TextChange} change=${change} version=${version} old=${old} /></td></tr>`}`;
}

/** @param {(number|null)[]} sizes before and after */
function growth([before, now]) {
  if (before === null || now === null || before === now) return '';
  return `${now > before ? '+' : '−'}${formatBytes(Math.abs(now - before))}`;
}

/** Both pictures, side by side. @param {{change: FileChange, version: VersionRow, old: VersionRow}} props */
function PictureChange({ change, version, old }) {
  const sides = /** @type {const} */ ([[old, change.old], [version, change.new]]);
  return html`<div class="picture-pair">${sides.map(([side, file]) => file && html`<figure key=${side.uid}><div class="picture-view">
    <img src=${versionFileUrl(byUid(side), file.path, true)} alt=${`${file.path} in v${side.number}`} loading="lazy" /></div><figcaption>v${side.number}</figcaption></figure>`)}</div>`;
}

/** @param {{change: FileChange, version: VersionRow, old: VersionRow}} props */
function TextChange({ change, version, old }) {
  const [path, oldPath] = [change.new?.path ?? '', change.old?.path ?? ''];
  const { value, error } = useLoaded(() => fetchTextDiff(byUid(version), old.uid, path, oldPath), [version.uid, old.uid, path], { isLive: false });
  if (error) return html`<p class="muted">${error.message}</p>`;
  if (!value) return html`<${Skeleton} rows=${3} />`;
  return value.note ? html`<p class="muted">${value.note}</p>` : html`<${DiffView} text=${value.text} />`;
}

/** @param {{diff: VersionDiff}} props */
function MetadataChanges({ diff }) {
  const side = (/** @type {unknown} */ value, /** @type {boolean} */ isThere) => (isThere ? formatValue(fromWire(value)) : html`<span class="muted">—</span>`);
  return html`<div class="scroll-x"><table class="list is-small change-table"><thead><tr><th scope="col"><span class="for-readers">Change</span></th><th scope="col">Key</th><th scope="col">v${diff.old.number}</th><th scope="col">v${diff.new.number}</th></tr></thead>
    <tbody>${diff.metadata.map((change) => html`<tr key=${change.key} class=${`change is-${changeKind(change)}`}><td><span class="change-sign" title=${changeKind(change)}>${SIGNS[changeKind(change)]}</span><span class="for-readers">${changeKind(change)}</span></td>
      <th scope="row">${change.key}</th><td class="change-value">${side(change.old, change.is_in_old)}</td><td class="change-value">${side(change.new, change.is_in_new)}</td></tr>`)}</tbody></table></div>`;
}
