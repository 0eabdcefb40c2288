"""Runs of the store and in memory found together: over HTTP, on the command line, and through `Api`."""

from __future__ import annotations

import json

import pytest

from tracker_core.api import Api
from tracker_core.errors import UsageError
from tracker_server.cli import main
from tracker_server.query.folder import LocalFolder
from tracker_server.runs.run_groups import RunGroups, statistics_of

from .conftest import Journal

RUNS = "/api/v1/projects/p/runs"
COLUMNS = "/api/v1/projects/p/columns"
GROUPS = "/api/v1/projects/p/groups"
METRICS = "/api/v1/projects/p/metrics"


def write_run(folder, index, is_over=True):
    journal = Journal(folder, run=f"r{index}", name=f"resnet{index}", tags=["even" if index % 2 == 0 else "odd"])
    journal.config(lr=10.0**-index, opt="adam" if index < 4 else "sgd", model={"depth": index})
    journal.environment(user="ann", git={"commit": "abc"}, packages={"torch": f"2.{index}"})
    journal.row(0, **{"val/loss": float(index), "acc": 1.0})
    journal.row(1, **{"val/loss": float(10 - index), "acc": 0.5})
    if is_over:
        journal.end("finished" if index else "failed")
    return journal


@pytest.fixture
def filled(tracker_dir):
    """Six runs of the store, and two that are going on."""
    for index in range(6):
        write_run(tracker_dir, index)
    folder = LocalFolder(tracker_dir, settle_after_s=-1.0)
    folder.refresh()
    assert folder.live_runs() == []
    folder.close()
    for index in (6, 7):
        write_run(tracker_dir, index, is_over=False)
    return tracker_dir


def ids(reply):
    assert reply.status_code == 200, reply.text
    return [run["id"] for run in reply.json()["runs"]]


def pages(client, **search):
    found, cursor = [], None
    while True:
        reply = client.get(RUNS, params=search | ({"cursor": cursor} if cursor else {}))
        found.append(ids(reply))
        cursor = reply.json()["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("filter", "sort", "expected"),
    [
        ("", "config.model.depth", "01234567"),
        ("state == 'running' or config.lr > 0.05", "id", "0167"),
        ("'odd' in tags", "summary['val/loss'].min:desc", "5371"),
        ("environment.packages.torch == '2.3' or name ~ '[67]$'", "environment.packages.torch:desc", "763"),
        ("summary['val/loss'].max >= summary['val/loss'].last and config.opt != 'adam'", "id", "4567"),
    ],
)
def test_pages_over_http_go_through_store_and_memory(filled, client, filter, sort, expected):
    found = pages(client, filter=filter, sort=sort, limit=3)
    assert "".join(run[1] for page in found for run in page) == expected
    assert all(len(page) == 3 for page in found[:-1])


def test_over_http_only_the_columns_asked_for_are_sent(filled, client):
    columns = "config.lr,summary['val/loss'].min,config.model,summary.none,name"
    (run,) = client.get(RUNS, params={"filter": "id == 'r2'", "columns": columns}).json()["runs"]
    assert run["config"] == {"lr": 0.01, "model.depth": 2} and run["summary"] == {"val/loss.min": 2.0}
    assert all(not run["config"] for run in client.get(RUNS, params={"columns": ""}).json()["runs"])


def test_over_http_columns_are_listed_with_how_many_runs_have_them(filled, client, server):
    Journal(filled, run="other").config(lr="high", only=True)
    server.folder.refresh()
    found = client.get(COLUMNS).json()
    rows = {row["path"]: row for row in found["columns"]}
    assert rows["config.lr"] == {"path": "config.lr", "kinds": ["number", "text"], "n_runs": 9}
    assert rows["config.model.depth"]["n_runs"] == 8 and rows['summary["val/loss"]']["n_runs"] == 8
    assert rows["config.only"]["kinds"] == ["boolean"] and "config.model" not in rows
    assert found["columns"][0]["path"] == "config.lr" and found["n_columns"] == len(found["columns"])
    few = client.get(COLUMNS, params={"search": "LOSS summary", "limit": 1}).json()
    assert few == {"n_columns": 1, "columns": [rows['summary["val/loss"]']]}


