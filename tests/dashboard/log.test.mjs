import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markSpans, parseAnsi, stripAnsi } from '../../tracker_server/dashboard/logic/ansi.js';
import { MIN_CONTRAST, NAMED, contrast, fromHex, spanCss } from '../../tracker_server/dashboard/logic/ansi_colours.js';
import { formatLines, parseLines } from '../../tracker_server/dashboard/logic/view_state.js';
import { CHUNK_LINES, LogCache } from '../../tracker_server/dashboard/logic/log_cache.js';
import { MAX_SCROLL_PX, endPosition, positionFor, scrollPxPerLine, visibleLines } from '../../tracker_server/dashboard/logic/log_scroll.js';
import { columnsOf, findMarks, lineTime, nextMatch } from '../../tracker_server/dashboard/logic/log_text.js';

const ESC = '\u001b';
const PLAIN = { fg: null, bg: null, isBold: false, isDim: false, isItalic: false, isUnderlined: false, isStruck: false, isInverse: false };

test('colours of a line become spans, and end where they are said to', () => {
  const spans = parseAnsi(`a${ESC}[31mred${ESC}[1mboth${ESC}[0m z`);
  assert.deepEqual(spans, [
    { text: 'a', style: null }, { text: 'red', style: { ...PLAIN, fg: 1 } }, { text: 'both', style: { ...PLAIN, fg: 1, isBold: true } }, { text: ' z', style: null },
  ]);
});

test('256 colours, true colours and both ways to write them are read', () => {
  const style = (codes) => parseAnsi(`${ESC}[${codes}mx`)[0].style;
  assert.equal(style('38;5;208').fg, 208);
  assert.deepEqual(style('48;2;1;2;3').bg, [1, 2, 3]);
  assert.deepEqual(style('38:2::1:2:3').fg, [1, 2, 3]);
  assert.deepEqual(style('38;5;208;1;4'), { ...PLAIN, fg: 208, isBold: true, isUnderlined: true });
  assert.equal(style('97;41').fg, 15);
  for (const wrong of ['38;5', '38;5;999', '38;2;1;2', '38', '999', '38;2;1;2;300']) assert.equal(style(wrong), null, wrong);
});

test('every other escape sequence and control character is left out', () => {
  const line = `${ESC}]0;title\u0007a${ESC}[2Jb${ESC}[?25lc${ESC}]8;;javascript:alert(1)${ESC}\\d${ESC}(Be\u0000\u0007\u202ef${ESC}`;
  assert.equal(stripAnsi(line), 'abcdef');
  assert.equal(parseAnsi(line).map((span) => span.text).join(''), 'abcdef');
});

test('a line of a million letters and one of a million sequences are read in a moment', () => {
  const began = performance.now();
  assert.equal(stripAnsi('x'.repeat(1e6)).length, 1e6);
  assert.equal(stripAnsi(`${ESC}[31m`.repeat(2e5)), '');
  assert.equal(stripAnsi(`${ESC}]`.repeat(2e5)), '');
  assert.ok(performance.now() - began < 3000);
});

/** The colours of "color:rgb(1 2 3)" and "background:…". */
function colours(css) {
  const read = (name) => new RegExp(`(?:^|;)${name}:rgb\\((\\d+) (\\d+) (\\d+)\\)`).exec(css)?.slice(1).map(Number);
  return { text: read('color'), back: read('background') };
}

for (const [theme, page, selected] of [['light', '#ffffff', '#e8effc'], ['dark', '#111418', '#1b2740']]) {
  test(`all 256 colours and a thousand true ones can be read on the ${theme} page`, () => {
    const steps = [0, 28, 57, 85, 113, 142, 170, 198, 227, 255];
    const all = [...Array(256).keys(), ...steps.flatMap((r) => steps.flatMap((g) => steps.map((b) => [r, g, b])))];
    for (const fg of all) {
      const { text } = colours(spanCss({ ...PLAIN, fg }, theme));
      assert.ok(contrast(text, fromHex(page)) >= MIN_CONTRAST, `${theme} ${fg}`);
      assert.ok(contrast(text, fromHex(selected)) >= MIN_CONTRAST, `${theme} ${fg} on a selected line`);
    }
    for (const hex of NAMED[theme]) assert.ok(contrast(fromHex(hex), fromHex(page)) >= MIN_CONTRAST, hex);
  });

  test(`letters can be read on every background, inverse and dim in the ${theme} theme`, () => {
    for (let bg = 0; bg < 256; bg += 1) {
      for (const fg of [null, 0, 1, 7, 15, 196, bg]) {
        const { text, back } = colours(spanCss({ ...PLAIN, fg, bg, isDim: true }, theme));
        assert.ok(contrast(text, back) >= MIN_CONTRAST, `${fg} on ${bg}`);
      }
    }
    const { text, back } = colours(spanCss({ ...PLAIN, isInverse: true }, theme));
    assert.ok(contrast(text, back) >= 10);
  });
}

