"""How much of a run is still to be sent, and what its sender says: for the dashboard, the doctor and the training."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import msgspec

from ..files import FILES_FOLDER
from ..paths import JOURNAL_SUFFIX, project_dir_name
from .acked import Acked, AckedRun
from .artifact_queue import ARTIFACTS_FOLDER, noted_size
from .sender_status import SenderStatus, read_status
from .sync_folder import RunPlace, every_run, is_wanted, sync_folders

_DIGEST_LENGTH = 64
_LONG_NS = 3600 * 1_000_000_000
_lock = threading.Lock()
_known: dict[str, Acked] = {}


class RunSync(msgspec.Struct, frozen=True):
    """Where the sending of one run to one server stands.

    Attributes:
        address: the server's.
        bytes_left: of its journals, files and artifacts, as they are on disk now.
        state: of the sender: "ok", "waiting" or "refused"; "" where none has spoken yet.
        message: why nothing is sent, or why something of this run is not; "" while all is well.
        pid: the sender's process, 0 where none is at work.
        contact_ns: when the server last answered, since 1970; 0 for never.
    """

    address: str
    bytes_left: int
    state: str = ""
    message: str = ""
    pid: int = 0
    contact_ns: int = 0


def syncs_of_run(folder: str, project: str, run_id: str) -> list[RunSync]:
    """Return where the sending of a run stands, for each server that it is or was sent to; [] for a local run."""
    place, path = (project_dir_name(project), run_id), f"{project}/{run_id}"
    found = []
    for sync_folder in sync_folders(folder):
        acked = acked_of_run(sync_folder, place)
        if not acked.journals and not is_wanted(sync_folder, place):
            continue
        status = read_status(sync_folder) or SenderStatus()
        left = left_bytes(os.path.join(folder, "runs", *place), acked)
        message = status.troubles.get(path, "") or (status.error if left else "")
        pid = status.pid if status.is_running else 0
        state = status.state if status.updated_ns else ""
        found.append(RunSync(status.address, left, state, message, pid, status.contact_ns))
    return found


def acked_of_run(sync_folder: str, place: RunPlace) -> AckedRun:
    """Return what is known to be at a server of a run. Thread-safe."""
    with _lock:
        acked = _known.setdefault(sync_folder, Acked(sync_folder))
        acked.read()
        run = acked.of(place)
        return AckedRun(dict(run.journals), set(run.files), set(run.artifacts))


def left_bytes(run_folder: str, acked: AckedRun) -> int:
    """Return how many bytes of a run's journals, files and artifacts are not known to be at the server.

    A version of an artifact counts whole until all of it is there: how much of it the server has already is not asked.
    """
    n_bytes = 0
    for name, size in _sizes(run_folder, JOURNAL_SUFFIX):
        known = acked.journals.get(name)
        n_bytes += max(0, size - max(known.covered, known.acked)) if known else size
    for name, size in _sizes(os.path.join(run_folder, FILES_FOLDER), ""):
        if len(name) == _DIGEST_LENGTH and name not in acked.files:
            n_bytes += max(size, 1)
    for name, _ in _sizes(os.path.join(run_folder, ARTIFACTS_FOLDER), ""):
        noted = noted_size(name)
        if noted is not None and name not in acked.artifacts:
            n_bytes += max(noted, 1)
    return n_bytes


def _sizes(folder: str, suffix: str) -> list[tuple[str, int]]:
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                with contextlib.suppress(OSError):
                    found.append((entry.name, entry.stat().st_size))
    return found


def unsent_artifacts(folder: str) -> set[str]:
    """Return the uids of versions that runs logged or used and that are still to be sent to some server.

    Where nothing was ever sent from the folder there are none; a run that was never sent counts as one that may be.
    """
    found: set[str] = set()
    servers = sync_folders(folder)
    for place in every_run(folder) if servers else ():
        noted = {name for name, _ in _sizes(os.path.join(folder, "runs", *place, ARTIFACTS_FOLDER), "")}
        noted = {name for name in noted if noted_size(name) is not None}
        if noted:
            known = {server: acked_of_run(server, place) for server in servers}
            meant = [acked for server, acked in known.items() if acked.journals or is_wanted(server, place)]
            acked_everywhere = set.intersection(*(acked.artifacts for acked in meant)) if meant else set()
            found |= {name.partition(".")[0] for name in noted - acked_everywhere}
    return found


def trouble_of_senders(folder: str) -> list[tuple[SenderStatus, str]]:
    """Return senders that a user should look after, each with what is wrong: refused, long away, or killed."""
    found = []
    now_ns = time.time_ns()
    for sync_folder in sync_folders(folder):
        status = read_status(sync_folder)
        if status is None:
            continue
        text = ""
        if status.state == "refused" and status.bytes_left:
            text = f"{status.error}; nothing is sent"
        elif status.state == "waiting" and status.bytes_left and now_ns - status.since_ns > _LONG_NS:
            text = f"for {(now_ns - status.since_ns) / 3.6e12:.1f} h: {status.error}"
        elif status.bytes_left and not status.is_running:
            text = "no process sends what is left"
        elif status.troubles:
            path, why = next(iter(sorted(status.troubles.items())))
            more = f", and {len(status.troubles) - 1} more runs" if len(status.troubles) > 1 else ""
            text = f"not sent: {path} ({why}){more}"
        if text:
            found.append((status, text))
    return found
