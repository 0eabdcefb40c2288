"""`Video`: moving pictures, from frames or a file."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from typing import Any

from ..errors import UsageError
from ..rich import RichValue
from ..say import warn
from .arrays import ArraySnapshot
from .image import checked_caption
from .pixels import MAX_PIXELS
from .place import Pending, Place, Target
from .source_file import SourceFile, is_source

_WHERE = "Video(data_or_path=)"
_FORMATS = ("gif", "mp4", "webm", "ogg")
_FPS = 4
_MOST_FPS = 1000
_MOST_BYTES = 4 << 30
_ENCODE_LIMIT_S = 600
_has_warned = False
_SIGNS = (
    ("gif", 0, b"GIF8"),
    ("mp4", 4, b"ftyp"),
    ("webm", 0, b"\x1aE\xdf\xa3"),
    ("ogg", 0, b"OggS"),
)
# Of the formats that ffmpeg writes: what every browser plays.
_FFMPEG = {
    "mp4": ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"],
    "webm": ["-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-f", "webm"],
    "ogg": ["-c:v", "libtheora", "-f", "ogg"],
}


class Video(RichValue):
    """A video to log.

    Args:
        data_or_path: frames as an array or tensor of shape (time, channels, height, width), or with several videos
            (batch, time, channels, height, width), which are shown side by side; 1 or 3 channels of 0..255; or the
            path of a gif, mp4, webm or ogg file, or bytes of one, which are kept as they are.
        caption: a text shown with it.
        fps: frames per second of an array; default 4.
        format: "gif" (the default), "mp4", "webm" or "ogg" of an array. All but gif need the program ffmpeg; where it
            is not there, a gif is written.

    Raises:
        UsageError: an argument is not what it must be.
    """

    kind = "video"

    def __init__(
        self, data_or_path: Any, caption: str | None = None, fps: float | None = None, format: str | None = None
    ) -> None:
        self._caption = None if caption is None else checked_caption(caption, "Video(caption=)")
        if format is not None and format not in _FORMATS:
            raise UsageError("Video(format=)", f"{format!r:.100}", "one of " + ", ".join(_FORMATS), "choose one")
        self._fps = _checked_fps(fps)
        self._value: dict[str, Any] = {}
        self._array: ArraySnapshot | None = None
        self._file: SourceFile | None = None
        if is_source(data_or_path):
            self._file = SourceFile(data_or_path, _WHERE)
            self._format = _format_of(self._file)
            self._measure_gif(self._file)
        else:
            self._take_frames(data_or_path, format or "gif")

    @property
    def format(self) -> str:
        """Of the file: gif, mp4, webm or ogg."""
        return self._format

    def _take_frames(self, data: Any, format: str) -> None:
        if hasattr(data, "shape"):
            _checked_shape(tuple(data.shape))  # before a large one is copied
        self._array = ArraySnapshot(data, _WHERE)
        width, height, n_frames = _checked_shape(self._array.shape)
        self._format = _available(format)
        self._value = {"width": width, "height": height, "n_frames": n_frames, "fps": self._fps}

    def _measure_gif(self, file: SourceFile) -> None:
        if self._format != "gif":
            return
        from PIL import Image as Pil

        try:
            with file.open() as opened, Pil.open(opened, formats=["GIF"]) as picture:
                self._value = {"width": picture.size[0], "height": picture.size[1]}
        except (OSError, ValueError, SyntaxError, Pil.DecompressionBombError) as error:
            raise UsageError(_WHERE, f"a damaged gif ({error})", "one that can be read", "write it anew") from None

    def held_bytes(self) -> int:
        if self._array is not None:
            return self._array.n_bytes
        return 0 if self._file is None else self._file.held_bytes()

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, self._format)
        value: dict[str, Any] = {"_type": self.kind, "path": path, "format": self._format, **self._value}
        if self._caption is not None:
            value["caption"] = self._caption
        if self._file is not None:
            return value, [self._file.pending(path)]

        def write(target: Target, _: bool) -> bool:
            return target.keep_media(path, self._encoded())

        assert self._array is not None
        return value, [Pending(self._array.n_bytes, write)]

    def _encoded(self) -> bytes:
        assert self._array is not None
        frames = frames_of(self._array.numpy(), self._array.is_torch)
        if self._format != "gif":
            return _by_ffmpeg(frames, self._fps, self._format)
        from PIL import Image as Pil

        pictures = [Pil.fromarray(frame) for frame in frames]
        buffer = io.BytesIO()
        pictures[0].save(
            buffer,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=max(20, round(1000 / self._fps)),
            loop=0,
        )
        return buffer.getvalue()


def frames_of(array: Any, is_torch: bool) -> Any:
    """Return frames as uint8 of shape (time, height, width, 3); several videos side by side.

    Floating-point values none of which is above 1 are taken as 0..1, all others as 0..255.
    """
    import numpy as np

    if array.dtype != np.uint8:
        values = np.nan_to_num(array.astype(np.float32), nan=0.0, posinf=255.0, neginf=0.0)
        scale = 255 if array.dtype.kind == "b" or (array.dtype.kind == "f" and values.max() <= 1) else 1
        array = np.clip(values * scale, 0, 255).astype(np.uint8)
    if array.ndim == 5:
        array = np.concatenate(list(array), axis=-1)
    array = array.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(np.repeat(array, 3, axis=3) if array.shape[3] == 1 else array[..., :3])


def _by_ffmpeg(frames: Any, fps: float, format: str) -> bytes:
    """Have ffmpeg write the video; its sides are made even, as the codecs want."""
    import tempfile

    _, height, width, _ = frames.shape
    with tempfile.TemporaryDirectory(prefix="tracker-video-") as folder:
        path = os.path.join(folder, "video")
        command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        command += ["-r", f"{fps:g}", "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", *_FFMPEG[format], path]
        try:
            subprocess.run(command, input=frames.data, capture_output=True, check=True, timeout=_ENCODE_LIMIT_S)
        except subprocess.CalledProcessError as error:
            raise ValueError(f"ffmpeg: {error.stderr.decode(errors='replace')[-300:]}") from None
        with open(path, "rb") as file:
            return file.read()


def _checked_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return width, height and number of frames; raises UsageError for what is no video."""
    if len(shape) not in (4, 5) or shape[-3] not in (1, 3, 4) or 0 in shape:
        expected = "(time, channels, height, width), 1 or 3 channels, or several of these"
        raise UsageError(_WHERE, f"an array of shape {shape}", expected, "transpose it")
    n_side = shape[0] if len(shape) == 5 else 1
    width, height, n_frames = shape[-1] * n_side, shape[-2], shape[-4]
    if width * height > MAX_PIXELS or width * height * n_frames * 3 > _MOST_BYTES:
        expected = f"at most {_MOST_BYTES >> 30} GiB of frames"
        raise UsageError(_WHERE, f"an array of shape {shape}", expected, "log fewer or smaller frames")
    return width, height, n_frames


def _available(format: str) -> str:
    global _has_warned
    if format == "gif" or shutil.which("ffmpeg") is not None:
        return format
    if not _has_warned:
        _has_warned = True
        warn(f"a video is kept as gif, not {format}, since the program ffmpeg is not there. Said once.")
    return "gif"


def _format_of(file: SourceFile) -> str:
    for name, offset, sign in _SIGNS:
        if file.head[offset : offset + len(sign)] == sign:
            return name
    raise UsageError(_WHERE, f"{file!r}, which is none", "a gif, mp4, webm or ogg file", "convert it, or run.save() it")


def _checked_fps(fps: Any) -> float:
    if fps is None:
        return _FPS
    if isinstance(fps, (int, float)) and not isinstance(fps, bool) and 0 < fps <= _MOST_FPS:
        return fps
    raise UsageError("Video(fps=)", f"{fps!r:.100}", f"above 0, at most {_MOST_FPS}", "pass frames per second")
