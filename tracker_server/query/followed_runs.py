"""The runs of a tracker folder: those that may still change with their journals in memory, the settled by name only.

A run is settled when it has ended, has been quiet for a while, and the index has all of it. Such runs, however many,
are listed and searched in the index; the journals of one are looked at again when its page or chart is asked for.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping

from ..ingest.folder_naming import project_of
from ..ingest.journal_source import JournalPath
from ..ingest.journal_tail import JournalTail
from ..ingest.visible_journals import VisibleJournals
from .folder_index import SEAL_BATCH_BYTES, FolderIndex
from .followed_run import FolderLoad, FollowedRun, RunKey

_WORTHWHILE_BYTES = 256
# Of all journals together that are being written.
_HELD_BYTES = 32 << 20
_MAX_OPENED = 512
# How many runs are settled at once: each write holds the index's lock.
_SETTLE_BATCH = 50
_SETTLE_S = 0.5

Kinds = dict[RunKey, set[str]]
Journals = tuple[tuple[str, int], ...]


class FollowedRuns:
    """Follows the journals of one folder. Not thread-safe.

    Args:
        source: finds the journals.
        index: the folder's.
        seal_bytes: how much of a journal that is being written may be held in memory before it is sealed.
        heartbeat_timeout_s: silence after which a run counts as crashed.
        settle_after_s: silence after which a run that ended is settled.

    Attributes:
        live: the runs that are not settled.
    """

    def __init__(
        self,
        source: VisibleJournals,
        index: FolderIndex,
        seal_bytes: int,
        heartbeat_timeout_s: float,
        settle_after_s: float,
    ) -> None:
        self._source = source
        self.live: dict[RunKey, FollowedRun] = {}
        self._index = index
        self._seal_bytes = seal_bytes
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._settle_after_s = settle_after_s
        self._tails: dict[str, JournalTail] = {}
        self._key_of: dict[str, RunKey] = {}
        self._settled: dict[RunKey, Journals] = {}
        self._settled_key_of: dict[str, RunKey] = {}
        self._settled_in: dict[str, RunKey] = {}  # by the folder of the run
        self._gone: set[RunKey] = set()  # the index may still have them
        self._told: set[RunKey] = set()  # were settled, and are not new when they are live again
        self._opened: OrderedDict[RunKey, FollowedRun] = OrderedDict()
        self._build: str | None = None
        self._is_first = True
        self._grown: set[str] = set()

    # -- asking

    def __contains__(self, key: RunKey) -> bool:
        return key in self.live or key in self._settled

    def __iter__(self) -> Iterator[RunKey]:
        """Yield project and id of every run."""
        return iter([*self.live, *self._settled])

    def is_settled(self, key: RunKey) -> bool:
        """Say whether the index alone holds a run: one of its rows may also be of a run that was deleted meanwhile."""
        return key in self._settled and key not in self.live

    def not_in_index(self) -> set[RunKey]:
        """Return the runs of which what the index has does not count: the live ones, and such as are gone."""
        return {*self.live, *self._gone}

    def known(self, key: RunKey) -> FollowedRun | None:
        """Return one run with its journals, or None where there is none."""
        run = self.live.get(key)
        return self._open(key) if run is None and key in self._settled else run

    def load(self) -> FolderLoad:
        """Return how much is followed now."""
        tails = self._tails.values()
        return FolderLoad(
            len(tails),
            sum(tail.fold.n_rows for tail in tails),
            sum(tail.n_tail_bytes for tail in tails),
            tuple(run.state for run in self.live.values()),
            len(self._settled),
        )

    # -- following

    def note_grown(self, names: Iterable[str]) -> None:
        """Have the next `refresh` look at these journals, also those that nothing more was expected of."""
        self._grown.update(names)

    def refresh(self) -> Kinds:
        """Take in what was appended since the last call. Returns the kinds of change by run."""
        kinds: Kinds = {}
        self._source.look_again(self._grown)
        found = self._source.scan()
        self._forget_gone(found, kinds)
        self._read_settled(found)
        self._begin_new(found)
        grown, self._grown = self._grown & found.keys(), set()
        if self._source.was_full and not self._is_first:
            self._look_at_settled(found, self._settled)
        elif grown:
            self._look_at_settled(found, {self._settled_key_of[n] for n in grown if n in self._settled_key_of})
        self._follow_all(kinds, grown)
        for key, run in self.live.items():
            if run.watch():
                kinds.setdefault(key, set()).add("state")
        self._settle()
        self._is_first = False
        return kinds

    def seal_all(self) -> None:
        """Seal all that is final."""
        self._index.write([tail for tail in self._tails.values() if tail.n_sealable_bytes])

    def _read_settled(self, found: Mapping[str, JournalPath]) -> None:
        """Learn which runs are settled, at first and whenever the index was built anew."""
        build = self._index.build()
        if build == self._build and (build or not self._settled):
            return
        self._opened.clear()
        self._drop_settled(list(self._settled))
        self._build = build
        if not build:
            return
        there: dict[str, set[str]] = defaultdict(set)
        for name in found:
            there[_run_dir(name)].add(name)
        for key, journals in self._index.settled().items():
            names = {name for name, _ in journals}
            is_whole = bool(names) and names == set().union(*(there[_run_dir(name)] for name in names))
            if not any(name in found for name in names):  # removed or deleted while nobody looked
                self._gone.add(key)
                self._index.remove((), [key])
            if is_whole and key not in self.live and all(self._has_size(found[name], size) for name, size in journals):
                self._add_settled(key, journals)

    def _add_settled(self, key: RunKey, journals: Journals) -> None:
        self._settled[key] = journals
        for name, _ in journals:
            self._settled_key_of[name] = self._settled_in[_run_dir(name)] = key

    def _drop_settled(self, keys: Iterable[RunKey]) -> None:
        """Forget that these are settled: what is there of their journals is found anew."""
        for key in keys:
            for name, _ in self._settled.pop(key):
                del self._settled_key_of[name]
                self._settled_in.pop(_run_dir(name), None)
            self._opened.pop(key, None)
            self._told.add(key)

    def _look_at_settled(self, found: Mapping[str, JournalPath], keys: Iterable[RunKey]) -> None:
        """Notice settled runs of which a journal grew, or whose rows another process dropped from the index."""
        stored = self._index.settled() if keys else {}
        changed = [
            key
            for key in keys
            if key not in stored or not all(self._has_size(found[name], size) for name, size in self._settled[key])
        ]
        self._drop_settled(changed)
        self._index.remove((), changed)
        if changed:
            self._begin_new(found)

    def _forget_gone(self, found: Mapping[str, JournalPath], kinds: Kinds) -> None:
        gone = self._settled_key_of.keys() - found.keys()
        keys = {self._settled_key_of[name] for name in gone}
        for key in keys:
            is_gone = not any(name in found for name, _ in self._settled[key])
            kinds.setdefault(key, set()).add("removed" if is_gone else "state")
        self._drop_settled(keys)
        removed = {key for key in keys if "removed" in kinds[key]}
        self._told -= removed
        self._gone |= removed
        self._index.remove(gone - self._source.hidden, keys)
        for name in self._tails.keys() - found.keys():
            self._forget(name, kinds)

    def _forget(self, name: str, kinds: Kinds) -> None:
        del self._tails[name]
        key = self._key_of.pop(name, None)
        run = self.live.get(key) if key else None
        self._index.remove({name} - self._source.hidden, [key] if key else [])
        if key is None or run is None:
            return
        run.tails.pop(name, None)
        run.touch()
        kinds.setdefault(key, set()).add("state" if run.tails else "removed")
        if not run.tails:
            del self.live[key]

    def _begin_new(self, found: Mapping[str, JournalPath]) -> None:
        new = found.keys() - self._tails.keys() - self._settled_key_of.keys()
        # A journal that joins a settled run makes all of that run live again.
        resumed = {self._settled_in[folder] for folder in map(_run_dir, new) if folder in self._settled_in}
        if resumed:
            self._drop_settled(resumed)
            self._index.remove((), resumed)
            new = found.keys() - self._tails.keys() - self._settled_key_of.keys()
        self._tails.update((tail.found.name, tail) for tail in self._index.begin([found[name] for name in sorted(new)]))
        if self._is_first:
            self._index.remove_others(found.keys() | self._source.hidden)

    def _follow_all(self, kinds: Kinds, grown: Container[str]) -> None:
        """Take in every journal, such that those read so far never hold much that could be sealed."""
        due: list[JournalTail] = []
        held: list[JournalTail] = []
        n_due_bytes = n_held_bytes = 0
        for tail in list(self._tails.values()):
            self._follow(tail, kinds, due, tail.found.name in grown)
            if due and due[-1] is tail:
                n_due_bytes += tail.n_sealable_bytes
            elif tail.n_sealable_bytes:
                held.append(tail)
                n_held_bytes += tail.n_sealable_bytes
            if n_held_bytes >= _HELD_BYTES:
                # Too little of each to be worth a chunk, but too much together.
                due, held, n_held_bytes = due + held, [], 0
                n_due_bytes = SEAL_BATCH_BYTES
            if n_due_bytes >= SEAL_BATCH_BYTES:
                self._index.write(due)
                due, n_due_bytes = [], 0
        self._index.write(due)

    def _follow(self, tail: JournalTail, kinds: Kinds, due: list[JournalTail], has_grown: bool) -> None:
        name = tail.found.name
        is_known = name in self._key_of
        is_at_rest = is_known and tail.is_closed and not (tail.failure or tail.n_tail_bytes or tail.untold_kinds)
        silence_s = time.time() - tail.modified_s
        # A closed journal is looked at rarely, not never: something may still be written behind its closing record.
        if is_at_rest and not (has_grown or self._source.was_full) and silence_s > self._heartbeat_timeout_s:
            return
        failure = tail.failure
        found = self._read(tail)
        if tail.failure != failure:
            found.add("state")
        if found or not is_known:
            self._place(tail, found, kinds)
        is_idle = tail.is_closed or time.time() - tail.modified_s > self._heartbeat_timeout_s
        # Rows of very many metrics wait until there are some, lest every chunk hold one value.
        enough = max(self._seal_bytes, min(_WORTHWHILE_BYTES * tail.rows.n_columns, SEAL_BATCH_BYTES))
        if tail.n_sealable_bytes >= (1 if is_idle else enough):
            due.append(tail)

    def _read(self, tail: JournalTail) -> set[str]:
        found, tail.untold_kinds = tail.untold_kinds, set()
        if tail.look():
            n_bytes = 1
            while n_bytes:
                n_bytes, more = tail.read()
                found |= more
                if tail.n_sealable_bytes >= SEAL_BATCH_BYTES:
                    self._index.write([tail])
        return found

    def _place(self, tail: JournalTail, found: set[str], kinds: Kinds) -> None:
        """Put a journal under its run, which is known for certain once its first record has been read."""
        name = tail.found.name
        key = (project_of(tail), tail.found.run_id)
        before = self._key_of.get(name)
        if before is not None and before != key:
            del self.live[before].tails[name]
            if not self.live[before].tails:
                del self.live[before]
        self._key_of[name] = key
        run = self.live.setdefault(key, FollowedRun(key, self._heartbeat_timeout_s))
        if not run.tails and key not in self._told:
            found = found | {"new"}
        self._told.discard(key)
        self._gone.discard(key)
        run.tails[name] = tail
        run.touch()
        kinds.setdefault(key, set()).update(found)

    # -- settling

    def _settle(self) -> None:
        """Move runs of which nothing more is expected to the index, for about a second at most."""
        deadline_s = time.monotonic() + _SETTLE_S
        due = [run for run in self.live.values() if run.is_settled(self._settle_after_s)]
        for start in range(0, len(due), _SETTLE_BATCH):
            batch = due[start : start + _SETTLE_BATCH]
            if time.monotonic() > deadline_s or not self._index.settle(run.row() for run in batch):
                return
            for run in batch:
                self._add_settled(run.key, tuple((tail.found.name, tail.size) for tail in run.tails.values()))
                del self.live[run.key]
                for name in run.tails:
                    del self._tails[name], self._key_of[name]
                self._keep_opened(run)

    def _open(self, key: RunKey) -> FollowedRun:
        run = self._opened.get(key)
        if run is not None:
            self._opened.move_to_end(key)
            return run
        run = FollowedRun(key, self._heartbeat_timeout_s)
        for tail in self._index.begin([self._source.path_of(name) for name, _ in self._settled[key]]):
            self._read(tail)
            run.tails[tail.found.name] = tail
        self._keep_opened(run)
        return run

    def _has_size(self, journal: JournalPath, size_bytes: int) -> bool:
        try:
            return self._source.state(journal).size_bytes == size_bytes
        except OSError:
            return False

    def _keep_opened(self, run: FollowedRun) -> None:
        self._opened[run.key] = run
        while len(self._opened) > _MAX_OPENED:
            self._opened.popitem(last=False)


def _run_dir(name: str) -> str:
    return name.rpartition("/")[0]
