"""wandb in offline mode. Runs inside wandb's own venv.

wandb 0.31 brings no public reader of its `.wandb` files, so `points` reads the frames here (the LevelDB log
format after a file header of 7 bytes) and their content with wandb's own protobuf classes.
"""

from __future__ import annotations

import importlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import logger_worker as worker

_FILE_HEADER_BYTES = 7
_BLOCK_BYTES = 32768
_FRAME_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _LAST = 1, 2, 4


class WandbLogger:
    """Log through `wandb.init(mode="offline")`."""

    def __init__(self) -> None:
        self._wandb: Any = None
        self._run: Any = None

    def load(self) -> str:
        """Import wandb."""
        self._wandb = importlib.import_module("wandb")
        return f"wandb {self._wandb.__version__}"

    def start(self, folder: Path) -> worker.LogFunction:
        """Open an offline run; the environment has set error reporting off and, where wanted, silence."""
        self._run = self._wandb.init(project="log-cost", dir=str(folder), mode="offline")
        log: worker.LogFunction = self._run.log
        return log

    def finish(self) -> None:
        """Wait until wandb's helper process has written all rows."""
        self._run.finish()

    def points(self, folder: Path, key: str) -> list[worker.Point]:
        """Return the points of a metric in the history records of the runs' `.wandb` files."""
        messages: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
        points: list[worker.Point] = []
        for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
            for body in _read_records(path.read_bytes()):
                record = messages.Record.FromString(body)
                items = {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
                if key in items:
                    points.append((int(items["_step"]), json.loads(items[key])))
        return points


def _read_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a LevelDB log; stop at the first frame that is not whole."""
    offset, parts = _FILE_HEADER_BYTES, b""
    while offset + _FRAME_HEADER.size <= len(data):
        n_left = _BLOCK_BYTES - offset % _BLOCK_BYTES
        if n_left < _FRAME_HEADER.size:
            offset += n_left
            continue
        _crc, size, kind = _FRAME_HEADER.unpack_from(data, offset)
        body = data[offset + _FRAME_HEADER.size : offset + _FRAME_HEADER.size + size]
        if kind == 0 or len(body) < size:
            return
        offset += _FRAME_HEADER.size + size
        parts = body if kind in (_FULL, _FIRST) else parts + body
        if kind in (_FULL, _LAST):
            yield parts


if __name__ == "__main__":
    worker.main(WandbLogger())
