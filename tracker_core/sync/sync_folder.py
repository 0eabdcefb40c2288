"""The folder that senders keep beside the runs: `<tracker folder>/sync/<server and key>/`.

wanted/<project folder>/<run id>   an empty file: this run is to be sent; taken away once all of it is there
acked.txt                          what the server keeps; a cache, the server's word counts (acked.py)
status.json                        what the sender says of itself (sender_status.py)
lock                               held by the one sender process (sender_lock.py)
wake                               a named pipe: a byte in it makes the sender look at once
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..servers_file import same_address

SYNC_FOLDER = "sync"
_WANTED = "wanted"

# A run's place below `runs`: the project's folder and the run's id.
RunPlace = tuple[str, str]


def sync_folder(folder: str, base_url: str, api_key: str | None) -> str:
    """Return the folder of the sender to a server with a key; it need not exist."""
    import hashlib

    text = f"{server_address(base_url)}\n{api_key or ''}"
    return os.path.join(folder, SYNC_FOLDER, hashlib.sha256(text.encode()).hexdigest()[:16])


def sync_folders(folder: str) -> list[str]:
    """Return the folders of all senders of a tracker folder."""
    try:
        with os.scandir(os.path.join(folder, SYNC_FOLDER)) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return []


def server_address(base_url: str) -> str:
    """Return a server's address in the one way of writing it that is compared."""
    return same_address(base_url)


def shown_address(base_url: str) -> str:
    """Return an address without a user and password in it."""
    scheme, separator, rest = server_address(base_url).partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def want(sync_folder: str, place: RunPlace) -> None:
    """Ask for a run to be sent. May be repeated.

    Raises:
        OSError: the folder cannot be written.
    """
    path = os.path.join(sync_folder, _WANTED, *place)
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))


def is_wanted(sync_folder: str, place: RunPlace) -> bool:
    """Say whether a run is still to be sent."""
    return os.path.exists(os.path.join(sync_folder, _WANTED, *place))


def unwant(sync_folder: str, place: RunPlace) -> None:
    """Say that all of a run is there. Whoever adds to the run wants it anew."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(sync_folder, _WANTED, *place))


def wanted_runs(sync_folder: str) -> Iterator[RunPlace]:
    """Yield the runs that are to be sent."""
    for project in _names(os.path.join(sync_folder, _WANTED)):
        for run in _names(os.path.join(sync_folder, _WANTED, project)):
            yield project, run


def every_run(folder: str) -> Iterator[RunPlace]:
    """Yield the runs of a tracker folder."""
    runs = os.path.join(folder, "runs")
    for project in _names(runs):
        if not project.startswith("."):
            for run in _names(os.path.join(runs, project)):
                if not run.startswith("."):
                    yield project, run


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