def test_over_http_runs_are_grouped(filled, client):
    asked = {"by": ["config.opt", "tags"], "values": ["summary['val/loss'].min", "config.none"], "filter": "id != 'r0'"}
    found = client.get(GROUPS, params=asked).json()
    assert [(group["key"], group["n_runs"], group["n_running"]) for group in found["groups"]] == [
        (["adam", ["even"]], 1, 0),
        (["adam", ["odd"]], 2, 0),
        (["sgd", ["even"]], 2, 1),
        (["sgd", ["odd"]], 2, 1),
    ]
    values = found["groups"][1]["values"]
    assert values['summary["val/loss"].min'] == pytest.approx(
        {"n": 2, "mean": 2.0, "std": 2**0.5, "sem": 1.0, "min": 1.0, "max": 3.0}
    )
    assert values["config.none"] == {"n": 0} | dict.fromkeys(("mean", "std", "sem", "min", "max"))
    part = client.get(GROUPS, params=asked | {"limit": 1, "offset": 3}).json()
    assert part["n_groups"] == 4 and part["groups"] == found["groups"][3:]


def test_over_http_metrics_are_searched(filled, client):
    found = client.get(METRICS).json()
    assert [row["key"] for row in found["metrics"]] == ["acc", "val/loss"] and found["n_metrics"] == 2
    assert found["metrics"][1]["n_runs"] == 8 and found["metrics"][1]["n_points"] == 16
    assert client.get(METRICS, params={"search": "Loss VAL"}).json()["metrics"] == found["metrics"][1:]
    assert client.get(METRICS, params={"limit": 1}).json() == {"metrics": found["metrics"][:1], "n_metrics": 2}


def test_over_http_projects_are_counted_by_state(filled, client):
    (project,) = client.get("/api/v1/projects").json()["projects"]
    assert project["n_runs"] == 8 and project["states"] == {"failed": 1, "finished": 5, "running": 2}


@pytest.mark.parametrize(
    ("path", "params", "where"),
    [
        (COLUMNS, {"limit": -1}, "limit"),
        (COLUMNS, {"limit": 10**9}, "limit"),
        (GROUPS, {}, "query.by"),
        (GROUPS, {"by": ["name"] * 6}, "by"),
        (GROUPS, {"by": "name", "values": ["n_rows"] * 21}, "values"),
        (GROUPS, {"by": "name; DROP TABLE run"}, "by, character 5"),
        (GROUPS, {"by": "name", "filter": "name =="}, "filter, character 8"),
        (GROUPS, {"by": "name", "offset": -1}, "offset"),
        (GROUPS, {"by": "name", "limit": "9" * 30}, "limit"),
        (METRICS, {"limit": 0}, "limit"),
        (RUNS, {"columns": "config.lr,"}, "columns, character 11"),
        (RUNS, {"columns": ",".join(["config.lr"] * 1001)}, "columns"),
        (RUNS, {"archived": "maybe"}, "query.archived"),
    ],
)
def test_over_http_wrong_questions_are_told_as_such(quiet_client, path, params, where):
    reply = quiet_client.get(path, params=params)
    assert 400 <= reply.status_code < 500, reply.text
    error = reply.json()["error"]
    assert error["where"].startswith(where) and error["got"] and error["expected"] and error["remedy"]


@pytest.mark.parametrize("path", [COLUMNS, METRICS, GROUPS])
@pytest.mark.parametrize("text", ["%", "_", "'", '"', "\0", "\\", "\U0001f600", "' OR 1=1 --", "x" * 5000])
def test_over_http_any_text_may_be_searched_for(filled_client, path, text):
    assert filled_client.get(path, params={"search": text, "by": "name"}).status_code == 200


# -- on the command line


def lines(capsys, *arguments):
    assert main(["runs", *arguments]) == 0
    return capsys.readouterr().out


def test_on_the_command_line_a_cursor_goes_on(filled, capsys):
    asked = ("p", "--sort", "config.lr", "--limit", "5", "--dir", str(filled), "--json")
    first = json.loads(lines(capsys, *asked, "--cursor", ""))
    assert [run["id"] for run in first["runs"]] == ["r7", "r6", "r5", "r4", "r3"] and first["n_matching"] == 8
    second = json.loads(lines(capsys, *asked, "--cursor", first["next_cursor"]))
    assert [run["id"] for run in second["runs"]] == ["r2", "r1", "r0"] and second["next_cursor"] is None
    assert len(json.loads(lines(capsys, "--all", "--dir", str(filled), "--json"))) == 8
    assert "--cursor" in lines(capsys, "--limit", "5", "--dir", str(filled))


