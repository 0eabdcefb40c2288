/** The tables tab: a table that the run logged, at a step, sorted and filtered. */
import { DataTable } from '../components/data_table.js';
import { openDialog } from '../components/dialog.js';
import { EmptyText } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { StepSlider, useSeries, useStepKeys, useSteps } from '../components/step_slider.js';
import { FilterForm, conditionText } from '../components/table_filter.js';
import { formatNumber, plural } from '../logic/format.js';
import { keysOf, kindOf } from '../logic/media.js';
import { mediaUrl } from '../media_api.js';
import { moveStep } from '../state/media_steps.js';
import { ALL_ROWS, MAX_COLUMNS, TableStore } from '../state/table_store.js';
import { tableKey, updateView } from '../state/view.js';
import { html, useEffect, useMemo, useState } from '../ui.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */
/** @typedef {import('../state/table_store.js').TableQuery} TableQuery */

const SEARCH_ID = 'table-search';
const SEARCH_DELAY_MS = 200;

/** @param {{run: RunDetail}} props */
export function TablesTab({ run }) {
  const keys = keysOf(run.media ?? [], 'tables');
  const chosen = keys.find(({ key }) => key === tableKey.value) ?? keys[0];
  useEffect(() => bindKeys({ '[': () => moveStep(-1), ']': () => moveStep(1), '/': () => document.getElementById(SEARCH_ID)?.focus() }), []);
  if (!chosen) {
    return html`<${EmptyText} title=${run.state === 'running' ? 'No tables yet' : 'No tables were logged'}><p>Rows of predictions, texts or images, to be sorted and searched:</p>
      <div class="snippet"><pre><code>table = tracker.Table(columns=["image", "truth", "prediction"])${'\n'}table.add_data(tracker.Image(pixels), "cat", "dog")${'\n'}run.log({"val/predictions": table})</code></pre></div><//>`;
  }
  return html`<${OneTable} key=${chosen.key} run=${run} keys=${keys} chosen=${chosen} />`;
}

/** @param {{run: RunDetail, keys: import('../types.js').MediaKey[], chosen: import('../types.js').MediaKey}} props */
function OneTable({ run, keys, chosen }) {
  const where = useMemo(() => ({ project: run.project, run: run.id }), [run.project, run.id]);
  const steps = useSteps(useSeries(where, chosen.key, chosen.n_values), true);
  const activate = useStepKeys(steps);
  const [query, setQuery] = useState(/** @type {TableQuery} */ (ALL_ROWS));
  const logged = steps.value?.value;
  const path = kindOf(logged) === 'table' && typeof logged.path === 'string' ? logged.path : '';
  const store = useMemo(() => (path === '' ? null : new TableStore(where, path, query)), [where, path, query]);
  useEffect(() => {
    store?.need(0, 1);
    return () => store?.stop();
  }, [store]);
  // The rows of the step before stay until those of the next are there.
  const shown = useLatestFull(store);
  const columns = shown?.head.value?.columns ?? [];
  const error = store?.error.value ?? steps.error;
  return html`<div class="tables" onPointerDown=${activate}>
    <div class="toolbar media-toolbar" role="toolbar" aria-label="Table">
      ${keys.length === 1 ? html`<strong class="table-name">${chosen.key}</strong>` : html`<select class="select is-wide" aria-label="Table" value=${chosen.key} onChange=${(/** @type {any} */ event) => updateView({ table: event.currentTarget.value })}>
        ${keys.map(({ key }) => html`<option value=${key} selected=${key === chosen.key}>${key}</option>`)}</select>`}
      <${SearchBox} onSearch=${(/** @type {string} */ search) => setQuery((old) => ({ ...old, search }))} />
      <span class="toolbar-space"></span>
      <div class="table-steps"><${StepSlider} steps=${steps} label=${chosen.key} /></div>
      ${path !== '' && html`<a class="button" href=${mediaUrl(where, path)} download=${`${chosen.key.replaceAll('/', '_')}.parquet`} title="Download as Parquet"><${Icon} name="download" size=${14} /><span>Download</span></a>`}
    </div>
    <${Conditions} query=${query} columns=${columns} onChange=${setQuery} />
    ${error && html`<p class="trouble pad" role="alert"><${Icon} name="warn" size=${12} />${error.message}</p>`}
    ${shown ? html`<${DataTable} store=${shown} onSort=${(/** @type {number} */ column, /** @type {boolean} */ isAdded) => setQuery((old) => ({ ...old, sort: sorted(old.sort, column, isAdded) }))}
      onFilter=${(/** @type {number} */ column) => openFilter(columns[column], column, query, setQuery)} />` : html`<div class="logged-scroller" aria-busy=${!error}></div>`}
    <${Foot} store=${shown} isBusy=${shown !== store} />
  </div>`;
}

