"""The dashboard's files, under an address that changes with their content, so that browsers may keep them for ever.

`index.html` refers to them by the placeholder `__STATIC__`, which becomes `/static/<hash>`. Only files found at start
are served: a name that a client sends is looked up among these and never becomes a path.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path

PLACEHOLDER = "__STATIC__"
_INDEX = "index.html"
_HIDDEN = (".d.ts", ".py", ".map")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_NO_PAGE = "<!doctype html><title>Dashboard missing</title><p>The dashboard's files are not installed."


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, ready to be sent."""

    content: bytes
    media_type: str


class Dashboard:
    """The files below `folder`, read into memory; read again when one of them changed. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] | None = None
        self._version = ""
        self._files: dict[str, StaticFile] = {}

    def page(self) -> str:
        """Return the one HTML page, referring to the present version of the files."""
        self._load()
        index = self._files.get(_INDEX)
        return index.content.decode().replace(PLACEHOLDER, f"/static/{self._version}") if index else _NO_PAGE

    def file(self, name: str) -> StaticFile | None:
        """Return the file with this path below the folder, with forward slashes."""
        if not self._files:
            self._load()
        return self._files.get(name)

    @property
    def version(self) -> str:
        """The hash of all files."""
        self._load()
        return self._version

    def _load(self) -> None:
        with self._lock:
            paths = sorted(path for path in self._folder.rglob("*") if path.is_file() and not _is_hidden(path))
            stamp = tuple((str(path), status.st_mtime_ns, status.st_size) for path in paths for status in [path.stat()])
            if stamp == self._stamp:
                return
            files = {path.relative_to(self._folder).as_posix(): _read(path) for path in paths}
            digest = hashlib.sha256()
            for name, file in files.items():
                digest.update(f"{name}\0{len(file.content)}\0".encode())
                digest.update(file.content)
            self._files, self._version, self._stamp = files, digest.hexdigest()[:16], stamp


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.endswith(_HIDDEN)


def _read(path: Path) -> StaticFile:
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if guessed.startswith("text/") else ""
    return StaticFile(path.read_bytes(), guessed + charset)


def dashboard_folder() -> Path:
    """Return where the dashboard's files are installed."""
    return Path(os.path.abspath(__file__)).parents[1] / "dashboard"
