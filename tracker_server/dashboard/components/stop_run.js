/** Ask a run to stop: a button with a confirmation, and what became of the order. */
import { stopRun } from '../run_api.js';
import { formatTime } from '../logic/format.js';
import { askedBy } from '../logic/states.js';
import { mayChange } from '../state/me.js';
import { html, useState } from '../ui.js';
import { closeDialog, openDialog } from './dialog.js';
import { Icon } from './icons.js';

/** @typedef {import('../types.js').RunDetail} RunDetail */

/** For the head of a run's page. @param {{run: RunDetail}} props */
export function StopRun({ run }) {
  if (run.state !== 'running') return null;
  if (run.stop) return html`<${Stopping} run=${run} stop=${run.stop} />`;
  if (!mayChange(run.project)) return null;
  const ask = () => openDialog({ title: `Stop ${run.name}?`, body: () => html`<${StopForm} run=${run} />` });
  return html`<button class="button stop-button" onClick=${ask}><${Icon} name="stop" size=${14} />Stop</button>`;
}

/** @param {{run: RunDetail, stop: import('../types.js').StopOrder}} props */
function Stopping({ run, stop }) {
  const [error, setError] = useState('');
  const withdraw = () => stopRun(run.project, run.id, { withdraw: true }).catch((problem) => setError(problem.message));
  return html`<span class="stopping" role="status" title=${`Asked at ${formatTime(stop.at_s)}. It stops at its next log(), or where its framework lets it.`}>
    <${Icon} name="stop" size=${14} /><span class="stopping-text">stopping… <span class="muted">asked by ${askedBy(stop)}</span></span>
    ${mayChange(run.project) && html`<button class="text-button" onClick=${withdraw}>Withdraw</button>`}
    ${error && html`<span class="trouble" role="alert">${error}</span>`}</span>`;
}

/** @param {{run: RunDetail}} props */
function StopForm({ run }) {
  const [why, setWhy] = useState('');
  const [error, setError] = useState('');
  const [isAsking, setIsAsking] = useState(false);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setIsAsking(true);
    try {
      await stopRun(run.project, run.id, { why: why.trim() });
      closeDialog();
    } catch (problem) {
      setError(/** @type {Error} */ (problem).message);
      setIsAsking(false);
    }
  };
  return html`<form class="stop-form" onSubmit=${submit}>
    <p>The training is told at its next <code>log()</code>, within a second or two, and can still save what it has. What it has logged stays.</p>
    <label class="stop-why"><span>Why <span class="muted">(optional; shown with the run)</span></span>
      <input class="input" autofocus maxlength="2000" value=${why} onInput=${(/** @type {any} */ event) => setWhy(event.currentTarget.value)} /></label>
    ${error && html`<p class="trouble" role="alert"><${Icon} name="warn" size=${14} />${error}</p>`}
    <div class="dialog-actions"><button type="button" class="button" onClick=${closeDialog}>Go on training</button>
      <button class="button is-danger" disabled=${isAsking}>Stop the run</button></div>
  </form>`;
}
