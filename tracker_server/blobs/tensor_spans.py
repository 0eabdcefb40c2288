"""Where the tensors of a checkpoint are, in files of safetensors and in the zip files of PyTorch. Nothing is loaded.

What a file says of itself is only a hint of where to cut it: whatever it says, every byte is kept.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator

import msgspec

from .cuts import MIN_TENSOR_BYTES, Span

# A checkpoint of more tensors, or with a longer list of them, is cut as any other file.
_MAX_HEADER_BYTES = 32 << 20
_MAX_MEMBERS = 100_000
_LENGTH = struct.Struct("<Q")
# A zip file ends with its directory, a record of it and up to 64 KiB of comment. Fields: number of members, size of
# the directory. The record of a large file is another one, found by a locator.
_ZIP_END, _ZIP_END_MAGIC, _ZIP_COMMENT_BYTES = struct.Struct("<4s6xHI6x"), b"PK\5\6", 1 << 16
_ZIP64_LOCATOR, _ZIP64_LOCATOR_MAGIC = struct.Struct("<4s4xQ4x"), b"PK\6\7"
_ZIP64_END, _ZIP64_END_MAGIC = struct.Struct("<4s28xQQ"), b"PK\6\6"
_MEMBER, _MEMBER_MAGIC = struct.Struct("<4s22xHH"), b"PK\3\4"
_MALFORMED = (
    struct.error,
    zipfile.BadZipFile,
    msgspec.MsgspecError,
    NotImplementedError,
    RecursionError,
    EOFError,
    ValueError,  # of texts that are no UTF-8, too
    OverflowError,
    LookupError,
    OSError,
)


class _Tensor(msgspec.Struct):
    data_offsets: tuple[int, int] = (0, 0)


def tensor_spans(fd: int, size_bytes: int) -> list[Span]:
    """Return where the tensors are, as (begin, end) in bytes; nothing for any other file.

    Args:
        fd: the file; where it is read next is not the same afterwards.
        size_bytes: of the file.
    """
    if size_bytes < MIN_TENSOR_BYTES:
        return []
    try:
        with open(fd, "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            head = file.read(_LENGTH.size)
            if head[:4] == _MEMBER_MAGIC:
                return list(_zip_spans(file, size_bytes))
            return _safetensors_spans(file, head, size_bytes)
    except _MALFORMED:
        return []


def _safetensors_spans(file: io.FileIO, head: bytes, size_bytes: int) -> list[Span]:
    """Read the header: its length, then JSON that says of each tensor where it is in what follows."""
    (n_header,) = _LENGTH.unpack(head)
    if not 2 <= n_header <= min(_MAX_HEADER_BYTES, size_bytes - _LENGTH.size):
        return []
    data = file.read(n_header)
    if not data.startswith(b"{"):
        return []
    begin = _LENGTH.size + n_header
    tensors = msgspec.json.decode(data, type=dict[str, _Tensor]).values()
    spans = [(begin + one.data_offsets[0], begin + one.data_offsets[1]) for one in tensors]
    return [one for one in spans if begin <= one[0] < one[1] <= size_bytes]


def _zip_spans(file: io.FileIO, size_bytes: int) -> Iterator[Span]:
    """Yield where the members are that are not compressed, as PyTorch keeps the storages of tensors."""
    n_members, n_directory = _directory(file, size_bytes)
    if n_members > _MAX_MEMBERS or n_directory > _MAX_HEADER_BYTES:
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    for member in members[:_MAX_MEMBERS]:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size < MIN_TENSOR_BYTES:
            continue
        # The header that stands before the bytes is padded, otherwise than the one in the directory.
        file.seek(member.header_offset)
        magic, n_name, n_extra = _MEMBER.unpack(file.read(_MEMBER.size))
        begin = member.header_offset + _MEMBER.size + n_name + n_extra
        if magic == _MEMBER_MAGIC and begin + member.file_size <= size_bytes:
            yield begin, begin + member.file_size


def _directory(file: io.FileIO, size_bytes: int) -> tuple[int, int]:
    """Return how many members a zip file has, and the size of its directory in bytes."""
    n_tail = min(size_bytes, _ZIP_COMMENT_BYTES + _ZIP_END.size + _ZIP64_LOCATOR.size)
    file.seek(size_bytes - n_tail)
    tail = file.read(n_tail)
    at = tail.rfind(_ZIP_END_MAGIC)
    if at < 0:
        return _MAX_MEMBERS + 1, 0
    _, n_members, n_directory = _ZIP_END.unpack_from(tail, at)
    locator_at = at - _ZIP64_LOCATOR.size
    if locator_at >= 0 and tail.startswith(_ZIP64_LOCATOR_MAGIC, locator_at):
        file.seek(_ZIP64_LOCATOR.unpack_from(tail, locator_at)[1])
        magic, n_members_64, n_directory_64 = _ZIP64_END.unpack(file.read(_ZIP64_END.size))
        if magic == _ZIP64_END_MAGIC:
            return n_members_64, n_directory_64
    return n_members, n_directory
