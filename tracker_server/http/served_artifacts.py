"""The artifacts of a served folder, for the routes: as each caller may see and change them."""

from __future__ import annotations

import threading

from fastapi import Request

from ..artifacts.local_artifacts import LocalArtifacts
from ..query.folder import LocalFolder
from .access import principal_of
from .authorize import Principal
from .permitted_artifacts import PermittedArtifacts


class ServedArtifacts:
    """Opens a folder's artifacts when they are first asked for. Thread-safe.

    Args:
        folder: what is served.
        blobs_url: where the bytes are kept. Default: blobs/ of the folder.
    """

    def __init__(self, folder: LocalFolder, blobs_url: str | None = None) -> None:
        self._folder = folder
        self._blobs_url = blobs_url
        self._lock = threading.Lock()
        self._local: LocalArtifacts | None = None

    def of(self, request: Request) -> PermittedArtifacts:
        """Return the artifacts for whoever sent a request."""
        return self.for_principal(principal_of(request))

    def for_principal(self, who: Principal) -> PermittedArtifacts:
        """Return the artifacts for somebody."""
        local = self.local().as_user(who.name)
        return PermittedArtifacts(local, who, local.lease_project, local.registrations)

    def local(self) -> LocalArtifacts:
        """Return all of them, for nobody in particular."""
        with self._lock:
            if self._local is None:
                self._local = LocalArtifacts.of(self._folder, "server", blobs_url=self._blobs_url)
            return self._local

    def check(self) -> None:
        """Raise UsageError where the address of the object store is none."""
        if self._blobs_url:
            _ = self.local().store

    def close(self) -> None:
        """Let go of them."""
        with self._lock:
            if self._local is not None:
                self._local.close()
                self._local = None