test('marks of a search cut spans, also across colours', () => {
  const spans = parseAnsi(`lo${ESC}[31mss 0.5${ESC}[0m loss`);
  const marks = findMarks('loss 0.5 loss', 'LOSS');
  assert.deepEqual(marks, [{ begin: 0, end: 4 }, { begin: 9, end: 13 }]);
  assert.deepEqual(markSpans(spans, marks).map(({ text, isMarked }) => (isMarked ? `[${text}]` : text)), ['[lo]', '[ss]', ' 0.5', ' ', '[loss]']);
  assert.deepEqual(findMarks('a.b (c)', '.b ('), [{ begin: 1, end: 5 }]);
  assert.deepEqual(findMarks('abc', ''), []);
});

test('the way from match to match goes round the ends', () => {
  const lines = [3, 8, 20];
  assert.equal(nextMatch(lines, 8, 1, false), 2);
  assert.equal(nextMatch(lines, 8, 1, true), 1);
  assert.equal(nextMatch(lines, 20, 1, false), 0);
  assert.equal(nextMatch(lines, 3, -1, false), 2);
  assert.equal(nextMatch([], 3, 1, false), -1);
});

test('times are told since the start with tenths, hours beyond a day', () => {
  assert.equal(lineTime(1000.25, 'relative', 1000), '0:00:00.3');
  assert.equal(lineTime(1000 + 90061.5, 'relative', 1000), '25:01:01.5');
  assert.equal(lineTime(999, 'relative', 1000), '0:00:00.0');
  assert.match(lineTime(1000.25, 'absolute', 0), /^\d\d:\d\d:\d\d\.250$/);
  assert.equal(lineTime(1, 'off', 0), '');
});

test('wide letters take two columns and a tab reaches to the next stop', () => {
  assert.equal(columnsOf('abc'), 3);
  assert.equal(columnsOf('日本'), 4);
  assert.equal(columnsOf('a\tb🚀'), 11);
});

test('lines in an address are counted from 1, in any order', () => {
  assert.deepEqual(parseLines('120-140'), { first: 119, last: 139 });
  assert.deepEqual(parseLines('9-3'), { first: 2, last: 8 });
  for (const wrong of ['', '0', 'x', '1-', '-1', '1-2-3']) assert.equal(parseLines(wrong), null, wrong);
  assert.equal(formatLines({ first: 119, last: 139 }), '120-140');
  assert.equal(formatLines({ first: 4, last: 4 }), '5');
  assert.equal(formatLines(null), '');
});

test('at the end the last line is at the lower edge, wrapped or not', () => {
  assert.equal(endPosition(1000, 40, () => 1), 960);
  assert.equal(endPosition(10, 40, () => 1), 0);
  assert.equal(endPosition(1000, 40, () => 3), 1000 - 40 / 3);
  assert.equal(endPosition(0, 40, () => 1), 0);
});

test('ten million lines fit into a scroll bar, and each end is reached', () => {
  const end = endPosition(1e7, 40.5, () => 1);
  const px = scrollPxPerLine(end, 18);
  assert.ok(end * px <= MAX_SCROLL_PX + 1);
  assert.equal(scrollPxPerLine(1000, 18), 18);
  assert.deepEqual(visibleLines(end, 40.5, 1e7, () => 1), { first: 9_999_959, end: 1e7, hiddenRows: 0.5 });
});

test('lines on screen begin inside a wrapped line where that is scrolled into', () => {
  assert.deepEqual(visibleLines(10.5, 6, 100, () => 4), { first: 10, end: 12, hiddenRows: 2 });
  assert.deepEqual(visibleLines(0, 6, 0, () => 1), { first: 0, end: 0, hiddenRows: 0 });
  assert.deepEqual(visibleLines(0, 6, 3, () => 1), { first: 0, end: 3, hiddenRows: 0 });
});

test('a line that is in view is not scrolled to', () => {
  const visible = { first: 100, end: 140 };
  assert.equal(positionFor(120, visible, 40), null);
  assert.equal(positionFor(500, visible, 40), 487);
  assert.equal(positionFor(2, visible, 40), 0);
});

const line = (number) => ({ number, time_s: 0, stream: 1, text: `line ${number}`, session: 's' });
const lines = (first, n) => Array.from({ length: n }, (_, index) => line(first + index));

test('what is not here, stale, or has grown is fetched', () => {
  const cache = new LogCache();
  assert.deepEqual(cache.wanted(490, 510), [0, CHUNK_LINES]);
  cache.put(0, lines(0, 500), 600);
  cache.put(500, lines(500, 100), 600);
  assert.equal(cache.get(550).text, 'line 550');
  assert.deepEqual(cache.wanted(490, 600), []);
  assert.deepEqual(cache.wanted(490, 601), [500]);
  cache.markStale(520);
  assert.deepEqual(cache.wanted(0, 600), [500]);
  assert.equal(cache.get(550).text, 'line 550');
});

test('an answer shorter than it should be is not asked for again and again', () => {
  const cache = new LogCache();
  cache.put(0, lines(0, 10), 300);
  assert.deepEqual(cache.wanted(0, 300), []);
});

test('of very many lines only the last used are kept', () => {
  const cache = new LogCache();
  for (let index = 0; index < 200; index += 1) {
    cache.put(index * CHUNK_LINES, lines(index * CHUNK_LINES, CHUNK_LINES), 100_000);
    cache.wanted(0, 1);
  }
  assert.ok(cache.chunks.size <= 80);
  assert.equal(cache.get(0).text, 'line 0');
  assert.equal(cache.get(CHUNK_LINES * 5), undefined);
});
