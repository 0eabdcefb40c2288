"""`fork_from` and `resume_from`: history taken over bit by bit, whole or not at all, and nothing lost of the parent."""

from __future__ import annotations

import hashlib
import math
import random
import struct
from pathlib import Path
from typing import Any

import child_process
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core import inherited
from tracker_core.api import Api, ApiRun
from tracker_core.errors import UsageError
from tracker_core.forking import Branch, parse_branch
from tracker_core.inherited import Source
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.run import Run


def begin(folder: Path, **arguments: Any) -> Run:
    run = tracker_core.init(**{"project": "p", "dir": folder, **arguments})
    assert isinstance(run, Run)
    return run


def parent_of(folder: Path, n: int = 10, id: str = "parent", **arguments: Any) -> Run:
    run = begin(folder, id=id, config={"lr": 0.1, "nested": {"a": 1}}, **arguments)
    for step in range(n):
        run.log({"loss": 1 / (step + 1), "n": step})
    run.finish()
    return run


def inherited_journals(folder: Path, run_id: str) -> list[Path]:
    found = []
    for path in folder.rglob(f"{run_id}/*.journal"):
        session = read_session(str(path))
        if session is not None and session.inherited:
            found.append(path)
    return found


def read(folder: Path, path: str) -> ApiRun:
    return Api(folder).run(path)


def bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else (type(value), value)


def all_rows(folder: Path, run_id: str, is_inherited: bool) -> list[tuple[int, int, dict[str, Any]]]:
    """Return step, time and the exact values of every row in a run's journals."""
    found = []
    for path in folder.rglob(f"{run_id}/*.journal"):
        session = read_session(str(path))
        if session is not None and session.inherited == is_inherited:
            for _, step, time_ns, values in rows_in(read_items(path)):
                found.append((step, time_ns, {key: (code, bits(value)) for key, (code, value) in values.items()}))
    return found


def content(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.journal")}


def test_a_fork_begins_with_history_config_and_summary_as_of_the_step(folder: Path) -> None:
    parent_of(folder)
    before = content(folder)
    run = begin(folder, fork_from="parent?_step=4", config={"lr": 0.5})
    assert (run.step, run.starting_step, dict(run.config)) == (5, 5, {"lr": 0.5, "nested": {"a": 1}})
    run.log({"loss": 9.0})
    run.finish()
    child = read(folder, f"p/{run.id}")
    assert list(child.series("loss").steps) == [0, 1, 2, 3, 4, 5]
    assert list(child.series("n").values) == [0, 1, 2, 3, 4]
    assert child.summary == {"loss": 9.0, "n": 4} and child.config == {"lr": 0.5, "nested": {"a": 1}}
    assert (child.state, child.forked_from, child.view.attempt) == ("finished", "p/parent?_step=4", 1)
    assert [fork.id for fork in read(folder, "p/parent").forks] == [run.id]
    assert before.items() <= content(folder).items(), "nothing of the parent changes"


def test_inherited_rows_are_those_of_the_parent_bit_by_bit(folder: Path) -> None:
    values = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 0.1]
    values += [struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000001 + n))[0] for n in range(3)]
    run = begin(folder, id="parent")
    source = random.Random(7)
    for step in range(3000):
        row: dict[str, Any] = {"x": source.choice(values), "i": source.randrange(-(1 << 63), 1 << 63)}
        if step % 3 == 0:
            row["flag"] = bool(step % 2)
        if step % 50 == 0:
            row["text"] = f"row {step} \u00e9\u0000"
        if step % 999 == 0:
            row["long"] = "x" * 200_000
        if step % 500 == 0:
            row |= {f"wide/{n}": float(n) for n in range(4000)}
        run.log(row)
    run.finish()
    child = begin(folder, id="child", fork_from="parent?_step=2500")
    child.finish()
    expected = [row for row in all_rows(folder, "parent", False) if row[0] <= 2500]
    assert all_rows(folder, "child", True) == expected and len(expected) >= 2501
    (path,) = inherited_journals(folder, "child")
    reader = JournalReader(str(path))
    assert reader.read().damage == [] and reader.is_closed


def test_config_summary_and_definitions_are_those_of_then(folder: Path) -> None:
    run = begin(folder, id="parent", config={"a": 1, "gone": 1})
    run.define_metric("loss", summary="min")
    for step in range(10):
        if step == 5:
            run.config["a"] = 2
            del run.config["gone"]
            run.summary["note"] = "at 5"
        if step == 8:
            run.config["a"] = 3
            run.define_metric("loss", summary="max")
            run.summary["note"] = "at 8"
        run.log({"loss": float(step)})
    run.summary["note"] = "end"
    run.finish()
    expected: list[tuple[int, dict[str, Any], str | None, dict[str, float]]] = [
        (4, {"a": 1, "gone": 1}, None, {"min": 0.0}),
        (6, {"a": 2}, "at 5", {"min": 0.0}),
        (9, {"a": 3}, "end", {"max": 9.0}),
    ]
    for step, config, note, summary in expected:
        child = begin(folder, fork_from=f"parent?_step={step}")
        assert dict(child.config) == config
        child.finish()
        found = read(folder, f"p/{child.id}")
        assert (found.config, found.summary.get("note"), found.summary["loss"]) == (config, note, summary)


