/** What is on screen: of a scrolling element where it is scrolled to, of any element whether it is near the window. */
import { useEffect, useRef, useState } from '../ui.js';

/** @typedef {{top: number, left: number, width: number, height: number}} Viewport */

/**
 * @returns {[{current: HTMLElement|null}, Viewport]} a ref for the scrolling element, and what of it is on screen
 */
export function useViewport() {
  const ref = useRef(/** @type {HTMLElement|null} */ (null));
  const [viewport, setViewport] = useState({ top: 0, left: 0, width: 400, height: 800 });
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    let frame = 0;
    const read = () => {
      frame = 0;
      const { scrollTop: top, scrollLeft: left, clientWidth: width, clientHeight: height } = element;
      setViewport((old) => (
        old.top === top && old.left === left && old.width === width && old.height === height ? old : { top, left, width, height }));
    };
    const schedule = () => { frame ||= requestAnimationFrame(read); };
    element.addEventListener('scroll', schedule, { passive: true });
    const resizer = new ResizeObserver(schedule);
    resizer.observe(element);
    read();
    return () => {
      element.removeEventListener('scroll', schedule);
      resizer.disconnect();
      cancelAnimationFrame(frame);
    };
  }, []);
  return [ref, viewport];
}

/**
 * Bring a row into view.
 * @param {HTMLElement|null} scroller
 * @param {number} index
 * @param {number} rowHeight
 * @param {number} headHeight of the sticky head above the rows
 */
export function scrollToRow(scroller, index, rowHeight, headHeight) {
  if (!scroller) return;
  const top = index * rowHeight;
  const visible = scroller.clientHeight - headHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + rowHeight > scroller.scrollTop + visible) scroller.scrollTop = top + rowHeight - visible;
}

/** Far enough that a normal scroll meets charts that are there already. */
const MARGIN = '400px 0px';

/** @type {WeakMap<Element, (isNear: boolean) => void>} */
const listeners = new WeakMap();
/** @type {IntersectionObserver|null} */
let observer = null;

/** One observer for all panels. */
function sharedObserver() {
  observer ??= new IntersectionObserver((entries) => {
    for (const entry of entries) listeners.get(entry.target)?.(entry.isIntersecting);
  }, { rootMargin: MARGIN });
  return observer;
}

/** @param {{current: Element|null}} ref */
export function useNear(ref) {
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    listeners.set(element, setNear);
    sharedObserver().observe(element);
    return () => sharedObserver().unobserve(element);
  }, []);
  return isNear;
}
