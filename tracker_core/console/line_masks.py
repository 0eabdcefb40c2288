"""Keep secrets out of recorded lines, also where colours or line ends lie within them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..lazy_pattern import lazy_pattern
from ..records import ConsoleLine
from .terminal import plain_text

_HIDDEN = "***"
_KEY_BEGINS = lazy_pattern(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?!.*-----END )")
_KEY_MAX_LINES = 200


class LineMasker:
    """Masks line after line. A private key goes over many lines, so the state of each stream is kept.

    Args:
        mask: returns a text without the secrets in it.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._n_key_lines: dict[int, int] = {}  # stream -> how many more lines may belong to a key

    def line(self, line: ConsoleLine) -> ConsoleLine:
        """Return the line without secrets; with one, also without colours."""
        plain = plain_text(line.text)
        masked = self._in_key(line.stream, plain)
        if masked is None:
            masked = self._mask(plain)
        return line if masked == plain else msgspec.structs.replace(line, text=masked)

    def _in_key(self, stream: int, text: str) -> str | None:
        """Return what is shown of a line that belongs to a private key, or None for any other."""
        n_more = self._n_key_lines.get(stream, 0)
        begins = _KEY_BEGINS.search(text)
        if begins:
            self._n_key_lines[stream] = _KEY_MAX_LINES
            return self._mask(text[: begins.start()]) + _HIDDEN
        if not n_more:
            return None
        self._n_key_lines[stream] = 0 if "-----END " in text else n_more - 1
        return _HIDDEN
