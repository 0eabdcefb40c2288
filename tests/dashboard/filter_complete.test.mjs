import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completed, operatorsFor, placeAt, searchOf } from '../../tracker_server/dashboard/logic/filter_complete.js';

/** What can stand at the "|" of a text. */
function at(marked) {
  const caret = marked.indexOf('|');
  return placeAt(marked.replace('|', ''), caret);
}
const kind = (marked) => at(marked).kind;

test('a name stands at the begin, and after and, or, not and a bracket', () => {
  for (const text of ['|', 'con|', 'config.l|', 'summary["val/|', 'config.lr < 1 and |', 'a == 1 or not sum|', '(na|', 'not |']) assert.equal(kind(text), 'path', text);
});

test('an operator stands after a name, and after a text', () => {
  assert.equal(kind('config.lr |'), 'operator');
  assert.equal(at('summary["val/loss"] |').path, 'summary["val/loss"]');
  assert.equal(at('config.lr < 1 and state |').path, 'state');
  assert.equal(kind('"baseline" |'), 'operator');
  assert.equal(at('config.lr e|').written, 'e');
});

test('a state stands after the state', () => {
  for (const text of ['state == |', 'state == "fin|', 'state != |', 'state in ["failed", |', 'config.x == 1 and state == |']) assert.equal(kind(text), 'state', text);
  assert.equal(kind('config.lr < |'), 'none');
  assert.equal(kind('name == "fin|'), 'none');
  assert.equal(kind('"a" in |'), 'path');
});

test('what is complete is joined to the next', () => {
  for (const text of ['config.lr < 1 |', 'state == "failed" |', 'config.lr exists |', '"a" in tags |', 'config.x is None a|']) assert.equal(kind(text), 'joint', text);
});

test('a choice takes the place of what was written of it', () => {
  const take = (marked, choice) => completed(marked.replace('|', ''), marked.indexOf('|'), at(marked), choice);
  assert.deepEqual(take('config.l|', 'config.lr'), { text: 'config.lr ', caret: 10 });
  assert.deepEqual(take('state == "f| and x', '"failed"'), { text: 'state == "failed" and x', caret: 18 });
  assert.equal(take('a == 1 and summary["val/|', 'summary["val/loss"]').text, 'a == 1 and summary["val/loss"] ');
});

test('keys are searched by what was written of them', () => {
  assert.deepEqual(['config.l', 'config', 'summary["val/lo', 'summary["val/loss"]', 'lr', 'configure'].map(searchOf), ['l', '', 'val/lo', 'val/loss', 'lr', 'configure']);
});

test('operators suit the kind of values', () => {
  assert.ok(operatorsFor('config.lr', ['number']).includes('<'));
  assert.ok(operatorsFor('config.opt', ['text']).includes('~'));
  assert.ok(operatorsFor('', []).includes('in tags'));
});
