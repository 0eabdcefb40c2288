"""Start the background sender: a process, or a thread of this one where no process can be started."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import msgspec

from .sender_job import SenderJob

_START_S = 60.0
_LOG, _LOG_MAX_BYTES = "sender.log", 1 << 20
_threads: dict[str, threading.Thread] = {}
_children: list[Any] = []


def start_sender(job: SenderJob) -> bool:
    """Start a sender; say whether it is a process. May take a while, so a thread of its own calls it."""
    try:
        start_process(job)
        return True
    except (OSError, ValueError, RuntimeError):
        start_thread(job)
        return False


def start_process(job: SenderJob) -> None:
    """Start a process for a job.

    Raises:
        OSError: there can be none.
    """
    import subprocess

    if not sys.executable:
        raise OSError("this interpreter cannot be started again")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = f"import sys; sys.path.append({root!r}); from tracker_core.sync.sender_process import main; main()"
    os.makedirs(job.sync_folder, exist_ok=True)
    path = os.path.join(job.sync_folder, _LOG)
    is_long = os.path.exists(path) and os.path.getsize(path) > _LOG_MAX_BYTES
    with open(path, "wb" if is_long else "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=job.sync_folder,
            env=_environment(),
            start_new_session=True,
            creationflags=getattr(subprocess, "DETACHED_PROCESS", 0),
        )
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(msgspec.json.encode(job))
    if sys.platform != "linux":
        _children.append(process)  # our child as long as it works
        return
    try:
        process.wait(_START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise OSError(f"the sender did not start within {_START_S:g} s") from None


def _environment() -> dict[str, str]:
    """Return the environment without what is meant for the training: its run, its key, its hooks."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}


def start_thread(job: SenderJob) -> None:
    """Send from a thread of this process, which ends with it."""
    from .sender_work import work

    def guarded() -> None:
        try:
            work(job, threading.Event())
        except OSError:
            pass

    before = _threads.get(job.sync_folder)
    if before is None or not before.is_alive():
        thread = threading.Thread(target=guarded, name="tracker-sync", daemon=True)
        _threads[job.sync_folder] = thread
        thread.start()
