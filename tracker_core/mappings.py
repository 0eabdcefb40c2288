"""`run.config` and `run.summary`: dicts that can be read and set by attribute too, and that report what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from .errors import UsageError
from .values import to_config, to_plain


class _AttributeMapping(MutableMapping[str, Any]):
    """A dict of plain values with attribute access; `_report(changed, removed)` is called after each change."""

    __slots__ = ("_report", "_values")

    def __init__(self, values: dict[str, Any], report: Callable[[dict[str, Any], list[str]], None]) -> None:
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_report", report)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._report({}, [key])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name in ("_values", "_report", "_logged"):
            raise AttributeError(name)  # asked while copying or unpickling, before there are any
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__.lower()} has no {name!r}; it has {sorted(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a mapping of its own: its changes do not reach the run."""
        return _detached, (self.as_dict(),)

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as a plain dict."""
        return dict(self)


class Config(_AttributeMapping):
    """The hyper-parameters of a run. Every change is recorded, also after the start."""

    __slots__ = ()

    def update(self, *args: Any, allow_val_change: bool = True, **values: Any) -> None:
        """Set many values, from a dict, argparse namespace, dataclass or keywords.

        Args:
            *args: at most one mapping of names to values.
            allow_val_change: accepted for scripts written for wandb; values may always change here.
            **values: further values.

        Raises:
            UsageError: the argument is none of these types.
        """
        changed: dict[str, Any] = {}
        for config in args:
            changed.update(to_config(config, "config.update()"))
        changed.update(to_plain(values))
        self._values.update(changed)
        self._report(changed, [])

    def setdefaults(self, config: dict[str, Any]) -> None:
        """Set the values whose names are not set yet."""
        missing = {key: value for key, value in to_config(config, "config.setdefaults()").items() if key not in self}
        self.update(missing)


def _detached(values: dict[str, Any]) -> Config:
    return Config(values, lambda changed, removed: None)


class Summary(_AttributeMapping):
    """One value per metric: the last one logged, the aggregates that `define_metric` asks for, or what the user set.

    What the user sets wins over what is logged, before and after.
    """

    __slots__ = ("_logged",)

    def __init__(
        self,
        values: dict[str, Any],
        logged: Callable[[], dict[str, Any]],
        report: Callable[[dict[str, Any], list[str]], None],
    ) -> None:
        super().__init__(values, report)
        object.__setattr__(self, "_logged", logged)

    def __getitem__(self, key: str) -> Any:
        if key in self._values:
            return self._values[key]
        return self._logged()[key]

    def __delitem__(self, key: str) -> None:
        """Take back a value set by the user; a logged one shows again."""
        if key not in self._values:
            if key in self._logged():
                remedy = "hide it by define_metric(..., summary='none')"
                raise UsageError("del summary[...]", f"{key!r}, which was logged", "a key that was set", remedy)
            raise KeyError(key)
        super().__delitem__(key)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._logged(), **self._values})

    def __len__(self) -> int:
        return len({**self._logged(), **self._values})

    def update(self, *args: Any, **values: Any) -> None:
        """Set many values, from a dict or keywords. Raises UsageError for anything else."""
        changed: dict[str, Any] = {}
        for summary in args:
            changed.update(to_config(summary, "summary.update()"))
        changed.update(to_plain(values))
        self._values.update(changed)
        self._report(changed, [])
