/** Puts charts of one line each on one grid. Pure. */

/** @typedef {import('../types.js').ChartData} ChartData */
/** @typedef {import('../types.js').ChartRun} ChartRun */

/**
 * Join charts whose only line gets a new id. The grid is every x of any of them; a cell that a chart did not have is empty.
 * @param {readonly ChartData[]} charts of one x kind
 * @param {readonly string[]} ids one a chart
 * @returns {ChartData}
 */
export function mergeCharts(charts, ids) {
  const x = unionOf(charts.map((chart) => chart.x));
  const runs = charts.flatMap((chart, index) => chart.runs.slice(0, 1).map((run) => spreadRun(run, ids[index], chart.x, x)));
  const some = charts.filter((chart) => chart.runs.length > 0);
  const first = some[0] ?? charts[0];
  return {
    ...first, x, runs,
    isExact: some.every((chart) => chart.isExact),
    bucketWidth: largest(some.map((chart) => chart.bucketWidth)),
    xMin: smallest(some.map((chart) => chart.xMin)),
    xMax: largest(some.map((chart) => chart.xMax)),
  };
}

/** @param {readonly (number|null)[]} values */
function largest(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.max(.../** @type {number[]} */ (known)) : null;
}

/** @param {readonly (number|null)[]} values */
function smallest(values) {
  const negated = largest(values.map((value) => (value === null ? null : -value)));
  return negated === null ? null : -negated;
}

/** @param {Float64Array[]} grids ascending */
function unionOf(grids) {
  const [first] = grids;
  if (!first || grids.every((grid) => isSame(grid, first))) return first ?? new Float64Array(0);
  return Float64Array.from(new Set(grids.flatMap((grid) => [...grid]))).sort();
}

/** @param {Float64Array} a @param {Float64Array} b */
function isSame(a, b) {
  return a === b || (a.length === b.length && a.every((value, index) => value === b[index]));
}

/** @param {ChartRun} run @param {string} id @param {Float64Array} from @param {Float64Array} to @returns {ChartRun} */
function spreadRun(run, id, from, to) {
  if (isSame(from, to)) return { ...run, id };
  const places = new Map([...to].map((value, index) => [value, index]));
  const floats = (/** @type {Float32Array} */ values) => spread(values, new Float32Array(to.length).fill(NaN));
  const counts = (/** @type {Uint32Array} */ values) => spread(values, new Uint32Array(to.length));
  /** @template {Float32Array|Uint32Array} A @param {A} values @param {A} wide @returns {A} */
  const spread = (values, wide) => {
    from.forEach((value, index) => { wide[/** @type {number} */ (places.get(value))] = values[index]; });
    return wide;
  };
  const { cells } = run;
  return {
    ...run, id,
    cells: {
      first: floats(cells.first), last: floats(cells.last), min: floats(cells.min), max: floats(cells.max), mean: floats(cells.mean),
      count: counts(cells.count), nonfinite: counts(cells.nonfinite), smooth: cells.smooth && floats(cells.smooth),
    },
  };
}
