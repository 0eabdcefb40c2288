/** Values that are more than numbers, as rows hold them. Whatever a run wrote, what comes out of here has the fields it says. Pure. */

/** @typedef {{minX: number, maxX: number, minY: number, maxY: number, classId: number, label: string}} Box in parts of the image, 0 to 1 */
/** @typedef {{name: string, boxes: Box[]}} BoxSet */
/** @typedef {{name: string, path: string, labels: Record<string, string>}} MaskSet */
/** @typedef {{kind: string, path: string, caption: string, width: number, height: number, boxes: BoxSet[], masks: MaskSet[], facts: string}} Media */

const GALLERY = new Set(['image', 'images', 'audio', 'video', 'html', 'text']);
const PLOTS = new Set(['histogram', 'plot', 'plotly']);
/** Pictures first: those of one size fit beside each other. */
const ORDER = ['images', 'image', 'video', 'audio', 'html', 'text', 'plot', 'plotly', 'histogram'];
const MAX_BOXES = 500;
const MAX_SETS = 20;
const MAX_ITEMS = 1000;

/** @param {string} kind @returns {'media'|'tables'|'plots'} which tab shows it */
export const tabOf = (kind) => (PLOTS.has(kind) ? 'plots' : kind === 'table' ? 'tables' : 'media');

/** @param {readonly import('../types.js').MediaKey[]} keys @param {string} tab @param {string} find words that the key holds */
export function keysOf(keys, tab, find = '') {
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  return keys.filter(({ key, kind }) => tabOf(kind) === tab && words.every((word) => key.toLowerCase().includes(word)))
    .sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (/** @type {unknown} */ value) => (typeof value === 'string' ? value : '');
const number = (/** @type {unknown} */ value) => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

/** The kind of a value, "" for none. @param {unknown} value */
export function kindOf(value) {
  if (typeof value === 'string') return 'text';
  const kind = isObject(value) ? text(value._type) : '';
  return GALLERY.has(kind) || PLOTS.has(kind) || kind === 'table' ? kind : '';
}

/** @param {unknown} value */
export const isMedia = (value) => isObject(value) && kindOf(value) !== '';

/** The single pieces of a value: a list of images has several. @param {unknown} value @returns {Media[]} */
export function piecesOf(value) {
  if (isObject(value) && value._type === 'images') {
    const items = Array.isArray(value.items) ? value.items.slice(0, MAX_ITEMS) : [];
    return items.map(mediaOf).filter(({ kind }) => kind !== '');
  }
  return [mediaOf(value)];
}

/** @param {unknown} value @returns {Media} */
export function mediaOf(value) {
  const of = isObject(value) ? value : {};
  const width = number(of.width);
  const height = number(of.height);
  return {
    kind: kindOf(value), path: text(of.path), caption: text(of.caption), width, height,
    boxes: boxSets(of.boxes, width, height), masks: maskSets(of.masks), facts: factsOf(of),
  };
}

/** @param {Record<string, any>} of */
function factsOf(of) {
  const size = number(of.width) > 0 && number(of.height) > 0 ? `${of.width} × ${of.height}` : '';
  const seconds = number(of.duration_s);
  const rate = number(of.sample_rate);
  return [size, text(of.format).slice(0, 20), seconds > 0 && `${seconds.toFixed(1)} s`, rate > 0 && `${rate / 1000} kHz`].filter(Boolean).join(' · ');
}

/** @param {unknown} sets @param {number} width @param {number} height @returns {BoxSet[]} */
function boxSets(sets, width, height) {
  if (!isObject(sets)) return [];
  return Object.entries(sets).slice(0, MAX_SETS).map(([name, set]) => {
    const labels = labelsOf(set);
    const data = isObject(set) && Array.isArray(set.box_data) ? set.box_data.slice(0, MAX_BOXES) : [];
    return { name, boxes: data.map((box) => boxOf(box, labels, width, height)).filter((box) => box !== null) };
  });
}

/** @param {unknown} box @param {Record<string, string>} labels @param {number} width @param {number} height @returns {Box|null} */
function boxOf(box, labels, width, height) {
  if (!isObject(box) || !isObject(box.position)) return null;
  const at = box.position;
  const isPixels = box.domain === 'pixel';
  const across = isPixels ? width || 1 : 1;
  const down = isPixels ? height || 1 : 1;
  const hasMiddle = Array.isArray(at.middle);
  const [x, y, w, h] = hasMiddle ? [number(at.middle[0]), number(at.middle[1]), number(at.width), number(at.height)] : [0, 0, 0, 0];
  const edges = hasMiddle ? [x - w / 2, x + w / 2, y - h / 2, y + h / 2] : [number(at.minX), number(at.maxX), number(at.minY), number(at.maxY)];
  const classId = number(box.class_id);
  const label = text(box.box_caption) || labels[String(classId)] || '';
  return { minX: edges[0] / across, maxX: edges[1] / across, minY: edges[2] / down, maxY: edges[3] / down, classId, label };
}

/** @param {unknown} sets @returns {MaskSet[]} */
function maskSets(sets) {
  if (!isObject(sets)) return [];
  return Object.entries(sets).slice(0, MAX_SETS)
    .filter(([, set]) => isObject(set) && text(set.path) !== '')
    .map(([name, set]) => ({ name, path: set.path, labels: labelsOf(set) }));
}

/** @param {unknown} set @returns {Record<string, string>} */
function labelsOf(set) {
  const labels = isObject(set) && isObject(set.class_labels) ? set.class_labels : {};
  return Object.fromEntries(Object.entries(labels).slice(0, 256).map(([id, label]) => [id, String(label).slice(0, 100)]));
}

/** "image", "24 images". @param {unknown} value */
export function describeMedia(value) {
  const kind = kindOf(value);
  if (!isObject(value)) return kind;
  const n = number(value.n_items) || (Array.isArray(value.items) ? value.items.length : 0);
  if (kind === 'images') return `${n} image${n === 1 ? '' : 's'}`;
  if (kind === 'table') return `table of ${number(value.n_rows)} rows`;
  if (kind === 'histogram') return `histogram of ${number(value.n_bins) || (Array.isArray(value.counts) ? value.counts.length : 0)} bins`;
  if (kind === 'plot') return `${text(value.kind).slice(0, 40).replaceAll('_', ' ')} plot`;
  return [kind, factsOf(value)].filter(Boolean).join(' ');
}
