/** Addresses of web pages for a git remote. Only https addresses of known forges ever come out of here. */

const SCP = /^(?:[\w.-]+@)?([\w.-]+):(?!\/\/)([\w./~-]+)$/;
const HOST = /^(?=[a-z0-9.-]{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)+$/;
const PATH = /^[\w.~-]+(\/[\w.~-]+)+$/;
/** How a forge addresses a commit below the repository. @type {Record<string, string>} */
const COMMIT_PATHS = { github: 'commit', gitlab: '-/commit', bitbucket: 'commits' };

/**
 * The page of a repository.
 * @param {string} remote https://github.com/o/r.git, git@github.com:o/r.git, ssh://git@host:22/o/r.git
 * @returns {{url: string, forge: string, name: string}|null} null for anything else
 */
export function repositoryPage(remote) {
  const parts = splitRemote(remote.trim());
  if (!parts) return null;
  const host = parts.host.toLowerCase();
  const path = parts.path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  const forge = Object.keys(COMMIT_PATHS).find((name) => host.split('.').includes(name));
  if (!forge || !HOST.test(host) || !PATH.test(path) || path.split('/').includes('..')) return null;
  return { url: `https://${host}/${path}`, forge, name: path };
}

/** @param {string} remote @returns {{host: string, path: string}|null} */
function splitRemote(remote) {
  const scp = SCP.exec(remote);
  if (scp) return { host: scp[1], path: scp[2] };
  if (!/^(https|ssh):\/\//i.test(remote)) return null;
  try {
    const url = new URL(remote);
    return { host: url.hostname, path: url.pathname };
  } catch {
    return null;
  }
}

/** The page of a commit. @param {string} remote @param {string} commit @returns {string|null} */
export function commitPage(remote, commit) {
  const page = repositoryPage(remote);
  return page && /^[0-9a-f]{7,64}$/.test(commit) ? `${page.url}/${COMMIT_PATHS[page.forge]}/${commit}` : null;
}
