/** All charts of a project or run, in sections by the prefix of the metric's name. */
import { groupMetrics } from '../logic/sections.js';
import { keep, remember } from '../state/preferences.js';
import { panelQuery } from '../state/view.js';
import { html, useEffect, useRef, useState } from '../ui.js';
import { EmptyText } from './empty.js';
import { Icon } from './icons.js';
import { useNear } from './on_screen.js';
import { Panel } from './panel.js';

/** @typedef {import('../charts/panel_controller.js').Scope} Scope */
/**
 * @typedef {object} WallPart a section of the wall
 * @property {string} name unique
 * @property {string} [title] usual: the name
 * @property {any} [note] beside the title
 * @property {string[]} metrics
 * @property {boolean} [isSystem] folded until it is opened
 * @property {Scope} [scope] where it is not the wall's
 */

/** Panels made at a time: a section may have thousands, and even an empty panel costs. */
const PANELS_AT_A_TIME = 48;

/** @param {{keys?: string[], parts?: WallPart[], scope: Scope}} props keys are put into sections by their prefix */
export function ChartWall({ keys = [], parts, scope }) {
  const query = panelQuery.value;
  /** @type {WallPart[]} */
  const sections = parts ?? groupMetrics(keys, query);
  if (sections.length === 0 && query !== '') {
    return html`<${EmptyText} title="No chart has this in its name"><p class="muted">${query}</p><//>`;
  }
  return html`<div class="wall">${sections.map((section) => html`<${WallSection}
    key=${section.name} section=${section} scope=${section.scope ?? scope} isSearch=${query !== ''} />`)}</div>`;
}

/** @param {{section: WallPart, scope: Scope, isSearch: boolean}} props */
function WallSection({ section, scope, isSearch }) {
  const storageKey = `folded.${scope.storageKey ?? scope.project}.${section.name}`;
  const [isFolded, setFolded] = useState(() => remember(storageKey, Boolean(section.isSystem)));
  // A search looks into folded sections too.
  const isOpen = isSearch || !isFolded;
  const toggle = () => {
    keep(storageKey, !isFolded);
    setFolded(!isFolded);
  };
  const title = section.title ?? section.name;
  return html`<section class="wall-section">
    <h2><button class=${isOpen ? 'fold is-open' : 'fold'} aria-expanded=${isOpen} onClick=${toggle}>
      <${Icon} name="chevron" size=${12} /><span>${title === '' ? 'Charts' : title}</span>
      <span class="count">${section.metrics.length}</span></button>${section.note && html`<span class="section-note">${section.note}</span>`}</h2>
    ${isOpen && html`<${PanelGrid} metrics=${section.metrics} scope=${scope} />`}
  </section>`;
}

/** The panels of a section; more of them are made as their end comes near. @param {{metrics: string[], scope: Scope}} props */
function PanelGrid({ metrics, scope }) {
  const [limit, setLimit] = useState(PANELS_AT_A_TIME);
  const end = useRef(/** @type {HTMLElement|null} */ (null));
  const isEndNear = useNear(end);
  useEffect(() => {
    if (isEndNear && limit < metrics.length) setLimit(limit + PANELS_AT_A_TIME);
  }, [isEndNear, limit, metrics.length]);
  return html`<div class="wall-grid">${metrics.slice(0, limit).map((metric) => html`<${Panel} key=${metric} metric=${metric} scope=${scope} />`)}</div>
    <span ref=${end}></span>`;
}
