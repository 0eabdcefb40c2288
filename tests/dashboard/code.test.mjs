import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffLines, diffNotes, parseDiff } from '../../tracker_server/dashboard/logic/diff.js';
import { machineFacts, schedulerFacts, softwareFacts } from '../../tracker_server/dashboard/logic/environment.js';
import { commitPage, repositoryPage } from '../../tracker_server/dashboard/logic/git_links.js';
import { healthFindings } from '../../tracker_server/dashboard/logic/health.js';
import { tokenLines } from '../../tracker_server/dashboard/logic/python_tokens.js';
import { commandText, requirementsText, runAgainText, shellQuote, shownSource } from '../../tracker_server/dashboard/logic/run_again.js';
import { STATES, describeState, stateMeaning, troubleText } from '../../tracker_server/dashboard/logic/states.js';

const DIFF = `diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -3,3 +3,4 @@ def main():
 same
-old
+new
+++ an added line that looks like a head
@@ -20 +21 @@
-diff --git is no head here
+x
\\ No newline at end of file
diff --git a/old.txt b/new.txt
similarity index 100%
rename from old.txt
rename to new.txt
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
diff --git "a/gr\\303\\266\\303\\237e.txt" "b/gr\\303\\266\\303\\237e.txt"
deleted file mode 100644
--- "a/gr\\303\\266\\303\\237e.txt"
+++ /dev/null
@@ -1 +0,0 @@
-x
`;

test('a diff is split into files with what happened to each', () => {
  const files = parseDiff(DIFF).map(({ path, oldPath, kind, nAdded, nRemoved }) => [path, oldPath, kind, nAdded, nRemoved]);
  assert.deepEqual(files, [
    ['a.py', 'a.py', 'changed', 3, 2], ['new.txt', 'old.txt', 'renamed', 0, 0], ['logo.png', 'logo.png', 'binary', 0, 0],
    ['größe.txt', 'größe.txt', 'deleted', 0, 1],
  ]);
});

test('lines of a diff keep the numbers of both sides', () => {
  const told = diffLines(parseDiff(DIFF)[0], 100).map(({ sign, oldNumber, newNumber, text }) => `${oldNumber ?? '.'} ${newNumber ?? '.'} ${sign}${text}`);
  assert.deepEqual(told, [
    '. . @def main():', '3 3  same', '4 . -old', '. 4 +new', '. 5 +++ an added line that looks like a head', '. . @',
    '20 . -diff --git is no head here', '. 21 +x', '. . \\No newline at end of file',
  ]);
  assert.equal(diffLines(parseDiff(DIFF)[0], 2).length, 2);
});

test('an empty, a plain and a broken diff are read without a fault', () => {
  assert.deepEqual(parseDiff(''), []);
  assert.equal(parseDiff('--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n')[0].path, 'x');
  assert.deepEqual(parseDiff('no diff at all\n'), []);
  assert.equal(parseDiff('diff --git a/x b/x')[0].path, 'x');
});

test('what the recorder says above a diff is no part of it', () => {
  const noted = `# cut after 10 MiB\n# secrets are masked\n${DIFF}`;
  assert.deepEqual(diffNotes(noted), ['cut after 10 MiB', 'secrets are masked']);
  assert.equal(parseDiff(noted)[0].path, 'a.py');
  assert.deepEqual(diffNotes('# binary file, left out: x.png\n'), ['binary file, left out: x.png']);
  assert.deepEqual(diffNotes(DIFF), []);
});

test('a diff of 10 MiB is split in a moment', () => {
  const text = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n'.concat('+a line of some forty letters, give or take\n'.repeat(240_000));
  const began = performance.now();
  assert.equal(parseDiff(text)[0].nAdded, 240_000);
  assert.ok(performance.now() - began < 2000);
});

const kinds = (source) => tokenLines(source).map((tokens) => tokens.filter(({ kind }) => kind !== '').map(({ text, kind }) => `${kind}:${text}`));

