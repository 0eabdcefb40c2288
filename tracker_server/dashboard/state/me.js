/** Who looks at the page. Known from the first answer on; until then, and where it fails, nothing may be changed. */
import { fetchMe } from '../api.js';
import { signal } from '../ui.js';

export const me = signal(/** @type {import('../types.js').Me|null} */ (null));

export async function loadMe() {
  try {
    me.value = await fetchMe();
  } catch {
    // The pages tell of a server that is away, or of a sign-in that ended, by themselves.
  }
}

/** Whether runs of a project may be stopped, archived and deleted. @param {string} project */
export function mayChange(project) {
  const now = me.value;
  return now !== null && now.scope !== 'read' && (now.project === null || now.project === project);
}
