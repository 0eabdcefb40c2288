"""Register with frameworks that have a registry, when they are imported, whichever comes first.

`import tracker_core` must make `report_to="tracker"` work without importing transformers. A finder at the front of
`sys.meta_path` waits for the few modules named here, lets Python find and run them, then calls our adapter.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from .say import warn

if TYPE_CHECKING:  # at run time these would bring in tempfile, urllib and more: 8 ms
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec

# Module to wait for -> the adapter module whose `register()` is called once it has run.
HOOKS = {"transformers.integrations.integration_utils": "tracker_integrations.transformers"}


def install() -> None:
    """Register with what is imported already and wait for the rest. Calling it again does nothing."""
    if any(isinstance(finder, _WaitingFinder) for finder in sys.meta_path):
        return
    for module in HOOKS:
        if module in sys.modules:
            _register(module)
    sys.meta_path.insert(0, _WaitingFinder())


def _register(module: str) -> None:
    """Call the adapter. The import of a framework must never fail because of us."""
    try:
        importlib.import_module(HOOKS[module]).register()
    except Exception as error:  # noqa: BLE001
        warn(f"{HOOKS[module]} could not register with {module}: {error!r}; the framework works without it")


class _WaitingFinder:
    """Finds nothing itself: wraps the loader of the modules waited for."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # Another tool's finder that searches like this one asks it again.
        if fullname not in HOOKS or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            return self._search(fullname, path, target)
        finally:
            self._searching.discard(fullname)

    def _search(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _RegisteringLoader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _RegisteringLoader:
    """Runs the real loader, then registers."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _register(module.__name__)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)
