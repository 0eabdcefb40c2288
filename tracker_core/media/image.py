"""`Image`: a picture, with boxes and masks on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..rich import RichValue
from ..say import warn
from .arrays import ArraySnapshot, is_torch
from .overlays import class_labels_of, describe_boxes, taken_masks
from .pixels import MAX_PIXELS, layout_of, to_pixels
from .place import Pending, Place, Target
from .png import encode_png
from .source_file import SourceFile, is_source

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

_WHERE = "Image(data_or_path=)"
_FILE_TYPES = ("png", "jpg", "jpeg", "bmp", "webp")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
_PLAIN_MODES = ("L", "RGB", "RGBA")
_WEB_FORMATS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "MPO": "jpg"}
_QUICK_BYTES = 4 << 20
_JPEG_QUALITY = 90
_MOST_CAPTION_CHARS = 10_000


class Image(RichValue):
    """A picture to log.

    Args:
        data_or_path: a NumPy or JAX array of shape (height, width) or (height, width, channels), a torch tensor of
            shape (channels, height, width) or (batch, channels, height, width), a PIL image, a matplotlib figure, or
            the path or the bytes of an image file, which is kept as it is.
        mode: PIL's mode to convert it to, such as "L" or "RGB".
        caption: a text shown with it.
        grouping: accepted for scripts written for wandb.
        classes: names of the classes of boxes and masks: a list of {"id": 0, "name": "car"}.
        boxes: groups of boxes: {"predictions": {"box_data": [{"position": {"minX", "maxX", "minY", "maxY"},
            "class_id", "box_caption", "scores", "domain"}], "class_labels": {0: "car"}}}.
        masks: groups of masks: {"predictions": {"mask_data": array of class numbers 0..255, or "path":,
            "class_labels": {0: "car"}}}.
        file_type: "png" (the default, exact), "jpg", "webp" or "bmp"; of no effect for a path.
        normalize: let the range of floating-point values say what they mean: with a negative one they are stretched to
            the darkest and brightest; none above 1 means 0..1; else 0..255. False takes them as they are, and so are
            integers always, 0..255.

    Raises:
        UsageError: an argument is none of these.
    """

    kind = "image"
    width: int
    height: int

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: dict[str, Any] | None = None,
        masks: dict[str, Any] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        self._mode = _checked(mode, _MODES, "Image(mode=)")
        self._format = (_checked(file_type, _FILE_TYPES, "Image(file_type=)") or "").replace("jpeg", "jpg")
        self._normalize = bool(normalize)
        self._caption = None if caption is None else checked_caption(caption, "Image(caption=)")
        self._array: ArraySnapshot | None = None
        self._picture: PilImage | None = None
        self._file: SourceFile | None = None
        self._take(data_or_path)
        self._format = self._format or "png"
        labels = class_labels_of(classes)
        is_copy = isinstance(data_or_path, Image)
        self._boxes = describe_boxes(boxes, labels, self.width, self.height) or (data_or_path._boxes if is_copy else {})
        self._masks = taken_masks(masks, labels) or (data_or_path._masks if is_copy else [])

    def _take(self, given: Any) -> None:
        if isinstance(given, Image):
            self._take_image(given)
        elif is_source(given):
            self._take_file(SourceFile(given, _WHERE))
        elif type(given).__module__.partition(".")[0] == "PIL":
            self._take_picture(given)
        elif type(given).__module__.partition(".")[0] == "matplotlib" or hasattr(given, "savefig"):
            from .figures import drawn

            self._take_file(SourceFile(drawn(given), _WHERE))
        else:
            if hasattr(given, "shape"):
                layout_of(tuple(given.shape), is_torch(given))  # before a large one is copied
            self._array = ArraySnapshot(given, _WHERE, is_picture=True)
            layout = layout_of(self._array.shape, self._array.is_torch)
            self.width, self.height = layout.width, layout.height

    def _take_image(self, given: Image) -> None:
        self._caption = given._caption if self._caption is None else self._caption
        if given._file is not None and self._mode is not None:
            self._take_picture(given.to_pil())
            return
        self._mode = self._mode or given._mode
        self._normalize = self._normalize and given._normalize
        self._array, self._picture, self._file = given._array, given._picture, given._file
        self._format = given._format if given._file is not None else self._format or given._format
        self.width, self.height = given.width, given.height

    @classmethod
    def of_file(cls, data: bytes, value: dict[str, Any], read: Callable[[str], bytes]) -> Image:
        """Return the image that a row's value stands for; `read` gives the bytes of its masks by their path."""
        masks = {
            name: {"path": io.BytesIO(read(mask["path"])), "class_labels": mask.get("class_labels")}
            for name, mask in (value.get("masks") or {}).items()
        }
        return cls(data, caption=value.get("caption"), boxes=value.get("boxes"), masks=masks)

    def _take_file(self, file: SourceFile) -> None:
        """Keep the file as it is where browsers show its kind; else what PIL reads of it."""
        with file.open() as opened, _opened(opened, repr(file)) as picture:
            self.width, self.height = picture.size
            web_format = _WEB_FORMATS.get(picture.format or "")
            if web_format is not None and self._mode is None:
                self._file, self._format = file, web_format
            else:
                self._take_picture(picture)

    def _take_picture(self, picture: Any) -> None:
        self.width, self.height = picture.size
        _check_size(self.width, self.height)
        try:
            self._picture = picture.copy()
        except (OSError, ValueError, SyntaxError) as error:
            raise UsageError(_WHERE, f"a damaged image ({error})", "one that PIL can read", "write it anew") from None

    def held_bytes(self) -> int:
        if self._file is not None:
            return self._file.held_bytes()
        return self._own_bytes() + sum(mask.held_bytes() for mask in self._masks)

    def _own_bytes(self) -> int:
        return self.width * self.height * 4 if self._array is None else self._array.n_bytes

    @property
    def format(self) -> str:
        """Of the file: png, jpg, ..."""
        return self._format

    def describe(self, place: Place) -> tuple[dict[str, Any], list[Pending]]:
        path = place.path(self.kind, self._format)
        value: dict[str, Any] = {"_type": self.kind, "path": path, "width": self.width, "height": self.height}
        value["format"] = self._format
        if self._caption is not None:
            value["caption"] = self._caption
        if self._boxes:
            value["boxes"] = self._boxes
        pending = [self._pending(path)]
        for mask in self._masks:
            value.setdefault("masks", {})[mask.name], mask_pending = mask.describe(place)
            pending.append(mask_pending)
        return value, pending

    def _pending(self, path: str) -> Pending:
        if self._file is not None:
            return self._file.pending(path)
        n_bytes = self._own_bytes()
        is_at_hand = self._array is None or self._array.is_at_hand
        is_quick = is_at_hand and n_bytes <= _QUICK_BYTES and self._format == "png"

        def write(target: Target, is_hurried: bool) -> bool:
            return target.keep_media(path, self._encoded(is_hurried))

        return Pending(n_bytes, write, is_quick)

    def _encoded(self, is_hurried: bool) -> bytes:
        if self._array is not None and self._mode is None and self._format == "png":
            return encode_png(self._pixels(), is_hurried)
        picture = self.to_pil()
        if self._format == "jpg" and picture.mode not in ("L", "RGB"):
            picture = picture.convert("RGB")
        elif picture.mode not in (*_MODES, "I;16"):
            picture = picture.convert("RGB" if len(picture.getbands()) > 1 else "L")
        if self._format == "png" and picture.mode in _PLAIN_MODES:
            import numpy as np

            return encode_png(np.asarray(picture), is_hurried)
        buffer = io.BytesIO()
        options: dict[str, Any] = {"quality": _JPEG_QUALITY} if self._format == "jpg" else {}
        picture.save(buffer, format="JPEG" if self._format == "jpg" else self._format, **options)
        return buffer.getvalue()

    def _pixels(self) -> Any:
        assert self._array is not None
        layout = layout_of(self._array.shape, self._array.is_torch)
        pixels, n_bad = to_pixels(self._array.numpy(), layout, self._normalize, self._array.is_torch)
        if n_bad:
            _warn_of_nonfinite()
        return pixels

    def to_pil(self) -> PilImage:
        """Return the picture as a PIL image."""
        from PIL import Image as Pil

        if self._file is not None:
            picture: PilImage = Pil.open(io.BytesIO(self._file.read()))
        elif self._picture is not None:
            picture = self._picture
        else:
            picture = Pil.fromarray(self._pixels())
        return picture if self._mode is None else picture.convert(self._mode)


