/** The frame of every page: icon rail, top bar with breadcrumb, live dot and link button. */
import { serverState } from '../api.js';
import { liveState } from '../events.js';
import { alertsUrl, artifactsUrl, homeUrl, projectUrl, registryUrl, rootUrl, route } from '../router.js';
import { me } from '../state/me.js';
import { chooseTheme, themeChoice } from '../state/preferences.js';
import { html, signal } from '../ui.js';
import { CopyButton } from './copy_button.js';
import { DialogHost, openHelp } from './dialog.js';
import { Icon } from './icons.js';

/** @type {import('../state/preferences.js').ThemeChoice[]} */
const THEMES = ['system', 'light', 'dark'];
const THEME_ICONS = { system: 'system', light: 'sun', dark: 'moon' };
const LIVE_TEXT = {
  live: ['Live', 'Changes arrive as they happen'],
  connecting: ['Connecting', 'Connecting to the server'],
  polling: ['Every 5 s', 'The live stream cannot be had: asking every 5 s'],
  paused: ['Paused', 'Paused while the page is hidden'],
  away: ['Server away', 'The server does not answer: start it again with “tracker ui”. What you see is what it said last; the page goes on by itself'],
  'signed-out': ['Session ended', 'Run “tracker ui” again and open the link that it prints'],
};

const SCOPE_TEXT = {
  read: 'look at runs, and change nothing', write: 'send, stop and change runs', admin: 'do everything',
};

/** @typedef {'projects'|'artifacts'|'registry'|'alerts'|''} Place where in the rail a page belongs */

/** @param {{crumbs: {label: string, url?: string}[], place?: Place, children: any}} props */
export function Shell({ crumbs, place = '', children }) {
  const here = route.value;
  const project = here.page === 'project' || here.page === 'run' ? here.project : '';
  return html`
    <a class="skip" href="#main">Skip to content</a>
    <nav class="rail" aria-label="Main">
      <a class="rail-item rail-logo" href=${homeUrl()} title="Tracker" aria-label="Tracker, home"><${Icon} name="logo" size=${20} /></a>
      <${RailLink} href=${homeUrl()} label="Projects" icon="projects" isHere=${place === 'projects'} />
      <${RailLink} href=${artifactsUrl(project)} label="Artifacts" icon="artifacts" isHere=${place === 'artifacts'} />
      <${RailLink} href=${registryUrl()} label="Registry" icon="registry" isHere=${place === 'registry'} />
      <${LazyBell} isHere=${place === 'alerts'} />
      <span class="rail-space"></span>
      <${ThemeButton} />
      <button class="rail-item" title="Keys (?)" aria-label="Keyboard help" onClick=${openHelp}><${Icon} name="help" size=${18} /></button>
    </nav>
    <header class="bar">
      <ol class="crumbs" aria-label="Breadcrumb">
        ${crumbs.map(({ label, url }) => html`<li>${url ? html`<a href=${url}>${label}</a>` : html`<span aria-current="page">${label}</span>`}</li>`)}
      </ol>
      <${LiveDot} />
      <${SignedIn} />
      <${CopyButton} className="button copy-link" icon="link" caption="Copy link" label="Copy a link to exactly this view" text=${() => location.href} />
    </header>
    <main id="main" tabindex="-1">${children}</main>
    <${DialogHost} />`;
}

const bell = signal(/** @type {any} */ (null));
/** How many alerts are new is no part of the first view. */
export const loadBell = async () => { bell.value = (await import('./bell.js')).Bell; };

/** @param {{isHere: boolean}} props */
function LazyBell({ isHere }) {
  return bell.value ? html`<${bell.value} isHere=${isHere} />` : html`<${RailLink} href=${alertsUrl()} label="Alerts" icon="bell" isHere=${isHere} />`;
}

/** @param {{href: string, label: string, icon: string, isHere: boolean}} props */
function RailLink({ href, label, icon, isHere }) {
  return html`<a class="rail-item" href=${href} title=${label} aria-label=${label} aria-current=${isHere ? 'page' : undefined}>
    <${Icon} name=${icon} size=${18} /></a>`;
}

function ThemeButton() {
  const choice = themeChoice.value;
  const next = THEMES[(THEMES.indexOf(choice) + 1) % THEMES.length];
  const label = `Theme: ${choice}. Change to ${next}`;
  return html`<button class="rail-item" data-theme-choice=${choice} title=${label} aria-label=${label} onClick=${() => chooseTheme(next)}>
    <${Icon} name=${THEME_ICONS[choice]} size=${18} /></button>`;
}

/** With which key, and the way out. Nothing on the folder of whoever started the server. */
function SignedIn() {
  const now = me.value;
  if (!now?.has_key) return null;
  const may = `This key may ${SCOPE_TEXT[now.scope]}${now.project === null ? '' : ` in the project ${now.project}`}`;
  return html`<form class="signed-in" method="post" action=${rootUrl('/logout')}>
    <span class="key-name" title=${may}>${now.name}${now.scope === 'read' && html` <span class="muted">· read only</span>`}</span>
    <button class="icon-button" title="Sign out" aria-label="Sign out"><${Icon} name="signOut" size=${16} /></button></form>`;
}

function LiveDot() {
  const state = serverState.value === 'there' ? liveState.value : serverState.value;
  if (state === 'signed-out' && me.value?.has_key) {
    return html`<a class="live live-signed-out" target="_self" href=${rootUrl('/login')}><span class="live-dot"></span><span class="live-text">Signed out: sign in again</span></a>`;
  }
  const [text, title] = LIVE_TEXT[state];
  return html`<span class=${`live live-${state}`} role="status" aria-live="polite" title=${title}>
    <span class="live-dot"></span><span class="live-text">${text}</span></span>`;
}

/** Crumbs of pages below a project. @param {string} project */
export const projectCrumb = (project) => ({ label: project, url: projectUrl(project) });
export const homeCrumb = () => ({ label: 'Projects', url: homeUrl() });
