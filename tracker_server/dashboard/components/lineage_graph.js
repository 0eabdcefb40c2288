/** The drawing of a lineage: links over a picture of their edges, in a frame that is dragged and zoomed. */
import { versionUrl } from '../artifact_urls.js';
import { sortAliases } from '../logic/artifacts.js';
import { formatNumber, plural } from '../logic/format.js';
import { curve, layOut } from '../logic/lineage_layout.js';
import { formatBytes } from '../logic/units.js';
import { runUrl } from '../router.js';
import { html, useLayoutEffect, useMemo, useRef, useState } from '../ui.js';
import { AliasChip } from './artifact_bits.js';
import { Icon, StateIcon } from './icons.js';

/** @typedef {import('../logic/lineage_groups.js').Item} Item */
/** @typedef {import('../logic/lineage_groups.js').ItemEdge} ItemEdge */

const NODE = { width: 184, height: 46, gapX: 48, gapY: 18 };
const MARGIN = 20;
const LEAST_HEIGHT = 260;
/** `fit` is how small a graph gets by itself, so that it can still be read. */
const ZOOMS = { least: 0.25, fit: 0.65, most: 2, step: 1.25 };

/** @param {{graph: {items: Item[], edges: ItemEdge[]}, chosen: string, onChoose: (id: string) => void, focus: string}} props */
export function LineageGraphView({ graph, chosen, onChoose, focus }) {
  const layout = useMemo(() => layOut(graph.items.map(({ id }) => id), graph.edges, NODE), [graph]);
  const counts = useMemo(() => new Map(graph.edges.map((edge) => [`${edge.from}\n${edge.to}`, edge.n])), [graph]);
  const [zoom, setZoom] = useState(1);
  const [lit, setLit] = useState('');
  const frame = useRef(/** @type {HTMLElement|null} */ (null));
  const focusItem = graph.items.find((item) => item.isFocus);
  const [width, height] = [layout.width + 2 * MARGIN, layout.height + 2 * MARGIN];
  const fit = (/** @type {number} */ least) => {
    const element = frame.current;
    if (element) setZoom(clamp(Math.max(least, Math.min(element.clientWidth / width, element.clientHeight / height, 1))));
  };
  useLayoutEffect(() => fit(ZOOMS.fit), [layout]);
  // What is looked at is in view, also where the whole graph is too large to be; what is chosen stays so beside its list.
  useLayoutEffect(() => {
    const place = layout.places.get(chosen) ?? (focusItem && layout.places.get(focusItem.id));
    const element = frame.current;
    if (!place || !element) return;
    element.scrollLeft = (place.x + MARGIN + NODE.width / 2) * zoom - element.clientWidth / 2;
    element.scrollTop = (place.y + MARGIN + NODE.height / 2) * zoom - element.clientHeight / 2;
  }, [layout, zoom, chosen]);
  const isLit = (/** @type {{from: string, to: string}} */ { from, to }) => lit !== '' && (from === lit || to === lit);
  return html`<div class="lineage-frame" style=${`min-height:min(62dvh, ${Math.max(LEAST_HEIGHT, height + MARGIN)}px)`}><div class="lineage-scroll" ref=${frame} onPointerDown=${pan} tabindex="0" role="group" aria-label=${`Graph of ${plural(graph.items.length, 'node')}`}>
      <div class="lineage-canvas" style=${`width:${width * zoom}px;height:${height * zoom}px`}><div class="lineage-scaled" style=${`width:${width}px;height:${height}px;transform:scale(${zoom})`}>
        <svg class="lineage-edges" width=${width} height=${height} aria-hidden="true"><defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse">
            <path d="M0 .8 7 4 0 7.2z" fill="context-stroke" /></marker></defs>
          <g transform=${`translate(${MARGIN} ${MARGIN})`}>${layout.edges.map((edge) => html`<path key=${`${edge.from}\n${edge.to}`} class=${isLit(edge) ? 'is-lit' : ''} d=${curve(edge.points)}
            stroke-width=${strokeOf(counts.get(`${edge.from}\n${edge.to}`) ?? 1)} marker-end="url(#arrow)" />`)}</g></svg>
        ${graph.items.map((item) => {
    const place = layout.places.get(item.id) ?? { x: 0, y: 0 };
    return html`<div key=${item.id} class="lineage-place" style=${`left:${place.x + MARGIN}px;top:${place.y + MARGIN}px;width:${NODE.width}px;height:${NODE.height}px`}
            onPointerEnter=${() => setLit(item.id)} onPointerLeave=${() => setLit('')} onFocusIn=${() => setLit(item.id)} onFocusOut=${() => setLit('')}>
            <${ItemBox} item=${item} isFocus=${item.id === focus} isChosen=${item.id === chosen} onChoose=${() => onChoose(item.id === chosen ? '' : item.id)} /></div>`;
  })}
      </div></div></div>
    <div class="lineage-zoom" role="group" aria-label="Zoom"><button class="icon-button" title="Larger" aria-label="Larger" onClick=${() => setZoom(clamp(zoom * ZOOMS.step))}><${Icon} name="plus" /></button>
      <button class="icon-button" title="Smaller" aria-label="Smaller" onClick=${() => setZoom(clamp(zoom / ZOOMS.step))}><${Icon} name="minus" /></button>
      <button class="icon-button" title="Fit into the window" aria-label="Fit into the window" onClick=${() => fit(ZOOMS.least)}><${Icon} name="expand" /></button></div></div>`;
}

