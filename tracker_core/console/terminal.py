"""What lines a stream of text shows: carriage returns, backspaces, cursor moves and erasures as a terminal does them.

A terminal is endless downwards and never wraps. The cursor reaches the last 64 lines, which is as far as programs with
several progress bars go. Colours are kept, in each line for itself; every other control sequence acts or is dropped.
Work is linear in the text, and what a line can hold is bounded, whatever a program prints.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from ..lazy_pattern import lazy_pattern
from .pen import Pen

MAX_LINE_CHARS = 10_000
MAX_LINE_BYTES = 40_000
_WINDOW_LINES = 64
_MOVE_MAX_COLUMNS = 512
_MAX_CELL_CHARS = 16
_TAB_COLUMNS = 8

# Bounded in every repetition that can be left unfinished, so that what waits for the next write is bounded too.
_TOKEN = lazy_pattern(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<newline>[\n\x0b\x0c]+)"
    r"|(?P<home>\r+)"
    r"|(?P<sequence>\x1b\[([0-?]{0,256})[ -/]{0,8}([@-~]))"
    r"|(?P<string>\x1b[\]PX^_])"
    r"|(?P<back>\x08+)"
    r"|(?P<tab>\t+)"
    r"|\x1b[ -/]{0,8}[0-OQ-WYZ\\`-~]"
    r"|\x1b\[[0-?]{0,256}+[ -/]{0,8}+(?=[\s\S])"  # malformed, or too long
    r"|[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f-\x9f]+"
)
_UNFINISHED = lazy_pattern(r"\x1b(?:\[[0-?]{0,256}[ -/]{0,8}|[ -/]{0,8})")
# A command string (title, hyperlink, picture) ends at BEL or ST; at a line end too, so that no log is swallowed.
_STRING_END = lazy_pattern(r"[\x00-\x1f]")
_SURROGATE = lazy_pattern("[\ud800-\udfff]")
_BREAK = lazy_pattern("[\u2028\u2029]")
# Latin, Greek and Cyrillic letters, punctuation, arrows, lines and blocks: certainly one column each.
_NARROW = lazy_pattern("[ -\u02ff\u0370-\u0482\u2010-\u2027\u2030-\u205e\u2070-\u20cf\u2100-\u2319\u2500-\u25fc]*")
_STYLE = lazy_pattern("\x1b\\[[0-9;:]*m")


class ChangedLine(NamedTuple):
    """A line as it is now. `stamp` is that of the write that changed it last."""

    number: int
    stamp: int
    text: str


def plain_text(text: str) -> str:
    """Return the text of a line without its colours."""
    return _STYLE.sub("", text) if "\x1b" in text else text


class Terminal:
    """The lines of one stream. Not thread-safe.

    Args:
        new_number: gives the number of the next line; several terminals may share it, so that their lines are numbered
            in the order in which they appeared.
    """

    def __init__(self, new_number: Callable[[], int]) -> None:
        self._new_number = new_number
        self._lines: deque[_Line] = deque([_Line()])  # only the last one may have no number yet
        self._row = 0
        self._column = 0
        self._pen = Pen()
        self._changed: dict[int, _Line] = {}
        self._unfinished = ""
        self._is_in_string = False
        self._stamp = 0

    def write(self, text: str, stamp: int = 0) -> None:
        """Take in more text, cut anywhere."""
        self._stamp = stamp
        if self._unfinished:
            text, self._unfinished = self._unfinished + text, ""
        if not text.isascii():
            text = _BREAK.sub(" ", _SURROGATE.sub("\ufffd", text))
        position = self._skip_string(text, 0) if self._is_in_string else 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                unfinished = _UNFINISHED.match(text, position)
                if unfinished and unfinished.end() == len(text):
                    self._unfinished = text[position:]
                    return
                position += 1  # an ESC before something that it does not begin
                continue
            position = match.end()
            if match.lastgroup == "string":
                self._is_in_string = True
                position = self._skip_string(text, position)
            elif match.lastgroup:
                self._act(match.lastgroup, match)

    def take_changed(self) -> list[ChangedLine]:
        """Return the lines changed since the last call, as they are now, those first that changed first."""
        changed = [ChangedLine(number, line.stamp, line.text()) for number, line in self._changed.items()]
        self._changed = {}
        return changed

    def _skip_string(self, text: str, position: int) -> int:
        """Return where a command string ends, or the text's end where it goes on."""
        match = _STRING_END.search(text, position)
        if match is None:
            return len(text)
        self._is_in_string = False
        if match[0] == "\x07":
            return match.end()
        return match.start()  # ST is ESC \, which is an escape sequence without effect

    def _act(self, name: str, match: re.Match[str]) -> None:
        token = match[0]
        if name == "text":
            self._put(token)
        elif name == "newline":
            for _ in token:
                self._break_line()
        elif name == "home":
            self._column = 0
        elif name == "back":
            self._column = max(0, self._column - len(token))
        elif name == "tab":
            column = (self._column // _TAB_COLUMNS + len(token)) * _TAB_COLUMNS
            self._column = min(column, max(self._column, MAX_LINE_CHARS))
        elif match[6] == "m":
            self._pen.apply(match[5])
        else:
            self._move_or_erase(match[5], match[6])

    def _put(self, text: str) -> None:
        line = self._line()
        cells: str | list[str] = text
        if not text.isascii() and not _NARROW.fullmatch(text):
            n_marks = next((i for i, char in enumerate(text) if _width(char)), len(text))
            if n_marks:
                line.add_marks(self._column - 1, text[:n_marks])
            cells = _cells(text[n_marks:])
            if not cells:
                return
        line.put(self._column, cells, self._pen.style)
        self._column += len(cells)

    def _line(self) -> _Line:
        """Return the line under the cursor, as one that changes now."""
        line = self._lines[self._row]
        if line.number < 0:
            line.number = self._new_number()
        line.stamp = self._stamp
        self._changed.setdefault(line.number, line)
        return line

    def _break_line(self) -> None:
        if self._lines[self._row].number < 0:
            self._line()
        self._column = 0
        if self._row + 1 < len(self._lines):
            self._row += 1
            return
        self._lines.append(_Line())
        if len(self._lines) > _WINDOW_LINES:
            self._lines.popleft()
        self._row = len(self._lines) - 1

    def _move_or_erase(self, parameters: str, final: str) -> None:
        """Do what a CSI sequence says: A to G move the cursor, K erases in the line, J below; others are dropped."""
        first = parameters.partition(";")[0]
        if not parameters.isascii() or (first and not first.isdecimal()) or len(first) > 6:
            return
        n = int(first or 0)
        if final in "AF":
            self._row = max(0, self._row - max(1, n))
        elif final in "BE":
            self._row = min(len(self._lines) - 1, self._row + max(1, n))
        elif final == "C":
            self._column = max(self._column, min(self._column + max(1, n), _MOVE_MAX_COLUMNS))
        elif final == "D":
            self._column = max(0, self._column - max(1, n))
        elif final == "G":
            self._column = min(max(1, n) - 1, max(_MOVE_MAX_COLUMNS, self._column))
        elif final == "K" and n <= 2:
            self._erase_in_line(n)
        elif final == "J" and n == 0:
            self._erase_in_line(0)
            for row in range(self._row + 1, len(self._lines)):
                self._erase(self._lines[row], 0)
        if final in "EF":
            self._column = 0

    def _erase_in_line(self, what: int) -> None:
        """Erase in the line under the cursor: 0 from the cursor on, 1 up to it, 2 all."""
        line = self._lines[self._row]
        if what == 1:
            if line.cells:
                self._line().put(0, " " * min(self._column + 1, len(line.cells)), "")
        else:
            self._erase(line, 0 if what == 2 else self._column)

    def _erase(self, line: _Line, column: int) -> None:
        if line.n_columns > column:  # which only a numbered line can have
            line.erase_from(column)
            line.stamp = self._stamp
            self._changed.setdefault(line.number, line)


class _Line:
    """One line: a text for each column ("" behind a wide character), and the style of each."""

    __slots__ = ("cells", "n_columns", "number", "stamp", "styles")

    def __init__(self) -> None:
        self.number = -1
        self.stamp = 0
        self.cells: list[str] = []
        self.styles: list[str] = []
        self.n_columns = 0  # with those beyond the longest line that is kept

    def put(self, column: int, cells: Sequence[str], style: str) -> None:
        """Write over what is at `column` and to the right of it."""
        end = column + len(cells)
        self.n_columns = max(self.n_columns, end)
        if column >= MAX_LINE_CHARS:
            return
        if end > MAX_LINE_CHARS:
            cells, end = cells[: MAX_LINE_CHARS - column], MAX_LINE_CHARS
        n_missing = column - len(self.cells)
        if n_missing > 0:
            self.cells.extend(" " * n_missing)
            self.styles.extend([""] * n_missing)
        self._part_wide(column)
        self._part_wide(end)
        self.cells[column:end] = cells
        self.styles[column:end] = [style] * len(cells)

    def add_marks(self, column: int, marks: str) -> None:
        """Put accents and the like on the character at `column`."""
        if 0 <= column < len(self.cells):
            column -= column > 0 and not self.cells[column]
            self.cells[column] = (self.cells[column] + marks)[:_MAX_CELL_CHARS]

    def erase_from(self, column: int) -> None:
        """Erase the end of the line."""
        self._part_wide(column)
        del self.cells[column:], self.styles[column:]
        self.n_columns = min(self.n_columns, column)

    def _part_wide(self, column: int) -> None:
        """Where a wide character lies across the left edge of `column`, nothing is left of it."""
        if 0 < column < len(self.cells) and not self.cells[column]:
            self.cells[column - 1] = self.cells[column] = " "

    def text(self) -> str:
        """Return the line as text, its colours as SGR sequences, without the blanks at its end."""
        mark = ""
        if self.n_columns > MAX_LINE_CHARS:
            mark = f" … {self.n_columns - MAX_LINE_CHARS:,} more characters left out"
        text = "".join(self.cells) if not any(self.styles) else "".join(self._styled())
        if not mark:
            text = text.rstrip(" ")
        if len(text) <= MAX_LINE_BYTES // 4 or len(text.encode()) <= MAX_LINE_BYTES:
            return text + mark
        return _within_bytes("".join(self.cells)) + mark

    def _styled(self) -> Iterator[str]:
        before = column = 0
        is_on = False
        for style, group in groupby(self.styles):
            column += len(list(group))
            if style:
                yield f"\x1b[0;{style}m" if is_on else f"\x1b[{style}m"
            elif is_on:
                yield "\x1b[0m"
            is_on = bool(style)
            yield from self.cells[before:column]
            before = column
        if is_on:
            yield "\x1b[0m"


def _within_bytes(text: str) -> str:
    """Return the beginning of a text that has too many colours or accents to be kept whole."""
    content = text.encode()
    if len(content) <= MAX_LINE_BYTES:
        return text
    kept = content[:MAX_LINE_BYTES].decode(errors="ignore")
    return f"{kept} … {len(text) - len(kept):,} more characters left out"


@lru_cache(4096)
def _width(char: str) -> int:
    """Return how many columns a character takes: 0, 1 or 2."""
    if _NARROW.fullmatch(char):
        return 1
    import unicodedata  # a library of 1 MB that most runs do not need

    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _cells(text: str) -> list[str]:
    """Return what each column holds of a text that begins with a character that takes one."""
    cells: list[str] = []
    last = 0  # where accents go
    for char in text:
        width = _width(char)
        if width:
            last = len(cells)
            cells.append(char)
            if width == 2:
                cells.append("")
        elif len(cells[last]) < _MAX_CELL_CHARS:
            cells[last] += char
    return cells
