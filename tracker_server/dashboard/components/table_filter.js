/** The dialog that filters a logged table by a column. */
import { html, useState } from '../ui.js';
import { closeDialog } from './dialog.js';

/** @typedef {import('../types.js').TableCondition} TableCondition */

const OPERATORS = {
  number: ['=', '!=', '<', '<=', '>', '>=', 'empty', 'not empty'], time: ['=', '<', '<=', '>', '>=', 'empty', 'not empty'], boolean: ['=', 'empty', 'not empty'],
  text: ['contains', 'not contains', '=', '!=', 'empty', 'not empty'], media: ['contains', 'empty', 'not empty'], other: ['contains', 'empty', 'not empty'],
};
const NO_VALUE = new Set(['empty', 'not empty']);

/** @param {TableCondition} condition @param {string} name */
export const conditionText = ({ op, value }, name) => [name, op, NO_VALUE.has(op) ? '' : String(value)].filter(Boolean).join(' ');

/** @param {{column: import('../types.js').TableColumn, index: number, known: TableCondition|undefined, onDone: (condition: TableCondition|null) => void}} props */
export function FilterForm({ column, index, known, onDone }) {
  const operators = OPERATORS[column.kind] ?? OPERATORS.other;
  const [op, setOp] = useState(known?.op ?? operators[0]);
  const [value, setValue] = useState(String(known?.value ?? (column.kind === 'boolean' ? 'true' : '')));
  const needsValue = !NO_VALUE.has(op);
  const isReady = !needsValue || (value.trim() !== '' && (column.kind !== 'number' || Number.isFinite(Number(value))));
  const done = (/** @type {TableCondition|null} */ condition) => {
    onDone(condition);
    closeDialog();
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (isReady) done(needsValue ? { column: index, op, value: column.kind === 'number' ? Number(value) : column.kind === 'boolean' ? value === 'true' : value } : { column: index, op });
  };
  return html`<form class="filter-form" onSubmit=${submit}>
    <p class="filter-line"><select class="select" aria-label="Condition" value=${op} onChange=${(/** @type {any} */ event) => setOp(event.currentTarget.value)}>${operators.map((one) => html`<option value=${one} selected=${one === op}>${one}</option>`)}</select>
    ${needsValue && (column.kind === 'boolean'
      ? html`<select class="select" aria-label="Value" value=${value} onChange=${(/** @type {any} */ event) => setValue(event.currentTarget.value)}>${['true', 'false'].map((one) => html`<option value=${one} selected=${one === value}>${one}</option>`)}</select>`
      : html`<input class="input" aria-label="Value" value=${value} placeholder=${column.kind === 'time' ? '2026-01-31' : 'value'} inputmode=${column.kind === 'number' ? 'decimal' : 'text'} onInput=${(/** @type {any} */ event) => setValue(event.currentTarget.value)} />`)}</p>
    <div class="dialog-actions">${known && html`<button type="button" class="button" onClick=${() => done(null)}>Remove</button>`}<button class="button is-main" disabled=${!isReady}>Filter</button></div></form>`;
}
