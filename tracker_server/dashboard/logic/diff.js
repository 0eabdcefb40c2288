/** Reads a unified diff as git writes it. Only what is opened is read line by line: a diff may have 10 MiB. */

/** @typedef {'changed'|'added'|'deleted'|'renamed'|'binary'} DiffKind */
/** @typedef {{path: string, oldPath: string, kind: DiffKind, nAdded: number, nRemoved: number, body: string[]}} DiffFile */
/** @typedef {{sign: ' '|'+'|'-'|'@'|'\\', oldNumber: number|null, newNumber: number|null, text: string}} DiffLine */

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/;
const ESCAPES = /** @type {Record<string, string>} */ ({ n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\', a: '\u0007', b: '\b', f: '\f', v: '\v' });

/**
 * Split a diff into files.
 * @param {string} text
 * @returns {DiffFile[]}
 */
export function parseDiff(text) {
  /** @type {DiffFile[]} */
  const files = [];
  /** @type {string[]} */
  let lines = [];
  const close = () => { if (lines.length > 0) files.push(readFile(lines)); };
  const all = text.split('\n');
  if (all.at(-1) === '') all.pop();
  for (const line of all) {
    if (line.startsWith('diff --')) {
      close();
      lines = [line];
    } else if (lines.length > 0 || isPlainStart(line)) lines.push(line);
  }
  close();
  return files;
}

/** What the recorder says above the diff of what it lacks: lines "# …". @param {string} text @returns {string[]} */
export function diffNotes(text) {
  const head = text.slice(0, text.search(/^(diff --|--- |Index: )/m) >>> 0);
  return head.split('\n').filter((line) => line.startsWith('# ')).map((line) => line.slice(2));
}

/** A diff of "diff -u" has no line "diff --git". @param {string} line */
function isPlainStart(line) {
  return line.startsWith('--- ') || line.startsWith('Index: ');
}

/** @param {string[]} lines @returns {DiffFile} */
function readFile(lines) {
  const start = lines.findIndex((line) => line.startsWith('@@ '));
  const head = start < 0 ? lines : lines.slice(0, start);
  const body = start < 0 ? [] : lines.slice(start);
  const value = (/** @type {string} */ prefix) => head.find((line) => line.startsWith(prefix))?.slice(prefix.length);
  const [oldName, newName] = headerPaths(head[0]);
  const oldPath = pathOf(value('--- ')) ?? unquote(value('rename from ') ?? '') ?? oldName;
  const path = pathOf(value('+++ ')) ?? unquote(value('rename to ') ?? '') ?? newName ?? oldPath ?? '';
  let nAdded = 0;
  let nRemoved = 0;
  for (const line of body) {
    if (line.startsWith('+')) nAdded += 1;
    else if (line.startsWith('-')) nRemoved += 1;
  }
  return { path, oldPath: oldPath ?? path, kind: kindOf(head), nAdded, nRemoved, body };
}

/** @param {string[]} head @returns {DiffKind} */
function kindOf(head) {
  const has = (/** @type {string} */ prefix) => head.some((line) => line.startsWith(prefix));
  if (has('Binary files ') || has('GIT binary patch')) return 'binary';
  if (has('new file')) return 'added';
  if (has('deleted file')) return 'deleted';
  return has('rename to ') ? 'renamed' : 'changed';
}

/** "a/x.py" of a line "--- a/x.py"; null for /dev/null. @param {string|undefined} text @returns {string|null} */
function pathOf(text) {
  if (text === undefined) return null;
  const name = unquote(text.replace(/\t.*$/, ''));
  return name === null || name === '/dev/null' ? null : name.replace(/^[ab]\//, '');
}

/** The names in "diff --git a/x b/x", which only holds where they have no blanks. @param {string} line */
function headerPaths(line) {
  const match = /^diff --git (?:"a\/(.*)"|a\/(.*)) (?:"b\/(.*)"|b\/(.*))$/.exec(line);
  if (!match) return [null, null];
  return [match[1] ? unquote(`"${match[1]}"`) : match[2], match[3] ? unquote(`"${match[3]}"`) : match[4]];
}

/** A name that git put in quotes, with its bytes in octal. @param {string} text @returns {string|null} */
function unquote(text) {
  if (text === '') return null;
  if (!text.startsWith('"') || !text.endsWith('"')) return text;
  /** @type {number[]} */
  const bytes = [];
  const encoder = new TextEncoder();
  for (const part of text.slice(1, -1).match(/\\[0-7]{3}|\\.|[^\\]+/g) ?? []) {
    if (/^\\[0-7]{3}$/.test(part)) bytes.push(parseInt(part.slice(1), 8));
    else bytes.push(...encoder.encode(part.startsWith('\\') ? ESCAPES[part[1]] ?? part[1] : part));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

/**
 * The lines of a file's changes, numbered.
 * @param {DiffFile} file
 * @param {number} limit read no more than this
 * @returns {DiffLine[]} a line of sign "@" begins each hunk; its text is the function that it is in
 */
export function diffLines(file, limit) {
  /** @type {DiffLine[]} */
  const lines = [];
  let oldNumber = 0;
  let newNumber = 0;
  for (const raw of file.body.slice(0, limit)) {
    const hunk = HUNK.exec(raw);
    const sign = raw.charAt(0);
    const text = raw.slice(1);
    if (hunk) {
      oldNumber = Number(hunk[1]);
      newNumber = Number(hunk[3]);
      lines.push({ sign: '@', oldNumber: null, newNumber: null, text: hunk[5] });
    } else if (sign === '+') lines.push({ sign, oldNumber: null, newNumber: newNumber++, text });
    else if (sign === '-') lines.push({ sign, oldNumber: oldNumber++, newNumber: null, text });
    else if (sign === '\\') lines.push({ sign, oldNumber: null, newNumber: null, text: text.trim() });
    else lines.push({ sign: ' ', oldNumber: oldNumber++, newNumber: newNumber++, text });
  }
  return lines;
}
