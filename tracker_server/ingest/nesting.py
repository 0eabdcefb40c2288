"""A bound on how deep values are nested, so that one hostile journal cannot exhaust the stack of its readers. Pure."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 100


def check_depth(value: Any) -> None:
    """Raise ValueError where containers in `value` are nested deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [item for item in level if isinstance(item, (dict, list, tuple))]
        if not containers:
            return
        level = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
    raise ValueError(f"values nested deeper than {MAX_DEPTH} levels")
