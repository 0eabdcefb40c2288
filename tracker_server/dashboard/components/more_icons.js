/** Icons that are no part of the first view: paths on a 16 x 16 grid, drawn as strokes. */
import { addIcons } from './icons.js';

addIcons({
  folder: 'M1.8 3.5h4.4l1.4 1.8h6.6v7.2H1.8z',
  image: 'M2 3h12v10H2zM2 11l3.5-3.5L8 10l2.5-2.5L14 11M5.5 5.4a.8.8 0 1 0 0 1.6.8.8 0 0 0 0-1.6z',
  tag: 'M2.5 2.5h5l6 6-5 5-6-6zM5.3 5.3h.01',
  edit: 'M3 13l.6-2.8L11 2.8l2.2 2.2-7.4 7.4zM9.6 4.2l2.2 2.2',
  trash: 'M3 4.5h10M6 4.5V2.5h4v2M4.2 4.5l.6 9h6.4l.6-9M6.8 7v4M9.2 7v4',
  compare: 'M5.5 2.5v11M2.5 5.5l3-3 3 3M10.5 13.5v-11M7.5 10.5l3 3 3-3',
  plus: 'M8 3.5v9M3.5 8h9',
  minus: 'M3.5 8h9',
  stop: 'M3.5 3.5h9v9h-9z',
  download: 'M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13.5h10',
  clock: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 4.5V8l2.4 1.6',
  wrap: 'M2.5 4h11M2.5 8h9a2 2 0 0 1 0 4.2H8M9.6 10.4L7.8 12.2l1.8 1.8M2.5 12h2.5',
  follow: 'M4 3.5l4 4 4-4M4 8.5l4 4 4-4',
  file: 'M4 1.8h5l3 3v9.4H4zM9 1.8v3h3',
  up: 'M8 12.5v-9M4.5 7L8 3.5 11.5 7',
  down: 'M8 3.5v9M4.5 9L8 12.5 11.5 9',
  external: 'M9.5 2.5h4v4M13.5 2.5L8 8M11.5 9.5v4h-9v-9h4',
  pin: 'M6 2.5h4M6.6 2.5v4L4.5 9h7L9.4 6.5v-4M8 9v4.5',
  grip: 'M6 4h.01M10 4h.01M6 8h.01M10 8h.01M6 12h.01M10 12h.01',
});
