/** The alerts tab: what the run said that people should know. */
import { AlertRows } from '../components/alert_list.js';
import { EmptyText } from '../components/empty.js';
import { seenUntilS } from '../state/alerts.js';
import { html, useState } from '../ui.js';

/** @param {{run: import('../types.js').RunDetail}} props */
export function AlertsTab({ run }) {
  const alerts = [...(run.alerts ?? [])].reverse();
  // What is new stays so while somebody looks.
  const [since] = useState(seenUntilS.peek());
  if (alerts.length === 0) {
    return html`<${EmptyText} title="No alerts"><p>A run says what people should know with:</p>
      <div class="snippet"><pre><code>run.alert("Loss is NaN", level=tracker.AlertLevel.ERROR)</code></pre></div><//>`;
  }
  return html`<div class="page is-narrow"><${AlertRows} alerts=${alerts} newSinceS=${since} /></div>`;
}
