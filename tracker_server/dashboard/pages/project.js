/** A project: its runs on the left, all their charts on the right. */
import { runScope } from '../charts/panel_controller.js';
import { ChartWall } from '../components/chart_wall.js';
import { Divider } from '../components/divider.js';
import { EmptySnippet, ErrorNote, Skeleton } from '../components/empty.js';
import { bindKeys } from '../components/keyboard.js';
import { showOnly, toggleRun } from '../components/run_cells.js';
import { RunPane, focusFilter } from '../components/run_pane.js';
import { cursorRun, moveCursor } from '../components/run_table.js';
import { Shell, homeCrumb } from '../components/shell.js';
import { Toolbar } from '../components/toolbar.js';
import { homeUrl, navigate, projectUrl, runUrl } from '../router.js';
import { keep, remember } from '../state/preferences.js';
import { charted, isLoaded, loadError, metrics, openProject, runs, runsById, styles } from '../state/project_store.js';
import { chartAxes, hoveredRun, isTableOpen, updateView } from '../state/view.js';
import { html, useEffect, useMemo, useState } from '../ui.js';

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
    Enter: onCursor((id) => { if (document.activeElement?.closest('a, button, select') === null) navigate(runUrl(project, id)); }),
    t: () => updateView({ isTable: !isTableOpen.peek() }),
    z: chartAxes.zoomBack,
    'g r': () => navigate(projectUrl(project)),
    'g p': () => navigate(homeUrl()),
  };
}

/** @param {{project: string}} props */
function Body({ project }) {
  const [width, setWidth] = useState(() => remember('paneWidth', PANE_PX.usual));
  if (loadError.value && runs.value.length === 0) return html`<${ErrorNote} error=${loadError.value} />`;
  if (isLoaded.value && runs.value.length === 0) {
    return html`<${EmptySnippet} title="No runs in this project yet" text="Three lines in a training script record a run here:" project=${project} />`;
  }
  const resize = (/** @type {number} */ px) => {
    const next = Math.min(PANE_PX.max, Math.max(PANE_PX.min, Math.round(px)));
    setWidth(next);
    keep('paneWidth', next);
  };
  const isFull = isTableOpen.value;
  return html`<div class=${isFull ? 'split is-full' : 'split'} style=${`--pane:${width}px;--n-runs:${runs.value.length}`}>
    <section class="pane" aria-label="Runs"><${RunPane} /></section>
    ${!isFull && html`<${Divider} width=${width} onResize=${resize} usual=${PANE_PX.usual} />`}
    ${!isFull && html`<section class="charts" aria-label="Charts"><${Charts} project=${project} /></section>`}
  </div>`;
}

/** @param {{project: string}} props */
function Charts({ project }) {
  const scope = useMemo(() => runScope({ project, charted, styles, nameOf: (id) => runsById.peek().get(id)?.name ?? id }), [project]);
  const keys = metrics.value.filter((metric) => !metric.hidden).map((metric) => metric.key);
  return html`<${Toolbar} />
    ${keys.length > 0 ? html`<${ChartWall} keys=${keys} scope=${scope} />` : html`<${NoCharts} project=${project} />`}`;
}

/** @param {{project: string}} props */
function NoCharts({ project }) {
  if (!isLoaded.value || runs.value.some((run) => run.n_rows > 0)) return html`<${Skeleton} rows=${6} />`;
  return html`<${EmptySnippet} title="Nothing was logged yet" project=${project} />`;
}
