"""The calls of a run that have to do with artifacts. What they need is imported at the first of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import Settings
    from .artifact import Artifact
    from .run_artifacts import RunArtifacts


class ArtifactCalls:
    """The part of `Run` that logs and uses artifacts.

    No call raises because of trouble with the disk, the database or a server, but `use_artifact` and `use_model` where
    what they are asked for cannot be had.
    """

    _folder: str
    _settings: Settings
    _artifacts: RunArtifacts | None = None

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Log a version of an artifact; returns when its bytes are kept and its version is known.

        Content that was logged before under this name is that version again. Aliases move to it, "latest" always does.

        Args:
            artifact_or_path: a draft, or the path of a file or folder, or the address of a reference.
            name: of the artifact, for a path. Default: "run-ID-" and the name of the file.
            type: of the artifact, for a path. Default: "unspecified".
            aliases: such as ["best"].
            tags: labels of the version.

        Returns:
            The artifact. Where it could not be kept, which is warned of and tried again at the end, its state is
            "PENDING" and its version "".

        Raises:
            UsageError: a name, alias or path is not valid, the artifact is of another type, a file was changed after
                it was added, or the run has finished.
        """
        return self._own_artifacts("log_artifact()").log(artifact_or_path, name, type, aliases, tags)

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Return a version of an artifact, and note that the run uses it.

        Args:
            artifact_or_name: "[entity/][project/]name[:version, alias or digest]", "model-registry/NAME[:alias]", or an
                artifact, which is logged where it is a draft. Default of the project: that of the run; of the version:
                the latest.
            type: the type that it has to have.
            aliases: of a draft.
            use_as: what it is for.

        Raises:
            UsageError: the name is not valid, or the artifact is of another type.
            NotFoundError: there is none.
            ServerError: it is not in the folder, and the server does not answer.
        """
        return self._own_artifacts("use_artifact()").use(artifact_or_name, type, aliases, use_as)

    def link_artifact(
        self,
        artifact: Artifact | str,
        target_path: str,
        aliases: Sequence[str] | None = None,
    ) -> Artifact:
        """Put a version into a registered model, which is made where there is none; a draft is logged first.

        Args:
            artifact: the version, or its name.
            target_path: "model-registry/NAME".
            aliases: aliases that move to it there, such as ["candidate"].

        Returns:
            The version as it is in the registry.

        Raises:
            UsageError: a path or alias is not valid, or the model is of another type.
        """
        return self._own_artifacts("link_artifact()").link(artifact, target_path, aliases)

    def log_model(
        self, path: str | os.PathLike[str], name: str | None = None, aliases: Sequence[str] | None = None
    ) -> Artifact:
        """Log the files of a model as an artifact of type "model".

        Args:
            path: a file, a folder, or the address of a reference.
            name: of the artifact. Default: "run-ID-" and the name of the file.
            aliases: such as ["best"].

        Raises:
            UsageError: a name, alias or path is not valid.
        """
        return self._own_artifacts("log_model()").log_model(path, name, aliases)

    def use_model(self, name: str) -> str:
        """Download a model, note that the run uses it, and return the path of its file, or of the folder of several.

        Args:
            name: as of `use_artifact`.

        Raises:
            UsageError: it is no model.
            NotFoundError: there is none.
        """
        return self._own_artifacts("use_model()").use_model(name)

    def link_model(
        self,
        path: str | os.PathLike[str],
        registered_model_name: str,
        name: str | None = None,
        aliases: Sequence[str] | None = None,
    ) -> Artifact:
        """Log the files of a model, and put it into the registry.

        Args:
            path: a file, a folder, or the address of a reference.
            registered_model_name: the registered model; made where there is none.
            name: of the artifact. Default: "run-ID-" and the name of the file.
            aliases: aliases that move to it in the registry.

        Raises:
            UsageError: a name, alias or path is not valid, or the registered model is of another type.
        """
        return self._own_artifacts("link_model()").link_model(path, registered_model_name, name, aliases)

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Add files to a version that several runs make together; `finish_artifact` of one of them logs it.

        Args:
            artifact_or_path, name, type: as of `log_artifact`. The runs write to one tracker folder.
            aliases: that move to the version.
            distributed_id: what the runs have in common. Default: the run's group.

        Raises:
            UsageError: as of `log_artifact`, or there is neither a group nor an id.
        """
        return self._own_artifacts("upsert_artifact()").upsert(artifact_or_path, name, type, aliases, distributed_id)

    def finish_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Log the version to which `upsert_artifact` added files in several runs; arguments are those of it."""
        return self._own_artifacts("finish_artifact()").finish_together(
            artifact_or_path, name, type, aliases, distributed_id
        )

    def _own_artifacts(self, where: str) -> RunArtifacts:
        from ..run import Run
        from .run_artifacts import RunArtifacts

        assert isinstance(self, Run)
        with self._own_writer().lock:
            if self.is_finished:
                raise self._finished_error(where)
            if self._artifacts is None:
                self._artifacts = RunArtifacts(self, self._folder, self._settings)
            return self._artifacts

    def _finish_artifacts(self, is_signalled: bool) -> None:
        """Try once more what could not be kept, unless a signal ends the process."""
        if self._artifacts is not None:
            self._artifacts.finish(is_signalled)
