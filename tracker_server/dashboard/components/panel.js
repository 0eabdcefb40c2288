/** One chart of the wall with its title, buttons and footer. */
import { PanelController } from '../charts/panel_controller.js';
import { clippedMetrics, logMetrics, toggleMetric } from '../state/view.js';
import { html, useEffect, useRef, useState } from '../ui.js';
import { openDialog } from './dialog.js';
import { Icon } from './icons.js';
import { Menu } from './menu.js';
import { useNear } from './on_screen.js';

/** @typedef {import('../charts/panel_controller.js').Scope} Scope */
/** @typedef {import('../charts/panel_controller.js').PanelStatus} PanelStatus */

/** @type {PanelStatus} */
const LOADING = { kind: 'loading', footer: '', summary: '', subtitle: '' };

/** @param {{metric: string, scope: Scope, isLarge?: boolean}} props */
export function Panel({ metric, scope, isLarge = false }) {
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  const host = useRef(/** @type {HTMLElement|null} */ (null));
  const controller = useRef(/** @type {PanelController|null} */ (null));
  const cached = useRef(/** @type {import('../types.js').ChartData|null} */ (null));
  const [status, setStatus] = useState(LOADING);
  const isNear = useNear(root);
  const isLog = logMetrics.value.includes(metric);
  const isClipped = clippedMetrics.value.includes(metric);
  const x = scope.axes.x.value;
  const title = scope.fullTitleOf(metric);

  useEffect(() => {
    if (!isNear || !host.current) return undefined;
    const isCacheUsable = cached.current?.xKind === x;
    const made = new PanelController({
      host: host.current, scope, metric, isLog, isClipped, cached: isCacheUsable ? cached.current : null, onStatus: setStatus,
    });
    controller.current = made;
    return () => {
      cached.current = made.chart.data;
      controller.current = null;
      made.dispose();
    };
  }, [isNear, isLog, isClipped, x, scope]);

  return html`<section class=${isLarge ? 'panel is-large' : 'panel'} ref=${root} data-metric=${metric} data-status=${status.kind} aria-label=${title}>
    <header class="panel-head">
      ${!isLarge && html`<h3 title=${metric}>${scope.titleOf(metric)}</h3>`}
      <span class="panel-sub">${[scope.noteOf(metric), isLog && 'log', status.subtitle].filter(Boolean).join(' · ')}</span>
      <span class="panel-tools">
        ${!isLarge && html`<button class="icon-button" title="Full screen" aria-label=${`Full screen: ${title}`}
          onClick=${() => openLarge(metric, scope)}><${Icon} name="expand" size=${14} /></button>`}
        <${Menu} label=${`Menu of ${title}`} icon="more" items=${menuItems(metric, scope, { isLog, isClipped }, () => controller.current)} />
      </span>
    </header>
    <div class="panel-plot">
      <div class="panel-chart" ref=${host} role="img" aria-label=${status.summary || title}></div>
      ${status.kind === 'empty' && html`<p class="panel-note">None of the shown runs logged this</p>`}
      ${status.kind === 'error' && html`<p class="panel-note" role="alert">${status.footer}</p>`}
      ${status.kind === 'loading' && html`<span class="panel-loading" aria-hidden="true"></span>`}
    </div>
    <footer class="panel-foot">${status.kind === 'error' ? '' : status.footer}</footer>
  </section>`;
}

/** @param {string} metric @param {Scope} scope */
function openLarge(metric, scope) {
  openDialog({
    title: scope.fullTitleOf(metric), isWide: true,
    body: () => html`<${Panel} metric=${metric} scope=${scope} isLarge />
      <${Legend} scope=${scope} />`,
  });
}

/** Names of the lines; the small panels have the run list for it. @param {{scope: Scope}} props */
function Legend({ scope }) {
  return html`<ul class="legend">${[...scope.styles.value].slice(0, 24).map(([id, style]) => html`<li key=${id}>
    <svg width="18" height="10" aria-hidden="true"><line x1="0" y1="5" x2="18" y2="5" stroke=${style.colour} stroke-width="2"
      stroke-dasharray=${style.dash.join(' ')} /></svg>${scope.nameOf(id)}</li>`)}</ul>`;
}

/** @param {string} metric @param {Scope} scope @param {{isLog: boolean, isClipped: boolean}} axis @param {() => PanelController|null} controller */
function menuItems(metric, scope, { isLog, isClipped }, controller) {
  // Loaded when first used: most visits export nothing.
  const later = () => import('./panel_export.js');
  return [
    { label: 'Log y axis', isChecked: isLog, act: () => toggleMetric('logY', metric) },
    { label: 'Leave out outliers', isChecked: isClipped, act: () => toggleMetric('clipped', metric) },
    ...(scope.choices?.() ?? []),
    { label: 'View as table', act: async () => (await later()).openTable(metric, scope, controller()) },
    { label: 'Download PNG', act: async () => (await later()).downloadPng(metric, scope, controller()) },
    { label: 'Download CSV of every point', act: async () => (await later()).downloadCsv(metric, scope) },
  ];
}
