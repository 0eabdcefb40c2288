/** Start of the page. */
import { EmptyText, ErrorNote, Skeleton } from './components/empty.js';
import { openHelp } from './components/dialog.js';
import { bindKeys, startKeyboard } from './components/keyboard.js';
import { Shell, homeCrumb, loadBell } from './components/shell.js';
import { startEvents } from './events.js';
import { ProjectPage, loadCharts } from './pages/project.js';
import { alertsUrl, artifactsUrl, homeUrl, navigate, registryUrl, route, startRouter } from './router.js';
import { loadMe } from './state/me.js';
import { startViewSync } from './state/view.js';
import { html, render, signal } from './ui.js';

/**
 * Pages that are loaded when they are first needed, or when the browser is idle, to keep the first view small. Written
 * out, so that each file is found by tools.
 * @type {Record<string, () => Promise<any>>}
 */
const LOADERS = {
  run: async () => (await import('./pages/run.js')).RunPage,
  projects: async () => (await import('./pages/projects.js')).ProjectsPage,
  artifacts: async () => (await import('./pages/artifacts.js')).ArtifactsPage,
  artifact: async () => (await import('./pages/artifact.js')).ArtifactPage,
  version: async () => (await import('./pages/version.js')).VersionPage,
  registry: async () => (await import('./pages/registry.js')).RegistryPage,
  alerts: async () => (await import('./pages/alerts.js')).AlertsPage,
  model: async () => (await import('./pages/model.js')).ModelPage,
};
const IN_IDLE_TIME = ['run', 'projects'];
const loaded = signal(/** @type {Record<string, any>} */ ({}));

/** @param {string} page */
async function load(page) {
  if (loaded.peek()[page]) return;
  // One that cannot be had says so in its place.
  const component = await LOADERS[page]().catch((error) => () => html`<${Shell} crumbs=${[homeCrumb()]}><${ErrorNote} error=${error} /><//>`);
  loaded.value = { ...loaded.peek(), [page]: component };
}

/** @param {import('./router.js').Route} now */
function LazyPage(now) {
  const component = loaded.value[now.page];
  // A key per address: nothing of one page is carried into another.
  if (component) return html`<${component} key=${Object.values(now).join('/')} ...${now} />`;
  load(now.page);
  return html`<${Shell} crumbs=${[homeCrumb()]}><${Skeleton} rows=${10} /><//>`;
}

function App() {
  const now = route.value;
  if (now.page === 'project') return html`<${ProjectPage} key=${now.project} project=${now.project} />`;
  if (LOADERS[now.page]) return html`<${LazyPage} ...${now} />`;
  return html`<${Shell} crumbs=${[homeCrumb()]}><${EmptyText} title="There is no such page">
    <p><a href=${homeUrl()}>All projects</a></p><//><//>`;
}

startRouter();
if (route.peek().page === 'project') loadCharts();
startViewSync();
startKeyboard();
bindKeys({
  '?': openHelp, 'g p': () => navigate(homeUrl()), 'g a': () => navigate(artifactsUrl()), 'g m': () => navigate(registryUrl()), 'g n': () => navigate(alertsUrl()),
});
startEvents();
loadMe();
(globalThis.requestIdleCallback ?? ((/** @type {() => void} */ act) => setTimeout(act, 1000)))(() => {
  loadBell();
  IN_IDLE_TIME.forEach(load);
  loadCharts();
});
const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${App} />`, root);
}
