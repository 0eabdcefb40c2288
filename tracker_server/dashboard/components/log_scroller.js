/** Joins the scroll bar of the log to a place in its lines; see logic/log_scroll.js for why they are not the same. */
import { endPosition, positionFor, scrollPxPerLine, visibleLines } from '../logic/log_scroll.js';
import { signal } from '../ui.js';

export const ROW_PX = 18;
const KEY_ROWS = /** @type {Record<string, (page: number) => number>} */ ({
  ArrowDown: () => 2, ArrowUp: () => -2, PageDown: (page) => page - 2, PageUp: (page) => 2 - page, ' ': (page) => page - 2,
});

export class LogScroller {
  /** @param {{nLines: () => number, rowsOf: (line: number) => number}} source */
  constructor(source) {
    this.source = source;
    /** The line at the upper edge, with the part of it that is above. */
    this.position = signal(0);
    this.isFollowing = signal(true);
    /** How many rows are on screen. */
    this.rows = signal(40);
    /** How wide the element is: what is wrapped depends on it. */
    this.widthPx = signal(800);
    /** @type {HTMLElement|null} */
    this.element = null;
    this.end = 0;
    this.pxPerLine = ROW_PX;
    this.expectedTop = 0;
  }

  /** @param {HTMLElement} element @returns {() => void} to let go */
  attach(element) {
    this.element = element;
    const onScroll = () => this.scrolled();
    const onWheel = (/** @type {WheelEvent} */ event) => this.wheeled(event);
    const onKey = (/** @type {KeyboardEvent} */ event) => this.keyed(event);
    const resizer = new ResizeObserver(() => this.measure());
    element.addEventListener('scroll', onScroll, { passive: true });
    element.addEventListener('wheel', onWheel, { passive: false });
    element.addEventListener('keydown', onKey);
    resizer.observe(element);
    this.measure();
    return () => {
      element.removeEventListener('scroll', onScroll);
      element.removeEventListener('wheel', onWheel);
      element.removeEventListener('keydown', onKey);
      resizer.disconnect();
      this.element = null;
    };
  }

  measure() {
    if (!this.element) return;
    this.rows.value = Math.max(1, this.element.clientHeight / ROW_PX);
    this.widthPx.value = this.element.clientWidth;
  }

  /** What is to be drawn now. Call it while drawing, so that a change of any part draws again. */
  layout() {
    const [nLines, rows] = [this.source.nLines(), this.rows.value];
    this.end = endPosition(nLines, rows, this.source.rowsOf);
    this.pxPerLine = scrollPxPerLine(this.end, ROW_PX);
    const position = this.isFollowing.value ? this.end : Math.min(this.position.value, this.end);
    return { ...visibleLines(position, rows, nLines, this.source.rowsOf), position, spacerPx: this.end * this.pxPerLine };
  }

  /** Put the scroll bar where the drawing is, unless it was moved meanwhile. @param {number} position */
  settle(position) {
    const { element } = this;
    if (!element) return;
    if (this.isMoved(element)) {
      this.scrolled();
      return;
    }
    this.position.value = position;
    const top = position * this.pxPerLine;
    if (Math.abs(element.scrollTop - top) >= 1) element.scrollTop = top;
    // Read back: the browser rounds it.
    this.expectedTop = element.scrollTop;
  }

  /** Whether somebody moved the scroll bar since it was set; its event may still be on the way. @param {HTMLElement} element */
  isMoved({ scrollTop, scrollHeight, clientHeight }) {
    // Where the text got shorter than that, the browser moved it.
    return Math.abs(scrollTop - this.expectedTop) >= 1 && this.expectedTop <= scrollHeight - clientHeight + 1;
  }

  scrolled() {
    const { element } = this;
    // Our own setting of the scroll bar comes back as an event.
    if (!element || !this.isMoved(element)) return;
    this.expectedTop = element.scrollTop;
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 1;
    this.moveTo(isAtEnd ? this.end : element.scrollTop / this.pxPerLine);
  }

  /** Where a pixel of the scroll bar is many of text, the wheel would skip lines. @param {WheelEvent} event */
  wheeled(event) {
    if (event.deltaY < 0 && this.end > 0) this.isFollowing.value = false;
    if (this.pxPerLine >= ROW_PX || event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    event.preventDefault();
    const rows = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / ROW_PX : event.deltaY;
    this.moveTo(this.position.peek() + rows);
  }

  /** @param {KeyboardEvent} event */
  keyed(event) {
    const rows = KEY_ROWS[event.key]?.(this.rows.peek());
    if (rows === undefined || this.pxPerLine >= ROW_PX || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.moveTo(this.position.peek() + rows);
  }

  /** Go to a place; at the end the log is followed. @param {number} position */
  moveTo(position) {
    const bounded = Math.min(this.end, Math.max(0, position));
    this.isFollowing.value = bounded >= this.end - 0.01;
    this.position.value = bounded;
  }

  /** Bring a line well into view. @param {number} line */
  reveal(line) {
    const visible = visibleLines(this.position.peek(), this.rows.peek(), this.source.nLines(), this.source.rowsOf);
    const position = positionFor(line, visible, this.rows.peek());
    if (position === null) this.isFollowing.value = false;
    else {
      // Before the first drawing the end is not known: the next one bounds it.
      this.isFollowing.value = false;
      this.position.value = position;
    }
  }
}
