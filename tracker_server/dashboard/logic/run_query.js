/**
 * What the filter box means to the server, and filters that the page itself asks with. The language is that of
 * docs/filters.md; only the server reads it. Pure.
 */

/** Signs and words that plain text does not have. */
const LANGUAGE = /[=<>~!()[\]]|(?:^|\s)(?:and|or|not|in|is|exists)(?:\s|$)/;
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;
/** Where plain words are looked for. */
const SEARCHED = ['name', 'id', 'tags', 'notes'];
/** The server takes no longer filter. */
const MAX_CHARACTERS = 10_000;

/** Whether the text is words to look for, rather than a filter. @param {string} text */
export function isPlain(text) {
  return !LANGUAGE.test(text.replace(QUOTED, 'x'));
}

/** Whether the text is the begin of a name of the language, still without anything said of it. @param {string} text */
export function isUnfinished(text) {
  return /^\s*(?:config|summary|environment)(?:$|[.[])/.test(text) && !/[\s=<>~!]/.test(text.trim());
}

/**
 * The filter that a text means: itself, or of plain words that each is somewhere in name, id, tags or notes, in any case.
 * @param {string} text
 */
export function toFilter(text) {
  const trimmed = text.trim();
  if (trimmed === '' || !isPlain(trimmed)) return text;
  const words = (trimmed.match(/"[^"]*"?|'[^']*'?|[^\s"']+/g) ?? []).map(unquoted).filter(Boolean);
  return words.map((word) => {
    const pattern = quote(`(?i)${escapePattern(word)}`);
    return `(${SEARCHED.map((field) => `${field} ~ ${pattern}`).join(' or ')})`;
  }).join(' and ');
}

/** @param {string} word */
function unquoted(word) {
  return word.startsWith('"') || word.startsWith("'") ? word.replaceAll(word[0], '') : word;
}

/** @param {string} text */
function escapePattern(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** A text as the language writes it. @param {string} text */
export function quote(text) {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `"${escaped.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}"`;
}

/** The filter that wants all of these; empty ones want nothing. @param {readonly string[]} filters */
export function allOf(filters) {
  const real = filters.filter((filter) => filter.trim() !== '');
  return real.length > 1 ? real.map((filter) => `(${filter})`).join(' and ') : real[0] ?? '';
}

/**
 * Filters that together find the runs of these ids, each short enough for the server.
 * @param {readonly string[]} ids
 * @param {string} [also] what they must match beside
 * @returns {{filter: string, ids: string[]}[]}
 */
export function idFilters(ids, also = '') {
  /** @type {{filter: string, ids: string[]}[]} */
  const found = [];
  // Room for the rest of the text; a filter that leaves none is asked with one id at a time, and the server says why not.
  const room = MAX_CHARACTERS - also.length - 32;
  let part = /** @type {string[]} */ ([]);
  let length = 0;
  const close = () => {
    if (part.length > 0) found.push({ filter: allOf([also, `id in [${part.map(quote).join(', ')}]`]), ids: part });
    part = [];
    length = 0;
  };
  for (const id of ids) {
    const size = quote(id).length + 2;
    if (length + size > room) close();
    part.push(id);
    length += size;
  }
  close();
  return found;
}

/** @typedef {string|number|boolean|null|readonly any[]} KeyValue a value that runs are grouped by; null: none */

const GROUP_PREFIX = 'group:';

/** The name under which a group is shown and hidden; no run has one like it. @param {readonly KeyValue[]} key */
export function groupId(key) {
  return GROUP_PREFIX + JSON.stringify(key);
}

/** @param {string} id of a run or a group */
export const isGroupId = (id) => id.startsWith(GROUP_PREFIX);

/**
 * The filter that finds the runs of a group.
 * @param {readonly string[]} paths
 * @param {readonly KeyValue[]} key
 */
export function groupFilter(paths, key) {
  return allOf(paths.map((path, index) => valueFilter(path, key[index])));
}

/** JSON has no NaN and no infinity: the server sends their names. */
const NAMED = /** @type {Record<string, string>} */ ({ NaN: 'nan', Infinity: 'inf', '-Infinity': '-inf' });

/** @param {string} path @param {KeyValue} value */
function valueFilter(path, value) {
  if (value === null || value === undefined) return `(${path} is None or not ${path} exists)`;
  const named = typeof value === 'string' && Object.hasOwn(NAMED, value) ? NAMED[value] : null;
  if (named) return `(${path} == ${named} or ${path} == ${quote(String(value))})`;
  return `${path} == ${literal(value)}`;
}

/** @param {KeyValue} value @returns {string} */
function literal(value) {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === null) return 'None';
  return Array.isArray(value) ? `[${value.map(literal).join(', ')}]` : String(value);
}

/** @typedef {{path: string, isDescending: boolean}} Sort */

/** @param {string} text such as config.lr:desc @returns {Sort} */
export function parseSort(text) {
  const found = /^(.*):(asc|desc)$/s.exec(text.trim());
  return found ? { path: found[1].trim(), isDescending: found[2] === 'desc' } : { path: text.trim(), isDescending: false };
}

/** @param {Sort} sort */
export function formatSort({ path, isDescending }) {
  return isDescending ? `${path}:desc` : path;
}
