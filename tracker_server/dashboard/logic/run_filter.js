/**
 * The filter box over runs. Terms are joined by spaces and must all hold:
 *   word            part of the name, id, group, job type, notes, host or a tag
 *   /regex/         the same, by regular expression
 *   state:failed    also name: id: group: job: tag: host:
 *   lr>0.01         config or summary key against a number: > >= < <= = !=
 *   -term           the opposite of a term;   "two words" keeps blanks
 */

/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {(run: RunRow) => boolean} Test */

const COMPARISON = /^([^<>=!]+)(>=|<=|!=|=|>|<)(.*)$/;
const FIELD = /^(state|name|id|group|job|tag|host):(.*)$/i;

/**
 * Turn the text of the filter box into a test.
 * @param {string} text
 * @returns {{test: Test, error: string|null}} an error text when a regular expression is wrong; that term is then ignored
 */
export function compileFilter(text) {
  /** @type {string|null} */
  let error = null;
  /** @type {Test[]} */
  const tests = [];
  for (const word of splitWords(text)) {
    try {
      tests.push(compileTerm(word));
    } catch (problem) {
      error = problem instanceof Error ? problem.message : String(problem);
    }
  }
  return { test: (run) => tests.every((test) => test(run)), error };
}

/**
 * Split at blanks outside of quotes and of /regular expressions/.
 * @param {string} text
 * @returns {string[]}
 */
export function splitWords(text) {
  const words = text.match(/-?\/(?:\\.|[^/\\])+\/|(?:"[^"]*"?|[^\s"])+/g) ?? [];
  return words.filter((word) => word !== '-' && word !== '""');
}

/** @param {string} word @returns {Test} */
function compileTerm(word) {
  if (word.startsWith('-') && word.length > 1) {
    const inner = compileTerm(word.slice(1));
    return (run) => !inner(run);
  }
  if (word.length > 2 && word.startsWith('/') && word.endsWith('/')) {
    const pattern = new RegExp(word.slice(1, -1), 'i');
    return (run) => searchable(run).some((part) => pattern.test(part));
  }
  const bare = word.replaceAll('"', '');
  const field = FIELD.exec(bare);
  if (field) return fieldTest(field[1].toLowerCase(), field[2].toLowerCase());
  const comparison = COMPARISON.exec(bare);
  if (comparison) return comparisonTest(comparison[1], comparison[2], comparison[3]);
  const needle = bare.toLowerCase();
  return (run) => searchable(run).some((part) => part.toLowerCase().includes(needle));
}

/** @param {RunRow} run @returns {string[]} */
function searchable(run) {
  const optional = [run.group, run.job_type, run.notes, run.host];
  return [run.name, run.id, ...run.tags, .../** @type {string[]} */ (optional.filter(Boolean))];
}

/** @param {string} field @param {string} needle @returns {Test} */
function fieldTest(field, needle) {
  if (field === 'tag') return (run) => run.tags.some((tag) => tag.toLowerCase() === needle);
  const key = field === 'job' ? 'job_type' : field;
  return (run) => {
    const value = String(/** @type {any} */ (run)[key] ?? '').toLowerCase();
    return field === 'state' ? value.startsWith(needle) : value.includes(needle);
  };
}

/** @param {string} key @param {string} operator @param {string} right @returns {Test} */
function comparisonTest(key, operator, right) {
  const number = right.trim() === '' ? NaN : Number(right);
  return (run) => {
    const left = columnValue(run, key) ?? columnValue(run, `config.${key}`) ?? columnValue(run, `summary.${key}`);
    if (left === undefined || left === null) return operator === '!=';
    if (typeof left === 'number' && !Number.isNaN(number)) return compareNumbers(left, operator, number);
    const isEqual = String(left).toLowerCase() === right.toLowerCase();
    return operator === '=' ? isEqual : operator === '!=' && !isEqual;
  };
}

/** @param {number} left @param {string} operator @param {number} right */
function compareNumbers(left, operator, right) {
  switch (operator) {
    case '>': return left > right;
    case '>=': return left >= right;
    case '<': return left < right;
    case '<=': return left <= right;
    case '!=': return left !== right;
    default: return left === right;
  }
}

/** Columns that every run has, by their key in the table and the URL. */
const OWN_COLUMNS = /** @type {Record<string, (run: RunRow) => any>} */ ({
  name: (run) => run.name,
  id: (run) => run.id,
  state: (run) => run.state,
  created: (run) => run.created_s,
  updated: (run) => run.updated_s,
  duration: (run) => run.duration_s,
  rows: (run) => run.n_rows,
  group: (run) => run.group,
  job: (run) => run.job_type,
  tags: (run) => run.tags.join(', '),
  host: (run) => run.host,
  attempt: (run) => run.attempt,
});

/**
 * The value of a column: an own column, or "config.<key>" or "summary.<key>".
 * @param {RunRow} run
 * @param {string} column
 * @returns {any} undefined when the run has none
 */
export function columnValue(run, column) {
  if (Object.hasOwn(OWN_COLUMNS, column)) return OWN_COLUMNS[column](run);
  const [table, key] = column.startsWith('config.')
    ? [run.config, column.slice(7)]
    : [column.startsWith('summary.') ? run.summary : undefined, column.slice(8)];
  if (!table || !Object.hasOwn(table, key)) return undefined;
  return fromWire(table[key]);
}

/** JSON has no NaN and no infinity: the API sends their names. @param {any} value */
export function fromWire(value) {
  if (value === 'NaN') return NaN;
  if (value === 'Infinity') return Infinity;
  return value === '-Infinity' ? -Infinity : value;
}

/**
 * Sort runs by a column. Stable; runs without a value come last in both directions, as does NaN.
 * @param {readonly RunRow[]} runs
 * @param {string} sort column key, with "-" before it when descending
 * @returns {RunRow[]}
 */
export function sortRuns(runs, sort) {
  const isDescending = sort.startsWith('-');
  const column = isDescending ? sort.slice(1) : sort;
  const keyed = runs.map((run) => ({ run, value: columnValue(run, column) }));
  keyed.sort((a, b) => {
    const missing = Number(isMissing(a.value)) - Number(isMissing(b.value));
    if (missing !== 0 || isMissing(a.value)) return missing;
    return isDescending ? compareValues(b.value, a.value) : compareValues(a.value, b.value);
  });
  return keyed.map((entry) => entry.run);
}

/** @param {any} value */
function isMissing(value) {
  return value === undefined || value === null || value === '' || Number.isNaN(value);
}

const TEXT_ORDER = new Intl.Collator('en', { numeric: true });

/** @param {any} a @param {any} b */
function compareValues(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'number') return -1;
  if (typeof b === 'number') return 1;
  return TEXT_ORDER.compare(String(a), String(b));
}
