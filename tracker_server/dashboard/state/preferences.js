/** What this browser remembers: theme, widths, folded sections, colours. Never needed for the page to work. */
import { computed, signal } from '../ui.js';

const PREFIX = 'tracker.';

/**
 * @template T
 * @param {string} key
 * @param {T} usual
 * @returns {T}
 */
export function remember(key, usual) {
  try {
    const text = localStorage.getItem(PREFIX + key);
    return text === null ? usual : JSON.parse(text);
  } catch {
    // Storage may be forbidden or hold something older; the usual value always works.
    return usual;
  }
}

/** @param {string} key @param {unknown} value */
export function keep(key, value) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Full or forbidden storage only means that the choice is not remembered.
  }
}

/** @typedef {'system'|'light'|'dark'} ThemeChoice */
export const themeChoice = signal(/** @type {ThemeChoice} */ (remember('theme', 'system')));
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(prefersDark.matches);
prefersDark.addEventListener('change', (event) => { systemIsDark.value = event.matches; });

/** The theme that is drawn. */
export const theme = computed(() => {
  if (themeChoice.value !== 'system') return themeChoice.value;
  return systemIsDark.value ? 'dark' : 'light';
});

/** @param {ThemeChoice} choice */
export function chooseTheme(choice) {
  keep('theme', choice);
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  themeChoice.value = choice;
}

/** Whether the page is too narrow for two columns. */
const narrowQuery = matchMedia('(max-width: 719px)');
export const isNarrow = signal(narrowQuery.matches);
narrowQuery.addEventListener('change', (event) => { isNarrow.value = event.matches; });
