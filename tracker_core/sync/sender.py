"""Send what is new of a folder's runs to a server, over and over, until it keeps all of it.

The journals on disk are the queue: nothing is held in memory but the requests on their way. Every byte is sent until
the server says that it keeps it; what it says is checked, and what anything else says is not believed. A fault of one
run stops no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from ..artifacts.open_source import open_local, open_remote
from ..control import apply_order
from ..settings import Settings
from .acked import Acked, AckedJournal
from .artifact_posts import ArtifactPosts
from .backoff import Backoff
from .block_posts import BlockPosts
from .file_posts import FilePosts
from .followed_run import FollowedJournal, FollowedRun
from .sender_status import SenderStatus, State, this_process, write_status
from .sync_folder import RunPlace, every_run, shown_address, sync_folder
from .transport import AwayError, KeyRefusedError, SyncError, Transport
from .wire import (
    MAX_NAMES,
    PROTOCOL,
    BlocksRequest,
    Hello,
    Order,
    StateReply,
    StateRequest,
)

_REFUSED_RETRY_S = 60.0
_RARE_LOOK_S = 60.0
_ORDERS_S = 5.0
_STATUS_S = 5.0
_HELLO_S = 600.0
_ROUND_S = 2.0


class Sender:
    """Sends the runs of one tracker folder to one server. Not thread-safe; `step` is one round and never sleeps.

    Args:
        folder: the tracker folder.
        base_url: the server's address.
        api_key: the key for it.
        runs: which runs to send, asked in each round. Default: all of the folder.
        first_wait_s, most_wait_s: bounds of the first wait and of all waits while the server is away.
        interval_s: the wait while all is well.
        transport: talks to the server. Default: one of the address and key.
        clock: seconds that never go back.
        is_helper: whether this is the one background sender, whose state others look for.
        settings: say where the bytes of artifacts are. Default: those of this process.
    """

    def __init__(
        self,
        folder: str,
        base_url: str,
        api_key: str | None = None,
        *,
        runs: Callable[[], Iterable[RunPlace]] | None = None,
        first_wait_s: float = 0.5,
        most_wait_s: float = 60.0,
        interval_s: float = 1.0,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        is_helper: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.folder = folder
        self.sync_folder = sync_folder(folder, base_url, api_key)
        self.status = SenderStatus(address=shown_address(base_url), since_ns=time.time_ns())
        self.hello: Hello | None = None
        self.followed: dict[RunPlace, FollowedRun] = {}
        self._active: list[FollowedRun] = []
        self._troubles: dict[str, str] = {}
        self.acked = Acked(self.sync_folder)
        self.n_sent_bytes = 0
        self._runs = runs or (lambda: every_run(folder))
        self._interval_s = interval_s
        self.transport = transport or Transport(base_url, api_key)
        self._clock = clock
        self._is_helper = is_helper
        self._backoff = Backoff(first_wait_s, most_wait_s)
        self.blocks = BlockPosts(self.transport, self._apply_orders)
        self._files = FilePosts(self.transport)
        self._artifacts = ArtifactPosts(
            lambda: open_local(folder, settings), lambda: open_remote(base_url, api_key, pauses_s=())
        )
        self._retry_at = self._orders_at = self._status_at = self._hello_at = 0.0
        self._contact_at = clock()
        self.acked.read()

    # One round

    def step(self) -> float:
        """Look, send what is new, and return after how many seconds to do so again. Never raises for the network."""
        now_s = self._clock()
        if now_s < self._retry_at:
            return self._retry_at - now_s
        self._look(now_s)
        try:
            is_more = self._talk(now_s)
        except KeyRefusedError as error:
            return self._fail("refused", error, max(error.retry_after_s or 0.0, _REFUSED_RETRY_S))
        except SyncError as error:
            return self._fail("waiting", error, self._backoff.next_s(error.retry_after_s))
        self._backoff.reset()
        self._contact_at = self._clock()
        self._tell("ok", "")
        return 0.0 if is_more else self._interval_s

    def announce(self) -> None:
        """Say that this process sends, before the server has said anything."""
        self._tell("waiting", f"{self.status.address} has not answered yet", is_tried=False)

    def survey(self) -> None:
        """Look, and ask what the server has, without sending anything.

        Raises:
            SyncError: it does not answer as it should.
        """
        self._look(self._clock())
        self._greet()
        self._learn()
        self._files.ask(self._active, self.acked)
        self.acked.write()

    def wake(self) -> None:
        """Look at everything in the next step, as if nothing were known to be quiet, and say how it went."""
        self._status_at = 0.0
        for run in self.followed.values():
            run.next_look = 0.0

    def try_now(self) -> None:
        """Do not wait any longer for a server that was away."""
        self._retry_at = 0.0

    @property
    def left_bytes(self) -> int:
        """How much is left to send, of what is intact on disk and may be sent."""
        return sum(run.left_bytes for run in self._active)

    @property
    def has_left(self) -> bool:
        """Whether anything is left to send, an empty file too."""
        return any(run.has_left for run in self._active)

    def now_s(self) -> float:
        """Return the time by the sender's clock."""
        return self._clock()

    @property
    def away_s(self) -> float:
        """For how long the server has not answered as it should."""
        return self._clock() - self._contact_at

    def is_live(self) -> bool:
        """Say whether a process may still write to a run that is sent."""
        now_s = self._clock()
        return any(run.is_live(now_s) for run in self._active)

    def close(self) -> None:
        """Let go of connections, and say that this process sends no more."""
        self.transport.close()
        self._artifacts.close()
        self.acked.write()
        if self._is_helper:
            self.status.pid, self.status.updated_ns = 0, time.time_ns()
            write_status(self.sync_folder, self.status)

    def _fail(self, state: State, error: SyncError, wait_s: float) -> float:
        self.blocks.rewind(self._journals())
        self._retry_at = self._clock() + wait_s
        self._hello_at = 0.0
        self._tell(state, str(error))
        return wait_s

    # Looking

    def _look(self, now_s: float) -> None:
        places = set(self._runs())
        for place in places - self.followed.keys():
            self.followed[place] = FollowedRun(self.folder, place, self.acked.of(place))
        for gone in self.followed.keys() - places:
            self._troubles.pop(self.followed.pop(gone).shown, None)
        self._active = [run for run in self.followed.values() if now_s >= run.next_look]
        for run in self._active:
            run.look(now_s)
            is_quiet = run.journals and not run.has_left and not run.is_live(now_s)
            run.next_look = now_s + _RARE_LOOK_S if is_quiet else 0.0

    def _journals(self) -> Iterator[FollowedJournal]:
        for run in self._active:
            yield from run.journals.values()

    # Talking

    def _talk(self, now_s: float) -> bool:
        """Say what is new; return whether there is more to send at once."""
        if now_s >= self._hello_at:
            self._greet()
            self._hello_at = now_s + _HELLO_S
        self._learn()
        until_s = self._clock() + _ROUND_S
        is_more = True
        while is_more and self._clock() < until_s:
            n_bytes = self.blocks.send(list(self._journals()), now_s)
            self.n_sent_bytes += n_bytes
            self._check_files()
            self._remember()
            n_file_bytes, has_more_files = self._files.send(self._active, self.acked)
            self.n_sent_bytes += n_file_bytes
            n_artifact_bytes, has_more_artifacts = self._artifacts.send(self._active, self.acked, now_s)
            self.n_sent_bytes += n_artifact_bytes
            self.acked.write()
            is_more = has_more_files or has_more_artifacts or self.blocks.has_more
            self._ask_for_orders()
        return is_more

    def _greet(self) -> None:
        hello = self.transport.call("hello", {}, Hello)
        if hello.protocol != PROTOCOL:
            raise AwayError(f"{self.status.address} speaks version {hello.protocol} of the protocol, not {PROTOCOL}")
        if hello.scope == "read":
            raise KeyRefusedError(f"the key for {self.status.address} may only read")
        if self.hello is not None and self.hello.server != hello.server:
            self._begin_anew()
        self.hello = hello
        self.blocks.set_max_bytes(hello.max_request_bytes)

    def _begin_anew(self) -> None:
        """Another server answers at the address: what was known of the one before says nothing of it."""
        for run in self.followed.values():
            run.forget_acks()
        self._artifacts.forget()
        self._active = list(self.followed.values())

    def _learn(self) -> None:
        """Ask how much of journals that are new here is kept already."""
        unknown = [journal for journal in self._journals() if journal.acked < 0 and not journal.parked]
        for start in range(0, len(unknown), MAX_NAMES):
            asked = unknown[start : start + MAX_NAMES]
            reply = self.transport.call("state", StateRequest([journal.name for journal in asked]), StateReply)
            self.blocks.learn(asked, reply.acks, self._clock())
        for journal in unknown:
            journal.has_lost |= journal.cached is not None and journal.acked < journal.cached.acked
        if unknown:
            self._check_files()
            self._remember()

    def _check_files(self) -> None:
        """Ask for files and artifacts anew where the server keeps less of a run than it did."""
        for run in self._active:
            if any(journal.has_lost for journal in run.journals.values()):
                self.acked.forget(run.place)
                run.acked_files.clear()
                run.asked_files.clear()
                run.artifacts.forget_acks()
                for journal in run.journals.values():
                    journal.has_lost = False

    def _remember(self) -> None:
        for run in self._active:
            for name, journal in run.journals.items():
                follow = journal.follow
                if journal.acked >= 0 and not journal.parked:
                    covered = follow.size if journal.acked >= follow.end else journal.acked
                    acked = AckedJournal(journal.acked, journal.base, follow.identity, covered)
                    self.acked.set_journal(run.place, name, acked)
        self.acked.write()

    # Orders

    def _ask_for_orders(self) -> None:
        now_s = self._clock()
        if now_s < self._orders_at:
            return
        self._orders_at = now_s + _ORDERS_S
        running = [journal.name for journal in self._journals() if not journal.parked and journal.is_live(now_s)]
        for start in range(0, len(running), MAX_NAMES):
            self.blocks.ask_for_orders(BlocksRequest([], running[start : start + MAX_NAMES]))

    def _apply_orders(self, orders: list[Order]) -> None:
        """Hand orders to the runs that are sent, and to no other."""
        sessions = {(j.name.project, j.name.run, j.name.session) for j in self._journals()}
        for order in orders:
            if any((order.project, order.run, session) in sessions for session in order.sessions):
                try:
                    apply_order(self.folder, order)
                except OSError as error:
                    self.status.error = f"the order to {order.action} {order.project}/{order.run}: {error}"

    # Status

    def _tell(self, state: State, error: str, is_tried: bool = True) -> None:
        now_s, now_ns = self._clock(), time.time_ns()
        left = {run.shown: run.left_bytes for run in self._active if run.has_left}
        for run in self._active:
            self._troubles[run.shown] = run.trouble
        troubles = {run: why for run, why in self._troubles.items() if why}
        status = self.status
        before = (status.state, status.error, status.troubles, bool(status.runs))
        is_news = (state, error, troubles, bool(left)) != before
        if state != status.state:
            status.since_ns = now_ns
        if state == "ok":
            status.contact_ns = now_ns
        status.tried_ns = now_ns if is_tried else status.tried_ns
        status.state, status.error, status.troubles, status.runs = state, error, troubles, left
        status.bytes_left = sum(left.values())
        if self._is_helper and (is_news or now_s >= self._status_at or not status.pid):
            self._status_at = now_s + _STATUS_S
            status.updated_ns = now_ns
            self.status = this_process(status)
            write_status(self.sync_folder, self.status)
