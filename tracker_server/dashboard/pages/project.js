/** A project: its runs on the left, all their charts on the right. */
import { Divider } from '../components/divider.js';
import { EmptySnippet, ErrorNote, Skeleton } from '../components/empty.js';
import { bindKeys } from '../components/keyboard.js';
import { showOnly, toggleRun } from '../components/run_cells.js';
import { focusFilter } from '../components/filter_box.js';
import { RunPane } from '../components/run_pane.js';
import { cursorRun, moveCursor } from '../components/run_table.js';
import { Shell, homeCrumb } from '../components/shell.js';
import { isGroupId } from '../logic/run_query.js';
import { homeUrl, navigate, projectUrl, runUrl } from '../router.js';
import { keep, remember } from '../state/preferences.js';
import { openProject } from '../state/project_store.js';
import { isLoaded, loadError, nAllRuns, order } from '../state/run_list.js';
import { chartAxes, hoveredRun, isTableOpen, updateView } from '../state/view.js';
import { html, signal, useEffect, useState } from '../ui.js';

/** The charts' code: on its way while the list of runs is drawn. */
const chartsModule = signal(/** @type {typeof import('./project_charts.js')|null} */ (null));

export async function loadCharts() {
  if (!chartsModule.peek()) chartsModule.value = await import('./project_charts.js');
}

/** @param {{project: string}} props */
function Charts({ project }) {
  const loaded = chartsModule.value;
  if (loaded) return html`<${loaded.ProjectCharts} project=${project} />`;
  loadCharts();
  return html`<${Skeleton} rows=${6} />`;
}

const PANE_PX = { usual: 340, min: 240, max: 720 };

/** @param {{project: string}} props */
export function ProjectPage({ project }) {
  useEffect(() => {
    document.title = `${project} · Tracker`;
    cursorRun.value = null;
    const stops = [openProject(project, { hasRunList: true }), bindKeys(keyMap(project))];
    return () => stops.forEach((stop) => stop());
  }, [project]);
  return html`<${Shell} crumbs=${[homeCrumb(), { label: project }]}><h1 class="for-readers">${project}</h1><${Body} project=${project} /><//>`;
}

/** @param {string} project */
function keyMap(project) {
  /** @param {(id: string) => void} act */
  const onCursor = (act) => () => {
    const id = cursorRun.peek() ?? hoveredRun.peek();
    if (id) act(id);
  };
  return {
    '/': focusFilter,
    j: () => moveCursor(1),
    k: () => moveCursor(-1),
    h: onCursor(toggleRun),
    o: onCursor(showOnly),
    Enter: onCursor((id) => { if (!isGroupId(id) && document.activeElement?.closest('a, button, select') === null) navigate(runUrl(project, id)); }),
    t: () => updateView({ isTable: !isTableOpen.peek() }),
    z: chartAxes.zoomBack,
    'g r': () => navigate(projectUrl(project)),
    'g p': () => navigate(homeUrl()),
  };
}

/** @param {{project: string}} props */
function Body({ project }) {
  const [width, setWidth] = useState(() => remember('paneWidth', PANE_PX.usual));
  const isEmpty = order.value.ids.length === 0;
  if (loadError.value && isEmpty) return html`<${ErrorNote} error=${loadError.value} />`;
  if (isLoaded.value && nAllRuns.value === 0) {
    return html`<${EmptySnippet} title="No runs in this project yet" text="Three lines in a training script record a run here:" project=${project} />`;
  }
  const resize = (/** @type {number} */ px) => {
    const next = Math.min(PANE_PX.max, Math.max(PANE_PX.min, Math.round(px)));
    setWidth(next);
    keep('paneWidth', next);
  };
  const isFull = isTableOpen.value;
  return html`<div class=${isFull ? 'split is-full' : 'split'} style=${`--pane:${width}px;--n-runs:${Math.min(99, order.value.nMatching)}`}>
    <section class="pane" aria-label="Runs"><${RunPane} /></section>
    ${!isFull && html`<${Divider} width=${width} onResize=${resize} usual=${PANE_PX.usual} />`}
    ${!isFull && html`<section class="charts" aria-label="Charts"><${Charts} project=${project} /></section>`}
  </div>`;
}
