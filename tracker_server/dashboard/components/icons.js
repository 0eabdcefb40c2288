/** Icons, as inline drawings that take the colour of the text around them. */
import { UNKNOWN_STATE, stateMeaning } from '../logic/states.js';
import { html } from '../ui.js';

/** @type {Record<string, string>} paths on a 16 x 16 grid, drawn as strokes */
const PATHS = {
  logo: 'M2 12.5 5.5 7l3 3L14 3.5M10.5 3.5H14V7',
  projects: 'M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5H9z',
  artifacts: 'M8 1.8l5.5 3v6.4L8 14.2l-5.5-3V4.8zM2.5 4.8L8 7.8l5.5-3M8 7.8v6.4',
  registry: 'M8 1.8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM6.6 5.8l1 1 1.9-1.9M5.5 9.3L4.5 14.2 8 12.4l3.5 1.8-1-4.9',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z',
  eyeOff: 'M2.5 2.5l11 11M6.4 3.8A6 6 0 0 1 8 3.5c4 0 6.5 4.5 6.5 4.5a11 11 0 0 1-1.7 2.2M4 4.9A11 11 0 0 0 1.5 8S4 12.5 8 12.5a6 6 0 0 0 3.2-.9',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1.2v1.3M8 13.5v1.3M1.2 8h1.3M13.5 8h1.3M3.2 3.2l.9.9M11.9 11.9l.9.9M3.2 12.8l.9-.9M11.9 4.1l.9-.9',
  moon: 'M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z',
  system: 'M2 3h12v8H2zM6 14h4M8 11v3',
  help: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.3M8 11.4v.2',
  link: 'M6.5 9.5l3-3M7 4.5l1.2-1.2a3 3 0 0 1 4.5 4.5L11.5 9M9 11.5l-1.2 1.2a3 3 0 0 1-4.5-4.5L4.5 7',
  expand: 'M9.5 2.5h4v4M13.5 2.5l-5 5M6.5 13.5h-4v-4M2.5 13.5l5-5',
  collapse: 'M13.5 6.5h-4v-4M9.5 6.5l4-4M2.5 9.5h4v4M6.5 9.5l-4 4',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  chevron: 'M6 4l4 4-4 4',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5l3 3',
  sortUp: 'M8 12V4M5 7l3-3 3 3',
  sortDown: 'M8 4v8M5 9l3 3 3-3',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  zoomOut: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5l3 3M5 7h4',
  signOut: 'M6.5 2.5h-4v11h4M7 8h6.5M10.5 5l3 3-3 3',
  warn: 'M8 2.5l6 11H2zM8 6.5v3.5M8 12v.01',
  columns: 'M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10',
  group: 'M2.5 3.5h11M5.5 8h8M5.5 12.5h8M2.5 3.5v9M2.5 8h1M2.5 12.5h1',
  back: 'M10 4l-4 4 4 4',
  play: 'M4.5 3v10l8-5z',
  error: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 4.5v4.2M8 11.2v.05',
  info: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 7.3v4M8 4.8v.05',
  filter: 'M2.5 3.5h11L9.5 8.5v4l-3 1.5V8.5z',
  bell: 'M8 2a4 4 0 0 0-4 4c0 4-1.5 5-1.5 5.5h11C13.5 11 12 10 12 6a4 4 0 0 0-4-4zM6.5 13.8a1.7 1.7 0 0 0 3 0M8 2v-.8',
  table: 'M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.6h11M6.5 6.3V13',
  copy: 'M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3',
};

/** Those of pages that are loaded later come with them. @param {Record<string, string>} paths */
export const addIcons = (paths) => Object.assign(PATHS, paths);

/** @param {{name: string, size?: number}} props */
export function Icon({ name, size = 16 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true">
    <path d=${PATHS[name]} /></svg>`;
}

/** @type {Record<string, any>} drawn on a 12 x 12 grid; the shape tells the state as well as the colour does */
const STATE_SHAPES = {
  running: html`<circle cx="6" cy="6" r="3.5" fill="currentColor" stroke="none" />`,
  finished: html`<path d="M2 6.5l2.7 2.7L10 3.2" />`,
  failed: html`<path d="M2.7 2.7l6.6 6.6M9.3 2.7l-6.6 6.6" />`,
  killed: html`<circle cx="6" cy="6" r="4" stroke-dasharray="2.2 1.9" />`,
  preempted: html`<path d="M4 2.5v7M8 2.5v7" />`,
  crashed: html`<path d="M7.3 1.3L3 6.8h6L4.7 10.9" />`,
};

/** @param {{state: string}} props */
export function StateIcon({ state }) {
  return html`<svg class=${`state state-${state}`} width="12" height="12" viewBox="0 0 12 12" role="img" aria-label=${state}>
    <title>${stateMeaning(state)}</title>${STATE_SHAPES[state] ?? STATE_SHAPES[UNKNOWN_STATE]}</svg>`;
}

/** @param {{state: string, title?: string}} props */
export function StateBadge({ state, title = stateMeaning(state) }) {
  return html`<span class=${`badge state-${state}`} title=${title}><${StateIcon} state=${state} />${state}</span>`;
}

/** The sample of a run's line. @param {{style?: import('../logic/colours.js').LineStyle}} props */
export function Swatch({ style }) {
  if (!style) return html`<span class="swatch is-off"></span>`;
  // The dash of the line, drawn at the swatch's width.
  return html`<svg class="swatch-line" width="14" height="10" aria-hidden="true">
    <line x1="0" y1="5" x2="14" y2="5" stroke=${style.colour} stroke-width="3" stroke-dasharray=${style.dash.join(' ')} /></svg>`;
}
