/** One row of a logged table with all of its text. */
import { html, useEffect, useState } from '../ui.js';
import { Skeleton } from './empty.js';
import { TableCell } from './table_cell.js';

/** @param {{store: import('../state/table_store.js').TableStore, number: number}} props */
export function RowView({ store, number }) {
  const [row, setRow] = useState(/** @type {Awaited<ReturnType<typeof store.whole>>|null} */ (null));
  const [error, setError] = useState(/** @type {Error|null} */ (null));
  useEffect(() => { store.whole(number).then(setRow, setError); }, [store, number]);
  if (error) return html`<p class="trouble" role="alert">${error.message}</p>`;
  if (!row) return html`<${Skeleton} rows=${4} />`;
  return html`<table class="kv-table row-view"><tbody>${row.shown.map((place, index) => {
    const { name, kind } = row.columns[place];
    return html`<tr><th scope="row">${name}</th><td><${TableCell} where=${store.where} value=${row.cells[index]} kind=${kind} column=${name} isLarge /></td></tr>`;
  })}</tbody></table>`;
}
