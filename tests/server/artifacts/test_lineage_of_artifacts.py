"""Which runs logged and used what, both ways and to any depth, on both databases."""

from __future__ import annotations

import pytest

from tracker_core.artifacts.wire import Lineage, RunRef, Use
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.artifacts.local_artifacts import LocalArtifacts

from .conftest import new_uid, version_of


class Story:
    """A raw data set; two runs clean it; one trains two models of a cleaned one; one evaluates, in another project."""

    def __init__(self, artifacts: LocalArtifacts) -> None:
        self.names: dict[str, str] = {}
        self._artifacts = artifacts
        self._commit("raw", None)
        for run in ("clean1", "clean2"):
            self._use(run, "raw")
            self._commit(f"{run}-out", run)
        self._use("train", "clean1-out")
        self._commit("net", "train")
        self._commit("head", "train")
        self._use("eval", "net", project="other")

    def _commit(self, name: str, run: str | None) -> None:
        new = version_of(name, name, logged_by=RunRef("p", run) if run else None)
        self.names[f"version:{self._artifacts.commit(new).uid}"] = name

    def _use(self, run: str, name: str, project: str = "p") -> None:
        uid = self._artifacts.resolve("p", name).uid
        self._artifacts.add_uses([Use(uid, RunRef(project, run), len(self.names), used_as="input")])

    def id(self, name: str) -> str:
        return next(id for id, other in self.names.items() if other == name)

    def told(self, found: Lineage) -> tuple[set[str], set[tuple[str, str]]]:
        nodes = {self._name(node.id) for node in found.nodes}
        edges = {(self._name(tail), self._name(head)) for tail, head in found.edges}
        assert {name for edge in edges for name in edge} <= nodes
        assert len(nodes) == len(found.nodes) and len(edges) == len(found.edges)
        return nodes, edges

    def _name(self, id: str) -> str:
        return self.names.get(id) or id.removeprefix("run:")


UP = {("raw", "p/clean1"), ("p/clean1", "clean1-out"), ("clean1-out", "p/train"), ("p/train", "net")}
DOWN = {("net", "other/eval")}


def test_all_that_a_version_came_from_and_what_came_of_it(artifacts: LocalArtifacts):
    story = Story(artifacts)
    both = artifacts.lineage(story.id("net"))
    assert story.told(both) == ({"raw", "p/clean1", "clean1-out", "p/train", "net", "other/eval"}, UP | DOWN)
    assert both.is_complete
    assert story.told(artifacts.lineage(story.id("net"), direction="up"))[1] == UP
    assert story.told(artifacts.lineage(story.id("net"), direction="down"))[1] == DOWN


def test_a_node_says_what_it_is(artifacts: LocalArtifacts):
    story = Story(artifacts)
    found = {node.id: node for node in artifacts.lineage(story.id("net")).nodes}
    version = found[story.id("net")].version
    assert version is not None and (version.name, version.n_used_by) == ("net", 1)
    assert version.logged_by == RunRef("p", "train")
    assert found["run:other/eval"].run == RunRef("other", "eval") and found["run:other/eval"].version is None


def test_a_run_is_followed_both_ways(artifacts: LocalArtifacts):
    story = Story(artifacts)
    nodes, _ = story.told(artifacts.lineage("run:p/train"))
    assert nodes == {"p/train", "net", "head", "other/eval", "clean1-out", "p/clean1", "raw"}
    down, _ = story.told(artifacts.lineage(story.id("raw"), direction="down"))
    assert down == nodes | {"p/clean2", "clean2-out"}


def test_a_depth_cuts_and_says_so(artifacts: LocalArtifacts):
    story = Story(artifacts)
    for depth, names in enumerate([{"raw"}, {"p/clean1", "p/clean2"}, {"clean1-out", "clean2-out"}, {"p/train"}]):
        found = artifacts.lineage(story.id("raw"), depth, "down")
        nodes, _ = story.told(found)
        assert names <= nodes and not found.is_complete
    whole = artifacts.lineage(story.id("raw"), 5, "down")
    assert whole.is_complete and whole == artifacts.lineage(story.id("raw"), direction="down")


