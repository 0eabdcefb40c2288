"""How a small text file differs between two versions, as `git diff` would tell it."""

from __future__ import annotations

import difflib

import msgspec

from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.source import ChunkReader

from .file_preview import beginning, is_text

MAX_BYTES = 256 << 10
MAX_LINES = 5000

Side = tuple[ChunkReader, str, Entry]


class TextDiff(msgspec.Struct, frozen=True):
    """A unified diff; "" with a `note` where there is none to be had."""

    text: str
    note: str = ""


def diff_texts(old: Side, new: Side) -> TextDiff:
    """Return how a file differs; nothing of a file that is no text, or longer than the bounds, is read."""
    sides = []
    for reader, uid, entry in (old, new):
        if entry.reference:
            return TextDiff("", "A reference: its content is not here.")
        if entry.size_bytes > MAX_BYTES:
            return TextDiff("", "Too long to be compared line by line: more than 256 KiB.")
        data = beginning(reader, uid, entry, MAX_BYTES)
        if not is_text(data, False):
            return TextDiff("", "Not text: download both to compare them.")
        lines = data.decode().splitlines()
        if len(lines) > MAX_LINES:
            return TextDiff("", f"Too long to be compared line by line: more than {MAX_LINES} lines.")
        sides.append(lines)
    return TextDiff(_git_form(old[2].path, new[2].path, sides[0], sides[1]))


def _git_form(old_path: str, new_path: str, old: list[str], new: list[str]) -> str:
    hunks = list(difflib.unified_diff(old, new, f"a/{old_path}", f"b/{new_path}", lineterm=""))
    return "\n".join([f"diff --git a/{old_path} b/{new_path}", *hunks, ""])
