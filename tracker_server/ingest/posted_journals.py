"""Look at what was posted of journals before a sink takes it: names, checksums, first records, deleted runs.

What one run's sender gets wrong is answered for that journal alone; the others of the same request are taken.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from tracker_core.errors import UsageError
from tracker_core.journal_format import FRAME, HEADER_BYTES, Kind, unpack_header
from tracker_core.journal_reader import JournalReader
from tracker_core.paths import JOURNAL_SUFFIX, check_project, check_run_id, project_dir_name
from tracker_core.records import Session
from tracker_core.sync.wire import MAX_BLOCK_DATA_BYTES, JournalAck, JournalName, JournalPart

from ..catalog.decisions import Decisions
from .block_sink import BlockSink, Kept, PostedPart

_WRITER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_SESSION = re.compile(r"[0-9a-f]{32}")
_MAX_AGE_S = 100 * 365 * 86_400.0
_LOOK_BYTES = 4096

MayWrite = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer for each journal of a request, how many bytes were new and how many parts came, and the names of the
    journals that grew."""

    acks: list[JournalAck]
    n_bytes: int = 0
    n_parts: int = 0
    grown: tuple[str, ...] = ()


class PostedJournals:
    """Takes posted parts. Thread-safe.

    Args:
        sink: keeps them.
        decisions: returns what is decided about runs now.
    """

    def __init__(self, sink: BlockSink, decisions: Callable[[], Decisions]) -> None:
        self._sink = sink
        self._decisions = decisions

    def state(self, journals: Sequence[JournalName], may_write: MayWrite) -> list[JournalAck]:
        """Say how much of each journal is kept. `may_write` says whether the sender may write to a project."""
        acks: dict[JournalName, JournalAck] = {}
        names: dict[JournalName, str] = {}
        for journal in dict.fromkeys(journals):
            found = self._name_or_refusal(journal, may_write)
            if isinstance(found, JournalAck):
                acks[journal] = found
            else:
                names[journal] = found
        sizes = self._sink.sizes(list(names.values())) if names else {}
        acks.update({journal: JournalAck(journal, sizes[name]) for journal, name in names.items()})
        return [acks[journal] for journal in dict.fromkeys(journals)]

    def take(self, parts: Sequence[JournalPart], may_write: MayWrite) -> Taken:
        """Take what is new of these parts.

        Raises:
            SinkFullError, DatabaseAwayError: nothing can be kept now.
        """
        now_ns = time.time_ns()
        by_journal: dict[JournalName, list[JournalPart]] = {}
        for part in parts:
            by_journal.setdefault(part.journal, []).append(part)
        found = {journal: self._name_or_refusal(journal, may_write) for journal in by_journal}
        looked = {
            name: _intact(journal, by_journal[journal], now_ns)
            for journal, name in found.items()
            if isinstance(name, str)
        }
        kept = self._kept({name: one.parts for name, one in looked.items()})
        acks = [
            name if isinstance(name, JournalAck) else _ack(journal, kept[name], looked[name])
            for journal, name in found.items()
        ]
        grown = tuple(name for name, one in kept.items() if one.n_new_bytes)
        n_bytes = sum(one.n_new_bytes for one in kept.values())
        return Taken(acks, n_bytes, sum(len(one.parts) for one in looked.values()), grown)

    def _kept(self, parts: Mapping[str, Sequence[PostedPart]]) -> dict[str, Kept]:
        """Have these parts kept; of journals without any return how much there is."""
        wanted = {name: own for name, own in parts.items() if own}
        kept = dict(self._sink.take(wanted)) if wanted else {}
        others = [name for name in parts if name not in wanted]
        sizes = self._sink.sizes(others) if others else {}
        return {**kept, **{name: Kept(size) for name, size in sizes.items()}}

    def _name_or_refusal(self, journal: JournalName, may_write: MayWrite) -> str | JournalAck:
        try:
            name = journal_name(journal)
        except UsageError as error:
            return JournalAck(journal, 0, "refused", str(error)[:500])
        if not may_write(journal.project):
            return JournalAck(journal, 0, "refused", f"the key may not write to project {journal.project!r}")
        for buried in self._decisions().by_folder.get(name.rpartition("/")[0], ()):
            if name in buried.journals:
                return JournalAck(journal, 0, "deleted", f"run {journal.project}/{journal.run} was deleted")
        return name