def test_steps_in_any_order_are_taken_by_their_number(folder: Path) -> None:
    run = begin(folder, id="parent")
    for step in (5, 1, 9, 3, 7, 2):
        run.log({"x": step}, step=step)
    run.finish()
    child = begin(folder, fork_from="parent?_step=4")
    child.finish()
    assert list(read(folder, f"p/{child.id}").series("x").steps) == [1, 3, 2]


def test_a_rewind_is_a_new_attempt_and_the_older_one_stays_readable(folder: Path) -> None:
    first = parent_of(folder, name="mine", tags=["t"])
    again = begin(folder, resume_from="parent?_step=3")
    assert (again.id, again.name, again.tags, again.step) == ("parent", "mine", ("t",), 4)
    assert dict(again.config) == dict(first.config)
    again.log({"n": 100})
    again.finish()
    run = read(folder, "p/parent")
    assert (run.view.attempt, run.forked_from, run.forks) == (2, "p/parent?_step=3", [])
    assert list(run.series("n").values) == [0, 1, 2, 3, 100]
    assert list(run.series("n", "@1").values) == list(range(10)) == list(run.series("n", "main@1").values)
    third = begin(folder, id="parent", resume_from="p/parent?_step=1")
    third.finish()
    assert list(read(folder, "p/parent").series("n").values) == [0, 1]
    assert list(read(folder, "p/parent").series("n", "@2").values) == [0, 1, 2, 3, 100]


def test_a_rewound_run_is_resumed_behind_what_it_inherited(folder: Path) -> None:
    parent_of(folder)
    begin(folder, resume_from="parent?_step=3").finish()
    run = begin(folder, id="parent", resume="must")
    assert (run.step, dict(run.config)["lr"]) == (4, 0.1)
    run.log({"n": 50})
    run.finish()
    assert list(read(folder, "p/parent").series("n").values) == [0, 1, 2, 3, 50]


def test_a_fork_of_a_fork_has_the_history_of_both(folder: Path) -> None:
    parent_of(folder)
    child = begin(folder, id="child", fork_from="parent?_step=5")
    for n in range(3):
        child.log({"n": 100 + n})
    child.finish()
    for step, expected in [(7, [0, 1, 2, 3, 4, 5, 100, 101]), (2, [0, 1, 2])]:
        grandchild = begin(folder, fork_from=f"child?_step={step}")
        assert dict(grandchild.config) == {"lr": 0.1, "nested": {"a": 1}}
        grandchild.finish()
        assert list(read(folder, f"p/{grandchild.id}").series("n").values) == expected


def test_a_fork_in_another_project(folder: Path) -> None:
    parent_of(folder)
    child = begin(folder, project="q", fork_from="p/parent?_step=1")
    child.finish()
    found = read(folder, f"q/{child.id}")
    assert (found.forked_from, list(found.series("n").values)) == ("p/parent?_step=1", [0, 1])
    assert [fork.path for fork in read(folder, "p/parent").forks] == [found.path]
    assert [run.id for run in Api(folder).runs(filters='"p/parent?_step=" in forked_from')] == [child.id]
    assert [run.id for run in Api(folder).runs(filters={"forked_from": "p/parent?_step=1"})] == [child.id]


def test_a_run_that_is_still_running_can_be_forked(folder: Path) -> None:
    running = begin(folder, id="parent")
    for step in range(5):
        running.log({"n": step})
    child = begin(folder, fork_from="parent?_step=3", reinit="create_new")
    running.log({"n": 5})
    child.log({"n": -1})
    child.finish()
    running.finish()
    assert list(read(folder, f"p/{child.id}").series("n").values) == [0, 1, 2, 3, -1]
    assert list(read(folder, "p/parent").series("n").values) == [0, 1, 2, 3, 4, 5]