/** @param {TableStore|null} store */
function useLatestFull(store) {
  const [full, setFull] = useState(/** @type {TableStore|null} */ (null));
  const isFull = store?.head.value !== null && store !== null;
  useEffect(() => { if (isFull) setFull(store); }, [store, isFull]);
  return isFull ? store : full;
}

/** @param {import('../state/table_store.js').Order[]} sort @param {number} column @param {boolean} isAdded */
function sorted(sort, column, isAdded) {
  const known = sort.find((one) => one.column === column);
  const others = isAdded ? sort.filter((one) => one.column !== column) : [];
  if (known?.is_descending) return others;
  const next = { column, is_descending: known !== undefined };
  return isAdded && known ? sort.map((one) => (one.column === column ? next : one)) : [...others, next];
}

/** @param {import('../types.js').TableColumn|undefined} column @param {number} index @param {TableQuery} query @param {(change: (old: TableQuery) => TableQuery) => void} setQuery */
function openFilter(column, index, query, setQuery) {
  if (!column) return;
  const onDone = (/** @type {import('../types.js').TableCondition|null} */ condition) => setQuery((old) => {
    const others = old.where.filter((one) => one.column !== index);
    return { ...old, where: condition ? [...others, condition] : others };
  });
  const known = query.where.find((one) => one.column === index);
  openDialog({ title: `Filter by ${column.name}`, body: () => html`<${FilterForm} column=${column} index=${index} known=${known} onDone=${onDone} />` });
}

/** @param {{onSearch: (text: string) => void}} props */
function SearchBox({ onSearch }) {
  const [text, setText] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => onSearch(text.trim()), SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label class="search"><${Icon} name="search" size=${14} /><input id=${SEARCH_ID} type="search" placeholder="Search all columns" aria-label="Search all columns" value=${text}
    onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>`;
}

/** @param {{query: TableQuery, columns: import('../types.js').TableColumn[], onChange: (change: (old: TableQuery) => TableQuery) => void}} props */
function Conditions({ query, columns, onChange }) {
  if (query.where.length === 0) return null;
  return html`<p class="conditions">${query.where.map((condition) => {
    const name = columns[condition.column]?.name ?? `column ${condition.column + 1}`;
    return html`<span class="chip"><button class="chip-main" onClick=${() => openFilter(columns[condition.column], condition.column, query, onChange)}>${conditionText(condition, name)}</button>
      <button class="icon-button" aria-label=${`Remove the filter ${conditionText(condition, name)}`} onClick=${() => onChange((old) => ({ ...old, where: old.where.filter((one) => one !== condition) }))}><${Icon} name="close" size=${12} /></button></span>`;
  })}</p>`;
}

/** @param {{store: TableStore|null, isBusy: boolean}} props */
function Foot({ store, isBusy }) {
  const head = store?.head.value;
  if (!head) return html`<div class="log-foot"></div>`;
  const { nRows, nMatching, columns } = head;
  return html`<div class="log-foot" role="status"><span>${nMatching === nRows ? plural(nRows, 'row') : `${formatNumber(nMatching)} of ${plural(nRows, 'row')}`}</span><span>${plural(columns.length, 'column')}</span>
    ${columns.length > MAX_COLUMNS && html`<span class="trouble">the first ${MAX_COLUMNS} are shown; download the table for the others</span>`}
    ${isBusy && html`<span>loading…</span>`}<span class="toolbar-space"></span><span class="log-hint">click a number to see a whole row</span></div>`;
}
