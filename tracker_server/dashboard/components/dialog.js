/** Modal dialogs. The browser's <dialog> keeps the focus inside and closes on Escape. */
import { html, signal, useLayoutEffect, useRef } from '../ui.js';
import { Icon } from './icons.js';

/** @typedef {{title: string, body: () => any, isWide?: boolean}} DialogContent */

const open = signal(/** @type {DialogContent|null} */ (null));

/** @param {DialogContent} content */
export function openDialog(content) {
  open.value = content;
}

export function closeDialog() {
  open.value = null;
}

/** The place where the open dialog is drawn; once on the page. */
export function DialogHost() {
  const content = open.value;
  return content && html`<${Dialog} key=${content.title} ...${content} />`;
}

/** @param {DialogContent} props */
function Dialog({ title, body, isWide = false }) {
  const element = useRef(/** @type {HTMLDialogElement|null} */ (null));
  // Before the next key can be pressed: one that is meant for the dialog must not reach the page.
  useLayoutEffect(() => element.current?.showModal(), []);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Escape') return;
    // The browser closes it too, but only after the key: a quick next key would still go to the dialog's button.
    event.preventDefault();
    element.current?.close();
    closeDialog();
  };
  const onClick = (/** @type {MouseEvent} */ event) => { if (event.target === element.current) closeDialog(); };
  return html`<dialog ref=${element} class=${isWide ? 'dialog is-wide' : 'dialog'} aria-label=${title}
      onClose=${closeDialog} onClick=${onClick} onKeyDown=${onKeyDown}>
    <div class="dialog-frame">
      <header class="dialog-head"><h2>${title}</h2>
        <button class="icon-button" aria-label="Close" title="Close (Esc)" onClick=${closeDialog}><${Icon} name="close" /></button>
      </header>
      <div class="dialog-body">${body()}</div>
    </div>
  </dialog>`;
}

const KEYS = [
  ['/', 'Filter runs; search the log'], ['j  k', 'Next, previous run'], ['Enter', 'Open the run'], ['h', 'Hide or show the run'],
  ['o', 'Show only the run'], ['t', 'Run list as full table, and back'], ['z', 'Undo the last zoom'],
  ['f', 'Log: stay at the end'], ['g  G', 'Log: go to its begin, its end'],
  ['g r', 'Go to the runs of the project'], ['g p', 'Go to projects'], ['?', 'This help'],
];

const FILTER_EXAMPLES = ['word', '/regex/', 'state:running', 'tag:best', 'lr>0.01', '-not'];

export function openHelp() {
  openDialog({
    title: 'Keys',
    body: () => html`<table class="keys"><tbody>
      ${KEYS.map(([keys, text]) => html`<tr><td>${keys.split(/\s+/).map((key) => html`<kbd>${key}</kbd> `)}</td><td>${text}</td></tr>`)}
    </tbody></table>
    <p class="muted">Drag on a chart to zoom all charts; double-click goes back one step. Alt-click an eye to show only
      that run.</p>
    <p class="muted">Filter: ${FILTER_EXAMPLES.map((text) => html`<code>${text}</code>\u2003`)}</p>`,
  });
}
