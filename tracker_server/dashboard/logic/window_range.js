/** Which rows and columns of a long table are on screen. */

/**
 * The rows to draw of a list with rows of one height.
 * @param {number} scroll px scrolled
 * @param {number} viewport px visible
 * @param {number} size px of a row
 * @param {number} count
 * @param {number} [overscan] rows drawn beyond each edge, so that a quick scroll shows no hole
 * @returns {{first: number, end: number, before: number, after: number}} rows [first, end) and the px of the rest
 */
export function rowWindow(scroll, viewport, size, count, overscan = 8) {
  const first = Math.max(0, Math.min(count, Math.floor(scroll / size) - overscan));
  const end = Math.max(first, Math.min(count, Math.ceil((scroll + viewport) / size) + overscan));
  return { first, end, before: first * size, after: (count - end) * size };
}

/**
 * The columns to draw, each with its own width.
 * @param {number} scroll px scrolled
 * @param {number} viewport px visible
 * @param {readonly number[]} widths
 * @param {number} [overscan] px beyond each edge
 * @returns {{first: number, end: number, before: number, after: number}}
 */
export function columnWindow(scroll, viewport, widths, overscan = 200) {
  let first = 0;
  let before = 0;
  while (first < widths.length && before + widths[first] < scroll - overscan) before += widths[first++];
  let end = first;
  let right = before;
  while (end < widths.length && right < scroll + viewport + overscan) right += widths[end++];
  let after = 0;
  for (let index = end; index < widths.length; index += 1) after += widths[index];
  return { first, end, before, after };
}
