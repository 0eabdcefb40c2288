/**
 * Decoder of the binary chart answer: u32 little-endian header length, JSON header, then raw little-endian arrays.
 * The arrays are viewed in place, not copied, because a wall of panels redraws them twice a second.
 */

/** @typedef {import('../types.js').ChartData} ChartData */
/** @typedef {import('../types.js').ChartRun} ChartRun */
/** @typedef {import('../types.js').ChartGroup} ChartGroup */
/** @typedef {{name: string, run?: number, group?: number, dtype: string, length: number, offset: number}} ArrayEntry */

/** @type {Record<string, {make: (buffer: ArrayBuffer, start: number, length: number) => any, size: number}>} */
const DTYPES = {
  f8: { make: (buffer, start, length) => new Float64Array(buffer, start, length), size: 8 },
  f4: { make: (buffer, start, length) => new Float32Array(buffer, start, length), size: 4 },
  u4: { make: (buffer, start, length) => new Uint32Array(buffer, start, length), size: 4 },
};

/** Thrown when an answer is not what the contract says; the panel shows its text. */
export class DecodeError extends Error {}

/**
 * Decode one chart answer.
 * @param {ArrayBuffer} buffer
 * @returns {ChartData}
 */
export function decodeChart(buffer) {
  const { header, start } = readHeader(buffer);
  /** @type {Float64Array} */
  let x = new Float64Array(0);
  /** @type {Record<string, any>[]} */
  const cells = header.runs.map(() => ({}));
  const groups = header.groups ?? [];
  /** @type {Record<string, any>[]} */
  const groupCells = groups.map(() => ({}));
  for (const entry of /** @type {ArrayEntry[]} */ (header.arrays)) {
    const values = readArray(buffer, start, entry);
    if (entry.name === 'x') x = values;
    else if (entry.group !== undefined) groupCells[entry.group][entry.name] = values;
    else cells[entry.run ?? -1][entry.name] = values;
  }
  return {
    xKind: header.x_kind,
    xLabel: header.x_label,
    isExact: Boolean(header.exact),
    bucketWidth: header.bucket_width ?? null,
    x,
    xMin: header.x_min ?? null,
    xMax: header.x_max ?? null,
    smoothing: header.smoothing,
    xError: toNumber(header.x_error) ?? 0,
    runs: header.runs.map((/** @type {any} */ run, /** @type {number} */ index) => completeRun(run, cells[index], x.length)),
    groups: groups.map((/** @type {any} */ group, /** @type {number} */ index) => completeGroup(group, groupCells[index], x.length)),
  };
}

/** @param {ArrayBuffer} buffer */
function readHeader(buffer) {
  if (buffer.byteLength < 4) throw new DecodeError(`chart answer: expected a header, got ${buffer.byteLength} bytes`);
  const length = new DataView(buffer).getUint32(0, true);
  if (4 + length > buffer.byteLength) {
    throw new DecodeError(`chart answer: header of ${length} bytes does not fit in ${buffer.byteLength} bytes`);
  }
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, start: 4 + length };
}

/** @param {ArrayBuffer} buffer @param {number} start @param {ArrayEntry} entry */
function readArray(buffer, start, entry) {
  const dtype = DTYPES[entry.dtype];
  if (!dtype) throw new DecodeError(`chart answer: array ${entry.name} has the unknown type ${entry.dtype}`);
  const begin = start + entry.offset;
  const end = begin + entry.length * dtype.size;
  if (end > buffer.byteLength) throw new DecodeError(`chart answer: array ${entry.name} ends after the answer does`);
  // A typed array cannot begin at an unaligned byte; a copy can.
  if (begin % dtype.size === 0) return dtype.make(buffer, begin, entry.length);
  return dtype.make(buffer.slice(begin, end), 0, entry.length);
}

/**
 * @param {any} run
 * @param {Record<string, any>} cells
 * @param {number} length
 * @returns {ChartRun}
 */
function completeRun(run, cells, length) {
  const last = cells.last ?? new Float32Array(length).fill(NaN);
  return {
    id: run.id,
    metric: run.metric ?? '',
    n_points: run.n_points ?? 0,
    n_nonfinite: run.n_nonfinite ?? 0,
    last: toNumber(run.last),
    min: toNumber(run.min),
    max: toNumber(run.max),
    cells: {
      first: cells.first ?? last,
      last,
      min: cells.min ?? last,
      max: cells.max ?? last,
      mean: cells.mean ?? last,
      count: cells.count ?? new Uint32Array(length),
      nonfinite: cells.nonfinite ?? new Uint32Array(length),
      smooth: cells.smooth ?? null,
    },
  };
}

/**
 * @param {any} group
 * @param {Record<string, any>} cells
 * @param {number} length
 * @returns {ChartGroup}
 */
function completeGroup(group, cells, length) {
  const none = new Float32Array(length).fill(NaN);
  const { mean = none, std = none, sem = none, min = none, max = none, median = none, smooth = null } = cells;
  const n = cells.n ?? new Uint32Array(length);
  return {
    name: group.name, metric: group.metric ?? '', n_runs: group.n_runs ?? 0, n_points: group.n_points ?? 0,
    cells: { mean, std, sem, min, max, median, n, smooth },
  };
}

/** @param {unknown} value */
function toNumber(value) {
  return typeof value === 'number' ? value : null;
}
