/**
 * The state of a project or run page as a URL query, so that a link shows what its sender saw.
 * Only what differs from the default is written, so a fresh page has a clean address.
 */

/** @typedef {{min: number, max: number}} Range */
/** @typedef {{first: number, last: number}} LineRange from 0, both inside */
/**
 * @typedef {object} ViewState
 * @property {string} x "step", "relative_time", "wall_time" or "metric:<key>"
 * @property {number} smoothing 0 = none; of the EMA the weight, of other kinds a share of the whole range of x
 * @property {string} smoothKind one of SMOOTH_KINDS
 * @property {string} filter text over the run list: plain words, or a filter of docs/filters.md
 * @property {string} sort path of a column, with ":desc" behind it when descending
 * @property {number} lines how many runs, or groups, the charts draw when nothing is said of them
 * @property {'auto'|'none'} base which runs are shown when nothing is said of them
 * @property {readonly string[]} shown ids shown beyond the base
 * @property {readonly string[]} hidden ids hidden from the base
 * @property {Range|null} zoom of x, on all panels
 * @property {string} panels text over the chart wall
 * @property {readonly string[]} logY metrics on a log axis
 * @property {readonly string[]} clipped metrics whose y axis leaves outliers out
 * @property {readonly string[]} columns paths: the two columns of the compact list
 * @property {readonly string[]} tableColumns paths: those of the full table in their order; none: the usual ones
 * @property {readonly string[]} pinned paths of those that stay in sight
 * @property {readonly string[]} groupBy paths that runs are grouped by
 * @property {'std'|'sem'|'minmax'} band what the band around a group's line is
 * @property {boolean} isTable whether the list is expanded to the full table
 * @property {string} tab of the run page
 * @property {string} systemX x of the charts of the system tab
 * @property {Range|null} systemZoom
 * @property {''|'device'|'metric'} systemBy how these charts are arranged; "" is what suits the number of GPUs
 * @property {string} systemWriter whose machine these charts tell of; "" is the usual one
 * @property {string} codePart of the code tab: changes, files or packages; "" is the first that there is
 * @property {string} file shown there
 * @property {string} line of the log: "120" or "120-140", counted from 1
 * @property {string} find searched in the log
 * @property {string} writer whose log is shown; "" is the usual one
 * @property {string} step of all media, tables and plots: a number; "" is the latest
 * @property {string} keys text over the keys of media, tables and plots
 * @property {string} against id of the run that media are compared with, or ""
 * @property {string} table key of the table that is shown; "" is the first one
 */

/** @type {Readonly<ViewState>} */
export const DEFAULT_VIEW = Object.freeze({
  x: 'step', smoothing: 0, smoothKind: 'ema', filter: '', sort: 'created:desc', lines: 10, base: 'auto', shown: Object.freeze([]),
  hidden: Object.freeze([]), zoom: null, panels: '', logY: Object.freeze([]), clipped: Object.freeze([]), columns: Object.freeze([]),
  tableColumns: Object.freeze([]), pinned: Object.freeze([]), groupBy: Object.freeze([]), band: 'std',
  isTable: false, tab: 'charts', systemX: 'relative_time', systemZoom: null, systemBy: '', systemWriter: '', codePart: '', file: '',
  line: '', find: '', writer: '', step: '', keys: '', against: '', table: '',
});

export const MAX_SMOOTHING = 0.999;
/** What can smooth a line, and what each is told: the EMA keeps a share per point, the others are in units of x. */
export const SMOOTH_KINDS = Object.freeze([
  { key: 'ema', name: 'EMA', parameter: 'weight', symbol: 'weight' },
  { key: 'time_weighted_ema', name: 'Time-weighted EMA', parameter: 'half_life', symbol: 'half-life' },
  { key: 'gaussian', name: 'Gaussian', parameter: 'sigma', symbol: 'σ' },
  { key: 'running_mean', name: 'Running mean', parameter: 'window', symbol: 'window' },
]);
export const SLIDER_STEPS = 100;
/** Shares of the range of x at the slider's first step and at its end. */
const SHARES = { low: 0.0005, high: 0.25 };
/** How many runs the charts can be told to draw. */
export const LINE_CHOICES = Object.freeze([5, 10, 20, 50, 100]);
export const BANDS = Object.freeze([['std', 'mean ± std'], ['sem', 'mean ± standard error'], ['minmax', 'mean, min to max']]);
/** What is remembered of a project's page, and comes back when it is opened anew. */
const KEPT = /** @type {const} */ (['filter', 'sort', 'lines', 'columns', 'tableColumns', 'pinned', 'groupBy', 'band']);
const X_KINDS = new Set(['step', 'relative_time', 'wall_time']);
export const TABS = Object.freeze(['charts', 'media', 'tables', 'plots', 'alerts', 'artifacts', 'system', 'logs', 'code', 'config', 'summary', 'overview']);
const CODE_PARTS = ['changes', 'files', 'packages'];

/**
 * Read the query of an address. What is missing or senseless falls back to the default: a link never breaks a page.
 * @param {string} query with or without "?"
 * @returns {ViewState}
 */
