/** The tooltip of all charts: one element, filled by text nodes, sorted by value. */
/** @typedef {import('./line_chart.js').Hit} Hit */
/** @typedef {import('../logic/colours.js').LineStyle} LineStyle */
/** @typedef {(value: number, digits?: number) => string} Format */

const MAX_ROWS = 14;
const OFFSET_PX = 14;

/** @type {HTMLElement|null} */
let box = null;

/** @param {string} tag @param {string} className @param {string} [text] */
function make(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

export function hideTooltip() {
  if (box) box.hidden = true;
}

/**
 * Show the values under the pointer.
 * @param {object} content
 * @param {Hit[]} content.hits nearest first
 * @param {string} content.xText
 * @param {string|null} content.lit id of the run to mark
 * @param {(id: string) => string} content.nameOf
 * @param {ReadonlyMap<string, LineStyle>} content.styles
 * @param {Format} content.format
 * @param {{x: number, y: number}} pointer in CSS pixels of the window
 */
export function showTooltip({ hits, xText, lit, nameOf, styles, format }, pointer) {
  if (!box) {
    box = make('div', 'tooltip');
    box.setAttribute('aria-hidden', 'true');
    document.body.append(box);
  }
  box.replaceChildren(make('div', 'tooltip-x', xText));
  const rows = rowsToShow(hits);
  for (const hit of rows) box.append(makeRow(hit, hit.run.id === lit, nameOf(hit.run.id), styles.get(hit.run.id), format));
  if (hits.length > rows.length) box.append(make('div', 'tooltip-more', `${hits.length - rows.length} more`));
  box.hidden = false;
  place(box, pointer);
}

/** The nearest runs when there are too many for the window; always in the order of their values. @param {Hit[]} hits */
export function rowsToShow(hits) {
  const value = (/** @type {Hit} */ hit) => (Number.isFinite(hit.y) ? hit.y : -Infinity);
  return hits.slice(0, MAX_ROWS).sort((a, b) => value(b) - value(a));
}

/** @param {Hit} hit @param {boolean} isLit @param {string} name @param {LineStyle|undefined} style @param {Format} format */
function makeRow(hit, isLit, name, style, format) {
  const row = make('div', isLit ? 'tooltip-row is-lit' : 'tooltip-row');
  const swatch = make('span', 'swatch');
  swatch.style.background = style ? swatchBackground(style) : '';
  row.append(swatch, make('span', 'tooltip-name', name), make('span', 'tooltip-value', valueText(hit, format)));
  row.append(make('span', 'tooltip-range', rangeText(hit, format)));
  return row;
}

/** A line with the run's own dashes: runs 9 to 24 share colours. @param {LineStyle} style */
function swatchBackground({ colour, dash }) {
  if (dash.length === 0) return colour;
  const [on, off] = dash;
  return `repeating-linear-gradient(90deg, ${colour} 0 ${on}px, transparent ${on}px ${on + off}px)`;
}

/** @param {Hit} hit @param {Format} format */
function valueText({ run: { cells }, index, y }, format) {
  if (cells.count[index] > 0 || Number.isFinite(y)) return format(y);
  return 'NaN/Inf';
}

/** What else the cell holds: the raw value beside a smoothed one, and the spread of a bucket. @param {Hit} hit @param {Format} format */
function rangeText({ run: { cells, band }, index }, format) {
  if (cells.count[index] === 0) return '';
  if (band) {
    const ends = [band.low[index], band.high[index]];
    const n = `n = ${cells.count[index]}`;
    return ends.some(Number.isNaN) ? n : `${format(ends[0], 4)} … ${format(ends[1], 4)}, ${n}`;
  }
  const spread = cells.max[index] > cells.min[index]
    ? `${format(cells.min[index], 4)} … ${format(cells.max[index], 4)}` : '';
  if (!cells.smooth) return spread;
  return spread === '' ? `raw ${format(cells.last[index], 4)}` : spread;
}

/** @param {HTMLElement} element @param {{x: number, y: number}} pointer */
function place(element, { x, y }) {
  const { offsetWidth, offsetHeight } = element;
  const left = x + OFFSET_PX + offsetWidth > innerWidth ? x - OFFSET_PX - offsetWidth : x + OFFSET_PX;
  const top = Math.min(Math.max(4, y - offsetHeight / 2), innerHeight - offsetHeight - 4);
  element.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
}
