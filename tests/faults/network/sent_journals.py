"""Journals that tests write record by record, and what a server must have of them."""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from pathlib import Path
from typing import Any

from comparison import exact
from journal_model import Item, read_items, rows_in

from tracker_core.api import Api
from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import Kind
from tracker_core.journal_reader import JournalReader
from tracker_core.paths import journal_path
from tracker_core.records import KIND_OF, Config, Record, RowMap, Session, State, Summary, encode

PROJECT = "sent"
T0_NS = 1_800_000_000_000_000_000


class LocalJournal:
    """A journal of an online run as a training process writes it, with the mishaps of its disk on demand.

    Attributes:
        n_rows: how many rows were logged.
    """

    def __init__(self, folder: Path, run: str = "a", writer: str = "main", project: str = PROJECT, **session: Any):
        self.session = secrets.token_bytes(16)
        self.run, self.writer, self.project = run, writer, project
        self.path = Path(journal_path(str(folder), project, run, writer, self.session))
        self.n_rows = 0
        self.is_closed = False
        self.file = JournalFile(str(self.path), self.session)
        self.file.open()
        self._layouts: dict[tuple[str, ...], RowLayout] = {}
        fields = {"run": run, "project": project, "writer": writer, "mode": "online", **session}
        self.put(Session(wall_time_ns=T0_NS, session=self.session.hex(), **fields))
        self.put(Config(wall_time_ns=T0_NS, values={"writer": writer, "lr": 0.1}))
        self._head_bytes = self.path.stat().st_size

    @property
    def name(self) -> str:
        """Where it lies below any tracker folder."""
        return "/".join(self.path.parts[-4:])

    def put(self, record: Record) -> None:
        """Append a record of any kind but a packed row."""
        self.file.put(KIND_OF[type(record)], encode(record))

    def log(self, n_rows: int = 1, text_bytes: int = 0) -> None:
        """Log rows, each of which tells which it is; with `text_bytes` ones that need a record as long."""
        for _ in range(n_rows):
            n = self.n_rows
            time_ns = T0_NS + n * 1_000_000
            if text_bytes:
                values: dict[str, Any] = {"n": n, "text": secrets.token_hex(text_bytes // 2)}
                self.put(RowMap(wall_time_ns=time_ns, step=n, values=values))
            else:
                row = {"n": n, "loss": 1 / (n + 1), f"part{n % 3}": n * 0.5}
                layout = self._layouts.setdefault(tuple(row), RowLayout(tuple(row), "qdd", Kind.ROW))
                self.file.put_row(layout, n, time_ns, tuple(row.values()))
            self.n_rows += 1

    def tear(self, n_bytes: int) -> None:
        """Fail in the middle of a write that opens a block, of which so many bytes come into the file.

        The write is of a header (52 bytes), a schema and a row; `mend` takes back what is there of it.
        """
        twin = JournalFile.__new__(JournalFile)
        twin.__dict__.update(self.file.__dict__)
        twin._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        size = self.path.stat().st_size
        try:
            twin._room = twin._n_pending = 0
            layout = RowLayout(("torn", "n"), "dq", Kind.ROW)
            twin.put_row(layout, self.n_rows, T0_NS, (0.5, self.n_rows))
            os.ftruncate(twin._fd, min(size + n_bytes, os.fstat(twin._fd).st_size - 1))
        finally:
            os.close(twin._fd)

    def mend(self) -> None:
        """Cut a torn tail back, as after a write that failed."""
        self.file.cut_back()

    def delete(self) -> None:
        """Remove the file while it is being written."""
        self.path.unlink(missing_ok=True)

    def make_anew(self) -> None:
        """Notice that the file is gone, as the journal's thread does, and make it anew with all its content."""
        self.file.open()

    def go_on_shorter(self, n_bytes: int) -> None:
        """Lose the handle, and find so many bytes missing at the end: what a network drive does that comes back.

        What the journal begins with, whose it is, stays.
        """
        size = max(self._head_bytes, self.path.stat().st_size - n_bytes)
        os.truncate(self.path, size)
        os.close(self.file._fd)
        self.file.lose_handle()
        self.file.open()

    def summary(self, **values: Any) -> None:
        self.put(Summary(wall_time_ns=T0_NS, values=values))

    def end(self, state: str = "finished") -> None:
        """Write the end of the session."""
        self.put(State(wall_time_ns=T0_NS + 10**12, state=state))
        self.file.close()
        self.is_closed = True


def safe_bytes(path: Path) -> bytes:
    """Return the bytes of a journal up to the end of its last intact record."""
    reader = JournalReader(str(path))
    reader.read()
    return path.read_bytes()[: reader.offset]


def assert_same_bytes(local: Path, server: Path) -> None:
    """Check that the server has each journal of a folder, byte for byte up to its last intact record."""
    found = sorted(local.rglob("*.journal"))
    assert found
    for path in found:
        there = server / path.relative_to(local)
        assert there.exists(), f"{there} is not there"
        assert there.read_bytes() == safe_bytes(path)


def assert_same_items(local: Path, server: Path) -> None:
    """Check that the server gives back everything that each journal holds, in order and once.

    Where a journal was written anew or cut back while it was sent, the server may have more: what was on record once.
    """
    for path in sorted(local.rglob("*.journal")):
        mine, kept = read_items(path), read_items(server / path.relative_to(local))
        assert {sequence: item for sequence, item in kept.items() if sequence in mine} == mine


def rows_of(path: Path) -> list[Item]:
    """Return the rows of one journal."""
    return rows_in(read_items(path))


def story_of(api: Api, project: str | None = None) -> dict[str, tuple[Any, ...]]:
    """Return what `Api` says of every run, or of those of one project, in a form that compares exactly."""
    return {
        f"{run.project}/{run.id}": (
            [exact(row) for row in run.scan_history()],
            exact(dict(run.config)),
            exact({key: value for key, value in run.summary.items() if not key.startswith("_")}),
            run.name,
        )
        for run in api.runs(project, archived=True)
    }


def assert_same_story(local: Path, server: Path | Api, project: str | None = None) -> None:
    """Check that `Api` tells the same of both, row for row."""
    with closing(Api(dir=local)) as api:
        mine = story_of(api, project)
    if isinstance(server, Api):
        theirs = story_of(server, project)
    else:
        with closing(Api(dir=server)) as api:
            theirs = story_of(api, project)
    assert theirs.keys() == mine.keys()
    for name in mine:
        assert theirs[name] == mine[name], f"run {name} is another on the server"