_has_warned = False


def _warn_of_nonfinite() -> None:
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warn("an image has values that are NaN or infinite; they are drawn black")


def checked_caption(caption: object, where: str) -> str:
    """Return a caption as valid text; raises UsageError where it is none, or too long."""
    if not isinstance(caption, str) or len(caption) > _MOST_CAPTION_CHARS:
        got = f"{type(caption).__name__} {caption!r:.100}"
        raise UsageError(where, got, f"a text of at most {_MOST_CAPTION_CHARS} characters", "pass str(...) of it")
    return caption.encode(errors="replace").decode()


def _checked(given: object, allowed: tuple[str, ...], where: str) -> str | None:
    if given is None or (isinstance(given, str) and given in allowed):
        return given
    raise UsageError(where, f"{given!r:.100}", "one of " + ", ".join(allowed), "choose one of these, or leave it out")


def _check_size(width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        got = f"an image of {width} x {height} pixels"
        raise UsageError(_WHERE, got, f"1 to {MAX_PIXELS:,} pixels", "log a smaller copy of it")


def _opened(source: Any, what: str) -> Any:
    """Open an image with PIL, which reads its header only; refuse what is none, and one that would fill the memory."""
    import warnings

    from PIL import Image as Pil

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pil.DecompressionBombWarning)
            picture = Pil.open(source)
    except Pil.DecompressionBombError as error:
        raise UsageError(_WHERE, f"{what}: {error}", f"1 to {MAX_PIXELS:,} pixels", "log a smaller copy") from None
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        got = f"{what}, which is no image that PIL can read ({type(error).__name__})"
        raise UsageError(_WHERE, got, "an image file", "save other files by run.save(), HTML by Html()") from None
    _check_size(*picture.size)
    return picture
