"""Arrays as pictures: which axis is what, and numbers as brightness. Pure.

Integers are brightness from 0 to 255. Of floating-point values the range says what they mean: with a negative one they
are stretched to 0..255; where none is above 1 they are taken as 0..1; else as 0..255.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import UsageError

MAX_PIXELS = 100_000_000
_CHANNELS = (1, 3, 4)
_PER_ROW, _PADDING = 8, 2


class Layout(NamedTuple):
    """How an array is a picture: `order` is "hw", "hwc", "chw" or "bchw"; a batch becomes one picture, a grid."""

    order: str
    height: int
    width: int
    n_images: int = 1


def layout_of(shape: tuple[int, ...], is_torch: bool) -> Layout:
    """Return how an array of this shape is a picture. Axes of length 1 do not count.

    Raises:
        UsageError: it is none.
    """
    given = shape
    if len(shape) == 4 and is_torch and shape[1] in _CHANNELS and shape[0] > 1:
        layout = _grid(shape)
    else:
        while len(shape) > 3 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) == 2:
            layout = Layout("hw", shape[0], shape[1])
        elif len(shape) == 3 and _is_channels_first(shape, is_torch):
            layout = Layout("chw", shape[1], shape[2])
        elif len(shape) == 3 and shape[2] in _CHANNELS:
            layout = Layout("hwc", shape[0], shape[1])
        else:
            expected = "(height, width), or with 1, 3 or 4 channels (height, width, channels), of a torch tensor "
            expected += "(channels, height, width)"
            remedy = "choose channels of it; log a list of images for several"
            raise UsageError("Image(data_or_path=)", f"an array of shape {given}", expected, remedy)
    if not 0 < layout.height * layout.width <= MAX_PIXELS:
        expected = f"1 to {MAX_PIXELS:,} pixels"
        got = f"an array of shape {given}, which is {layout.width} x {layout.height} pixels"
        raise UsageError("Image(data_or_path=)", got, expected, "log a smaller copy of it")
    return layout


def _is_channels_first(shape: tuple[int, ...], is_torch: bool) -> bool:
    if is_torch:
        return shape[0] in _CHANNELS
    return shape[0] in _CHANNELS and shape[2] not in _CHANNELS


def _grid(shape: tuple[int, ...]) -> Layout:
    n, _, height, width = shape
    columns = min(_PER_ROW, n)
    rows = -(-n // columns)
    return Layout("bchw", rows * (height + _PADDING) + _PADDING, columns * (width + _PADDING) + _PADDING, n)


def to_pixels(array: Any, layout: Layout, normalize: bool = True, is_torch: bool = False) -> tuple[Any, int]:
    """Return a picture as uint8 of shape (height, width) or (height, width, 3 or 4), and how many values had none.

    Args:
        array: of numbers or truth values.
        layout: of `layout_of`.
        normalize: let the range of real values say what they mean. Without, those of a tensor are 0..1, else 0..255.
        is_torch: it was a tensor.
    """
    import numpy as np

    levels, n_nonfinite = _levels(np.asarray(array), normalize, is_torch)
    if layout.order == "bchw":
        levels = _tiled(levels, layout)
    else:
        levels = levels.reshape(levels.shape[-3:] if layout.order != "hw" else levels.shape[-2:])
        if layout.order == "chw":
            levels = levels.transpose(1, 2, 0)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    return np.ascontiguousarray(levels), n_nonfinite


def _levels(array: Any, normalize: bool, is_torch: bool) -> tuple[Any, int]:
    import numpy as np

    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255), 0
    if array.dtype.kind in "iu":
        return np.clip(array, 0, 255).astype(np.uint8), 0
    values = array.astype(np.float32 if array.dtype.itemsize <= 2 or array.dtype == np.float32 else np.float64)
    finite = np.isfinite(values)
    n_nonfinite = int(values.size - np.count_nonzero(finite))
    if n_nonfinite:
        values = np.where(finite, values, 0)
        lowest, highest = (_bounds(values, finite)) if n_nonfinite < values.size else (0.0, 0.0)
    else:
        lowest, highest = float(values.min()), float(values.max())
    if normalize and lowest < 0:
        span = highest - lowest
        values = (values - lowest) / span if span else values * 0
        values = np.where(finite, values, 0) if n_nonfinite else values
        highest = 1.0
    if highest <= 1 if normalize else is_torch:
        values = values * 255
    return np.clip(np.rint(values), 0, 255).astype(np.uint8), n_nonfinite


def _bounds(values: Any, finite: Any) -> tuple[float, float]:
    known = values[finite]
    return float(known.min()), float(known.max())


def _tiled(levels: Any, layout: Layout) -> Any:
    import numpy as np

    n, n_channels, height, width = levels.shape
    sheet = np.zeros((layout.height, layout.width, n_channels), np.uint8)
    columns = min(_PER_ROW, n)
    for index in range(n):
        top = _PADDING + index // columns * (height + _PADDING)
        left = _PADDING + index % columns * (width + _PADDING)
        sheet[top : top + height, left : left + width] = levels[index].transpose(1, 2, 0)
    return sheet
