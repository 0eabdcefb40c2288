"""Who may do what with artifacts and the registry: every call, every kind of key, its own project and another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tracker_core.artifacts.open_source import open_remote
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import Retention, RunRef, Use, VersionEdit
from tracker_core.errors import NotFoundError, TrackerError, UsageError
from tracker_core.remote.server_errors import NotPermittedError, WrongKeyError
from tracker_server.catalog.decisions import By
from tracker_server.http.server import TrackerServer, run_server_in_background
from tracker_server.remote.artifact_wire import CALLS

from .artifact_places import Files, chunk_of, log, new_name, new_uid, new_version

OPEN, SECRET = "open", "secret"
KEYS: list[tuple[str, str | None]] = [
    ("read", OPEN),
    ("write", OPEN),
    ("read", SECRET),
    ("write", SECRET),
    ("read", None),
    ("write", None),
    ("admin", None),
]
# What each kind of key may do, written out once more: the code's own rule is not asked here.
MAY = {"read": {"read"}, "write": {"read", "write", "change"}, "admin": {"read", "write", "change"}}


@dataclass
class Thing:
    """A version with all that is around it, made anew for each call."""

    project: str
    uid: str
    name: str
    model: str
    number: int
    lease: str
    run: RunRef
    files: Files


@dataclass(frozen=True)
class Asked:
    """A call: what it takes, and how something that may not be seen is named: by its project, or by itself."""

    action: str
    ask: Callable[[ArtifactSource, Thing], Any]
    by_project: bool = False
    of_all: bool = False


READS = {
    "types": Asked("read", lambda s, t: s.types(t.project), by_project=True),
    "collections": Asked("read", lambda s, t: s.collections(t.project), by_project=True),
    "collection": Asked("read", lambda s, t: s.collection(t.project, t.name), by_project=True),
    "versions": Asked("read", lambda s, t: s.versions(t.project, t.name), by_project=True),
    "version": Asked("read", lambda s, t: s.version(t.uid)),
    "resolve": Asked("read", lambda s, t: s.resolve(t.project, t.name), by_project=True),
    "manifest": Asked("read", lambda s, t: s.manifest(t.uid)),
    "read": Asked("read", lambda s, t: list(s.read(t.uid, [t.files.pieces[0][0]]))),
    "usage": Asked("read", lambda s, t: s.usage(t.project), by_project=True),
    "of_run": Asked("read", lambda s, t: s.of_run(t.run), by_project=True),
    "users": Asked("read", lambda s, t: s.users(t.uid)),
    "lineage": Asked("read", lambda s, t: s.lineage(f"version:{t.uid}")),
    "model": Asked("read", lambda s, t: s.model(t.model)),
    "linked": Asked("read", lambda s, t: s.linked(t.model)),
    "resolve_linked": Asked("read", lambda s, t: s.resolve_linked(t.model, f"v{t.number}")),
    "audit": Asked("read", lambda s, t: s.audit(t.model)),
}
WRITES = {
    "begin_upload": Asked("write", lambda s, t: s.begin_upload(t.project), by_project=True),
    "missing": Asked("write", lambda s, t: s.missing(t.lease, [t.files.pieces[0][0]])),
    "put": Asked("write", lambda s, t: s.put(t.lease, t.files.pieces)),
    "commit": Asked("write", lambda s, t: s.commit(new_version(t.lease, t.files, t.project, t.name)), by_project=True),
    "add_uses": Asked("write", lambda s, t: s.add_uses([Use(t.uid, t.run, 1)]), by_project=True),
}
CHANGES = {
    "edit": Asked("change", lambda s, t: s.edit(t.uid, VersionEdit(tags=["x"]))),
    "delete": Asked("change", lambda s, t: s.delete([t.uid], delete_aliases=True)),
    "delete_collection": Asked("change", lambda s, t: s.delete_collection(t.project, t.name), by_project=True),
    "describe": Asked("change", lambda s, t: s.describe(t.project, t.name, "x"), by_project=True),
    "set_retention": Asked("change", lambda s, t: s.set_retention(t.project, t.name, Retention(3)), by_project=True),
    "link": Asked("change", lambda s, t: s.link(t.model, t.uid, ["x"])),
    "set_model_aliases": Asked("change", lambda s, t: s.set_model_aliases(t.model, t.number, ["x"])),
    "unlink": Asked("change", lambda s, t: s.unlink(t.model, t.number)),
    "set_card": Asked("change", lambda s, t: s.set_card(t.model, "x"), of_all=True),
    "delete_model": Asked("change", lambda s, t: s.delete_model(t.model), of_all=True),
}
EVERY = {**READS, **WRITES, **CHANGES}
# These name nothing: what comes is only what may be seen; and nothing is said of uploads that are not there.
ONLY_FILTERED = {"projects", "models", "end_upload"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerServer]:
    running = run_server_in_background(tmp_path_factory.mktemp("permissions") / "server")
    yield running
    running.close()


@pytest.fixture(scope="module")
def sources(server: TrackerServer) -> Iterator[dict[tuple[str, str | None], ArtifactSource]]:
    me = By("test", time.time_ns())
    found = {}
    for scope, project in KEYS:
        key, _ = server.keys.create(f"{scope} {project}", scope, project, me)
        found[scope, project] = open_remote(server.base_url, key, pauses_s=())
    yield found
    for source in found.values():
        source.close()


@pytest.fixture(scope="module")
def admin(sources: dict[tuple[str, str | None], ArtifactSource]) -> ArtifactSource:
    return sources["admin", None]


def make(admin: ArtifactSource, project: str, is_linked: bool = True) -> Thing:
    name, run = new_name("name"), RunRef(project, new_name("run"))
    files = Files({"a": name.encode()})
    lease = admin.begin_upload(project)
    admin.put(lease, files.pieces)
    version = admin.commit(new_version(lease, files, project, name, logged_by=run))
    model = new_name("model")
    number = admin.link(model, version.uid).number if is_linked else -1
    return Thing(project, version.uid, name, model, number, lease, run, files)


@pytest.fixture(scope="module")
def things(admin: ArtifactSource) -> dict[str, Thing]:
    """A thing of each project, which stays."""
    return {project: make(admin, project) for project in (OPEN, SECRET)}


def expected(asked: Asked, scope: str, of: str | None, project: str) -> type[Exception] | None:
    if asked.action not in MAY[scope]:
        return NotPermittedError
    if asked.of_all:
        return None if of is None else NotPermittedError
    if of in (None, project):
        return None
    return NotPermittedError if asked.by_project else NotFoundError


def test_every_call_is_tried(server: TrackerServer) -> None:
    assert EVERY.keys() | ONLY_FILTERED == CALLS.keys() | {"put"}
    paths = {route.path for route in server.app.state.declared}
    assert {path.rpartition("/")[2] for path in paths if "/exact/artifacts/" in path} == CALLS.keys() | {"put"}


@pytest.mark.parametrize("name", EVERY)
def test_the_matrix_of_calls_and_keys(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource, things: dict[str, Thing], name: str
) -> None:
    asked = EVERY[name]
    wrong = []
    for (scope, of), source in sources.items():
        for project in (OPEN, SECRET):
            thing = things[project]
            want = expected(asked, scope, of, project)
            if want is None and name in ("delete", "delete_collection", "unlink", "delete_model"):
                thing = make(admin, project, is_linked=name in ("unlink", "delete_model"))
            got = trouble(asked, source, thing)
            if (type(got) if got else None) is not want:
                wrong.append(f"{name} of {project} as {scope} {of}: {got!r}, not {want}")
    assert not wrong, "\n".join(wrong)


def trouble(asked: Asked, source: ArtifactSource, thing: Thing) -> Exception | None:
    try:
        asked.ask(source, thing)
    except (TrackerError, LookupError, OSError) as error:
        return error
    return None


def test_nobody_without_a_key_asks_anything(server: TrackerServer) -> None:
    for key in (None, "tk_" + "0" * 36):
        source = open_remote(server.base_url, key, pauses_s=())
        for call, argument in ((source.version, new_uid()), (source.begin_upload, OPEN), (source.models, "")):
            with pytest.raises(WrongKeyError):
                call(argument)
        source.close()


def test_lists_hold_only_what_the_key_may_see(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource
) -> None:
    mine, other = make(admin, OPEN), make(admin, SECRET)
    source = sources["read", OPEN]
    assert source.projects() == [OPEN]
    assert {one.project for one in source.collections().items} == {OPEN}
    assert [one.project for one in source.usage()] == [OPEN]
    models = {one.name for one in source.models()}
    assert mine.model in models and other.model not in models
    assert other.model not in {entry.model for entry in source.audit()}
    assert {entry.action for entry in source.audit(mine.model)} == {"link"}
    assert {entry.version for entry in source.audit()} >= {mine.number}
    assert SECRET in admin.projects() and other.model in {one.name for one in admin.models()}


def test_lineage_ends_where_another_project_begins(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource
) -> None:
    mine, other = make(admin, OPEN), make(admin, SECRET)
    between, behind = RunRef(SECRET, new_name("run")), RunRef(OPEN, new_name("run"))
    hidden = log(admin, SECRET, {"h": other.name.encode()}, name=new_name("hidden"), logged_by=between)
    admin.add_uses([Use(mine.uid, between, 1), Use(hidden.uid, behind, 2)])
    source = sources["read", OPEN]
    assert {node.id for node in admin.lineage(f"version:{mine.uid}").nodes} >= {
        f"version:{hidden.uid}",
        f"run:{behind.project}/{behind.run}",
    }
    found = source.lineage(f"version:{mine.uid}")
    assert {node.id for node in found.nodes} == {f"version:{mine.uid}", f"run:{OPEN}/{mine.run.run}"}
    assert found.edges == [(f"run:{OPEN}/{mine.run.run}", f"version:{mine.uid}")]
    assert [use.run for use in source.users(mine.uid)] == [mine.run]
    assert source.of_run(behind) == []
    with pytest.raises(NotFoundError):
        source.lineage(f"run:{SECRET}/{between.run}")


def test_the_run_that_logged_a_version_is_not_named_to_who_may_not_see_it(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource
) -> None:
    name = new_name("name")
    version = log(admin, OPEN, {"a": name.encode()}, name=name, logged_by=RunRef(SECRET, "hidden-run"))
    admin.link(name, version.uid)
    source = sources["read", OPEN]
    assert version.logged_by == RunRef(SECRET, "hidden-run")
    for found in (
        source.version(version.uid),
        source.resolve(OPEN, name),
        source.collection(OPEN, name).latest,
        source.versions(OPEN, name).items[0],
        source.linked(name)[0].version,
        source.lineage(f"version:{version.uid}").nodes[0].version,
    ):
        assert found is not None and found.logged_by is None


def test_a_model_of_several_projects_shows_each_its_own(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource
) -> None:
    mine, other = make(admin, OPEN), make(admin, SECRET)
    model = new_name("shared")
    first = admin.link(model, mine.uid, ["staging"])
    second = admin.link(model, other.uid, ["production"])
    reader, writer = sources["read", OPEN], sources["write", OPEN]
    found = reader.model(model)
    assert (found.n_versions, found.aliases) == (1, {"staging": first.number})
    assert found.latest is not None and found.latest.number == first.number
    assert reader.resolve_linked(model).number == first.number
    with pytest.raises(NotFoundError):
        reader.resolve_linked(model, "production")
    with pytest.raises(NotFoundError):
        writer.unlink(model, second.number)
    for take in (
        lambda: writer.set_model_aliases(model, first.number, add=["production"]),
        lambda: writer.link(model, mine.uid, ["production"]),
    ):
        with pytest.raises(NotPermittedError):  # it would take the alias off the other project's version
            take()
    assert admin.resolve_linked(model, "production").number == second.number
    assert writer.set_model_aliases(model, first.number, add=["candidate"]).aliases == ["candidate", "staging"]


def test_the_audit_of_a_model_that_was_deleted_is_not_that_of_the_next_of_its_name(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource
) -> None:
    mine, other = make(admin, OPEN), make(admin, SECRET)
    model = new_name("again")
    admin.link(model, other.uid, ["production"], why="hush")
    admin.delete_model(model)
    admin.link(model, mine.uid, ["staging"])
    reader = sources["read", OPEN]
    assert [entry.action for entry in reader.audit(model)] == ["link", "set alias"]
    of_all = [entry for entry in reader.audit() if entry.model == model]
    assert of_all == reader.audit(model) and "hush" not in repr(of_all) and other.name not in repr(of_all)
    assert {entry.why for entry in admin.audit(model)} >= {"hush"}


def test_nothing_of_another_project_is_committed_or_referenced(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource
) -> None:
    secret = b"the bytes of another project"
    hidden = log(admin, SECRET, {"a": secret}, name=new_name("name"))
    writer = sources["write", OPEN]
    lease = writer.begin_upload(OPEN)
    assert writer.missing(lease, [chunk_of(secret)]) == {chunk_of(secret).digest}, "it is not told that it is there"
    files = Files({"a": secret})
    with pytest.raises(Exception, match="not there"):
        writer.commit(new_version(lease, files, OPEN, new_name("name")))
    elsewhere = admin.begin_upload(SECRET)
    with pytest.raises(UsageError):
        admin.commit(new_version(elsewhere, files, OPEN, new_name("name")))
    mine = Files({"a": b"mine"})
    writer.put(lease, mine.pieces)
    with pytest.raises(UsageError, match="taken"):
        writer.commit(new_version(lease, mine, OPEN, new_name("name"), uid=hidden.uid))
    with pytest.raises(NotPermittedError):
        writer.commit(new_version(lease, mine, OPEN, new_name("name"), logged_by=RunRef(SECRET, "run")))
    with pytest.raises(NotPermittedError):
        writer.add_uses([Use(hidden.uid, RunRef(OPEN, "r"), 1), Use(hidden.uid, RunRef(SECRET, "r"), 1)])
    writer.add_uses([Use(hidden.uid, RunRef(OPEN, "spy"), 1)])
    assert admin.of_run(RunRef(OPEN, "spy")) == [], "an edge to what one may not see is left out"


def test_who_did_it_is_the_name_of_the_key(
    sources: dict[tuple[str, str | None], ArtifactSource], admin: ArtifactSource, tmp_path: Path
) -> None:
    writer = sources["write", OPEN]
    name = new_name("name")
    version = log(writer, OPEN, {"a": name.encode()}, name=name)
    link = writer.link(name, version.uid)
    assert (version.created_by, link.linked_by) == ("write open", "write open")
    assert admin.audit(name)[-1].who == "write open"
