"""Where files are cut: what is inserted, appended or changed makes few new chunks, whatever a file says of itself."""

from __future__ import annotations

import json
import os
import random
import struct
import zipfile
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.artifacts.wire import MAX_CHUNK_BYTES
from tracker_server.blobs.cuts import MAX_BYTES, MIN_BYTES, MIN_TENSOR_BYTES, PIECE_BYTES, WINDOW_BYTES, Cuts
from tracker_server.blobs.tensor_spans import tensor_spans


def cut(data: bytes, spans=(), window_bytes: int = WINDOW_BYTES) -> list[bytes]:
    """Return the chunks of content that is met window by window."""
    cuts, view, chunks, position = Cuts(spans), memoryview(data), [], 0
    while True:
        window = view[position : position + window_bytes]
        is_end = position + len(window) == len(view)
        sizes = cuts.of_window(window, position, is_end)
        assert is_end or sizes, "no progress"
        for size in sizes:
            chunks.append(bytes(view[position : position + size]))
            position += size
        if is_end:
            assert position == len(view)
            return chunks


def new_bytes(before: list[bytes], after: list[bytes]) -> int:
    known = {blake3(chunk).digest() for chunk in before}
    return sum(len(chunk) for chunk in after if blake3(chunk).digest() not in known)


def spans_of(path: Path) -> list[tuple[int, int]]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return tensor_spans(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def random_bytes(n: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(n)


# -- by content


def test_chunks_are_within_their_bounds():
    chunks = cut(random_bytes(5 << 20))
    assert b"".join(chunks) == random_bytes(5 << 20)
    assert all(MIN_BYTES <= len(chunk) <= MAX_BYTES for chunk in chunks[:-1])


@pytest.mark.parametrize("data", [b"", b"x", bytes(3 << 20), random_bytes(MIN_BYTES), random_bytes(MIN_BYTES + 1)])
def test_any_content_is_the_sum_of_its_chunks(data):
    assert b"".join(cut(data)) == data


def test_windows_move_no_cut():
    data = random_bytes(9 << 20)
    whole = cut(data, window_bytes=len(data))
    for window_bytes in (MAX_BYTES + 1, 1 << 20, 3_333_333):
        assert cut(data, window_bytes=window_bytes) == whole


def test_an_insertion_moves_only_the_cuts_near_it():
    data = random_bytes(8 << 20)
    changed = data[: 3 << 20] + b"inserted" + data[3 << 20 :]
    assert new_bytes(cut(data), cut(changed)) <= 3 * MAX_BYTES


def test_appended_rows_add_little_more_than_themselves():
    rows = [b"%d,%s\n" % (i, random_bytes(40, i).hex().encode()) for i in range(40_000)]
    before, after = b"".join(rows[:-400]), b"".join(rows)
    added = len(after) - len(before)
    assert new_bytes(cut(before), cut(after)) <= added + MAX_BYTES


# -- at tensors


def test_tensors_are_cut_off_what_is_around_them():
    data = random_bytes(2 * PIECE_BYTES + 500_000)
    begin, end = 1_000, 1_000 + PIECE_BYTES + 70_000
    chunks = cut(data, [(begin, end)])
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks[:3]] == [1_000, PIECE_BYTES, 70_000]


def test_a_tensor_has_the_same_chunks_wherever_it_lies():
    tensor = random_bytes(3 * PIECE_BYTES + 12_345)
    here = cut(b"h" * 300 + tensor + b"t" * 99, [(300, 300 + len(tensor))])
    there = cut(random_bytes(WINDOW_BYTES + 77, 1) + tensor, [(WINDOW_BYTES + 77, WINDOW_BYTES + 77 + len(tensor))])
    assert new_bytes(here, cut(tensor, [(0, len(tensor))])) == 0
    assert new_bytes(there, cut(tensor, [(0, len(tensor))])) == 0


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(-100, 3 << 20), st.integers(-100, 3 << 20)), max_size=12), st.integers(0, 3 << 20)
)
def test_whatever_spans_are_given_every_byte_is_in_one_chunk_that_is_not_too_large(spans, n):
    data = bytes(n)
    chunks = cut(data, spans)
    assert sum(map(len, chunks)) == n
    assert all(0 < len(chunk) <= MAX_CHUNK_BYTES for chunk in chunks)
    # Hostile spans do not make ever so many chunks.
    assert len(chunks) <= 2 + n // MIN_BYTES + 2 * n // MIN_TENSOR_BYTES


# -- real checkpoints


