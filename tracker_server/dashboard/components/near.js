/** Tells an element when it comes near the window and when it goes: charts exist only there. */
import { useEffect, useState } from '../ui.js';

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
