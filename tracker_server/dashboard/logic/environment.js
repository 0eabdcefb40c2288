/** What was run on what, as lines of a table. Pure: every part of the environment may be missing. */
import { formatBytes } from './units.js';

/** @typedef {import('../types.js').Environment} Environment */
/** @typedef {[string, string][]} Facts label and text */

/** Parts of `cuda` that have lines of their own; others are of frameworks, such as torch_rocm. */
const TOLD_CUDA = new Set(['driver_version', 'cuda_version', 'cudnn_version', 'torch_cuda']);
const SCHEDULERS = /** @type {[keyof Environment, string][]} */ ([
  ['slurm', 'SLURM'], ['pbs', 'PBS'], ['lsf', 'LSF'], ['grid_engine', 'Grid Engine'], ['kubernetes', 'Kubernetes'],
  ['torchelastic', 'torchrun'], ['variables', 'Environment variables'],
]);

/** @param {unknown[]} parts */
const joined = (parts) => parts.filter((part) => part !== undefined && part !== null && part !== '').join(' ');

/** @param {[string, unknown][]} facts @returns {Facts} without those that nothing is known of */
function known(facts) {
  return facts.filter(([, value]) => value !== undefined && value !== null && value !== '').map(([label, value]) => [label, String(value)]);
}

/** @param {Environment} environment @param {string|null} sessionHost named where the environment does not say @returns {Facts} */
export function machineFacts({ host, os, cpu, memory_bytes: memory, container, user, cuda, accelerator }, sessionHost) {
  return known([
    ['Host', host || sessionHost],
    ['User', user],
    ['System', os && joined([os.distribution || os.name, os.distribution ? '' : os.release, os.machine])],
    ['Kernel', os?.distribution ? joined([os.name, os.release]) : ''],
    ['CPU', cpu && joined([cpu.model, cpu.n_cores ? `· ${cpu.n_cores} cores` : '', cpu.n_threads ? `· ${cpu.n_threads} threads` : '',
      cpu.n_usable && cpu.n_usable !== cpu.n_threads ? `· ${cpu.n_usable} usable` : ''])],
    ['Memory', memory ? formatBytes(memory) : ''],
    ['Driver', cuda?.driver_version],
    ['CUDA', cuda && joined([cuda.cuda_version, cuda.torch_cuda ? `(PyTorch built for ${cuda.torch_cuda})` : ''])],
    ['cuDNN', cuda?.cudnn_version],
    ...Object.entries(cuda ?? {}).filter(([key]) => !TOLD_CUDA.has(key)).map(([key, value]) => /** @type {[string, unknown]} */ ([key.replaceAll('_', ' '), value])),
    ['Accelerator', accelerator && plainText(accelerator)],
    ['Container', container && joined([container.runtime, container.image, container.id ? `(${String(container.id).slice(0, 12)})` : ''])],
  ]);
}

/** @param {Environment} environment @returns {Facts} */
export function softwareFacts({ python, frameworks = {}, program, cwd }) {
  return known([
    ['Program', program],
    ['Folder', cwd],
    ['Python', python && joined([python.version, python.implementation && python.implementation !== 'CPython' ? python.implementation : ''])],
    ['Interpreter', python?.executable],
    ...Object.entries(frameworks).map(([name, version]) => /** @type {[string, unknown]} */ ([name, version])),
  ]);
}

/** The schedulers' own names of the job, and the variables kept. @param {Environment} environment @returns {{title: string, facts: Facts}[]} */
export function schedulerFacts(environment) {
  return SCHEDULERS
    .map(([key, title]) => ({ title, facts: known(Object.entries(environment[key] ?? {}).map(([name, value]) => [name, plainText(value)])) }))
    .filter(({ facts }) => facts.length > 0);
}

/** @param {unknown} value */
function plainText(value) {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? '');
}
