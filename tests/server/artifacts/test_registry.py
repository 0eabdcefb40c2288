"""Registered models, their aliases and the chain of hashes, on both databases."""

from __future__ import annotations

import hashlib
import json
import threading

import msgspec
import pytest

from tracker_core.artifacts.wire import AuditEntry
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.artifacts.local_artifacts import LocalArtifacts
from tracker_server.artifacts.registry_audit import FIRST_PREVIOUS, ChainCheck, next_entry

from .conftest import Opening, new_uid, version_of


def logged(artifacts: LocalArtifacts, content: object, **fields) -> str:
    return artifacts.commit(version_of(content, **fields)).uid


def troubles(entries) -> list[str]:
    check = ChainCheck()
    check.add(entries)
    return check.troubles


# -- linking


def test_a_model_is_made_by_its_first_version(opening: Opening):
    uid = logged(opening(), 1)
    linked = opening("bob").link("Digits", uid, ["candidate", "latest"], "first try")
    assert (linked.model, linked.number, linked.aliases, linked.linked_by, linked.why) == (
        "Digits",
        0,
        ["candidate"],
        "bob",
        "first try",
    )
    assert linked.version == opening().version(uid) and linked.version.registered_as == [("Digits", 0)]
    model = opening().model("Digits")
    assert (model.type, model.created_by, model.n_versions, model.aliases) == ("model", "bob", 1, {"candidate": 0})
    assert model.latest == linked == opening().resolve_linked("Digits") == opening().linked("Digits")[0]
    assert opening().models("dig") == [model] and opening().models("x") == []


def test_a_version_is_linked_once_and_numbers_are_not_given_again(artifacts: LocalArtifacts):
    uids = [logged(artifacts, n) for n in range(3)]
    assert [artifacts.link("M", uid).number for uid in uids] == [0, 1, 2]
    assert artifacts.link("M", uids[0], ["best"]).aliases == ["best"]
    artifacts.unlink("M", 2)
    assert artifacts.link("M", uids[2]).number == 3
    assert [one.number for one in artifacts.linked("M")] == [3, 1, 0]
    assert artifacts.link("Other", uids[0]).number == 0
    assert artifacts.version(uids[0]).registered_as == [("M", 0), ("Other", 0)]


def test_a_model_takes_versions_of_one_type_from_any_project(artifacts: LocalArtifacts):
    artifacts.link("M", logged(artifacts, 1))
    assert artifacts.link("M", logged(artifacts, 1, project="q", name="n")).version.project == "q"
    with pytest.raises(UsageError, match="got an artifact of type 'dataset', expected one of type 'model'"):
        artifacts.link("M", logged(artifacts, 2, name="d", type="dataset"))
    artifacts.link("Data", artifacts.resolve("p", "d").uid)
    assert artifacts.model_projects() == {"Data": ["p"], "M": ["p", "q"]}


def test_aliases_move_between_the_versions_of_a_model(artifacts: LocalArtifacts):
    for n in range(2):
        artifacts.link("M", logged(artifacts, n), ["candidate"])
    assert artifacts.model("M").aliases == {"candidate": 1}
    changed = artifacts.set_model_aliases("M", 0, ["production", "staging"], ["candidate", "nope"])
    assert changed.aliases == ["production", "staging"]
    assert artifacts.resolve_linked("M", "candidate").number == 1
    artifacts.set_model_aliases("M", 1, ["production"], ["candidate"])
    assert artifacts.model("M").aliases == {"production": 1, "staging": 0}
    artifacts.unlink("M", 1)
    assert artifacts.model("M").aliases == {"staging": 0}


