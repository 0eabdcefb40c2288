"""A real server that is killed while artifacts are sent has no half version, keeps what it committed, gets the rest."""

from __future__ import annotations

import random
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import child_process
import pytest
from real_server import RealServer
from sent_journals import LocalJournal
from training import wait_until

from tests.server.artifact_places import contents_of, log, new_uid
from tracker_core.artifacts.open_source import open_local, open_remote
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import RunRef
from tracker_core.records import ArtifactLog
from tracker_core.sync.artifact_queue import note
from tracker_core.sync.sender import Sender

PROJECT = "killed"
N_FILES, FILE_BYTES = 20, 30_000


class Logging:
    """A run that logs versions, and the thread that sends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = LocalJournal(folder, "a", project=PROJECT)
        self.local = open_local(str(folder))
        self.uids: list[str] = []

    def log(self) -> str:
        """Log a version most of which is new."""
        uid, run_folder = new_uid(), str(self.folder / "runs" / PROJECT / "a")
        contents = {f"{number}.bin": secrets.token_bytes(FILE_BYTES) for number in range(N_FILES)}
        fields = {"uid": uid, "project": PROJECT, "name": "m", "type": "model", "digest": ""}
        note(run_folder, ArtifactLog(wall_time_ns=len(self.uids), size_bytes=N_FILES * FILE_BYTES, **fields))
        log(self.local, PROJECT, contents, uid=uid, logged_by=RunRef(PROJECT, "a"))
        self.uids.append(uid)
        return uid

    def check(self, there: ArtifactSource) -> int:
        """Check that every version that is there is so wholly; return how many there are."""
        found = there.collections(PROJECT).items and there.versions(PROJECT, "m").items
        for version in found:
            assert contents_of(there, version.uid) == contents_of(self.local, version.uid)
        assert [version.uid for version in reversed(found)] == self.uids[: len(found)], "in the order of logging"
        return len(found)


@contextmanager
def sending(folder: Path, server: RealServer) -> Iterator[Sender]:
    """Send from a thread, as the helper process does, with short waits and small requests."""
    sender = Sender(str(folder), server.url, server.key, first_wait_s=0.01, most_wait_s=0.1, interval_s=0.01)
    sender._artifacts._put_bytes = 100_000
    sender._artifacts._adapt = lambda _: None  # type: ignore[method-assign]
    end = threading.Event()

    def work() -> None:
        while not end.wait(min(sender.step(), 0.2)):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sender
    finally:
        end.set()
        thread.join()
        sender.close()


def kill_again_and_again(tmp_path: Path, n_kills: int, seed: int) -> None:
    draw = random.Random(seed)
    folder, there = tmp_path / "client" / ".tracker", tmp_path / "server" / ".tracker"
    (tmp_path / "server").mkdir()
    logging = Logging(folder)
    with RealServer(there) as server, closing(open_local(str(there))) as kept, sending(folder, server) as sender:
        for _ in range(n_kills):
            uid = logging.log()
            threading.Event().wait(draw.uniform(0.0, 0.8))
            server.kill()
            acked = [name for run in list(sender.followed.values()) for name in run.artifacts.acked]
            n_there = logging.check(kept)
            assert n_there >= len(acked), "what was committed is there"
            server.start()
        logging.journal.end()
        wait_until(lambda: _is_committed(kept, uid) and not sender.left_bytes, timeout_s=120)
        assert logging.check(kept) == n_kills
        with closing(open_remote(server.url, server.key)) as remote:
            assert contents_of(remote, uid) == contents_of(logging.local, uid)
    logging.local.close()


def _is_committed(there: ArtifactSource, uid: str) -> bool:
    return any(uid == version.uid for _, version in there.of_run(RunRef(PROJECT, "a")))


@pytest.mark.fault("F32")
def test_a_server_killed_while_artifacts_are_sent(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 2, seed=1)


@pytest.mark.long
@pytest.mark.fault("F32")
@pytest.mark.parametrize("seed", range(4))
def test_a_server_killed_over_and_over_while_artifacts_are_sent(tmp_path: Path, seed: int) -> None:
    kill_again_and_again(tmp_path, 20, seed)


@pytest.mark.fault("F32")
@pytest.mark.parametrize(
    ("calls", "when"),
    [
        ("rename,renameat,renameat2", 2),
        pytest.param("fsync", 6, marks=pytest.mark.long),
        pytest.param("fsync", 20, marks=pytest.mark.long),
        pytest.param("write,pwrite64", 12, marks=pytest.mark.long),
    ],
)
def test_a_server_killed_at_a_system_call_while_artifacts_are_sent(tmp_path: Path, calls: str, when: int) -> None:
    folder, there = tmp_path / "client" / ".tracker", tmp_path / "server" / ".tracker"
    (tmp_path / "server").mkdir()
    logging = Logging(folder)
    with RealServer(there) as server, closing(open_local(str(there))) as kept:
        assert server.process is not None
        prefix = child_process.strace_prefix(f"{calls}:signal=SIGKILL:when={when}")
        tracer = subprocess.Popen([*prefix, "-p", str(server.process.pid)])
        with sending(folder, server) as sender:
            for _ in range(3):
                logging.log()
            wait_until(lambda: tracer.poll() is not None or not sender.left_bytes, timeout_s=60)
            if server.process.poll() is None and tracer.poll() is not None:
                wait_until(lambda: server.process is None or server.process.poll() is not None, timeout_s=5)
            server.kill()
            tracer.wait()
            logging.check(kept)
            server.start()
            logging.journal.end()
            wait_until(lambda: _is_committed(kept, logging.uids[-1]) and not sender.left_bytes, timeout_s=120)
            assert logging.check(kept) == 3
    logging.local.close()


TRAIN = """
import sys, os, signal
import tracker_core
run = tracker_core.init(project="trained", id="a", dir=sys.argv[1])
artifact = tracker_core.Artifact("weights", "model", metadata={"n": 1})
with artifact.new_file("w.bin", "wb") as file:
    file.write(bytes(range(256)) * 4000)