export function parseView(query) {
  const params = new URLSearchParams(query);
  const x = params.get('x') ?? '';
  const systemX = params.get('sysx') ?? '';
  const isX = (/** @type {string} */ text) => X_KINDS.has(text) || (text.startsWith('metric:') && text.length > 7);
  return {
    x: isX(x) ? x : DEFAULT_VIEW.x,
    smoothing: clamp(Number(params.get('smooth') ?? 0), 0, MAX_SMOOTHING),
    smoothKind: oneOf(params.get('smoothkind'), SMOOTH_KINDS.map(({ key }) => key), DEFAULT_VIEW.smoothKind),
    filter: params.get('filter') ?? '',
    sort: params.get('sort') || DEFAULT_VIEW.sort,
    lines: LINE_CHOICES.find((n) => String(n) === params.get('lines')) ?? DEFAULT_VIEW.lines,
    base: params.get('runs') === 'none' ? 'none' : 'auto',
    shown: params.getAll('show').filter(Boolean),
    hidden: params.getAll('hide').filter(Boolean),
    zoom: parseRange(params.get('zoom')),
    panels: params.get('panels') ?? '',
    logY: params.getAll('logy').filter(Boolean),
    clipped: params.getAll('clip').filter(Boolean),
    columns: params.getAll('col').filter(Boolean).slice(0, 2),
    tableColumns: params.getAll('cols').filter(Boolean),
    pinned: params.getAll('pin').filter(Boolean),
    groupBy: params.getAll('group').filter(Boolean),
    band: /** @type {ViewState['band']} */ (oneOf(params.get('band'), BANDS.map(([key]) => key), DEFAULT_VIEW.band)),
    isTable: params.get('table') === '1',
    tab: oneOf(params.get('tab'), TABS, DEFAULT_VIEW.tab),
    systemX: isX(systemX) ? systemX : DEFAULT_VIEW.systemX,
    systemZoom: parseRange(params.get('syszoom')),
    systemBy: /** @type {ViewState['systemBy']} */ (oneOf(params.get('by'), ['device', 'metric'], '')),
    systemWriter: params.get('syswriter') ?? '',
    codePart: oneOf(params.get('code'), CODE_PARTS, ''),
    file: params.get('file') ?? '',
    line: formatLines(parseLines(params.get('line') ?? '')),
    find: params.get('find') ?? '',
    writer: params.get('writer') ?? '',
    step: /^-?\d{1,19}$/.test(params.get('step') ?? '') ? params.get('step') ?? '' : '',
    keys: params.get('keys') ?? '',
    against: params.get('against') ?? '',
    table: params.get('logged') ?? '',
  };
}

/** @param {string|null} text @param {readonly string[]} known @param {string} usual */
function oneOf(text, known, usual) {
  return text !== null && known.includes(text) ? text : usual;
}

/** @param {number} value @param {number} low @param {number} high */
function clamp(value, low, high) {
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : low;
}

/** @param {string|null} text @returns {Range|null} */
function parseRange(text) {
  const [min, max, ...rest] = (text ?? '').split('~').map((part) => (part.trim() === '' ? NaN : Number(part)));
  return rest.length === 0 && Number.isFinite(min) && Number.isFinite(max) && min < max ? { min, max } : null;
}

/**
 * Write a view as a query with its "?", or "" for the default view.
 * @param {ViewState} view
 */
