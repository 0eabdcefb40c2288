"""What a file of a version looks like, from its first bytes: text, a picture, the tensors of a checkpoint, or nothing.

Nothing is ever unpickled or run, whatever the file is called; a picture is known by its bytes and not by its name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.source import ChunkReader

TEXT_BYTES = 256 << 10
MAX_IMAGE_BYTES = 32 << 20
_MAX_PIXELS = 100_000_000
_MAX_HEADER_BYTES = 8 << 20
_MAX_TENSORS = 2000
_SNIFFED_BYTES = 64 << 10
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".bin", ".npy", ".npz")
# Pictures that a browser shows and that cannot hold a script.
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


class Tensor(msgspec.Struct, frozen=True):
    """A tensor in a safetensors file."""

    name: str
    dtype: str
    shape: list[int]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What can be shown of a file.

    Attributes:
        kind: "text", "image" (its bytes are at the file's address, with `inline=true`), "tensors", or "none".
        text: its beginning.
        is_cut: whether there is more than is shown.
        note: why nothing is shown.
        tensors, n_tensors, n_parameters: of a safetensors file; the first ones, and how much there is in all.
        header: what a safetensors file says of itself.
    """

    kind: Literal["text", "image", "tensors", "none"]
    text: str = ""
    is_cut: bool = False
    note: str = ""
    tensors: list[Tensor] = []
    n_tensors: int = 0
    n_parameters: int = 0
    header: dict[str, str] = {}


def preview(reader: ChunkReader, uid: str, entry: Entry) -> Preview:
    """Return what can be shown of a file of a version."""
    if entry.reference:
        return Preview(kind="none", note="A reference: its content is not here and is never fetched by the server.")
    if entry.size_bytes == 0:
        return Preview(kind="none", note="The file is empty.")
    if entry.path.endswith(".safetensors"):
        return _tensors(reader, uid, entry)
    start = beginning(reader, uid, entry, TEXT_BYTES)
    if picture_type(start):
        return _picture(entry, start)
    if not is_text(start, len(start) < entry.size_bytes):
        return Preview(kind="none", note=_binary_note(entry.path, start))
    is_cut = len(start) < entry.size_bytes
    return Preview(kind="text", text=start.decode("utf-8-sig", "ignore" if is_cut else "replace"), is_cut=is_cut)


def beginning(reader: ChunkReader, uid: str, entry: Entry, n_bytes: int) -> bytes:
    """Return the first bytes of a file, reading no more of it than they need."""
    wanted, total = [], 0
    for chunk in entry.all_chunks:
        if total >= n_bytes:
            break
        wanted.append(chunk)
        total += chunk.size_bytes
    return b"".join(reader.read(uid, wanted))[:n_bytes]


def content(reader: ChunkReader, uid: str, entry: Entry) -> Iterator[bytes]:
    """Return the bytes of a file, piece by piece. The first is read before this returns: what fails, fails here."""
    pieces = iter(reader.read(uid, entry.all_chunks))
    first = next(pieces, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from pieces

    return rest()


def is_text(start: bytes, is_cut: bool) -> bool:
    """Say whether bytes are UTF-8 text; `is_cut`: there is more, so that the last character may be in two."""
    if b"\0" in start:
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return is_cut and error.start > len(start) - 4
    return True


def picture_type(start: bytes) -> str:
    """Return the media type of a picture that a browser may show, "" for anything else."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _PICTURES if start.startswith(magic)), "")


def _picture(entry: Entry, start: bytes) -> Preview:
    if entry.size_bytes > MAX_IMAGE_BYTES:
        return Preview(kind="none", note="A picture of more than 32 MiB: download it to look at it.")
    if start.startswith(b"\x89PNG") and len(start) >= 24:
        width, height = struct.unpack(">II", start[16:24])
        if width * height > _MAX_PIXELS:
            return Preview(kind="none", note=f"A picture of {width} x {height} pixels: too large to be shown here.")
    return Preview(kind="image")


def _binary_note(path: str, start: bytes) -> str:
    is_pickle = start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"
    if is_pickle or (path.lower().endswith(_PICKLES) and start[:4] == b"PK\x03\x04"):
        return "A pickle, or a checkpoint that holds one: loading it would run code, so it is never opened here."
    return "A binary file: download it to look at it."


def _tensors(reader: ChunkReader, uid: str, entry: Entry) -> Preview:
    """Read the header of a safetensors file: its length in 8 bytes, then JSON (safetensors, Hugging Face, 2022)."""
    start = beginning(reader, uid, entry, 8)
    length = int.from_bytes(start, "little") if len(start) == 8 else 0
    if not 2 <= length <= min(_MAX_HEADER_BYTES, entry.size_bytes - 8):
        return Preview(kind="none", note="Not a safetensors file, though it is called one.")
    raw = beginning(reader, uid, entry, 8 + length)[8:]
    try:
        return _tensor_preview(msgspec.json.decode(raw, type=dict[str, Any]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Preview(kind="none", note="Its header cannot be read: it is no valid safetensors file.")


def _tensor_preview(header: dict[str, Any]) -> Preview:
    about = msgspec.convert(header.pop("__metadata__", {}), dict[str, str])
    tensors = []
    n_parameters = 0
    for name, value in header.items():
        tensor = msgspec.convert({**value, "name": name} if isinstance(value, dict) else value, Tensor)
        size = 1
        for extent in tensor.shape:
            size *= max(0, min(extent, 1 << 48))
        n_parameters += min(size, 1 << 53)
        tensors.append(tensor)
    shown = tensors[:_MAX_TENSORS]
    return Preview(
        kind="tensors",
        tensors=shown,
        is_cut=len(shown) < len(tensors),
        n_tensors=len(tensors),
        n_parameters=min(n_parameters, 1 << 53),
        header={key[:200]: text[:2000] for key, text in list(about.items())[:100]},
    )
