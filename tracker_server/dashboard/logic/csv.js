/** Text of CSV files. */

/** One cell, quoted when it must be. @param {unknown} value */
export function csvCell(value) {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Put run columns before every line of a run's CSV, and keep one header for all runs.
 * @param {readonly {id: string, name: string, csv: string}[]} parts
 */
export function joinRunCsv(parts) {
  /** @type {string[]} */
  const lines = [];
  for (const { id, name, csv } of parts) {
    const [header, ...rows] = csv.split(/\r?\n/).filter((line) => line !== '');
    if (header === undefined) continue;
    if (lines.length === 0) lines.push(`run_id,run_name,${header}`);
    const prefix = `${csvCell(id)},${csvCell(name)},`;
    for (const row of rows) lines.push(prefix + row);
  }
  return `${lines.join('\n')}\n`;
}

/** A file name without characters that file systems refuse. @param {string} text */
export function fileName(text) {
  return text.replace(/[^\p{L}\p{N}._-]+/gu, '_').slice(0, 100) || 'chart';
}
