"""What a run does with artifacts: log, use and link them. No trouble of disk, database or server is raised from here,
but where the caller cannot go on without what it asks for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import current
from ..errors import TrackerError, UsageError
from ..paths import check_project
from ..records import ArtifactLog, ArtifactUse
from ..say import warn
from ..settings import Settings, load_settings
from ..sync import artifact_queue
from .artifact import Artifact, registered_name
from .artifact_draft import ArtifactDraft
from .commit import bring, commit, known_entries
from .local_files import LocalFile
from .manifest import Manifest
from .names import LATEST, check_aliases, check_name, check_tags, parse_path
from .open_source import keep_files
from .path_drafts import drafted
from .resolve import Resolver, check_found_type, default_place
from .retries import retry
from .together import drop_parts, leave_part, parts_folder, read_parts
from .wire import NewVersion, RunRef, Use, VersionEdit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..run import Run

DEFAULT_TYPE = "unspecified"
MODEL_TYPE = "model"
_SIGNALLED_WAIT_S = 3.0


class RunArtifacts:
    """The artifacts of one run. Thread-safe.

    Args:
        run: the run.
        folder: the tracker folder that it is kept in.
        settings: of the run.
    """

    def __init__(self, run: Run, folder: str, settings: Settings) -> None:
        self._run = run
        self._resolver = Resolver(folder, settings, run.mode == "online")
        self._lock = threading.RLock()
        self._failed: list[Callable[[], None]] = []
        self._is_ending = False
        self._finish_timeout_s = settings.finish_timeout_s
        self._links: dict[str, list[tuple[str, list[str]]]] = {}

    # Logging

    def log(
        self,
        given: Artifact | str | os.PathLike[str],
        name: str | None,
        type: str | None,
        aliases: Sequence[str] | None,
        tags: Sequence[str] | None,
    ) -> Artifact:
        """Log a draft, or files by their path; see `Run.log_artifact`."""
        where = "log_artifact()"
        wanted = check_aliases(aliases, "log_artifact(aliases=)")
        artifact = drafted(given, name, type, self._run.project, f"run-{self._run.id}-", where)
        artifact._tags = list(dict.fromkeys([*artifact._tags, *check_tags(tags, "log_artifact(tags=)")]))
        if artifact._stand_in:
            return artifact
        with self._lock:
            if artifact.is_draft():
                self._log_draft(artifact, wanted)
            else:
                self._log_again(artifact, wanted)
        return artifact

    def _log_draft(self, artifact: Artifact, aliases: list[str], is_output: bool = True) -> None:
        def log() -> None:
            ref = RunRef(self._run.project, self._run.id) if is_output else None
            before = self._note_log if is_output else lambda new, manifest: None
            step = self._run.step
            commit(artifact, self._resolver.local(), self._run.project, aliases, ref, step, before)
            if is_output:
                self._note_version(artifact)
                artifact._changed = self._note_version

        def again(_: Artifact) -> None:
            if artifact.is_draft():
                self._attempt(artifact, log, again)

        self._attempt(artifact, log, again)

    def _attempt(self, artifact: Artifact, log: Callable[[], None], again: Callable[[Artifact], None]) -> None:
        try:
            self._resolver.local()  # what is wrong with the store is no wrong use
        except Exception as error:  # noqa: BLE001
            self._fail(artifact, error, again)
            return
        try:
            log()
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001
            self._fail(artifact, error, again)

    def _fail(self, artifact: Artifact, error: Exception, again: Callable[[Artifact], None]) -> None:
        is_new = not artifact._trouble
        artifact._trouble = _reason(error)
        artifact._again = again
        if is_new:
            self._failed.append(lambda: again(artifact))
        then = "it is not kept" if self._is_ending else "it is tried again at the end"
        warn(f"the artifact {artifact._name} could not be kept: {artifact._trouble}; {then}")

    def _note_log(self, new: NewVersion, manifest: Manifest) -> None:
        record = ArtifactLog(
            wall_time_ns=time.time_ns(),
            uid=new.uid,
            project=new.project,
            name=new.name,
            type=new.type,
            digest=manifest.digest(),
            size_bytes=manifest.size_bytes,
            n_files=len(manifest),
            aliases=new.aliases,
        )
        self._record(record)

    def _note_version(self, artifact: Artifact) -> None:
        """Note what became of a version that this run logs, for those who send it on."""
        info = artifact._logged("save()")
        record = ArtifactLog(
            wall_time_ns=time.time_ns(),
            uid=info.uid,
            project=info.project,
            name=info.name,
            type=info.type,
            digest=info.digest,
            size_bytes=info.size_bytes,
            n_files=info.n_files,
            version=info.version,
            aliases=[alias for alias in info.aliases if alias != LATEST],
            links=self._links.get(info.uid, []),
        )
        self._record(record)

    def keep_early(self, artifact: ArtifactDraft, files: Sequence[LocalFile]) -> bool:
        """Bring files to the store before the artifact is logged; say whether they are there.

        Raises:
            UsageError: one changes again and again while it is read.
        """
        project = self._run.project
        try:
            source = self._resolver.local().source
            with self._lock:
                lease = artifact._early_lease(source, project)
                if lease is None:
                    lease = source.begin_upload(project)
                    artifact._lease = source, project, lease
            known = known_entries(source, project, artifact._name)
        except Exception:  # noqa: BLE001
            return False  # it is told of when the artifact is logged
        try:
            entries = keep_files(source, lease, [(file.path, file.name) for file in files], known)
        except UsageError:
            raise
        except Exception:  # noqa: BLE001
            return False
        artifact._contents.note_kept(files, entries)
        return True

    def _log_again(self, artifact: Artifact, aliases: list[str]) -> None:
        """Say that this run logs a version that there is already."""
        info, place = artifact._logged("log_artifact()"), artifact._place
        assert place is not None
        with _not_raising(f"the artifact {artifact.name} could not be logged again"):
            edit = VersionEdit(add_aliases=aliases, tags=list(dict.fromkeys([*info.tags, *artifact._tags])))
            place.source.add_uses([Use(info.uid, self._ref(), time.time_ns(), is_output=True)])
            artifact._bind(place, place.source.edit(info.uid, edit), artifact._linked)
            self._note_version(artifact)

    # Using

    def use(
        self,
        given: Artifact | str,
        type: str | None,
        aliases: Sequence[str] | None,
        use_as: str | None,
    ) -> Artifact:
        """Find a version and note that this run uses it; see `Run.use_artifact`."""
        where = "use_artifact()"
        if isinstance(given, Artifact):
            artifact = given
            if artifact.is_draft():
                with self._lock:
                    self._log_draft(artifact, check_aliases(aliases, "use_artifact(aliases=)"), is_output=False)
            if artifact._trouble or artifact._stand_in:
                return artifact
        else:
            found = self._resolver.find(parse_path(given, where), self._run.project)
            check_found_type(found, type, where)
            artifact = Artifact.of(found.place, found.info, found.linked)
        artifact._use_as = use_as or artifact._use_as
        self._note_use(artifact)
        return artifact

    def _note_use(self, artifact: Artifact) -> None:
        info = artifact._logged("use_artifact()")
        now_ns = time.time_ns()
        record = ArtifactUse(
            wall_time_ns=now_ns,
            uid=info.uid,
            project=info.project,
            name=info.name,
            type=info.type,
            digest=info.digest,
            version=info.version,
            used_as=artifact._use_as,
        )
        with _not_raising(f"that the run uses {artifact.name} could not be noted"):
            self._record(record)
            self._resolver.local().source.add_uses([Use(info.uid, self._ref(), now_ns, used_as=artifact._use_as)])

    # Linking

    def link(
        self, given: Artifact | str, target_path: str, aliases: Sequence[str] | None, name: str | None = None
    ) -> Artifact:
        """Put a version into a registered model; see `Run.link_artifact`."""
        where = "link_artifact()"
        model = registered_name(target_path, "link_artifact(target_path=)")
        wanted = check_aliases(aliases, "link_artifact(aliases=)")
        artifact = given if isinstance(given, Artifact) else self.use(given, None, None, None)
        if artifact.is_draft() and not artifact._trouble:
            artifact = self.log(artifact, name, None, None, None)
        if artifact._trouble or artifact._stand_in:
            return artifact
        info, place = artifact._logged(where), artifact._place
        assert place is not None
        with _not_raising(f"the artifact {artifact.name} could not be linked to {model}"), self._lock:
            linked = place.source.link(model, info.uid, wanted)
            if artifact._changed is not None:
                self._links.setdefault(info.uid, []).append((model, wanted))
                self._note_version(artifact)
            return Artifact.of(place, info, linked)
        return artifact

    # Models

    def log_model(self, path: str | os.PathLike[str], name: str | None, aliases: Sequence[str] | None) -> Artifact:
        """Log a model's files; see `Run.log_model`."""
        artifact = drafted(path, name, MODEL_TYPE, self._run.project, f"run-{self._run.id}-", "log_model()")
        return self.log(artifact, None, None, aliases, None)

    def use_model(self, name: str) -> str:
        """Download a model; see `Run.use_model`."""
        artifact = self.use(name, None, None, None)
        if MODEL_TYPE not in artifact.type:
            got = f"{name!r}, which is of type {artifact.type!r}"
            raise UsageError("use_model()", got, "an artifact of a type with 'model' in it", "use_artifact() takes all")
        return artifact.file() if artifact.file_count == 1 else artifact.download()

    def link_model(
        self,
        path: str | os.PathLike[str],
        registered_model_name: str,
        name: str | None,
        aliases: Sequence[str] | None,
    ) -> Artifact:
        """Log a model and put it into the registry; see `Run.link_model`."""
        check_name(registered_model_name, "link_model(registered_model_name=)")
        wanted = check_aliases(aliases, "link_model(aliases=)")
        return self.link(self.log_model(path, name, None), f"model-registry/{registered_model_name}", wanted)

    # Several runs together

    def upsert(
        self, given: Any, name: str | None, type: str | None, aliases: Sequence[str] | None, distributed_id: str | None
    ) -> Artifact:
        """Leave files for a version that another run logs; see `Run.upsert_artifact`."""
        where = "upsert_artifact()"
        check_aliases(aliases, "upsert_artifact(aliases=)")
        artifact = drafted(given, name, type, self._run.project, f"run-{self._run.id}-", where)
        parts = self._parts_of(artifact, distributed_id, where)

        def leave() -> None:
            leave_part(parts, bring(artifact, self._resolver.local().source, self._run.project))

        self._attempt(artifact, leave, lambda _: self._attempt(artifact, leave, lambda _: None))
        return artifact

    def finish_together(
        self, given: Any, name: str | None, type: str | None, aliases: Sequence[str] | None, distributed_id: str | None
    ) -> Artifact:
        """Log what several runs left; see `Run.finish_artifact`."""
        where = "finish_artifact()"
        artifact = drafted(given, name, type, self._run.project, f"run-{self._run.id}-", where)
        paths: list[str] = []
        with _not_raising("what other runs added to an artifact could not be read"), self._lock:
            paths, entries = read_parts(self._parts_of(artifact, distributed_id, where))
            artifact._contents.add(
                [entry for entry in entries if artifact._contents.get(entry.path) is None], False, where
            )
        self.log(artifact, None, None, aliases, None)
        if not artifact.is_draft():
            drop_parts(paths)
        return artifact

    def _parts_of(self, artifact: Artifact, distributed_id: str | None, where: str) -> str:
        common = distributed_id or self._run.group
        if not common:
            remedy = "pass distributed_id=, or group= to init()"
            raise UsageError(where, "neither a group nor distributed_id", "what the runs have in common", remedy)
        return parts_folder(self._resolver.folder, self._run.project, artifact._name, common)

    # The end

    def finish(self, is_signalled: bool = False) -> None:
        """Try once more what could not be kept, for at most `finish_timeout_s`; raises nothing.

        Where a signal ends the process, nothing is tried, and what another thread logs is hardly waited for.
        """
        is_held = self._lock.acquire(timeout=_SIGNALLED_WAIT_S if is_signalled else -1)
        try:
            self._is_ending = True
            failed, self._failed = self._failed, []
        finally:
            if is_held:
                self._lock.release()
        if failed:
            attempts = [partial(_tried, again) for again in failed]
            retry(attempts, self._lock, 0.0 if is_signalled else self._finish_timeout_s)

    def _ref(self) -> RunRef:
        return RunRef(self._run.project, self._run.id)

    def _record(self, record: ArtifactLog | ArtifactUse) -> None:
        artifact_queue.note(self._run.dir, record)
        self._run.record(record)


def _tried(again: Callable[[], None]) -> None:
    try:
        again()
    except Exception as error:  # noqa: BLE001
        warn(f"an artifact could not be kept: {_reason(error)}")


def log_without_arguments(artifact: Artifact, project: str | None) -> None:
    """Log a draft with the run that is active, or without one; see `Artifact.save`."""
    run = current.get()
    settings = load_settings()
    if run is not None and not run.is_finished:
        run.log_artifact(artifact)
    elif settings.mode == "disabled":
        artifact._be_stand_in()
    else:
        project = check_project(project or settings.project, "Artifact.save(project=)")
        commit(artifact, default_place(settings), project)


@contextmanager
def _not_raising(what: str) -> Iterator[None]:
    """Keep trouble away from the training; wrong use is raised."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001
        warn(f"{what}: {_reason(error)}")


@contextmanager
def not_raising_in_run(what: str) -> Iterator[None]:
    """Keep trouble away where a run is active; without one it is raised."""
    run = current.get()
    if run is None or run.is_finished:
        yield
    else:
        with _not_raising(what):
            yield


def _reason(error: Exception) -> str:
    is_told = isinstance(error, TrackerError)
    return str(error) if is_told else f"{error.__class__.__name__}: {error}"[:500]
