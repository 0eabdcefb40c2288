"""The tail table: journals as they arrive at a database, block by block, until they are sealed.

A block is kept from the moment at which its transaction is committed, once however often it is sent, and reading gives
exactly what was sent. Once sealed it is deleted: then the chunks are all that there is of it.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from .store_connection import DatabaseAwayError, IndexDatabase
from .store_dialect import bulk_insert, database_ns, upsert
from .store_poisoned import note_poisoned
from .store_schema import poisoned_journal, tail_block, tail_journal

CLAIM_S = 30.0
# For so long something may still be written behind the record that closes a journal, and is read then.
_OPEN_END_S = 86_400.0
# Reading of a row begins with all of it.
MAX_ROW_BYTES = 1 << 20
_PATHS_AT_ONCE = 5000

# Who this process is to others that use the same database.
OWNER = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

_NEW = {
    "first_offset": 0,
    "resume_offset": 0,
    "size_bytes": 0,
    "modified_ns": 0,
    "is_done": False,
    "owner": "",
    "claimed_until_ns": 0,
}


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a journal from `offset` on. `modified_ns` is when the journal was last written, since 1970."""

    path: str
    offset: int
    data: bytes
    modified_ns: int

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class TailState:
    """One journal of the tail table; see `store_schema.tail_journal`. `trouble` says why it takes nothing more."""

    path: str
    tail_id: int
    first_offset: int
    resume_offset: int
    size_bytes: int
    modified_ns: int
    is_done: bool
    trouble: str | None


@dataclass(slots=True)
class Appended:
    """What became of blocks, by journal: how many bytes were new, and which differ from what is there, and why."""

    n_new_bytes: dict[str, int] = field(default_factory=dict)
    differing: dict[str, str] = field(default_factory=dict)


def append(connection: Connection, blocks: Sequence[Block], appended: Appended | None = None) -> dict[str, int]:
    """Add blocks; what is there already is not added again.

    Args:
        connection: within a transaction. When that is committed, what was added is kept.
        blocks: of any journals, those of one journal in order.
        appended: gets what became of them. Default: a block that differs is noted as its journal's trouble.

    Returns:
        The size of each journal now. A smaller one than the end of its last block says that bytes before that are
        missing, or that a block differs from what is there.
    """
    by_path: dict[str, list[Block]] = {}
    for block in blocks:
        by_path.setdefault(block.path, []).append(block)
    # One whose beginning is missing is not begun.
    new = [{"path": path, **_NEW} for path in sorted(by_path) if by_path[path][0].offset == 0]
    if new:
        upsert(connection, tail_journal, new, ["path"])
    rows: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    sizes: dict[str, int] = dict.fromkeys(by_path, 0)
    notes = Appended() if appended is None else appended
    for state in _locked(connection, sorted(by_path)):
        try:
            data = _news(connection, state, by_path[state.path])
        except _DifferentError as error:
            notes.differing[state.path], data = str(error), b""
        sizes[state.path] = state.size_bytes + len(data)
        notes.n_new_bytes[state.path] = len(data)
        if data:
            rows += _rows(state, data)
            modified_ns = max(state.modified_ns, *(block.modified_ns for block in by_path[state.path]))
            changes.append({"id": state.tail_id, "size": sizes[state.path], "modified": modified_ns})
    bulk_insert(connection, tail_block, rows)
    _set_sizes(connection, changes)
    if appended is None:
        note_poisoned(connection, notes.differing)
    return sizes


def append_blocks(database: IndexDatabase, blocks: Sequence[Block], appended: Appended | None = None) -> dict[str, int]:
    """Do `append` in a transaction of its own. Raises DatabaseAwayError where the database does not answer."""
    with _answering(database), database.writing() as writing:
        assert writing is not None
        with writing.transaction() as connection:
            return append(connection, blocks, appended)


def sizes_in(database: IndexDatabase, paths: Sequence[str]) -> dict[str, int]:
    """Do `sizes_of` in a transaction of its own. Raises DatabaseAwayError where the database does not answer."""
    with database.reading().transaction() as connection:
        assert connection is not None
        return sizes_of(connection, paths)


def prune_old(database: IndexDatabase) -> None:
    """Do `prune` in a transaction of its own, for journals that are silent for a day."""
    with _answering(database), database.writing() as writing:
        assert writing is not None
        with writing.transaction() as connection:
            prune(connection, database_ns(connection) - int(_OPEN_END_S * 1e9))


@contextmanager
def _answering(database: IndexDatabase) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAwayError(database.place, error.orig) from None
    except PoolTimeoutError as error:
        raise DatabaseAwayError(database.place, error) from None


