"""Random sequences of uploads, commits, deletions, expiries, collections and rebuilds, compared with a model.

In the model a version is its files until it is deleted, and an upload can be committed until it expires. After every
step all versions read back as they were; in the end nothing is left that nothing needs.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from kept_artifacts import KeptArtifacts, content
from sqlalchemy import update

from tracker_core.artifacts.errors import MissingChunksError
from tracker_core.artifacts.wire import NewVersion
from tracker_core.errors import NotFoundError
from tracker_server.blobs.rebuild_chunks import rebuild_chunks
from tracker_server.blobs.verify_packs import verify
from tracker_server.store.store_artifact_schema import upload_lease

Files = dict[str, bytes]


class Sequence:
    """One sequence and its model."""

    def __init__(self, kept: KeptArtifacts, seed: int) -> None:
        self.kept, self.chance = kept, random.Random(seed)
        self.versions: dict[str, Files] = {}
        self.uploads: list[tuple[NewVersion, Files, bool]] = []

    def step(self) -> str:
        actions = [self.begin] * 4 + [self.commit] * 4 + [self.delete] * 3 + [self.collect] * 3
        action = self.chance.choice([*actions, self.expire, self.rebuild, self.give_up, self.refresh])
        action()
        return action.__name__

    def begin(self) -> None:
        seeds = [self.chance.randrange(15) for _ in range(self.chance.randint(1, 5))]
        files = {str(seed): content(seed, self.chance.randint(1, 4)) for seed in seeds}
        name = self.chance.choice(["model", "data"])
        project = self.chance.choice(["p", "q"])
        self.uploads.append((self.kept.begin(name, files, project), files, False))

    def commit(self) -> None:
        if not self.uploads:
            return
        new, files, has_expired = self.uploads.pop(self.chance.randrange(len(self.uploads)))
        try:
            info = self.kept.artifacts.commit(new)
        except (MissingChunksError, NotFoundError):
            assert has_expired
            return
        self.kept.artifacts.end_upload(new.lease)
        self.versions[info.uid] = files

    def give_up(self) -> None:
        if self.uploads:
            self.kept.artifacts.end_upload(self.uploads.pop()[0].lease)

    def expire(self) -> None:
        if self.uploads:
            index = self.chance.randrange(len(self.uploads))
            new, files, _ = self.uploads[index]
            statement = update(upload_lease).where(upload_lease.c.lease_id == new.lease).values(expires_ns=1)
            self.kept.write(lambda connection: connection.execute(statement).rowcount)
            self.uploads[index] = (new, files, True)

    def delete(self) -> None:
        if self.versions:
            uid = self.chance.choice(sorted(self.versions))
            del self.versions[uid]
            self.kept.artifacts.delete([uid], delete_aliases=True)

    def collect(self) -> None:
        report = self.kept.collect(grace_s=self.chance.choice([0.0, 0.0, 3600.0]))
        assert not report.troubles
        if self.chance.random() < 0.3:
            assert not self.kept.collect(is_dry_run=True).troubles

    def rebuild(self) -> None:
        done = rebuild_chunks(self.kept.store, self.kept.database)
        assert not done.troubles and not done.n_gone and not done.n_bad_chunks

    def refresh(self) -> None:
        self.kept.artifacts.close()

    def check(self) -> None:
        for uid, files in self.versions.items():
            assert self.kept.files(uid) == files
        found = verify(self.kept.store, self.kept.database)
        assert not found.bad_chunks and not found.bad_packs and not found.bad_versions


def run(kept: KeptArtifacts, seed: int, n_steps: int) -> None:
    sequence: Any = Sequence(kept, seed)
    done = []
    for _ in range(n_steps):
        done.append(sequence.step())
        try:
            sequence.check()
        except Exception as error:
            raise AssertionError(f"seed {seed}, after {done}") from error
    while sequence.uploads:
        sequence.give_up()
    kept.collect()
    assert not kept.collect().packs
    sequence.check()


@pytest.mark.parametrize("seed", range(1))
def test_a_sequence_of_steps_loses_nothing_and_leaves_nothing(kept: KeptArtifacts, seed: int) -> None:
    run(kept, seed, 20)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_sequences_of_steps_lose_nothing_and_leave_nothing(tmp_path: Path, seed: int) -> None:
    run(KeptArtifacts(tmp_path / ".tracker"), seed, 80)
