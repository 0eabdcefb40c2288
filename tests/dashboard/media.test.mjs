/** What the pages make of values of media and plots, whatever a run wrote. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeMedia, keysOf, kindOf, mediaOf, piecesOf, tabOf } from '../../tracker_server/dashboard/logic/media.js';
import { binsOf, boundsOf, plainFigure, plotOf, suitsLog } from '../../tracker_server/dashboard/logic/plot_data.js';

const ODD = [null, undefined, 1, NaN, true, '', [], [[]], {}, { _type: 1 }, { _type: 'image', path: {} }, { _type: 'images', items: 'x' }, Object.create(null)];

test('kinds are told and have their tab', () => {
  assert.equal(kindOf('a text'), 'text');
  assert.equal(kindOf({ _type: 'image' }), 'image');
  assert.equal(kindOf({ _type: 'script' }), '');
  assert.deepEqual(['image', 'text', 'table', 'histogram', 'plotly'].map(tabOf), ['media', 'media', 'tables', 'plots', 'plots']);
  const keys = [{ key: 'val/Image', kind: 'image' }, { key: 'val/table', kind: 'table' }, { key: 'train/image', kind: 'images' }];
  assert.deepEqual(keysOf(keys, 'media', 'image VAL').map(({ key }) => key), ['val/Image']);
});

test('whatever a value holds, it has the fields of media', () => {
  for (const value of ODD) {
    const found = mediaOf(value);
    assert.deepEqual([typeof found.kind, typeof found.path, typeof found.caption, found.width, found.boxes, found.masks], ['string', 'string', 'string', 0, [], []]);
    assert.ok(Array.isArray(piecesOf(value)));
    assert.equal(typeof describeMedia(value), 'string');
  }
});

test('boxes are in parts of the image, in pixels or not, by edges or by middle', () => {
  const box = (/** @type {object} */ of) => mediaOf({ _type: 'image', path: 'x', width: 200, height: 100, boxes: { set: { box_data: [of], class_labels: { 2: 'dog' } } } }).boxes[0].boxes[0];
  const edges = { minX: 20, maxX: 120, minY: 10, maxY: 60 };
  assert.deepEqual(box({ position: edges, domain: 'pixel', class_id: 2 }), { minX: 0.1, maxX: 0.6, minY: 0.1, maxY: 0.6, classId: 2, label: 'dog' });
  assert.deepEqual(box({ position: { middle: [0.5, 0.5], width: 0.2, height: 0.4 }, box_caption: 'c' }), { minX: 0.4, maxX: 0.6, minY: 0.3, maxY: 0.7, classId: 0, label: 'c' });
  assert.equal(box({ position: 5 }), undefined);
  assert.equal(box(/** @type {any} */ (null)), undefined);
});

test('whatever the numbers of a plot are, there is a plot that can be drawn or none', () => {
  for (const kind of ['line', 'scatter', 'bar', 'histogram', 'confusion_matrix', 'pr_curve', 'roc_curve', 'odd']) {
    for (const content of [...ODD, { series: [null, { x: 'a', y: {} }], labels: 3, values: [], bins: [1], counts: [], classes: {} }]) assert.equal(plotOf(kind, content), null);
  }
  const plot = plotOf('line', { series: [{ name: 'a', x: [0, 1, 2], y: [1, null, 3], area: 0.5 }], x_label: 'x' });
  assert.equal(plot?.type, 'xy');
  assert.deepEqual(plot?.type === 'xy' && [plot.series[0].y, plot.series[0].note, plot.xLabel], [[1, NaN, 3], 'AUC 0.500', 'x']);
});

test('texts on an axis stand side by side', () => {
  const plot = plotOf('scatter', { series: [{ x: ['a', 'b', 'a'], y: [1, 2, 3] }] });
  assert.deepEqual(plot?.type === 'xy' && [plot.categories, plot.series[0].x], [['a', 'b'], [0, 1, 0]]);
});

test('very many points are drawn in part, and that is said', () => {
  const many = Array.from({ length: 100_000 }, (_, index) => index);
  const plot = plotOf('line', { series: [{ x: many, y: many }] });
  assert.ok(plot?.type === 'xy' && plot.series[0].x.length === 20_000 && plot.nLeftOut === 80_000);
  assert.deepEqual(plot?.type === 'xy' && [plot.series[0].x[0], plot.series[0].x.at(-1)], [0, 99_999]);
});

test('bins are edges that go up', () => {
  assert.equal(binsOf([0, 1], [3])?.counts[0], 3);
  for (const [bins, counts] of [[[1, 0], [3]], [[0], [3]], [[0, NaN], [1]], [null, null], [[], []]]) assert.equal(binsOf(bins, counts), null);
});

test('bounds are finite and apart', () => {
  assert.deepEqual(boundsOf([NaN, 3, 1, Infinity]), [1, 3]);
  assert.deepEqual(boundsOf([]), [0, 1]);
  const [low, high] = boundsOf([5]);
  assert.ok(low < 5 && high > 5);
});

test('x over many powers of ten is drawn on a log axis', () => {
  const powers = Array.from({ length: 20 }, (_, index) => 10 ** (index / 4 - 5));
  assert.ok(suitsLog([{ name: '', x: powers, y: powers, note: '' }]));
  assert.ok(!suitsLog([{ name: '', x: powers.map((_, index) => index), y: powers, note: '' }]));
});

test('a figure without Plotly is drawn where it is plain', () => {
  const found = plainFigure({ data: [{ type: 'scatter', name: 'a', y: [1, 2] }], layout: { title: { text: 't' } } });
  assert.deepEqual([found.plot?.type, found.title, found.traces], ['xy', 't', ['scatter a']]);
  assert.deepEqual(plainFigure({ data: [{ type: 'surface', z: [] }] }), { plot: null, title: '', traces: ['surface'] });
  for (const odd of ODD) assert.equal(plainFigure(odd).plot, null);
});