test('comments, strings, numbers, keywords and names of Python are found', () => {
  assert.deepEqual(kinds('def f(x):  # a "comment"\n    return f"{x}#no" + r\'\\\' + 0xFF'), [
    ['keyword:def', 'name:f', 'comment:# a "comment"'], ['keyword:return', 'string:f"{x}#no"', "string:r'\\' + 0xFF"],
  ]);
  assert.deepEqual(kinds('@cached\nclass A: x1 = 1_000.5e-3'), [['name:@cached'], ['keyword:class', 'name:A', 'number:1_000.5e-3']]);
});

test('a string of three quotes goes over lines, and to the end when it is never closed', () => {
  assert.deepEqual(kinds('"""a\n# b\n"""\nif 1: pass'), [['string:"""a'], ['string:# b'], ['string:"""'], ['keyword:if', 'number:1', 'keyword:pass']]);
  assert.deepEqual(kinds("x = '''open\nfor"), [["string:'''open"], ['string:for']]);
  assert.deepEqual(kinds('"never\nfor'), [['string:"never'], ['keyword:for']]);
});

test('nothing of the source is lost, whatever it is', () => {
  for (const source of ['', '\n\n', 'λ = "日本" # é', '"""', "'''a''''", '\\', 'a\r\nb', '0x', '@', 'x@y', '"\\']) {
    assert.equal(tokenLines(source).map((tokens) => tokens.map(({ text }) => text).join('')).join('\n'), source);
  }
});

test('remotes of known forges become https addresses, in all their forms', () => {
  for (const remote of ['https://github.com/o/r.git', 'git@github.com:o/r.git', 'ssh://git@github.com:22/o/r.git', 'https://user:secret@github.com/o/r/']) {
    assert.equal(commitPage(remote, 'abcdef1234'), 'https://github.com/o/r/commit/abcdef1234', remote);
  }
  assert.equal(commitPage('git@gitlab.example.org:a/b/c.git', 'abcdef1'), 'https://gitlab.example.org/a/b/c/-/commit/abcdef1');
  assert.equal(commitPage('https://bitbucket.org/o/r', 'abcdef1'), 'https://bitbucket.org/o/r/commits/abcdef1');
});

test('what follows the path of a remote is left out', () => {
  assert.equal(repositoryPage('https://github.com/o/r?x="><img>#y').url, 'https://github.com/o/r');
});

test('anything else becomes no address', () => {
  const remotes = ['javascript:alert(1)//github.com/o/r', 'javascript://github.com/%0aalert(1)/x', 'http://github.com/o/r', 'file:///github.com/o/r', '/srv/github/o/r',
    'https://evil.example/github.com/o/r', 'https://notgithub.com/o/r', 'git@github.com:o', 'https://github.com/o/../r', 'data:text/html,github', '',
    'git@github.com:o/r" onclick="x'];
  for (const remote of remotes) assert.equal(repositoryPage(remote), null, remote);
  assert.equal(commitPage('https://github.com/o/r', 'HEAD"onclick'), null);
});

const ENVIRONMENT = {
  command: ['python', 'train.py', '--name', "it's", '--key', '***'], cwd: '/home/a/repo/sub', program: 'sub/train.py',
  git: { commit: 'abc1234', branch: 'main', remote: 'https://github.com/o/r', root: '/home/a/repo', is_dirty: true },
  packages: { torch: '2.13.0', Numpy: '2.4.1' },
};

test('the command is quoted as a shell reads it back', () => {
  assert.equal(commandText(ENVIRONMENT), "python train.py --name 'it'\\''s' --key '***'");
  assert.equal(shellQuote('$(rm -rf /)'), "'$(rm -rf /)'");
  assert.equal(shellQuote(''), "''");
});

test('a run is repeated from its commit, its diff and its folder', () => {
  assert.equal(runAgainText(ENVIRONMENT, { path: 'diff.patch' }), [
    'git clone https://github.com/o/r run-again && cd run-again', 'git checkout abc1234', 'git apply diff.patch  # download it from this page', 'cd sub',
    commandText(ENVIRONMENT),
  ].join('\n'));
  assert.equal(runAgainText({ command: ['x'], cwd: '/a b' }, null), "cd '/a b'\nx");
});

test('packages become requirements in the order of their names', () => {
  assert.equal(requirementsText(ENVIRONMENT.packages), 'Numpy==2.4.1\ntorch==2.13.0\n');
});

