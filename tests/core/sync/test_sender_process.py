"""The background sender as users meet it: real training processes, a real server, processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import child_process
import psutil
import pytest
from written import steps_of

from tracker_core.paths import run_folder
from tracker_core.sync.sender_status import SenderStatus, read_statuses
from tracker_server.http.server import TrackerServer

Wait = Callable[..., None]

_TRAIN = """
import sys, time
import tracker_core
run = tracker_core.init(project="p", id=sys.argv[1] or None)
for step in range(int(sys.argv[2])):
    run.log({"loss": step / 7})
print("ready", run.id, run.url, flush=True)
if len(sys.argv) > 3:
    sys.stdin.readline()
began_s = time.monotonic()
run.finish()
print(time.monotonic() - began_s, "requests" in sys.modules, flush=True)
"""


@pytest.fixture
def environ(folder: Path, module_server: TrackerServer, module_key: str, tmp_path: Path) -> dict[str, str]:
    return {
        "TRACKER_DIR": str(folder),
        "TRACKER_BASE_URL": module_server.base_url,
        "TRACKER_API_KEY": module_key,
        "TRACKER_CONFIG_DIR": str(tmp_path / "no-config"),
        "TRACKER_QUIET": "",
        "TRACKER_SYNC_INTERVAL_S": "0.1",
        "TRACKER_HEARTBEAT_INTERVAL_S": "0.5",
    }


@pytest.fixture(autouse=True)
def no_sender_is_left(folder: Path) -> Iterator[None]:
    yield
    for _, status in read_statuses(str(folder)):
        if status.is_running:
            process = psutil.Process(status.pid)
            process.terminate()
            process.wait(10)


def status_of(folder: Path) -> SenderStatus:
    found = read_statuses(str(folder))
    return found[0][1] if found else SenderStatus()


def copy_of(server: TrackerServer, run: str) -> Path:
    return next(Path(run_folder(server.folder.path, "p", run)).glob("main.*.journal"))


def has_all(server: TrackerServer, folder: Path, run: str) -> bool:
    journals = list(Path(run_folder(str(folder), "p", run)).glob("*.journal"))
    there = Path(run_folder(server.folder.path, "p", run))
    copies = [there / journal.name for journal in journals]
    return bool(journals) and all(
        copy.exists() and copy.read_bytes() == journal.read_bytes()
        for copy, journal in zip(copies, journals, strict=True)
    )


@pytest.fixture
def run_id(tmp_path: Path) -> str:
    return f"r{abs(hash(str(tmp_path))) % 10**9}"


def test_when_finish_has_returned_the_server_has_everything(
    folder: Path, environ: dict[str, str], module_server: TrackerServer
) -> None:
    done = child_process.run(_TRAIN, "", 500, **environ)
    _, run_id, shown_url = done.stdout.splitlines()[0].split()
    assert steps_of(copy_of(module_server, run_id)) == list(range(500))
    assert has_all(module_server, folder, run_id)
    url = f"{module_server.base_url}/p/p/r/{run_id}"
    assert shown_url == url
    assert done.stdout.split()[-1] == "False"  # the training imports nothing that talks over the network
    first, *_, last = done.stderr.splitlines()
    assert first.endswith(f"kept in {folder.name}, sent to {module_server.base_url}; see it at: {url}")
    assert last.endswith(f"all sent: {url}")


def test_what_a_killed_training_wrote_arrives(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer, wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, run_id, 3000, "wait", **environ)
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    process.kill()
    process.wait()
    wait_until(lambda: has_all(module_server, folder, run_id), 60)
    assert steps_of(copy_of(module_server, run_id)) == list(range(3000))


def test_a_killed_sender_is_started_again_by_the_training(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer, wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, run_id, 10, "wait", **environ)
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    first = status_of(folder).pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: status_of(folder).pid not in (0, first), 60)
    out, _ = process.communicate("go on\n", timeout=60)
    assert has_all(module_server, folder, run_id), out


def test_trainings_of_one_folder_share_a_sender_which_ends_by_itself(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer, wait_until: Wait
) -> None:
    processes = [child_process.start(_TRAIN, f"{run_id}-{number}", 10, "wait", **environ) for number in range(3)]
    for process in processes:
        assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    pid = status_of(folder).pid
    for process in processes:
        process.communicate("go on\n", timeout=60)
    assert status_of(folder).pid in (pid, 0)
    wait_until(lambda: status_of(folder).pid == 0 and not psutil.pid_exists(pid), 60)
    assert not list((folder / "sync").rglob("wanted/*/*"))
    for number in range(3):
        assert has_all(module_server, folder, f"{run_id}-{number}")


def test_the_key_is_in_no_file_argument_or_variable(
    folder: Path, run_id: str, environ: dict[str, str], module_key: str, wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, run_id, 10, "wait", **environ)
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    sender = psutil.Process(status_of(folder).pid)
    assert module_key not in " ".join(sender.cmdline()) and module_key not in str(sender.environ())
    assert sender.cwd() == os.sep
    process.communicate("go on\n", timeout=60)
    for path in folder.rglob("*"):
        if path.is_file():
            assert module_key.encode() not in path.read_bytes(), path


def test_with_the_server_down_nothing_waits_and_the_user_is_told_what_is_left(
    folder: Path, environ: dict[str, str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = child_process.run(_TRAIN, "", 500, **environ | {"TRACKER_BASE_URL": url})
    assert done.returncode == 0
    assert float(done.stdout.split()[-2]) < 9  # it does not wait for the whole of sync_timeout_s
    last = done.stderr.splitlines()[-1]
    assert "KiB left" in last and "tracker sync" in last
    assert steps_of(next((folder / "runs" / "p").rglob("*.journal"))) == list(range(500))


def test_a_black_hole_holds_finish_up_for_no_longer_than_is_set(folder: Path, environ: dict[str, str]) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()  # takes connections and never says a word
        url = f"http://127.0.0.1:{hole.getsockname()[1]}"
        done = child_process.run(
            _TRAIN, "", 500, **environ | {"TRACKER_BASE_URL": url, "TRACKER_SYNC_TIMEOUT_S": "1.5"}
        )
    assert done.returncode == 0 and 1 < float(done.stdout.split()[-2]) < 8
    assert "left" in done.stderr.splitlines()[-1]


def test_what_was_left_is_sent_by_the_sender_of_a_later_run(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer, wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, f"{run_id}-1", 10, "wait", **environ)
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    os.kill(status_of(folder).pid, signal.SIGKILL)
    process.kill()
    process.wait()
    child_process.run(_TRAIN, f"{run_id}-2", 10, **environ)
    wait_until(lambda: has_all(module_server, folder, f"{run_id}-1"), 60)


def test_an_offline_run_is_sent_nowhere(folder: Path, run_id: str, environ: dict[str, str]) -> None:
    done = child_process.run(_TRAIN, run_id, 10, **environ | {"TRACKER_MODE": "offline"})
    assert done.stdout.splitlines()[0].endswith(" None") and "sent" not in done.stderr
    assert not (folder / "sync").exists()


@pytest.mark.parametrize(("url", "said"), [("", "no server is named"), ("tracker.example", "is no server's address")])
def test_a_server_that_cannot_be_one_is_said_and_the_run_is_kept(
    url: str, said: str, folder: Path, run_id: str, environ: dict[str, str]
) -> None:
    done = child_process.run(_TRAIN, run_id, 10, **environ | {"TRACKER_BASE_URL": url, "TRACKER_MODE": "online"})
    assert done.returncode == 0 and said in done.stderr
    assert list((folder / "runs" / "p" / run_id).glob("*.journal")) and not (folder / "sync").exists()


def test_a_forked_child_is_sent_too(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer, wait_until: Wait
) -> None:
    script = """
    import os, sys
    import tracker_core
    run = tracker_core.init(project="p", id=sys.argv[1] or None)
    run.log({"loss": 1.0})
    child = os.fork()
    if not child:
        run.log({"loss": 2.0})
        run.finish()
        os._exit(0)
    os.waitpid(child, 0)
    run.finish()
    """
    child_process.run_well(script, run_id, **environ)
    assert len(list(Path(run_folder(str(folder), "p", run_id)).glob("*.journal"))) == 2
    wait_until(lambda: has_all(module_server, folder, run_id), 60)


def test_where_no_process_can_be_started_a_thread_sends(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer
) -> None:
    script = "import sys\nsys.executable = None\n" + _TRAIN
    done = child_process.run(script, run_id, 100, **environ)
    assert done.returncode == 0 and "all sent" in done.stderr, done.stderr
    assert steps_of(copy_of(module_server, run_id)) == list(range(100))


def test_a_refused_key_is_said_once_with_the_remedy(
    folder: Path, run_id: str, environ: dict[str, str], wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, run_id, 10, "wait", **environ | {"TRACKER_API_KEY": "tk_wrong"})
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).state == "refused", 60)
    lines: list[str] = []
    stderr = process.stderr
    assert stderr is not None
    reading = threading.Thread(target=lambda: lines.extend(stderr), daemon=True)
    reading.start()
    wait_until(lambda: any("refuses the key (401)" in line for line in lines), 60)
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    process.wait(60)
    reading.join(60)
    assert len([line for line in lines if "Remedy: check TRACKER_API_KEY" in line]) == 1
    assert "tk_wrong" not in "".join(lines)


def test_a_sender_that_hears_sigterm_says_that_it_is_gone(
    folder: Path, run_id: str, environ: dict[str, str], wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, run_id, 10, "wait", **environ | {"TRACKER_HEARTBEAT_INTERVAL_S": "100"})
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    os.kill(status_of(folder).pid, signal.SIGTERM)
    wait_until(lambda: status_of(folder).pid == 0, 60)
    process.kill()
    process.wait()


def test_a_second_sender_of_a_folder_ends_at_once(
    folder: Path, run_id: str, environ: dict[str, str], module_server: TrackerServer, module_key: str, wait_until: Wait
) -> None:
    process = child_process.start(_TRAIN, run_id, 10, "wait", **environ)
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).pid, 60)
    pid = status_of(folder).pid
    job = {"folder": str(folder), "base_url": module_server.base_url, "api_key": module_key}
    second = subprocess.run(
        [sys.executable, "-m", "tracker_core.sync.sender_process"],
        input=json.dumps(job).encode(),
        cwd=child_process.REPOSITORY,
        capture_output=True,
        timeout=60,
    )
    assert second.returncode == 0 and not second.stderr
    process.communicate("go on\n", timeout=60)
    assert status_of(folder).pid in (pid, 0)


def test_waiting_at_the_end_is_short(folder: Path, run_id: str, environ: dict[str, str], wait_until: Wait) -> None:
    process = child_process.start(_TRAIN, run_id, 10, "wait", **environ | {"TRACKER_SYNC_INTERVAL_S": "30"})
    assert process.stdout and process.stdout.readline().startswith("ready")
    wait_until(lambda: status_of(folder).contact_ns, 60)
    began_s = time.monotonic()
    out, _ = process.communicate("go on\n", timeout=60)
    assert float(out.split()[-2]) < 10 and time.monotonic() - began_s < 20  # the sender is woken, not waited for