def test_safetensors_are_cut_at_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensors = {f"layer{i}": torch.randn(200, 200) for i in range(5)} | {"bias": torch.randn(7)}
    save_file(tensors, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    spans = spans_of(tmp_path / "a.safetensors")
    contents = {data[begin:end] for begin, end in spans}
    assert {tensor.numpy().tobytes() for tensor in tensors.values()} <= contents


def test_pytorch_checkpoints_are_cut_at_storages(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {f"layer{i}": torch.randn(200, 200) for i in range(5)} | {"bias": torch.randn(7)}
    torch.save(tensors, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    contents = {data[begin:end] for begin, end in spans_of(tmp_path / "a.pt")}
    assert contents == {tensors[f"layer{i}"].numpy().tobytes() for i in range(5)}


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_checkpoint_with_a_tenth_of_its_tensors_changed_adds_that_much(tmp_path, name):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    save = torch.save if name.endswith(".pt") else save_file
    tensors = {f"layer{i}": torch.randn(300, 300) for i in range(20)} | {
        f"bias{i}": torch.randn(300) for i in range(20)
    }
    save(tensors, tmp_path / name)
    before = cut((tmp_path / name).read_bytes(), spans_of(tmp_path / name))
    for i in (3, 11):
        tensors[f"layer{i}"] = torch.randn(300, 300)
        tensors[f"bias{i}"] = torch.randn(300)
    save(tensors, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert new_bytes(before, cut(data, spans_of(tmp_path / name))) <= 0.12 * len(data)


def test_the_same_tensors_in_both_formats_share_their_chunks(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensors = {f"layer{i}": torch.randn(300, 300) for i in range(6)}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "a.pt")
    save_file(tensors, tmp_path / "a.safetensors")
    before, after = (cut((tmp_path / name).read_bytes(), spans_of(tmp_path / name)) for name in os.listdir(tmp_path))
    assert new_bytes(before, after) < 20_000


def test_nothing_of_a_checkpoint_is_ever_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    import pickle

    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("archive/data/0", random_bytes(100_000))
    assert len(spans_of(tmp_path / "a.pt")) == 1
    assert not (tmp_path / "run").exists()


# -- hostile


def safetensors(header: bytes, n_header: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if n_header is None else n_header) + header + bytes(100_000)


def _tensors(*offsets: object) -> bytes:
    return json.dumps({str(i): {"data_offsets": value} for i, value in enumerate(offsets)}).encode()


HOSTILE = {
    "length beyond the file": safetensors(b"{}", 1 << 60),
    "negative length": safetensors(b"{}", (1 << 64) - 1),
    "no json": safetensors(b"{" + b"x" * 100),
    "deep json": safetensors(b"{" + b'"a":{' * 50_000),
    "deep list": safetensors(b'{"a":' + b"[" * 50_000),
    "not utf-8": safetensors(b'{"\xff\xfe":{"data_offsets":[0,9]}}'),
    "offsets outside": safetensors(_tensors([0, 1 << 62], [-5, 70_000], [70_000, 0], [1 << 70, 1 << 71])),
    "offsets that are none": safetensors(_tensors("x", [1], None, [0.5, 2], {})),
    "overlapping": safetensors(_tensors(*([i, 99_000] for i in range(1_000)))),
    "a list": safetensors(b"[1,2]"),
    "only the magic of a zip": b"PK\3\4" + bytes(200_000),
    "a zip end that lies": b"PK\3\4" + bytes(100_000) + struct.pack("<4s6xHII2x", b"PK\5\6", 9, 1 << 31, 0),
    "a zip of a million": b"PK\3\4" + bytes(100_000) + struct.pack("<4s6xHII2x", b"PK\5\6", 65535, 40 << 20, 0),
    "a zip end far away": b"PK\3\4"
    + bytes(100_000)
    + struct.pack("<4s4xQ4x", b"PK\6\7", 1 << 62)
    + struct.pack("<4s6xHII2x", b"PK\5\6", 65535, 0, 0),
    "zeros": bytes(300_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_about_its_tensors_is_cut_all_the_same(tmp_path, name):
    path = tmp_path / "file"
    path.write_bytes(HOSTILE[name])
    spans = spans_of(path)
    assert all(0 <= begin < end <= len(HOSTILE[name]) for begin, end in spans)
    assert b"".join(cut(HOSTILE[name], spans)) == HOSTILE[name]


def test_a_zip_damaged_anywhere_is_cut_all_the_same(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data/0", bytes(80_000))
        archive.writestr("archive/data/1", bytes(80_000), zipfile.ZIP_DEFLATED)
        archive.comment = b"comment"
    good = path.read_bytes()
    random_places = random.Random(1)
    for _ in range(150):
        data = bytearray(good)
        for _ in range(random_places.randint(1, 4)):
            at = random_places.choice((random_places.randrange(60), -1 - random_places.randrange(250)))
            data[at] = random_places.randrange(256)
        path.write_bytes(data)
        spans = spans_of(path)
        assert all(0 <= begin < end <= len(data) for begin, end in spans)
