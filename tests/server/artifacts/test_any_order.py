"""Versions, aliases and the registry after anything in any order, beside a model in memory; on both databases."""

from __future__ import annotations

import random

import pytest

from tracker_core.artifacts.wire import VersionEdit
from tracker_core.errors import NotFoundError, UsageError
from tracker_server.artifacts.local_artifacts import LocalArtifacts
from tracker_server.artifacts.registry_audit import ChainCheck

from .conftest import Opening, version_of

ALIASES = ["a", "b", "c"]


class Model:
    """What ought to be there."""

    def __init__(self) -> None:
        self.content: dict[str, int] = {}  # uid -> content of the versions that are there
        self.ordinal: dict[str, int] = {}
        self.aliases: dict[str, str] = {}
        self.links: dict[int, str] = {}
        self.link_aliases: dict[str, int] = {}
        self.n_ordinals = self.n_links = 0


class Steps:
    """Each step does something random to both."""

    def __init__(self, chance: random.Random, artifacts: LocalArtifacts) -> None:
        self.chance, self.artifacts, self.model = chance, artifacts, Model()

    def any(self) -> None:
        steps = (self.commit, self.commit, self.commit, self.edit, self.delete, self.link, self.move, self.unlink)
        self.chance.choice(steps)()

    def _some(self) -> list[str]:
        return self.chance.sample(ALIASES, self.chance.randrange(3))

    def _version(self) -> str:
        return self.chance.choice(list(self.model.content) or ["0" * 32])

    def commit(self) -> None:
        m, content, aliases = self.model, self.chance.randrange(8), self._some()
        new = version_of(content, aliases=aliases)
        info = self.artifacts.commit(new)
        same = [uid for uid, other in m.content.items() if other == content]
        uid = same[0] if same else new.uid
        if not same:
            m.content[uid], m.ordinal[uid] = content, m.n_ordinals
            m.n_ordinals += 1
        assert (info.uid, info.ordinal) == (uid, m.ordinal[uid])
        m.aliases.update(dict.fromkeys([*aliases, "latest"], uid))

    def edit(self) -> None:
        m, uid, add, remove = self.model, self._version(), self._some(), self._some()
        edit = VersionEdit(add_aliases=add, remove_aliases=[alias for alias in remove if alias not in add])
        if uid not in m.content:
            with pytest.raises(NotFoundError):
                self.artifacts.edit(uid, edit)
            return
        self.artifacts.edit(uid, edit)
        m.aliases.update(dict.fromkeys(add, uid))
        for alias in edit.remove_aliases:
            if m.aliases.get(alias) == uid:
                del m.aliases[alias]

    def delete(self) -> None:
        m, uid, is_forced = self.model, self._version(), self.chance.random() < 0.7
        if uid not in m.content:
            return
        has_aliases = uid in m.aliases.values()
        if uid in m.links.values() or (has_aliases and not is_forced):
            with pytest.raises(UsageError):
                self.artifacts.delete([uid], delete_aliases=is_forced)
            return
        self.artifacts.delete([uid], delete_aliases=is_forced)
        del m.content[uid]
        m.aliases = {alias: other for alias, other in m.aliases.items() if other != uid}
        if m.content and "latest" not in m.aliases:
            m.aliases["latest"] = max(m.content, key=lambda one: m.ordinal[one])

    def link(self) -> None:
        m, uid, aliases = self.model, self._version(), self._some()
        if uid not in m.content:
            return
        linked = self.artifacts.link("M", uid, aliases)
        number = next((number for number, other in m.links.items() if other == uid), m.n_links)
        if number == m.n_links:
            m.links[number] = uid
            m.n_links += 1
        assert linked.number == number
        m.link_aliases.update(dict.fromkeys(aliases, number))

    def move(self) -> None:
        m = self.model
        if not m.links:
            return
        number, add, remove = self.chance.choice(list(m.links)), self._some(), self._some()
        self.artifacts.set_model_aliases("M", number, add, remove)
        gone = {alias for alias in remove if m.link_aliases.get(alias) == number and alias not in add}
        m.link_aliases = {alias: other for alias, other in m.link_aliases.items() if alias not in gone}
        m.link_aliases.update(dict.fromkeys(add, number))

    def unlink(self) -> None:
        m = self.model
        if m.links and self.chance.random() < 0.5:
            number = self.chance.choice(list(m.links))
            self.artifacts.unlink("M", number)
            del m.links[number]
            m.link_aliases = {alias: other for alias, other in m.link_aliases.items() if other != number}

    def check(self, artifacts: LocalArtifacts) -> None:
        m = self.model
        found = artifacts.versions("p", "m").items if m.content else []
        assert {one.uid: one.ordinal for one in found} == {uid: m.ordinal[uid] for uid in m.content}
        assert {alias: one.uid for one in found for alias in one.aliases} == m.aliases
        for alias, uid in m.aliases.items():
            assert artifacts.resolve("p", "m", alias).uid == uid
        if m.n_links:
            linked = artifacts.linked("M")
            assert {one.number: one.version.uid for one in linked} == m.links
            assert {alias: one.number for one in linked for alias in one.aliases} == m.link_aliases
            assert artifacts.model("M").aliases == m.link_aliases
            assert {uid: number for one in found for uid, number in [(one.uid, one.registered_as)] if number} == {
                uid: [("M", number)] for number, uid in m.links.items()
            }
        chain = ChainCheck()
        chain.add(artifacts.audit())
        assert chain.troubles == []


@pytest.mark.parametrize("n_steps", [80, pytest.param(1500, marks=pytest.mark.long)])
def test_versions_and_registry_are_as_the_steps_say(opening: Opening, n_steps: int):
    steps = Steps(random.Random(n_steps), opening())
    for number in range(n_steps):
        steps.any()
        if number % 10 == 9:
            steps.check(opening())
