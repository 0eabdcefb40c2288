"""`Audio`: sound, from samples or a file."""

from __future__ import annotations

import io
import math
import struct
import wave
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from .arrays import ArraySnapshot
from .image import checked_caption
from .place import Pending, Place, Target
from .source_file import SourceFile, is_source

_MOST_CHANNELS = 64
_MOST_RATE = 768_000
_MOST_WAV_BYTES = (1 << 32) - 64
# What the first bytes of the files say that browsers play, behind the offset at which they stand.
_SIGNS = (
    ("wav", 0, b"RIFF"),
    ("flac", 0, b"fLaC"),
    ("ogg", 0, b"OggS"),
    ("mp3", 0, b"ID3"),
    ("mp3", 0, b"\xff\xfb"),
    ("mp3", 0, b"\xff\xf3"),
    ("mp3", 0, b"\xff\xf2"),
    ("m4a", 4, b"ftyp"),
    ("webm", 0, b"\x1aE\xdf\xa3"),
    ("aac", 0, b"\xff\xf1"),
    ("aac", 0, b"\xff\xf9"),
)


class Audio(RichValue):
    """Sound to log. Samples are kept as a WAV file of 16 bits, which every browser plays.

    Args:
        data_or_path: samples as an array or tensor of shape (samples,) or (samples, channels): floating-point ones
            from -1 to 1, or integers, whose type says their range; or the path of a wav, flac, ogg, mp3, m4a, aac or
            webm file, or its bytes, which is kept as it is.
        sample_rate: samples per second; needed for an array.
        caption: a text shown with it.

    Raises:
        UsageError: an argument is not what it must be.
    """

    kind = "audio"

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        self._caption = None if caption is None else checked_caption(caption, "Audio(caption=)")
        self._array: ArraySnapshot | None = None
        self._file: SourceFile | None = None
        self.sample_rate = None if sample_rate is None else _checked_rate(sample_rate)
        self.duration_s: float | None = None
        if is_source(data_or_path):
            self._take_file(SourceFile(data_or_path, "Audio(data_or_path=)"))
        else:
            self._take_samples(data_or_path)

    def _take_file(self, file: SourceFile) -> None:
        self._file, self._format = file, _format_of(file)
        if self._format != "wav":
            return
        try:
            with file.open() as opened, wave.open(opened, "rb") as sound:
                self.sample_rate = sound.getframerate() or None
                self.duration_s = sound.getnframes() / self.sample_rate if self.sample_rate else None
        except (OSError, EOFError, wave.Error, struct.error, ValueError):
            pass  # of a kind that the standard library does not read; browsers may

    def _take_samples(self, data: Any) -> None:
        where = "Audio(data_or_path=)"
        if self.sample_rate is None:
            raise UsageError("Audio(sample_rate=)", "none for an array", "samples per second", "pass sample_rate=44100")
        self._array, self._format = ArraySnapshot(data, where), "wav"
        shape = tuple(n for n in self._array.shape if n != 1) or (1,)
        if len(shape) > 2 or 0 in self._array.shape or (len(shape) == 2 and min(shape) > _MOST_CHANNELS):
            got, expected = f"an array of shape {self._array.shape}", "(samples,) or (samples, channels)"
            raise UsageError(where, got, expected, f"pass at most {_MOST_CHANNELS} channels")
        self._is_channels_first = len(shape) == 2 and shape[1] > _MOST_CHANNELS
        n_samples = shape[-1] if self._is_channels_first else shape[0]
        if math.prod(shape) * 2 > _MOST_WAV_BYTES:
            raise UsageError(where, f"{math.prod(shape)} samples", "at most 4 GiB as WAV", "log a part of it")
        self.duration_s = n_samples / self.sample_rate

    def held_bytes(self) -> int:
        if self._array is not None:
            return self._array.n_bytes
        return 0 if self._file is None else self._file.held_bytes()

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, self._format)
        value: dict[str, Any] = {"_type": self.kind, "path": path, "format": self._format}
        if self.sample_rate is not None:
            value["sample_rate"] = self.sample_rate
        if self.duration_s is not None:
            value["duration_s"] = self.duration_s
        if self._caption is not None:
            value["caption"] = self._caption
        if self._file is not None:
            return value, [self._file.pending(path)]
        assert self._array is not None

        def write(target: Target, _: bool) -> bool:
            return target.keep_media(path, self._wav())

        return value, [Pending(self._array.n_bytes, write)]

    def _wav(self) -> bytes:
        assert self._array is not None and self.sample_rate is not None
        samples = self._array.numpy()
        samples = samples.reshape([n for n in samples.shape if n != 1] or [1])
        if samples.ndim == 2 and self._is_channels_first:
            samples = samples.T
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as sound:
            sound.setnchannels(samples.shape[1] if samples.ndim == 2 else 1)
            sound.setsampwidth(2)
            sound.setframerate(self.sample_rate)
            sound.writeframes(_as_16_bits(samples).tobytes())
        return buffer.getvalue()


def _as_16_bits(samples: Any) -> Any:
    """Return samples as little-endian int16; what is not finite becomes silence, what is too loud is clipped."""
    import numpy as np

    if samples.dtype.kind == "f":
        loud = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
        levels = np.clip(loud, -1, 1) * 32767
    elif samples.dtype.kind == "b":
        levels = samples.astype(np.float64) * 32767
    else:
        n_bits = samples.dtype.itemsize * 8
        middle = 1 << (n_bits - 1) if samples.dtype.kind == "u" else 0
        levels = (samples.astype(np.float64) - middle) * 2.0 ** (16 - n_bits)
    return np.clip(np.round(levels), -32768, 32767).astype("<i2")


def _checked_rate(rate: Any) -> int:
    rate = rate.item() if hasattr(rate, "item") else rate
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or rate != rate or not 1 <= rate <= _MOST_RATE:
        expected = f"1 to {_MOST_RATE} samples per second"
        raise UsageError("Audio(sample_rate=)", f"{rate!r:.100}", expected, "pass for example 44100")
    return int(rate)


def _format_of(file: SourceFile) -> str:
    for name, offset, sign in _SIGNS:
        if file.head[offset : offset + len(sign)] == sign and (name != "wav" or file.head[8:12] == b"WAVE"):
            return name
    expected = "a wav, flac, ogg, mp3, m4a, aac or webm file"
    raise UsageError("Audio(data_or_path=)", f"{file!r}, which is none", expected, "convert it, or run.save() it")
