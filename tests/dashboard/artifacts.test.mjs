// The lineage's stacks and places, and what is said of artifacts.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { auditText, metricNames, retentionTexts, sortAliases, splitNames, usageText } from '../../tracker_server/dashboard/logic/artifacts.js';
import { MAX_DRAWN, MAX_SIBLINGS, groupLineage } from '../../tracker_server/dashboard/logic/lineage_groups.js';
import { curve, layOut } from '../../tracker_server/dashboard/logic/lineage_layout.js';

const SIZE = { width: 180, height: 46, gapX: 48, gapY: 18 };
const run = (id, project = 'p') => ({ id: `run:${project}/${id}`, run: { project, id, name: id, state: 'finished', summary: {} }, version: null });
const version = (name, number) => ({ id: `version:${name}${number}`, run: null, version: { project: 'p', name, type: name, number, uid: `${name}${number}` } });

/** One data set, n runs that use it, a model of each. */
function fan(n) {
  const nodes = [version('data', 0)];
  const edges = [];
  for (let i = 0; i < n; i += 1) {
    nodes.push(run(`r${i}`), version('model', i));
    edges.push(['version:data0', `run:p/r${i}`], [`run:p/r${i}`, `version:model${i}`]);
  }
  return { nodes, edges };
}

const groups = ({ nodes, edges }, focus = '', expanded = []) => groupLineage(nodes, edges, { focus, expanded: new Set(expanded) });

test('a few siblings are drawn one by one, more as a stack', () => {
  assert.equal(groups(fan(MAX_SIBLINGS)).items.length, 1 + 2 * MAX_SIBLINGS);
  const { items, edges } = groups(fan(MAX_SIBLINGS + 1));
  assert.deepEqual(items.map(({ kind, members }) => [kind, members.length]), [['version', 1], ['run', 6], ['version', 6]]);
  assert.deepEqual(edges.map(({ n }) => n), [6, 6]);
});

test('what is looked at, and what led to it, stands alone', () => {
  const { items } = groups(fan(200), 'version:model7');
  const alone = items.filter(({ members }) => members.length === 1).map(({ id }) => id);
  assert.deepEqual(alone.sort(), ['run:p/r7', 'version:data0', 'version:model7']);
  assert.equal(items.find(({ isFocus }) => isFocus)?.id, 'version:model7');
});

test('a stack is unfolded without its neighbours', () => {
  const all = fan(20);
  const { items } = groups(all, '', all.nodes.filter((node) => node.run).map(({ id }) => id));
  assert.equal(items.filter(({ kind }) => kind === 'run').length, 20);
  assert.equal(items.filter(({ kind }) => kind === 'version').length, 2);
});

test('a graph of thousands of nodes that are all different is drawn with few', () => {
  const nodes = [];
  const edges = [];
  for (let i = 0; i < 1000; i += 1) {
    nodes.push(run(`r${i}`), version(`m${i}`, 0));
    edges.push([`run:p/r${i}`, `version:m${i}0`], [`version:m${(i * 7) % (i + 1)}0`, `run:p/r${i}`]);
  }
  const { items } = groups({ nodes, edges });
  assert.ok(items.length <= MAX_DRAWN, `${items.length}`);
  assert.equal(items.reduce((total, { members }) => total + members.length, 0), nodes.length);
});

test('edges go to the right, and no node lies over another', () => {
  const { items, edges } = groups(fan(4));
  const layout = layOut(items.map(({ id }) => id), edges, SIZE);
  for (const { from, to } of edges) assert.ok(layout.places.get(from).x + SIZE.width < layout.places.get(to).x);
  const places = [...layout.places.values()];
  for (const [i, a] of places.entries()) {
    for (const b of places.slice(i + 1)) assert.ok(Math.abs(a.x - b.x) >= SIZE.width || Math.abs(a.y - b.y) >= SIZE.height);
    assert.ok(a.y >= 0 && a.y + SIZE.height <= layout.height + 1e-6 && a.x + SIZE.width <= layout.width);
  }
});