test('of a notebook the cells are shown', () => {
  const notebook = JSON.stringify({ cells: [{ cell_type: 'markdown', source: ['# Title'] }, { cell_type: 'code', source: 'x = 1' }] });
  assert.equal(shownSource('a.ipynb', notebook), '# %% [markdown]\n# # Title\n\n# %%\nx = 1');
  assert.equal(shownSource('a.ipynb', 'broken'), 'broken');
  assert.equal(shownSource('a.py', '{}'), '{}');
});

test('states are told in words, and every one has a meaning', () => {
  assert.equal(describeState({ state: 'killed', signal: 'SIGTERM' }), 'killed by SIGTERM');
  assert.equal(describeState({ state: 'preempted', signal: 'SIGUSR1' }), 'preempted by the scheduler, which sent SIGUSR1');
  assert.equal(describeState({ state: 'failed', exit_code: 3 }), 'failed with exit code 3');
  assert.equal(describeState({ state: 'failed', exit_code: 1, error: { type: 'ValueError' } }), 'failed with ValueError, exit code 1');
  assert.match(describeState({ state: 'crashed' }), /SIGKILL, out of memory or a crash of the machine/);
  assert.equal(describeState({ state: 'running' }), 'running');
  assert.equal(describeState({ state: 'finished', exit_code: 0 }), 'finished');
  assert.deepEqual(STATES, ['running', 'finished', 'failed', 'killed', 'preempted', 'crashed']);
  assert.equal(stateMeaning('toString'), 'toString');
});

const SOUND = { n_dropped: 0, n_damaged: 0, is_suspended: false, n_suspensions: 0, suspended_s: 0, n_clock_jumps: 0, clock_jumps: [], n_console_left_out: 0, n_unknown: 0 };

test('a record is whole only when nothing at all is counted', () => {
  assert.deepEqual(healthFindings(SOUND), []);
  assert.deepEqual(healthFindings({ n_dropped: 0, n_damaged: 0, is_suspended: false }), []);
  for (const flaw of [{ n_dropped: 1 }, { n_damaged: 1 }, { is_suspended: true }, { n_suspensions: 1, suspended_s: 2 }, { n_clock_jumps: 1 }, { n_console_left_out: 1 }, { n_unknown: 1 }]) {
    assert.equal(healthFindings({ ...SOUND, ...flaw }).length, 1, JSON.stringify(flaw));
  }
  const [jumps] = healthFindings({ ...SOUND, n_clock_jumps: 2, clock_jumps: [{ at_s: 0, jumped_s: -3600 }, { at_s: 1, jumped_s: 5 }] });
  assert.equal(`${jumps.count} ${jumps.text}`, '2 jumps of the clock: −1h 00m, +5s');
});

test('only what is lost or at stake is a sign beside the name', () => {
  assert.equal(troubleText({ ...SOUND, n_clock_jumps: 3, n_suspensions: 1 }), '');
  assert.match(troubleText({ ...SOUND, n_dropped: 3 }), /3 rows could not be written/);
  assert.equal(troubleText(undefined), '');
});

test('facts of the machine are told where they are known', () => {
  assert.deepEqual(machineFacts({}, 'node-1'), [['Host', 'node-1']]);
  const facts = Object.fromEntries(machineFacts({ os: { name: 'Linux', release: '6.8', machine: 'x86_64', distribution: 'Debian 12' }, cpu: { model: 'EPYC', n_cores: 8 }, memory_bytes: 1024 ** 4, cuda: { cuda_version: '12.8', torch_cuda: '12.6' } }, null));
  assert.deepEqual([facts.System, facts.Kernel, facts.CPU, facts.CUDA], ['Debian 12 x86_64', 'Linux 6.8', 'EPYC · 8 cores', '12.8 (PyTorch built for 12.6)']);
  assert.deepEqual(softwareFacts({ python: { version: '3.12.1', implementation: 'PyPy' }, frameworks: { torch: '2.13.0' } }), [['Python', '3.12.1 PyPy'], ['torch', '2.13.0']]);
  assert.deepEqual(schedulerFacts({ slurm: { job_id: 12 }, kubernetes: {} }), [{ title: 'SLURM', facts: [['job_id', '12']] }]);
});
