"""Whatever the network does, the server ends with the versions that runs logged and used, and no others."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_proxy import LOST_REPLY, NONE, Fault, Request, portal, status
from sent_journals import LocalJournal
from sync_world import World

from tests.server.artifact_places import contents_of, log, new_uid
from tracker_core.artifacts.open_source import open_local
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import RunRef, VersionEdit, VersionInfo
from tracker_core.paths import project_dir_name
from tracker_core.records import ArtifactLog, ArtifactUse
from tracker_core.sync.artifact_queue import note
from tracker_core.sync.sync_state import acked_of_run, left_bytes, unsent_artifacts
from tracker_server.artifacts.local_artifacts import LocalArtifacts
from tracker_server.catalog.decisions import By, CatalogError

CALLS = "/api/v1/exact/artifacts/"


class Training:
    """A run that logs and uses artifacts in a folder, and its sender."""

    def __init__(self, world: World, folder: Path, project: str, run: str = "a") -> None:
        self.world, self.folder, self.project, self.run = world, folder, project, RunRef(project, run)
        self.journal = LocalJournal(folder, run, project=project)
        self.local = open_local(str(folder))
        self.sender = world.new_sender(folder)
        self._now_ns = self.journal.n_rows

    @property
    def run_folder(self) -> str:
        return str(self.folder / "runs" / project_dir_name(self.project) / self.run.run)

    def log(self, contents: dict[str, bytes], name: str = "m", is_committed: bool = True, **fields: object) -> str:
        """Log a version as a run does: note it, put it into the journal, commit it; return its uid."""
        uid, chunk_bytes = new_uid(), 1000
        size = sum(map(len, contents.values()))
        self._note_log(uid, name, size, fields.get("aliases", []))
        if is_committed:
            log(self.local, self.project, contents, name, chunk_bytes, uid=uid, logged_by=self.run, **fields)
        return uid

    def _note_log(self, uid: str, name: str, size: int, aliases: object, **more: object) -> None:
        record = {"uid": uid, "project": self.project, "name": name, "type": "model", "digest": "", "aliases": aliases}
        self._note(ArtifactLog(wall_time_ns=self._tick(), size_bytes=size, **record, **more))  # type: ignore[arg-type]

    def link(self, uid: str, aliases: list[str], links: list[tuple[str, list[str]]], name: str = "m") -> None:
        """Say more of a version that was logged."""
        self._note_log(uid, name, self.local.version(uid).size_bytes, aliases, links=links)

    def use(self, uid: str, project: str | None = None, used_as: str = "") -> None:
        record = {"uid": uid, "project": project or self.project, "name": "m", "type": "model", "digest": ""}
        self._note(ArtifactUse(wall_time_ns=self._tick(), used_as=used_as, **record))

    def _note(self, record: ArtifactLog | ArtifactUse) -> None:
        note(self.run_folder, record)
        self.journal.put(record)

    def _tick(self) -> int:
        self._now_ns += 1
        return self._now_ns

    def step(self, n_steps: int = 1) -> None:
        for _ in range(n_steps):
            self.sender.wake()
            self.world.step(self.sender)

    def must_arrive(self) -> None:
        """Let the network recover and the run end; everything is sent."""
        self.world.proxy.heal()
        self.world.start_server()
        if not self.journal.is_closed:
            self.journal.end()
        self.world.drain(self.sender)
        assert self.left_bytes() == 0 and unsent_artifacts(str(self.folder)) == set()

    def left_bytes(self) -> int:
        acked = acked_of_run(self.sender.sync_folder, (project_dir_name(self.project), self.run.run))
        return left_bytes(self.run_folder, acked)

    def close(self) -> None:
        self.sender.close()
        self.local.close()


@pytest.fixture
def training(world: World, folder: Path) -> Iterator[Training]:
    made = Training(world, folder, f"p{secrets.token_hex(4)}")
    world.proxy.seen.clear()
    yield made
    made.close()
    world.proxy.heal()
    world.start_server()


@pytest.fixture
def there(world: World) -> Iterator[LocalArtifacts]:
    """What the server has."""
    source = open_local(str(world.folder))
    assert isinstance(source, LocalArtifacts)
    yield source
    source.close()


def calls_of(world: World) -> list[str]:
    return [one.path.removeprefix(CALLS).partition("?")[0] for one in world.proxy.seen if one.path.startswith(CALLS)]


def put_bytes(world: World) -> int:
    return sum(len(one.body) for one in world.proxy.seen if one.path.startswith(f"{CALLS}put"))


def same(training: Training, there: LocalArtifacts, uid: str) -> VersionInfo:
    """Check that a version is on the server as it is here; return it."""
    mine, found = training.local.version(uid), there.version(uid)
    assert (found.digest, found.name, found.type, found.metadata) == (mine.digest, mine.name, mine.type, mine.metadata)
    assert (found.tags, found.description, found.created_ns) == (mine.tags, mine.description, mine.created_ns)
    assert contents_of(there, uid) == contents_of(training.local, uid)
    return found


# -- what is sent


def test_what_a_run_logged_and_used_is_sent(training: Training, there: LocalArtifacts) -> None:
    data = training.log({"d": secrets.token_bytes(5000)}, "data", aliases=["best"], tags=["t"], metadata={"x": 1})
    training.use(data, used_as="training set")
    model = training.log({"a/b": secrets.token_bytes(50_000), "c": b""}, description="a model")
    assert training.left_bytes() > 55_000
    training.step(2)
    assert training.sender.status.bytes_left == 0 and training.left_bytes() <= 1000
    found = same(training, there, data)
    assert (found.aliases, found.logged_by, found.version) == (["best", "latest"], training.run, "v0")
    same(training, there, model)
    edges = {(use.uid, use.is_output, use.used_as) for use, _ in there.of_run(training.run)}
    assert edges == {(data, True, ""), (data, False, "training set"), (model, True, "")}
    training.must_arrive()
    training.world.proxy.seen.clear()
    training.sender = training.world.new_sender(training.folder)
    training.step(2)
    assert calls_of(training.world) == [], "what is there is not sent again, by another sender either"


def test_only_what_is_new_of_a_version_is_sent(training: Training, there: LocalArtifacts) -> None:
    content = bytearray(secrets.token_bytes(200_000))
    training.log({"a": bytes(content)})
    training.step(2)
    assert put_bytes(training.world) > 200_000
    training.world.proxy.seen.clear()
    content[50_000:60_000] = secrets.token_bytes(10_000)
    second = training.log({"a": bytes(content), "again": bytes(content)})
    training.must_arrive()
    assert 10_000 <= put_bytes(training.world) < 15_000
    assert same(training, there, second).version == "v1"


def test_versions_of_a_name_come_in_the_order_in_which_they_were_logged(
    training: Training, there: LocalArtifacts
) -> None:
    contents = [b"one", b"two", b"three", b"one"]
    uids = [training.log({"a": content}) for content in contents]
    others = [training.log({"a": b"%d" % number}, f"name{number}") for number in range(3)]
    training.world.proxy.add(*[NONE, status(503), LOST_REPLY] * 10)
    training.must_arrive()
    assert [there.version(uid).version for uid in uids] == ["v0", "v1", "v2", "v0"]
    assert there.resolve(training.project, "m").version == "v0", "the content logged last is the latest"
    assert all(there.version(uid).version == "v0" for uid in others)


def test_links_and_aliases_given_later_are_sent(training: Training, there: LocalArtifacts) -> None:
    uid, model = training.log({"a": b"one"}), f"model-{training.project}"
    training.step(2)
    training.local.edit(uid, VersionEdit(add_aliases=["best"]))
    training.link(uid, ["best"], [(model, ["staging"])])
    assert training.left_bytes() > 0
    training.must_arrive()
    assert there.version(uid).aliases == ["best", "latest"]
    assert there.resolve_linked(model, "staging").version.uid == uid
    assert len(there.versions(training.project, "m").items) == 1


def test_a_version_used_offline_is_sent_with_its_use(training: Training, there: LocalArtifacts) -> None:
    """It was put into the folder by no run that is sent."""
    version = log(training.local, training.project, {"d": b"data"}, "data")
    training.use(version.uid)
    training.must_arrive()
    assert same(training, there, version.uid).logged_by is None
    assert [use.run for use in there.users(version.uid)] == [training.run]


def test_the_use_of_a_version_of_the_server_is_an_edge(training: Training, there: LocalArtifacts) -> None:
    version = log(there, f"other-{training.project}", {"d": b"data"}, "data")
    training.use(version.uid, version.project)
    training.use(new_uid())
    training.must_arrive()
    assert [use.run for use in there.users(version.uid)] == [training.run]
    assert "begin_upload" not in calls_of(training.world)


def test_the_same_content_from_two_folders_is_one_version(
    world: World, training: Training, there: LocalArtifacts, tmp_path: Path
) -> None:
    other = Training(world, tmp_path / "other" / ".tracker", training.project, "b")
    try:
        mine, theirs = training.log({"a": b"same"}), other.log({"a": b"same"}, aliases=["theirs"])
        own = other.log({"a": b"own"})
        for _ in range(3):
            training.step()
            other.step()
        training.must_arrive()
        other.must_arrive()
        assert there.version(mine) == there.version(theirs) and there.version(own).version == "v1"
        assert there.version(mine).aliases == ["theirs"]
        assert {use.run for use in there.users(mine)} == {training.run, other.run}
        assert other.local.version(own).version == "v1" and other.local.version(theirs).version == "v0"
    finally:
        other.close()


# -- what is not there yet, or no more


def test_a_version_that_is_not_committed_yet_is_waited_for(training: Training, there: LocalArtifacts) -> None:
    uid = training.log({"a": b"one"}, is_committed=False)
    later = training.log({"a": b"two"}, "other")
    training.step(3)
    assert training.sender.has_left and training.sender.status.state == "ok" and not training.sender.status.troubles
    assert there.version(later).version == "v0", "nothing else waits for it"
    log(training.local, training.project, {"a": b"one"}, uid=uid)
    training.must_arrive()
    same(training, there, uid)


def test_a_version_that_was_never_committed_is_not_waited_for_after_the_run(
    training: Training, there: LocalArtifacts
) -> None:
    training.log({"a": b"one"}, is_committed=False)
    training.must_arrive()
    assert there.of_run(training.run) == []


def test_a_version_deleted_before_it_was_sent_is_not_sent(training: Training, there: LocalArtifacts) -> None:
    uid = training.log({"a": b"one"})
    training.log({"a": b"two"})
    training.local.delete([uid])
    training.step(2)
    assert training.sender.status.bytes_left == 0
    training.must_arrive()
    assert [one.version for one in there.versions(training.project, "m").items] == ["v0"]


def test_a_version_whose_commit_failed_holds_back_no_later_one(training: Training, there: LocalArtifacts) -> None:
    failed = training.log({"a": b"one"}, is_committed=False)
    later = [training.log({"a": b"%d" % number}) for number in (2, 3)]
    training.step(3)
    assert [there.version(uid).version for uid in later] == ["v0", "v1"], "while the run is live"
    training.must_arrive()
    assert {version.uid for version in there.versions(training.project, "m").items} == set(later) - {failed}


def test_a_version_that_was_committed_late_comes_before_those_behind_it(
    training: Training, there: LocalArtifacts
) -> None:
    first = training.log({"a": b"one"}, is_committed=False)
    training.step(2)
    log(training.local, training.project, {"a": b"one"}, uid=first)
    second = training.log({"a": b"two"})
    training.step()
    training.must_arrive()
    assert [there.version(uid).version for uid in (first, second)] == ["v0", "v1"]


# -- faults


@pytest.mark.fault("F26", "F27", "F28")
@pytest.mark.parametrize(
    "faults",
    [
        [LOST_REPLY, LOST_REPLY],
        [Fault(request_bytes=300), Fault(request_bytes=60_000)],
        [status(503), status(500), status(502)],
        [Fault(copies=2)],
        [Fault(reply_bytes=60), portal()],
    ],
    ids=["lost replies", "cut off", "5xx", "twice", "broken replies"],
)
def test_faults_of_every_request_of_an_upload(training: Training, there: LocalArtifacts, faults: list[Fault]) -> None:
    data = training.log({"a": secrets.token_bytes(100_000)})
    training.use(data)
    left: dict[str, list[Fault]] = {}

    def rule(request: Request) -> Fault:
        path = request.path.partition("?")[0]
        waiting = left.setdefault(path, list(faults)) if path.startswith(CALLS) else []
        return waiting.pop(0) if waiting else NONE

    training.world.proxy.rule = rule
    for _ in range(150):  # waits are drawn at random
        training.step()
        training.world.clock.ahead_s += 10
        if not training.sender.left_bytes:
            break
    assert {path.removeprefix(CALLS) for path in left} >= {"version", "begin_upload", "missing", "put", "commit"}
    training.must_arrive()
    assert same(training, there, data).version == "v0"
    assert len(there.versions(training.project, "m").items) == 1
    assert {use.is_output for use in there.users(data)} == {True, False}


@pytest.mark.fault("F25", "F27")
def test_an_upload_that_breaks_off_goes_on_where_it_ended(training: Training, there: LocalArtifacts) -> None:
    training.sender._artifacts._put_bytes = 100_000
    training.sender._artifacts._adapt = lambda _: None  # type: ignore[method-assign]
    uid = training.log({"a": secrets.token_bytes(1_000_000)})
    n_put = 0

    def rule(request: Request) -> Fault:
        nonlocal n_put
        n_put += request.path.startswith(f"{CALLS}put")
        return NONE if n_put < 6 else Fault(request_bytes=50)

    training.world.proxy.rule = rule
    training.step(3)
    assert training.sender.left_bytes >= 400_000
    training.sender.close()  # killed, and started again
    training.world.proxy.heal()
    training.world.proxy.seen.clear()
    training.sender = training.world.new_sender(training.folder)
    training.must_arrive()
    assert 400_000 < put_bytes(training.world) < 650_000, "what was there was not sent again"
    same(training, there, uid)


@pytest.mark.fault("F25", "F26")
@pytest.mark.parametrize("code", [429, 500, 503])
def test_trouble_with_artifacts_holds_up_no_rows(training: Training, there: LocalArtifacts, code: int) -> None:
    uid = training.log({"a": secrets.token_bytes(10_000)})
    training.world.proxy.rule = lambda one: status(code) if one.path.startswith(CALLS) else NONE
    for _ in range(4):
        training.journal.log(50)
        training.step()
        training.world.clock.ahead_s += 10
        assert training.sender.status.state == "ok"
        assert training.sender.left_bytes >= 10_000
        followed = next(iter(training.sender.followed.values()))
        assert all(journal.left_bytes == 0 for journal in followed.journals.values()), "all rows are there"
    assert "artifact" in training.sender.status.troubles[f"{training.project}/a"]
    training.must_arrive()
    same(training, there, uid)


def folder_away(training: Training) -> None:
    def work() -> ArtifactSource:
        raise CatalogError("catalog", "a lock", "none", "wait")

    training.sender._artifacts._open_local = work


@pytest.mark.fault("F26", "F27")
@pytest.mark.parametrize("trouble", [portal(), status(401), None], ids=["a portal", "a wrong key", "the own catalog"])
def test_a_version_is_sent_after_long_trouble_that_passes(
    training: Training, there: LocalArtifacts, trouble: Fault | None
) -> None:
    uid = training.log({"a": b"one"})
    open_local_before = training.sender._artifacts._open_local
    if trouble is None:
        folder_away(training)
    else:
        training.world.proxy.rule = lambda one: trouble if one.path.startswith(CALLS) else NONE
    for _ in range(20):
        training.step()
        training.world.clock.ahead_s += 130
    assert training.sender.left_bytes >= 3, "it is not given up"
    assert "artifact" in training.sender.status.troubles[f"{training.project}/a"]
    training.sender._artifacts._open_local = open_local_before
    training.must_arrive()
    same(training, there, uid)


@pytest.mark.fault("F26")
def test_what_fails_after_it_was_asked_for_what_is_there_waits_longer_each_time(
    training: Training, there: LocalArtifacts
) -> None:
    uid = training.log({"a": b"one"})
    training.world.proxy.rule = lambda one: portal() if one.path.startswith(f"{CALLS}commit") else NONE
    for _ in range(8):
        training.step()
        training.world.clock.ahead_s += 130
    (item,) = training.sender._artifacts._items.values()
    assert item.backoff.n_failures > 3
    assert "artifact" in training.sender.status.troubles[f"{training.project}/a"]
    training.must_arrive()
    same(training, there, uid)


@pytest.mark.fault("F26")
def test_a_version_that_the_server_refuses_stops_no_other(training: Training, there: LocalArtifacts) -> None:
    log(there, training.project, {"a": b"theirs"}, "m", type="dataset")
    training.log({"a": b"one"})
    other = training.log({"a": b"two"}, "other")
    training.step(3)
    trouble = training.sender.status.troubles[f"{training.project}/a"]
    assert "dataset" in trouble and "model" in trouble
    same(training, there, other)
    assert [one.version for one in there.versions(training.project, "m").items] == ["v0"]


@pytest.mark.fault("F26")
def test_a_key_that_may_not_read_what_was_used_is_said(world: World, training: Training, there: LocalArtifacts) -> None:
    assert world._server is not None
    key, _ = world._server.keys.create(training.project, "write", training.project, By("test", 1))
    version = log(training.local, f"other-{training.project}", {"d": b"data"}, "data")
    training.use(version.uid, version.project)
    uid = training.log({"a": b"one"})
    training.sender.close()
    admin_key, world.key = world.key, key
    try:
        training.sender = world.new_sender(training.folder)
        training.step(3)
    finally:
        world.key = admin_key
    assert "may not" in training.sender.status.troubles[f"{training.project}/a"]
    same(training, there, uid)


@pytest.mark.fault("F26")
def test_chunks_go_in_smaller_requests_where_a_proxy_takes_no_larger_ones(
    training: Training, there: LocalArtifacts
) -> None:
    uid = training.log({"a": secrets.token_bytes(100_000)})

    def rule(request: Request) -> Fault:
        is_large = request.path.startswith(f"{CALLS}put") and len(request.body) > 30_000
        return status(413) if is_large else NONE

    training.world.proxy.rule = rule
    training.step(3)
    same(training, there, uid)
    training.world.proxy.rule = lambda one: status(413) if one.path.startswith(f"{CALLS}put") else NONE
    training.log({"b": secrets.token_bytes(100)})
    training.step(2)
    assert "413" in training.sender.status.troubles[f"{training.project}/a"]
    assert "client_max_body_size" in training.sender.status.troubles[f"{training.project}/a"]


@pytest.mark.fault("F25")
def test_a_server_that_goes_and_comes_back(training: Training, there: LocalArtifacts) -> None:
    uids = []
    for number in range(3):
        uids.append(training.log({"a": b"%d" % number + secrets.token_bytes(20_000)}))
        training.step()
        training.world.hide_server()
        uids.append(training.log({"b": b"%d" % number}))
        training.step(2)
        training.world.start_server()
        training.world.clock.ahead_s += 120
    training.must_arrive()
    assert [same(training, there, uid).ordinal for uid in uids] == list(range(6))


@pytest.mark.fault("F32")
def test_a_server_restored_from_a_backup_gets_again_what_it_lost(
    world: World, training: Training, tmp_path: Path
) -> None:
    world.stop_server()
    shutil.copytree(world.folder, tmp_path / "backup")
    world.start_server()
    uid = training.log({"a": secrets.token_bytes(3000)})
    training.step(3)
    assert not training.sender.left_bytes
    world.stop_server()
    shutil.rmtree(world.folder)
    shutil.copytree(tmp_path / "backup", world.folder)
    world.start_server()
    training.journal.log(5)
    training.must_arrive()
    source = open_local(str(world.folder))
    assert contents_of(source, uid) == contents_of(training.local, uid)
    source.close()


def test_the_edge_of_a_use_waits_for_the_version(training: Training, there: LocalArtifacts) -> None:
    uid = training.log({"a": b"one"}, is_committed=False)
    training.use(uid)
    training.step(2)
    log(training.local, training.project, {"a": b"one"}, uid=uid)
    training.must_arrive()
    assert {(use.uid, use.is_output) for use, _ in there.of_run(training.run)} == {(uid, True), (uid, False)}


def test_notes_that_are_none_are_told_and_stop_nothing(training: Training, there: LocalArtifacts) -> None:
    uid = training.log({"a": b"one"})
    notes = Path(training.run_folder) / "artifacts"
    (notes / "readme.txt").write_text("hello")
    (notes / f"{new_uid()}.5.00000000.log").write_bytes(b"nothing")
    training.step(3)
    assert "cannot be read" in training.sender.status.troubles[f"{training.project}/a"]
    same(training, there, uid)
