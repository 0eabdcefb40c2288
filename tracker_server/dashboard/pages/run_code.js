/** The code tab: the command, the commit, what was not committed, the kept source, the packages. */
import { fileUrl } from '../run_api.js';
import { CodeView } from '../components/code_view.js';
import { CopyButton } from '../components/copy_button.js';
import { DiffView } from '../components/diff_view.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { Segments } from '../components/segments.js';
import { formatNumber, plural } from '../logic/format.js';
import { commitPage, repositoryPage } from '../logic/git_links.js';
import { baseName, commandText, requirementsText, runAgainText, shownSource, sortedPackages } from '../logic/run_again.js';
import { formatBytes } from '../logic/units.js';
import { useFileText } from '../state/file_text.js';
import { codePart, shownFile, updateView } from '../state/view.js';
import { html, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */
/** @typedef {import('../types.js').KeptFile} KeptFile */
/** @typedef {import('../types.js').Environment} Environment */

const SHORT_COMMIT = 10;
/** More than this is downloaded, not shown. */
const MAX_SHOWN_BYTES = 12 << 20;

/** @param {{run: RunDetail}} props */
export function CodeTab({ run }) {
  const environment = run.environment ?? {};
  const files = run.files ?? [];
  const diffs = files.filter((file) => file.kind === 'diff');
  const code = files.filter((file) => file.kind === 'code');
  const packages = sortedPackages(environment.packages ?? {});
  if (!environment.command && !environment.git && files.length === 0 && packages.length === 0) return html`<${NothingCaptured} run=${run} />`;
  const choices = /** @type {[string, any][]} */ ([
    diffs.length > 0 && ['changes', 'Uncommitted changes'],
    code.length > 0 && ['files', html`Files <span class="count">${code.length}</span>`],
    packages.length > 0 && ['packages', html`Packages <span class="count">${formatNumber(packages.length)}</span>`],
  ].filter(Boolean));
  const part = choices.some(([key]) => key === codePart.value) ? codePart.value : choices[0]?.[0];
  return html`<div class="code-page">
    <div class="code-facts"><${Command} environment=${environment} diff=${diffs[0] ?? null} /><${Git} git=${environment.git} hasDiff=${diffs.length > 0} /></div>
    ${choices.length > 0 && html`<${Segments} label="Parts of the code" value=${part} choices=${choices} onChange=${(/** @type {string} */ key) => updateView({ codePart: key })} />`}
    ${part === 'changes' && diffs.map((file) => html`<${Changes} key=${file.path} run=${run} file=${file} />`)}
    ${part === 'files' && html`<${Files} run=${run} files=${code} program=${environment.program ?? ''} />`}
    ${part === 'packages' && html`<${Packages} packages=${packages} all=${environment.packages ?? {}} />`}
  </div>`;
}

/** @param {{environment: Environment, diff: KeptFile|null}} props */
function Command({ environment, diff }) {
  const command = commandText(environment);
  const again = runAgainText(environment, diff);
  return html`<section><h2>Command</h2>
    ${command ? html`<${Snippet} text=${command} label="Copy the command" />` : html`<p class="muted">Not known.</p>`}
    ${environment.cwd && html`<p class="muted fact-line">in <span class="mono">${environment.cwd}</span></p>`}
    ${again && again !== command && html`<details><summary>Run again</summary><${Snippet} text=${again} label="Copy these lines" /></details>`}
  </section>`;
}

/** @param {{text: string, label: string}} props */
function Snippet({ text, label }) {
  return html`<div class="snippet is-wrapped"><pre tabindex="0"><code>${text}</code></pre><${CopyButton} className="icon-button" label=${label} text=${() => text} /></div>`;
}

/** @param {{git: Environment['git'], hasDiff: boolean}} props */
function Git({ git, hasDiff }) {
  if (!git?.commit) return html`<section><h2>Git</h2><p class="muted">The script was not in a git repository, or its commit could not be read.</p></section>`;
  const { commit, branch, remote = '', message, is_dirty: isDirty, n_untracked: nUntracked = 0 } = git;
  const page = repositoryPage(remote);
  const rows = [
    ['Commit', html`<span class="commit"><${OutLink} href=${commitPage(remote, commit)} title=${commit}>${commit.slice(0, SHORT_COMMIT)}<//>
      <${CopyButton} className="icon-button" label="Copy the whole commit id" text=${() => commit} /></span>`],
    message && ['Message', message.split('\n')[0]],
    branch && ['Branch', branch],
    remote && ['Remote', html`<${OutLink} href=${page?.url ?? null} title=${remote}>${page?.name ?? remote}<//>`],
    ['State', html`<${Dirt} isDirty=${isDirty} hasDiff=${hasDiff} nUntracked=${nUntracked} />`],
  ].filter(Boolean);
  return html`<section><h2>Git</h2><table class="kv-table"><tbody>${rows.map((row) => row && html`<tr key=${row[0]}><th scope="row">${row[0]}</th><td>${row[1]}</td></tr>`)}</tbody></table></section>`;
}

/** @param {{isDirty: boolean|undefined, hasDiff: boolean, nUntracked: number}} props */
function Dirt({ isDirty, hasDiff, nUntracked }) {
  const untracked = nUntracked > 0 ? `, ${plural(nUntracked, 'file')} not tracked` : '';
  if (!isDirty) return html`<span class="good-text">clean: exactly this commit was run${untracked}</span>`;
  return html`<span class="warn-text">with uncommitted changes${hasDiff ? ', kept below' : ''}${untracked}</span>`;
}

/** A link to another site, or its text alone. @param {{href: string|null, title: string, children: any}} props */
function OutLink({ href, title, children }) {
  if (!href) return html`<span title=${title}>${children}</span>`;
  return html`<a href=${href} title=${title} target="_blank" rel="noopener noreferrer">${children}<${Icon} name="external" size=${12} /></a>`;
}

/** @param {{run: RunDetail, file: KeptFile}} props */
function Changes({ run, file }) {
  const isShown = file.size_bytes <= MAX_SHOWN_BYTES;
  const { text, error } = useFileText(run, isShown ? file : null);
  const download = html`<${Download} run=${run} file=${file} />`;
  const tools = html`${text !== null && html`<${CopyButton} className="button" label="Copy the diff" caption="Copy" text=${() => text} />`}${download}`;
  return html`<section class="diff" aria-label="Uncommitted changes">
    ${!isShown && html`<div class="code-tools"><span class="muted">It is too large to be shown here.</span>${download}</div>`}
    ${error && html`<${ErrorNote} error=${error} what=${file.path} />`}
    ${isShown && !error && (text === null ? html`<${Skeleton} rows=${6} />` : html`<${DiffView} text=${text} tools=${tools} />`)}
  </section>`;
}

/** @param {{run: RunDetail, file: KeptFile}} props */
function Download({ run, file }) {
  return html`<a class="button" href=${fileUrl(run.project, run.id, file.path)} download=${baseName(file.path)}><${Icon} name="download" size=${14} /><span>Download</span>
    <span class="muted">${formatBytes(file.size_bytes)}</span></a>`;
}

/** Code is kept below code/, beside the files of the user. @param {string} path */
const shortPath = (path) => path.replace(/^code\//, '');

/** @param {{run: RunDetail, files: KeptFile[], program: string}} props */
function Files({ run, files, program }) {
  const [query, setQuery] = useState('');
  const needle = query.trim().toLowerCase();
  const isMain = (/** @type {KeptFile} */ file) => program !== '' && shortPath(file.path) === program;
  const sorted = [...files].sort((a, b) => Number(isMain(b)) - Number(isMain(a)) || (a.path < b.path ? -1 : 1));
  const shown = sorted.find((file) => file.path === shownFile.value) ?? sorted[0];
  const found = sorted.filter((file) => file.path.toLowerCase().includes(needle));
  const open = (/** @type {string} */ path) => updateView({ file: path });
  return html`<div class="file-split">
    <nav class="file-list" aria-label="Kept files">
      ${files.length > 8 && html`<label class="search is-small"><${Icon} name="search" size=${12} /><input type="search" placeholder="Find a file" aria-label="Find a file" value=${query}
        onInput=${(/** @type {any} */ event) => setQuery(event.currentTarget.value)} /></label>`}
      <ul>${found.map((file) => html`<li key=${file.path}><button aria-current=${file === shown ? 'true' : undefined} title=${file.path} onClick=${() => open(file.path)}>
        <${Icon} name="file" size=${12} /><span>${shortPath(file.path)}</span>${isMain(file) && html`<span class="tag">main</span>`}</button></li>`)}</ul>
    </nav>
    <${FileText} key=${shown.digest} run=${run} file=${shown} />
  </div>`;
}

/** @param {{run: RunDetail, file: KeptFile}} props */
function FileText({ run, file }) {
  const isShown = file.size_bytes <= MAX_SHOWN_BYTES;
  const { text, error } = useFileText(run, isShown ? file : null);
  const isBinary = text?.includes('\0') ?? false;
  return html`<section class="file-view" aria-label=${file.path}>
    <header class="file-head"><h3 title=${file.path}>${shortPath(file.path)}</h3>
      ${text !== null && !isBinary && html`<${CopyButton} className="button" label="Copy the file" caption="Copy" text=${() => text} />`}<${Download} run=${run} file=${file} /></header>
    ${(isBinary || !isShown) && html`<p class="muted pad">${isBinary ? 'A binary file' : 'Too large to be shown here'}: download it to look at it.</p>`}
    ${error && html`<${ErrorNote} error=${error} what=${file.path} />`}
    ${isShown && !error && !isBinary && (text === null ? html`<${Skeleton} rows=${8} />` : html`<${CodeView} path=${file.path} text=${shownSource(file.path, text)} />`)}
  </section>`;
}

/** @param {{packages: [string, string][], all: Record<string, string>}} props */
function Packages({ packages, all }) {
  const [query, setQuery] = useState('');
  const needle = query.trim().toLowerCase();
  const found = packages.filter(([name, version]) => `${name} ${version}`.toLowerCase().includes(needle));
  return html`<section class="packages" aria-label="Packages">
    <div class="code-tools"><label class="search"><${Icon} name="search" size=${14} /><input type="search" placeholder="Find a package" aria-label="Find a package" value=${query}
      onInput=${(/** @type {any} */ event) => setQuery(event.currentTarget.value)} /></label>
      <span class="toolbar-space"></span>
      <${CopyButton} className="button" label="Copy all as requirements.txt" caption="Copy as requirements.txt" text=${() => requirementsText(all)} /></div>
    <dl class="package-list">${found.map(([name, version]) => html`<div key=${name}><dt>${name}</dt><dd>${version}</dd></div>`)}</dl>
    ${found.length === 0 && html`<p class="muted">No package has “${query}” in its name.</p>`}
  </section>`;
}

/** @param {{run: RunDetail}} props */
function NothingCaptured({ run }) {
  return html`<${EmptyText} title="Nothing is known of the code">
    <p>${run.state === 'running' ? 'Command, git commit and packages appear here moments after the start.' : 'This run did not capture its command, git commit and packages.'}</p>
    <p class="muted">Capture is on unless <code>TRACKER_CAPTURE_ENVIRONMENT=0</code>. <code>run.log_code()</code> keeps source files.</p><//>`;
}
