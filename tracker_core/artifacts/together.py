"""A version that several runs make together: each leaves what it adds in the tracker folder, one of them logs it all.

    <folder>/artifacts/<digest of project, name and id>/<uid>.part    a manifest, its bytes in the store

The parts' bytes are pinned to leases, which hold for a day after the last use.
"""

from __future__ import annotations

import contextlib
import os

from ..errors import UsageError
from .manifest import Entry, Manifest, decode_manifest

FOLDER = "artifacts"
_SUFFIX = ".part"


def parts_folder(folder: str, project: str, name: str, distributed_id: str) -> str:
    """Return the folder of the parts of one version; no name that people choose is part of a path."""
    from blake3 import blake3

    key = "\n".join((project, name, distributed_id))
    return os.path.join(folder, FOLDER, blake3(key.encode(errors="surrogatepass")).hexdigest()[:32])


def leave_part(folder: str, manifest: Manifest) -> None:
    """Leave what one run adds; raises OSError where it cannot be written."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, os.urandom(16).hex())
    with open(f"{path}.tmp", "xb") as file:
        file.write(manifest.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.tmp", f"{path}{_SUFFIX}")


def read_parts(folder: str) -> tuple[list[str], list[Entry]]:
    """Return the files of all parts, and what they hold together.

    Raises:
        UsageError: two have different content under one name.
    """
    names = sorted(name for name in os.listdir(folder) if name.endswith(_SUFFIX)) if os.path.isdir(folder) else []
    paths = [os.path.join(folder, name) for name in names]
    entries: dict[str, Entry] = {}
    for path in paths:
        with open(path, "rb") as file:
            manifest = decode_manifest(file.read())
        for entry in manifest:
            there = entries.setdefault(entry.path, entry)
            if (there.digest, there.reference) != (entry.digest, entry.reference):
                got = f"different content under the name {entry.path!r} by two runs"
                raise UsageError("finish_artifact()", got, "names of their own", "add each run's files below a folder")
    return paths, list(entries.values())


def drop_parts(paths: list[str]) -> None:
    """Remove parts that were logged."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
    for folder in {os.path.dirname(path) for path in paths}:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
