"""Which names of files cannot be written to a file system. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from tracker_core.errors import UsageError

_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.I)
_WINDOWS_REFUSED = re.compile(r'[<>:"|?*]|[. ]$')


def check_no_clash(names: Iterable[str]) -> None:
    """Raise UsageError where a name is both a file and a folder of another."""
    found = set(names)
    for name in found:
        for above in _above(name):
            if above in found:
                raise _error(f"{above!r} as a file and {name!r} below it", "another name for one of them")


def folded_clash(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that are one where upper and lower case are not told apart; None where there are none."""
    found: dict[str, str] = {}
    for name in sorted(names):
        other = found.setdefault(_folded(name), name)
        if other != name:
            return other, name
    for name in sorted(found.values()):
        for above in _above(name):
            other_file = found.get(_folded(above))
            if other_file is not None:
                return other_file, name
    return None


def check_case_clash(names: Iterable[str]) -> None:
    """Raise UsageError, for a file system that does not tell case apart, where two names are one there."""
    clash = folded_clash(names)
    if clash is not None:
        got = f"{clash[0]!r} and {clash[1]!r}, which are one file on this file system"
        raise _error(got, "names that differ in more than case")


def check_windows_names(names: Iterable[str]) -> None:
    """Raise UsageError for a name that Windows gives another meaning."""
    for name in names:
        for part in name.split("/"):
            if _WINDOWS_DEVICE.fullmatch(part) or _WINDOWS_REFUSED.search(part):
                raise _error(f"{name!r}, which Windows cannot have", "a name without ':', devices and a dot at the end")


def _above(name: str) -> Iterable[str]:
    at = name.find("/")
    while at >= 0:
        yield name[:at]
        at = name.find("/", at + 1)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _error(got: str, expected: str) -> UsageError:
    return UsageError("download", got, expected, "download to another file system, or choose files with path_prefix=")
