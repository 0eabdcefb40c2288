import assert from 'node:assert/strict';
import { test } from 'node:test';
import { N_STYLED, PALETTE, assignSlots, slotStyle, slotsToKeep } from '../../tracker_server/dashboard/logic/colours.js';

const ids = (n) => Array.from({ length: n }, (_, index) => `run${index}`);

test('new runs take the lowest free slots in order', () => {
  const slots = assignSlots(new Map(), new Set(), ['a', 'b', 'c']);
  assert.deepEqual([...slots], [['a', 0], ['b', 1], ['c', 2]]);
});

test('a shown run keeps its slot when others go', () => {
  const before = assignSlots(new Map(), new Set(), ['a', 'b', 'c']);
  const after = assignSlots(before, new Set(['a', 'b', 'c']), ['c']);
  assert.equal(after.get('c'), 2);
});

test('a new run takes the slot of a hidden one, which then takes the lowest free one', () => {
  let slots = assignSlots(new Map(), new Set(), ['a', 'b']);
  slots = assignSlots(slots, new Set(['a', 'b']), ['b', 'new']);
  assert.equal(slots.get('new'), 0);
  slots = assignSlots(slots, new Set(['b', 'new']), ['a', 'b', 'new']);
  assert.equal(slots.get('a'), 2);
  assert.equal(slots.get('b'), 1);
});

test('a run shown again gets its old slot while that is free', () => {
  let slots = assignSlots(new Map(), new Set(), ['a', 'b', 'c']);
  slots = assignSlots(slots, new Set(['a', 'b', 'c']), ['a', 'c']);
  slots = assignSlots(slots, new Set(['a', 'c']), ['a', 'b', 'c']);
  assert.equal(slots.get('b'), 1);
});

test('no two shown runs share a slot', () => {
  const remembered = new Map(ids(40).map((id, index) => [id, index % 5]));
  const slots = assignSlots(remembered, new Set(), ids(40));
  assert.equal(new Set(ids(40).map((id) => slots.get(id))).size, 40);
});

test('every slot below 24 has its own colour and dash; beyond is neutral', () => {
  for (const theme of ['light', 'dark']) {
    const looks = Array.from({ length: N_STYLED }, (_, slot) => JSON.stringify(slotStyle(slot, theme)));
    assert.equal(new Set(looks).size, 24);
    assert.equal(slotStyle(24, theme).isNeutral, true);
    assert.equal(slotStyle(8, theme).colour, PALETTE[theme][0]);
    assert.deepEqual(slotStyle(8, theme).dash, [6, 3]);
  }
});

test('the slots kept are few and hold those that are shown', () => {
  const slots = new Map(ids(24).map((id, index) => [id, index]));
  const kept = slotsToKeep(slots, new Set(['run3']), 5);
  assert.equal(kept.length, 5);
  assert.ok(kept.some(([id, slot]) => id === 'run3' && slot === 3));
});
