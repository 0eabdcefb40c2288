/**
 * Scrolling over millions of lines. The place is kept as a line number with a fraction, because no browser can scroll an
 * element of 100 million pixels: beyond a bound a pixel of the scroll bar stands for more than a pixel of text.
 */

/** Browsers end at 17 to 33 million pixels. */
export const MAX_SCROLL_PX = 8_000_000;

/** @typedef {(line: number) => number} RowsOf how many rows a line takes: 1, or more where it is wrapped */

/**
 * The furthest place: there the last line is at the lower edge.
 * @param {number} nLines
 * @param {number} viewportRows may be a fraction
 * @param {RowsOf} rowsOf
 */
export function endPosition(nLines, viewportRows, rowsOf) {
  let room = viewportRows;
  for (let line = nLines - 1; line >= 0; line -= 1) {
    const rows = rowsOf(line);
    if (rows >= room) return line + (rows - room) / rows;
    room -= rows;
  }
  return 0;
}

/**
 * Pixels of the scroll bar for a line.
 * @param {number} end the furthest place
 * @param {number} rowPx
 */
export function scrollPxPerLine(end, rowPx) {
  return end * rowPx <= MAX_SCROLL_PX ? rowPx : MAX_SCROLL_PX / end;
}

/**
 * The lines on screen.
 * @param {number} position
 * @param {number} viewportRows
 * @param {number} nLines
 * @param {RowsOf} rowsOf
 * @returns {{first: number, end: number, hiddenRows: number}} lines [first, end); of the first so many rows are above
 */
export function visibleLines(position, viewportRows, nLines, rowsOf) {
  const first = Math.min(Math.max(0, Math.floor(position)), Math.max(0, nLines - 1));
  const hiddenRows = nLines === 0 ? 0 : Math.max(0, position - first) * rowsOf(first);
  let end = first;
  for (let room = viewportRows + hiddenRows; room > 0 && end < nLines; end += 1) room -= rowsOf(end);
  return { first, end, hiddenRows };
}

/**
 * Where to scroll so that a line is well in view: unchanged when it is, else a third down the window.
 * @param {number} line
 * @param {{first: number, end: number}} visible
 * @param {number} viewportRows
 */
export function positionFor(line, visible, viewportRows) {
  if (line > visible.first && line < visible.end - 2) return null;
  return Math.max(0, line - Math.floor(viewportRows / 3));
}
