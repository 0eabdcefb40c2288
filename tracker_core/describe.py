"""Describe an exception for the record of a run."""

from __future__ import annotations

from .records import RunError

_MAX_CHARS = 100_000


def describe_error(error: BaseException) -> RunError:
    """Return the type, message and traceback of an exception as text; long texts keep their beginning and end."""
    try:
        import traceback  # loaded by `init`, unless there was no file descriptor left then

        lines = traceback.format_exception(type(error), error, error.__traceback__)
    except (ImportError, OSError):
        lines = []
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return RunError(type=name, message=_shorten(str(error)), traceback=_shorten("".join(lines)))


def _shorten(text: str) -> str:
    text = text.encode(errors="replace").decode()
    if len(text) <= _MAX_CHARS:
        return text
    half = _MAX_CHARS // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
