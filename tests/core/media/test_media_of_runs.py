"""Media are written by a thread: bounded, never in the way of the training, complete at the end."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child_process import run, run_well, start
from logged_media import Logged

import tracker_core as tracker
from tracker_core.media.encoder import MediaKeeper
from tracker_core.media.place import Pending, Place
from tracker_core.records import Record
from tracker_core.rich import RichValue

PICTURE = np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)
WaitUntil = Callable[..., None]


class Held(RichValue):
    """Writes when it is let."""

    kind = "held"

    def __init__(self, n_bytes: int, may_go: threading.Event, is_quick: bool = False) -> None:
        self._pending = Pending(n_bytes, self._write, is_quick)
        self._may_go = may_go
        self.hurries: list[tuple[str, bool]] = []

    def _write(self, target: Any, is_hurried: bool) -> bool:
        if threading.current_thread().name == "tracker-media":
            assert self._may_go.wait(60)
        self.hurries.append((threading.current_thread().name, is_hurried))
        return bool(target.keep_media("name", b""))

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        return {"_type": "held", "path": place.path("held", "bin")}, [self._pending]


class Kept:
    """A keeper whose target counts."""

    def __init__(self, max_bytes: int) -> None:
        self.n_kept = 0
        self.late: list[tuple[str, int, dict[str, Any]]] = []
        self.notes: list[Record] = []
        self.keeper = MediaKeeper(self, max_bytes, lambda *late: self.late.append(late), self.notes.append)

    def keep_media(self, name: str, source: Any) -> bool:
        self.n_kept += 1
        return True

    def log(self, **row: Any) -> dict[str, Any]:
        plain, jobs = self.keeper.describe(row, 0)
        self.keeper.submit(jobs)
        return plain

    @property
    def lost(self) -> Any:
        return self.notes[-1].values["media"] if self.notes else {}  # type: ignore[attr-defined]


def test_what_does_not_fit_into_the_memory_is_left_out_and_counted(said: Callable[[], str]) -> None:
    kept, may_go = Kept(1000), threading.Event()
    rows = [kept.log(x=1.0, media=Held(400, may_go)) for _ in range(5)]
    assert [row["media"].get("is_dropped", False) for row in rows] == [False, False, True, True, True]
    assert all(row["x"] == 1.0 for row in rows) and "path" not in rows[-1]["media"]
    may_go.set()
    kept.keeper.stop(20)
    assert kept.n_kept == 2 and kept.lost == {"n_dropped": 3}
    assert said().count("left out") == 1


def test_one_that_is_larger_than_the_memory_is_kept_alone() -> None:
    kept, may_go = Kept(10), threading.Event()
    may_go.set()
    assert "is_dropped" not in kept.log(media=Held(400, may_go))["media"]
    kept.keeper.stop(20)
    assert kept.n_kept == 1


def test_where_the_memory_is_full_small_ones_are_written_at_once_in_a_hurry() -> None:
    kept, may_go = Kept(1000), threading.Event()
    kept.log(media=Held(900, may_go))
    quick = Held(200, may_go, is_quick=True)
    assert "is_dropped" not in kept.log(media=quick)["media"]
    assert quick.hurries == [(threading.current_thread().name, True)]
    may_go.set()
    kept.keeper.stop(20)


def test_the_thread_hurries_when_the_memory_is_half_full() -> None:
    kept, may_go = Kept(1000), threading.Event()
    one, two = Held(600, may_go), Held(300, may_go)
    kept.log(media=one)
    kept.log(media=two)
    may_go.set()
    kept.keeper.stop(20)
    assert one.hurries == [("tracker-media", True)] and two.hurries == [("tracker-media", False)]


def test_the_end_waits_no_longer_than_it_may(said: Callable[[], str]) -> None:
    kept, may_go = Kept(1000), threading.Event()
    for _ in range(2):
        kept.log(media=Held(10, may_go))
    began_s = time.monotonic()
    kept.keeper.stop(0.2)
    assert time.monotonic() - began_s < 10
    assert kept.lost == {"n_left_at_end": 2} and "not encoded within 0.2 s" in said()
    may_go.set()


def test_what_fails_is_counted_said_once_and_hurts_nobody(said: Callable[[], str]) -> None:
    class Broken(Held):
        def _write(self, target: Any, is_hurried: bool) -> bool:
            raise MemoryError("no memory for this")

    kept = Kept(1000)
    for _ in range(3):
        kept.log(media=Broken(10, threading.Event()))
    kept.keeper.stop(20)
    assert kept.lost == {"n_failed": 3} and said().count("no memory for this") == 1


def test_a_disk_that_is_full_costs_the_files_and_not_the_rows(
    logged: Logged, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    folder = Path(logged.run.dir) / "files"
    folder.write_text("")  # where a folder should be
    logged.log(loss=1.0, image=tracker.Image(PICTURE))
    logged.log(loss=2.0, image=tracker.Image(PICTURE))
    assert [row["loss"] for row in logged.read.history()] == [1.0, 2.0]
    assert logged.paths() == [] and said().count("is not kept with the run") == 1
    assert logged.read.environment["media"] == {"n_failed": 2}


def test_equal_pictures_are_stored_once_and_live_files_take_none_away(logged: Logged, tmp_path: Path) -> None:
    image = tracker.Image(PICTURE)
    live = tmp_path / "live.png"
    live.write_bytes(image.artifact_files("a")[1][1])
    logged.run.save(str(live), policy="live")
    for _ in range(3):
        logged.log(image=image)
    live.write_bytes(b"changed")
    assert len(logged.paths()) == 3
    assert np.array_equal(np.asarray(logged.picture("image")), PICTURE)
    assert len(os.listdir(Path(logged.run.dir) / "files")) == 2


def test_a_plain_row_costs_what_it_did(logged: Logged) -> None:
    logged.log(loss=1.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "tracker-media"]
    logged.log(loss=1.0, image=tracker.Image(PICTURE))
    plans = dict(logged.run._plans)
    logged.log(loss=2.0)
    assert logged.run._plans == plans and list(plans) == [("loss", float)]


def test_rows_with_media_take_steps_like_others(logged: Logged) -> None:
    logged.run.log({"image": tracker.Image(PICTURE)}, step=5)
    logged.run.log({"image": tracker.Image(PICTURE)}, commit=False)
    logged.run.log({"a": {"image": [tracker.Image(PICTURE)]}, "loss": 1.0})
    rows = logged.read.history()
    assert [row["_step"] for row in rows] == [5]
    assert rows[-1]["a/image"]["items"][0]["path"].startswith("media/image/a_image_")
    assert logged.run.summary["image"]["_type"] == "image"


def test_a_list_of_different_things_is_refused_and_a_finished_run_too(logged: Logged) -> None:
    with pytest.raises(tracker.UsageError, match="list of Image"):
        logged.log(mixed=[tracker.Image(PICTURE), 3])
    with pytest.raises(tracker.UsageError, match="image"):
        logged.log(image=PICTURE)
    logged.run.finish(quiet=True)
    with pytest.raises(tracker.UsageError, match="finished"):
        logged.log(image=tracker.Image(PICTURE))


def test_a_disabled_run_takes_everything_and_keeps_nothing(tmp_path: Path) -> None:
    with tracker.init(mode="disabled") as run:
        run.log({"image": tracker.Image(PICTURE), "table": tracker.Table(columns=["a"], data=[[1]])})
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
    import os, sys
    import numpy as np
    import tracker_core as tracker
    run = tracker.init(project="media", id="run", dir="there")
    image = lambda n: tracker.Image(np.full((64, 64), n, np.uint8))
"""


