/** Scroll position and size of a scrolling element, as state, at most once a frame. */
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