def test_a_bound_of_nodes_cuts_and_says_so(artifacts: LocalArtifacts):
    story = Story(artifacts)
    found = artifacts.lineage(story.id("raw"), max_nodes=4)
    assert len(found.nodes) == 4 and not found.is_complete
    story.told(found)
    assert artifacts.lineage(story.id("raw"), max_nodes=9).is_complete
    assert len(artifacts.lineage(story.id("raw"), max_nodes=-1).nodes) == 1


def test_circles_end(artifacts: LocalArtifacts):
    new = version_of(1, logged_by=RunRef("p", "a"))
    artifacts.commit(new)
    artifacts.add_uses([Use(new.uid, RunRef("p", "a"), 5), Use(new.uid, RunRef("p", "b"), 6)])
    artifacts.commit(version_of(1, logged_by=RunRef("p", "b")))
    found = artifacts.lineage(f"version:{new.uid}")
    assert found.is_complete and len(found.nodes) == 3 and len(found.edges) == 4


def test_a_chain_is_followed_to_any_depth(artifacts: LocalArtifacts):
    uid = artifacts.commit(version_of(0)).uid
    first = uid
    for n in range(1, 40):
        artifacts.add_uses([Use(uid, RunRef("p", f"r{n}"), n)])
        uid = artifacts.commit(version_of(n, logged_by=RunRef("p", f"r{n}"))).uid
    found = artifacts.lineage(f"version:{uid}", direction="up")
    assert len(found.nodes) == 79 and found.nodes[-1].id == f"version:{first}"


def test_a_deleted_version_stays_in_the_lineage(artifacts: LocalArtifacts):
    story = Story(artifacts)
    artifacts.delete([story.id("clean1-out").removeprefix("version:")], delete_aliases=True)
    found = artifacts.lineage(story.id("net"))
    assert story.told(found)[1] == UP | DOWN
    deleted = next(node.version for node in found.nodes if node.id == story.id("clean1-out"))
    assert deleted is not None and deleted.deleted_ns is not None
    shown = [version.deleted_ns is not None for _, version in artifacts.of_run(RunRef("p", "train"))]
    assert shown == [True, False, False]


def test_what_a_run_did_comes_in_order_and_once(artifacts: LocalArtifacts):
    story = Story(artifacts)
    run = RunRef("p", "train")
    uid = story.id("raw").removeprefix("version:")
    for _ in range(2):
        artifacts.add_uses([Use(uid, run, 1, used_as="x"), Use(new_uid(), run, 1), Use(uid, run, 2, True)])
    found = [(version.name, use.is_output, use.used_as) for use, version in artifacts.of_run(run)]
    expected = [
        ("raw", False, "x"),
        ("raw", True, ""),
        ("clean1-out", False, "input"),
        ("net", True, ""),
        ("head", True, ""),
    ]
    assert found == expected
    assert artifacts.of_run(RunRef("p", "unknown")) == []
    assert [(use.run.run, use.is_output) for use in artifacts.users(uid)] == [
        ("clean1", False),
        ("train", False),
        ("clean2", False),
        ("train", True),
    ]


def test_uses_under_another_uid_of_the_same_version_are_its_own(artifacts: LocalArtifacts):
    first, again = version_of(1), version_of(1)
    artifacts.commit(first)
    artifacts.commit(again)
    artifacts.add_uses([Use(again.uid, RunRef("p", "r"), 5)])
    assert artifacts.version(first.uid).n_used_by == 1
    assert artifacts.lineage(f"version:{again.uid}").nodes[0].id == f"version:{first.uid}"


def test_what_is_no_node_is_refused(artifacts: LocalArtifacts):
    story = Story(artifacts)
    for node in ("net", "run:x", "", "file:a/b"):
        with pytest.raises(UsageError, match="id of a node"):
            artifacts.lineage(node)
    for node in ("run:p/unknown", f"version:{new_uid()}", "run:/", "version:"):
        with pytest.raises(NotFoundError):
            artifacts.lineage(node)
    for wrong in ({"depth": -1}, {"direction": "sideways"}):
        with pytest.raises(UsageError):
            artifacts.lineage(story.id("net"), **wrong)
    with pytest.raises(UsageError):
        artifacts.add_uses([Use("x", RunRef("p", "r"), 5)])
