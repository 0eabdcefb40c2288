/** Start of the page. */
import { EmptyText, Skeleton } from './components/empty.js';
import { openHelp } from './components/dialog.js';
import { bindKeys, startKeyboard } from './components/keyboard.js';
import { Shell, homeCrumb } from './components/shell.js';
import { startEvents } from './events.js';
import { ProjectPage, loadCharts } from './pages/project.js';
import { homeUrl, navigate, route, startRouter } from './router.js';
import { loadMe } from './state/me.js';
import { startViewSync } from './state/view.js';
import { html, render, signal } from './ui.js';

/** Pages that are loaded when they are first needed, or when the browser is idle, to keep the first view small. */
const runModule = signal(/** @type {typeof import('./pages/run.js')|null} */ (null));
const projectsModule = signal(/** @type {typeof import('./pages/projects.js')|null} */ (null));

async function loadRunPage() {
  if (!runModule.peek()) runModule.value = await import('./pages/run.js');
}
async function loadProjectsPage() {
  if (!projectsModule.peek()) projectsModule.value = await import('./pages/projects.js');
}

/** @param {{project: string, run: string}} props */
function LazyRunPage({ project, run }) {
  const loaded = runModule.value;
  if (loaded) return html`<${loaded.RunPage} project=${project} run=${run} />`;
  loadRunPage();
  return html`<${Shell} crumbs=${[homeCrumb()]}><${Skeleton} rows=${10} /><//>`;
}

function LazyProjectsPage() {
  const loaded = projectsModule.value;
  if (loaded) return html`<${loaded.ProjectsPage} />`;
  loadProjectsPage();
  return html`<${Shell} crumbs=${[{ label: 'Projects' }]} isOnProjects><${Skeleton} rows=${6} /><//>`;
}

function App() {
  const now = route.value;
  // A key per address: nothing of one project's page is carried into another's.
  switch (now.page) {
    case 'projects': return html`<${LazyProjectsPage} />`;
    case 'project': return html`<${ProjectPage} key=${now.project} project=${now.project} />`;
    case 'run': return html`<${LazyRunPage} key=${`${now.project}/${now.run}`} project=${now.project} run=${now.run} />`;
    default: return html`<${Shell} crumbs=${[homeCrumb()]}><${EmptyText} title="There is no such page">
      <p><a href=${homeUrl()}>All projects</a></p><//><//>`;
  }
}

startRouter();
if (route.peek().page === 'project') loadCharts();
startViewSync();
startKeyboard();
bindKeys({ '?': openHelp, 'g p': () => navigate(homeUrl()) });
startEvents();
loadMe();
(globalThis.requestIdleCallback ?? ((/** @type {() => void} */ act) => setTimeout(act, 1000)))(() => {
  loadRunPage();
  loadProjectsPage();
  loadCharts();
});
const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${App} />`, root);
}
