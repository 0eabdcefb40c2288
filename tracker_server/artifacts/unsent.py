"""Which versions of a folder a server is still to get; these are never let go of."""

from __future__ import annotations

import os

from tracker_core.settings import load_settings
from tracker_core.sync.artifact_queue import ARTIFACTS_FOLDER, noted_size
from tracker_core.sync.sync_folder import every_run, sync_folders
from tracker_core.sync.sync_state import unsent_artifacts


def unsent_versions(folder: str) -> frozenset[str]:
    """Return the uids of versions that are to be sent and were not acknowledged.

    Where a server is set and nothing was sent yet, as when runs are recorded offline, these are all that runs noted.
    """
    if not sync_folders(folder) and load_settings().base_url:
        return frozenset(name.partition(".")[0] for name in _noted(folder))
    return frozenset(unsent_artifacts(folder))


def _noted(folder: str) -> list[str]:
    found: list[str] = []
    for place in every_run(folder):
        notes = os.path.join(folder, "runs", *place, ARTIFACTS_FOLDER)
        found += [name for name in _names(notes) if noted_size(name) is not None]
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
