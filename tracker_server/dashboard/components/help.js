/** What the help tells: keys, and how runs are filtered. */
import { html } from '../ui.js';

const KEYS = [
  ['/', 'Filter runs; search the log'], ['j  k', 'Next, previous run'], ['Enter', 'Open the run'], ['h', 'Hide or show the run'],
  ['o', 'Show only the run'], ['t', 'Run list as full table, and back'], ['z', 'Undo the last zoom'],
  ['f', 'Log: stay at the end'], ['g  G', 'Log: go to its begin, its end'],
  ['g r', 'Go to the runs of the project'], ['g p', 'Go to projects'], ['g a', 'Go to artifacts'], ['g m', 'Go to the registry'], ['g n', 'Go to alerts'], ['[  ]', 'Media, tables, plots: step before, after'], ['?', 'This help'],
];

const FILTER_EXAMPLES = [
  ['resnet "my run"', 'words somewhere in name, id, tags or notes'],
  ['config.lr < 1e-3 and state == "finished"', 'a setting, a state'],
  ['summary["val/loss"].min < 0.2', 'the best value of a metric; also max, mean, first, last'],
  ['"baseline" in tags and not config.debug == True', 'tags; the opposite'],
  ['name ~ "resnet.*" or created > "2 days ago"', 'a pattern; a time'],
];

export function HelpBody() {
  return html`<table class="keys"><tbody>
      ${KEYS.map(([keys, text]) => html`<tr><td>${keys.split(/\s+/).map((key) => html`<kbd>${key}</kbd> `)}</td><td>${text}</td></tr>`)}
    </tbody></table>
    <p class="muted">Drag on a chart to zoom all charts; double-click goes back one step. Alt-click an eye to show only
      that run.</p>
    <h3>Filtering runs</h3>
    <dl class="examples">${FILTER_EXAMPLES.map(([text, about]) => html`<dt><code>${text}</code></dt><dd class="muted">${about}</dd>`)}</dl>`;
}
