import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DecodeError, decodeChart } from '../../tracker_server/dashboard/logic/decode.js';

/** Make an answer as the contract says it: header length, padded header, arrays. */
function encode(header, arrays, padding = 8) {
  let offset = 0;
  const entries = arrays.map(({ values, ...entry }) => {
    const size = { f8: 8, f4: 4, u4: 4 }[entry.dtype];
    const place = { ...entry, length: values.length, offset };
    offset += size * values.length;
    return place;
  });
  let text = JSON.stringify({ ...header, arrays: entries });
  while ((4 + new TextEncoder().encode(text).length) % padding !== 0) text += ' ';
  const head = new TextEncoder().encode(text);
  const buffer = new ArrayBuffer(4 + head.length + offset);
  const view = new DataView(buffer);
  view.setUint32(0, head.length, true);
  new Uint8Array(buffer, 4).set(head);
  for (const [index, { dtype, values }] of arrays.entries()) {
    let at = 4 + head.length + entries[index].offset;
    for (const value of values) {
      if (dtype === 'f8') view.setFloat64(at, value, true);
      else if (dtype === 'f4') view.setFloat32(at, value, true);
      else view.setUint32(at, value, true);
      at += dtype === 'f8' ? 8 : 4;
    }
  }
  return buffer;
}

const HEADER = {
  x_kind: 'step', x_label: 'step', exact: false, bucket_width: 4, n_x: 3, x_min: 0, x_max: 11,
  smoothing: { kind: 'none', weight: 0 },
  runs: [{ id: 'näme', n_points: 9, n_nonfinite: 1, last: 3, min: -1, max: 'Infinity' }],
};
const ARRAYS = [
  { name: 'x', dtype: 'f8', values: [2, 6, 10] },
  { name: 'last', run: 0, dtype: 'f4', values: [1, NaN, 3] },
  { name: 'count', run: 0, dtype: 'u4', values: [4, 0, 4] },
];

test('an answer is decoded to its grid and cells', () => {
  const chart = decodeChart(encode(HEADER, ARRAYS));
  assert.deepEqual([...chart.x], [2, 6, 10]);
  assert.equal(chart.bucketWidth, 4);
  assert.equal(chart.isExact, false);
  const [run] = chart.runs;
  assert.equal(run.id, 'näme');
  assert.deepEqual([...run.cells.last], [1, NaN, 3]);
  assert.deepEqual([...run.cells.count], [4, 0, 4]);
  assert.equal(run.max, null, 'what is no number is no number here');
});

test('a group is decoded beside the runs, with how many members each cell has', () => {
  const header = { ...HEADER, x_error: 2.5, groups: [{ name: 'g', metric: 'loss', n_runs: 3, n_points: 7 }] };
  const arrays = [...ARRAYS, { name: 'mean', group: 0, dtype: 'f4', values: [1, NaN, 2] }, { name: 'std', group: 0, dtype: 'f4', values: [0.5, NaN, NaN] },
    { name: 'n', group: 0, dtype: 'u4', values: [3, 0, 1] }];
  const chart = decodeChart(encode(header, arrays));
  assert.equal(chart.xError, 2.5);
  assert.deepEqual([chart.groups[0].name, chart.groups[0].n_runs], ['g', 3]);
  assert.deepEqual([...chart.groups[0].cells.mean], [1, NaN, 2]);
  assert.deepEqual([...chart.groups[0].cells.n], [3, 0, 1]);
  assert.equal(chart.groups[0].cells.smooth, null);
  assert.deepEqual([...chart.runs[0].cells.last], [1, NaN, 3]);
  assert.deepEqual([decodeChart(encode(HEADER, ARRAYS)).xError, decodeChart(encode(HEADER, ARRAYS)).groups], [0, []]);
});

test('arrays that are absent are filled from what is there', () => {
  const [run] = decodeChart(encode(HEADER, ARRAYS)).runs;
  assert.equal(run.cells.first, run.cells.last);
  assert.equal(run.cells.smooth, null);
  assert.deepEqual([...run.cells.nonfinite], [0, 0, 0]);
});

test('arrays at an unaligned place are decoded too', () => {
  for (const padding of [1, 3, 5]) {
    const chart = decodeChart(encode(HEADER, ARRAYS, padding));
    assert.deepEqual([...chart.x], [2, 6, 10]);
  }
});

test('a cut answer is an error that says so', () => {
  const whole = encode(HEADER, ARRAYS);
  assert.throws(() => decodeChart(whole.slice(0, 2)), DecodeError);
  assert.throws(() => decodeChart(whole.slice(0, 40)), DecodeError);
  assert.throws(() => decodeChart(whole.slice(0, whole.byteLength - 1)), DecodeError);
});

test('a chart without runs decodes to an empty grid', () => {
  const chart = decodeChart(encode({ ...HEADER, runs: [], x_min: null, x_max: null }, [{ name: 'x', dtype: 'f8', values: [] }]));
  assert.equal(chart.x.length, 0);
  assert.equal(chart.xMin, null);
});