def test_what_is_not_there_or_not_valid_is_refused_and_leaves_no_trace(artifacts: LocalArtifacts):
    uid = logged(artifacts, 1)
    artifacts.link("M", uid)
    before = artifacts.audit()
    for wrong in (
        lambda: artifacts.link("M", new_uid()),
        lambda: artifacts.unlink("M", 7),
        lambda: artifacts.unlink("M", 10**20),
        lambda: artifacts.unlink("M", -1),
        lambda: artifacts.set_model_aliases("M", 7, ["a"]),
        lambda: artifacts.set_model_aliases("N", 0, ["a"]),
        lambda: artifacts.set_card("N", "x"),
        lambda: artifacts.delete_model("N"),
        lambda: artifacts.resolve_linked("M", "v7"),
        lambda: artifacts.resolve_linked("M", "production"),
        lambda: artifacts.linked("N"),
    ):
        with pytest.raises(NotFoundError):
            wrong()
    for wrong in (
        lambda: artifacts.link("..", uid),
        lambda: artifacts.link("a/b", uid),
        lambda: artifacts.link("N", uid, ["v3"]),
        lambda: artifacts.set_model_aliases("M", 0, ["a:b"]),
        lambda: artifacts.set_card("M", "x" * (1 << 21)),
        lambda: artifacts.link("N", uid, why="x" * 3000),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert artifacts.audit() == before and [model.name for model in artifacts.models()] == ["M"]


def test_a_deleted_model_leaves_its_versions_and_its_audit(artifacts: LocalArtifacts):
    uid = logged(artifacts, 1)
    artifacts.link("M", uid, ["production"])
    artifacts.delete_model("M", "replaced")
    assert artifacts.models() == [] and artifacts.version(uid).registered_as == []
    last = artifacts.audit("M")[-1]
    assert (last.action, last.why, last.detail) == (
        "delete model",
        "replaced",
        {"versions": ["v0 p/m:v0"], "aliases": {"production": 0}},
    )
    assert artifacts.link("M", uid).number == 0


def test_a_card_is_kept_as_it_is(artifacts: LocalArtifacts):
    artifacts.link("M", logged(artifacts, 1))
    card = "# Digits\n<script>alert(1)</script>\n\x00é\u202e"
    assert artifacts.set_card("M", card, "why").card == card == artifacts.model("M").card
    artifacts.set_card("M", card)
    (entry,) = [one for one in artifacts.audit() if one.action == "edit card"]
    assert entry.detail == {"sha256": hashlib.sha256(card.encode()).hexdigest(), "n_chars": len(card)}


# -- the audit


def test_every_change_is_in_the_audit_with_who_when_and_why(opening: Opening):
    first, second = logged(opening(), 1), logged(opening(), 2)
    opening("ada").link("M", first, ["candidate"], "good")
    opening("bob").link("M", second, ["candidate"])
    opening("bob").set_model_aliases("M", 0, ["production"], [], "release é")
    opening("bob").set_model_aliases("M", 0, ["production"])
    opening("eve").set_model_aliases("M", 0, [], ["production"])
    opening("eve").unlink("M", 0)
    found = opening().audit()
    assert [(one.number, one.who, one.action, one.version) for one in found] == [
        (1, "ada", "register", None),
        (2, "ada", "link", 0),
        (3, "ada", "set alias", 0),
        (4, "bob", "link", 1),
        (5, "bob", "set alias", 1),
        (6, "bob", "set alias", 0),
        (7, "eve", "remove alias", 0),
        (8, "eve", "unlink", 0),
    ]
    assert (found[4].detail, found[5].why) == ({"alias": "candidate", "from": 0}, "release é")
    assert found[1].detail["artifact"] == "p/m:v0" and found[1].detail["digest"] == opening().version(first).digest
    assert troubles(found) == [] and found[0].previous_hash == FIRST_PREVIOUS
    assert opening().audit("M", after=3, size=2) == found[3:5]
    assert opening().audit("other") == [] == opening().audit(after=1 << 70)


def test_the_hash_is_what_the_documentation_says(artifacts: LocalArtifacts):
    artifacts.link("M", logged(artifacts, 1), why="é\n")
    one = artifacts.audit()[-1]
    head = [one.previous_hash, one.number, one.at_ns, one.who]
    values = [*head, one.action, one.model, one.version, one.detail, one.why]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    assert one.hash == hashlib.sha256(text.encode()).hexdigest()


def chain(n: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for i in range(n):
        last = (entries[-1].number, entries[-1].hash) if entries else None
        entries.append(next_entry(last, i, "ada", "link", "M", i, {"artifact": f"p/m:v{i}"}, "why"))
    return entries


@pytest.mark.parametrize("change", [{"who": "eve"}, {"at_ns": 7}, {"why": ""}, {"version": None}, {"detail": {}}])
def test_a_changed_entry_is_found(change):
    entries = chain(5)
    entries[2] = msgspec.structs.replace(entries[2], **change)
    assert troubles(entries) == ["entry 3: it was changed: its content does not have its hash"]


def test_an_entry_that_was_changed_with_its_hash_breaks_the_next_one():
    entries = chain(5)
    entries[2] = next_entry((entries[1].number, entries[1].hash), 2, "eve", "link", "M", 2, {}, "")
    assert troubles(entries) == ["entry 4: it does not follow the one before it"]


def test_a_missing_a_doubled_and_a_moved_entry_are_found():
    entries = chain(5)
    assert troubles(entries[:2] + entries[3:])[0] == "entry 4: number 3 is missing before it"
    assert troubles(entries[1:])[0] == "entry 2: number 1 is missing before it"
    assert troubles([*entries[:2], *entries[1:]]) != []
    assert troubles([entries[0], entries[2], entries[1], *entries[3:]]) != []
    assert troubles(entries) == [] == troubles([])


def test_changes_made_at_once_are_one_chain(opening: Opening):
    uids = [logged(opening(), n) for n in range(4)]
    barrier = threading.Barrier(4)

    def work(uid: str) -> None:
        artifacts = opening(uid)
        barrier.wait()
        number = artifacts.link("M", uid).number
        for alias in ("candidate", "production"):
            artifacts.set_model_aliases("M", number, [alias])

    threads = [threading.Thread(target=work, args=(uid,)) for uid in uids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = opening().audit()
    assert troubles(found) == [] and len(found) == 1 + 4 + 8
    assert sorted(one.number for one in opening().linked("M")) == [0, 1, 2, 3]
