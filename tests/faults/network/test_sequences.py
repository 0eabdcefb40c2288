"""Whatever comes in whatever order, the server ends with what the journals hold: sequences drawn by Hypothesis.

Real journals, the real sender, step by step, through the fault proxy, to the real server in a thread. One server keeps
the runs of all sequences; each sequence has a project of its own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from fault_proxy import LOST_REPLY, NONE, Fault, portal, status
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sent_journals import LocalJournal, assert_same_bytes, assert_same_items, assert_same_story
from sync_world import World

FAULTS = {
    "none": NONE,
    "lost reply": LOST_REPLY,
    "reply cut in its head": Fault(reply_bytes=30),
    "reply cut at its end": Fault(reply_bytes=1 << 20),
    "request cut in its head": Fault(request_bytes=20),
    "request cut in its body": Fault(request_bytes=900),
    "twice": Fault(copies=2),
    "late": Fault(held_for=2),
    "much later": Fault(held_for=7),
    "500": status(500),
    "502": status(502),
    "503": status(503, retry_after="0"),
    "429": status(429, retry_after="0"),
    "413": status(413),
    "401": status(401),
    "portal": portal(),
    "redirect": portal(302),
}
_numbers = itertools.count()
_journals = st.integers(0, 3)
_MOST_JOURNALS = 4


class Sequences(RuleBasedStateMachine):
    """Runs that are written, sent through faults, and mishandled by their disk."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR")))
        self.folder = self.place / ".tracker"
        self.project = f"sequence{next(_numbers)}"
        self.may_restart = False
        self.journals: list[LocalJournal] = []
        self.is_torn: set[int] = set()
        self.is_rewritten = False
        self.n_sessions = 0
        self.sender = self.world.new_sender(self.folder)
        self.new_session("a", False)

    @initialize(number=st.integers(0, 5))
    def choose(self, number: int) -> None:
        self.may_restart = number == 5  # it takes long

    # -- what is written

    @rule(run=st.sampled_from("ab"), is_resumed=st.booleans())
    def new_session(self, run: str, is_resumed: bool) -> None:
        if len(self.journals) < _MOST_JOURNALS:
            self.n_sessions += 1
            fields = {"counter": self.n_sessions, "attempt": 1 if is_resumed else self.n_sessions}
            self._begin(run, resumed=is_resumed and self.n_sessions > 1, **fields)

    @rule(step=st.integers(0, 30))
    def fork(self, step: int) -> None:
        if len(self.journals) < _MOST_JOURNALS - 1:
            self.n_sessions += 1
            run = f"fork{self.n_sessions}"
            origin = f"{self.project}/a?_step={step}"
            inherited = self._begin(run, counter=0, forked_from=origin, inherited=True)
            inherited.log(step)
            inherited.end()
            self._begin(run, counter=1, forked_from=origin)

    def _begin(self, run: str, **fields: object) -> LocalJournal:
        journal = LocalJournal(self.folder, run, project=self.project, **fields)
        self.journals.append(journal)
        return journal

    @rule(i=_journals, n_rows=st.integers(1, 40), n_bytes=st.sampled_from([0, 0, 0, 10, 3000, 60_000, 150_000]))
    def log(self, i: int, n_rows: int, n_bytes: int) -> None:
        journal = self._open(i)
        if journal is not None:
            journal.log(1 if n_bytes else n_rows, text_bytes=n_bytes)

    @rule(i=_journals)
    def end(self, i: int) -> None:
        journal = self._open(i)
        if journal is not None:
            journal.end()

    def _open(self, i: int) -> LocalJournal | None:
        """Return a journal that may be written, with what is torn of it taken back; None where there is none."""
        journal = self.journals[i % len(self.journals)]
        if journal.is_closed:
            return None
        if id(journal) in self.is_torn:
            journal.mend()
            self.is_torn.discard(id(journal))
        if not journal.path.exists():
            journal.make_anew()
        return journal

    # -- what the disk does

    @rule(
        i=_journals,
        mishap=st.sampled_from(["torn", "shorter", "deleted"]),
        n_bytes=st.integers(1, 150),
        is_seen_before=st.booleans(),
        is_seen=st.booleans(),
        n_rows=st.integers(0, 30),
    )
    def mishap(self, i: int, mishap: str, n_bytes: int, is_seen_before: bool, is_seen: bool, n_rows: int) -> None:
        """The disk takes something away, which the sender may have sent, and may look at before more is written."""
        journal = self._open(i)
        if journal is None:
            return
        if is_seen_before:
            self.send(2)
        if mishap == "torn":
            journal.tear(n_bytes)
            self.is_torn.add(id(journal))
        elif mishap == "deleted":
            journal.delete()
        else:
            journal.go_on_shorter(20 * n_bytes)
            self.is_rewritten = True
        if is_seen:
            self.send(1)
        if n_rows:
            self.log(i, n_rows, 0)

    @rule(i=_journals, seconds=st.sampled_from([-3600, -60, 3600]))
    def step_the_clock(self, i: int, seconds: int) -> None:
        path = self.journals[i % len(self.journals)].path
        if path.exists():
            time_ns = path.stat().st_mtime_ns + seconds * 10**9
            os.utime(path, ns=(time_ns, time_ns))

    # -- what is sent

    @rule(faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=4), n_steps=st.integers(1, 4))
    def send_through_faults(self, faults: list[str], n_steps: int) -> None:
        self.world.proxy.heal()
        self.world.proxy.add(*[FAULTS[name] for name in faults])
        self.send(n_steps)

    @rule(n_steps=st.integers(1, 3))
    def send(self, n_steps: int) -> None:
        for _ in range(n_steps):
            self.sender.wake()
            self.world.step(self.sender)

    @rule(forgets=st.booleans())
    def restart_sender(self, forgets: bool) -> None:
        self.sender.close()
        if forgets:
            self.world.forget(self.folder)
        self.sender = self.world.new_sender(self.folder)

    @rule(i=_journals, share=st.sampled_from([0.0, 0.3, 0.9]))
    def server_forgets(self, i: int, share: float) -> None:
        """The server comes back from an older backup: it has less than it acknowledged."""
        journal = self.journals[i % len(self.journals)]
        there = self.world.folder / journal.path.relative_to(self.folder)
        if there.exists():
            os.truncate(there, int(share * there.stat().st_size))

    @rule()
    def server_goes(self) -> None:
        self.world.hide_server()

    @rule()
    def server_comes_back(self) -> None:
        self.world.start_server()

    @precondition(lambda self: self.may_restart)
    @rule()
    def restart_server(self) -> None:
        self.may_restart = False
        self.world.stop_server()
        self.world.start_server()

    # -- the end

    def teardown(self) -> None:
        try:
            self._check()
        finally:
            self.sender.close()
            self.world.proxy.heal()
            self.world.proxy.release()
            shutil.rmtree(self.place, ignore_errors=True)

    def _check(self) -> None:
        self.world.proxy.heal()
        self.world.start_server()
        for i in range(len(self.journals)):
            self._open(i)
        self.restart_sender(forgets=False)  # which asks for everything: the server may have forgotten what it had
        self.world.drain(self.sender)
        self.world.proxy.release()
        self.world.drain(self.sender)
        server = self.world.folder
        if not self.is_rewritten:
            assert_same_bytes(self.folder, server)
        assert_same_items(self.folder, server)
        if not self.is_rewritten:
            assert_same_story(self.folder, self.world.api, self.project)


def run_sequences(world: World, n_sequences: int, n_steps: int, *, is_shrunk: bool) -> None:
    machine = type("Sequences", (Sequences,), {"world": world})
    options = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True, "database": None}
    if not is_shrunk:  # that takes longer than a test may
        options["phases"] = [Phase.generate]
    run_state_machine_as_test(
        machine, settings=settings(max_examples=n_sequences, stateful_step_count=n_steps, **options)
    )


@pytest.mark.fault("F25", "F26", "F28", "F29", "F30", "F32", "F36")
@pytest.mark.timeout(900)
def test_the_server_equals_the_journals_after_any_sequence(world: World) -> None:
    run_sequences(world, 200, 12, is_shrunk=False)


@pytest.mark.long
@pytest.mark.fault("F25", "F26", "F28", "F29", "F30", "F32", "F36")
def test_the_server_equals_the_journals_after_any_of_many_sequences(world: World) -> None:
    run_sequences(world, 2000, 25, is_shrunk=True)
