"""Post what is new of journals, a request while the server still works on the one before, and take its acks.

An ack says how much of a journal the server keeps. It is believed only as far as it can be true: it is of a journal
that was asked about, and counts no further than the local file goes. Where the server's bytes are not those of the
file, the whole file is sent once more behind them, which readers of a journal are made for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from zlib import crc32

from .followed_run import COMPARED_BYTES, FollowedJournal
from .transport import (
    AwayError,
    Prepared,
    RefusedRequestError,
    ServerFaultError,
    SyncError,
    TooLargeError,
    Transport,
)
from .wire import (
    MAX_BLOCK_DATA_BYTES,
    MAX_NAMES,
    MAX_REQUEST_BYTES,
    BlocksReply,
    BlocksRequest,
    JournalAck,
    JournalName,
    JournalPart,
    Order,
)

_LEAST_BYTES = 128 << 10  # holds any block, with what is around it
_FIRST_BYTES = 512 << 10
_MOST_BYTES = 4 << 20
_PART_OVERHEAD_BYTES = 400
# The checksum of a block's last record is that of all before it: where files are as long, their ends tell them apart.
_LAST_BYTES = 256
_QUICK_S, _SLOW_S = 1.0, 5.0
_MOST_MOVES = 5
_MOST_REFUSALS = 3
_FAULTS_BEFORE_SPLIT = 3
_WAIT_S, _MOST_WAIT_S = 5.0, 600.0
_MOST_SIZE = 1 << 62


class BlockPosts:
    """Sends the bytes of journals. Not thread-safe.

    Args:
        transport: talks to the server.
        apply_orders: called with the orders of each reply.
    """

    def __init__(self, transport: Transport, apply_orders: Callable[[list[Order]], None]) -> None:
        self.has_more = False
        self._transport = transport
        self._apply_orders = apply_orders
        self._bytes = _FIRST_BYTES
        self._most_bytes = _MOST_BYTES
        self._n_faults = 0
        self._journals: dict[JournalName, FollowedJournal] = {}

    def set_max_bytes(self, max_request_bytes: int) -> None:
        """Send no larger requests than a server takes."""
        allowed = min(max(max_request_bytes, _LEAST_BYTES), MAX_REQUEST_BYTES)
        self._most_bytes = min(_MOST_BYTES, max(_LEAST_BYTES, allowed - (allowed >> 4)))
        self._bytes = min(self._bytes, self._most_bytes)

    def send(self, journals: list[FollowedJournal], now_s: float, n_requests: int = 8) -> int:
        """Send what is new of these journals, in a few requests; return how many bytes were acknowledged.

        Raises:
            SyncError: none of it can be sent now.
        """
        n_bytes = 0
        self._journals = {journal.name: journal for journal in journals}
        prepared = self._prepare(journals, now_s)
        try:
            for _ in range(n_requests):
                if prepared is None:
                    break
                parts, result = prepared[0], self._transport.start(prepared[1])
                prepared = self._prepare(journals, now_s)  # while the server works on that one
                n_acked, is_smooth = self._finish(parts, result, now_s)
                n_bytes += n_acked
                if not is_smooth:
                    self.rewind(journals)
                    prepared = self._prepare(journals, now_s)
        finally:
            self.rewind(journals)
        self.has_more = any(_is_sendable(journal, now_s) for journal in journals)
        return n_bytes

    def ask_for_orders(self, request: BlocksRequest) -> None:
        """Ask what running journals are asked to do."""
        self._apply_orders(self._transport.call("blocks", request, BlocksReply).orders)

    @staticmethod
    def learn(journals: Sequence[FollowedJournal], acks: Sequence[JournalAck], now_s: float) -> None:
        """Take what a server says it keeps of journals that were asked about.

        Raises:
            AwayError: the answer is not one to that question.
        """
        known = {journal.name: journal for journal in journals}
        for ack in _checked(acks, known.keys()):
            journal = known[ack.journal]
            if ack.trouble:
                _take_trouble(journal, ack, now_s)
            else:
                _begin_from(journal, ack.size_bytes)

    @staticmethod
    def rewind(journals: Iterable[FollowedJournal]) -> None:
        """Forget what was on its way: only what was acknowledged counts."""
        for journal in journals:
            journal.sent = max(journal.acked, 0)

    # One request

    def _prepare(
        self, journals: Sequence[FollowedJournal], now_s: float
    ) -> tuple[list[JournalPart], Prepared[BlocksReply]] | None:
        parts = self._next_parts(journals, now_s)
        if not parts:
            return None
        return parts, self._transport.prepare("blocks", BlocksRequest(parts), BlocksReply)

    def _next_parts(self, journals: Sequence[FollowedJournal], now_s: float) -> list[JournalPart]:
        """Return parts for one request: of each journal that has something new in turn, those with least first."""
        room, parts = self._bytes, list[JournalPart]()
        waiting = [journal for journal in journals if _is_sendable(journal, now_s)]
        waiting.sort(key=lambda journal: journal.follow.end - journal.sent)
        names = waiting[:MAX_NAMES]
        while names and room > 0:
            for journal in names:
                if journal.left_to_send > room and parts and room < _LEAST_BYTES:
                    room = 0  # too little for a whole block
                if room <= 0:
                    break
                part = _next_part(journal, min(room, MAX_BLOCK_DATA_BYTES), now_s)
                if part is not None:
                    parts.append(part)
                    room -= len(part.data) + _PART_OVERHEAD_BYTES
            names = [journal for journal in names if _is_sendable(journal, now_s)]
        return parts

    def _finish(self, parts: list[JournalPart], result: Callable[[], BlocksReply], now_s: float) -> tuple[int, bool]:
        """Wait for a reply and take it; return how many bytes are new there, and whether all went as it should."""
        try:
            reply = result()
        except TooLargeError as error:
            if self._bytes > _LEAST_BYTES:
                self._most_bytes = self._bytes = max(_LEAST_BYTES, self._bytes // 2)
                return 0, False
            return self._split(parts, error, now_s), False
        except RefusedRequestError as error:
            return self._split(parts, error, now_s), False
        except ServerFaultError as error:
            self._n_faults += 1
            if self._n_faults < _FAULTS_BEFORE_SPLIT:
                raise
            return self._split(parts, error, now_s), False
        except AwayError:
            self._bytes = max(_LEAST_BYTES, self._bytes // 2)
            raise
        self._n_faults = 0
        self._adapt()
        return self._take(parts, reply, now_s)

    def _adapt(self) -> None:
        """Send more at once where that is quick, less where it is slow."""
        if self._transport.last_s < _QUICK_S:
            self._bytes = min(self._most_bytes, 2 * self._bytes)
        elif self._transport.last_s > _SLOW_S:
            self._bytes = max(_LEAST_BYTES, self._bytes // 2)

    def _split(self, parts: list[JournalPart], error: SyncError, now_s: float) -> int:
        """Send a refused request in pieces, so that only those journals are left alone that are at fault.

        Raises:
            ServerFaultError: the server breaks off whatever it is sent.
        """
        n_bytes, faults, n_taken = 0, list[tuple[JournalName, SyncError]](), 0
        waiting = [(parts, error)]
        while waiting:
            refused, error = waiting.pop()
            names = list(dict.fromkeys(part.journal for part in refused))
            if len(names) == 1:
                faults.append((names[0], error))
                continue
            for half in (names[: len(names) // 2], names[len(names) // 2 :]):
                own = [part for part in refused if part.journal in half]
                try:
                    reply = self._transport.call("blocks", BlocksRequest(own), BlocksReply)
                except (TooLargeError, RefusedRequestError, ServerFaultError) as again:
                    waiting.append((own, again))
                else:
                    n_taken += 1
                    n_bytes += self._take(own, reply, now_s)[0]
        if not n_taken and isinstance(error, ServerFaultError):
            self._n_faults = 0
            raise error
        for name, fault in faults:
            self._leave_alone(self._journals[name], fault, now_s)
        return n_bytes

    @staticmethod
    def _leave_alone(journal: FollowedJournal, error: SyncError, now_s: float) -> None:
        _wait(journal, now_s)
        if journal.n_failures >= _MOST_REFUSALS and not isinstance(error, ServerFaultError):
            journal.parked = f"refused: {error}"

    # Acks

    def _take(self, parts: Sequence[JournalPart], reply: BlocksReply, now_s: float) -> tuple[int, bool]:
        by_name = {part.journal: self._journals[part.journal] for part in parts}
        n_bytes, is_smooth = 0, True
        for ack in _checked(reply.acks, by_name.keys()):
            journal = by_name[ack.journal]
            before = journal.acked
            if ack.trouble:
                is_smooth = False
                _take_trouble(journal, ack, now_s)
            elif not _take_size(journal, ack.size_bytes):
                is_smooth = False
                _wait(journal, now_s)
            n_bytes += max(0, journal.acked - max(before, 0))
        if reply.orders:
            self._apply_orders(reply.orders)
        return n_bytes, is_smooth


def _is_sendable(journal: FollowedJournal, now_s: float) -> bool:
    return journal.acked >= 0 and not journal.parked and journal.left_to_send > 0 and journal.retry_at <= now_s


def _next_part(journal: FollowedJournal, max_bytes: int, now_s: float) -> JournalPart | None:
    start = journal.sent
    try:
        data = journal.follow.read(start, max_bytes)
    except OSError:
        data = b""
    if not data:
        _wait(journal, now_s)  # it was removed or cut back since it was looked at
        return None
    journal.sent = start + len(data)
    return JournalPart(journal.name, journal.base + start, journal.age_s(now_s), crc32(data), data)


def _wait(journal: FollowedJournal, now_s: float) -> None:
    """Leave a journal alone for a while, longer each time."""
    journal.retry_at = now_s + min(_MOST_WAIT_S, _WAIT_S * 2.0 ** min(journal.n_failures, 10))
    journal.n_failures += 1


def _checked(acks: Sequence[JournalAck], asked: Collection[JournalName]) -> Sequence[JournalAck]:
    """Return acks that can be an answer: one for each journal of the question, with a size that a file can have."""
    names = [ack.journal for ack in acks]
    if len(names) != len(set(names)) or set(names) != set(asked):
        raise AwayError("the server's acknowledgement is not for what was sent")
    if any(not 0 <= ack.size_bytes < _MOST_SIZE for ack in acks):
        raise AwayError("the server acknowledges a size that no journal has")
    return acks


def _begin_from(journal: FollowedJournal, size_bytes: int) -> None:
    """Begin where the server's copy ends, and have its last bytes compared with the file's where there are more."""
    cached, end = journal.cached, journal.follow.end
    if cached is not None and (cached.identity != journal.follow.identity or cached.acked > end):
        cached = journal.cached = None
    journal.base = cached.base if cached else 0
    there = size_bytes - journal.base
    if there < 0:  # it lost what was there before our bytes
        _move(journal, size_bytes)
        return
    is_known = cached is not None and (there == end == cached.acked or there < cached.acked)
    compared_bytes = _LAST_BYTES if there == end else COMPARED_BYTES
    journal.acked = there if is_known else max(0, min(there, end) - compared_bytes)
    journal.sent = journal.acked


def _take_size(journal: FollowedJournal, size_bytes: int) -> bool:
    """Take what the server says it keeps; say whether that is a step forward."""
    there, before = size_bytes - journal.base, journal.acked
    if there < 0:
        journal.acked = -1  # it is not what it was: ask anew
        return False
    journal.acked = min(there, journal.follow.end)
    journal.has_lost |= journal.acked < before
    if journal.acked <= before:
        return False
    journal.n_failures = 0
    return True


def _take_trouble(journal: FollowedJournal, ack: JournalAck, now_s: float) -> None:
    reason = "".join(c if c.isprintable() else " " for c in ack.reason)[:300]
    if ack.trouble == "differs":
        _move(journal, ack.size_bytes)
    elif ack.trouble == "gap":
        there = ack.size_bytes - journal.base
        journal.has_lost |= there < journal.acked
        journal.acked = there if 0 <= there < journal.acked else -1
        if journal.acked < 0:
            _wait(journal, now_s)
    elif ack.trouble == "damaged":
        _wait(journal, now_s)
    elif ack.trouble == "deleted":
        journal.parked = f"deleted there: {reason}" if reason else "deleted there"
    else:
        _wait(journal, now_s)
        journal.parked = f"refused: {reason or ack.trouble[:50]}"


def _move(journal: FollowedJournal, size_bytes: int) -> None:
    """Send the whole file once more, behind what the server has."""
    journal.base, journal.acked, journal.sent, journal.cached = size_bytes, 0, 0, None
    journal.n_moved += 1
    if journal.n_moved > _MOST_MOVES:
        journal.parked = "refused: the server's bytes are not those of the file, however often it is sent"
