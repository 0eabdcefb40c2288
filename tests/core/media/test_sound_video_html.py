"""Sound, videos and HTML are kept so that browsers play them; files as they are, whatever their name."""

from __future__ import annotations

import io
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logged_media import Logged
from PIL import Image as Pil

import tracker_core as tracker

Write = Callable[[str, bytes], str]
TONE = np.sin(np.arange(4000) / 8000 * 440 * 2 * np.pi)


def samples(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getsampwidth() == 2
        flat = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        return flat.reshape(-1, sound.getnchannels())


@pytest.mark.parametrize(
    "data",
    [
        TONE,
        TONE.astype(np.float32),
        torch.from_numpy(TONE)[None],
        np.round(TONE * 32767).astype(np.int16),
        np.round(TONE * 32767).astype(np.int32) << 16,
        TONE.tolist(),
    ],
    ids=["float64", "float32", "torch", "int16", "int32", "list"],
)
def test_samples_of_any_type_are_the_same_sound(logged: Logged, data: Any) -> None:
    logged.log(tone=tracker.Audio(data, sample_rate=8000, caption="a"))
    value = logged.value("tone")
    assert {**value, "path": ""} == {
        "_type": "audio", "path": "", "format": "wav", "sample_rate": 8000, "duration_s": 0.5, "caption": "a",
    }  # fmt: skip
    assert np.abs(samples(logged.file(value["path"]))[:, 0] - TONE * 32767).max() <= 1


def test_channels_may_come_first_or_last() -> None:
    stereo = np.stack([TONE, -TONE], axis=1)
    files = [tracker.Audio(data, 8000).artifact_files("a")[1][1] for data in (stereo, torch.from_numpy(stereo.T))]
    assert files[0] == files[1] and samples(files[0]).shape == (4000, 2)


def test_what_is_too_loud_is_clipped_and_no_number_is_silence() -> None:
    data = samples(tracker.Audio(np.array([2.0, -2.0, np.nan, np.inf]), 8000).artifact_files("a")[1][1])
    assert data[:, 0].tolist() == [32767, -32767, 0, 32767]


def test_a_sound_file_is_kept_as_it_is(logged: Logged, written: Write) -> None:
    data = tracker.Audio(TONE, 8000).artifact_files("a")[1][1]
    logged.log(a=tracker.Audio(written("sound.mp3", data)), b=tracker.Audio(written("b.bin", b"fLaC" + b"\0" * 50)))
    value = logged.value("a")
    assert (value["format"], value["sample_rate"], value["duration_s"]) == ("wav", 8000, 0.5)
    assert logged.file(value["path"]) == data and value["path"].endswith(".wav")
    assert logged.value("b")["format"] == "flac"


@pytest.mark.parametrize(
    ("data", "rate"),
    [
        (TONE, None),
        (TONE, 0),
        (TONE, float("nan")),
        (TONE, "8000"),
        (np.zeros((100, 100)), 8000),
        (np.zeros((2, 2, 2)), 8000),
        (np.zeros(0), 8000),
        (b"<html>", None),
        (b"RIFF\0\0\0\0AVI ", None),
        ("absent.wav", None),
        (TONE.astype(complex), 8000),
    ],
)
def test_what_is_no_sound_is_refused(data: Any, rate: Any) -> None:
    with pytest.raises(tracker.UsageError):
        tracker.Audio(data, sample_rate=rate)


FRAMES = np.random.default_rng(6).integers(0, 256, (5, 3, 8, 10), dtype=np.uint8)


@pytest.mark.parametrize("data", [FRAMES, torch.from_numpy(FRAMES), FRAMES / 255, FRAMES.tolist()], ids=type)
def test_frames_become_an_animation(logged: Logged, data: Any) -> None:
    logged.log(video=tracker.Video(data, fps=10, caption="a"))
    value = logged.value("video")
    path = value.pop("path")
    expected = {"format": "gif", "width": 10, "height": 8, "n_frames": 5, "fps": 10, "caption": "a"}
    assert value == {"_type": "video", **expected}
    with Pil.open(io.BytesIO(logged.file(path))) as animation:
        assert (animation.n_frames, animation.info["duration"]) == (5, 100)


def test_several_videos_stand_side_by_side() -> None:
    name, data = tracker.Video(np.stack([FRAMES, FRAMES])).artifact_files("v")[1]
    with Pil.open(io.BytesIO(data)) as animation:
        assert animation.size == (20, 8) and name.endswith(".gif")


def test_without_ffmpeg_a_video_is_a_gif(
    logged: Logged, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    monkeypatch.setenv("PATH", "")
    logged.log(video=tracker.Video(FRAMES, format="mp4"))
    assert logged.value("video")["format"] == "gif" and "ffmpeg" in said()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_ffmpeg_writes_other_formats(logged: Logged, format: str) -> None:
    logged.log(video=tracker.Video(FRAMES, format=format))
    assert tracker.Video(logged.file(logged.value("video")["path"])).format == format


def test_a_video_file_is_kept_as_it_is_however_large(logged: Logged, tmp_path: Path) -> None:
    data = b"\0\0\0\x20ftypisom" + bytes(6 << 20)
    (tmp_path / "film.bin").write_bytes(data)
    logged.log(video=tracker.Video(str(tmp_path / "film.bin")))
    (tmp_path / "film.bin").unlink()
    assert logged.file(logged.value("video")["path"]) == data and logged.value("video")["path"].endswith(".mp4")


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (np.zeros((5, 8, 10)), {}),
        (np.zeros((5, 2, 8, 10)), {}),
        (np.zeros((0, 3, 8, 10)), {}),
        (FRAMES, {"fps": 0}),
        (FRAMES, {"fps": "fast"}),
        (FRAMES, {"format": "exe"}),
        (b"<html>", {}),
        (b"GIF89a-broken", {}),
        (np.broadcast_to(np.uint8(0), (3000, 3, 4000, 4000)), {}),
    ],
)
def test_what_is_no_video_is_refused(data: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(tracker.UsageError):
        tracker.Video(data, **arguments)


def test_html_is_kept_as_it_was_given(logged: Logged, tmp_path: Path) -> None:
    page = "<script>alert('é')</script>"
    (tmp_path / "page.html").write_text(page)
    logged.log(
        text=tracker.Html(page),
        path=tracker.Html(tmp_path / "page.html"),
        file=tracker.Html(io.StringIO(page)),
        named=tracker.Html(str(tmp_path / "page.html")),
        literally=tracker.Html("page.html", data_is_not_path=True),
    )
    for key in ("text", "path", "file", "named"):
        assert logged.file(logged.value(key)["path"]).decode() == page
    assert logged.file(logged.value("literally")["path"]) == b"page.html"
    assert logged.value("text")["size_bytes"] == len(page.encode())


@pytest.mark.parametrize(
    "data", [5, None, Path("absent.html"), "x" * (33 << 20)], ids=["number", "none", "absent", "33 MiB"]
)
def test_what_is_no_html_is_refused(data: Any) -> None:
    with pytest.raises(tracker.UsageError):
        tracker.Html(data)