/** @param {number} zoom */
const clamp = (zoom) => Math.min(ZOOMS.most, Math.max(ZOOMS.least, zoom));
/** @param {number} n how many edges a line stands for */
const strokeOf = (n) => Math.min(4, 1.2 + Math.log10(n));

/** Drag the graph about; links and buttons stay what they are. @param {PointerEvent} event */
function pan(event) {
  const frame = /** @type {HTMLElement} */ (event.currentTarget);
  if (event.button !== 0 || event.pointerType === 'touch' || (event.target instanceof Element && event.target.closest('a, button'))) return;
  const start = { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop };
  frame.setPointerCapture(event.pointerId);
  frame.classList.add('is-dragged');
  const move = (/** @type {PointerEvent} */ moved) => {
    frame.scrollLeft = start.x - moved.clientX;
    frame.scrollTop = start.y - moved.clientY;
  };
  frame.addEventListener('pointermove', move);
  frame.addEventListener('lostpointercapture', () => {
    frame.removeEventListener('pointermove', move);
    frame.classList.remove('is-dragged');
  }, { once: true });
}

/** @param {{item: Item, isFocus: boolean, isChosen: boolean, onChoose: () => void}} props */
function ItemBox({ item, isFocus, isChosen, onChoose }) {
  const [first] = item.members;
  if (item.members.length > 1) return html`<${Stack} item=${item} isChosen=${isChosen} onChoose=${onChoose} />`;
  const kind = `lineage-node is-${item.kind}${isFocus ? ' is-focus' : ''}`;
  if (first.run) {
    const { run } = first;
    return html`<a class=${kind} href=${runUrl(run.project, run.id)} title=${`Run ${run.project}/${run.id}`}><span class="node-name">
      ${run.state ? html`<${StateIcon} state=${run.state} />` : ''}<span>${run.name || run.id}</span></span><span class="node-note">run · ${run.project}</span></a>`;
  }
  const version = /** @type {import('../artifact_types.js').VersionRow} */ (first.version);
  const aliases = sortAliases(version.aliases);
  const body = html`<span class="node-name"><${Icon} name="artifacts" size=${13} /><span>${version.name}</span><b>v${version.number}</b></span>
    <span class="node-note">${version.is_deleted ? 'deleted' : `${version.type} · ${formatBytes(version.size_bytes)}`}${aliases.length > 0 && html`<${AliasChip} alias=${aliases[0]} />`}</span>`;
  const title = `${version.project}/${version.name}:v${version.number}${aliases.length > 0 ? ` (${aliases.join(', ')})` : ''}`;
  if (version.is_deleted) return html`<span class=${`${kind} is-gone`} title=${`${title}, deleted`}>${body}</span>`;
  return html`<a class=${kind} href=${versionUrl(version.project, version.name, `v${version.number}`)} title=${title}>${body}</a>`;
}

/** @param {{item: Item, isChosen: boolean, onChoose: () => void}} props */
function Stack({ item, isChosen, onChoose }) {
  const { members, kind } = item;
  const names = new Set(members.map(({ run, version }) => (run ? run.project : version?.name ?? '')));
  const name = names.size === 1 ? [...names][0] : plural(names.size, kind === 'run' ? 'project' : 'artifact');
  const size = members.reduce((total, { version }) => total + (version?.size_bytes ?? 0), 0);
  return html`<button class=${`lineage-node is-stack is-${kind}`} aria-expanded=${isChosen} title="Show what is in this stack" onClick=${onChoose}>
    <span class="node-name"><${Icon} name=${kind === 'run' ? 'projects' : 'artifacts'} size=${13} /><span>${name}</span><b>${formatNumber(members.length)}</b></span>
    <span class="node-note">${kind === 'run' ? `${plural(members.length, 'run')}` : `${plural(members.length, 'version')} · ${formatBytes(size)}`}</span></button>`;
}
