/** Every change of a registered model, the newest first: who, what, when, why. */
import { auditText, stageOf } from '../logic/artifacts.js';
import { formatTime } from '../logic/format.js';
import { html, useState } from '../ui.js';
import { Ago } from './artifact_bits.js';
import { Icon } from './icons.js';

/** @typedef {import('../artifact_types.js').AuditRow} AuditRow */

const ENTRIES_AT_A_TIME = 100;
const ICONS = /** @type {Record<string, string>} */ ({
  register: 'plus', link: 'link', unlink: 'close', 'set alias': 'tag', 'remove alias': 'tag', 'edit card': 'edit', 'delete model': 'trash',
});

/** @param {{entries: AuditRow[], model: string, versions: import('../artifact_types.js').LinkedRow[]}} props entries: the first one first */
export function AuditTimeline({ entries, model, versions }) {
  const [limit, setLimit] = useState(ENTRIES_AT_A_TIME);
  const shown = [...entries].reverse();
  const sources = new Map(versions.map((version) => [version.number, `${version.source.name} v${version.source.number}`]));
  return html`<div class="pad-page audit"><p class="muted hint">Nothing here is ever changed or removed: each entry holds the hash of the one before. Check the whole chain with <code>tracker registry verify</code>,
      keep it elsewhere with <code>tracker registry audit ${model} --json</code>.</p>
    <ol class="timeline">${shown.slice(0, limit).map((entry) => html`<${Entry} key=${entry.number} entry=${entry} source=${entry.version === null ? '' : sources.get(entry.version) ?? ''} />`)}</ol>
    ${shown.length > limit && html`<p><button class="button" onClick=${() => setLimit(limit * 4)}>Show older changes</button></p>`}</div>`;
}

/** @param {{entry: AuditRow, source: string}} props */
function Entry({ entry, source }) {
  const alias = entry.action === 'set alias' && typeof entry.detail.alias === 'string' ? stageOf(entry.detail.alias) : 'none';
  return html`<li class=${`timeline-entry is-${alias}`}><span class="timeline-icon"><${Icon} name=${ICONS[entry.action] ?? 'clock'} size=${12} /></span>
    <div class="timeline-text"><p><b>${entry.who || 'somebody'}</b> ${auditText(entry)}${source && html` <span class="muted">(${source})</span>`}
        <span class="timeline-time" title=${formatTime(entry.at_s)}><${Ago} seconds=${entry.at_s} /></span></p>
      ${entry.why && html`<p class="why">${entry.why}</p>`}
      <p class="timeline-hash mono" title=${`Entry ${entry.number}. Its hash: ${entry.hash}; that of the one before: ${entry.previous_hash}`}>#${entry.number} ${entry.hash.slice(0, 12)}</p></div></li>`;
}
