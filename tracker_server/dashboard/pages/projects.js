/** The list of projects. */
import { fetchProjects } from '../api.js';
import { EmptySnippet, ErrorNote, Skeleton } from '../components/empty.js';
import { StateIcon } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { Shell } from '../components/shell.js';
import { onChanges } from '../events.js';
import { formatAge, formatNumber, formatTime, plural } from '../logic/format.js';
import { STATES } from '../logic/states.js';
import { projectUrl } from '../router.js';
import { paced } from '../state/paced.js';
import { html, signal, useEffect } from '../ui.js';

/** @typedef {import('../types.js').ProjectRow} ProjectRow */

const projects = signal(/** @type {ProjectRow[]|null} */ (null));
const loadError = signal(/** @type {Error|null} */ (null));
const query = signal('');
const REFRESH_GAP_MS = 2000;
const FILTER_ID = 'project-filter';

async function load() {
  try {
    projects.value = await fetchProjects();
    loadError.value = null;
  } catch (problem) {
    loadError.value = /** @type {Error} */ (problem);
  }
}

export function ProjectsPage() {
  useEffect(() => {
    const loader = paced(REFRESH_GAP_MS, load);
    loader.ask();
    const stops = [
      onChanges(loader.ask), loader.stop,
      bindKeys({ '/': () => document.getElementById(FILTER_ID)?.focus() }),
    ];
    document.title = 'Projects · Tracker';
    return () => stops.forEach((stop) => stop());
  }, []);
  return html`<${Shell} crumbs=${[{ label: 'Projects' }]} place="projects">
    <div class="page"><${Body} /></div><//>`;
}

function Body() {
  const all = projects.value;
  // What was loaded before stays readable while the server is away; the live dot tells of it.
  if (loadError.value && !all) return html`<${ErrorNote} error=${loadError.value} />`;
  if (!all) return html`<${Skeleton} rows=${6} />`;
  if (all.length === 0) return html`<${EmptySnippet} title="No runs yet" text="Three lines in a training script record a run:" />`;
  const needle = query.value.trim().toLowerCase();
  const rows = all.filter((project) => project.name.toLowerCase().includes(needle));
  return html`<div class="page-head"><h1>Projects</h1>
      <input id=${FILTER_ID} class="input" type="search" placeholder="Filter projects  /" aria-label="Filter projects" value=${query.value}
        onInput=${(/** @type {any} */ event) => { query.value = event.currentTarget.value; }} /></div>
    <table class="list"><thead><tr><th scope="col">Project</th><th scope="col" class="is-numeric is-extra">Runs</th>
      <th scope="col">States</th><th scope="col" class="is-numeric">Active</th></tr></thead>
      <tbody>${rows.map((project) => html`<${ProjectLine} key=${project.name} project=${project} />`)}</tbody></table>
    ${rows.length === 0 && html`<p class="muted">No project has “${query.value}” in its name.</p>`}`;
}

/** @param {{project: ProjectRow}} props */
function ProjectLine({ project }) {
  const states = STATES.map((state) => ({ state, n: project.states[state] ?? 0 })).filter(({ n }) => n > 0);
  return html`<tr><th scope="row"><a class="list-link" href=${projectUrl(project.name)}>${project.name}</a></th>
    <td class="is-numeric is-extra">${formatNumber(project.n_runs)}</td>
    <td><span class="state-counts">${states.map(({ state, n }) => html`<span class=${`state-count state-${state}`} title=${`${plural(n, 'run')} ${state}`}>
      <${StateIcon} state=${state} />${formatNumber(n)}<span class="state-word"> ${state}</span></span>`)}</span></td>
    <td class="is-numeric" title=${formatTime(project.updated_s)}>${ago(project.updated_s)}</td></tr>`;
}

/** @param {number} seconds */
function ago(seconds) {
  const age = formatAge(seconds, Date.now() / 1000);
  return age === 'now' ? 'just now' : `${age} ago`;
}
