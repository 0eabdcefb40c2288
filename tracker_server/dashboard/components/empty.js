/** What is shown where nothing is: the snippet that fills the place, or what went wrong and how to mend it. */
import { ApiError } from '../api.js';
import { html } from '../ui.js';
import { CopyButton } from './copy_button.js';

/** @param {string} project */
const snippet = (project) => `import tracker_core as tracker
run = tracker.init(project=${JSON.stringify(project)})
run.log({"loss": 0.1})`;

/** @param {{title: string, text?: string, project?: string}} props */
export function EmptySnippet({ title, text = '', project = 'my-project' }) {
  const code = snippet(project);
  return html`<section class="empty">
    <h2>${title}</h2>
    ${text && html`<p>${text}</p>`}
    <div class="snippet"><pre><code>${code}</code></pre>
      <${CopyButton} className="icon-button" label="Copy the snippet" text=${() => code} /></div>
    <p class="muted">This page shows the run as soon as it logs: no reload is needed.</p>
  </section>`;
}

/** @param {{title: string, children?: any}} props */
export function EmptyText({ title, children }) {
  return html`<section class="empty"><h2>${title}</h2>${children}</section>`;
}

/** @param {{error: Error, what?: string}} props what: what was asked for */
export function ErrorNote({ error, what = '' }) {
  if (error instanceof ApiError && error.status === 401) {
    return html`<${EmptyText} title="This session has ended">
      <p>Run <code>tracker ui</code> again in a terminal and open the link that it prints.</p><//>`;
  }
  if (error instanceof ApiError && error.status === 404) {
    return html`<${EmptyText} title="Not found"><p>${what === '' ? error.message : `There is no ${what}.`}</p>
      <p class="muted">It may have been deleted, or the server may show another folder.</p><//>`;
  }
  return html`<${EmptyText} title="This could not be loaded"><p role="alert">${error.message}</p>
    <p><button class="button" onClick=${() => location.reload()}>Load again</button></p><//>`;
}

/** Grey bars in the place of rows still to come. @param {{rows: number}} props */
export function Skeleton({ rows }) {
  return html`<div class="skeleton" role="img" aria-busy="true" aria-label="Loading">
    ${Array.from({ length: rows }, (_, index) => html`<span style=${`width:${85 - ((index * 17) % 40)}%`}></span>`)}</div>`;
}