def _rows(state: TailState, data: bytes) -> Iterator[dict[str, Any]]:
    for start in range(0, len(data), MAX_ROW_BYTES):
        part = data[start : start + MAX_ROW_BYTES]
        yield {"tail_id": state.tail_id, "first_offset": state.size_bytes + start, "data": part}


def _locked(connection: Connection, paths: Sequence[str]) -> Iterator[TailState]:
    """Yield the journals in the order of their paths, so that two processes never wait for each other."""
    c = tail_journal.c
    columns = (c.path, c.tail_id, c.first_offset, c.resume_offset, c.size_bytes, c.modified_ns, c.is_done)
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        query = select(*columns).where(c.path.in_(paths[start : start + _PATHS_AT_ONCE])).order_by(c.path)
        for row in connection.execute(query.with_for_update()).all():
            yield TailState(*row, trouble=None)


class _DifferentError(Exception):
    """A block differs from what is there."""


def _news(connection: Connection, state: TailState, blocks: Sequence[Block]) -> bytes:
    """Return what the blocks have behind the end of a journal, up to the first gap."""
    start, new = state.size_bytes, bytearray()
    for block in blocks:
        end = start + len(new)
        if block.offset > end:
            break
        _check_same(connection, state, block)
        overlap = max(0, block.offset - start)
        if bytes(new[overlap : block.end - start]) != block.data[max(0, start - block.offset) : end - block.offset]:
            raise _DifferentError(_difference(block))
        new += block.data[end - block.offset :]
    return bytes(new)


def _check_same(connection: Connection, state: TailState, block: Block) -> None:
    """Compare a block with what is kept of the same place; what is sealed and gone counts as the same."""
    first, stop = max(block.offset, state.first_offset), min(block.end, state.size_bytes)
    if first < stop:
        kept = read(connection, state.tail_id, first, stop - first)
        if kept != block.data[first - block.offset : stop - block.offset]:
            raise _DifferentError(_difference(block))


def _difference(block: Block) -> str:
    return f"the bytes sent for {block.offset} to {block.end} differ from those that are there; nothing more is taken"


def _set_sizes(connection: Connection, changes: list[dict[str, Any]]) -> None:
    if changes:
        values = {"size_bytes": bindparam("size"), "modified_ns": bindparam("modified"), "is_done": False}
        change = update(tail_journal).where(tail_journal.c.tail_id == bindparam("id"))
        connection.execute(change.values(values), changes)


def read(connection: Connection, tail_id: int, offset: int, n_bytes: int) -> bytes:
    """Return the bytes of a journal from `offset` on, at most `n_bytes`; fewer where there are no more."""
    c = tail_block.c
    before = select(func.max(c.first_offset)).where(c.tail_id == tail_id, c.first_offset <= offset).scalar_subquery()
    query = select(c.first_offset, c.data).where(
        c.tail_id == tail_id, c.first_offset >= before, c.first_offset < offset + n_bytes
    )
    parts, end = [], offset
    for first, data in connection.execute(query.order_by(c.first_offset)):
        if end - first > len(data):
            break
        parts.append(data[end - first : offset + n_bytes - first])
        end += len(parts[-1])
    return b"".join(parts)


def read_new(connection: Connection, ends: Mapping[int, int]) -> dict[int, bytes]:
    """Return what arrived of several journals behind their ends as they were known, in one statement.

    Args:
        connection: within a transaction.
        ends: by `TailState.tail_id` how long a journal was before, which is where a row begins.
    """
    if not ends:
        return {}
    c = tail_block.c
    wanted = [and_(c.tail_id == tail_id, c.first_offset >= end) for tail_id, end in ends.items()]
    query = select(c.tail_id, c.data).where(or_(*wanted)).order_by(c.tail_id, c.first_offset)
    found: dict[int, list[bytes]] = {}
    for tail_id, data in connection.execute(query):
        found.setdefault(tail_id, []).append(data)
    return {tail_id: b"".join(parts) for tail_id, parts in found.items()}


def tail_states(
    connection: Connection, done_after: int | None = None, paths: Sequence[str] | None = None
) -> list[TailState]:
    """Return every journal of the table, or only these; without those that are done up to the id `done_after`."""
    c = tail_journal.c
    columns = (c.path, c.tail_id, c.first_offset, c.resume_offset, c.size_bytes, c.modified_ns, c.is_done)
    query = select(*columns, poisoned_journal.c.reason).outerjoin(poisoned_journal, poisoned_journal.c.path == c.path)
    if done_after is not None:
        query = query.where(or_(c.is_done.is_(False), c.tail_id > done_after))
    if paths is not None:
        query = query.where(c.path.in_(paths))
    return [TailState(*row) for row in connection.execute(query)]


