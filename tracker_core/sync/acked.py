"""What a server is known to keep of each journal and file, remembered on disk so that little is asked again.

A text file that is only appended to, one line for what changed last; it is written anew when most of it is outdated.
Losing it costs questions to the server, no data.

    j <project folder>/<run id>/<journal> TAB acked bytes TAB offset TAB inode TAB device TAB covered bytes
    f <project folder>/<run id>/<digest>
    a <project folder>/<run id>/<name of a note>        a version that the run logged or used (artifact_queue.py)
    g <project folder>/<run id>          forget the run: it was sent anew, or removed
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from .sync_folder import RunPlace

_NAME = "acked.txt"
_LITTLE_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class AckedJournal:
    """How far one journal is there.

    Attributes:
        acked: bytes of the local file that the server keeps.
        base: where they begin in the server's copy: not 0 where it kept something else before.
        identity: inode and device of the local file.
        covered: the size of the local file of which all that is intact is there.
    """

    acked: int
    base: int = 0
    identity: tuple[int, int] = (0, 0)
    covered: int = 0


@dataclass(slots=True)
class AckedRun:
    """What is there of one run."""

    journals: dict[str, AckedJournal] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    artifacts: set[str] = field(default_factory=set)


class Acked:
    """The acknowledged bytes of the runs of one sender's folder. Not thread-safe; one process writes, any may read.

    Args:
        sync_folder: the sender's folder.
    """

    def __init__(self, sync_folder: str) -> None:
        self.runs: dict[RunPlace, AckedRun] = {}
        self._path = os.path.join(sync_folder, _NAME)
        self._offset = 0
        self._identity = (0, 0)
        self._waiting: list[str] = []

    def read(self) -> None:
        """Take in what was written since the last call. Never raises OSError."""
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            status = os.fstat(file.fileno())
            identity = (status.st_ino, status.st_dev)
            if identity != self._identity or status.st_size < self._offset:
                self._identity, self._offset, self.runs = identity, 0, {}
            file.seek(self._offset)
            data = file.read()
            whole = data.rfind(b"\n") + 1
            self._offset += whole
            for line in data[:whole].decode("utf-8", "replace").splitlines():
                self._take(line)

    def of(self, place: RunPlace) -> AckedRun:
        """Return what is there of a run."""
        return self.runs.get(place) or AckedRun()

    def set_journal(self, place: RunPlace, name: str, acked: AckedJournal) -> None:
        """Remember how far a journal is there."""
        if self.of(place).journals.get(name) != acked:
            inode, device = acked.identity
            numbers = "\t".join(map(str, (acked.acked, acked.base, inode, device, acked.covered)))
            self._note(f"j {'/'.join(place)}/{name}\t{numbers}")

    def add_file(self, place: RunPlace, digest: str) -> None:
        """Remember that a file is there."""
        if digest not in self.of(place).files:
            self._note(f"f {'/'.join(place)}/{digest}")

    def add_artifact(self, place: RunPlace, name: str) -> None:
        """Remember that all of a noted version is there."""
        if name not in self.of(place).artifacts:
            self._note(f"a {'/'.join(place)}/{name}")

    def forget(self, place: RunPlace) -> None:
        """Forget a run."""
        if place in self.runs:
            self._note(f"g {'/'.join(place)}")

    def write(self) -> None:
        """Append what was set. Never raises OSError: it is only a cache."""
        if not self._waiting:
            return
        lines, self._waiting = self._waiting, []
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(self._path, "ab") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
                self._offset = file.tell()
                status = os.fstat(file.fileno())
                self._identity = (status.st_ino, status.st_dev)
            if self._offset > _LITTLE_BYTES and self._offset > 4 * sum(map(len, self._lines())):
                self.compact()

    def compact(self) -> None:
        """Write only what still counts. Only the one sender that holds the lock may do that."""
        with contextlib.suppress(OSError):
            draft = f"{self._path}.{os.getpid()}"
            with open(draft, "wb") as file:
                file.write("".join(f"{line}\n" for line in self._lines()).encode())
                self._offset = file.tell()
                status = os.fstat(file.fileno())
            os.replace(draft, self._path)
            self._identity = (status.st_ino, status.st_dev)

    def _lines(self) -> list[str]:
        lines = []
        for place, run in self.runs.items():
            for name, acked in run.journals.items():
                numbers = (acked.acked, acked.base, *acked.identity, acked.covered)
                lines.append(f"j {'/'.join(place)}/{name}\t" + "\t".join(map(str, numbers)))
            lines += [f"f {'/'.join(place)}/{digest}" for digest in sorted(run.files)]
            lines += [f"a {'/'.join(place)}/{name}" for name in sorted(run.artifacts)]
        return lines

    def _note(self, line: str) -> None:
        self._waiting.append(line)
        self._take(line)

    def _take(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        path, *numbers = rest.split("\t")
        parts = path.split("/")
        if kind == "g" and len(parts) == 2:
            self.runs.pop((parts[0], parts[1]), None)
        elif len(parts) == 3 and kind == "f":
            self.runs.setdefault((parts[0], parts[1]), AckedRun()).files.add(parts[2])
        elif len(parts) == 3 and kind == "a":
            self.runs.setdefault((parts[0], parts[1]), AckedRun()).artifacts.add(parts[2])
        elif len(parts) == 3 and kind == "j":
            with contextlib.suppress(ValueError):
                acked, base, inode, device, covered = map(int, numbers)
                run = self.runs.setdefault((parts[0], parts[1]), AckedRun())
                run.journals[parts[2]] = AckedJournal(acked, base, (inode, device), covered)