def test_a_step_that_the_parent_has_not_reached_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parent_of(folder)
    child = begin(folder, fork_from="parent?_step=100")
    child.finish()
    assert "p/parent has only reached step 9, not 100; 10 rows were taken over" in capfd.readouterr().err
    assert child.starting_step == 101


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"fork_from": "parent"}, "_step"),
        ({"fork_from": "parent?_step=x"}, "_step"),
        ({"fork_from": "parent?_step=-1"}, "_step"),
        ({"fork_from": "?_step=1"}, "_step"),
        ({"fork_from": "../x?_step=1"}, "control characters"),
        ({"fork_from": "missing?_step=1"}, "does not have"),
        ({"resume_from": "missing?_step=1"}, "does not have"),
        ({"fork_from": "parent?_step=1", "resume": "allow"}, "one of fork_from"),
        ({"fork_from": "parent?_step=1", "resume_from": "parent?_step=1"}, "one of fork_from"),
        ({"fork_from": "parent?_step=1", "id": "parent"}, "resume_from"),
        ({"resume_from": "parent?_step=1", "id": "other"}, "fork_from"),
        ({"resume_from": "q/parent?_step=1"}, "fork_from"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_made(
    folder: Path, arguments: dict[str, Any], complaint: str
) -> None:
    parent_of(folder)
    before = content(folder)
    with pytest.raises(UsageError, match=complaint):
        begin(folder, **arguments)
    assert content(folder) == before and tracker_core.run is None


def test_branches_are_read_with_and_without_project() -> None:
    assert parse_branch("r?_step=0", "w", "p") == Branch("p", "r", 0)
    assert parse_branch("a b/r?_step=7", "w", "p") == parse_branch("local/a b/r?_step=7", "w", "p")
    assert parse_branch("a b/r?_step=7", "w", "p").text == "a b/r?_step=7"


# Killed in between

KILLED = """
import os, signal, sys, tracker_core
run = tracker_core.init("p", dir=sys.argv[1], id="child", fork_from="parent?_step=400000")
run.log({"n": -1})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def long_parent(folder: Path) -> Path:
    """A folder with a run whose history takes a while to copy."""
    run = begin(folder, id="parent", config={"lr": 0.1})
    for n in range(60_000):
        run.log({"n": n, "x": n * 0.5})
    run.finish()
    return folder


def test_a_kill_while_history_is_copied_leaves_nothing_half_and_resuming_completes_it(long_parent: Path) -> None:
    child_process.run(KILLED, long_parent)
    run = begin(long_parent, id="child", resume="must")
    assert (run.step, dict(run.config)) == (400_002, {"lr": 0.1})
    run.log({"n": -2})
    run.finish()
    found = read(long_parent, "p/child")
    assert list(found.series("n").values) == [*range(60_000), -1, -2]
    assert found.view.damage == [] and found.view.attempt == 1
    assert len(inherited_journals(long_parent, "child")) == 1


def test_of_a_run_that_was_killed_before_it_had_its_history_a_fork_has_all(long_parent: Path) -> None:
    child_process.run(KILLED, long_parent)
    assert inherited_journals(long_parent, "child") == [], "else this test shows nothing"
    grandchild = begin(long_parent, fork_from="child?_step=400001")
    assert dict(grandchild.config) == {"lr": 0.1}
    grandchild.finish()
    assert list(read(long_parent, f"p/{grandchild.id}").series("n").values) == [*range(60_000), -1]


def test_config_is_found_without_reading_the_rows(long_parent: Path) -> None:
    (path,) = long_parent.rglob("*.journal")
    sources = [Source(str(path), 10)]
    quick = inherited.quick_records(sources)
    assert quick is not None and inherited.config_as_of(sources) == {"lr": 0.1}


def test_config_that_was_changed_later_is_read_exactly(folder: Path) -> None:
    run = begin(folder, id="parent", config={"a": 0})
    for n in range(30_000):
        if n == 20_000:
            run.config["a"] = {"long": "x" * 100_000}
        run.log({"n": n})
    run.finish()
    (path,) = folder.rglob("*.journal")
    assert inherited.quick_records([Source(str(path), 10)]) is None
    assert inherited.config_as_of([Source(str(path), 10)]) == {"a": 0}
    assert inherited.config_as_of([Source(str(path), 25_000)]) == {"a": {"long": "x" * 100_000}}


@pytest.mark.long
def test_a_million_rows_do_not_delay_init_and_are_whole_after_finish(folder: Path) -> None:
    run = begin(folder, id="parent", config={"lr": 0.1})
    for n in range(1_000_000):
        run.log({"n": n, "x": n * 0.5})
    run.finish()
    script = """
    import sys, time, tracker_core
    tracker_core.init("p", dir=sys.argv[1]).finish()
    began_s = time.perf_counter()
    run = tracker_core.init("p", dir=sys.argv[1], id="child", fork_from="parent?_step=999999")
    print(time.perf_counter() - began_s)
    run.finish()
    """
    init_s = float(child_process.run_well(script, folder))
    assert init_s < 1.0
    series = read(folder, "p/child").series("n")
    assert list(series.steps) == list(range(1_000_000)) and list(series.values) == list(range(1_000_000))
