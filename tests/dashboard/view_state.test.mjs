import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEFAULT_VIEW, SLIDER_STEPS, SMOOTH_KINDS, chartedRuns, formatView, keptQuery, keptView, parseView, sliderOf, smoothingAt, smoothingRequest, withRunShown,
} from '../../tracker_server/dashboard/logic/view_state.js';

const FULL = {
  x: 'metric:a/b=c&d', smoothing: 0.95, smoothKind: 'gaussian', filter: 'config.lr > 0.1 and "a b" in tags', sort: 'config.lr', lines: 50, base: 'none', shown: ['r1', 'r2'],
  hidden: [], zoom: { min: -1.5, max: 1e12 }, panels: 'loss', logY: ['train/loss'], clipped: ['val/loss'],
  columns: ['summary.loss', 'created'], tableColumns: ['state', 'summary["val/loss"].min'], pinned: ['state'], groupBy: ['config.lr', 'config["a,b"]'], band: 'sem', isTable: true, tab: 'logs',
  systemX: 'wall_time', systemZoom: { min: 0.5, max: 2 }, systemBy: 'metric', systemWriter: 'rank1', codePart: 'files', file: 'a/b c.py', line: '120-140', find: 'a&b=c', writer: 'rank3',
  step: '-120', keys: 'val img', against: 'r2', table: 'val/table',
};

test('a fresh page has a clean address', () => {
  assert.equal(formatView(DEFAULT_VIEW), '');
  assert.deepEqual(parseView(''), { ...DEFAULT_VIEW });
});

test('a view survives the way through an address', () => {
  assert.deepEqual(parseView(formatView(FULL)), FULL);
  const hidden = { ...DEFAULT_VIEW, hidden: ['a', 'b'] };
  assert.deepEqual(parseView(formatView(hidden)), hidden);
});

test('nonsense in an address falls back to the default', () => {
  const view = parseView('?x=nothing&smooth=7&zoom=5~1&tab=evil&runs=x&sort=&col=a&col=b&col=c&line=0&by=x&code=evil&sysx=1&smoothkind=magic&lines=7&band=wide');
  assert.equal(view.x, 'step');
  assert.equal(view.smoothing, 0.999);
  assert.equal(view.smoothKind, 'ema');
  assert.equal(view.zoom, null);
  assert.equal(view.tab, 'charts');
  assert.equal(view.base, 'auto');
  assert.equal(view.sort, 'created:desc');
  assert.deepEqual([view.lines, view.band], [10, 'std']);
  assert.deepEqual(view.columns, ['a', 'b']);
  assert.deepEqual([view.line, view.systemBy, view.codePart, view.systemX], ['', '', '', 'relative_time']);
  for (const zoom of ['', '~', '1~', 'a~b', '1~2~3', 'NaN~1']) assert.equal(parseView(`?zoom=${zoom}`).zoom, null, zoom);
});

test('the slider stands where it was put, for every kind of smoothing', () => {
  for (const { key } of SMOOTH_KINDS) {
    let before = -1;
    for (const position of [0, 1, 25, 50, 75, SLIDER_STEPS]) {
      const value = smoothingAt(key, position);
      assert.ok(value > before, `${key} at ${position}`);
      assert.ok(Math.abs(sliderOf(key, value) - position) <= 1, `${key} at ${position}: ${value}`);
      before = value;
    }
    assert.equal(smoothingAt(key, 0), 0);
  }
});

test('a share of the whole range becomes a length in x; a weight stays one', () => {
  const range = { min: 100, max: 10_100 };
  assert.deepEqual(smoothingRequest('gaussian', 0.01234, range), { kind: 'gaussian', sigma: 120 });
  assert.deepEqual(smoothingRequest('time_weighted_ema', 0.1, range), { kind: 'time_weighted_ema', half_life: 1000 });
  assert.deepEqual(smoothingRequest('running_mean', 0.1, range), { kind: 'running_mean', window: 1000 });
  assert.deepEqual(smoothingRequest('ema', 0.9, null), { kind: 'ema', weight: 0.9 });
  assert.deepEqual(smoothingRequest('gaussian', 0, null), { kind: 'none' });
  assert.deepEqual(smoothingRequest('gaussian', 0.1, { min: 5, max: 5 }), { kind: 'none' }, 'one point has no range');
  assert.equal(smoothingRequest('gaussian', 0.1, null), null, 'the range must be known first');
});

const LISTED = ['n5', 'n4', 'n3', 'n2', 'n1'];
const TWO = { ...DEFAULT_VIEW, lines: 2 };

test('the first runs of the list are charted', () => {
  assert.deepEqual(chartedRuns(LISTED, [], TWO), ['n5', 'n4']);
});

test('hiding a run brings in no other', () => {
  assert.deepEqual(chartedRuns(LISTED, [], withRunShown(TWO, 'n5', false)), ['n4']);
});

test('a run shown by hand comes on top of the first, also from far below', () => {
  const view = withRunShown(TWO, 'far', true);
  assert.deepEqual(chartedRuns(LISTED, view.shown, view), ['n5', 'n4', 'far']);
  assert.deepEqual(chartedRuns(LISTED, [], withRunShown(view, 'far', false)), ['n5', 'n4']);
});

test('with all hidden only what is shown by hand is charted', () => {
  const none = { ...TWO, base: 'none' };
  assert.deepEqual(chartedRuns(LISTED, [], none), []);
  const one = withRunShown(none, 'n3', true);
  assert.deepEqual(chartedRuns(LISTED, one.shown, one), ['n3']);
  assert.deepEqual(withRunShown(one, 'n3', false).hidden, []);
});

test('a project comes back with its filter, order, columns and groups, and with nothing else', () => {
  const kept = keptView(FULL);
  assert.deepEqual(Object.keys(kept).sort(), ['band', 'columns', 'filter', 'groupBy', 'lines', 'pinned', 'sort', 'tableColumns']);
  const back = parseView(keptQuery(JSON.parse(JSON.stringify(kept))));
  assert.equal(back.filter, FULL.filter);
  assert.deepEqual(back.groupBy, FULL.groupBy);
  assert.equal(back.zoom, null);
  assert.equal(keptQuery({}), '');
  for (const nonsense of [null, 3, 'x', { groupBy: 5 }, { tab: 'logs' }]) assert.equal(keptQuery(nonsense), '', String(nonsense));
});
