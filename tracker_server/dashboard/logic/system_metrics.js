/**
 * System metrics of a run, arranged to be looked at: by device, or by what was measured with one line a GPU. Names are
 * "system/gpu<i>/power_w" and "system/cpu_percent"; docs/capture.md lists them.
 */
import { formatMeasured } from './units.js';

/** @typedef {import('../types.js').RunMetric} RunMetric */
/** @typedef {{name: string, title: string, note: string, metrics: string[]}} SystemSection name: a short key, unique */

const PREFIX = 'system/';
const GPU = /^system\/gpu(\d+)\/(.+)$/;

/** @type {[string, string, RegExp][]} key, title, which metrics; in this order below the GPUs */
const HOST_SECTIONS = [
  ['cpu', 'CPU', /^system\/(cpu_|load_)/],
  ['memory', 'Memory', /^system\/(memory_|swap_)/],
  ['process', 'Processes of the run', /^system\/process(_tree)?\//],
  ['disk', 'Disk', /^system\/disk\//],
  ['network', 'Network', /^system\/network\//],
];

/** What is looked at first, and how it is called; the rest follows under its own name. */
const TITLES = /** @type {Record<string, string>} */ ({
  utilization_percent: 'Utilisation', memory_used_bytes: 'Memory used', power_w: 'Power', temperature_c: 'Temperature',
  memory_percent: 'Memory used, share', process_memory_used_bytes: 'Memory of this process',
  memory_utilization_percent: 'Memory bus busy', sm_active_percent: 'SM active', sm_occupancy_percent: 'SM occupancy',
  tensor_active_percent: 'Tensor cores active', dram_active_percent: 'DRAM active', sm_clock_mhz: 'SM clock',
  memory_clock_mhz: 'Memory clock', energy_j: 'Energy since the start', pcie_rx_bytes_per_s: 'PCIe received',
  pcie_tx_bytes_per_s: 'PCIe sent', nvlink_rx_bytes_per_s: 'NVLink received', nvlink_tx_bytes_per_s: 'NVLink sent',
  fan_percent: 'Fan', encoder_percent: 'Video encoder', decoder_percent: 'Video decoder', throttled: 'Throttled',
  ecc_corrected: 'ECC errors corrected', ecc_uncorrected: 'ECC errors uncorrected', remapped_rows: 'Remapped memory rows',
  memory_total_bytes: 'Memory in all', power_limit_w: 'Power limit',
  'cpu_percent': 'CPU of all cores', load_1m: 'Load, 1 minute', 'cpu_n_cores': 'Cores', swap_used_bytes: 'Swap used',
  'process/cpu_percent': 'CPU of the process', 'process/memory_rss_bytes': 'Memory of the process (RSS)',
  'process_tree/cpu_percent': 'CPU with children', 'process_tree/memory_rss_bytes': 'Memory with children (RSS)',
  'process_tree/n_processes': 'Processes', 'process/n_threads': 'Threads', 'process/n_open_files': 'Open files',
  'disk/read_bytes_per_s': 'Read', 'disk/write_bytes_per_s': 'Written', 'disk/used_percent': 'Disk used',
  'disk/free_bytes': 'Disk free', 'network/received_bytes_per_s': 'Received', 'network/sent_bytes_per_s': 'Sent',
});
const ORDER = Object.keys(TITLES);

/** Metrics that say how large a thing is; they become part of another panel's title while they do not change. */
const SIZES = /** @type {Record<string, string>} */ ({
  memory_used_bytes: 'memory_total_bytes', power_w: 'power_limit_w', cpu_percent: 'cpu_n_cores',
});

/** The index of the GPU that a metric is of, or null. @param {string} key */
export function gpuIndex(key) {
  const match = GPU.exec(key);
  return match ? Number(match[1]) : null;
}

/** A metric's name without "system/" and "gpu0/". @param {string} key */
export function shortKey(key) {
  return GPU.exec(key)?.[2] ?? (key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key);
}

/** What a metric is called on its panel. @param {string} key */
export function systemTitle(key) {
  const short = shortKey(key);
  if (Object.hasOwn(TITLES, short)) return TITLES[short];
  const text = short.replace(/_(percent|bytes_per_s|bytes|w|c|mhz|j)$/, '').replaceAll(/[_/]/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {string} a @param {string} b */
function compareKeys(a, b) {
  const place = (/** @type {string} */ key) => {
    const index = ORDER.indexOf(shortKey(key));
    return index < 0 ? ORDER.length : index;
  };
  return place(a) - place(b) || (a < b ? -1 : Number(a > b));
}

/** Sizes that never changed, by metric: the total memory of a GPU. @param {readonly RunMetric[]} metrics */
function constantSizes(metrics) {
  const wanted = new Set(Object.values(SIZES));
  return new Map(metrics.filter((metric) => wanted.has(shortKey(metric.key)) && metric.min === metric.max && typeof metric.last === 'number')
    .map((metric) => [metric.key, /** @type {number} */ (metric.last)]));
}

/**
 * How large the thing is whose use is measured: the memory of a GPU in bytes.
 * @param {readonly RunMetric[]} metrics
 * @param {string} key or, for all GPUs together, what follows "system/gpu<i>/"
 * @returns {number|null} null when that is not known, or not the same for all
 */
export function sizeOf(metrics, key) {
  const short = shortKey(key);
  if (!Object.hasOwn(SIZES, short)) return null;
  const sizes = constantSizes(metrics);
  if (key.startsWith(PREFIX)) return sizes.get(key.slice(0, key.length - short.length) + SIZES[short]) ?? null;
  const all = new Set([...sizes].filter(([other]) => gpuIndex(other) !== null && shortKey(other) === SIZES[short]).map(([, size]) => size));
  return all.size === 1 ? [...all][0] : null;
}

/**
 * What is said beside the title: "of 80 GiB".
 * @param {readonly RunMetric[]} metrics
 * @param {string} key
 */
export function sizeNote(metrics, key) {
  const size = sizeOf(metrics, key);
  const short = shortKey(key);
  if (size === null) return '';
  return short === 'cpu_percent' ? `${size} cores` : `of ${formatMeasured(SIZES[short], size)}`;
}

/** Indices of the GPUs that were measured. @param {readonly RunMetric[]} metrics @returns {number[]} ascending */
export function gpuIndices(metrics) {
  const found = new Set(metrics.map((metric) => gpuIndex(metric.key)).filter((index) => index !== null));
  return [.../** @type {Set<number>} */ (found)].sort((a, b) => a - b);
}

/**
 * One section a GPU, then those of the machine.
 * @param {readonly RunMetric[]} metrics
 * @param {readonly {index: number, name?: string, uuid?: string, memory_total_bytes?: number}[]} gpus of the environment
 * @returns {SystemSection[]}
 */
export function sectionsByDevice(metrics, gpus) {
  const shown = shownKeys(metrics);
  const sections = gpuIndices(metrics).map((index) => {
    const gpu = gpus.find((other) => other.index === index);
    const memory = gpu?.memory_total_bytes ? formatMeasured('_bytes', gpu.memory_total_bytes) : '';
    return {
      name: `gpu${index}`, title: `GPU ${index}`, note: [gpu?.name, memory, gpu?.uuid].filter(Boolean).join(' · '),
      metrics: shown.filter((key) => gpuIndex(key) === index),
    };
  });
  return [...sections, ...hostSections(shown)].filter((section) => section.metrics.length > 0);
}

/**
 * One section with a panel a GPU metric, each with a line a GPU, then those of the machine. Its metrics are short keys.
 * @param {readonly RunMetric[]} metrics
 * @returns {SystemSection[]}
 */
export function sectionsByMetric(metrics) {
  const shown = shownKeys(metrics);
  const short = new Set(shown.filter((key) => gpuIndex(key) !== null).map(shortKey));
  const gpu = { name: 'gpus', title: 'GPUs', note: '', metrics: [...short].sort(compareKeys) };
  return [gpu, ...hostSections(shown)].filter((section) => section.metrics.length > 0);
}

/** @param {readonly RunMetric[]} metrics @returns {string[]} those that get a panel, what matters first */
function shownKeys(metrics) {
  const sizes = constantSizes(metrics);
  return metrics.map((metric) => metric.key).filter((key) => !sizes.has(key)).sort(compareKeys);
}

/** @param {readonly string[]} keys @returns {SystemSection[]} */
function hostSections(keys) {
  const rest = keys.filter((key) => gpuIndex(key) === null);
  const known = HOST_SECTIONS.map(([name, title, test]) => ({ name, title, note: '', metrics: rest.filter((key) => test.test(key)) }));
  const taken = new Set(known.flatMap((section) => section.metrics));
  return [...known, { name: 'other', title: 'Other', note: '', metrics: rest.filter((key) => !taken.has(key)) }];
}

/**
 * Keep the panels that a search finds, in the name shown or the real one.
 * @param {readonly SystemSection[]} sections
 * @param {string} query
 * @returns {SystemSection[]}
 */
export function searchSections(sections, query) {
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return sections.map((section) => ({
    ...section,
    metrics: section.metrics.filter((key) => {
      const text = `${section.title} ${key} ${systemTitle(key)}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }),
  })).filter((section) => section.metrics.length > 0);
}
