"""Text of others made fit for the user's terminal, which obeys what it is sent. Pure."""

from __future__ import annotations

import re

from ..query.console_log import without_ansi

_SGR = re.compile(r"(\x1b\[[0-9;:]*m)")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_RESET = "\x1b[0m"


def printable(text: str) -> str:
    """Return text without escape sequences and control characters; a tab stays."""
    return _CONTROLS.sub("", without_ansi(text))


def coloured(text: str) -> str:
    """Return text with its colours and no other sequences, ended such that what follows is plain."""
    if "\x1b" not in text:
        return printable(text)
    parts = _SGR.split(text)
    kept = "".join(part if _SGR.fullmatch(part) else printable(part) for part in parts)
    return f"{kept}{_RESET}" if len(parts) > 1 else kept
