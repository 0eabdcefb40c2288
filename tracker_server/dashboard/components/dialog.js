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

/** The keys and the filter language; loaded when asked for. */
export async function openHelp() {
  openDialog({ title: 'Keys', body: (await import('./help.js')).HelpBody });
}
