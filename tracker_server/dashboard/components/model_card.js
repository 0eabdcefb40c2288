/** The card of a registered model: Markdown, shown and edited beside its look. */
import { renderMarkdown, setCard } from '../artifacts_api.js';
import { mayChange } from '../state/me.js';
import { html, useEffect, useState } from '../ui.js';
import { openForm } from './artifact_forms.js';
import { EmptyText } from './empty.js';
import { Icon } from './icons.js';
import { Markdown } from './markdown.js';

/** @typedef {import('../artifact_types.js').ModelDetail} ModelDetail */

const PREVIEW_MS = 300;
const TEMPLATE = '# What it does\n\n\n# Trained on\n\n\n# How good it is\n\n| metric | value |\n|---|---|\n| accuracy |  |\n\n# What it is not for\n';

/** @param {{detail: ModelDetail, onDone: () => void}} props */
export function CardTab({ detail, onDone }) {
  const isEditable = mayChange('');
  const edit = (/** @type {string} */ text) => openForm({
    title: `Card of ${detail.model.name}`, values: { text }, done: 'Save', isWide: true, whyHint: 'kept in the audit',
    body: ({ value, set }) => html`<${CardEditor} text=${value.text} onInput=${(/** @type {string} */ next) => set({ text: next })} />`,
    act: async ({ text: card, why }) => { await setCard(detail.model.name, card, why); onDone(); },
  });
  if (detail.card.trim() === '') {
    return html`<${EmptyText} title="No card yet"><p>A card says what a model does, on what it was trained, how good it is and what it is not for. It is written in Markdown.</p>
      ${isEditable && html`<p><button class="button is-primary" onClick=${() => edit(TEMPLATE)}><${Icon} name="edit" size=${14} />Write it</button></p>`}<//>`;
  }
  return html`<div class="card-page"><h2 class="for-readers">Model card</h2>${isEditable && html`<div class="card-tools"><button class="button" onClick=${() => edit(detail.card)}><${Icon} name="edit" size=${14} />Edit</button></div>`}
    <${Markdown} source=${detail.card_html} /></div>`;
}

/** @param {{text: string, onInput: (text: string) => void}} props */
function CardEditor({ text, onInput }) {
  const [source, setSource] = useState('');
  const [error, setError] = useState('');
  useEffect(() => {
    let isCurrent = true;
    const timer = setTimeout(async () => {
      try {
        const found = await renderMarkdown(text);
        if (!isCurrent) return;
        setSource(found);
        setError('');
      } catch (problem) {
        if (isCurrent) setError(/** @type {Error} */ (problem).message);
      }
    }, PREVIEW_MS);
    return () => { isCurrent = false; clearTimeout(timer); };
  }, [text]);
  return html`<div class="card-editor"><textarea class="input is-long mono" aria-label="Card, in Markdown" autofocus spellcheck="true" value=${text} onInput=${(/** @type {any} */ event) => onInput(event.currentTarget.value)}></textarea>
    <div class="card-preview" aria-label="How it will look">${error ? html`<p class="trouble" role="alert">${error}</p>` : html`<${Markdown} source=${source} />`}</div></div>`;
}
