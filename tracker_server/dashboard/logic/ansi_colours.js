/**
 * Colours of terminal output on the page's own background. The sixteen named colours have a tone for each theme; any
 * other colour keeps its hue and is darkened or lightened until it can be read.
 */

/** @typedef {import('./ansi.js').Style} Style */
/** @typedef {import('./ansi.js').Colour} Colour */
/** @typedef {[number, number, number]} Rgb 0 to 255 */
/** @typedef {'light'|'dark'} Theme */

/** Black, red, green, yellow, blue, magenta, cyan, white, then the bright ones. White on white would be unseen. */
export const NAMED = {
  light: ['#1b1f24', '#b3261e', '#17703a', '#855300', '#2458c5', '#8b2fa0', '#0b6a7a', '#5c6670',
    '#5c6670', '#c4281f', '#147a3c', '#8f5b00', '#2f66d8', '#9c3bb3', '#0c7385', '#3a424c'],
  dark: ['#98a2ad', '#ff9a91', '#6fce8f', '#e9b142', '#7fb0ff', '#d9a0f0', '#62cfe0', '#d5dae0',
    '#98a2ad', '#ffb3ac', '#8fe0a9', '#f3c76b', '#a3c6ff', '#e6bdf7', '#8bdfec', '#ffffff'],
};
/** The backgrounds of the same names: on these, letters take black or white, whichever can be read. */
const NAMED_BACK = ['#24292f', '#c4281f', '#1d8a49', '#b98900', '#2f66d8', '#9c3bb3', '#0c8499', '#c9ced6',
  '#5c6670', '#e5534b', '#3fb96f', '#e3b341', '#6196f0', '#c46bdb', '#3bb8cc', '#ffffff'];
const PAGE = { light: { text: '#1b1f24', back: '#ffffff' }, dark: { text: '#e6e9ed', back: '#111418' } };
const CUBE = [0, 95, 135, 175, 215, 255];
export const MIN_CONTRAST = 4.5;
/** On the page's own background: enough that it is still legible on that of a selected line. */
export const PAGE_CONTRAST = 5.7;

/** @param {string} hex @returns {Rgb} */
export function fromHex(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** @param {Rgb} rgb */
const css = (rgb) => `rgb(${rgb.join(' ')})`;

/** Relative luminance (WCAG 2). @param {Rgb} rgb */
function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast (WCAG 2), 1 to 21. @param {Rgb} a @param {Rgb} b */
export function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/** @param {Rgb} from @param {Rgb} to @param {number} part @returns {Rgb} */
function mix(from, to, part) {
  return /** @type {Rgb} */ (from.map((value, index) => Math.round(value + (to[index] - value) * part)));
}

/** Move a colour towards black or white until it can be read. @param {Rgb} colour @param {Rgb} back @param {number} least @returns {Rgb} */
function legible(colour, back, least) {
  const end = /** @type {Rgb} */ (luminance(back) > 0.18 ? [0, 0, 0] : [255, 255, 255]);
  for (let part = 0; part < 1; part += 0.05) {
    const tone = mix(colour, end, part);
    if (contrast(tone, back) >= least) return tone;
  }
  return end;
}

/** @param {number} index 16 to 255: a cube of 6 x 6 x 6, then 24 greys @returns {Rgb} */
function indexed(index) {
  if (index >= 232) return /** @type {Rgb} */ (Array(3).fill(8 + 10 * (index - 232)));
  const at = index - 16;
  return [CUBE[Math.floor(at / 36)], CUBE[Math.floor(at / 6) % 6], CUBE[at % 6]];
}

/** @param {Colour} colour @param {string[]} named @returns {Rgb} */
function toRgb(colour, named) {
  if (typeof colour !== 'number') return [...colour];
  return colour < 16 ? fromHex(named[colour]) : indexed(colour);
}

/**
 * The CSS of a span.
 * @param {Style} style
 * @param {Theme} theme
 */
export function spanCss(style, theme) {
  const [fg, bg] = style.isInverse ? [style.bg, style.fg] : [style.fg, style.bg];
  const hasBack = bg !== null || style.isInverse;
  // Inverse without colours: the page's own text and background change places.
  const back = bg !== null ? toRgb(bg, NAMED_BACK) : fromHex(style.isInverse ? PAGE[theme].text : PAGE[theme].back);
  const text = fg !== null ? toRgb(fg, hasBack ? NAMED_BACK : NAMED[theme]) : fromHex(style.isInverse ? PAGE[theme].back : PAGE[theme].text);
  const parts = [];
  if (hasBack) parts.push(`background:${css(back)}`);
  if (fg !== null || hasBack || style.isDim) {
    const least = hasBack ? MIN_CONTRAST : PAGE_CONTRAST;
    const tone = legible(text, back, least);
    parts.push(`color:${css(style.isDim ? legible(mix(tone, back, 0.4), back, least) : tone)}`);
  }
  if (style.isBold) parts.push('font-weight:600');
  if (style.isItalic) parts.push('font-style:italic');
  const lines = [style.isUnderlined && 'underline', style.isStruck && 'line-through'].filter(Boolean);
  if (lines.length > 0) parts.push(`text-decoration:${lines.join(' ')}`);
  return parts.join(';');
}
