/** Classes of pixels, drawn over their image in the colours of the classes. */
import { PALETTE } from '../logic/colours.js';
import { html, useEffect, useRef } from '../ui.js';

/** More pixels are not coloured: the page would stand still. */
const MAX_PIXELS = 16_000_000;
const OPACITY = 140;

/** @param {number} id */
export const classColour = (id) => PALETTE.dark[((Math.round(id) % PALETTE.dark.length) + PALETTE.dark.length) % PALETTE.dark.length];

/** @param {{src: string}} props */
export function MaskLayer({ src }) {
  const ref = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useEffect(() => {
    const image = new Image();
    let isStale = false;
    image.onload = () => { if (!isStale && ref.current) draw(ref.current, image); };
    image.src = src;
    return () => { isStale = true; };
  }, [src]);
  return html`<canvas class="mask-layer" ref=${ref} width="1" height="1" aria-hidden="true"></canvas>`;
}

/** @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image each pixel's red is its class; 0 is none */
function draw(canvas, image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height === 0 || width * height > MAX_PIXELS) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return;
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  const colours = Array.from({ length: 256 }, (_, id) => classColour(id).match(/[0-9a-f]{2}/gi)?.map((part) => parseInt(part, 16)) ?? [0, 0, 0]);
  const { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    const id = data[at];
    const [red, green, blue] = colours[id];
    data[at] = red;
    data[at + 1] = green;
    data[at + 2] = blue;
    data[at + 3] = id === 0 ? 0 : OPACITY;
  }
  context.putImageData(pixels, 0, 0);
}
