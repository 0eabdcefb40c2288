"""Names of files kept with a run, and the globs that find them."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from pathlib import Path

from .errors import UsageError

_MAX_NAME_BYTES = 1024
_MAX_PART_BYTES = 255
_DRIVE = re.compile(r"[A-Za-z]:")
# Bidirectional controls make a name look like another one.
_REFUSED_CHARS = re.compile("[\x00-\x1f\x7f-\x9f\\\\\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def check_file_name(name: object, where: str = "file name") -> str:
    """Return the valid name of a kept file, in Unicode's composed form (NFC).

    Raises:
        UsageError: it is no relative path with forward slashes, or has an empty part, "." or "..", a control
            character, a backslash, a drive letter, or is too long.
    """
    expected = "a relative path with '/' between its parts, none of them empty, '.' or '..', without control characters"
    remedy = "choose another name, such as 'model/weights.pt'"
    if not isinstance(name, str) or not name or _REFUSED_CHARS.search(name) or _DRIVE.match(name):
        raise UsageError(where, f"{name!a:.200}", expected, remedy)
    name = unicodedata.normalize("NFC", name)
    parts = name.split("/")
    is_too_long = len(name.encode()) > _MAX_NAME_BYTES or any(len(part.encode()) > _MAX_PART_BYTES for part in parts)
    if is_too_long or any(part in ("", ".", "..") for part in parts):
        raise UsageError(where, f"{name!a:.200}", expected, remedy)
    return name


def pattern_and_base(glob_str: object, base_path: str | os.PathLike[str] | None) -> tuple[str, str]:
    """Return the absolute folder that names are relative to, behind the glob relative to it."""
    if isinstance(glob_str, bytes):
        glob_str = os.fsdecode(glob_str)
    if not isinstance(glob_str, (str, os.PathLike)) or not os.fspath(glob_str):
        raise UsageError("save(glob_str=)", f"{glob_str!r:.200}", "a path or glob", "pass one, such as 'model/*.pt'")
    given = str(os.fspath(glob_str))
    if base_path is not None:
        base = os.path.abspath(os.fspath(base_path))
    else:
        base = os.path.dirname(os.path.abspath(given)) if os.path.isabs(given) else os.getcwd()
    pattern = os.path.abspath(given)
    if not pattern.startswith(base.rstrip(os.sep) + os.sep):
        got, expected = f"{given!r}, which leads out of {base!r}", "a path below base_path"
        raise UsageError("save(glob_str=)", got, expected, "set base_path= to a folder above the files")
    return os.path.relpath(pattern, base), base


def found_files(pattern: str, base: str) -> list[str]:
    """Return the paths, relative to `base`, that match a glob. As in a shell, `*` and `**` match no hidden files."""
    if os.path.lexists(os.path.join(base, pattern)):
        return [pattern]
    if "**" not in pattern.split(os.sep):
        return glob.glob(pattern, root_dir=base)
    # pathlib's `**` does not follow links to folders, which may lead round in circles.
    deep = os.path.join(pattern, "*") if pattern.endswith("**") else pattern
    try:
        names = [os.path.relpath(path, base) for path in Path(base).glob(deep)]
    except OSError:
        return []
    hidden = f"{os.sep}."
    return [name for name in dict.fromkeys(names) if hidden not in os.sep + name or hidden in os.sep + pattern]
