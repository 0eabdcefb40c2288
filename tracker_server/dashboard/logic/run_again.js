/** Text that brings a run back: its command, the lines that repeat it, its packages. Pure. */

/** @typedef {import('../types.js').Environment} Environment */

/** A word as a POSIX shell reads it back. @param {string} word */
export function shellQuote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** @param {Environment} environment */
export function commandText(environment) {
  return (environment.command ?? []).map(shellQuote).join(' ');
}

/**
 * Lines for a terminal that run the same again.
 * @param {Environment} environment
 * @param {{path: string}|null} diff the uncommitted changes, as a file of the run
 */
export function runAgainText(environment, diff) {
  const { git, cwd } = environment;
  const lines = [];
  if (git?.commit) {
    if (git.remote) lines.push(`git clone ${shellQuote(git.remote)} run-again && cd run-again`);
    lines.push(`git checkout ${shellQuote(git.commit)}`);
    if (diff) lines.push(`git apply ${shellQuote(baseName(diff.path))}  # download it from this page`);
    const below = git.root && cwd && cwd.startsWith(`${git.root}/`) ? cwd.slice(git.root.length + 1) : '';
    if (below) lines.push(`cd ${shellQuote(below)}`);
  } else if (cwd) lines.push(`cd ${shellQuote(cwd)}`);
  if (environment.command?.length) lines.push(commandText(environment));
  return lines.join('\n');
}

/** @param {string} path */
export function baseName(path) {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** @param {Record<string, string>} packages @returns {[string, string][]} by name, whatever its case */
export function sortedPackages(packages) {
  return Object.entries(packages).sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
}

/** A requirements.txt. @param {Record<string, string>} packages */
export function requirementsText(packages) {
  return `${sortedPackages(packages).map(([name, version]) => `${name}==${version}`).join('\n')}\n`;
}

/**
 * The source of a kept file as it is shown: of a notebook its cells, one after the other.
 * @param {string} path
 * @param {string} text
 */
export function shownSource(path, text) {
  if (!path.endsWith('.ipynb')) return text;
  try {
    const { cells } = JSON.parse(text);
    return cells.map((/** @type {{cell_type: string, source: string|string[]}} */ { cell_type: kind, source }) => {
      const lines = (Array.isArray(source) ? source.join('') : String(source)).split('\n');
      return [`# %%${kind === 'code' ? '' : ` [${kind}]`}`, ...lines.map((line) => (kind === 'code' ? line : `# ${line}`))].join('\n');
    }).join('\n\n');
  } catch {
    // No notebook after all: shown as it is.
    return text;
  }
}
