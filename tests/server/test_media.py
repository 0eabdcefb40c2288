"""Media, tables and alerts: the same from memory, from the index, from PostgreSQL and from a server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tracker_core.api import Api
from tracker_core.errors import NotFoundError
from tracker_core.records import Alert
from tracker_server.codec.chunk_codec import decode_column, decode_objects, encode_column
from tracker_server.http.server import run_server_in_background
from tracker_server.ingest.media_values import brief, is_media, kind_of, paths_of
from tracker_server.query.folder import LocalFolder
from tracker_server.query.local_runs import LocalRuns
from tracker_server.query.open_folder import open_folder
from tracker_server.query.run_media import MediaQuery, media_page
from tracker_server.query.run_source import RunSource
from tracker_server.runs.run_alerts import AlertQuery

from .conftest import T0_NS, Journal


@dataclasses.dataclass
class Place:
    """A tracker folder, and how it is read."""

    folder: Path
    source: RunSource


@pytest.fixture(params=["folder", "server", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / ".tracker"
    if request.param == "server":
        server = run_server_in_background(folder)
        api = Api(base_url=server.base_url, api_key=server.admin_key)
        yield Place(folder, api.source)
        api.close()
        server.close()
        return
    url = request.getfixturevalue("database_url") if request.param == "postgres" else None
    local = open_folder(folder, url) if url else LocalFolder(folder, seal_bytes=1, settle_after_s=0.0)
    yield Place(folder, LocalRuns(local))
    local.close()


def image(number: int, **more: Any) -> dict[str, Any]:
    return {"_type": "image", "path": f"media/image/x_{number}.png", "width": 8, "height": 8, **more}


def alert(journal: Journal, title: str, level: str = "INFO", text: str = "", step: int = 0) -> None:
    journal.now_ns += 1_000_000
    journal.put(Alert(wall_time_ns=journal.now_ns, title=title, text=text, level=level, step=step))


def steps_of(source: RunSource, **query: Any) -> list[tuple[int, int]]:
    source.refresh()
    page = source.media("p", "a", MediaQuery("val/image", **query))
    return [(value.place, value.step) for value in page.values]


# -- values


def test_values_are_paged_by_step_through_sessions_and_seals(place: Place) -> None:
    first = Journal(place.folder)
    for step in range(0, 60, 2):
        first.row(step, **{"val/image": image(step), "loss": 0.5})
        first.row(step, loss=1.0)
    first.end()
    place.source.refresh()
    second = Journal(place.folder, counter=2, resumed=True)
    for step in (61, 5, 5, 62):
        second.row(step, **{"val/image": image(1000 + step)})
    place.source.refresh()
    (key,) = place.source.media_keys("p", "a")
    assert (key.key, key.kind, key.n_values, key.last_step) == ("val/image", "image", 34, 62)
    assert steps_of(place.source, first=0, limit=5) == [(0, 0), (1, 2), (2, 4), (3, 5), (4, 5)]
    assert steps_of(place.source, first=32, limit=5) == [(32, 61), (33, 62)]
    assert steps_of(place.source, step=5, limit=2) == [(4, 5), (5, 6)]
    assert steps_of(place.source, step=-7, limit=1) == [(0, 0)]
    assert steps_of(place.source, step=9999, limit=3) == [(33, 62)]
    assert steps_of(place.source, first=99, limit=3) == []
    assert [step for _, step in steps_of(place.source, limit=4, is_spread=True)] == [0, 18, 40, 62]
    page = place.source.media("p", "a", MediaQuery("val/image", first=3, limit=1))
    assert page.values[0].value == image(1005) and (page.first_step, page.last_step) == (0, 62)


def test_a_key_of_numbers_alone_has_no_media(place: Place) -> None:
    Journal(place.folder).row(1, loss=0.5)
    place.source.refresh()
    assert place.source.media_keys("p", "a") == []
    with pytest.raises(NotFoundError, match="no media"):
        place.source.media("p", "a", MediaQuery("loss"))
    with pytest.raises(NotFoundError):
        place.source.media("p", "a", MediaQuery("never"))
    with pytest.raises(NotFoundError):
        place.source.media("p", "nowhere", MediaQuery("loss"))


def test_text_and_mixed_kinds_are_kept_as_they_are(place: Place) -> None:
    journal = Journal(place.folder)
    journal.row(1, mixed="a text", loss=1.0)
    journal.row(2, mixed=2.5, loss=1.0)
    journal.row(3, mixed=None, loss=1.0)
    journal.row(4, mixed=image(4))
    place.source.refresh()
    page = place.source.media("p", "a", MediaQuery("mixed"))
    assert [(value.step, value.value) for value in page.values] == [(1, "a text"), (3, None), (4, image(4))]


def test_a_summary_keeps_media_short_and_as_one_value(place: Place) -> None:
    journal = Journal(place.folder)
    histogram = {"_type": "histogram", "bins": [0.0, 1.0, 2.0], "counts": [3, 4]}
    journal.row(1, h=histogram, many={"_type": "images", "items": [image(1), image(2)]}, one=image(3, caption="c"))
    journal.end()
    place.source.refresh()
    summary = place.source.run("p", "a").summary
    assert summary["h"] == {"_type": "histogram", "n_bins": 2}
    assert summary["many"] == {"_type": "images", "n_items": 2}
    assert summary["one"] == image(3, caption="c")
    page = place.source.media("p", "a", MediaQuery("h"))
    assert page.values[0].value == histogram


def test_a_long_run_of_images_is_paged_without_reading_it_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in range(20_000):
        journal.row(step, img=image(step))
    journal.end()
    folder = LocalFolder(tmp_path, settle_after_s=0.0)
    folder.refresh()
    page = media_page(folder, "p", "a", MediaQuery("img", first=15_000, limit=3))
    assert [value.value["path"] for value in page.values] == [f"media/image/x_{n}.png" for n in range(15_000, 15_003)]
    assert page.n_values == 20_000
    folder.close()


@pytest.mark.parametrize("n", [1, 15, 16, 70_000])
def test_a_part_of_a_column_of_objects_is_that_of_the_whole(n: int) -> None:
    values = np.empty(n, object)
    values[:] = [{"_type": "image", "path": f"media/{number}"} for number in range(n)]
    data = encode_column(values, "o")
    assert decode_column(data, n).tolist() == values.tolist()
    for places in (range(n), [n - 1], [0, n // 2, n - 1], [0], []):
        assert decode_objects(data, n, sorted(set(places))) == [values[place] for place in sorted(set(places))]
    with pytest.raises(ValueError, match="no"):
        decode_objects(data, n + 1, [0])
    with pytest.raises(ValueError, match="no"):
        decode_objects(encode_column(np.zeros(3), "d"), 3, [0])


def test_hostile_values_are_no_media_or_short() -> None:
    assert kind_of({"_type": ["image"]}) == kind_of({"_type": "script"}) == kind_of(None) == kind_of([1]) == ""
    assert not is_media("text") and is_media({"_type": "html"})
    deep: Any = {"_type": "images", "path": "x"}
    for _ in range(100):
        deep = {"_type": "images", "items": [deep], "path": "y" * 2000}
    assert brief(deep) == {"_type": "images", "n_items": 1}
    assert len(list(paths_of(deep))) < 100
    assert brief({"_type": "histogram", "counts": "x", 3: 4}) == {"_type": "histogram", "n_bins": 0}
    assert msgspec.json.encode(brief({"_type": "table", "columns": ["c"] * 5000})) == b'{"_type":"table"}'


# -- alerts


def titles(source: RunSource, first: int = 0, limit: int = 100, **query: Any) -> list[str]:
    source.refresh()
    return [found.alert.title for found in source.alerts(AlertQuery(**query), first, limit).alerts]


def test_alerts_of_all_runs_are_one_list_newest_first(place: Place) -> None:
    done, running = Journal(place.folder), Journal(place.folder, run="b", project="q")
    alert(done, "first", "WARN", "the text", step=7)
    running.now_ns += 500_000
    alert(running, "second", "ERROR")
    alert(done, "third")
    done.end()
    place.source.refresh()
    assert titles(place.source) == ["third", "second", "first"]
    assert titles(place.source, project="p") == ["third", "first"]
    assert titles(place.source, levels=frozenset({"ERROR", "WARN"})) == ["second", "first"]
    assert titles(place.source, text="TEXT the") == ["first"]
    assert titles(place.source, since_ns=T0_NS + 1_200_000) == ["third", "second"]
    assert titles(place.source, before_ns=T0_NS + 1_000_000) == ["first"]
    assert titles(place.source, first=1, limit=1) == ["second"]
    page = place.source.alerts(AlertQuery(), 0, 1)
    assert (page.n_matching, page.is_complete) == (3, True)
    found = place.source.alerts(AlertQuery(project="p"), 1, 1).alerts[0]
    assert (found.project, found.run_id, found.alert.step, found.alert.level) == ("p", "a", 7, "WARN")
    assert [one.title for one in place.source.details("p", "a").alerts] == ["first", "third"]
    assert place.source.run("p", "a").n_alerts == 2


def test_alerts_of_deleted_and_archived_runs_are_out_of_the_way(place: Place) -> None:
    for run in ("gone", "old", "kept"):
        journal = Journal(place.folder, run=run)
        alert(journal, run)
        journal.end()
    place.source.refresh()
    place.source.delete([("p", "gone")], "test")
    place.source.archive([("p", "old")], "test")
    assert titles(place.source) == ["kept"]
    place.source.undelete([("p", "gone")], "test")
    assert set(titles(place.source)) == {"gone", "kept"}


def test_the_last_thousand_alerts_of_a_run_are_kept(place: Place) -> None:
    journal = Journal(place.folder)
    for number in range(1003):
        alert(journal, f"{number}" if number else "t" * 1000, "CRITICAL", text="x" * 9000 if number == 1002 else "")
    journal.end()
    place.source.refresh()
    kept = place.source.details("p", "a").alerts
    assert (len(kept), kept[0].title, kept[-1].title, len(kept[-1].text)) == (1000, "3", "1002", 4000)
    assert {one.level for one in kept} == {"INFO"} and place.source.run("p", "a").n_alerts == 1003