def test_on_the_command_line_columns_are_chosen(filled, capsys):
    asked = ("--columns", "config.model.depth,summary['val/loss'].min,user", "--dir", str(filled))
    told = lines(capsys, *asked, "--filter", "id == 'r3'")
    assert "depth" in told and "ann" in told and "opt" not in told
    (run,) = json.loads(lines(capsys, *asked, "--filter", "id == 'r3'", "--json"))
    assert run["config"] == {"model.depth": 3} and run["summary"] == {"val/loss.min": 3.0}


def test_on_the_command_line_runs_are_grouped(filled, capsys):
    asked = ("--group-by", "config.opt", "--values", "summary.acc", "--dir", str(filled))
    told = lines(capsys, *asked)
    assert "adam" in told and "sgd" in told and "0.5 ± 0" in told
    groups = json.loads(lines(capsys, *asked, "--json"))
    assert [(group["key"], group["n_runs"]) for group in groups] == [(["adam"], 4), (["sgd"], 4)]
    assert groups[0]["values"]["summary.acc"]["mean"] == 0.5
    assert "1 more groups" in lines(capsys, *asked, "--limit", "1")


def test_on_the_command_line_a_wrong_cursor_or_key_is_one_clear_line(filled, capsys):
    for wrong in (("--cursor", "forged"), ("--columns", "lr"), ("--group-by", "lr"), ("--sort", "lr")):
        assert main(["runs", *wrong, "--dir", str(filled)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


# -- through Api


def test_api_brings_runs_as_they_are_asked_for(filled):
    api = Api(filled)
    runs = api.runs("p", order="id", per_page=2)
    assert len(runs) == 8 and len(runs._runs) == 2
    assert runs[0].id == "r0" and len(runs._runs) == 2
    assert [run.id for run in runs[1:3]] == ["r1", "r2"] and len(runs._runs) < 8
    assert runs[-1].id == "r7" and [run.id for run in runs[::-3]] == ["r7", "r4", "r1"]
    assert [run.id for run in runs] == [f"r{i}" for i in range(8)] and len(runs) == 8
    assert [run.id for run in runs[5:100]] == ["r5", "r6", "r7"] and runs[8:] == []
    with pytest.raises(IndexError):
        runs[8]
    assert runs[3] in runs and not api.runs("p", "name == 'none'") and bool(runs)


def test_api_runs_added_meanwhile_shift_nothing(filled):
    runs = Api(filled).runs("p", order="created", per_page=2)
    write_run(filled, 8)
    assert [run.id for run in runs][:8] == [f"r{i}" for i in range(8)]


@pytest.mark.parametrize("per_page", [0, -1, "2", None])
def test_api_refuses_pages_of_no_length(filled, per_page):
    with pytest.raises(UsageError, match="a number from 1 on"):
        Api(filled).runs("p", per_page=per_page)


# -- groups


def test_statistics_are_of_the_sample_and_lose_no_digits():
    assert statistics_of([]).mean is None and statistics_of([2.0]).std is None
    found = statistics_of([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])
    assert found.mean == 1e9 + 10 and found.std == pytest.approx(30**0.5, rel=1e-12)
    huge = statistics_of([1.7e308, 1.7e308, -1.7e308])
    assert huge.mean == pytest.approx(1.7e308 / 3) and huge.max == 1.7e308
    assert statistics_of([0.1] * 3).std == pytest.approx(0, abs=1e-16)


def test_equal_values_are_one_group_and_what_has_none_is_last():
    groups = RunGroups(1)
    for key, value in ((1, 1.0), (1.0, 3), (True, 0), (None, float("nan")), ("a", None), (float("nan"), 2), ([1], 2)):
        groups.add([key], [value])
    found = groups.sorted()
    assert [str(group.key) for group in found] == ["[1]", "[True]", "['a']", "[[1]]", "[nan]", "[None]"]
    assert found[0].n_runs == 2 and found[0].values[0].mean == 2 and found[-1].values[0].n == 0
