/** The files of a version, folder by folder, and what one looks like. Nothing of a file is run: text and pictures are shown. */
import { byUid, fetchFiles, fetchPreview, versionFileUrl } from '../artifacts_api.js';
import { SearchBox } from '../components/artifact_bits.js';
import { CodeView } from '../components/code_view.js';
import { CopyButton } from '../components/copy_button.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { shapeText } from '../logic/artifacts.js';
import { formatNumber, plural } from '../logic/format.js';
import { baseName } from '../logic/run_again.js';
import { formatBytes } from '../logic/units.js';
import { useLoaded } from '../state/loaded.js';
import { queryValue, setQuery } from '../state/page_query.js';
import { html, useState } from '../ui.js';

/** @typedef {import('../artifact_types.js').FileRow} FileRow */
/** @typedef {import('../artifact_types.js').FileList} FileList */
/** @typedef {import('../artifact_types.js').Preview} Preview */
/** @typedef {import('../artifact_types.js').VersionRow} VersionRow */

const ROWS_AT_A_TIME = 200;
const FIXED = { isLive: false };
const PICTURE = /\.(png|jpe?g|gif|webp|bmp|svg)$/i;

/** @param {{version: VersionRow}} props */
export function FilesTab({ version }) {
  const [folder, text, shown] = [queryValue('folder'), queryValue('q'), queryValue('file')];
  const [limit, setLimit] = useState(ROWS_AT_A_TIME);
  const named = byUid(version);
  const list = useLoaded((signal) => fetchUpTo(named, folder, text, limit, signal), [version.uid, folder, text, limit], { ...FIXED, keepsOld: true });
  if (version.n_files === 0) return html`<${EmptyText} title="This version has no files"><p class="muted">Its metadata is all that it holds.</p><//>`;
  if (list.error && !list.value) return html`<${ErrorNote} error=${list.error} />`;
  if (!list.value) return html`<${Skeleton} rows=${8} />`;
  const open = (/** @type {FileRow} */ file) => setQuery({ file: shown === file.path ? '' : file.path });
  const found = list.value.files.find((file) => file.path === shown) ?? null;
  return html`<div class=${shown === '' ? 'files-page' : 'files-page has-preview'}><h2 class="for-readers">Files</h2><div class="files-list">
    <div class="section-head"><${FolderCrumbs} folder=${folder} name=${version.name} isSearch=${text !== ''} /><span class="toolbar-space"></span>
      <${SearchBox} isSmall label="Find a file" value=${text} onInput=${(/** @type {string} */ q) => { setLimit(ROWS_AT_A_TIME); setQuery({ q }); }} /></div>
    <div class="scroll-x"><table class="list is-small file-table"><thead><tr><th scope="col">Name</th><th scope="col" class="is-numeric">Size</th><th scope="col"><span class="for-readers">Download</span></th></tr></thead><tbody>
      ${list.value.folders.map((one) => html`<tr key=${one.path}><th scope="row"><button class="file-open" onClick=${() => setQuery({ folder: one.path, file: '' })}>
        <${Icon} name="folder" size=${14} /><span>${baseName(one.path)}/</span></button></th><td class="is-numeric" title=${plural(one.n_files, 'file')}>${formatBytes(one.size_bytes)}</td>
        <td class="muted is-numeric">${plural(one.n_files, 'file')}</td></tr>`)}
      ${list.value.files.map((file) => html`<${FileLine} key=${file.path} named=${named} file=${file} isShown=${file.path === shown} isLong=${text !== ''} onOpen=${() => open(file)} />`)}
    </tbody></table></div>
    ${list.value.folders.length + list.value.files.length === 0 && html`<p class="muted pad">${text === '' ? 'This folder is empty.' : `No file has “${text}” in its path.`}</p>`}
    ${list.value.next_place !== null && html`<button class="more-lines" onClick=${() => setLimit(limit * 2)}>Show more of ${plural(list.value.n_files, 'file')}</button>`}
  </div>
  ${shown !== '' && html`<${FilePreview} key=${shown} version=${version} path=${shown} file=${found} />`}</div>`;
}

/** @param {import('../artifacts_api.js').VersionName} named @param {string} folder @param {string} text @param {number} limit @param {AbortSignal} signal @returns {Promise<FileList>} */
async function fetchUpTo(named, folder, text, limit, signal) {
  const size = Math.min(1000, limit);
  const list = await fetchFiles(named, { folder, text, after: 0, size }, signal);
  while (list.next_place !== null && list.files.length < limit) {
    const more = await fetchFiles(named, { folder, text, after: list.next_place, size }, signal);
    list.files.push(...more.files);
    list.next_place = more.next_place;
  }
  return list;
}

