"""Where a process finds artifacts: in the folder that its run is kept in, and on the server that it is sent to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, partial

from ..errors import NotFoundError, TrackerError, UsageError
from ..paths import find_folder
from ..remote.server_errors import ServerError
from ..say import warn
from ..settings import Settings
from ..sync.sync_state import unsent_artifacts
from .names import ArtifactPath, is_version
from .open_source import open_local, open_remote, open_runs
from .place import Place
from .wire import LinkedVersion, VersionInfo

_SERVER_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """A version, where it was found, and its place in the registry where it was asked for by that."""

    place: Place
    info: VersionInfo
    linked: LinkedVersion | None = None


class Resolver:
    """Finds versions by name. In an online run the server's answer counts, unless it lacks what the folder has.

    Opens nothing before it is asked; a forked process opens what it needs anew. Thread-safe.

    Args:
        folder: the tracker folder.
        settings: of the run.
        is_online: whether the run is sent to the server of the settings.
    """

    def __init__(self, folder: str, settings: Settings, is_online: bool) -> None:
        self.folder = folder
        self._settings = settings
        self._is_online = is_online
        self._places: dict[tuple[int, str], Place] = {}

    def local(self) -> Place:
        """Return the artifacts of the folder."""
        key = (os.getpid(), "folder")
        if key not in self._places:
            runs = cache(partial(open_runs, self.folder, self._settings))
            self._places[key] = Place(open_local(self.folder, self._settings), runs)
        return self._places[key]

    def server(self) -> Place | None:
        """Return the artifacts of the server that the run is sent to; None for an offline run."""
        if not self._is_online or not self._settings.base_url:
            return None
        key = (os.getpid(), "server")
        if key not in self._places:
            source = open_remote(self._settings.base_url, self._settings.api_key, _SERVER_TIMEOUT_S)
            runs = cache(partial(open_runs, None, self._settings))
            self._places[key] = Place(source, runs, self.local().source)
        return self._places[key]

    def find(self, path: ArtifactPath, project: str) -> Found:
        """Return the version that a path names; `project` is where it is looked for by default.

        A version of the folder that the server does not have yet is newer than what the server says.

        Raises:
            NotFoundError: neither has it.
            ServerError: the folder does not have it, and the server does not answer.
        """
        server = self.server()
        if server is None:
            return find_in(self.local(), path, project)
        try:
            near: Found | None = find_in(self.local(), path, project)
        except (OSError, TrackerError):
            near = None
        try:
            return self._newer(near, server, path, project)
        except ServerError as error:
            if near is None:
                raise
            warn(f"{path} is taken from the folder: {error}")
            return near

    def _newer(self, near: Found | None, server: Place, path: ArtifactPath, project: str) -> Found:
        try:
            far = find_in(server, path, project)
        except NotFoundError:
            if near is None:
                raise
            return near
        if near is None or near.info.uid == far.info.uid or is_version(path.which):
            return far  # numbers are those of the server
        # What was sent and is not there any more was deleted there.
        return near if near.info.uid in unsent_artifacts(self.folder) else far


def find_in(place: Place, path: ArtifactPath, project: str) -> Found:
    """Return the version that a path names in one place; raises NotFoundError where it has none."""
    if path.is_registered:
        linked = place.source.resolve_linked(path.name, path.which)
        return Found(place, linked.version, linked)
    return Found(place, place.source.resolve(path.project or project, path.name, path.which))


def check_found_type(found: Found, type: str | None, where: str) -> None:
    """Raise UsageError where a version is of another type than the caller expects."""
    if type is not None and found.info.type != type:
        got = f"{found.info.name!r}, which is of type {found.info.type!r}"
        raise UsageError(where, got, f"an artifact of type {type!r}", "leave the type out, or choose another artifact")


def default_place(settings: Settings) -> Place:
    """Return where artifacts go that no run logs: the server of the settings, else the folder."""
    if settings.base_url and settings.mode != "offline":
        return Place(
            open_remote(settings.base_url, settings.api_key, _SERVER_TIMEOUT_S),
            cache(partial(open_runs, None, settings)),
        )
    folder = find_folder(settings.dir)
    return Place(open_local(folder, settings), cache(partial(open_runs, folder, settings)))
