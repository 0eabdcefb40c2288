"""Bringing files of a logged version into a folder, and comparing a folder with a version."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import NotFoundError, UsageError
from ..settings import load_settings
from .manifest import Entry
from .open_source import write_files

if TYPE_CHECKING:
    from .artifact import Artifact

_READ_BYTES = 1 << 20


def default_root(artifact: Artifact) -> str:
    """Return the folder that a version is downloaded to where none is named."""
    separator = "-" if os.name == "nt" else ":"
    name = f"{artifact.collection_name}{separator}{artifact.version}"
    return os.path.join(load_settings().artifact_dir, name)


def download(
    artifact: Artifact,
    root: str | os.PathLike[str] | None,
    allow_missing_references: bool = False,
    path_prefix: str | None = None,
    names: Sequence[str] | None = None,
) -> str:
    """Write files of a version below a folder; return its absolute path. What is there with the right content stays.

    Args:
        artifact: the version.
        root: the folder. Default: below the setting `artifact_dir`.
        allow_missing_references: go on where a reference cannot be fetched.
        path_prefix: only names that begin with it.
        names: only these.

    Raises:
        UsageError: something is in the way.
        TrackerError: content cannot be had, or is not what was logged.
    """
    folder = os.path.abspath(default_root(artifact) if root is None else root)
    if artifact._stand_in:
        return folder
    version = artifact._logged("download()")
    entries = _chosen(artifact, path_prefix, names)
    os.makedirs(folder, exist_ok=True)
    files = [entry for entry in entries if not entry.reference]
    place = artifact._place
    assert place is not None
    reader, there = place.reader(version)
    is_far = "://" in getattr(reader, "place", "")
    settings = load_settings()
    cache_max_bytes = int(settings.cache_max_gib * (1 << 30)) if is_far else 0
    write_files(reader, there, files, folder, settings.cache_dir, cache_max_bytes)
    if len(files) < len(entries):
        from .references import fetch_references

        fetch_references([entry for entry in entries if entry.reference], folder, allow_missing_references)
    return folder


def read_entry(artifact: Artifact, name: str) -> bytes:
    """Return the content of one file of a version."""
    version = artifact._logged("read()")
    entry = artifact._entry(name)
    if artifact._stand_in:
        return b""
    if entry.reference:
        raise UsageError(f"read({name!r})", "a reference", "a file", "download() it")
    assert artifact._place is not None
    reader, there = artifact._place.reader(version)
    return b"".join(reader.read(there.uid, entry.all_chunks))


def checkout(artifact: Artifact, root: str | os.PathLike[str] | None) -> str:
    """Make a folder hold exactly the files of a version: others in it are removed, once these are there."""
    folder = os.path.abspath(default_root(artifact) if root is None else root)
    if artifact._stand_in:
        return folder
    artifact._logged("checkout()")
    manifest = artifact._loaded_manifest()
    others = [name for name in _names_in(folder) if name not in manifest]
    in_the_way = _in_the_way(others, [entry.path for entry in manifest])
    with _put_aside(folder, in_the_way):
        _remove_empty_folders(folder)
        download(artifact, folder)
    for name in set(others).difference(in_the_way):
        os.unlink(os.path.join(folder, *name.split("/")))
    _remove_empty_folders(folder)
    return folder


def _in_the_way(others: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return the names that are where a version has a folder, or below where it has a file."""
    files = set(paths)
    folders = {parent for path in paths for parent in _parents(path)}
    return [name for name in others if name in folders or not files.isdisjoint(_parents(name))]


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


@contextmanager
def _put_aside(folder: str, names: Sequence[str]) -> Iterator[None]:
    """Hold files in a folder of their own beside the others; remove them after all went well, else bring them back."""
    if not names:
        yield
        return
    aside = tempfile.mkdtemp(prefix=".tracker-aside-", dir=folder)
    moves = [(os.path.join(folder, *name.split("/")), os.path.join(aside, str(n))) for n, name in enumerate(names)]
    try:
        for path, kept in moves:
            os.rename(path, kept)
        yield
    except BaseException as error:
        with suppress(OSError):
            _remove_empty_folders(folder)  # that the download made
        if not _are_brought_back(moves, aside):
            error.add_note(f"Files that were in the way are in {aside!r}.")
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _are_brought_back(moves: Sequence[tuple[str, str]], aside: str) -> bool:
    for path, kept in moves:
        with suppress(OSError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(kept, path)
    with suppress(OSError):
        os.rmdir(aside)
    return not os.path.lexists(aside)


def verify(artifact: Artifact, root: str | os.PathLike[str] | None) -> None:
    """Compare a folder with a version; references are compared where they are files there.

    Raises:
        UsageError: a file is missing, has other content, or is none of the version's.
    """
    folder = os.path.abspath(default_root(artifact) if root is None else root)
    if artifact._stand_in:
        return
    artifact._logged("verify()")
    manifest = artifact._loaded_manifest()
    remedy = "download() writes what is missing or changed; checkout() also removes what is not of the version"
    for name in _names_in(folder):
        if name not in manifest:
            raise UsageError(
                "verify()", f"{name!a} in {folder!r}, which the version does not have", "its files", remedy
            )
    for entry in manifest:
        path = os.path.join(folder, *entry.path.split("/"))
        is_there = os.path.isfile(path) and not os.path.islink(path)
        if not is_there and not entry.reference:
            raise UsageError("verify()", f"no file {entry.path!r} in {folder!r}", "all files of the version", remedy)
        if is_there and not entry.reference and not _is_content(path, entry):
            got = f"{entry.path!r} in {folder!r} with other content"
            raise UsageError("verify()", got, "the content that was logged", remedy)


def _is_content(path: str, entry: Entry) -> bool:
    from blake3 import blake3

    if os.path.getsize(path) != entry.size_bytes:
        return False
    hasher = blake3()
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    return hasher.digest() == entry.digest or not entry.size_bytes


def _chosen(artifact: Artifact, path_prefix: str | None, names: Sequence[str] | None) -> list[Entry]:
    manifest = artifact._loaded_manifest()
    if names is not None:
        return [artifact._entry(name) for name in names]
    found = [entry for entry in manifest if path_prefix is None or entry.path.startswith(path_prefix)]
    if path_prefix is not None and not found:
        raise NotFoundError(f"no file of {artifact.name} begins with {path_prefix!r}")
    return found


def _names_in(folder: str) -> Iterator[str]:
    """Yield the names of all that is no folder; links to folders are not entered."""
    for here, folders, files in os.walk(folder):
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(here, name)))]:
            yield os.path.relpath(os.path.join(here, name), folder).replace(os.sep, "/")


def _remove_empty_folders(root: str) -> None:
    for here, folders, _ in os.walk(root, topdown=False):
        for name in folders:
            path = os.path.join(here, name)
            if not os.path.islink(path) and not os.listdir(path):
                os.rmdir(path)
