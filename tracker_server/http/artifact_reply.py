"""Replies about artifacts, filled with what is known of the runs that logged and used them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from tracker_core.artifacts.manifest import Manifest
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import CollectionInfo, RunRef, Use, VersionInfo
from tracker_core.errors import NotFoundError

from ..query.folder import LocalFolder
from ..runs.run_view import flat
from .access import Action
from .artifact_models import (
    CollectionRow,
    RunLink,
    UseRow,
    VersionRow,
    collection_row,
    numbers_of,
    run_link,
    seconds,
    version_row,
)
from .authorize import Principal, authorize
from .markdown import render

# Entries and chunks, some hundred bytes each: of all that are kept, and of one that is kept alone.
_MAX_KEPT_PARTS, _MAX_KEPT_ALONE = 200_000, 1_000_000
_MAX_KEPT = 16


class RunLinks:
    """What one caller may be told of runs; for one request. Each run is looked up once."""

    def __init__(self, folder: LocalFolder, reader: Principal, has_summary: bool = False) -> None:
        self._folder, self._reader, self._has_summary = folder, reader, has_summary
        self._known: dict[RunRef, RunLink | None] = {}

    def of(self, run: RunRef | None) -> RunLink | None:
        """Return a run; None where there is none, or it is in a project that the caller may not see."""
        if run is None:
            return None
        if run not in self._known:
            self._known[run] = self._look_up(run)
        return self._known[run]

    def version(self, info: VersionInfo) -> VersionRow:
        """Return a version with the run that logged it."""
        return version_row(info, self.of(info.logged_by))

    def versions(self, infos: Iterable[VersionInfo]) -> list[VersionRow]:
        """Return versions with the runs that logged them."""
        return [self.version(info) for info in infos]

    def uses(self, uses: Iterable[Use]) -> list[UseRow]:
        """Return uses by runs that the caller may see."""
        found = [(self.of(use.run), use) for use in uses]
        return [UseRow(run, seconds(use.at_ns), use.is_output, use.used_as) for run, use in found if run is not None]

    def collection(self, info: CollectionInfo, is_whole: bool = False) -> CollectionRow:
        """Return an artifact; `is_whole`: with its description as HTML."""
        latest = None if info.latest is None else self.version(info.latest)
        return collection_row(info, latest, render(info.description) if is_whole else "")

    def _look_up(self, run: RunRef) -> RunLink | None:
        if not authorize(self._reader, Action.READ, run.project):
            return None
        try:
            view = self._folder.run(run.project, run.run)
        except NotFoundError:
            return run_link(run)
        summary = numbers_of(flat(view.summary)) if self._has_summary else {}
        return RunLink(run.project, run.run, view.name, view.state, summary)


class ManifestCache:
    """Manifests that were looked at last: a page asks for one part of a folder after the other. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each with how many entries and chunks it has.
        self._kept: OrderedDict[str, tuple[Manifest, int]] = OrderedDict()

    def get(self, source: ArtifactSource, uid: str) -> Manifest:
        """Return the manifest of a version that the caller was found to be allowed to see; it never changes."""
        with self._lock:
            kept = self._kept.get(uid)
            if kept is not None:
                self._kept.move_to_end(uid)
                return kept[0]
        manifest = source.manifest(uid)
        n_parts = len(manifest) + sum(len(entry.chunks) for entry in manifest)
        if n_parts <= _MAX_KEPT_ALONE:
            self._keep(uid, manifest, n_parts)
        return manifest

    def _keep(self, uid: str, manifest: Manifest, n_parts: int) -> None:
        with self._lock:
            self._kept[uid] = manifest, n_parts
            while len(self._kept) > 1 and (len(self._kept) > _MAX_KEPT or self._n_parts() > _MAX_KEPT_PARTS):
                self._kept.popitem(last=False)

    def _n_parts(self) -> int:
        return sum(n_parts for _, n_parts in self._kept.values())