logged = run.log_artifact(artifact, aliases=["best"])
logged.wait()
run.log({"loss": 1.0})
print(logged.version, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
run.finish()
"""


@pytest.mark.fault("F1", "F25")
@pytest.mark.parametrize("end", ["killed", pytest.param("finished", marks=pytest.mark.long)])
def test_what_a_training_logged_arrives_whatever_its_end(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "client" / ".tracker"
    (tmp_path / "server").mkdir()
    with RealServer(tmp_path / "server" / ".tracker") as server, closing(open_remote(server.url, server.key)) as there:
        environ = {"TRACKER_BASE_URL": server.url, "TRACKER_API_KEY": server.key, "TRACKER_SYNC_INTERVAL_S": "0.1"}
        environ["TRACKER_SYNC_TIMEOUT_S"] = "100"
        process = child_process.start(TRAIN, str(folder), end, **environ)
        stdout, stderr = process.communicate(timeout=120)
        assert stdout.startswith("v0"), stderr
        if end == "finished":
            assert process.returncode == 0, stderr
            assert there.resolve("trained", "weights", "best").metadata == {"n": 1}, "finish has waited for it"
        wait_until(lambda: there.of_run(RunRef("trained", "a")), timeout_s=60)
        (found,) = there.versions("trained", "weights").items
        assert contents_of(there, found.uid) == {"w.bin": bytes(range(256)) * 4000}


@pytest.mark.fault("F25")
def test_what_was_logged_offline_is_sent_later(tmp_path: Path) -> None:
    folder = tmp_path / "client" / ".tracker"
    (tmp_path / "server").mkdir()
    process = child_process.start(TRAIN, str(folder), "finished")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    with RealServer(tmp_path / "server" / ".tracker") as server, closing(open_remote(server.url, server.key)) as there:
        environ = child_process.environment(TRACKER_BASE_URL=server.url, TRACKER_API_KEY=server.key)
        command = [sys.executable, "-m", "tracker_server.cli", "sync", str(folder)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert there.resolve("trained", "weights", "best").version == "v0"
