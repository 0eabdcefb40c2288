"""What a sender says of itself, in a file that the dashboard, `tracker doctor` and the training read."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Literal

import msgspec

from ..process import boot_id, process_start
from .sync_folder import sync_folders

_NAME = "status.json"

State = Literal["ok", "waiting", "refused"]


class SenderStatus(msgspec.Struct, omit_defaults=True):
    """The state of one sender.

    Attributes:
        state: "ok", "waiting" (the server is away or asked to wait), "refused" (it does not take the key).
        address: the server's, without a user and password.
        error: what went wrong last, "" while all is well.
        bytes_left: of all runs that it sends.
        runs: path of each run that something is left of, or that has trouble, with what is left of it.
        troubles: path of each run of which something is not sent, and why.
        pid, boot_id, process_start: the sender's process; 0 after it has ended.
        contact_ns, tried_ns: when the server last answered as it should, and when it was last asked.
        since_ns: when `state` began. All by this machine's clock.
    """

    state: State = "ok"
    address: str = ""
    error: str = ""
    bytes_left: int = 0
    runs: dict[str, int] = {}
    troubles: dict[str, str] = {}
    pid: int = 0
    boot_id: str = ""
    process_start: str = ""
    contact_ns: int = 0
    tried_ns: int = 0
    since_ns: int = 0
    updated_ns: int = 0

    @property
    def is_running(self) -> bool:
        """Whether the sender's process lives; True too where that cannot be told from here and it wrote lately."""
        if not self.pid:
            return False
        if self.boot_id and self.boot_id == boot_id():
            return not self.process_start or process_start(self.pid) == self.process_start
        return abs(time.time_ns() - self.updated_ns) < 120e9


def write_status(sync_folder: str, status: SenderStatus) -> None:
    """Put the status where others find it, whole. Never raises OSError."""
    path = os.path.join(sync_folder, _NAME)
    draft = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        os.makedirs(sync_folder, exist_ok=True)
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(status))
        os.replace(draft, path)


def read_status(sync_folder: str) -> SenderStatus | None:
    """Return what the sender of a folder last said; None where there was none."""
    try:
        with open(os.path.join(sync_folder, _NAME), "rb") as file:
            return msgspec.json.decode(file.read(), type=SenderStatus)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def read_statuses(folder: str) -> list[tuple[str, SenderStatus]]:
    """Return the folder and status of each sender of a tracker folder."""
    found = ((path, read_status(path)) for path in sync_folders(folder))
    return [(path, status) for path, status in found if status is not None]


def this_process(status: SenderStatus) -> SenderStatus:
    """Return the status as one of this process."""
    pid = os.getpid()
    return msgspec.structs.replace(status, pid=pid, boot_id=boot_id(), process_start=process_start(pid))
