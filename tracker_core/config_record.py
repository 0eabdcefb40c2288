"""What a run's journal holds of its config, so that changes which no assignment reported are noticed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from .records import Config
from .values import to_plain


class ConfigRecord:
    """Puts config into the journal, without secrets. Not thread-safe: the caller holds the writer's lock.

    Args:
        put: takes a record, and where in the user's code it comes from.
        mask: returns plain config values without secrets.
    """

    def __init__(self, put: Callable[[Config, str], None], mask: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._put = put
        self._mask = mask
        self._recorded: dict[str, Any] = {}

    def add(self, changed: dict[str, Any], removed: list[str]) -> None:
        """Record values and the names of removed ones."""
        plain = to_plain(changed)
        self._put(Config(wall_time_ns=time_ns(), values=self._mask(plain), removed=removed), "config")
        self._recorded.update(plain)
        for key in removed:
            self._recorded.pop(key, None)

    def unrecorded(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what has changed since it was recorded, inside nested values too."""
        recorded = self._recorded
        # Not recorded.get(key): a None that was never recorded is a change too.
        return {
            key: value for key, value in to_plain(dict(config)).items() if key not in recorded or recorded[key] != value
        }
