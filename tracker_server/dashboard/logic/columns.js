/**
 * Columns of the run table. A column is a path of the filter language: a field that every run has, a key of the config or
 * the summary, or an aggregate of a metric. Which keys there are, the server tells. Pure.
 */
import { quote } from './run_query.js';

/** @typedef {import('../types.js').RunRow} RunRow */
/** @typedef {import('../types.js').ColumnInfo} ColumnInfo */
/** @typedef {{root: 'run'|'config'|'summary', key: string, aggregate: string}} Place where a path leads; aggregate "": none */
/** @typedef {{path: string, label: string, root: 'run'|'config'|'summary', width: number, isNumeric: boolean}} Column */

export const AGGREGATES = Object.freeze(['last', 'min', 'max', 'mean', 'first']);

/** @typedef {{path: string, label: string, width: number, isNumeric: boolean, read: (run: RunRow) => any}} OwnColumn */
/** @type {readonly OwnColumn[]} */
const OWN = [
  { path: 'name', label: 'Name', width: 240, isNumeric: false, read: (run) => run.name },
  { path: 'state', label: 'State', width: 104, isNumeric: false, read: (run) => run.state },
  { path: 'created', label: 'Created', width: 90, isNumeric: true, read: (run) => run.created_s },
  { path: 'duration', label: 'Duration', width: 90, isNumeric: true, read: (run) => run.duration_s },
  { path: 'n_rows', label: 'Rows', width: 90, isNumeric: true, read: (run) => run.n_rows },
  { path: 'tags', label: 'Tags', width: 140, isNumeric: false, read: (run) => run.tags.join(', ') },
  { path: 'group', label: 'Group', width: 110, isNumeric: false, read: (run) => run.group },
  { path: 'job_type', label: 'Job type', width: 100, isNumeric: false, read: (run) => run.job_type },
  { path: 'host', label: 'Host', width: 130, isNumeric: false, read: (run) => run.host },
  { path: 'notes', label: 'Notes', width: 200, isNumeric: false, read: (run) => run.notes },
  { path: 'id', label: 'Id', width: 110, isNumeric: false, read: (run) => run.id },
  { path: 'ended', label: 'Ended', width: 90, isNumeric: true, read: (run) => run.ended_s },
  { path: 'attempt', label: 'Attempt', width: 80, isNumeric: true, read: (run) => run.attempt },
  { path: 'exit_code', label: 'Exit code', width: 84, isNumeric: true, read: (run) => run.exit_code },
  { path: 'signal', label: 'Signal', width: 90, isNumeric: false, read: (run) => run.signal },
];
const OWN_BY_PATH = new Map(OWN.map((column) => [column.path, column]));
/** The fields that are columns. */
export const OWN_PATHS = Object.freeze(OWN.map(({ path }) => path));
/** Fields that can be asked for, but are not sent with a run. */
export const UNSENT_FIELDS = Object.freeze(['user', 'command', 'project', 'entity', 'forked_from']);

const PLAIN_NAME = /^[\p{L}\p{Nl}_][\p{L}\p{N}_]*$/u;
const PART = /\.\s*([\p{L}\p{Nl}_][\p{L}\p{N}_]*)|\[\s*"((?:[^"\\]|\\.)*)"\s*\]|\[\s*'((?:[^'\\]|\\.)*)'\s*\]/uy;

/** Places of paths that were read before: a table reads each for every cell. @type {Map<string, Place|null>} */
const places = new Map();
const MOST_PLACES = 5000;

/** @param {string} path @returns {Place|null} null where it is none */
export function parsePath(path) {
  const known = places.get(path);
  if (known !== undefined) return known;
  if (places.size >= MOST_PLACES) places.clear();
  const place = readPath(path);
  places.set(path, place);
  return place;
}

