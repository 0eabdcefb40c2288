/** What is said of artifacts and of the registry. Pure. */
import { formatNumber, plural } from './format.js';
import { formatBytes } from './units.js';

/** @typedef {import('../artifact_types.js').AuditRow} AuditRow */
/** @typedef {import('../artifact_types.js').LinkedRow} LinkedRow */
/** @typedef {import('../artifact_types.js').Retention} Retention */
/** @typedef {import('../artifact_types.js').UsageRow} UsageRow */

/** The ways of a model through the registry, in their order. */
export const STAGES = Object.freeze(['candidate', 'staging', 'production', 'archived']);

/** Which look an alias has. @param {string} alias */
export function stageOf(alias) {
  return alias === 'latest' || STAGES.includes(alias) ? alias : 'other';
}

/** Aliases in the order in which they matter most: production first, latest last. @param {readonly string[]} aliases */
export function sortAliases(aliases) {
  const rank = (/** @type {string} */ alias) => (alias === 'latest' ? 9 : { production: 0, staging: 1, candidate: 2, archived: 8 }[alias] ?? 5);
  return [...aliases].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** "4 artifacts, 96 versions: 12 GiB logged, 3.1 GiB stored". @param {readonly UsageRow[]} rows */
export function usageText(rows) {
  const sum = (/** @type {'n_artifacts'|'n_versions'|'logical_bytes'|'stored_bytes'} */ key) => rows.reduce((total, row) => total + row[key], 0);
  if (sum('n_artifacts') === 0) return '';
  const what = `${plural(sum('n_artifacts'), 'artifact')}, ${plural(sum('n_versions'), 'version')}`;
  return `${what}: ${formatBytes(sum('logical_bytes'))} logged, ${formatBytes(sum('stored_bytes'))} stored`;
}

/** What an artifact's rules of keeping say. @param {Retention} retention @returns {string[]} */
export function retentionTexts({ keep_last: last, keep_best: best, ttl_days: ttl, protected_aliases: kept = [] }) {
  return [
    last ? `the last ${plural(last, 'version')} ${last === 1 ? 'is' : 'are'} kept` : '',
    best ? `the ${plural(best.n, 'version')} with the ${best.goal === 'maximize' ? 'highest' : 'lowest'} ${best.metric} ${best.n === 1 ? 'is' : 'are'} kept` : '',
    ttl ? `versions go after ${plural(ttl, 'day')}` : '',
    kept.length > 0 ? `never one with the alias ${kept.join(', ')}` : '',
  ].filter(Boolean);
}

/** How one gets at a version. @param {{project: string, name: string, type: string}} artifact @param {string} version */
export function useText({ project, name }, version) {
  return `artifact = run.use_artifact("${project}/${name}:${version}")\nfolder = artifact.download()`;
}

/** How one gets at a version of a registered model. @param {string} model @param {string} which */
export function useModelText(model, which) {
  return `artifact = run.use_artifact("model-registry/${model}:${which}")\nfolder = artifact.download()`;
}

/** "float32 512 × 256". @param {{dtype: string, shape: readonly number[]}} tensor */
export const shapeText = ({ shape }) => (shape.length === 0 ? 'scalar' : shape.map((extent) => formatNumber(extent)).join(' × '));

/** @param {{project: string, name: string, number: number}} version */
export const longName = ({ project, name, number }) => `${project}/${name}:v${number}`;

/** Which numbers of the source runs tell versions apart: those that most have, first. @param {readonly LinkedRow[]} versions */
export function metricNames(versions) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { source } of versions) {
    for (const key of Object.keys(source.logged_by?.summary ?? {})) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].sort(([a, n], [b, m]) => rankOf(a) - rankOf(b) || m - n || (a < b ? -1 : 1)).map(([key]) => key);
}

/** What is measured on data that was held back tells most; what the machine did, least. @param {string} key */
function rankOf(key) {
  if (/^(system|_)/.test(key)) return 3;
  if (/(^|[/_.])(val|valid|validation|test|eval)([/_.]|$)/i.test(key)) return 0;
  return /epoch|step|runtime|lr$|learning_rate|_time|_s$/i.test(key) ? 2 : 1;
}

/** What a change of the registry was, as a sentence without its subject. @param {AuditRow} entry */
export function auditText({ action, version, detail }) {
  const which = version === null ? '' : `v${version}`;
  const alias = typeof detail.alias === 'string' ? detail.alias : '';
  const before = typeof detail.from === 'number' ? detail.from : typeof detail.previous === 'number' ? detail.previous : null;
  switch (action) {
    case 'register': return 'registered the model';
    case 'link': return `linked ${which}`;
    case 'unlink': return `took ${which} out`;
    case 'set alias': return `moved ${alias} to ${which}${before === null || before === version ? '' : ` from v${before}`}`;
    case 'remove alias': return `took ${alias} off ${which}`;
    case 'edit card': return 'edited the model card';
    case 'delete model': return 'deleted the model';
    default: return `${action} ${which}`.trim();
  }
}

/** What becomes of a value: "0.1 → 0.01". @param {import('../artifact_types.js').ValueChange} change */
export function changeKind({ is_in_old: isInOld, is_in_new: isInNew }) {
  return isInOld && isInNew ? 'changed' : isInNew ? 'added' : 'removed';
}

/** A reasonable text for a list of names that somebody types. @param {string} text */
export const splitNames = (text) => [...new Set(text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean))];
