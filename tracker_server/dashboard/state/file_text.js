/** Text of a file that a run kept, fetched when it is shown. */
import { fetchFileText } from '../run_api.js';
import { useEffect, useState } from '../ui.js';

/** @typedef {{text: string|null, error: Error|null}} FileText both null while it is on its way */

/** Files do not change under their digest: what was fetched last is kept. @type {Map<string, string>} */
const known = new Map();
const MAX_KNOWN = 8;

/**
 * @param {{project: string, id: string}} run
 * @param {{path: string, digest: string}|null} file null: none
 * @returns {FileText}
 */
export function useFileText(run, file) {
  const [state, setState] = useState(/** @type {FileText & {digest: string}} */ ({ text: null, error: null, digest: '' }));
  const digest = file?.digest ?? '';
  useEffect(() => {
    if (!file || known.has(digest)) return undefined;
    const abort = new AbortController();
    fetchFileText(run.project, run.id, file.path, abort.signal).then((text) => {
      known.set(digest, text);
      for (const oldest of known.keys()) {
        if (known.size <= MAX_KNOWN) break;
        known.delete(oldest);
      }
      setState({ text, error: null, digest });
    }).catch((error) => { if (!abort.signal.aborted) setState({ text: null, error, digest }); });
    return () => abort.abort();
  }, [digest, file?.path]);
  const text = known.get(digest);
  if (text !== undefined) return { text, error: null };
  return state.digest === digest ? state : { text: null, error: null };
}
