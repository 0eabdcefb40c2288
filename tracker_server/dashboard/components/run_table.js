/** The list of runs: its rows, of which those near the window are asked for. */
import { rowCount } from '../logic/run_pages.js';
import { holdPlace, isBusy, listStart, order, rowOf, wantRows } from '../state/run_list.js';
import { groupBy, hoveredRun } from '../state/view.js';
import { html, signal, useCallback, useEffect, useState } from '../ui.js';
import { NameCell, cellContent } from './run_cells.js';
import { TableFrame, cells } from './table_frame.js';

/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {import('./table_frame.js').Layout} Layout */

/** The run that the keyboard is on. */
export const cursorRun = signal(/** @type {string|null} */ (null));

/** Move the keyboard's run by some rows. @param {number} by */
export function moveCursor(by) {
  const { ids } = order.peek();
  if (ids.length === 0 || groupBy.peek().length > 0) return;
  const index = ids.indexOf(cursorRun.peek() ?? '');
  const next = index < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, index + by));
  cursorRun.value = ids[next];
  hoveredRun.value = ids[next];
}

/** The time, for ages in the list; a minute is fine enough. */
export function useNow() {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function RunTable() {
  const now = useNow();
  const { ids } = order.value;
  const cursor = cursorRun.value === null ? -1 : ids.indexOf(cursorRun.value);
  const row = useCallback((/** @type {number} */ index, /** @type {Layout} */ layout) => {
    const id = ids[index];
    return html`<${Row} key=${id ?? index} id=${id} layout=${layout} now=${now} position=${index + 2} />`;
  }, [ids, now]);
  return html`<${TableFrame} count=${rowCount(order.value)} row=${row} cursor=${cursor} start=${listStart.value}
    onWindow=${wantRows} onHold=${holdPlace} isBusy=${isBusy.value} />`;
}

/** @param {{id: string|undefined, layout: Layout, now: number, position: number}} props id: none where it is not known yet */
function Row({ id, layout, now, position }) {
  const run = id === undefined ? undefined : rowOf(id);
  if (!run) return html`<tr class="is-waiting" aria-rowindex=${position} style=${`height:${layout.height}px`}><td colspan="99"><span></span></td></tr>`;
  return html`<${RunLine} run=${run} layout=${layout} now=${now} position=${position} />`;
}

/** A run's row; also one of a group. @param {{run: RunRow, layout: Layout, now: number, position: number, isMember?: boolean}} props */
export function RunLine({ run, layout, now, position, isMember = false }) {
  const classes = [hoveredRun.value === run.id && 'is-hovered', cursorRun.value === run.id && 'is-cursor', isMember && 'is-member'].filter(Boolean).join(' ');
  // Moving, not entering: a row that comes to lie under a resting pointer must not fade all other runs.
  return html`<tr class=${classes} aria-rowindex=${position} data-run=${run.id} style=${`height:${layout.height}px`}
      onMouseMove=${() => { hoveredRun.value = run.id; }} onMouseLeave=${() => { hoveredRun.value = null; }}>
    <th scope="row"><${NameCell} run=${run} isMember=${isMember} /></th>
    ${cells({ layout, cell: (column) => cellContent(run, column.path, now) })}
  </tr>`;
}
