/** All alerts of a project, or of all projects, newest first. */
import { fetchAlerts } from '../alerts_api.js';
import { AlertRows, LevelChoice } from '../components/alert_list.js';
import { EmptyText, ErrorNote, Skeleton } from '../components/empty.js';
import { Icon } from '../components/icons.js';
import { bindKeys } from '../components/keyboard.js';
import { Shell, homeCrumb, projectCrumb } from '../components/shell.js';
import { onChanges } from '../events.js';
import { formatNumber, plural } from '../logic/format.js';
import { alertsUrl } from '../router.js';
import { markSeen, seenUntilS } from '../state/alerts.js';
import { paced } from '../state/paced.js';
import { html, useEffect, useMemo, useRef, useState } from '../ui.js';

/** @typedef {import('../types.js').AlertList} AlertList */

const PAGE = 100;
const GAP_MS = 1500;
const FILTER_ID = 'alert-filter';

/** @param {{project: string}} props "": all */
export function AlertsPage({ project }) {
  const [levels, setLevels] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [text, setText] = useState('');
  const [limit, setLimit] = useState(PAGE);
  const [since] = useState(seenUntilS.peek());
  const { list, error } = useAlerts(project, levels, text, limit);
  useEffect(() => {
    document.title = `Alerts${project === '' ? '' : ` · ${project}`} · Tracker`;
    return bindKeys({ '/': () => document.getElementById(FILTER_ID)?.focus() });
  }, [project]);
  useEffect(() => { if (list && project === '' && levels.size === 0 && text === '') markSeen(list.alerts); }, [list]);
  const crumbs = [homeCrumb(), ...(project === '' ? [] : [projectCrumb(project)]), { label: 'Alerts' }];
  const isFiltered = levels.size > 0 || text !== '';
  const body = list === null ? (error ? html`<${ErrorNote} error=${error} />` : html`<${Skeleton} rows=${8} />`)
    : list.alerts.length === 0 ? html`<${NoAlerts} isFiltered=${isFiltered} />`
      : html`<${AlertRows} alerts=${list.alerts} newSinceS=${since} withRun withProject=${project === ''} />
        <p class="alerts-foot muted">${countText(list)} ${list.alerts.length < list.n_matching && limit < 500 && html`<button class="button" onClick=${() => setLimit(Math.min(500, limit + PAGE))}>Show more</button>`}</p>`;
  return html`<${Shell} crumbs=${crumbs} place="alerts"><div class="page is-narrow">
    <header class="page-head alerts-head"><h1>Alerts</h1>
      ${project !== '' && html`<a class="button" href=${alertsUrl()}>Of all projects</a>`}
      <${LevelChoice} chosen=${levels} onChange=${setLevels} />
      <label class="search"><${Icon} name="search" size=${14} /><input id=${FILTER_ID} type="search" placeholder="Words in title or text" aria-label="Find alerts" value=${text}
        onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label></header>
    ${body}</div><//>`;
}

/** @param {string} project @param {ReadonlySet<string>} levels @param {string} text @param {number} limit */
function useAlerts(project, levels, text, limit) {
  const [list, setList] = useState(/** @type {AlertList|null} */ (null));
  const [error, setError] = useState(/** @type {Error|null} */ (null));
  const wanted = useRef({ limit, levels: '', text });
  wanted.current = { limit, levels: [...levels].join(','), text };
  const loader = useMemo(() => paced(GAP_MS, async () => {
    const asked = wanted.current;
    try {
      const found = await fetchAlerts(project, asked);
      if (asked === wanted.current || wanted.current.text === asked.text) setList(found);
      setError(null);
    } catch (problem) {
      setError(/** @type {Error} */ (problem));
    }
  }), [project]);
  useEffect(() => {
    const stop = onChanges((changes) => { if (changes === null || changes.some(({ kinds }) => kinds.includes('alerts'))) loader.ask(); });
    return () => { stop(); loader.stop(); };
  }, [loader]);
  useEffect(() => {
    const timer = setTimeout(loader.ask, text === '' ? 0 : 200);
    return () => clearTimeout(timer);
  }, [loader, levels, text, limit]);
  return { list, error };
}

/** @param {AlertList} list */
function countText({ alerts, n_matching: n, is_complete: isComplete }) {
  if (alerts.length === n && isComplete) return plural(n, 'alert');
  return `the latest ${formatNumber(alerts.length)} of ${isComplete ? '' : 'more than '}${formatNumber(n)} alerts`;
}

/** @param {{isFiltered: boolean}} props */
function NoAlerts({ isFiltered }) {
  if (isFiltered) return html`<p class="muted pad">No alert matches.</p>`;
  return html`<${EmptyText} title="No alerts yet"><p>A run says what people should know, and it shows up here and at the bell:</p>
    <div class="snippet"><pre><code>run.alert("Loss is NaN", text=f"at step {step}", level=tracker.AlertLevel.ERROR)</code></pre></div><//>`;
}
