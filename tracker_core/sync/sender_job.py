"""What a background sender is started with. Light to import: the training makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .sync_folder import sync_folder

if TYPE_CHECKING:
    from ..settings import Settings


class SenderJob(msgspec.Struct):
    """What a sender is started with. It reaches the process through a pipe, so that the key is nowhere to be read."""

    folder: str
    base_url: str
    api_key: str | None = None
    interval_s: float = 1.0
    keep_days: float = 0.0
    idle_s: float = 5.0
    first_wait_s: float = 0.5
    most_wait_s: float = 60.0
    database_url: str | None = None
    blobs_url: str | None = None

    def settings(self) -> Settings:
        """Return settings that say where the bytes of artifacts are."""
        from ..settings import load_settings

        return load_settings({"database_url": self.database_url, "blobs_url": self.blobs_url})

    @property
    def sync_folder(self) -> str:
        """The sender's folder."""
        return sync_folder(self.folder, self.base_url, self.api_key)
