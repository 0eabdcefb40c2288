"""Logging from threads, from signal handlers in the middle of `log()`, and after an interrupt in the middle of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import child_process
import pytest
from journal_model import read_items, rows_in

import tracker_core
from tracker_core.journal_reader import JournalReader


def numbers_by_thread(folder: Path) -> dict[int, list[int]]:
    (path,) = folder.rglob("*.journal")
    kept: dict[int, list[int]] = {}
    for row in rows_in(read_items(path)):
        kept.setdefault(row[3]["thread"][1], []).append(row[3]["n"][1])
    return kept


@pytest.mark.fault("F10")
def test_rows_of_eight_threads_are_all_there_each_once_and_in_order(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for n in range(1000):
            if n % 100 == 0:
                run.log({"thread": thread, "n": n, "text": "t"})
                run.config[f"c{thread}"] = n
            else:
                run.log({"thread": thread, "n": n, f"own{thread}": 0.5})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    assert numbers_by_thread(folder) == {thread: list(range(1000)) for thread in range(8)}
    (path,) = folder.rglob("*.journal")
    steps = [row[1] for row in rows_in(read_items(path))]
    assert sorted(steps) == list(range(8000))


def test_definitions_made_while_threads_log_lose_nothing(folder: Path) -> None:
    run = tracker_core.init(dir=folder)

    def work(thread: int) -> None:
        for n in range(500):
            run.log({"thread": thread, "n": n})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for n in range(200):
        run.define_metric(f"m{n}*", summary="min")
    for thread in threads:
        thread.join()
    run.finish()
    assert numbers_by_thread(folder) == {thread: list(range(500)) for thread in range(4)}


# A timer fires many times a millisecond, so that its handler runs all over `log()`, at every call in it.
HANDLER_LOGS = """
    import signal, sys, threading, tracker_core
    run = tracker_core.init(dir=sys.argv[1], id="signals", settings={"fsync_interval_s": 100, "slow_write_s": 60})
    count = 0
    def handler(signum, frame):
        global count
        mine = count
        count += 1  # before `log`, in which the handler may be called again
        run.log({"thread": 1, "n": mine, "text": "t"} if mine % 5 == 4 else {"thread": 1, "n": mine})
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    n = 0
    while count < 2000:
        run.log({"thread": 0, "n": n, "t": "x"} if n % 50 == 0 else {"thread": 0, "n": n})
        n += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    if sys.argv[2] == "kill":
        print(n, count, flush=True)
        signal.raise_signal(signal.SIGKILL)
    run.finish()
    print(n, count)
"""


@pytest.mark.fault("F1", "F10")
@pytest.mark.parametrize("end", ["finish", "kill"])
def test_rows_logged_by_a_signal_handler_in_the_middle_of_log_are_kept_at_once(folder: Path, end: str) -> None:
    done = child_process.run(HANDLER_LOGS, folder, end)
    assert done.stdout, done.stderr
    n, count = map(int, done.stdout.split())
    (path,) = folder.rglob("*.journal")
    assert JournalReader(str(path)).read().damage == []
    kept = numbers_by_thread(folder)
    assert kept[0] == list(range(n))
    assert sorted(kept[1]) == list(range(count))


# An exception out of a signal handler, as Ctrl-C gives, may come up at any call inside `log()`.
HANDLER_RAISES = """
    import json, signal, sys, tracker_core
    run = tracker_core.init(dir=sys.argv[1], id="interrupts", settings={"fsync_interval_s": 100, "slow_write_s": 60})
    class Stop(Exception): pass
    is_armed = False
    def handler(signum, frame):
        if is_armed:
            raise Stop
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.00007)
    returned, interrupted = [], []
    n = 0
    while len(interrupted) < int(sys.argv[2]):
        n += 1
        row = {"n": n, "text": "t" * 300} if n % 5 == 0 else {"n": n, f"k{n % 7}": 0.5}
        try:
            is_armed = True
            run.log(row)
            is_armed = False
            returned.append(n)
        except Stop:
            is_armed = False
            interrupted.append(n)
    signal.setitimer(signal.ITIMER_REAL, 0)
    run.finish()
    print(json.dumps([returned, interrupted]))
"""


@pytest.mark.fault("F3", "F10")
def test_an_interrupt_in_the_middle_of_log_harms_no_other_row(folder: Path) -> None:
    output = child_process.run_well(HANDLER_RAISES, folder, 3000)
    returned, interrupted = json.loads(output)
    (path,) = folder.rglob("*.journal")
    reader = JournalReader(str(path))
    batch = reader.read()
    assert batch.damage == []
    kept = [row[3]["n"][1] for row in rows_in(read_items(path))]
    assert len(set(kept)) == len(kept), "a row was written twice"
    assert set(returned) <= set(kept)
    assert set(kept) <= set(returned) | set(interrupted)
    assert kept == sorted(kept)
    assert reader.is_closed


FINISH_IN_HANDLER = """
    import signal, sys, time, tracker_core
    run = tracker_core.init(dir=sys.argv[1], id="finishing", settings={"finish_timeout_s": 50})
    def handler(signum, frame):
        began = time.monotonic()
        run.finish()
        print(time.monotonic() - began, flush=True)
        raise SystemExit(0)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01 + int(sys.argv[2]) * 0.00013)
    n = 0
    while True:
        run.log({"n": n})
        n += 1
"""


@pytest.mark.fault("F10")
@pytest.mark.parametrize("number", range(6))
def test_finish_in_a_signal_handler_ends_the_run_well(folder: Path, number: int) -> None:
    finish_s = float(child_process.run_well(FINISH_IN_HANDLER, folder, number))
    assert finish_s < 40  # a deadlock would last until the timeout
    (path,) = folder.rglob("*.journal")
    reader = JournalReader(str(path))
    steps = [row[1] for row in rows_in(read_items(path))]
    reader.read()
    assert steps == list(range(len(steps)))
    assert reader.is_closed


@pytest.mark.fault("F3")
def test_interrupted_script_that_goes_on_keeps_its_later_rows(folder: Path) -> None:
    """As in a notebook: stop the cell by Ctrl-C, then log on in the next."""
    script = """
        import os, signal, sys, threading, tracker_core
        run = tracker_core.init(dir=sys.argv[1])
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        n = 0
        try:
            while True:
                run.log({"n": n})
                n += 1
        except KeyboardInterrupt:
            pass
        for later in range(n + 1, n + 101):
            run.log({"n": later})
        run.finish()
        print(n)
    """
    n = int(child_process.run_well(script, folder))
    (path,) = folder.rglob("*.journal")
    kept = [row[3]["n"][1] for row in rows_in(read_items(path))]
    assert [k for k in kept if k != n] == [*range(n), *range(n + 1, n + 101)]


@pytest.mark.fault("F10")
def test_rows_logged_while_another_thread_finishes_are_kept_or_refused(folder: Path) -> None:
    run = tracker_core.init(dir=folder)
    accepted: list[int] = []
    begun = threading.Event()

    def work() -> None:
        for n in range(1_000_000):
            try:
                run.log({"n": n})
            except tracker_core.UsageError:
                return
            accepted.append(n)
            begun.set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    run.finish()
    thread.join()
    (path,) = folder.rglob("*.journal")
    assert [row[3]["n"][1] for row in rows_in(read_items(path))] == accepted
