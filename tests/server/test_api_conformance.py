"""`Api` gives the same from a folder, from a server at an address, and from a folder with PostgreSQL.

Every test here runs on all of them: the same classes, the same values to the last bit, the same errors. The commands
have a suite of their own, test_cli_conformance.py, on a folder and on `tracker ui`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tracker_core.api import Api, ApiRun, Runs, TrashedRun
from tracker_core.api_files import ApiFile
from tracker_core.errors import NotFoundError, TrackerError, UsageError
from tracker_core.records import MetricDefinition, RunError
from tracker_server.http.server import run_server_in_background
from tracker_server.query.local_runs import LocalRuns
from tracker_server.query.open_folder import open_folder

from .conftest import T0_NS, Journal

NAN, INF = math.nan, math.inf
INT64_MIN, INT64_MAX, UINT64_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


@dataclasses.dataclass
class Place:
    """A tracker folder, and how its runs are read."""

    folder: Path
    api: Api


@pytest.fixture(params=["folder", "url", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / ".tracker"
    if request.param == "folder":
        yield Place(folder, Api(folder))
        return
    if request.param == "postgres":
        api = Api.of(LocalRuns(open_folder(folder, request.getfixturevalue("database_url"))))
        yield Place(folder, api)
        api.close()
        return
    database_url = request.getfixturevalue("database_url") if "postgres" in request.param else None
    server = run_server_in_background(folder, database_url)
    api = Api(base_url=server.base_url, api_key=server.admin_key)
    yield Place(folder, api)
    api.close()
    server.close()


def same(one: object, other: object) -> bool:
    """Say whether two values are the same to the last bit: NaN is NaN, -0.0 is not 0.0, 1 is not 1.0 nor True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or (one != one and other != other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def full_run(folder: Path, run: str = "a", project: str = "p", **session) -> Journal:
    journal = Journal(folder, run=run, project=project, name=f"run {run}", tags=["x", "ü"], **session)
    journal.config(lr=1e-3, big=INT64_MAX, least=INT64_MIN, huge=UINT64_MAX, nan=NAN, zero=-0.0, none=None, on=True)
    journal.config(nested={"a": [1, 2.5, None, "text"], "empty": {}}, inf=INF)
    journal.environment(command=["python", "a b.py"], git={"commit": "abc"}, memory=UINT64_MAX)
    journal.put(MetricDefinition(wall_time_ns=journal.now_ns, name="loss", summary=["min", "last"], goal="minimize"))
    return journal


# -- values


ODD = [0.1, NAN, INF, -INF, -0.0, 5e-324, 1.7976931348623157e308]


@pytest.mark.parametrize("place", ["folder", "url", "postgres", "url-postgres"], indirect=True)
def test_values_of_every_kind_are_exact(place: Place) -> None:
    journal = full_run(place.folder)
    for step, value in enumerate(ODD):
        journal.row(step, loss=value, count=INT64_MAX - step, small=INT64_MIN + step)
        journal.row(step, text=f"ü {step}", nothing=None, mixed=[1, None, {"k": NAN}], odd=UINT64_MAX)
        journal.row(step, "f?Q", half=0.5, flag=step % 2 == 0, wide=UINT64_MAX - step)
    journal.end(exit_code=0)
    run = place.api.run("p/a")
    loss = run.series("loss")
    assert loss.values.dtype == np.float64 and same(loss.values.tolist(), ODD)
    assert same(loss.steps.tolist(), list(range(7))) and loss.steps.dtype == np.int64
    assert loss.wall_time_ns.tolist() == [T0_NS + 1_000_000 * (3 * step + 1) for step in range(7)]
    here = Api(place.folder).run("a").series("loss")
    assert loss.order.dtype == np.int64 and loss.order.tolist() == here.order.tolist()
    count = run.series("count").values
    assert count.dtype == np.int64 and count.tolist() == [INT64_MAX - step for step in range(7)]
    assert run.series("text").values.tolist() == [f"ü {step}" for step in range(7)]
    assert same(run.series("mixed").values[0], [1, None, {"k": NAN}]) and run.series("nothing").values[3] is None
    rows = list(run.scan_history())
    assert len(rows) == 21 and same(rows[1]["odd"], UINT64_MAX) and same(rows[12]["loss"], -0.0)
    assert same([rows[2]["flag"], rows[5]["flag"], rows[2]["wide"]], [True, False, UINT64_MAX])
    assert same(run.config["zero"], -0.0) and same(run.config["huge"], UINT64_MAX) and run.config["none"] is None
    assert same(run.config["nested"], {"a": [1, 2.5, None, "text"], "empty": {}}) and same(run.config["nan"], NAN)
    assert same(run.summary["loss"], {"min": -0.0, "last": ODD[-1], "n_nonfinite": 3}), run.summary
    assert run.metric("loss").goal == "minimize" and run.metric("loss").stats.n_nonfinite == 3


def test_history_is_merged_by_step(place: Place) -> None:
    journal = full_run(place.folder)
    for step in (3, 1, 1, 2):
        journal.row(step, loss=float(step))
        journal.row(step, acc=step)
    journal.end()
    run = place.api.run("a")
    assert [row["_step"] for row in run.history()] == [1, 2, 3]
    assert [list(row) for row in run.history(keys=["acc"])] == [["_step", "_timestamp", "acc"]] * 3
    with pytest.raises(UsageError, match=r"history\(stream=\)"):
        run.history(stream="events")  # type: ignore[arg-type]


def test_many_rows_with_many_sets_of_keys_come_in_order(place: Place) -> None:
    journal = full_run(place.folder)
    for step in range(6000):
        journal.row(step, **{f"m{step % 7}": float(step)})
    journal.end()
    run = place.api.run("p/a")
    assert [row["_step"] for row in run.scan_history()] == list(range(6000))
    assert len(run.series("m3")) == len(range(3, 6000, 7)) and len(list(run.scan_history(["m1", "m2"]))) == 1714


def test_the_whole_view_of_a_run(place: Place) -> None:
    journal = full_run(place.folder, group="g", job_type="train", notes="some\nnotes", host="box")
    journal.row(0, loss=1.0)
    journal.end("failed", exit_code=3, error=RunError("ValueError", "bad", "Traceback ..."))
    run = place.api.run("p/a")
    assert isinstance(run, ApiRun) and (run.id, run.name, run.project, run.path) == ("a", "run a", "p", "p/a")
    assert (run.state, run.exit_code, run.group, run.job_type, run.notes) == ("failed", 3, "g", "train", "some\nnotes")
    assert (run.host, run.tags, run.created_ns, run.signal) == ("box", ["x", "ü"], T0_NS, "")
    assert run.error is not None and run.error.traceback == "Traceback ..."
    assert run.command == "python 'a b.py'" and run.metadata["memory"] == UINT64_MAX
    assert run.ended_ns == T0_NS + 1_000_000 and run.duration_s == 0.001 and run.entity == "local"
    assert run.keys() == ["loss"] and run.view.n_rows == 1 and len(run.view.sessions) == 1


@pytest.mark.parametrize("place", ["url", "url-postgres"], indirect=True)
def test_both_give_equal_views(place: Place, tmp_path: Path) -> None:
    journal = full_run(place.folder)
    journal.row(0, loss=1.0, text="t")
    journal.lines("one", first=0)
    journal.system(0, cpu=1.0)
    journal.end()
    here = Api(place.folder).run("p/a")
    there = place.api.run("p/a")
    assert repr(there.view) == repr(here.view) and there.system_metrics == here.system_metrics


def test_a_run_that_is_being_written_is_seen_as_it_is_now(place: Place) -> None:
    journal = full_run(place.folder)
    journal.row(0, loss=1.0)
    run = place.api.run("p/a")
    journal.row(1, loss=2.0)
    assert run.series("loss").values.tolist() == [1.0, 2.0]
    assert run.view.n_rows == 1 and run.refresh().view.n_rows == 2
    journal.end("killed", signal="SIGTERM")
    assert (run.refresh().state, run.signal) == ("killed", "SIGTERM")


def test_samples_of_the_machine_and_writers(place: Place) -> None:
    journal = full_run(place.folder)
    for step in range(3):
        journal.row(step, loss=float(step))
        journal.system(step, cpu_percent=float(step))
    other = Journal(place.folder, writer="rank1")
    other.row(0, loss=9.0)
    other.system(0, gpu0=1.0)
    other.lines("from rank 1", first=0)
    other.end()
    journal.end()
    run = place.api.run("p/a")
    assert run.system_metrics == {"system/cpu_percent": 2.0} and run.system_keys() == ["system/cpu_percent"]
    assert run.system_keys(writer="rank1") == ["system/gpu0"]
    assert [row["system/cpu_percent"] for row in run.history(stream="system")] == [0.0, 1.0, 2.0]
    assert run.series("loss", writer="rank1").values.tolist() == [9.0]
    assert len(run.series("loss", writer="*")) == 4
    assert [line.text for line in run.console(writer="rank1")] == ["from rank 1"]
    with pytest.raises(NotFoundError, match="'rank7'"):
        run.console(writer="rank7")
    with pytest.raises(UsageError, match="system metrics"):
        run.series("system/cpu_percent", writer="*")


# -- output and files


def test_output_by_windows_and_as_text(place: Place) -> None:
    journal = full_run(place.folder)
    for first in range(0, 12_000, 1000):
        journal.lines(
            *(f"\x1b[1mline\x1b[0m {first + i} ü" for i in range(1000)), first=first, stream=1 + first // 6000
        )
    journal.end()
    run = place.api.run("p/a")
    assert run.n_console_lines() == 12_000
    assert [(line.number, line.text, line.stream) for line in run.console(11_999)] == [
        (11_999, "\x1b[1mline\x1b[0m 11999 ü", 2)
    ]
    assert [line.number for line in run.console(-2)] == [11_998, 11_999] and run.console(-2, 1)[0].number == 11_998
    assert [line.number for line in run.console(10, 11_000)] == list(range(10, 11_010))
    assert run.console(50_000) == [] and run.console(0, 0) == []
    assert list(run.logs()) == [f"line {i} ü" for i in range(12_000)] and next(run.logs(ansi=True)).startswith(
        "\x1b[1m"
    )
    line = run.console(3, 1)[0]
    assert line.session == journal.session.hex() and line.wall_time_ns == T0_NS + 1_000_000


def test_output_is_searched(place: Place) -> None:
    journal = full_run(place.folder)
    journal.lines("one", "TWO", "\x1b[1mt\x1b[0mwo", "three", first=0)
    output = place.api.source.console("p", "a")
    found = output.search("two", 1)
    assert (found.n_matches, found.matches) == (2, [(1, "TWO")])
    assert [line.text for line in output.lines(3)] == ["three"] and output.last(1).first == 3


def test_files_are_read_and_copied_as_last_saved(place: Place, tmp_path: Path) -> None:
    journal = full_run(place.folder)
    large = bytes(range(256)) * 20_000
    journal.file("out/a.txt", b"old")
    journal.file("out/a.txt", b"new content")
    journal.file("large.bin", large)
    journal.file("empty", b"", kind="code")
    journal.end()
    run = place.api.run("p/a")
    files = {file.name: file for file in run.files()}
    assert all(isinstance(file, ApiFile) for file in files.values()) and list(files) == [
        "empty",
        "large.bin",
        "out/a.txt",
    ]
    file = files["out/a.txt"]
    assert (file.size, file.kind, file.read(), files["empty"].kind) == (11, "file", b"new content", "code")
    assert files["large.bin"].read() == large and files["empty"].read() == b""
    with files["large.bin"].open() as content:
        assert content.read(3) == large[:3] and content.read() == large[3:] and content.read() == b""
    path = file.download(tmp_path / "here")
    assert Path(path).read_bytes() == b"new content"
    with pytest.raises(UsageError, match="exists"):
        file.download(tmp_path / "here")
    with pytest.raises(NotFoundError, match=r"a\.txt"):
        run.file("a.txt")


def test_a_kept_file_that_is_gone_or_damaged_is_not_handed_out(place: Place, tmp_path: Path) -> None:
    journal = full_run(place.folder)
    digest = journal.file("a.txt", b"content")
    file = place.api.run("p/a").file("a.txt")
    kept = place.folder / "runs" / "p" / "a" / "files" / digest
    kept.write_bytes(b"CONTENT")
    with pytest.raises(TrackerError, match="damaged or changed"):
        file.download(tmp_path / "here")
    kept.unlink()
    with pytest.raises(NotFoundError, match="or was deleted"):
        file.read()


# -- finding


@pytest.fixture
def many(place: Place) -> Place:
    for number in range(60):
        journal = Journal(place.folder, run=f"r{number:02}", project="p" if number % 2 else "q")
        journal.config(lr=number / 10, name="odd" if number % 2 else "even", layers=[number, 1])
        journal.row(0, loss=float(number))
        journal.end("finished" if number % 3 else "failed")
    return place


def ids(runs: Runs) -> list[str]:
    return [run.id for run in runs]


def test_projects_and_runs_of_all_of_them(many: Place) -> None:
    assert sorted(many.api.projects()) == ["p", "q"]
    assert len(many.api.runs()) == 60 and len(many.api.runs("p")) == 30 and len(many.api.runs("local/q")) == 30


@pytest.mark.parametrize("filters", ["config.lr < 0.5", {"config.lr": {"$lt": 0.5}}, 'state == "failed"'])
def test_runs_are_filtered_and_sorted(many: Place, filters: object) -> None:
    found = many.api.runs("p", filters=filters, order="-config.lr")  # type: ignore[arg-type]
    numbers = [int(run.id[1:]) for run in found]
    assert isinstance(found, Runs) and numbers and numbers == sorted(numbers, reverse=True)


def test_pages_are_brought_as_they_are_asked_for(many: Place) -> None:
    runs = many.api.runs(order="config.lr", per_page=7)
    assert len(runs) == 60 and runs[0].id == "r00" and runs[10].id == "r10" and runs[-1].id == "r59"
    assert [run.id for run in runs[50:]] == [f"r{n}" for n in range(50, 60)]
    assert ids(many.api.runs(order="summary.loss", per_page=5000)) == [f"r{n:02}" for n in range(60)]


def test_dicts_that_the_filter_language_has_no_like_for(many: Place) -> None:
    conditions = {"config.layers": {"$in": [[7, 1], [9, 1]]}}
    assert ids(many.api.runs("p", conditions, order="config.lr")) == ["r07", "r09"]
    assert ids(many.api.runs("p", {"$or": [], "config.lr": 0.1})) == []
    assert ids(many.api.runs(None, conditions, order="-config.lr", archived=True)) == ["r09", "r07"]


WRONG = [
    (lambda api: api.runs("nowhere"), NotFoundError, "'nowhere' is not in"),
    (lambda api: api.runs(filters="config.lr <"), UsageError, "filter"),
    (lambda api: api.runs(filters={"config.lr": {"$near": 1}})[0], UsageError, r"\$near"),
    (lambda api: api.runs(order="nothing.like this"), UsageError, "sort"),
    (lambda api: api.runs(filters=3), UsageError, r"runs\(filters=\)"),
    (lambda api: api.runs(archived="yes"), UsageError, r"runs\(archived=\)"),
    (lambda api: api.runs(per_page=0), UsageError, r"runs\(per_page=\)"),
    (lambda api: api.run("r99"), NotFoundError, "'r99' is not in"),
    (lambda api: api.run("p/r00"), NotFoundError, "'p/r00' is not in"),
    (lambda api: api.run("../r00"), NotFoundError, r"'\.\./r00' is not in"),
    (lambda api: api.run("a/b/c"), NotFoundError, "'a/b/c' is not in"),
    (lambda api: api.run("p/%2e%2e"), NotFoundError, "is not in"),
    (lambda api: api.run("r01").series("nothing"), NotFoundError, "has no metric 'nothing'"),
    (lambda api: api.run("r01").metric("nothing"), NotFoundError, "'nothing' is not in run p/r01"),
    (lambda api: api.source.undelete([("p", "z")], ""), NotFoundError, "z is not in the trash of"),
    (lambda api: api.source.archive([("p", "z")], ""), NotFoundError, "has no run p/z"),
    (lambda api: api.source.run("p", "z"), NotFoundError, "has no run p/z"),
]  # fmt: skip


@pytest.mark.parametrize("place", ["folder", "url"], indirect=True)
def test_what_is_wrong_is_told_alike(many: Place) -> None:
    for call, kind, words in WRONG:
        with pytest.raises(kind, match=words) as error:
            call(many.api)
        assert many.api.place in str(error.value) or kind is UsageError or "run p/r01" in str(error.value)


def test_an_id_of_two_projects_has_to_be_told_apart(place: Place) -> None:
    for project in ("p", "q"):
        full_run(place.folder, project=project).end()
    with pytest.raises(UsageError, match="in p, q"):
        place.api.run("a")
    assert place.api.run("q/a").project == "q" and place.api.run("local/p/a").project == "p"


def test_names_with_any_characters(place: Place) -> None:
    for project in ("ü b%2F+?#&", "..a", "a b"):
        full_run(place.folder, project=project, run="x.y-z").row(0, **{"a/b ü?&#": 1.5})
        run = place.api.run(f"{project}/x.y-z")
        assert run.project == project and run.series("a/b ü?&#").values.tolist() == [1.5]
        assert ids(place.api.runs(project)) == ["x.y-z"]


# -- deciding


def test_archived_runs_are_out_of_the_way(many: Place) -> None:
    run = many.api.run("p/r01")
    run.archive("old")
    assert run.archived and "r01" not in ids(many.api.runs("p")) and ids(many.api.runs("p", archived="only")) == ["r01"]
    assert len(many.api.runs("p", archived=True)) == 30
    run.unarchive()
    assert not run.archived and len(many.api.runs("p")) == 30


@pytest.mark.parametrize("place", ["folder", "url", "postgres", "url-postgres"], indirect=True)
def test_deleted_runs_are_seen_nowhere_and_come_back(many: Place) -> None:
    many.api.run("p/r01").delete(why="bad")
    with pytest.raises(NotFoundError):
        many.api.run("p/r01")
    [deleted] = many.api.trash("p")
    assert isinstance(deleted, TrashedRun) and (deleted.path, deleted.state, deleted.why) == (
        "p/r01",
        "finished",
        "bad",
    )
    assert deleted.deleted_by and deleted.deleted_ns > T0_NS
    assert many.api.trash("q") == [] and len(many.api.trash()) == 1
    deleted.undelete()
    assert many.api.run("p/r01").state == "finished" and many.api.trash() == []
    with pytest.raises(NotFoundError, match="not in the trash"):
        many.api.source.undelete([("p", "gone")], "")


def test_a_run_that_is_being_written_is_deleted_only_by_force(place: Place) -> None:
    journal = full_run(place.folder)
    journal.row(0, loss=1.0)
    run = place.api.run("p/a")
    assert run.state == "running"
    with pytest.raises(UsageError, match="still being written: p/a") as error:
        run.delete()
    assert "--force" in error.value.remedy
    run.delete(force=True)
    assert place.api.trash()[0].state == "running"


def test_the_trash_is_emptied_for_good(many: Place) -> None:
    many.api.run("p/r01").delete()
    many.api.run("q/r02").delete()
    sized = many.api.source.trash(None, with_sizes=True)
    assert all(run.size_bytes and run.size_bytes > 100 for run in sized)
    emptied = many.api.source.empty_trash(only=[("p", "r01")])
    assert emptied.runs == [("p", "r01")] and emptied.n_bytes > 0 and not emptied.troubles
    assert [run.path for run in many.api.trash()] == ["q/r02"]
    assert ("q", "r02") not in many.api.source.empty_trash(older_than_s=3600).runs and len(many.api.trash()) == 1


def test_groups_have_their_statistics(many: Place) -> None:
    from tracker_server.query.run_source import RunQuery
    from tracker_server.runs.filter_syntax import parse_path

    by, values = [parse_path("config.name")], [parse_path("summary.loss")]
    query = RunQuery("config.lr >= 0", None, 0.0)
    many.api.source.refresh()
    found, n = many.api.source.groups(None, False, query, by, values, 1)
    assert n == 2 and found[0].key == ["even"] and found[0].n_runs == 30 and found[0].values[0].mean == 29.0


def test_columns_of_all_writers_for_an_export(place: Place) -> None:
    journal = full_run(place.folder)
    for step in range(100):
        journal.row(step, loss=float(step), count=step)
    other = Journal(place.folder, writer="rank1")
    other.row(0, text="x")
    parts = list(place.api.source.parts("p", "a"))
    assert {part.writer for part in parts} == {"main", "rank1"}
    main = [part for part in parts if part.writer == "main"]
    assert np.concatenate([part.columns["loss"] for part in main]).tolist() == [float(n) for n in range(100)]
    assert np.diff(np.concatenate([part.places for part in main])).tolist() == [1] * 99
    assert main[0].columns["count"].dtype == np.int64


def test_the_api_says_where_it_looks(place: Place, request: pytest.FixtureRequest) -> None:
    is_url = "url" in request.node.name
    assert place.api.place.startswith("http://") is is_url and (place.api.dir is None) is is_url