def journal_name(journal: JournalName) -> str:
    """Return the path of a journal below `runs`, with forward slashes. Raises UsageError for names that are none."""
    where = "sync"
    project = project_dir_name(check_project(journal.project, f"{where}: project"))
    run = check_run_id(journal.run, f"{where}: run")
    if not _WRITER.fullmatch(journal.writer):
        expected = "1 to 64 letters, digits, '-', '_' or '.'"
        raise UsageError(f"{where}: writer", repr(journal.writer)[:100], expected, "send the name in the journal")
    if not _SESSION.fullmatch(journal.session):
        got, expected = repr(journal.session)[:100], "32 hexadecimal digits"
        raise UsageError(f"{where}: session", got, expected, "send the id in the journal's name")
    return f"{project}/{run}/{journal.writer}.{journal.session}{JOURNAL_SUFFIX}"


@dataclass(frozen=True, slots=True)
class _Looked:
    """The parts of a journal up to the first that cannot be taken, and what is wrong with that one."""

    parts: list[PostedPart]
    trouble: str = ""
    reason: str = ""


def _intact(journal: JournalName, parts: Sequence[JournalPart], now_ns: int) -> _Looked:
    found: list[PostedPart] = []
    for part in parts:
        if not 0 <= part.offset < 1 << 62 or len(part.data) > MAX_BLOCK_DATA_BYTES:
            reason = f"a part has an offset below 0 or more than {MAX_BLOCK_DATA_BYTES} bytes"
            return _Looked(found, "refused", reason)
        if crc32(part.data) != part.crc:
            reason = f"the checksum sent for offset {part.offset} is not that of the bytes that came"
            return _Looked(found, "damaged", reason)
        wrong = _wrong_start(journal, part.data) if part.offset == 0 else None
        if wrong is not None:
            return _Looked(found, "refused", wrong)
        age_s = min(max(part.age_s, 0.0), _MAX_AGE_S) if math.isfinite(part.age_s) else 0.0
        found.append(PostedPart(part.offset, part.data, max(0, now_ns - int(age_s * 1e9))))
    return _Looked(found)


def _ack(journal: JournalName, kept: Kept, looked: _Looked) -> JournalAck:
    return JournalAck(journal, kept.size_bytes, kept.trouble or looked.trouble, kept.reason or looked.reason)


def _wrong_start(journal: JournalName, data: bytes) -> str | None:
    """Say what is wrong with the beginning of a journal; None where it is right or damaged beyond telling."""
    header = unpack_header(data)
    if header is None:
        return None
    if header.session.hex() != journal.session:
        return "the first block is of another session"
    reader = JournalReader("", open_bytes=lambda _: _Posted(data))
    batch = reader.read(_LOOK_BYTES)
    if reader.next_sequence == header.first_sequence:
        return None
    kind = FRAME.unpack_from(data, HEADER_BYTES)[1]
    first = batch.records[0][1] if batch.records else None
    if kind == Kind.FRAGMENT and first is None:
        return None
    if kind not in (Kind.SESSION, Kind.FRAGMENT) or not isinstance(first, Session):
        return "the first record does not say whose journal it is"
    says = JournalName(first.project, first.run, first.writer, first.session)
    return None if says == journal else f"the first record says that it is of {'/'.join(_texts(says))}"[:500]


def _texts(journal: JournalName) -> tuple[str, str, str, str]:
    return journal.project, journal.run, journal.writer, journal.session


class _Posted:
    """Bytes of a journal that are in memory."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return the bytes from `offset` on, at most `n_bytes` of them."""
        return self._data[offset : offset + n_bytes]

    def close(self) -> None:
        """Do nothing."""
