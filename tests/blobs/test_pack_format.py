"""The bytes of a pack: what is in it is known from it alone, and damage is named."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_chunks import chunk_of

from tracker_server.blobs.folder_place import FolderPlace
from tracker_server.blobs.pack_format import FOOTER_BYTES, DamagedPackError, decode_tail, encode_tail, index_bytes
from tracker_server.blobs.packs import read_pack_index, write_pack

CONTENTS = [b"a" * 100, b"bc", os.urandom(5_000)]


def pack_of(project: str, contents: list[bytes]) -> bytes:
    chunks, offset = [], 0
    for data in contents:
        chunks.append((chunk_of(data).digest, offset, len(data)))
        offset += len(data)
    return b"".join(contents) + encode_tail(project, chunks)


def read_back(pack: bytes):
    n_index = index_bytes(pack[-FOOTER_BYTES:], len(pack), "here")
    return decode_tail(pack[-FOOTER_BYTES - n_index :], len(pack), "here")


@given(st.text(max_size=50), st.lists(st.binary(min_size=1, max_size=20), max_size=20))
@settings(deadline=None)
def test_a_pack_says_what_is_in_it(project, contents):
    index = read_back(pack_of(project, contents))
    assert index.project == project
    pack = pack_of(project, contents)
    assert [pack[offset : offset + size] for _, offset, size in index.chunks] == contents
    assert [digest for digest, _, _ in index.chunks] == [chunk_of(data).digest for data in contents]


def test_every_truncation_and_every_flip_of_the_tail_is_named():
    pack = pack_of("p", CONTENTS)
    n_tail = len(pack) - sum(map(len, CONTENTS))
    for n in range(len(pack) - n_tail, len(pack)):
        with pytest.raises(DamagedPackError, match="here"):
            read_back(pack[:n])
    for at in range(len(pack) - n_tail, len(pack) - 4):  # four bytes at the end say nothing yet
        for bit in (0, 7):
            flipped = bytearray(pack)
            flipped[at] ^= 1 << bit
            with pytest.raises(DamagedPackError):
                read_back(bytes(flipped))


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_pack_or_named(data):
    try:
        read_back(data)
    except DamagedPackError:
        pass


def test_an_index_that_lies_about_its_length_is_not_read():
    pack = pack_of("p", CONTENTS)
    with pytest.raises(DamagedPackError, match="an index of"):
        index_bytes(pack[-FOOTER_BYTES:], FOOTER_BYTES + 3, "here")


def test_a_pack_of_another_version_is_not_guessed_at():
    import struct
    import zlib

    footer = struct.pack("<8sHHIQ", b"trkrpack", 9, 0, 0, 0)
    with pytest.raises(DamagedPackError, match="version 9"):
        read_back(footer + struct.pack("<II", zlib.crc32(footer), 0))


def test_the_index_of_a_pack_in_a_folder_is_read(tmp_path):
    place = FolderPlace(str(tmp_path / "blobs"))
    pack = write_pack(place, "my project/ü".replace("/", ""), [(chunk_of(data).digest, data) for data in CONTENTS])
    assert pack is not None
    (folder,) = place.projects()
    index = read_pack_index(place, folder, pack.pack_id)
    assert index.project == "my projectü" and list(index.chunks) == list(pack.chunks)
    assert [(one.pack_id, one.size_bytes) for one in place.packs(folder)] == [(pack.pack_id, pack.size_bytes)]
