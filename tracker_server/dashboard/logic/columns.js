/** Which columns the run table has, found from the runs themselves. */

/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {{key: string, label: string, group: 'run'|'config'|'summary', width: number, isNumeric: boolean,
 *   isConstant: boolean, isTelling: boolean}} Column */

/** @type {[string, string, number, boolean][]} key, label, width in px, numeric */
const OWN = [
  ['name', 'Name', 240, false], ['state', 'State', 104, false], ['created', 'Created', 90, true],
  ['duration', 'Duration', 90, true], ['rows', 'Rows', 90, true], ['group', 'Group', 110, false],
  ['job', 'Job type', 100, false], ['tags', 'Tags', 140, false], ['host', 'Host', 130, false],
];

/** Columns hidden while no run has anything in them. */
const OPTIONAL = /** @type {Record<string, (run: RunRow) => boolean>} */ ({
  group: (run) => Boolean(run.group),
  job: (run) => Boolean(run.job_type),
  tags: (run) => run.tags.length > 0,
  host: (run) => Boolean(run.host),
});

/**
 * List all columns: the run's own, config that tells runs apart, summary, then the rest of the config, which a framework
 * may fill with hundreds of defaults. Each by key.
 * @param {readonly RunRow[]} runs
 * @returns {Column[]}
 */
export function listColumns(runs) {
  const config = tableColumns(runs, 'config');
  const own = OWN.filter(([key]) => !OPTIONAL[key] || runs.some(OPTIONAL[key]));
  return [
    ...own.map(([key, label, width, isNumeric]) => (
      /** @type {Column} */ ({ key, label, group: 'run', width, isNumeric, isConstant: false, isTelling: true }))),
    ...config.filter(({ isTelling }) => isTelling),
    ...tableColumns(runs, 'summary'),
    ...config.filter(({ isTelling }) => !isTelling),
  ];
}

/** @param {readonly RunRow[]} runs @param {'config'|'summary'} group @returns {Column[]} */
function tableColumns(runs, group) {
  /** @type {Map<string, {n: number, first: any, isConstant: boolean, isNumeric: boolean}>} */
  const seen = new Map();
  for (const run of runs) {
    const table = run[group];
    for (const key in table) {
      const value = table[key];
      const entry = seen.get(key);
      if (!entry) seen.set(key, { n: 1, first: value, isConstant: true, isNumeric: looksNumeric(value) });
      else {
        entry.n += 1;
        entry.isConstant &&= isSame(entry.first, value);
        entry.isNumeric &&= looksNumeric(value);
      }
    }
  }
  return [...seen.keys()].sort(compareKeys).map((key) => {
    const entry = /** @type {NonNullable<ReturnType<typeof seen.get>>} */ (seen.get(key));
    const width = Math.min(220, Math.max(96, key.length * 7 + 28));
    const isConstant = entry.isConstant && entry.n === runs.length && runs.length > 1;
    const isTelling = !entry.isConstant || runs.length === 1;
    return { key: `${group}.${key}`, label: key, group, width, isNumeric: entry.isNumeric, isConstant, isTelling };
  });
}

/** @param {any} value */
function looksNumeric(value) {
  return typeof value === 'number' || value === 'NaN' || value === 'Infinity' || value === '-Infinity';
}

/** @param {any} a @param {any} b */
function isSame(a, b) {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}

/** @param {string} a @param {string} b */
function compareKeys(a, b) {
  return a < b ? -1 : Number(a > b);
}

const LIKELY = [/^(val|valid|validation|eval|test)[/_]?(loss|acc|accuracy)/i, /(^|[/_])(loss|acc|accuracy|reward|score)$/i, /loss|acc/i];

/**
 * The two columns of the compact list when nobody chose: the most telling metric, and the age.
 * @param {readonly Column[]} columns
 * @returns {string[]}
 */
export function defaultColumns(columns) {
  const summary = columns.filter((column) => column.group === 'summary' && column.isNumeric);
  for (const pattern of LIKELY) {
    const found = summary.find((column) => pattern.test(column.label));
    if (found) return [found.key, 'created'];
  }
  return [summary[0]?.key ?? 'duration', 'created'];
}
