"""The files that `artifact_cost.py` logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

MIB = 1 << 20
_N_TENSORS = 64
_SIDE = 1448  # of a square matrix of float32, 8 MiB
_N_CHANGED = 6  # of the tensors, and of their biases: less than a tenth of the bytes
_N_ROWS, _ROW_BYTES = 10_000_000, 100
_N_PARQUET_ROWS, _N_COLUMNS = 6_250_000, 10


def write_checkpoints(place: Path, rng: np.random.Generator) -> None:
    """Write model.pt with `torch.save`, and model2.pt in which a tenth of the tensors is another."""
    import torch

    def tensor(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    weights = {f"layers.{i}.weight": tensor(_SIDE, _SIDE) for i in range(_N_TENSORS)}
    weights |= {f"layers.{i}.bias": tensor(_SIDE) for i in range(_N_TENSORS)}
    torch.save(weights, place / "model.pt")
    for i in range(_N_CHANGED):
        weights[f"layers.{10 * i}.weight"] = tensor(_SIDE, _SIDE)
        weights[f"layers.{10 * i}.bias"] = tensor(_SIDE)
    torch.save(weights, place / "model2.pt")


def write_opaque(place: Path, rng: np.random.Generator) -> None:
    """Write opaque.bin, 512 MiB of random bytes."""
    with open(place / "opaque.bin", "wb") as file:
        for _ in range(64):
            file.write(rng.bytes(8 * MIB))


def write_small(place: Path, rng: np.random.Generator) -> None:
    """Write small/, 5,000 files of 10 KB in 50 folders."""
    for i in range(50):
        folder = place / "small" / f"{i:02}"
        folder.mkdir(parents=True)
        for j in range(100):
            (folder / f"{j:02}.bin").write_bytes(rng.bytes(10_240))


def write_data_sets(place: Path, rng: np.random.Generator) -> None:
    """Write rows.csv of 1 GB and rows.parquet of 500 MB, and rows2.* with 1 % more rows at the end."""
    with open(place / "rows.csv", "wb") as first, open(place / "rows2.csv", "wb") as second:
        for i in range(101):
            digits = rng.integers(48, 58, (_N_ROWS // 100, _ROW_BYTES), dtype=np.uint8)
            digits[:, 9::10] = ord(",")
            digits[:, -1] = ord("\n")
            for file in (first, second) if i < 100 else (second,):
                file.write(digits)
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_more = _N_PARQUET_ROWS // 100
    columns = {f"c{i}": rng.standard_normal(_N_PARQUET_ROWS + n_more) for i in range(_N_COLUMNS)}
    table = pa.table(columns)
    pq.write_table(table.slice(0, _N_PARQUET_ROWS), place / "rows.parquet")
    pq.write_table(table, place / "rows2.parquet")


def write_tiny(place: Path, n_files: int) -> None:
    """Write tiny/, many files of 100 bytes."""
    for i in range(n_files):
        folder = place / "tiny" / f"{i // 1000:03}"
        if i % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{i % 1000:03}").write_bytes(b"%099d\n" % i)
