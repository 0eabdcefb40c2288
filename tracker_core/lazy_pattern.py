"""Regular expressions that are compiled when they are first used.

Compiling one takes as long as importing a small module, and `init` would otherwise compile several dozen in the
training's own thread, of which most runs use few.
"""

from __future__ import annotations

import re
from typing import Any, cast


def lazy_pattern(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return what has the methods of the compiled pattern. Thread-safe."""
    return cast("re.Pattern[str]", _LazyPattern(pattern, flags))


class _LazyPattern:
    def __init__(self, pattern: str, flags: int) -> None:
        self._source = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """Give an attribute of the compiled pattern, and keep it, so that this is called once for each."""
        value = getattr(re.compile(*self._source), name)  # which keeps what it has compiled
        setattr(self, name, value)
        return value
