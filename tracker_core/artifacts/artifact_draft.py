"""Putting a version together: the part of `Artifact` that is used before it is logged."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from ..errors import UsageError
from ..file_names import check_file_name
from .artifact_facts import ArtifactFacts
from .contents import Item
from .entries import ArtifactEntry
from .keep_early import keep_as_they_are
from .local_files import LocalFile, files_below, local_file
from .manifest import Entry
from .source import ArtifactSource

POLICIES = ("mutable", "immutable")
MAX_REFERENCES = 10_000_000


class ArtifactDraft(ArtifactFacts):
    """Adds and removes what the version is to hold."""

    _origins: dict[bytes, tuple[ArtifactSource, str]]  # by digest of the content: a version that has it

    def add_file(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        overwrite: bool = False,
    ) -> ArtifactEntry:
        """Add a file as it is now: it may be changed or removed afterwards.

        Args:
            local_path: the file; a link is followed.
            name: its name in the artifact. Default: its own.
            is_tmp, skip_cache: accepted for scripts written for wandb.
            policy: "immutable" says that the file stays as it is until the artifact is logged, and reads it then.
            overwrite: replace what has this name.

        Raises:
            UsageError: there is no such file, it is no regular one, or the name is not valid or is taken.
        """
        where = "add_file()"
        self._changeable(where)
        _check_policy(policy, where)
        file = local_file(local_path, name, where)
        self._contents.add([file], overwrite, where)
        if policy != "immutable":
            keep_as_they_are(self, [file])
        return ArtifactEntry(self, file.name)

    def add_dir(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        merge: bool = False,
    ) -> None:
        """Add all files below a folder as they are now.

        Args:
            local_path: the folder. Links to files are followed, links to folders only where they stay within it.
            name: the folder in the artifact. Default: its top.
            skip_cache: accepted for scripts written for wandb.
            policy: as of `add_file`.
            merge: replace what has the same names.

        Raises:
            UsageError: it is no folder, holds what is no file, or a name is not valid or is taken.
        """
        where = "add_dir()"
        self._changeable(where)
        _check_policy(policy, where)
        files = files_below(local_path, name, where)
        self._contents.add(files, merge, where)
        if policy != "immutable":
            keep_as_they_are(self, files)

    def add_reference(
        self,
        uri: str | ArtifactEntry,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactEntry]:
        """Add what is kept elsewhere: only where it is, its size and a checksum are recorded.

        Args:
            uri: s3://, gs://, az://, file:// or http(s)://; of an object, a file, or all below a folder. Or a file of
                another artifact.
            name: its name in the artifact, or of the folder for several. Default: that of the object.
            checksum: ask for size and checksum. False asks nobody and needs no library.
            max_objects: how many objects below a folder are allowed. Default: 10,000,000.

        Raises:
            UsageError: the address is none, has a secret in it, nothing is there, or too much.
        """
        where = "add_reference()"
        self._changeable(where)
        if isinstance(uri, ArtifactEntry):
            return [self._add_entry(uri, name, where)]
        from .references import references_of

        limit = MAX_REFERENCES if max_objects is None else max_objects
        found = references_of(uri, name, checksum, limit, where)
        self._contents.add(found, False, where)
        return [ArtifactEntry(self, entry.path) for entry in found]

    def add(self, obj: Any, name: str, overwrite: bool = False) -> ArtifactEntry:
        """Add a rich value, such as a Table or an Image; `get(name)` gives it back.

        Args:
            obj: a Table, Image, Audio, Video, Html, Plotly, ...
            name: its name in the artifact.
            overwrite: replace what has this name.

        Raises:
            UsageError: it is none of these, or the name is not valid or is taken.
        """
        where = "add()"
        self._changeable(where)
        check_file_name(name, f"{where}, name")
        if not callable(getattr(obj, "artifact_files", None)):
            got = f"a value of type {type(obj).__name__}"
            raise UsageError(where, got, "a Table, Image or other rich value", "add_file() and new_file() take files")
        made: list[tuple[str, bytes]] = obj.artifact_files(name)
        files: list[Item] = []
        with self._contents.noting_trouble():
            for file_name, data in made:
                path = self._contents.own_path(file_name)
                with open(path, "xb") as target:
                    target.write(data)
                files.append(local_file(path, file_name, where, is_ours=True))
        self._contents.add(files, overwrite, where)
        return ArtifactEntry(self, made[0][0])

    def __setitem__(self, name: str, obj: Any) -> None:
        self.add(obj, name)

    @contextmanager
    def new_file(self, name: str, mode: str = "x", encoding: str | None = None) -> Iterator[IO[Any]]:
        """Open a new file of the artifact for writing; it is added when the `with` block ends without an error.

        Args:
            name: its name in the artifact.
            mode: "x" or "w" for text, "xb" or "wb" for bytes; "w" replaces what has this name.
            encoding: of text. Default: UTF-8.

        Raises:
            UsageError: the name is not valid or is taken, or the mode is none of these.
        """
        where = "new_file()"
        self._changeable(where)
        name = check_file_name(name, f"{where}, name")
        if mode not in ("x", "w", "xb", "wb"):
            raise UsageError("new_file(mode=)", repr(mode)[:100], '"x", "w", "xb" or "wb"', "choose one of these")
        if mode[0] == "x" and self._contents.get(name) is not None:
            raise UsageError(where, f"{name!r}, which is in the artifact already", "a free name", 'pass mode="w"')
        path = os.devnull
        with self._contents.noting_trouble():
            path = self._contents.own_path(name)
        with open(path, "wb") if "b" in mode else open(path, "w", encoding=encoding or "utf-8", newline="") as file:
            yield file
        if path != os.devnull:
            self._contents.add([local_file(path, name, where, is_ours=True)], mode[0] == "w", where)

    def remove(self, item: str | os.PathLike[str] | ArtifactEntry) -> None:
        """Take a file, or all files of a folder, out of the artifact.

        Raises:
            NotFoundError: it is not in it.
        """
        self._changeable("remove()")
        name = item.path if isinstance(item, ArtifactEntry) else os.fspath(item).replace(os.sep, "/").rstrip("/")
        names = [name] if self._contents.get(name) is not None else self._contents.names_below(name)
        if not names:
            from ..errors import NotFoundError

            raise NotFoundError(f"file {name!r} is not in the artifact {self._name!r}")
        self._contents.remove(names)

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Return the name under which a file of this machine was added, None where it was not."""
        absolute = os.path.abspath(local_path)
        for item in self._contents:
            if isinstance(item, LocalFile) and item.path == absolute:
                return item.name
        return None

    def finalize(self) -> None:
        """Let nothing more be added."""
        self._is_final = True

    def _changeable(self, where: str) -> None:
        if self._info is not None or self._is_final:
            remedy = "change a copy: draft = artifact.new_draft()"
            raise UsageError(f"Artifact.{where}", "an artifact that is logged or finalized", "a draft", remedy)

    def _add_entry(self, entry: ArtifactEntry, name: str | None, where: str) -> ArtifactEntry:
        """Add a file of another, logged artifact; its bytes are not stored again in the same project."""
        other = entry.parent_artifact()
        there = other._entry(entry.path)
        path = check_file_name(entry.path if name is None else name, f"{where}, name")
        copied = Entry(path, there.size_bytes, there.digest, there.chunks, there.reference, there.checksum)
        self._contents.add([copied], False, where)
        if other._place is not None and other._info is not None:
            self._origins[there.digest] = (other._place.source, other._info.uid)
        return ArtifactEntry(self, path)

    def _entry(self, name: str) -> Entry:
        raise NotImplementedError


def _check_policy(policy: str | None, where: str) -> None:
    if policy is not None and policy not in POLICIES:
        raise UsageError(f"{where[:-1]}policy=)", repr(policy)[:100], '"mutable" or "immutable"', "leave it out")
