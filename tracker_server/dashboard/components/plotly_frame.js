/** A Plotly figure, drawn by the installed Plotly in a frame with an origin of its own; else what of it is plain. */
import { API, getJson } from '../api.js';
import { PlotSvg } from '../charts/plot_svg.js';
import { plainFigure } from '../logic/plot_data.js';
import { theme } from '../state/preferences.js';
import { html, signal, useEffect, useMemo, useRef, useState } from '../ui.js';

/** "": there is none. */
const version = signal(/** @type {string|null} */ (null));
let isAsked = false;

async function ask() {
  if (isAsked) return;
  isAsked = true;
  version.value = (await getJson('/plotly').catch(() => ({ version: '' }))).version;
}

/** @param {{figure: unknown, width: number, height: number, label: string}} props */
export function PlotlyFigure({ figure, width, height, label }) {
  useEffect(() => { ask(); }, []);
  if (version.value === null) return html`<div class="media-wait"></div>`;
  if (version.value !== '') return html`<${Frame} figure=${figure} height=${height} label=${label} />`;
  return html`<${Plain} figure=${figure} width=${width} height=${height} label=${label} />`;
}

/** @param {{figure: unknown, height: number, label: string}} props */
function Frame({ figure, height, label }) {
  const ref = useRef(/** @type {HTMLIFrameElement|null} */ (null));
  const [isReady, setReady] = useState(false);
  const shown = theme.value;
  useEffect(() => {
    const hear = (/** @type {MessageEvent} */ event) => { if (event.source === ref.current?.contentWindow && event.data === 'ready') setReady(true); };
    addEventListener('message', hear);
    return () => removeEventListener('message', hear);
  }, []);
  useEffect(() => { if (isReady) ref.current?.contentWindow?.postMessage({ figure, theme: shown }, '*'); }, [isReady, figure, shown]);
  return html`<iframe class="plotly-frame" ref=${ref} sandbox="allow-scripts" referrerpolicy="no-referrer" style=${`height:${height}px`} src=${`${API}/plotly/frame?v=${encodeURIComponent(version.value ?? '')}`} title=${label}></iframe>`;
}

/** @param {{figure: unknown, width: number, height: number, label: string}} props */
function Plain({ figure, width, height, label }) {
  const { plot, title, traces } = useMemo(() => plainFigure(figure), [figure]);
  return html`<div>${title && html`<p class="plot-title">${title}</p>`}
    ${plot && html`<${PlotSvg} plot=${plot} width=${width} height=${height} label=${label} />`}
    <p class="muted plot-note">${plot ? 'Drawn without Plotly.' : `A Plotly figure of ${traces.join(', ') || 'nothing'}.`} Where the server has <code>pip install plotly</code>, it is shown as it was made.</p></div>`;
}
