"""Files are kept as they are when they are added: in the store of the run that is active, or as copies of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import current
from .local_files import LocalFile

if TYPE_CHECKING:
    from .artifact_draft import ArtifactDraft

# A smaller file is copied: a store would make a pack for it alone.
_EARLY_BYTES = 256 << 10


def keep_as_they_are(artifact: ArtifactDraft, files: Sequence[LocalFile]) -> None:
    """See to it that files may change after they were added. What cannot be kept now is read when it is logged."""
    from ..run import Run

    run = current.get()
    if run is not None and not isinstance(run, Run):
        return  # a disabled run keeps nothing
    n_bytes = sum(file.size_bytes for file in files)
    is_kept = False
    if run is not None and not run.is_finished and n_bytes >= _EARLY_BYTES:
        is_kept = run._own_artifacts("add_file()").keep_early(artifact, files)
    for file in () if is_kept else files:
        artifact._contents.copy(file)
