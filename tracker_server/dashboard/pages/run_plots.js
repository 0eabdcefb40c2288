/** The plots tab: histograms, plots of numbers and figures that the run logged, step by step. */
import { EmptyText } from '../components/empty.js';
import { bindKeys } from '../components/keyboard.js';
import { MediaToolbar } from '../components/media_toolbar.js';
import { PlotCard } from '../components/plot_card.js';
import { keysOf } from '../logic/media.js';
import { moveStep } from '../state/media_steps.js';
import { mediaKeys } from '../state/view.js';
import { html, useEffect, useMemo, useState } from '../ui.js';

const SHOWN_AT_FIRST = 60;

/** @param {{run: import('../types.js').RunDetail}} props */
export function PlotsTab({ run }) {
  const [nShown, setShown] = useState(SHOWN_AT_FIRST);
  const where = useMemo(() => ({ project: run.project, run: run.id }), [run.project, run.id]);
  const all = keysOf(run.media ?? [], 'plots');
  const found = keysOf(run.media ?? [], 'plots', mediaKeys.value);
  useEffect(() => bindKeys({ '[': () => moveStep(-1), ']': () => moveStep(1) }), []);
  if (all.length === 0) {
    return html`<${EmptyText} title=${run.state === 'running' ? 'No plots yet' : 'No plots were logged'}><p>Histograms, curves and figures show up here, step by step:</p>
      <div class="snippet"><pre><code>run.log({"weights": tracker.Histogram(weights)})${'\n'}run.log({"val/roc": tracker.plot.roc_curve(truth, scores)})</code></pre></div><//>`;
  }
  return html`<${MediaToolbar} noun="plot" nAll=${all.length} nFound=${found.length} />
    <div class="media-wall is-plots">${found.slice(0, nShown).map((mediaKey) => html`<${PlotCard} key=${mediaKey.key} where=${where} mediaKey=${mediaKey} />`)}</div>
    ${found.length > nShown && html`<p class="pad"><button class="button" onClick=${() => setShown(nShown + SHOWN_AT_FIRST)}>Show more plots</button></p>`}
    ${found.length === 0 && html`<p class="muted pad">No key holds “${mediaKeys.value}”.</p>`}`;
}
