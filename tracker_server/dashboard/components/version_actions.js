/** What can be done with a version: aliases, tags, its description, putting it into the registry, deleting it. */
import { modelUrl } from '../artifact_urls.js';
import { byUid, deleteVersions, editVersion, fetchModels, linkVersion } from '../artifacts_api.js';
import { STAGES, longName, sortAliases, splitNames } from '../logic/artifacts.js';
import { plural } from '../logic/format.js';
import { navigate } from '../router.js';
import { mayChange } from '../state/me.js';
import { html, useState } from '../ui.js';
import { AliasChip } from './artifact_bits.js';
import { TextField, openForm } from './artifact_forms.js';
import { Icon } from './icons.js';

/** @typedef {import('../artifact_types.js').VersionRow} VersionRow */

const MAX_ALIASES = 12;

/** Its aliases, to be added and taken off. @param {{version: VersionRow, onDone: () => void}} props */
export function AliasEditor({ version, onDone }) {
  const isEditable = mayChange(version.project) && !version.is_deleted;
  const [isWhole, setWhole] = useState(false);
  const aliases = sortAliases(version.aliases);
  const shown = isWhole ? aliases : aliases.slice(0, MAX_ALIASES);
  const remove = (/** @type {string} */ alias) => openForm({
    title: `Take ${alias} off v${version.number}?`, values: {}, done: 'Take it off', whyHint: 'optional',
    body: () => html`<p>Whoever asks for <code>${version.name}:${alias}</code> then finds nothing until another version gets it.</p>`,
    act: async ({ why }) => { await editVersion(byUid(version), { remove_aliases: [alias], why }); onDone(); },
  });
  return html`<span class="aliases">${shown.map((alias) => html`<${AliasChip} key=${alias} alias=${alias}
      title=${alias === 'latest' ? 'The version that was logged last' : alias} onRemove=${isEditable && alias !== 'latest' ? () => remove(alias) : null} />`)}
    ${shown.length < aliases.length && html`<button class="text-button" onClick=${() => setWhole(true)}>and ${aliases.length - shown.length} more</button>`}
    ${isEditable && html`<button class="add-chip" onClick=${() => openAliasForm(version, onDone)}><${Icon} name="plus" size=${10} />alias</button>`}</span>`;
}

/** @param {VersionRow} version @param {() => void} onDone */
export function openAliasForm(version, onDone) {
  openForm({
    title: `Give ${version.name} v${version.number} an alias`, values: { text: '' }, done: 'Set the alias', whyHint: 'optional',
    isReady: ({ text }) => splitNames(text).length > 0,
    body: ({ value, set }) => html`<${TextField} label="Alias" isFirst value=${value.text} onInput=${(/** @type {string} */ text) => set({ text })} list=${['best', ...STAGES]}
      hint="Another version that has it loses it. Several are parted by commas." />`,
    act: async ({ text, why }) => { await editVersion(byUid(version), { add_aliases: splitNames(text), why }); onDone(); },
  });
}

/** @param {VersionRow} version @param {() => void} onDone */
export function openDescriptionForm(version, onDone) {
  openForm({
    title: `Describe ${version.name} v${version.number}`, values: { description: version.description, tags: version.tags.join(', ') }, done: 'Save',
    body: ({ value, set }) => html`<${TextField} label="Description (Markdown)" isLong isFirst value=${value.description} onInput=${(/** @type {string} */ description) => set({ description })} />
      <${TextField} label="Tags" value=${value.tags} onInput=${(/** @type {string} */ tags) => set({ tags })} hint="Parted by commas." />`,
    act: async ({ description, tags }) => { await editVersion(byUid(version), { description, tags: splitNames(tags) }); onDone(); },
  });
}

/** @param {VersionRow} version */
export async function openLinkForm(version) {
  const models = await fetchModels().catch(() => []);
  const known = models.filter((model) => model.type === version.type).map((model) => model.name);
  openForm({
    title: `Put ${version.name} v${version.number} into the registry`, values: { model: known.includes(version.name) || known.length === 0 ? version.name : known[0], aliases: 'candidate' },
    done: 'Register', whyHint: 'kept in the audit', isReady: ({ model }) => model.trim() !== '',
    body: ({ value, set }) => html`<${TextField} label="Registered model" isFirst value=${value.model} list=${known} onInput=${(/** @type {string} */ model) => set({ model })}
        hint=${known.includes(value.model.trim()) ? 'It becomes the next version of this registered model.' : 'A registered model of this name is made.'} />
      <${TextField} label="Aliases there" value=${value.aliases} list=${STAGES} onInput=${(/** @type {string} */ aliases) => set({ aliases })} hint="Parted by commas; may be empty." />`,
    act: async ({ model, aliases, why }) => {
      await linkVersion(byUid(version), { model: model.trim(), aliases: splitNames(aliases), why });
      navigate(modelUrl(model.trim()));
    },
  });
}

/** @param {readonly VersionRow[]} versions of one artifact @param {() => void} onDone */
export function openDeleteForm(versions, onDone) {
  const [first] = versions;
  const aliases = versions.flatMap((version) => version.aliases).filter((alias) => alias !== 'latest');
  openForm({
    title: versions.length === 1 ? `Delete ${longName(first)}?` : `Delete ${plural(versions.length, 'version')} of ${first.name}?`,
    values: { hasAliases: false }, done: 'Delete', isDanger: true, whyHint: 'optional; shown in lineages',
    isReady: ({ hasAliases }) => aliases.length === 0 || hasAliases,
    body: ({ value, set }) => html`<p>Its files go with the next collection of garbage (<code>tracker gc</code>), but for what other versions need too. This cannot be undone.</p>
      ${aliases.length > 0 && html`<label class="check"><input type="checkbox" checked=${value.hasAliases} onChange=${(/** @type {any} */ event) => set({ hasAliases: event.currentTarget.checked })} />
        Delete although ${versions.length === 1 ? 'it has' : 'they have'} ${aliases.length === 1 ? 'the alias' : 'the aliases'} ${aliases.join(', ')}</label>`}`,
    act: async ({ hasAliases, why }) => {
      await deleteVersions(first.project, first.name, { versions: versions.map(({ uid }) => uid), why, delete_aliases: hasAliases });
      onDone();
    },
  });
}
