"""Runs with media, tables, plots and alerts as docs/media.md describes them, written value by value."""

from __future__ import annotations

import io
import json
import math
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import tracker_core as tracker
from tracker_core import records
from tracker_core.files import FileKeeper
from tracker_core.run import Run

Value = dict[str, Any]


class MediaWriter:
    """Writes the values of a run, with the files that they name."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._keeper = FileKeeper(run.dir, run.record)
        self._n_files = 0

    def log(self, step: int, **values: Any) -> None:
        """Write one row; `__` in a name becomes `/`."""
        self.row(step, {name.replace("__", "/"): value for name, value in values.items()})

    def row(self, step: int, values: dict[str, Any]) -> None:
        """Write one row."""
        self.run.record(records.RowMap(wall_time_ns=time.time_ns(), step=step, values=values))

    def file(self, data: bytes, kind: str, ending: str) -> str:
        """Keep the bytes of a value; return their path."""
        self._n_files += 1
        path = f"media/{kind}/x_{self._n_files:012x}.{ending}"
        self._keeper.keep_bytes(data, path, "media")
        return path

    def image(self, pixels: np.ndarray[Any, Any], **more: Any) -> Value:
        """Return an image of uint8[h, w] or uint8[h, w, 3]."""
        height, width = pixels.shape[:2]
        path = self.file(png(pixels), "image", "png")
        return {"_type": "image", "path": path, "width": width, "height": height, "format": "png", **more}

    def images(self, items: Sequence[Value]) -> Value:
        return {"_type": "images", "items": list(items)}

    def html(self, text: str) -> Value:
        path = self.file(text.encode(), "html", "html")
        return {"_type": "html", "path": path, "size_bytes": len(text.encode())}

    def audio(self, frequency_hz: float, duration_s: float = 1.0, **more: Any) -> Value:
        path = self.file(tone(frequency_hz, duration_s), "audio", "wav")
        return {"_type": "audio", "path": path, "sample_rate": 8000, "duration_s": duration_s, **more}

    def histogram(self, values: np.ndarray[Any, Any], n_bins: int = 64) -> Value:
        counts, bins = np.histogram(values, n_bins)
        return {"_type": "histogram", "bins": bins.tolist(), "counts": counts.tolist()}

    def plot(self, kind: str, title: str, content: Any) -> Value:
        path = self.file(json.dumps(content).encode(), "plot", "json")
        return {"_type": "plot", "kind": kind, "path": path, "title": title}

    def plotly(self, figure: Any) -> Value:
        return {"_type": "plotly", "path": self.file(json.dumps(figure).encode(), "plotly", "json")}

    def table(self, columns: dict[str, Any], media: Sequence[str] = ()) -> Value:
        """Return a table; the cells of the columns in `media` are values, kept as JSON text."""
        arrays, fields = [], []
        for name, cells in columns.items():
            is_media = name in media
            shown = [json.dumps(cell) for cell in cells] if is_media else cells
            array = pa.array(shown)
            arrays.append(array)
            fields.append(pa.field(name, array.type, metadata={"tracker.type": "media"} if is_media else None))
        table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
        sink = io.BytesIO()
        pq.write_table(table, sink)
        path = self.file(sink.getvalue(), "table", "parquet")
        return {"_type": "table", "path": path, "n_rows": table.num_rows, "columns": list(columns)}

    def alert(self, title: str, text: str = "", level: str = "INFO", step: int = 0) -> None:
        now_ns = time.time_ns()
        self.run.record(records.Alert(wall_time_ns=now_ns, title=title, text=text, level=level, step=step))


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """Return pixels as the bytes of a PNG."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def tone(frequency_hz: float, duration_s: float) -> bytes:
    """Return a tone as the bytes of a WAV."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        times = np.arange(int(8000 * duration_s)) / 8000
        out.writeframes((np.sin(2 * math.pi * frequency_hz * times) * 12000).astype("<i2").tobytes())
    return sink.getvalue()


def told_run(folder: Path, name: str, write: Callable[[MediaWriter], None], project: str = "media") -> None:
    """Write a run of a project whose id is its name."""
    with tracker.init(project=project, name=name, id=name, dir=folder) as run:
        write(MediaWriter(run))
