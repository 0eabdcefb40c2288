"""Images, sound and videos as Lightning's loggers take them: a list, and further arguments as lists of one for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracker_core.errors import UsageError


def media_list(make: Callable[..., Any], where: str, values: Sequence[Any], arguments: dict[str, Any]) -> list[Any]:
    """Return `make(value, **its arguments)` of each value.

    Raises:
        UsageError: the values are no list, or there are not as many of an argument.
    """
    if not isinstance(values, (list, tuple)):
        raise UsageError(where, f"a {type(values).__name__}", "a list", "pass [value]")
    for name, given in arguments.items():
        if not isinstance(given, (list, tuple)) or len(given) != len(values):
            got = f"{name} for {len(given) if isinstance(given, (list, tuple)) else type(given).__name__}"
            raise UsageError(where, got, f"a list of {len(values)}, one for each", f"pass {name}=[...]")
    return [make(value, **{name: given[at] for name, given in arguments.items()}) for at, value in enumerate(values)]
