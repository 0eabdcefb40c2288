"""The colours and attributes with which a terminal writes, as SGR sequences (ECMA-48, 8.3.117) set them."""

from __future__ import annotations

from collections.abc import Iterator

from ..lazy_pattern import lazy_pattern

_PARAMETERS = lazy_pattern(r"[0-9:;]*")
_MAX_PARAMETERS = 32
_FOREGROUND, _BACKGROUND, _UNDERLINE_COLOUR = 38, 48, 58
_OFF = {
    21: (), 22: (1, 2), 23: (3,), 24: (4,), 25: (5,), 27: (7,), 28: (8,), 29: (9,), 55: (53,),
    39: (_FOREGROUND,), 49: (_BACKGROUND,), 59: (_UNDERLINE_COLOUR,),
}  # fmt: skip
_ON = {**{code: code for code in (1, 2, 3, 4, 5, 7, 8, 9, 53)}, 6: 5, 21: 4}
_COLOURS = {
    **dict.fromkeys((*range(30, 38), *range(90, 98)), _FOREGROUND),
    **dict.fromkeys((*range(40, 48), *range(100, 108)), _BACKGROUND),
}


class Pen:
    """What is on at the moment.

    Attributes:
        style: the parameters of one SGR sequence that sets everything from a plain state; "" is plain.
    """

    __slots__ = ("_on", "style")

    def __init__(self) -> None:
        self.style = ""
        self._on: dict[int, str] = {}

    def apply(self, parameters: str) -> None:
        """Take in the parameters of one SGR sequence, such as "0;1;31". What is unknown is left out."""
        if parameters in ("", "0"):
            self._on.clear()
            self.style = ""
            return
        if not _PARAMETERS.fullmatch(parameters):
            return
        codes = iter(parameters.split(";", _MAX_PARAMETERS)[:_MAX_PARAMETERS])
        for code in codes:
            self._apply_one(code, codes)
        self.style = ";".join(self._on[slot] for slot in sorted(self._on))

    def _apply_one(self, code: str, following: Iterator[str]) -> None:
        first, _, rest = code.partition(":")
        number = int(first or 0) if len(first) <= 3 else -1
        if number == 0:
            self._on.clear()
        elif number in (_FOREGROUND, _BACKGROUND, _UNDERLINE_COLOUR):
            self._apply_colour(number, rest, following)
        elif number in _COLOURS:
            self._on[_COLOURS[number]] = first
        elif number == 4 and rest:  # 4:3 is a wavy underline, 4:0 none
            self._on.pop(4, None)
            if rest in ("1", "2", "3", "4", "5"):
                self._on[4] = code
        elif number in _ON:
            self._on[_ON[number]] = first
        else:
            for slot in _OFF.get(number, ()):
                self._on.pop(slot, None)

    def _apply_colour(self, slot: int, rest: str, following: Iterator[str]) -> None:
        """Take 38;5;n, 38;2;r;g;b and their forms with colons; `following` is the iterator of the further codes."""
        if rest:
            numbers = rest.split(":")
        else:
            kind = next(following, "")
            numbers = [kind, *(next(following, "") for _ in range({"5": 1, "2": 3}.get(kind, 0)))]
        kind, values = numbers[0], [number for number in numbers[1:] if number]
        is_valid = len(values) >= {"5": 1, "2": 3}.get(kind, 99) and all(len(v) <= 3 and int(v) <= 255 for v in values)
        if is_valid:
            self._on[slot] = ";".join([str(slot), kind, *values[-3 if kind == "2" else -1 :]])
