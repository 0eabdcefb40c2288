/** What a panel gives away: a table to read, a picture, and a CSV of every point (never of the drawn sample). */
import { fileName, joinRunCsv } from '../logic/csv.js';
import { formatNumber, formatX, plural } from '../logic/format.js';
import { html } from '../ui.js';
import { closeDialog, openDialog } from './dialog.js';

/** @typedef {import('../charts/panel_controller.js').Scope} Scope */
/** @typedef {import('../charts/panel_controller.js').PanelController} PanelController */

const TABLE_ROWS = 500;
const TITLE_PX = 34;
const LEGEND_ROW_PX = 18;

/** @param {string} metric @param {Scope} scope @param {PanelController|null} controller */
export function openTable(metric, scope, controller) {
  const data = controller?.chart.data;
  if (!controller || !data) return;
  const runs = controller.chart.drawnRuns();
  const range = controller.chart.xRange();
  const inside = [...data.x.keys()].filter((i) => data.x[i] >= range.min && data.x[i] <= range.max);
  const rows = inside.slice(0, TABLE_ROWS);
  const what = scope.noun ? 'the mean of each group' : data.isExact ? 'every point' : 'the last value of each bucket';
  openDialog({
    title: `${scope.fullTitleOf(metric)} as a table`, isWide: true,
    body: () => html`<p class="muted table-about">Shows ${what}${inside.length > rows.length ? `, the first ${formatNumber(rows.length)} of ${formatNumber(inside.length)} rows` : ''}.
        The CSV holds every point of ${plural(scope.csvIds?.().length ?? runs.length, controller.axis ? 'line' : 'run')}.${' '}
        <button class="button" onClick=${() => downloadCsv(metric, scope)}>Download CSV</button></p>
      <div class="data-table"><table>
        <thead><tr><th scope="col">${data.xLabel}</th>${runs.map((run) => html`<th scope="col">${scope.nameOf(run.id)}</th>`)}</tr></thead>
        <tbody>${rows.map((i) => html`<tr><th scope="row">${formatX(data.x[i], data.xKind)}</th>
          ${runs.map((run) => html`<td>${cellText(run, i, controller)}</td>`)}</tr>`)}</tbody>
      </table></div>`,
  });
}

/** @param {import('../types.js').ChartRun} run @param {number} i @param {PanelController} controller */
function cellText({ cells }, i, controller) {
  if (cells.count[i] > 0) return controller.valueText(cells.last[i]);
  return cells.nonfinite[i] > 0 ? 'NaN/Inf' : '';
}

/** @param {string} metric @param {Scope} scope @param {PanelController|null} controller */
export function downloadPng(metric, scope, controller) {
  const source = controller?.chart.plot.ctx.canvas;
  if (!controller || !source) return;
  const ratio = devicePixelRatio;
  const runs = controller.chart.drawnRuns().slice(0, 24);
  const style = getComputedStyle(document.documentElement);
  const canvas = document.createElement('canvas');
  canvas.width = source.width;
  canvas.height = source.height + (TITLE_PX + LEGEND_ROW_PX * runs.length + 8) * ratio;
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  ctx.fillStyle = style.getPropertyValue('--bg');
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.drawImage(source, 0, TITLE_PX * ratio);
  ctx.scale(ratio, ratio);
  ctx.fillStyle = style.getPropertyValue('--text');
  ctx.font = '600 13px system-ui, sans-serif';
  ctx.fillText(scope.fullTitleOf(metric), 12, 22);
  ctx.font = '12px system-ui, sans-serif';
  runs.forEach((run, index) => {
    const y = TITLE_PX + source.height / ratio + LEGEND_ROW_PX * index + 14;
    const line = scope.styles.peek().get(run.id);
    ctx.strokeStyle = line?.colour ?? '';
    ctx.lineWidth = 2;
    ctx.setLineDash(line?.dash ?? []);
    ctx.beginPath();
    ctx.moveTo(12, y - 4);
    ctx.lineTo(32, y - 4);
    ctx.stroke();
    ctx.fillText(scope.nameOf(run.id), 40, y);
  });
  canvas.toBlob((blob) => { if (blob) save(blob, `${fileName(metric)}.png`); });
}

/** @param {string} metric @param {Scope} scope */
export async function downloadCsv(metric, scope) {
  const ids = scope.csvIds?.() ?? scope.charted.peek();
  const parts = [];
  try {
    // One after the other: each may be millions of rows.
    for (const id of ids) parts.push({ id, name: scope.nameOf(id), csv: await scope.csvOf(id, metric) });
  } catch (problem) {
    const text = problem instanceof Error ? problem.message : String(problem);
    openDialog({ title: 'The CSV could not be made', body: () => html`<p role="alert">${text}</p><button class="button" onClick=${closeDialog}>Close</button>` });
    return;
  }
  save(new Blob([joinRunCsv(parts)], { type: 'text/csv' }), `${fileName(metric)}.csv`);
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken the blob when the click returns; a moment later the address may go.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
