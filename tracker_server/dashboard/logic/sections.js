/** Groups metrics into sections of the chart wall by the part of their name before the first "/". */

/** @typedef {{name: string, metrics: string[], isSystem: boolean}} Section */

/**
 * Group metric keys, what people look at first before the rest: metrics without a prefix, then train, val, eval and
 * test, then by name, "system/…" last; within a section losses, then scores, and counters such as the epoch last.
 * @param {readonly string[]} keys
 * @param {string} query of the panel search: part of a name, or /regex/
 * @returns {Section[]}
 */
export function groupMetrics(keys, query) {
  const test = panelTest(query);
  /** @type {Map<string, string[]>} */
  const sections = new Map();
  for (const key of keys) {
    if (!test(key)) continue;
    const name = sectionOf(key);
    const members = sections.get(name);
    if (members) members.push(key);
    else sections.set(name, [key]);
  }
  return [...sections]
    .map(([name, metrics]) => ({ name, metrics: inOrder(metrics), isSystem: name === 'system' }))
    .sort((a, b) => rank(a) - rank(b) || NATURAL.compare(a.name, b.name));
}

const NATURAL = new Intl.Collator('en', { numeric: true });

/** What people look at first. */
const LEADING = [/^train/i, /^(val|valid|validation)$/i, /^eval/i, /^test/i];

const LOSS = /loss|perplexity/i;
const SCORE = /acc|f1|auc|reward|score|recall|precision|bleu|rouge/i;
const COUNTER = /(^|[/_.])(epoch|step|global_step|iteration|lr|learning_rate)([-/_.]|$)/i;

/** @param {string} key */
function metricRank(key) {
  if (COUNTER.test(key)) return 3;
  if (LOSS.test(key)) return 0;
  return SCORE.test(key) ? 1 : 2;
}

/** Stable: within a rank the order given stays. @param {string[]} metrics */
function inOrder(metrics) {
  return [...metrics].sort((a, b) => metricRank(a) - metricRank(b));
}

/** @param {Section} section */
function rank(section) {
  if (section.isSystem) return 9;
  if (section.name === '') return section.metrics.every((key) => metricRank(key) === 3) ? 8.5 : 0;
  const place = LEADING.findIndex((pattern) => pattern.test(section.name));
  return place < 0 ? 8 : place + 1;
}

/** The section of a metric: what stands before its first "/". @param {string} key */
export function sectionOf(key) {
  const slash = key.indexOf('/');
  return slash > 0 ? key.slice(0, slash) : '';
}

/** @param {string} query @returns {(key: string) => boolean} */
function panelTest(query) {
  const text = query.trim();
  if (text === '') return () => true;
  if (text.length > 2 && text.startsWith('/') && text.endsWith('/')) {
    try {
      const pattern = new RegExp(text.slice(1, -1), 'i');
      return (key) => pattern.test(key);
    } catch {
      // Half a regular expression while it is being typed matches as plain text.
    }
  }
  const needles = text.toLowerCase().split(/\s+/);
  return (key) => needles.every((needle) => key.toLowerCase().includes(needle));
}
