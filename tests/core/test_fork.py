"""A fork while a run is active: the child writes a journal of its own, the parent is not disturbed."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import child_process
import pytest
from journal_model import read_items, rows_in

from tracker_core.journal_reader import JournalReader, read_session


def journals_by_writer(folder: Path) -> dict[str, Path]:
    found = {}
    for path in folder.rglob("*.journal"):
        session = read_session(str(path))
        assert session is not None
        found[session.writer] = path
    return found


def steps_of(path: Path) -> list[int]:
    return [row[1] for row in rows_in(read_items(path))]


FORK = """
    import os, sys, threading, tracker_core
    run = tracker_core.init(dir=sys.argv[1], id="forked", config={"a": 1})
    for step in range(100):
        run.log({"x": step})
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            run.log({"busy": 1.0})
    threads = [threading.Thread(target=busy) for _ in range(int(sys.argv[2]))]
    [thread.start() for thread in threads]
    for n in range(int(sys.argv[3])):
        pid = os.fork()
        if pid == 0:
            for step in range(50):
                run.log({"child": n * 1000 + step}, step=step)
            if sys.argv[4] == "finish":
                run.finish()
            os._exit(7 if sys.argv[4] == "exit" else 0)
        assert os.waitpid(pid, 0)[1] in (0, 7 << 8)
    stop.set()
    [thread.join() for thread in threads]
    for step in range(100, 200):
        run.log({"x": step})
    run.finish()
"""


@pytest.mark.fault("F7")
@pytest.mark.parametrize("end", ["finish", "exit"])
def test_child_writes_its_own_journal_and_the_parent_goes_on(folder: Path, end: str) -> None:
    child_process.run_well(FORK, folder, 0, 1, end)
    journals = journals_by_writer(folder)
    assert len(journals) == 2
    main = journals.pop("main")
    assert steps_of(main) == list(range(200))
    ((writer, child),) = journals.items()
    assert writer.startswith("fork-")
    assert steps_of(child) == list(range(50))
    for path in (main, child):
        reader = JournalReader(str(path))
        assert reader.read().damage == []
        assert reader.is_closed or (path == child and end == "exit")


@pytest.mark.fault("F7", "F10")
def test_fork_while_other_threads_hold_the_lock_does_not_hang(folder: Path) -> None:
    child_process.run_well(FORK, folder, 3, 20, "exit")
    journals = journals_by_writer(folder)
    main = journals.pop("main")
    assert [row[3]["x"][1] for row in rows_in(read_items(main)) if "x" in row[3]] == list(range(200))
    assert len(journals) == 20
    for path in journals.values():
        assert steps_of(path) == list(range(50))


@pytest.mark.fault("F7")
def test_child_that_logs_nothing_leaves_nothing(folder: Path) -> None:
    script = """
        import os, sys, tracker_core
        run = tracker_core.init(dir=sys.argv[1])
        run.log({"x": 1.0})
        pid = os.fork()
        if pid == 0:
            sys.exit(0)  # runs the child's atexit handlers
        os.waitpid(pid, 0)
        run.log({"x": 2.0})
    """
    child_process.run_well(script, folder)
    ((_, path),) = journals_by_writer(folder).items()
    assert steps_of(path) == [0, 1]
    reader = JournalReader(str(path))
    reader.read()
    assert reader.is_closed


@pytest.mark.fault("F7", "F10")
def test_first_rows_of_many_threads_of_a_child_are_all_kept(folder: Path) -> None:
    script = """
        import os, sys, threading, tracker_core
        run = tracker_core.init(dir=sys.argv[1])
        run.log({"x": 1.0})
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                start = threading.Barrier(8)
                def work(n):
                    start.wait()
                    run.log({"n": n})
                threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
                [thread.start() for thread in threads]
                [thread.join() for thread in threads]
                run.finish()
                os._exit(0)
            os.waitpid(pid, 0)
    """
    child_process.run_well(script, folder)
    journals = journals_by_writer(folder)
    journals.pop("main")
    assert len(journals) == 10
    for path in journals.values():
        assert sorted(row[3]["n"][1] for row in rows_in(read_items(path))) == list(range(8))


@pytest.mark.fault("F7")
def test_child_of_a_child_has_its_own_journal_too(folder: Path) -> None:
    script = """
        import os, sys, tracker_core
        run = tracker_core.init(dir=sys.argv[1])
        def in_child(then):
            pid = os.fork()
            if pid == 0:
                then()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        def grandchild():
            run.log({"who": 2})
        def child():
            run.log({"who": 1})
            in_child(grandchild)
            run.log({"who": 1})
        in_child(child)
        run.log({"who": 0})
    """
    child_process.run_well(script, folder)
    whos = [[row[3]["who"][1] for row in rows_in(read_items(p))] for p in journals_by_writer(folder).values()]
    assert sorted(whos) == [[0], [1, 1], [2]]


def log_in_worker(folder: str) -> None:
    import tracker_core

    with tracker_core.init(dir=folder, id="shared", settings={"quiet": True}) as run:
        for n in range(100):
            run.log({"n": n})


@pytest.mark.fault("F8", "F9")
def test_processes_that_use_one_id_at_once_lose_nothing(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=log_in_worker, args=(str(folder),)) for _ in range(3)]
    starters = [threading.Thread(target=worker.start) for worker in workers]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    paths = list(folder.rglob("*.journal"))
    assert len(paths) == 3
    assert all(steps_of(path) == list(range(100)) for path in paths)
    assert {path.parent.name for path in paths} == {"shared"}
