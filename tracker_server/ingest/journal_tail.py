"""Follow one journal: what is in memory because the index does not hold it yet, and the sum of all of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec

from tracker_core.errors import TrackerError
from tracker_core.journal_reader import Damage, JournalBatch, JournalReader, RowGroup
from tracker_core.records import Console, File, Record, RowMap

from ..store.store_read import SealedJournal
from ..store.store_write import Seal, encode_rows
from .console_chunks import ConsoleTail, check_lines
from .fold import DamageNote, JournalFold, decode_fold, encode_fold
from .journal_source import JournalPath, JournalSource
from .kept_files import KeptFile, kept_file
from .row_blocks import RowBlock, TailRows, block_of_group, blocks_of_maps

READ_BYTES = 2 << 20

_ALL_KINDS = frozenset("points system console environment files state config summary".split())

# What malformed content with right checksums can raise. One such journal must not stop the others.
CONTENT_ERRORS = (ValueError, TypeError, OverflowError, LookupError, struct.error, msgspec.MsgspecError)


class NotKeptError(TrackerError):
    """A journal is asked for from its beginning, of which only the index still has the rows."""


class JournalTail:
    """One journal as seen now. Not thread-safe.

    Args:
        found: which journal.
        sealed: what the index holds of it.
        source: where its bytes are.
        find_sealed: asks the index again what it holds of the journal of a name.

    Attributes:
        fold: what all records read so far add up to.
        rows, console, files: the rows, lines of output and files (with their sequence numbers) from `base_sequence` on.
        base_sequence, base_offset: where the part begins that this object holds in memory.
        failure: why the journal cannot be read, or None.
        trouble: why the source takes nothing more of it, or None.
        poison: why what was read of it cannot be sealed, or None.
        modified_s: when something was last appended to it.
        size: its size in bytes when it was last looked at.
        untold_kinds: kinds of change found while the journal was begun again, of which `read` told nobody.
        is_outdated_in_index: whether the index must drop what it has of this journal before it takes more.
    """

    def __init__(
        self,
        found: JournalPath,
        sealed: SealedJournal | None,
        source: JournalSource,
        find_sealed: Callable[[str], SealedJournal | None],
    ) -> None:
        self.found = found
        self._source = source
        self._find_sealed = find_sealed
        self.failure: str | None = None
        self.trouble: str | None = None
        self.poison: str | None = None
        self.modified_s = 0.0
        self.size = -1
        self.is_outdated_in_index = False
        self.untold_kinds: set[str] = set()
        self.begin(sealed)

    def begin(self, sealed: SealedJournal | None, resume_offset: int | None = None) -> None:
        """Start over behind what the index holds, or at the block in which that ends."""
        self.base_sequence = sealed.next_sequence if sealed else 0
        self.base_offset = sealed.sealed_offset if sealed else 0
        self._base_fold = sealed.fold if sealed else None
        self.fold = decode_fold(sealed.fold) if sealed else JournalFold()
        self.rows = TailRows()
        self.console = ConsoleTail()
        self.files: list[tuple[int, KeptFile]] = []
        # Those that the fold needs again, to be built up to the end of a sealed part.
        self._records: list[tuple[int, Record]] = []
        self._unknown: list[tuple[int, int]] = []
        self._damage: list[Damage] = []
        self._odd: list[tuple[int, Damage]] = []
        start = self.base_offset if resume_offset is None else resume_offset
        self._reader = JournalReader(self.found.path, start, self.base_sequence, self._source.open)
        self.is_closed = bool(sealed and sealed.is_closed)
        self._is_sealed_whole = self.is_closed and resume_offset is None
        self.size = self.base_offset if self._is_sealed_whole else -1

    @property
    def next_sequence(self) -> int:
        """The sequence number behind the last record read."""
        return self._reader.next_sequence

    @property
    def n_tail_bytes(self) -> int:
        """How much of the journal is held in memory."""
        return max(0, self._reader.offset - self.base_offset)

    @property
    def n_sealable_bytes(self) -> int:
        """How much of that is final and can be sealed."""
        end = self._reader.offset if self.is_closed else self._reader.block_offset
        return max(0, end - self.base_offset)

    def look(self) -> bool:
        """Say whether the journal has something new. One that became shorter is begun anew."""
        try:
            state = self._source.state(self.found)
        except OSError as error:
            self.failure = f"cannot be read: {error.strerror or error}"
            return False
        self.modified_s = state.modified_s
        if state.trouble != self.trouble:
            self.trouble = state.trouble
            self.untold_kinds.add("state")
        if state.size_bytes == self.size:
            return False
        is_beyond_end = self._is_sealed_whole and state.size_bytes > self.base_offset
        is_other = is_beyond_end or state.size_bytes < self._reader.offset
        if state.resume_offset is None:
            if is_other:
                # Cut short, or written on behind its closing record: what the index holds of it counts no more.
                self.begin(None)
                self.is_outdated_in_index = True
        elif is_other or state.first_offset > self._reader.offset:
            # Another process sealed what is not read yet, or it was written on: the index holds what is gone here.
            sealed = self._find_sealed(self.found.name)
            self.begin(sealed, state.resume_offset if sealed and sealed.is_closed else None)
            self.untold_kinds |= _ALL_KINDS
        self.size = state.size_bytes
        return True

    def has_unread(self) -> bool:
        """Say whether the journal has grown since it was read."""
        try:
            return self._source.state(self.found).size_bytes > self._reader.offset + self._reader.n_tail_bytes
        except OSError:
            return False

    def begin_whole(self) -> None:
        """Start over at the very beginning, as if there were no index.

        Raises:
            NotKeptError: what the index holds of the journal is kept nowhere else.
        """
        try:
            is_kept = self._source.state(self.found).first_offset == 0
        except OSError:
            is_kept = True  # reading will tell
        if not is_kept:
            raise NotKeptError(f"journal {self.found.name}: what is sealed of it can be read from the index only")
        self.begin(None)

    def read(self) -> tuple[int, set[str]]:
        """Take in about `READ_BYTES` more. Returns how many bytes that were and which kinds of change they hold."""
        try:
            batch = self._reader.read(READ_BYTES)
        except OSError as error:
            self.failure = f"cannot be read: {error.strerror or error}"
            self.size = -1  # so that the next look tries again
            return 0, set()
        except CONTENT_ERRORS as error:
            self.failure = f"cannot be understood: {error}"
            return 0, set()
        self.failure = None
        kinds = self._take(batch)
        if self._reader.is_closed != self.is_closed and batch.n_bytes:
            self.is_closed = self._reader.is_closed
            kinds.add("state")
        return batch.n_bytes, kinds

    def _take(self, batch: JournalBatch) -> set[str]:
        kinds: set[str] = set()
        blocks: list[RowBlock] = []
        maps: list[tuple[int, RowMap]] = []
        for sequence, record in batch.records:
            if isinstance(record, RowMap):
                maps.append((sequence, record))
                continue
            kinds.add(self._guarded(sequence, partial(self._take_record, sequence, record)) or "")
        for group in batch.row_groups:
            first = group.sequences[0] if group.sequences else 0
            self._guarded(first, partial(_take_group, blocks, group))
        blocks.extend(self._blocks_of_maps(maps, kinds))
        for block in blocks:
            if len(block):
                kinds.add("system" if block.is_system else "points")
                self.fold.add_rows(block)
                self.rows.add(block)
        for damage in batch.damage:
            self._note(damage)
            kinds.add("state")
        if batch.n_unknown:
            self.fold.n_unknown += batch.n_unknown
            self._unknown.append((self._reader.next_sequence, batch.n_unknown))
            kinds.add("state")
        self.console.pack(self._reader.block_first_sequence)
        return kinds - {""}

    def _take_record(self, sequence: int, record: Record) -> str | None:
        if isinstance(record, Console):
            check_lines(record)
        kept = kept_file(record) if isinstance(record, File) else None
        kind = self.fold.add_record(record)
        if isinstance(record, Console):
            self.console.add(sequence, record.lines)
            record = Console(wall_time_ns=record.wall_time_ns, n_left_out=record.n_left_out)
        if kept is not None:
            self.files.append((sequence, kept))
        self._records.append((sequence, record))
        return kind

    def _blocks_of_maps(self, maps: list[tuple[int, RowMap]], kinds: set[str]) -> list[RowBlock]:
        try:
            return blocks_of_maps(maps)
        except CONTENT_ERRORS:
            # Some row makes no sense: one by one, to keep the others.
            found: list[RowBlock] = []
            for item in maps:
                kinds.add(self._guarded(item[0], partial(_take_map, found, item)) or "")
            return found

    def _guarded(self, sequence: int, take: Callable[[], str | None]) -> str | None:
        try:
            return take()
        except CONTENT_ERRORS as error:
            odd = Damage(self._reader.offset, 0, None, f"record {sequence} cannot be understood: {error}")
            self._odd.append((sequence, odd))
            self.fold.add_damage(odd)
            return "state"

    def _note(self, damage: Damage) -> None:
        self._damage.append(damage)
        self.fold.add_damage(damage)

    def damage_notes(self) -> list[DamageNote]:
        """Return the damage found, and the failure to read or take the journal at all as one more note."""
        failures = dict.fromkeys(reason for reason in (self.failure, self.trouble, self.poison) if reason is not None)
        return [*self.fold.damage, *(DamageNote(self._reader.offset, 0, None, reason) for reason in failures)]

    def seal(self) -> Seal | None:
        """Return all that is final and not yet in the index, encoded, or None where there is nothing."""
        if not self.n_sealable_bytes:
            return None
        reader = self._reader
        is_whole = self.is_closed
        offset = reader.offset if is_whole else reader.block_offset
        stop = reader.next_sequence if is_whole else reader.block_first_sequence
        blocks = [part for part in (block.between(0, stop) for block in self.rows.blocks()) if len(part)]
        fold = encode_fold(self.fold) if is_whole else self._fold_until(stop, offset, blocks)
        console = self.console.seal(stop)
        files = [(sequence, file) for sequence, file in self.files if sequence < stop]
        chunks, cells = encode_rows(blocks, is_whole, self.base_sequence == 0)
        name, resume_offset = self.found.name, reader.block_offset
        return Seal(
            name, self.base_sequence, offset, stop, is_whole, fold, chunks, console, files, resume_offset, cells
        )

    def _fold_until(self, stop: int, offset: int, blocks: list[RowBlock]) -> bytes:
        fold = decode_fold(self._base_fold) if self._base_fold else JournalFold()
        for sequence, record in self._records:
            if sequence < stop:
                fold.add_record(record)
        for block in blocks:
            fold.add_rows(block)
        for damage in self._damage:
            if damage.offset < offset:
                fold.add_damage(damage)
        for sequence, odd in self._odd:
            if sequence < stop:
                fold.add_damage(odd)
        fold.n_unknown += sum(n for end, n in self._unknown if end <= stop)
        return encode_fold(fold)

    def drop_sealed(self, seal: Seal) -> None:
        """Let go of what `seal`, now in the index, covers."""
        self.base_sequence, self.base_offset = seal.next_sequence, seal.sealed_offset
        self._is_sealed_whole = seal.is_closed
        self.is_outdated_in_index = False
        self.poison = None
        self._base_fold = seal.fold
        self._records = [item for item in self._records if item[0] >= seal.next_sequence]
        self._damage = [damage for damage in self._damage if damage.offset >= seal.sealed_offset]
        self._odd = [item for item in self._odd if item[0] >= seal.next_sequence]
        self._unknown = [item for item in self._unknown if item[0] > seal.next_sequence]
        self.console.drop(seal.next_sequence)
        self.files = [item for item in self.files if item[0] >= seal.next_sequence]
        kept = TailRows()
        for block in self.rows.blocks():
            rest = block.between(seal.next_sequence, 1 << 62)
            if len(rest):
                # As part of the whole it would keep all of it in memory.
                kept.add(replace(rest, sequences=rest.sequences.copy(), data=rest.data.copy()))
        self.rows = kept


def _take_group(blocks: list[RowBlock], group: RowGroup) -> None:
    blocks.append(block_of_group(group))


def _take_map(blocks: list[RowBlock], item: tuple[int, RowMap]) -> None:
    blocks.extend(blocks_of_maps([item]))