test('a crossing that need not be is not drawn', () => {
  const layout = layOut(['a', 'b', 'c', 'd'], [{ from: 'a', to: 'd' }, { from: 'b', to: 'c' }], SIZE);
  const y = (id) => layout.places.get(id).y;
  assert.ok((y('a') - y('b')) * (y('d') - y('c')) > 0);
});

test('circles, loops and edges to nowhere are drawn all the same', () => {
  const edges = [['a', 'b'], ['b', 'c'], ['c', 'a'], ['a', 'a'], ['a', 'gone']].map(([from, to]) => ({ from, to }));
  const layout = layOut(['a', 'b', 'c', 'alone'], edges, SIZE);
  assert.equal(layout.places.size, 4);
  assert.equal(layout.edges.length, 3);
  assert.match(curve(layout.edges[2].points), /^M[\d.]+ [\d.]+[CL]/);
  assert.deepEqual(layOut([], [], SIZE).places.size, 0);
});

test('a long edge passes by the nodes between its ends', () => {
  const edges = [['a', 'b'], ['b', 'c'], ['c', 'd'], ['a', 'd']].map(([from, to]) => ({ from, to }));
  const layout = layOut(['a', 'b', 'c', 'd'], edges, SIZE);
  const long = layout.edges.find(({ from, to }) => from === 'a' && to === 'd');
  for (const id of ['b', 'c']) {
    const { x, y } = layout.places.get(id);
    const passing = long.points.filter((point) => point.x >= x && point.x <= x + SIZE.width);
    assert.ok(passing.length > 0 && passing.every((point) => point.y < y || point.y > y + SIZE.height));
  }
});

test('a chain of thousands is placed without running out of stack', () => {
  const ids = Array.from({ length: 5000 }, (_, i) => `n${i}`);
  const layout = layOut(ids, ids.slice(1).map((to, i) => ({ from: ids[i], to })), SIZE);
  assert.equal(layout.places.get('n4999').x, 4999 * (SIZE.width + SIZE.gapX));
});

test('aliases stand in the order in which they matter', () => {
  assert.deepEqual(sortAliases(['latest', 'best', 'archived', 'candidate', 'a', 'staging', 'production']),
    ['production', 'staging', 'candidate', 'a', 'best', 'archived', 'latest']);
});

test('metrics on held-back data come first, those of the machine last', () => {
  const of = (summary) => ({ source: { logged_by: { summary } } });
  const names = metricNames([of({ epoch: 1, 'train/loss': 1, 'system/x': 2, 'val/loss': 1 }), of({ 'val/accuracy': 1, 'val/loss': 2 }), { source: { logged_by: null } }]);
  assert.deepEqual(names, ['val/loss', 'val/accuracy', 'train/loss', 'epoch', 'system/x']);
});

test('the audit is told in sentences, also what a newer version wrote', () => {
  const entry = (action, version, detail = {}) => auditText({ action, version, detail });
  assert.equal(entry('set alias', 3, { alias: 'production', from: 1 }), 'moved production to v3 from v1');
  assert.equal(entry('set alias', 3, { alias: 'production' }), 'moved production to v3');
  assert.equal(entry('remove alias', 2, { alias: 'staging' }), 'took staging off v2');
  assert.equal(entry('link', 0), 'linked v0');
  assert.equal(entry('quarantine', 4), 'quarantine v4');
  assert.equal(entry('set alias', 3, { alias: { a: 1 } }), 'moved  to v3');
});

test('rules of keeping and sizes are told', () => {
  assert.deepEqual(retentionTexts({}), []);
  assert.deepEqual(retentionTexts({ keep_last: 1, keep_best: { metric: 'val/loss', n: 2 }, ttl_days: 30, protected_aliases: ['production'] }),
    ['the last 1 version is kept', 'the 2 versions with the lowest val/loss are kept', 'versions go after 30 days', 'never one with the alias production']);
  assert.equal(usageText([]), '');
  assert.equal(usageText([{ project: 'p', n_artifacts: 1, n_versions: 2, logical_bytes: 2048, stored_bytes: 1024 }]), '1 artifact, 2 versions: 2\u202fKiB logged, 1\u202fKiB stored');
  assert.deepEqual(splitNames(' a, b,,a\nc '), ['a', 'b', 'c']);
});