export function formatView(view) {
  const params = new URLSearchParams();
  const put = (/** @type {string} */ key, /** @type {string} */ value, /** @type {string} */ usual) => {
    if (value !== usual) params.set(key, value);
  };
  put('tab', view.tab, DEFAULT_VIEW.tab);
  put('x', view.x, DEFAULT_VIEW.x);
  put('smooth', String(view.smoothing), '0');
  put('smoothkind', view.smoothKind, DEFAULT_VIEW.smoothKind);
  put('filter', view.filter, '');
  put('sort', view.sort, DEFAULT_VIEW.sort);
  put('lines', String(view.lines), String(DEFAULT_VIEW.lines));
  put('runs', view.base, DEFAULT_VIEW.base);
  for (const id of view.shown) params.append('show', id);
  for (const id of view.hidden) params.append('hide', id);
  if (view.zoom) params.set('zoom', `${view.zoom.min}~${view.zoom.max}`);
  put('panels', view.panels, '');
  for (const key of view.logY) params.append('logy', key);
  for (const key of view.clipped) params.append('clip', key);
  for (const key of view.columns) params.append('col', key);
  for (const path of view.tableColumns) params.append('cols', path);
  for (const path of view.pinned) params.append('pin', path);
  for (const path of view.groupBy) params.append('group', path);
  put('band', view.band, DEFAULT_VIEW.band);
  put('table', view.isTable ? '1' : '', '');
  put('sysx', view.systemX, DEFAULT_VIEW.systemX);
  if (view.systemZoom) params.set('syszoom', `${view.systemZoom.min}~${view.systemZoom.max}`);
  put('by', view.systemBy, DEFAULT_VIEW.systemBy);
  put('syswriter', view.systemWriter, '');
  put('code', view.codePart, '');
  put('file', view.file, '');
  put('line', view.line, '');
  put('find', view.find, '');
  put('writer', view.writer, '');
  put('step', view.step, '');
  put('keys', view.keys, '');
  put('against', view.against, '');
  put('logged', view.table, '');
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/**
 * Return the view with one run shown or hidden.
 * @param {ViewState} view
 * @param {string} id
 * @param {boolean} isShown what it shall be
 * @returns {ViewState}
 */
export function withRunShown(view, id, isShown) {
  const shown = view.shown.filter((other) => other !== id);
  const hidden = view.hidden.filter((other) => other !== id);
  if (isShown) shown.push(id);
  // With base "none" a run is hidden unless it is named, so nothing needs to be written.
  else if (view.base === 'auto') hidden.push(id);
  return { ...view, shown, hidden };
}

/**
 * Return which runs the charts draw: the first `lines` of the list that nobody hid, and every run that somebody showed.
 * @param {readonly string[]} listed ids in the order of the list
 * @param {readonly string[]} picked ids that somebody showed, of those in the list
 * @param {Pick<ViewState, 'base'|'hidden'|'lines'>} view
 * @returns {string[]}
 */
export function chartedRuns(listed, picked, view) {
  const hidden = new Set(view.hidden);
  // A hidden run uses up its place: else hiding one would bring in another that nobody asked for.
  const first = view.base === 'auto' ? listed.slice(0, view.lines).filter((id) => !hidden.has(id)) : [];
  return [...new Set([...first, ...picked])];
}

/** What of a view is remembered with its project. @param {ViewState} view @returns {Partial<ViewState>} */
export function keptView(view) {
  const entries = KEPT.filter((key) => JSON.stringify(view[key]) !== JSON.stringify(DEFAULT_VIEW[key])).map((key) => [key, view[key]]);
  return Object.fromEntries(entries);
}

/** The address of a view that was remembered; what it holds beside is left out. @param {unknown} kept */
export function keptQuery(kept) {
  const known = Object.fromEntries(Object.entries(kept ?? {}).filter(([key]) => KEPT.some((name) => name === key)));
  try {
    return formatView({ ...DEFAULT_VIEW, ...known });
  } catch {
    // Something else wrote there; a page never fails for it.
    return '';
  }
}

/**
 * Lines in the address: "120" or "120-140", counted from 1.
 * @param {string} text
 * @returns {LineRange|null}
 */
export function parseLines(text) {
  const match = /^(\d{1,12})(?:-(\d{1,12}))?$/.exec(text);
  if (!match) return null;
  const ends = [Number(match[1]), Number(match[2] ?? match[1])].sort((a, b) => a - b);
  return ends[0] < 1 ? null : { first: ends[0] - 1, last: ends[1] - 1 };
}

/** @param {LineRange|null} range */
export function formatLines(range) {
  if (!range) return '';
  return range.first === range.last ? String(range.first + 1) : `${range.first + 1}-${range.last + 1}`;
}

/**
 * Where the slider stands: equal ways give equal factors of how far a point reaches, as near 1 a weight does much.
 * @param {string} kind @param {number} smoothing
 */
export function sliderOf(kind, smoothing) {
  if (smoothing <= 0) return 0;
  if (kind === 'ema') return Math.round(SLIDER_STEPS * (Math.log(1 - smoothing) / Math.log(1 - MAX_SMOOTHING)));
  const way = Math.log(smoothing / SHARES.low) / Math.log(SHARES.high / SHARES.low);
  return clamp(Math.round(1 + way * (SLIDER_STEPS - 1)), 1, SLIDER_STEPS);
}

/** @param {string} kind @param {number} position of the slider */
export function smoothingAt(kind, position) {
  if (position <= 0) return 0;
  if (kind === 'ema') return Number((1 - (1 - MAX_SMOOTHING) ** (position / SLIDER_STEPS)).toFixed(3));
  return Number((SHARES.low * (SHARES.high / SHARES.low) ** ((position - 1) / (SLIDER_STEPS - 1))).toPrecision(2));
}

/**
 * What to ask of the server: a share of the range becomes a length in x, of two digits.
 * @param {string} kind @param {number} smoothing
 * @param {Range|null} range of x, whole; null: not known yet
 * @returns {import('../types.js').Smoothing|null} null where the range is needed
 */
export function smoothingRequest(kind, smoothing, range) {
  if (smoothing <= 0) return { kind: 'none' };
  if (kind === 'ema') return { kind, weight: smoothing };
  if (!range) return null;
  const length = Number(((range.max - range.min) * smoothing).toPrecision(2));
  const { parameter } = /** @type {typeof SMOOTH_KINDS[number]} */ (SMOOTH_KINDS.find(({ key }) => key === kind));
  return length > 0 && Number.isFinite(length) ? { kind, [parameter]: length } : { kind: 'none' };
}
