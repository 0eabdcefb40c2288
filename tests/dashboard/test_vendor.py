"""The third-party files served with the dashboard are those of the manifest, and come with their licences."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import tracker_server

VENDOR = Path(tracker_server.__file__).parent / "dashboard" / "vendor"
# Types written for this project, and files about the others.
OWN = {"manifest.json", "preact.d.ts", "preact_hooks.d.ts", "htm.d.ts", "signals.d.ts"}


def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))["files"]
    return entries


def test_every_vendored_file_has_the_hash_of_the_manifest() -> None:
    for entry in _entries():
        digest = hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest()
        assert digest == entry["sha256"], f"{entry['file']} is not the file that the manifest describes"


def test_no_file_lies_in_the_folder_unnamed() -> None:
    listed = {entry["file"] for entry in _entries()}
    present = {path.name for path in VENDOR.iterdir() if path.is_file()}
    assert present == listed | OWN


def test_every_package_has_version_source_and_licence_text() -> None:
    for entry in _entries():
        assert entry["licence"] in {"MIT", "Apache-2.0"}
        assert entry["source"].startswith(f"npm:{entry['name']}@{entry['version']}/")
        assert len((VENDOR / entry["licence_file"]).read_text(encoding="utf-8")) > 500


def test_vendored_modules_import_only_each_other() -> None:
    for path in VENDOR.glob("*.js"):
        for name in re.findall(r"""from\s*["']([^"']+)["']""", path.read_text(encoding="utf-8")):
            assert name.startswith("./") and (VENDOR / name).is_file(), f"{path.name} imports {name}"
