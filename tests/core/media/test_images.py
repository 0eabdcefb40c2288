"""Images come back as the pixels that were given, of whatever library; what is no image is refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logged_media import Logged
from PIL import Image as Pil

import tracker_core as tracker
from tracker_core.media.png import encode_png

RGB = np.random.default_rng(1).integers(0, 256, (24, 36, 3), dtype=np.uint8)
Write = Callable[[str, bytes], str]


def pixels(logged: Logged, data: Any, **arguments: Any) -> np.ndarray:
    logged.log(image=tracker.Image(data, **arguments))
    return np.asarray(logged.picture("image"))


def png_of(array: np.ndarray = RGB) -> bytes:
    buffer = io.BytesIO()
    Pil.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("is_hurried", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (16, 1, 3), (24, 36, 3), (3, 5, 4)])
def test_a_png_holds_exactly_the_pixels(shape: tuple[int, ...], is_hurried: bool) -> None:
    array = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    with Pil.open(io.BytesIO(encode_png(array, is_hurried))) as picture:
        picture.load()
        assert np.array_equal(np.asarray(picture), array)


@pytest.mark.parametrize(
    "data",
    [
        RGB,
        RGB.astype(np.int64),
        RGB.astype(np.float64),
        RGB / 255,
        (RGB / 255).astype(np.float32),
        np.asfortranarray(RGB),
        RGB[::-1][::-1],
        torch.from_numpy(RGB.copy()).permute(2, 0, 1),
        torch.from_numpy(RGB / 255).permute(2, 0, 1),
        torch.from_numpy(RGB / 255).permute(2, 0, 1).requires_grad_(),
        torch.from_numpy(RGB.copy()).permute(2, 0, 1)[None],
        RGB.tolist(),
        Pil.fromarray(RGB),
    ],
    ids=lambda data: f"{type(data).__module__}-{getattr(data, 'dtype', '')}",
)
def test_the_same_picture_in_any_form_is_the_same(data: Any) -> None:
    image = tracker.Image(data)
    assert (image.width, image.height) == (36, 24)
    assert np.array_equal(np.asarray(image.to_pil()), RGB)


def test_a_row_names_the_file_and_says_what_is_in_it(logged: Logged) -> None:
    logged.log(loss=0.5, image=tracker.Image(RGB, caption="a cat", file_type="jpg"))
    value = logged.value("image")
    assert value.pop("path").startswith("media/image/image_0_")
    assert value == {"_type": "image", "width": 36, "height": 24, "format": "jpg", "caption": "a cat"}
    assert logged.picture("image").format == "JPEG"
    assert logged.value("loss") == 0.5 and logged.read.summary["loss"] == 0.5


def test_what_is_logged_is_the_array_as_it_was(logged: Logged) -> None:
    array, tensor = RGB.copy(), torch.from_numpy(RGB.copy()).permute(2, 0, 1)
    logged.log(array=tracker.Image(array), tensor=tracker.Image(tensor))
    array[:] = 0
    tensor.zero_()
    assert np.array_equal(np.asarray(logged.picture("array")), RGB)
    assert np.array_equal(np.asarray(logged.picture("tensor")), RGB)


def test_the_range_of_the_values_says_what_they_mean(logged: Logged) -> None:
    ramp = np.linspace(0, 1, 5)[None]
    assert pixels(logged, ramp).tolist() == [[0, 64, 128, 191, 255]]
    assert np.asarray(tracker.Image(ramp * 2 - 1).to_pil()).tolist() == [[0, 64, 128, 191, 255]]
    assert np.asarray(tracker.Image(ramp * 400).to_pil()).tolist() == [[0, 100, 200, 255, 255]]
    assert np.asarray(tracker.Image(ramp * 100, normalize=False).to_pil()).tolist() == [[0, 25, 50, 75, 100]]
    assert np.asarray(tracker.Image(torch.tensor(ramp), normalize=False).to_pil()).tolist() == [[0, 64, 128, 191, 255]]
    assert np.asarray(tracker.Image(ramp > 0.5).to_pil()).tolist() == [[0, 0, 0, 255, 255]]
    for integers in (np.uint8([[0, 1]]), np.int64([[-5, 1]]), torch.tensor([[0, 1]]), [[0, 1]]):
        assert np.asarray(tracker.Image(integers).to_pil()).tolist() == [[0, 1]]
    assert np.asarray(tracker.Image(np.int16([[300, 255]])).to_pil()).tolist() == [[255, 255]]
    assert np.asarray(tracker.Image(np.full((1, 2), -3.0)).to_pil()).tolist() == [[0, 0]]


def test_values_that_are_no_number_are_black(said: Callable[[], str]) -> None:
    image = tracker.Image(np.array([[np.nan, 0.5, 1.0, -1.0, np.inf]]))
    assert np.asarray(image.to_pil()).tolist() == [[0, 191, 255, 0, 0]]
    assert np.asarray(tracker.Image(np.full((2, 2), np.nan)).to_pil()).tolist() == [[0, 0], [0, 0]]
    assert np.asarray(tracker.Image(np.array([[1e300, 0.0]])).to_pil()).tolist() == [[0, 0]]


def test_half_precision_is_as_good() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        image = tracker.Image(torch.ones(3, 4, 4, dtype=dtype))
        assert np.asarray(image.to_pil()).min() == 255


def test_a_batch_is_a_grid() -> None:
    batch = torch.zeros(10, 1, 6, 4)
    batch[9] = 1
    image = np.asarray(tracker.Image(batch).to_pil())
    assert image.shape == (2 * 8 + 2, 8 * 6 + 2)
    assert image[10:16, 8:12].min() == 255 and image.sum() == 255 * 24


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16", "F", "HSV"])
def test_every_mode_of_pil_becomes_a_picture_that_browsers_show(logged: Logged, mode: str) -> None:
    source = Pil.fromarray(RGB)
    source = source.convert("L").convert(mode) if mode in ("I;16", "F") else source.convert(mode)
    logged.log(image=tracker.Image(source))
    assert logged.picture("image").size == (36, 24)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_file_is_kept_as_it_is(logged: Logged, tmp_path: Path, format: str) -> None:
    path = tmp_path / "picture.bin"  # the content says what it is, not the name
    Pil.fromarray(RGB).save(path, format)
    before = path.read_bytes()
    logged.log(image=tracker.Image(str(path)))
    path.unlink()
    assert logged.file(logged.value("image")["path"]) == before
    assert logged.value("image")["path"].endswith({"JPEG": "jpg"}.get(format, format.lower()))


def test_a_file_that_browsers_cannot_show_becomes_a_png(logged: Logged, tmp_path: Path) -> None:
    Pil.fromarray(RGB).save(tmp_path / "picture.tiff", "TIFF")
    logged.log(image=tracker.Image(tmp_path / "picture.tiff"))
    assert np.array_equal(np.asarray(logged.picture("image")), RGB)


def test_a_large_file_may_be_removed_as_soon_as_it_is_logged(logged: Logged, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    noise = np.random.default_rng(3).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    path.write_bytes(encode_png(noise, is_hurried=True))
    assert path.stat().st_size > 4 << 20
    logged.log(image=tracker.Image(path))
    path.unlink()
    assert np.array_equal(np.asarray(logged.picture("image")), noise)


def test_boxes_and_masks_are_kept_with_their_classes(logged: Logged) -> None:
    mask = np.random.default_rng(4).integers(0, 3, (24, 36))
    box = {"position": {"middle": [18, 12], "width": 18, "height": 12}, "domain": "pixel", "class_id": np.int64(1)}
    other = {"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4}, "scores": {"acc": 0.9}}
    image = tracker.Image(
        RGB,
        classes=[{"id": 0, "name": "road"}, {"id": 1, "name": "car"}],
        boxes={"predictions": {"box_data": [box, {**other, "box_caption": "a car"}], "class_labels": {2: "sky"}}},
        masks={"truth": {"mask_data": torch.from_numpy(mask)}},
    )
    logged.log(image=image)
    value = logged.value("image")
    group = value["boxes"]["predictions"]
    assert group["class_labels"] == {"0": "road", "1": "car", "2": "sky"}
    assert group["box_data"][0] == {
        "class_id": 1,
        "position": {"minX": 0.25, "maxX": 0.75, "minY": 0.25, "maxY": 0.75},
    }
    assert group["box_data"][1]["scores"] == {"acc": 0.9} and group["box_data"][1]["box_caption"] == "a car"
    kept = Pil.open(io.BytesIO(logged.file(value["masks"]["truth"]["path"])))
    assert np.array_equal(np.asarray(kept), mask) and value["masks"]["truth"]["class_labels"]["1"] == "car"


def test_classes_may_be_named_once_for_many_images() -> None:
    classes = tracker.Classes([{"id": 3, "name": "car"}])
    box = {"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 3}
    image = tracker.Image(RGB, classes=classes, boxes={"b": {"box_data": [box]}})
    assert b'"class_labels":{"3":"car"}' in image.artifact_files("i")[0][1]
    with pytest.raises(tracker.UsageError):
        tracker.Classes([{"name": "car"}])


def test_what_there_is_none_of_is_refused_by_name() -> None:
    for name in ("Object3D", "Molecule"):
        with pytest.raises(tracker.UsageError, match=name):
            getattr(tracker, name)(RGB)


def test_a_list_of_images_is_one_value(logged: Logged, said: Callable[[], str]) -> None:
    logged.log(few=[tracker.Image(RGB), tracker.Image(RGB[:5])], many=[tracker.Image(RGB)] * 120)
    few, many = logged.value("few"), logged.value("many")
    assert few["_type"] == "images" and [item["height"] for item in few["items"]] == [24, 5]
    assert len(many["items"]) == 108 and said().count("first 108") == 1


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 40,000 x 40,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * (1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


HOSTILE_FILES = {
    "page.png": b"<html><script>alert(1)</script></html>",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "empty.png": b"",
    "bomb.png": bomb(),
    "cut.tiff": b"II*\x00\x08\x00\x00\x00",
    "pickle.png": b"\x80\x04\x95\x10\x00\x00\x00.",
    "text.jpg": b"\xff\xd8\xff" + b"x" * 50,
}


@pytest.mark.filterwarnings("ignore:.*EXIF")
@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_file_that_is_no_image_or_a_bomb_is_refused_whatever_its_name(name: str, written: Write) -> None:
    with pytest.raises(tracker.UsageError, match=r"Image\(data_or_path=\)"):
        tracker.Image(written(name, HOSTILE_FILES[name]))


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    for path in (tmp_path, tmp_path / "fifo.png", tmp_path / "absent.png", "/dev/zero", "a\0b"):
        with pytest.raises(tracker.UsageError):
            tracker.Image(path)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((0, 5)),
        np.zeros(7),
        np.zeros((2, 2, 2)),
        np.zeros((4, 5, 6, 3)),
        np.zeros((3, 4), dtype=complex),
        np.array([["a", "b"]]),
        np.array([[object()]]),
        np.broadcast_to(np.uint8(0), (20_000, 20_000)),
        torch.zeros(2, 5, 5),
        torch.zeros(3, 5, 5, dtype=torch.complex64),
        torch.zeros(3, 5, 5, device="meta"),
        torch.zeros(5, 5).to_sparse(),
        object(),
        None,
        {"a": 1},
    ],
)
def test_what_is_no_picture_is_refused_with_what_was_got(data: Any) -> None:
    with pytest.raises(tracker.UsageError, match=r"got .* expected .* Remedy"):
        tracker.Image(data)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "X"},
        {"file_type": "exe"},
        {"caption": 5},
        {"caption": "x" * 20_000},
        {"classes": [1]},
        {"boxes": []},
        {"boxes": [1]},
        {"boxes": {"g": {}}},
        {"boxes": {"g": {"box_data": [{"position": {"minX": 0}}]}}},
        {"boxes": {"g": {"box_data": [{"position": {"minX": 0, "maxX": "a", "minY": 0, "maxY": 1}}]}}},
        {"boxes": {"g": {"box_data": [{"position": dict.fromkeys(("minX", "maxX", "minY", "maxY"), float("nan"))}]}}},
        {"masks": {"g": {}}},
        {"masks": {"g": {"mask_data": np.zeros((2, 2, 2))}}},
        {"masks": {"g": {"path": "absent.png"}}},
    ],
    ids=str,
)
def test_a_wrong_argument_raises_at_once(arguments: dict[str, Any]) -> None:
    if arguments == {"boxes": []}:
        assert tracker.Image(RGB, **arguments)
        return
    with pytest.raises(tracker.UsageError):
        tracker.Image(RGB, **arguments)


def test_hostile_keys_and_captions_stay_text(logged: Logged) -> None:
    keys = ["../../etc/passwd", "C:\\x", "a/b//c", "CON", "<script>", "\x00\n", "é\u202e", "." * 300, "__proto__"]
    logged.run.log({key: tracker.Image(RGB, caption=f"<img onerror={key!r}> \ud800") for key in keys})
    paths = logged.paths()
    assert len(paths) == len(keys)
    assert all(path.startswith("media/image/") and path.count("/") == 2 and ".." not in path for path in paths)
    assert {key for key in logged.read.history()[0] if not key.startswith("_") or key in keys} >= set(keys)


@pytest.mark.parametrize("name", ["int8", "uint16", "uint32", "uint64", "int16", "int64"])
def test_every_integer_of_torch_is_brightness(name: str) -> None:
    values = [[-3, 0], [100, 127]] if name == "int8" else [[0, 1], [200, 255]]
    large = values if name == "int8" else [[0, 1], [200, 300]]
    tensor = torch.tensor(large).to(getattr(torch, name))
    assert np.asarray(tracker.Image(tensor).to_pil()).tolist() == np.clip(values, 0, 255).tolist()


def test_an_image_of_an_image_is_made_as_that_one() -> None:
    array = np.full((2, 2, 3), 0.5)
    again = tracker.Image(tracker.Image(array, mode="L", file_type="bmp", normalize=False))
    assert (again.to_pil().mode, again.format, np.asarray(again.to_pil()).max()) == ("L", "bmp", 0)
    assert tracker.Image(tracker.Image(array, file_type="bmp"), file_type="jpg").format == "jpg"


def test_an_array_whose_buffer_may_be_donated_is_copied() -> None:
    class Donated(np.ndarray):
        """Stands for an array of JAX, which is not in the test environment."""

    Donated.__module__ = "jaxlib.xla_extension"
    array = np.zeros((2, 2), np.uint8).view(Donated)
    image = tracker.Image(array)
    array[...] = 9
    assert np.asarray(image.to_pil()).max() == 0
