/** A key of the plots tab: a plot, histogram or figure at a step. */
import { PlotSvg } from '../charts/plot_svg.js';
import { kindOf } from '../logic/media.js';
import { binsOf, plotOf } from '../logic/plot_data.js';
import { fetchMediaJson } from '../media_api.js';
import { html, useEffect, useMemo, useRef, useState } from '../ui.js';
import { openDialog } from './dialog.js';
import { HistogramSteps } from './histogram_steps.js';
import { Icon } from './icons.js';
import { NotHere } from './media_piece.js';
import { useNear } from './on_screen.js';
import { PlotlyFigure } from './plotly_frame.js';
import { StepSlider, useSeries, useStepKeys, useSteps } from './step_slider.js';

/** @typedef {import('../media_api.js').Where} Where */

const WIDTH = 420;
const HEIGHT = 240;
const MATRIX_HEIGHT = 330;
const LARGE = /** @type {const} */ ([1100, 620]);

/** @param {{where: Where, mediaKey: import('../types.js').MediaKey}} props */
export function PlotCard({ where, mediaKey }) {
  const { key, kind, n_values: nValues } = mediaKey;
  const ref = useRef(/** @type {HTMLElement|null} */ (null));
  const isNear = useNear(ref);
  const steps = useSteps(useSeries(where, key, nValues), isNear);
  const activate = useStepKeys(steps);
  const [isOverSteps, setOverSteps] = useState(false);
  const logged = steps.value?.value;
  const title = typeof logged?.title === 'string' ? logged.title : '';
  const isHistogram = kind === 'histogram' && nValues > 1;
  const open = () => openDialog({ title: title || key, isWide: true, body: () => html`<${PlotBody} where=${where} value=${logged} label=${key} width=${LARGE[0]} height=${LARGE[1]} />` });
  return html`<section class=${kind === 'plotly' ? 'media-card is-wide' : 'media-card'} ref=${ref} aria-label=${key} data-key=${key} onPointerDown=${activate} onFocusIn=${activate}>
    <header class="media-head"><h3 title=${key}>${key}</h3>
      ${isHistogram && html`<button class="overlay-chip" aria-pressed=${isOverSteps} onClick=${() => setOverSteps(!isOverSteps)}>over steps</button>`}
      <button class="icon-button" aria-label=${`Show ${key} large`} title="Show large" onClick=${open}><${Icon} name="expand" size=${14} /></button></header>
    <div class="plot-place">${title && html`<p class="plot-title" title=${title}>${title}</p>`}
      ${isOverSteps ? html`<${HistogramSteps} where=${where} mediaKey=${key} nValues=${nValues} width=${WIDTH} height=${HEIGHT} />`
        : steps.value ? html`<${PlotBody} where=${where} value=${logged} label=${key} width=${WIDTH} height=${HEIGHT} />`
          : steps.error ? html`<p class="trouble" role="alert">${steps.error.message}</p>` : html`<div class="media-wait is-plot"></div>`}</div>
    <footer>${isOverSteps ? '' : html`<${StepSlider} steps=${steps} label=${key} />`}</footer>
  </section>`;
}

/** @param {{where: Where, value: any, label: string, width: number, height: number}} props */
function PlotBody({ where, value, label, width, height }) {
  const kind = kindOf(value);
  const inline = useMemo(() => (kind === 'histogram' ? binsOf(value.bins, value.counts) : null), [value]);
  if (kind === 'histogram') return inline ? html`<${PlotSvg} plot=${inline} width=${width} height=${height} label=${label} />` : html`<p class="muted pad">An empty histogram</p>`;
  if ((kind !== 'plot' && kind !== 'plotly') || typeof value.path !== 'string') return html`<p class="muted pad">No plot at this step</p>`;
  return html`<${KeptPlot} key=${kind} where=${where} value=${value} label=${label} width=${width} height=${height} />`;
}

/** @param {{where: Where, value: any, label: string, width: number, height: number}} props */
function KeptPlot({ where, value, label, width, height }) {
  const [content, setContent] = useState(/** @type {{path: string, json: unknown, error: Error|null}|null} */ (null));
  const [nTries, setTries] = useState(0);
  const { path } = value;
  useEffect(() => {
    let isStale = false;
    const take = (/** @type {unknown} */ json, /** @type {Error|null} */ error) => { if (!isStale) setContent({ path, json, error }); };
    fetchMediaJson(where, path).then((json) => take(json, null), (error) => take(null, error));
    return () => { isStale = true; };
  }, [where.project, where.run, path, nTries]);
  const kind = String(value.kind ?? '');
  const plot = useMemo(() => (content?.json && value._type === 'plot' ? plotOf(kind, content.json) : null), [content, kind]);
  if (!content) return html`<div class="media-wait is-plot"></div>`;
  if (content.error) return html`<${NotHere} onRetry=${() => setTries(nTries + 1)} />`;
  if (value._type === 'plotly') return html`<${PlotlyFigure} figure=${content.json} width=${width} height=${Math.max(height, 300)} label=${label} />`;
  if (!plot) return html`<p class="muted pad">Nothing that can be drawn</p>`;
  const nLeftOut = 'nLeftOut' in plot ? plot.nLeftOut : 0;
  return html`<${PlotSvg} plot=${plot} width=${width} height=${plot.type === 'matrix' ? Math.max(height, MATRIX_HEIGHT) : height} label=${label} />
    ${nLeftOut > 0 && html`<p class="muted plot-note">not all that was logged is drawn: the file has it</p>`}`;
}
