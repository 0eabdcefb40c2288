"""A store against a model: whatever is done in whatever order, everybody reads what was logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tracker_server.query.folder import LocalFolder

from ..conftest import Journal
from .conftest import STORES, Store

RUNS = st.sampled_from(["a", "b"])
READERS = st.integers(0, 1)
PADDING = "p" * 7000


class StoreMachine(RuleBasedStateMachine):
    """Two readers of one store, which both seal, and two runs that log."""

    make_store: Callable[[], Store]

    @initialize()
    def begin(self) -> None:
        self.store = self.make_store()
        self.journals: dict[str, Journal] = {}
        self.ended: set[str] = set()
        self.values: dict[str, list[Any]] = {"a": [], "b": []}
        self.lines: dict[str, dict[int, str]] = {"a": {}, "b": {}}
        self.files: dict[str, set[str]] = {"a": set(), "b": set()}
        self.readers = [self.store.open(seal_bytes=1) for _ in range(2)]

    def journal(self, run: str) -> Journal | None:
        """Return the journal of a run that may still log."""
        if run in self.ended:
            return None
        if run not in self.journals:
            self.journals[run] = Journal(self.store.folder, run=run)
        return self.journals[run]

    @rule(run=RUNS, count=st.integers(1, 25), kind=st.sampled_from(["float", "padded", "text", "integer"]))
    def log(self, run: str, count: int, kind: str) -> None:
        journal = self.journal(run)
        for _ in range(count if journal else 0):
            at = len(self.values[run])
            value = {"float": at + 0.5, "padded": at + 0.25, "text": f"t{at}", "integer": at}[kind]
            more = {"padding": PADDING} if kind == "padded" else {}
            journal.row(at, value=value, **more)
            self.values[run].append(value)

    @rule(run=RUNS, first=st.integers(0, 40), count=st.integers(1, 5))
    def print_lines(self, run: str, first: int, count: int) -> None:
        journal = self.journal(run)
        if journal:
            texts = [f"{len(self.values[run])}:{first + index}" for index in range(count)]
            journal.lines(*texts, first=first)
            self.lines[run].update({first + index: text for index, text in enumerate(texts)})

    @rule(run=RUNS, name=st.sampled_from(["x", "y"]))
    def keep_file(self, run: str, name: str) -> None:
        journal = self.journal(run)
        if journal:
            journal.file(name, name.encode())
            self.files[run].add(name)

    @rule(run=RUNS)
    def end(self, run: str) -> None:
        journal = self.journal(run)
        if journal:
            journal.end()
            self.ended.add(run)

    @rule(which=READERS)
    def refresh(self, which: int) -> None:
        self.readers[which].refresh()

    @rule(which=READERS)
    def open_again(self, which: int) -> None:
        self.readers[which].close()
        self.readers[which] = self.store.open(seal_bytes=1)

    @precondition(lambda self: not self.store.url)
    @rule()
    def lose_the_index(self) -> None:
        for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
            (self.store.folder / name).unlink(missing_ok=True)

    @rule(which=READERS)
    def read(self, which: int) -> None:
        folder = self.readers[which]
        folder.refresh()
        for run in self.journals:
            self.compare(folder, run)

    def compare(self, folder: LocalFolder, run: str) -> None:
        """Read everything of one run."""
        expected = self.values[run]
        view = folder.run("p", run)
        assert (view.n_rows, view.state) == (len(expected), "finished" if run in self.ended else "running")
        assert view.n_damaged == 0
        assert [row.values["value"] for row in folder.rows("p", run)] == expected
        if expected:
            assert folder.series("p", run, "value").values.tolist() == expected
        lines = self.lines[run]
        console = folder.console("p", run).window(0, 1000)
        assert [line.text for line in console.lines] == [lines[number] for number in sorted(lines)]
        assert {kept.path for kept in folder.files("p", run)} == self.files[run]

    def teardown(self) -> None:
        for which in range(len(getattr(self, "readers", []))):
            self.read(which)
            self.readers[which].close()


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    "n_examples", [pytest.param(12, id="short"), pytest.param(600, id="long", marks=pytest.mark.long)]
)
def test_a_store_reads_what_a_model_of_it_holds(kind, n_examples, request, tmp_path_factory):
    def make_store() -> Store:
        folder = tmp_path_factory.mktemp("model") / ".tracker"
        server = request.getfixturevalue("postgres") if kind == "postgresql" else None
        return Store(folder, server.new_store() if server else None)

    machine = type("Machine", (StoreMachine,), {"make_store": staticmethod(make_store)})
    checks = list(HealthCheck)
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=n_examples, stateful_step_count=20, deadline=None, suppress_health_check=checks),
    )