/** @param {string} path @returns {Place|null} */
function readPath(path) {
  const text = path.trim();
  if (OWN_BY_PATH.has(text)) return { root: 'run', key: text, aggregate: '' };
  const root = /^(config|summary)(?=[.[])/.exec(text)?.[1];
  if (!root) return null;
  /** @type {{name: string, isQuoted: boolean}[]} */
  const parts = [];
  PART.lastIndex = root.length;
  while (PART.lastIndex < text.length) {
    const found = PART.exec(text);
    if (!found) return null;
    const quoted = found[2] ?? found[3];
    parts.push({ name: quoted === undefined ? found[1] : unescaped(quoted), isQuoted: quoted !== undefined });
  }
  const last = parts[parts.length - 1];
  const hasAggregate = root === 'summary' && parts.length > 1 && !last.isQuoted && AGGREGATES.includes(last.name);
  const names = (hasAggregate ? parts.slice(0, -1) : parts).map(({ name }) => name);
  return { root: /** @type {Place['root']} */ (root), key: names.join('.'), aggregate: hasAggregate ? last.name : '' };
}

/** @param {string} text */
function unescaped(text) {
  const escapes = /** @type {Record<string, string>} */ ({ n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"', "'": "'" });
  return text.replace(/\\(.)/gs, (whole, letter) => escapes[letter] ?? whole);
}

/** @param {'config'|'summary'} root @param {string} key @param {string} [aggregate] */
export function formatPath(root, key, aggregate = '') {
  const names = key.split('.');
  const readsAsAggregate = root === 'summary' && aggregate === '' && names.length > 1 && AGGREGATES.includes(names[names.length - 1]);
  const isPlain = names.every((name) => PLAIN_NAME.test(name)) && !readsAsAggregate;
  return `${root}${isPlain ? `.${key}` : `[${quote(key)}]`}${aggregate === '' ? '' : `.${aggregate}`}`;
}

/**
 * The value of a column.
 * @param {RunRow} run
 * @param {string} path
 * @returns {any} undefined when the run has none, or it was not asked for
 */
export function columnValue(run, path) {
  const own = OWN_BY_PATH.get(path);
  if (own) return own.read(run);
  const place = parsePath(path);
  if (!place || place.root === 'run') return undefined;
  const key = place.aggregate === '' ? place.key : `${place.key}.${place.aggregate}`;
  return Object.hasOwn(run[place.root], key) ? fromWire(run[place.root][key]) : undefined;
}

/** JSON has no NaN and no infinity: the API sends their names. @param {any} value */
export function fromWire(value) {
  if (value === 'NaN') return NaN;
  if (value === 'Infinity') return Infinity;
  return value === '-Infinity' ? -Infinity : value;
}

/**
 * What is shown of a column.
 * @param {string} path
 * @param {ReadonlyMap<string, ColumnInfo>} infos
 * @returns {Column}
 */
export function columnOf(path, infos) {
  const own = OWN_BY_PATH.get(path);
  if (own) return { path, label: own.label, root: 'run', width: own.width, isNumeric: own.isNumeric };
  const place = parsePath(path);
  if (!place) return { path, label: path, root: 'run', width: 110, isNumeric: false };
  const label = place.aggregate === '' ? place.key : `${place.key} ${place.aggregate}`;
  const kinds = infos.get(formatPath(/** @type {'config'} */ (place.root), place.key))?.kinds;
  const isNumeric = place.aggregate !== '' || (kinds ? kinds.includes('number') && kinds.every((kind) => kind === 'number' || kind === 'none') : place.root === 'summary');
  return { path, label, root: place.root, width: Math.min(220, Math.max(96, label.length * 7 + 28)), isNumeric };
}

const LIKELY = [/^(val|valid|validation|eval|test)[/_]?(loss|acc|accuracy)/i, /(^|[/_])(loss|acc|accuracy|reward|score)$/i, /loss|acc/i];
/** Columns of the full table when nobody chose. */
const USUAL_FIELDS = ['state', 'created', 'duration', 'tags'];
const USUAL_KEYS = 10;

/** @param {readonly ColumnInfo[]} infos @param {'config'|'summary'} root */
const below = (infos, root) => infos.filter((info) => parsePath(info.path)?.root === root);

/** The most telling metrics first. @param {readonly ColumnInfo[]} infos */
function metricsByInterest(infos) {
  const rank = (/** @type {ColumnInfo} */ info) => {
    const place = LIKELY.findIndex((pattern) => pattern.test(parsePath(info.path)?.key ?? ''));
    return place < 0 ? LIKELY.length : place;
  };
  return below(infos, 'summary').filter((info) => info.kinds.includes('number')).sort((a, b) => rank(a) - rank(b));
}

/**
 * The two columns of the compact list when nobody chose: the most telling metric, and the age.
 * @param {readonly ColumnInfo[]} infos
 * @returns {string[]}
 */
export function compactPaths(infos) {
  return [metricsByInterest(infos)[0]?.path ?? 'duration', 'created'];
}

/**
 * Those of the full table when nobody chose: what most runs have, as a framework may fill a config with hundreds of defaults.
 * @param {readonly ColumnInfo[]} infos most runs first
 * @returns {string[]}
 */
export function tablePaths(infos) {
  const keys = (/** @type {readonly ColumnInfo[]} */ found) => found.slice(0, USUAL_KEYS).map(({ path }) => path);
  return [...USUAL_FIELDS, ...keys(metricsByInterest(infos)), ...keys(below(infos, 'config'))];
}