def sizes_of(connection: Connection, paths: Sequence[str]) -> dict[str, int]:
    """Return how many bytes of each of these journals have arrived."""
    c = tail_journal.c
    found: dict[str, int] = {}
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        query = select(c.path, c.size_bytes).where(c.path.in_(paths[start : start + _PATHS_AT_ONCE]))
        found.update((path, size_bytes) for path, size_bytes in connection.execute(query))
    return found


def hold(connection: Connection, path: str) -> TailState | None:
    """Return a journal, and keep others from changing it until the transaction ends; None where there is none."""
    return next(iter(list(_locked(connection, [path]))), None)


def drop_sealed(
    connection: Connection, state: TailState, sealed_offset: int, resume_offset: int, is_closed: bool
) -> None:
    """Delete the blocks of a held journal that are wholly sealed, but not that in which reading may begin again."""
    b, of_journal = tail_block.c, tail_block.c.tail_id == state.tail_id
    kept = select(func.max(b.first_offset)).where(of_journal, b.first_offset <= resume_offset)
    keep_from = connection.execute(kept).scalar()
    is_done = is_closed and sealed_offset == state.size_bytes
    values: dict[str, Any] = {"resume_offset": resume_offset, "is_done": is_done}
    if keep_from is not None and keep_from > state.first_offset:
        connection.execute(delete(tail_block).where(of_journal, b.first_offset < keep_from))
        values["first_offset"] = keep_from
    connection.execute(update(tail_journal).where(tail_journal.c.tail_id == state.tail_id).values(values))


def prune(connection: Connection, before_ns: int) -> None:
    """Delete what is kept of journals that are done and were last written before a time: nobody goes on with them."""
    c = tail_journal.c
    is_old = (c.is_done.is_(True), c.modified_ns < before_ns, c.first_offset < c.size_bytes)
    connection.execute(delete(tail_block).where(tail_block.c.tail_id.in_(select(c.tail_id).where(*is_old))))
    values = {"first_offset": c.size_bytes, "resume_offset": c.size_bytes}
    connection.execute(update(tail_journal).where(*is_old).values(values))


def remove(connection: Connection, paths: Sequence[str]) -> None:
    """Delete all that is there of these journals."""
    c = tail_journal.c
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        part = paths[start : start + _PATHS_AT_ONCE]
        ids = list(connection.execute(select(c.tail_id).where(c.path.in_(part))).scalars())
        connection.execute(delete(tail_block).where(tail_block.c.tail_id.in_(ids)))
        connection.execute(delete(tail_journal).where(c.tail_id.in_(ids)))
        connection.execute(delete(poisoned_journal).where(poisoned_journal.c.path.in_(part)))


# -- claims


def claim(connection: Connection, paths: Sequence[str], owner: str = OWNER, for_s: float = CLAIM_S) -> set[str]:
    """Claim these journals for a while, unless another process has; claiming again makes it longer.

    It saves work and decides nothing: a seal is taken only where the journal still ends where it began.

    Returns:
        The paths that `owner` has now.
    """
    c, now_ns = tail_journal.c, database_ns(connection)
    taken: set[str] = set()
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        # Locked in one order first: an UPDATE locks rows as it meets them.
        part = [state.path for state in _locked(connection, sorted(paths[start : start + _PATHS_AT_ONCE]))]
        is_free = or_(c.owner == "", c.owner == owner, c.claimed_until_ns <= now_ns)
        change = update(tail_journal).where(c.path.in_(part), is_free)
        values = {"owner": owner, "claimed_until_ns": now_ns + int(for_s * 1e9)}
        taken.update(connection.execute(change.values(values).returning(c.path)).scalars())
    return taken


def release(connection: Connection, owner: str = OWNER) -> None:
    """Let go of everything that `owner` claimed."""
    values = {"owner": "", "claimed_until_ns": 0}
    connection.execute(update(tail_journal).where(tail_journal.c.owner == owner).values(values))


def claims(connection: Connection) -> Mapping[str, int]:
    """Return how many journals each process has claimed now."""
    c = tail_journal.c
    query = select(c.owner, func.count()).where(c.owner != "", c.claimed_until_ns > database_ns(connection))
    return {str(owner): int(n_journals) for owner, n_journals in connection.execute(query.group_by(c.owner))}
