"""The seam from the training process to the store of artifacts: what is imported here is imported at the first call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..settings import Settings, load_settings
from .manifest import Entry
from .source import ArtifactSource, ChunkReader, ChunkTarget
from .wire import VersionInfo

if TYPE_CHECKING:
    from tracker_server.query.run_source import RunSource


def open_local(folder: str, settings: Settings | None = None) -> ArtifactSource:
    """Return the artifacts of a tracker folder, where the settings say: its files, a database, an object store."""
    from tracker_server.artifacts.local_artifacts import open_artifacts

    settings = load_settings() if settings is None else settings
    return open_artifacts(folder, settings.database_url, settings.blobs_url)


def open_remote(
    base_url: str, api_key: str | None, timeout_s: float | None = None, pauses_s: Sequence[float] | None = None
) -> ArtifactSource:
    """Return the artifacts of a server; nothing is asked yet."""
    from tracker_server.remote.remote_artifacts import open_remote_artifacts

    return open_remote_artifacts(base_url, api_key, timeout_s, pauses_s)


def open_runs(folder: str | None, settings: Settings) -> RunSource:
    """Return the runs of a folder, or without one those of the server of the settings."""
    if folder is None:
        from tracker_server.remote.remote_runs import open_server

        return open_server(settings.base_url or "", settings.api_key)
    from tracker_server.query.local_runs import LocalRuns
    from tracker_server.query.open_folder import open_folder

    return LocalRuns(open_folder(folder, settings.database_url))


def keep_files(
    target: ChunkTarget, lease: str, files: Sequence[tuple[str, str]], known: Mapping[str, Entry]
) -> list[Entry]:
    """Bring the bytes of (path, name) files to a store; return their entries, in order.

    Args:
        target: the store.
        lease: what the bytes are pinned to.
        files: path and name in the version of each.
        known: entries of an earlier version, by name: what they hold is not written again.

    Raises:
        UsageError: a file is no regular one, or goes on changing while it is read.
        OSError: it cannot be read, or its bytes cannot be kept.
    """
    from tracker_server.blobs.keep_files import keep_files

    return keep_files(target, lease, files, known)


def write_files(
    reader: ChunkReader,
    version: VersionInfo,
    entries: Iterable[Entry],
    root: str | os.PathLike[str],
    cache_dir: str | None = None,
    cache_max_bytes: int = 0,
) -> None:
    """Write files of a version below a folder; ones that are there already with the right content stay.

    Args:
        reader: where the bytes come from.
        version: whose files.
        entries: the files; no references.
        root: the folder.
        cache_dir: where what is read is kept for the next time; None nowhere.
        cache_max_bytes: the most that is kept there.
    """
    from tracker_server.blobs.write_files import write_files

    write_files(reader, version.uid, list(entries), os.fspath(root), cache_dir, cache_max_bytes)