def read_back(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    found = tracker.Api(str(folder)).run("media/run")
    return list(found.scan_history()), [file.name for file in found.files() if file.kind == "media"]


def test_a_script_that_just_ends_has_everything(tmp_path: Path) -> None:
    run_well(SCRIPT + "    for n in range(50): run.log({'image': image(n)})")
    rows, files = read_back(tmp_path / "there")
    assert len(rows) == 50 and sorted(row["image"]["path"] for row in rows) == sorted(files)


def test_a_killed_process_keeps_its_rows_and_the_files_that_were_written(tmp_path: Path) -> None:
    done = run(SCRIPT + "    for n in range(200): run.log({'image': image(n)})\n    os.kill(os.getpid(), 9)")
    assert done.returncode == -9
    rows, files = read_back(tmp_path / "there")
    assert len(rows) == 200 and set(files) <= {row["image"]["path"] for row in rows}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_its_own(tmp_path: Path) -> None:
    run_well(
        SCRIPT
        + """
    for n in range(100): run.log({"image": image(n)})
    if os.fork() == 0:
        run.log({"child": image(1)})
        run.finish()
        os._exit(0)
    assert os.wait()[1] == 0
    run.log({"image": image(100)})
    """
    )
    rows, files = read_back(tmp_path / "there")
    assert len([row for row in rows if "image" in row]) == 101
    assert len([name for name in files if "image_" in name]) == 101
    assert len([name for name in files if "child_" in name]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_the_middle_of_a_first_import_hangs_no_child(tmp_path: Path) -> None:
    # A module that takes long to import: the encoder is in the middle of it when the process forks.
    (tmp_path / "blake3.py").write_text("import threading\nthreading.Event().wait(0.3)\n")
    run_well(
        SCRIPT
        + """
    sys.path.insert(0, os.getcwd())
    run.log({"image": image(1)})
    while "blake3" not in sys.modules: pass
    if os.fork() == 0:
        import blake3
        os._exit(0)
    assert os.wait()[1] == 0
    """
    )


def test_ranks_have_their_files_in_the_one_run(tmp_path: Path) -> None:
    script = SCRIPT + "    run.log({'image': image(1)})"
    places = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29511"}
    ranks = [start(script, RANK=rank, LOCAL_RANK=rank, **places) for rank in "01"]
    for process in ranks:
        assert process.wait(120) == 0, process.communicate()
    found = tracker.Api(str(tmp_path / "there")).run("media/run")
    assert [writer.writer for writer in found.writers] == ["main", "rank1"]
    named = [value["path"] for value in found.series("image", writer="*").values]
    assert sorted(named) == [file.name for file in found.files()] and len(named) == 2


def test_a_fork_has_copies_of_the_media_that_it_inherits(logged: Logged) -> None:
    for step in range(4):
        table = tracker.Table(columns=["a"], data=[[tracker.Image(PICTURE // (step + 1))]])
        logged.run.log({"image": tracker.Image(PICTURE + step), "table": table}, step=step)
    logged.run.finish(quiet=True)
    tracker.init(project="media", id="child", fork_from="run?_step=1").finish(quiet=True)
    child = tracker.Api().run("media/child")
    parent = {file.name: file.digest for file in logged.read.files()}
    found = {file.name: file.digest for file in child.files()}
    assert len(parent) == 12 and len(found) == 6 and found.items() <= parent.items()
    logged.read.delete()
    shutil.rmtree(logged.run.dir)
    assert all(child.file(name).read() for name in found)


def test_a_rewound_run_keeps_its_media(logged: Logged) -> None:
    for step in range(3):
        logged.run.log({"image": tracker.Image(PICTURE)}, step=step)
    logged.run.finish(quiet=True)
    tracker.init(project="media", id="run", resume_from="run?_step=1").finish(quiet=True)
    rows = logged.read.history()
    assert [row["image"]["path"] for row in rows] == logged.paths() and len(rows) == 2


def test_many_threads_may_log_at_once(logged: Logged) -> None:
    def work(name: str) -> None:
        for _ in range(20):
            logged.run.log({name: tracker.Image(PICTURE)})

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(logged.paths())) == 80