/** @param {{folder: string, name: string, isSearch: boolean}} props */
function FolderCrumbs({ folder, name, isSearch }) {
  const parts = folder === '' ? [] : folder.split('/');
  if (isSearch) return html`<span class="muted">in all folders</span>`;
  const go = (/** @type {string} */ path) => setQuery({ folder: path, file: '' });
  return html`<span class="folder-crumbs"><button class="text-button" disabled=${parts.length === 0} onClick=${() => go('')}>${name}</button>
    ${parts.map((part, index) => html`<span class="muted">/</span><button class="text-button" disabled=${index === parts.length - 1} onClick=${() => go(parts.slice(0, index + 1).join('/'))}>${part}</button>`)}</span>`;
}

/** @param {{named: import('../artifacts_api.js').VersionName, file: FileRow, isShown: boolean, isLong: boolean, onOpen: () => void}} props */
function FileLine({ named, file, isShown, isLong, onOpen }) {
  const icon = file.reference ? 'link' : PICTURE.test(file.path) ? 'image' : 'file';
  return html`<tr class=${isShown ? 'is-chosen' : ''}><th scope="row"><button class="file-open" aria-expanded=${isShown} title=${file.path} onClick=${onOpen}>
      <${Icon} name=${icon} size=${14} /><span>${isLong ? file.path : baseName(file.path)}</span></button></th>
    <td class="is-numeric">${file.size_bytes < 0 ? html`<span class="muted">not known</span>` : formatBytes(file.size_bytes)}</td>
    <td class="is-numeric">${file.reference ? html`<span class="tag">reference</span>`
    : html`<a class="icon-button" href=${versionFileUrl(named, file.path)} download=${baseName(file.path)} title="Download" aria-label=${`Download ${file.path}`}><${Icon} name="download" size=${14} /></a>`}</td></tr>`;
}

/** @param {{version: VersionRow, path: string, file: FileRow|null}} props */
function FilePreview({ version, path, file }) {
  const named = byUid(version);
  const { value, error } = useLoaded((signal) => fetchPreview(named, path, signal), [version.uid, path], FIXED);
  return html`<section class="file-view" aria-label=${path}>
    <header class="file-head"><h3 title=${path}>${path}</h3>
      ${value?.kind === 'text' && html`<${CopyButton} className="button" label="Copy the text" caption="Copy" text=${() => value.text} />`}
      ${!file?.reference && html`<a class="button" href=${versionFileUrl(named, path)} download=${baseName(path)}><${Icon} name="download" size=${14} /><span>Download</span>
        ${file && html`<span class="muted">${formatBytes(file.size_bytes)}</span>`}</a>`}
      <button class="icon-button" title="Close" aria-label="Close the preview" onClick=${() => setQuery({ file: '' })}><${Icon} name="close" /></button></header>
    ${error ? html`<${ErrorNote} error=${error} what=${`file ${path}`} />` : value ? html`<${PreviewBody} preview=${value} named=${named} path=${path} />` : html`<${Skeleton} rows=${6} />`}
    ${file && html`<${FileFacts} file=${file} />`}
  </section>`;
}

/** @param {{preview: Preview, named: import('../artifacts_api.js').VersionName, path: string}} props */
function PreviewBody({ preview, named, path }) {
  if (preview.kind === 'image') return html`<div class="picture-view"><img src=${versionFileUrl(named, path, true)} alt=${`Preview of ${path}`} loading="lazy" /></div>`;
  if (preview.kind === 'text') {
    return html`<${CodeView} path=${path} text=${preview.text} />${preview.is_cut && html`<p class="muted pad">This is its beginning: download it for the rest.</p>`}`;
  }
  if (preview.kind === 'tensors') return html`<${Tensors} preview=${preview} />`;
  return html`<p class="muted pad">${preview.note}</p>`;
}

/** @param {{preview: Preview}} props */
function Tensors({ preview }) {
  const about = Object.entries(preview.header);
  return html`<div class="pad tensors"><p>${plural(preview.n_tensors, 'tensor')}, ${formatNumber(preview.n_parameters)} parameters</p>
    ${about.length > 0 && html`<table class="kv-table"><tbody>${about.map(([key, value]) => html`<tr key=${key}><th scope="row">${key}</th><td>${value}</td></tr>`)}</tbody></table>`}
    <div class="scroll-x"><table class="list is-small"><thead><tr><th scope="col">Tensor</th><th scope="col">Type</th><th scope="col" class="is-numeric">Shape</th></tr></thead>
      <tbody>${preview.tensors.map((tensor) => html`<tr key=${tensor.name}><th scope="row" class="mono">${tensor.name}</th><td>${tensor.dtype}</td><td class="is-numeric">${shapeText(tensor)}</td></tr>`)}</tbody></table></div>
    ${preview.is_cut && html`<p class="muted">and ${formatNumber(preview.n_tensors - preview.tensors.length)} more</p>`}</div>`;
}

/** @param {{file: FileRow}} props */
function FileFacts({ file }) {
  const rows = [['Address', file.reference], ['Checksum', file.checksum], ['BLAKE3', file.digest]].filter(([, value]) => value !== '');
  return html`<table class="kv-table file-facts"><tbody>${rows.map(([label, value]) => html`<tr key=${label}><th scope="row">${label}</th><td>${value}</td></tr>`)}</tbody></table>`;
}
