"""Data sets and models of a training, a registry with promotions, and an artifact whose every text is hostile."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tracker_core as tracker
from tests.server.artifact_places import Files, log, new_version
from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.wire import RunRef, Use, VersionInfo
from tracker_server.artifacts.local_artifacts import LocalArtifacts, open_artifacts

from .hostile_text import PAYLOADS, html_of, svg_of

N_RUNS = 8
PROJECT = "scans"
HOSTILE = "hostile"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f0003860180"
    "5a34d9410000000049454e44ae426082"
)
CARD = """# What it does

Reads digits. See [the sheet](https://example.org/sheet).

| data | accuracy |
|---|---|
| val | 0.97 |
"""


def safetensors(names: Mapping[str, list[int]], about: Mapping[str, str]) -> bytes:
    """Return a checkpoint of which the header names tensors."""
    head: dict[str, Any] = {"__metadata__": dict(about)}
    head.update({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]} for name, shape in names.items()})
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4


def make_artifacts(folder: Path) -> None:
    """Log two versions of a data set, models of several runs, and register two of them."""
    source = open_artifacts(folder).as_user("ada")
    prepared = _run(folder, "prepare", loss=1.0)
    data = [
        {"train/a.png": PNG, "labels.csv": b"file,label\na.png,1\n", "README.md": b"# Digits\n"},
        {
            "train/a.png": PNG,
            "train/b.png": PNG + b"\0",
            "labels.csv": b"file,label\na.png,7\n",
            "README.md": b"# Digits\n",
        },
    ]
    for number, contents in enumerate(data):
        metadata = {"n_rows": 10 * (number + 1), "camera": "A7"}
        latest = log(source, PROJECT, contents, "digits-data", type="dataset", metadata=metadata, logged_by=prepared,
            description="64 x 64 pixels, **balanced**.", aliases=["clean"] if number else [], tags=["scans"],
        )  # fmt: skip
    models = []
    for number in range(N_RUNS):
        run = _run(folder, f"train-{number}", **{"val/accuracy": 0.9 + number / 100, "epoch": 3.0})
        source.add_uses([Use(latest.uid, run, 1_700_000_000_000_000_000 + number, used_as="training data")])
        weights = safetensors({"head.weight": [10, 64 + number]}, {"framework": "torch"})
        contents = {"model.safetensors": weights, "model.pt": b"\x80\x04N."}
        models.append(log(source, PROJECT, contents, "cnn", logged_by=run, aliases=["best"]))
    source.link("digits", models[2].uid, ["candidate"], why="first that learns")
    source.link("digits", models[7].uid, [], why="")
    source.as_user("bob").set_model_aliases("digits", 0, ["production"], ["candidate"], why="0.92 on held-back scans")
    source.set_card("digits", CARD, why="first card")
    source.link("edited", models[0].uid)
    source.set_card("edited", CARD)
    _make_hostile(folder, source)
    source.close()


def _run(folder: Path, name: str, **values: float) -> RunRef:
    with tracker.init(project=PROJECT, id=name, name=name, dir=folder) as run:
        run.log(values)
    return RunRef(PROJECT, run.id)


def label_of(payload: str) -> str:
    """Return a payload as an alias, tag or type may be."""
    kept = "".join(c for c in payload if c not in "/:" and c.isprintable()).strip()[:128].strip()
    return kept if kept not in ("latest", "") else "x"


def path_of(payload: str) -> str:
    """Return a payload as the name of a file may be."""
    kept = "".join(c for c in payload if c.isprintable() and c not in "\\\u202e")
    parts = [part.strip()[:100] for part in kept.split("/")]
    return "/".join(part for part in parts if part not in ("", ".", ".."))[:900].rstrip("/") or "x"


def _make_hostile(folder: Path, source: LocalArtifacts) -> None:
    with tracker.init(project=HOSTILE, id="hostile", name=PAYLOADS[6], dir=folder) as run:
        run.log({text[:200]: 1.0 for text in PAYLOADS[:20]})
    ref = RunRef(HOSTILE, run.id)
    all_of_them = "\n\n".join(PAYLOADS)
    labels = [label_of(text) for text in PAYLOADS]
    first = _hostile_files(all_of_them, "1")
    given = {"type": label_of(PAYLOADS[6]), "description": all_of_them, "tags": labels, "logged_by": ref}
    old = _log_with_references(source, first, metadata={"gone": 1, **dict.fromkeys(PAYLOADS, "old")}, **given)
    new = _log_with_references(
        source, _hostile_files(all_of_them, "2"), metadata={text: {text: [text]} for text in PAYLOADS},
        aliases=labels, **given,
    )  # fmt: skip
    source.describe(HOSTILE, HOSTILE, all_of_them)
    source.add_uses(
        [Use(old.uid, RunRef(HOSTILE, f"u{number}"), number, used_as=label_of(t)) for number, t in enumerate(PAYLOADS)]
    )
    stranger = source.as_user(PAYLOADS[6])
    stranger.link(HOSTILE, old.uid, labels[:20], why=PAYLOADS[0])
    stranger.link(HOSTILE, new.uid, labels[20:], why=PAYLOADS[1])
    for text in PAYLOADS[::4]:
        source.as_user(text).set_model_aliases(HOSTILE, 0, [label_of(text)], why=text)
    stranger.set_card(HOSTILE, all_of_them, why=PAYLOADS[2])


def _hostile_files(text: str, change: str) -> dict[str, bytes]:
    files = {path_of(payload): f"{change}{payload}".encode() for payload in PAYLOADS}
    return files | {
        "all.txt": f"{text}\n{change}\n".encode(),
        "page.html": (html_of(text) + change).encode(),
        "page.png": html_of(text).encode(),
        "picture.svg": svg_of(text),
        "real.png": PNG,
        "tensors.safetensors": safetensors(
            {payload: [1] for payload in PAYLOADS}, {payload: payload for payload in PAYLOADS}
        ),
    }


def _log_with_references(source: LocalArtifacts, contents: Mapping[str, bytes], **fields: Any) -> VersionInfo:
    references = [
        Entry(f"far/{number}", 1, reference=text, checksum=text) for number, text in enumerate(PAYLOADS) if text.strip()
    ]
    files = Files(contents, references=references)
    lease = source.begin_upload(HOSTILE)
    pieces = dict(files.pieces)
    missing = source.missing(lease, list(pieces))
    source.put(lease, [(chunk, data) for chunk, data in pieces.items() if chunk.digest in missing])
    return source.commit(new_version(lease, files, HOSTILE, HOSTILE, **fields))
