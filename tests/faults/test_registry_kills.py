"""Changes of the registry are killed at any step: each is there whole with its entry in the audit, or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import child_process
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
PATHS = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"

SWEEP = """
import secrets
from killed_steps import run_killed
from tracker_core.artifacts.manifest import Entry, Manifest
from tracker_core.artifacts.wire import NewVersion
from tracker_server.artifacts.local_artifacts import open_artifacts
from tracker_server.artifacts.registry_audit import ChainCheck

folder, step = sys.argv[1], int(sys.argv[2])

def logged(artifacts, n):
    manifest = Manifest([Entry("a", 1, reference=f"s3://b/{n}", checksum="etag:1")]).encode()
    named = {"uid": secrets.token_hex(16), "project": "p", "name": "m", "type": "model"}
    return artifacts.commit(NewVersion(**named, manifest=manifest, lease="")).uid

def replayed(entries):
    links, aliases = {}, {}
    for one in entries:
        if one.action == "link":
            links[one.version] = one.detail["uid"]
        elif one.action == "unlink":
            del links[one.version]
            for alias in one.detail["aliases"]:
                assert aliases.pop(alias) == one.version
        elif one.action == "set alias":
            assert aliases.get(one.detail["alias"]) == one.detail["from"]
            aliases[one.detail["alias"]] = one.version
        elif one.action == "remove alias":
            assert aliases.pop(one.detail["alias"]) == one.version
    return links, aliases

def work(uid):
    artifacts = open_artifacts(folder)
    number = artifacts.link("M", uid, ["candidate"], "new").number
    artifacts.set_model_aliases("M", number, ["production", "staging"], ["candidate"], "better")
    artifacts.set_card("M", f"version {number}", "card")
    artifacts.unlink("M", number, "worse")

artifacts = open_artifacts(folder)
artifacts.link("M", logged(artifacts, 0), ["production"])
number, is_done = 1, False
while not is_done:
    uid = logged(artifacts, number)
    is_done = run_killed(lambda: work(uid), number)
    entries = artifacts.audit(size=10_000)
    check = ChainCheck()
    check.add(entries)
    assert not check.troubles, check.troubles
    links = {one.number: one.version.uid for one in artifacts.linked("M")}
    assert replayed(entries) == (links, artifacts.model("M").aliases), number
    number += step
print(number)
"""


def sweep(tmp_path: Path, step: int) -> int:
    done = child_process.run(PATHS + SWEEP, tmp_path / ".tracker", step, timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.fault("F32")
def test_a_change_of_the_registry_killed_at_some_steps_is_whole_or_not_there(tmp_path: Path) -> None:
    assert sweep(tmp_path, 7) > 40


@pytest.mark.long
@pytest.mark.fault("F32")
def test_a_change_of_the_registry_killed_at_every_step_is_whole_or_not_there(tmp_path: Path) -> None:
    assert sweep(tmp_path, 1) > 40
