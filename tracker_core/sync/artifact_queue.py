"""Which versions of artifacts a run logged and used, as small files beside its journals: the sender's queue of them.

    <run folder>/artifacts/<uid>.<size in bytes>.<checksum>.log    the ArtifactLog record, msgpack
    <run folder>/artifacts/<uid>.0.<checksum>.use                  the ArtifactUse record

A file is written right before its record goes into the journal, and replaced by a later one of the same version. The
names alone tell how much is left to send.
"""

from __future__ import annotations

import contextlib
import os
import re
from zlib import crc32

import msgspec

from ..records import ArtifactLog, ArtifactUse, encode

ARTIFACTS_FOLDER = "artifacts"
_LOG, _USE = "log", "use"
_NAME = re.compile(r"(?P<uid>[0-9a-f]{32})\.(?P<size>[0-9]{1,18})\.[0-9a-f]{8}\.(?P<kind>log|use)")
_log_decoder = msgspec.msgpack.Decoder(ArtifactLog)
_use_decoder = msgspec.msgpack.Decoder(ArtifactUse)


def note(run_folder: str, record: ArtifactLog | ArtifactUse) -> None:
    """Note that a run logs or uses a version, for its sender. Never raises OSError."""
    kind = _LOG if isinstance(record, ArtifactLog) else _USE
    content = encode(record)
    size_bytes = max(0, record.size_bytes) if isinstance(record, ArtifactLog) else 0
    name = f"{record.uid}.{size_bytes}.{crc32(content):08x}.{kind}"
    folder = os.path.join(run_folder, ARTIFACTS_FOLDER)
    draft = os.path.join(folder, f".part-{os.getpid()}-{name}")
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, os.path.join(folder, name))
        for other in os.listdir(folder):
            if other.startswith(f"{record.uid}.") and other.endswith(f".{kind}") and other != name:
                os.unlink(os.path.join(folder, other))


def noted_size(name: str) -> int | None:
    """Return how many bytes a noted version has; None where a file of this name notes nothing."""
    match = _NAME.fullmatch(name)
    return None if match is None else int(match["size"])


def read_note(run_folder: str, name: str) -> ArtifactLog | ArtifactUse | None:
    """Return what was noted; None where the file is gone or is none."""
    match = _NAME.fullmatch(name)
    try:
        with open(os.path.join(run_folder, ARTIFACTS_FOLDER, name), "rb") as file:
            content = file.read()
        record = (_use_decoder if name.endswith(_USE) else _log_decoder).decode(content)
    except (OSError, msgspec.MsgspecError):
        return None
    return record if match is not None and match["uid"] == record.uid else None
