"""The wall clock is set, forward and back, while a run logs: rows keep their order, the jump is told of."""

from __future__ import annotations

import time
from pathlib import Path

import child_process
import numpy as np
import pytest
from comparison import compare, python_path
from journal_model import SESSION
from training import RUN_ID, Ledger, wait_until

from tracker_core.api import Api
from tracker_core.journal_file import JournalFile
from tracker_core.journal_reader import JournalReader
from tracker_core.journal_writer import JournalWriter
from tracker_core.records import Clock
from tracker_server.charts.chart import ChartRequest, draw
from tracker_server.query.folder import LocalFolder

HOUR_NS = 3_600_000_000_000

# The script shifts the clock that Python gives, before anything of the tracker is imported.
CLOCK_SET = """
import time
read_clock, shift_ns = time.time_ns, 0
time.time_ns = lambda: read_clock() + shift_ns
time.time = lambda: time.time_ns() / 1e9
import pathlib, resource, sys, tracker_core
from tracker_core.journal_reader import JournalReader
from tracker_core.records import Clock, Suspended
from training import RUN_ID, Ledger, log_rows, wait_until
folder, ledger, first_ns, second_ns = sys.argv[1], Ledger(pathlib.Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])

def n_told(kind):
    (path,) = pathlib.Path(folder).rglob("*.journal")
    return sum(isinstance(record, kind) for _, record in JournalReader(str(path)).read().records)

run = tracker_core.init(dir=folder, id=RUN_ID, settings={"fsync_interval_s": 0.01})
log_rows(run, ledger, 0, 0, 100)
for number, jump_ns in enumerate([first_ns, second_ns]):
    shift_ns += jump_ns
    wait_until(lambda: n_told(Clock) == number + 1)
    log_rows(run, ledger, 0, 100 * (number + 1), 100 * (number + 2))
run.finish()
"""


@pytest.mark.fault("F36")
@pytest.mark.parametrize(
    "jumps_ns",
    [(HOUR_NS, -2 * HOUR_NS), (-3 * 365 * 24 * HOUR_NS, 24 * HOUR_NS), (-2_000_000_000, -2_000_000_000)],
    ids=["an-hour-ahead-then-back", "three-years-back", "seconds-back-twice"],
)
def test_clock_that_is_set_disorders_no_row_and_is_told_of(
    folder: Path, tmp_path: Path, jumps_ns: tuple[int, int]
) -> None:
    child_process.run_well(CLOCK_SET, folder, tmp_path / "ledger", *jumps_ns, **python_path())
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(300))
    assert kept.n_damaged == kept.n_dropped == 0
    api = Api(dir=folder)
    view = api.run(RUN_ID).view
    assert view.state == "finished"
    assert view.n_clock_jumps == 2
    told_ns = sorted(jump.jumped_ns for jump in view.clock_jumps)
    assert np.abs(np.subtract(told_ns, sorted(jumps_ns))).max() < 500_000_000
    assert view.duration_s >= 0
    series = api.run(RUN_ID).series("n")
    assert list(series.steps) == list(series.values) == list(range(300))
    assert np.diff(series.wall_time_ns).min() < 0, "times are as the clock said"
    api.close()


@pytest.mark.fault("F36")
@pytest.mark.parametrize("x", ["step", "relative_time", "wall_time"])
def test_chart_of_a_run_whose_clock_was_set_back_holds_every_point(folder: Path, tmp_path: Path, x: str) -> None:
    child_process.run_well(CLOCK_SET, folder, tmp_path / "ledger", HOUR_NS, -2 * HOUR_NS, **python_path())
    opened = LocalFolder(str(folder), is_writer=False)
    opened.refresh()
    chart = draw(opened, "uncategorized", ChartRequest([RUN_ID], "n", x=x, n_buckets=1000))
    (line,) = chart.lines
    assert line.n_points == 300
    assert (line.min, line.max, line.last) == (0, 299, 299)
    assert np.all(np.diff(chart.x) > 0)
    opened.close()


CLOCK_SET_WHILE_FULL = (
    CLOCK_SET[: CLOCK_SET.index("for number")]
    + """
(path,) = pathlib.Path(folder).rglob("*.journal")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, resource.RLIM_INFINITY))
log_rows(run, ledger, 0, 100, 150)
shift_ns = -24 * 3_600_000_000_000
log_rows(run, ledger, 0, 150, 200)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
wait_until(lambda: n_told(Suspended) and n_told(Clock))
run.finish()
"""
)


@pytest.mark.fault("F36", "F16")
def test_clock_set_back_while_rows_wait_makes_no_time_negative(folder: Path, tmp_path: Path) -> None:
    child_process.run_well(CLOCK_SET_WHILE_FULL, folder, tmp_path / "ledger", 0, 0, **python_path())
    kept = compare(folder, Ledger(tmp_path / "ledger"))
    assert kept.numbers[0] == list(range(200))
    api = Api(dir=folder)
    view = api.run(RUN_ID).view
    assert view.n_suspensions == view.n_clock_jumps == 1
    assert view.suspended_ns >= 0
    assert view.duration_s >= 0
    api.close()


@pytest.mark.fault("F36")
@pytest.mark.parametrize(("jump_ns", "is_told"), [(600_000_000, False), (1_400_000_000, True), (-1_400_000_000, True)])
def test_only_a_jump_of_a_second_or_more_is_a_jump(tmp_path: Path, jump_ns: int, is_told: bool) -> None:
    shift_ns = 0
    looks: list[int] = []

    def clock() -> int:
        looks.append(shift_ns)
        return time.time_ns() + shift_ns

    path = str(tmp_path / "a.journal")
    writer = JournalWriter(JournalFile(path, SESSION), lambda message: None, fsync_interval_s=0.01, clock=clock)
    shift_ns = jump_ns
    wait_until(lambda: looks.count(shift_ns) > 5)
    writer.close()
    jumps = [r.jumped_ns for _, r in JournalReader(path).read().records if isinstance(r, Clock)]
    assert len(jumps) == is_told
    assert all(
        abs(jump - jump_ns) < 300_000_000 for jump in jumps
    )  # this thread may be kept waiting between two clocks
