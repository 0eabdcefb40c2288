"""Journals written record by record, as the process that trains would."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from blake3 import blake3

from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import Kind
from tracker_core.journal_reader import JournalReader
from tracker_core.paths import journal_path, run_folder
from tracker_core.records import KIND_OF, Record, Session, State, encode
from tracker_core.sync.wire import JournalName


class Written:
    """A journal being written. `live` makes it one of a process that is known to be running: this one."""

    def __init__(
        self, folder: Path | str, run: str = "a", project: str = "p", writer: str = "main", **session: object
    ) -> None:
        self.session = secrets.token_bytes(16)
        self.name = JournalName(project, run, writer, self.session.hex())
        self.path = Path(journal_path(str(folder), project, run, writer, self.session))
        self.file = JournalFile(str(self.path), self.session)
        self.file.open()
        self._layout = RowLayout(("loss",), "d", Kind.ROW)
        self.n_rows = 0
        fields = {"run": run, "project": project, "writer": writer, **session}
        self.put(Session(wall_time_ns=time.time_ns(), session=self.session.hex(), **fields))  # type: ignore[arg-type]

    def put(self, record: Record) -> None:
        self.file.put(KIND_OF[type(record)], encode(record))

    def rows(self, n_rows: int) -> Written:
        for _ in range(n_rows):
            self.file.put_row(self._layout, self.n_rows, 1_700_000_000_000_000_000 + self.n_rows, (self.n_rows / 7,))
            self.n_rows += 1
        return self

    def end(self, state: str = "finished") -> Written:
        self.put(State(wall_time_ns=time.time_ns(), state=state))
        self.file.close()
        return self

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    def at(self, server_folder: str) -> Path:
        """Where the server's copy lies."""
        return Path(run_folder(server_folder, self.name.project, self.name.run)) / self.path.name


def keep_file(journal: Written, content: bytes) -> str:
    """Keep a file with a run; return its digest."""
    digest = blake3(content).hexdigest()
    path = journal.path.parent / "files" / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return digest


def steps_of(path: Path) -> list[int]:
    """Return the steps of the rows that a reader finds, in order."""
    batch = JournalReader(str(path)).read()
    return [step for group in batch.row_groups for _, step, _, _ in group.rows()]
