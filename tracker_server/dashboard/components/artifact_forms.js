/** Dialogs that change artifacts and the registry. Each says what will be, and why it was done is kept with it. */
import { closeDialog, openDialog } from './dialog.js';
import { Icon } from './icons.js';
import { html, useState } from '../ui.js';

/**
 * @param {{title: string, body: (state: {value: any, set: (patch: Record<string, any>) => void}) => any, values: Record<string, any>,
 *   done: string, act: (values: any) => Promise<unknown>, isDanger?: boolean, isWide?: boolean, whyHint?: string, isReady?: (values: any) => boolean}} form
 *   values: what the form begins with; done: the button's text; whyHint: asks why, where there is one
 */
export function openForm(form) {
  openDialog({ title: form.title, isWide: form.isWide, body: () => html`<${FormBody} form=${form} />` });
}

/** @param {{form: Parameters<typeof openForm>[0]}} props */
function FormBody({ form }) {
  const [value, setValue] = useState(/** @type {Record<string, any>} */ ({ why: '', ...form.values }));
  const [error, setError] = useState('');
  const [isBusy, setBusy] = useState(false);
  const set = (/** @type {Record<string, any>} */ patch) => setValue((before) => ({ ...before, ...patch }));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await form.act({ ...value, why: value.why.trim() });
      closeDialog();
    } catch (problem) {
      setError(/** @type {Error} */ (problem).message);
      setBusy(false);
    }
  };
  const isReady = form.isReady?.(value) ?? true;
  return html`<form class="edit-form" onSubmit=${submit}>
    ${form.body({ value, set })}
    ${form.whyHint !== undefined && html`<label class="form-field"><span>Why <span class="muted">(${form.whyHint})</span></span>
      <input class="input" maxlength="2000" value=${value.why} onInput=${(/** @type {any} */ event) => set({ why: event.currentTarget.value })} /></label>`}
    ${error && html`<p class="trouble" role="alert"><${Icon} name="warn" size=${14} />${error}</p>`}
    <div class="dialog-actions"><button type="button" class="button" onClick=${closeDialog}>Cancel</button>
      <button class=${form.isDanger ? 'button is-danger' : 'button is-primary'} disabled=${isBusy || !isReady}>${form.done}</button></div>
  </form>`;
}

/**
 * A line of text in a form.
 * @param {{label: any, value: string, onInput: (text: string) => void, hint?: any, list?: readonly string[], isLong?: boolean, isFirst?: boolean,
 *   type?: string, min?: string}} props list: what others chose
 */
export function TextField({ label, value, onInput, hint = '', list = [], isLong = false, isFirst = false, type = 'text', min }) {
  const [id] = useState(() => `list-${Math.random().toString(36).slice(2)}`);
  const change = (/** @type {any} */ event) => onInput(event.currentTarget.value);
  return html`<label class="form-field"><span>${label}</span>
    ${isLong
    ? html`<textarea class="input is-long" rows="8" autofocus=${isFirst} value=${value} onInput=${change}></textarea>`
    : html`<input class="input" type=${type} min=${min} step="any" autofocus=${isFirst} list=${list.length > 0 ? id : undefined} value=${value} onInput=${change} />`}
    ${list.length > 0 && html`<datalist id=${id}>${list.map((one) => html`<option key=${one} value=${one} />`)}</datalist>`}
    ${hint && html`<span class="muted form-hint">${hint}</span>`}</label>`;
}
