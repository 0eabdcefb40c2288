"""`Artifact`: a versioned set of files, put together and logged by one run, used by others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError, UsageError
from ..say import warn
from .artifact_draft import ArtifactDraft
from .artifact_facts import ArtifactTTL as ArtifactTTL
from .artifact_facts import check_description
from .contents import Contents, Item
from .downloads import checkout, default_root, download, verify
from .entries import ArtifactEntry
from .files_of import ArtifactFile, ArtifactManifest
from .local_files import LocalFile
from .manifest import Entry, Manifest
from .names import LATEST, check_aliases, check_metadata, check_name, check_tags, check_type, parse_path
from .place import Place
from .wire import REGISTRY, Lineage, LinkedVersion, VersionEdit, VersionInfo

if TYPE_CHECKING:
    from ..api_run import ApiRun


class Artifact(ArtifactDraft):
    """A versioned set of files: data, a model, anything. Not thread-safe.

    A new one is a draft, to which files are added. `run.log_artifact(artifact)` makes a version of it, after which its
    files do not change any more: v0, v1, ... Content that was logged before under its name is that version again.

    Args:
        name: 1 to 128 letters, digits, "-", "_" or ".".
        type: what it is, such as "dataset" or "model"; all versions of a name have one type.
        description: free text.
        metadata: a dict of what is to be known of it.
        incremental: begin with the files of the latest version.
        use_as: what a run that uses it does with it.
        storage_region: accepted for scripts written for wandb.

    Raises:
        UsageError: an argument is not what it must be.
    """

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
    ) -> None:
        self._name = check_name(name)
        self._type = check_type(type)
        self._description = check_description(description)
        self._metadata = check_metadata(metadata)
        self._use_as = check_description(use_as)
        self._is_incremental = bool(incremental)
        self._aliases, self._tags = [], []
        self._ttl_days = None
        self._contents = Contents()
        self._origins = {}
        self._changed: Callable[[Artifact], None] | None = None
        self._again: Callable[[Artifact], None] | None = None

    @classmethod
    def of(cls, place: Place, info: VersionInfo, linked: LinkedVersion | None = None) -> Artifact:
        """Return a logged version as its catalog gives it; `linked` where it was asked for by its registered model."""
        artifact = cls(info.name, info.type)
        artifact._bind(place, info, linked)
        return artifact

    @classmethod
    def stand_in(cls, name: str, type: str) -> Artifact:
        """Return what mode "disabled" gives in place of a logged version."""
        artifact = cls(name, type)
        artifact._be_stand_in()
        return artifact

    def _be_stand_in(self) -> None:
        """Be taken for a logged version from now on, of which nothing is kept."""
        self._stand_in, self._manifest = True, Manifest([])
        self._info = VersionInfo(
            uid="", project="disabled", name=self._name, type=self._type, ordinal=0, digest="", size_bytes=0, n_files=0,
            created_ns=0,
        )  # fmt: skip
        self._aliases = self._aliases or [LATEST]

    def _bind(self, place: Place, info: VersionInfo, linked: LinkedVersion | None = None) -> None:
        """Take over what a catalog says of the version that this is."""
        self._place, self._info, self._linked, self._trouble = place, info, linked, ""
        self._description, self._metadata = info.description, dict(info.metadata)
        self._aliases = list(info.aliases if linked is None else linked.aliases)
        self._tags, self._ttl_days = list(info.tags), info.ttl_days

    def __repr__(self) -> str:
        return f"<artifact {self._type} {self.name if self._info is not None else self._name!r} {self.state}>"

    # Its life

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Keep the changes of a logged version; log a draft, with the run that is active, or else without one.

        Args:
            project: where a draft goes without a run. Default: the project of the settings.
            settings: accepted for scripts written for wandb.

        Raises:
            UsageError: something in it is not what it must be.
        """
        from .run_artifacts import log_without_arguments, not_raising_in_run

        if self._info is None:
            log_without_arguments(self, project)
        elif not self._stand_in:
            with not_raising_in_run(f"changes of the artifact {self.name} could not be kept"):
                self._save_changes()

    def _save_changes(self) -> None:
        info, place = self._logged("save()"), self._place
        assert place is not None
        wanted = check_aliases(self._aliases, "Artifact.aliases")
        if self._linked is not None:
            there = set(self._linked.aliases)
            gone = sorted(there - {*wanted, LATEST})
            self._linked = place.source.set_model_aliases(
                self._linked.model, self._linked.number, [a for a in wanted if a not in there], gone
            )
        there = set(info.aliases)
        is_source = self._linked is None
        edit = VersionEdit(
            add_aliases=[alias for alias in wanted if alias not in there] if is_source else [],
            remove_aliases=sorted(there - {*wanted, LATEST}) if is_source else [],
            tags=_if_other(check_tags(self._tags, "Artifact.tags"), info.tags),
            description=_if_other(check_description(self._description), info.description),
            metadata=_if_other(check_metadata(self._metadata, "Artifact.metadata"), info.metadata),
            ttl_days=_if_other(self._ttl_days, info.ttl_days, -1.0),
        )
        if edit != VersionEdit():
            info = place.source.edit(info.uid, edit)
        self._bind(place, info, self._linked)
        if self._changed is not None:
            self._changed(self)

    def wait(self, timeout: float | None = None) -> Artifact:
        """Return the artifact once it is logged. `log_artifact` has done it already; what it could not, is tried again.

        Args:
            timeout: accepted for scripts written for wandb.

        Raises:
            UsageError: it was never logged.
        """
        if self._trouble and self._again is not None:
            self._again(self)
        if not self._trouble and not self._stand_in:
            self._logged("wait()")
        return self

    def new_draft(self) -> Artifact:
        """Return a draft with the same files, metadata and description, to be changed and logged as a new version."""
        draft = Artifact(self._name, self._type, self._description, self._metadata)
        if self._stand_in:
            return draft
        info, place = self._logged("new_draft()"), self._place
        assert place is not None
        reader, there = place.reader(info)
        draft._contents = Contents(self._loaded_manifest())
        source = place.nearby if place.nearby is not None and reader is place.nearby else place.source
        draft._origins = {entry.digest: (source, there.uid) for entry in self._loaded_manifest()}
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete the version; its bytes go at the next `tracker gc` where no other version needs them.

        Args:
            delete_aliases: also where it has aliases.

        Raises:
            UsageError: it has aliases, one of them is protected, or the registry has it.
        """
        if self._stand_in:
            return
        info = self._logged("delete()")
        assert self._place is not None
        self._place.source.delete([info.uid], delete_aliases=delete_aliases)
        self._is_deleted = True

    def link(self, target_path: str, aliases: Sequence[str] | None = None) -> Artifact:
        """Put the version into a registered model, which is made where there is none; return it as it is there.

        Args:
            target_path: "model-registry/NAME".
            aliases: aliases that move to it there, such as ["candidate"].

        Raises:
            UsageError: the path or an alias is not valid, or the model is of another type.
        """
        name = registered_name(target_path)
        wanted = check_aliases(aliases, "link(aliases=)")
        if self._stand_in:
            return self
        if self._info is None:
            self.save()
        if self._trouble:
            warn(f"{self._name} is not linked to {target_path}: it could not be kept")
            return self
        info, place = self._logged("link()"), self._place
        assert place is not None
        from .run_artifacts import not_raising_in_run

        with not_raising_in_run(f"the artifact {self.name} could not be linked to {name}"):
            return Artifact.of(place, info, place.source.link(name, info.uid, wanted))
        return self

    def unlink(self) -> None:
        """Take the version out of the registered model by which it was asked for; raises UsageError for others."""
        if self._stand_in:
            return
        if self._linked is None or self._place is None:
            raise UsageError("unlink()", "an artifact of no registered model", "one of the registry", "delete() it")
        self._place.source.unlink(self._linked.model, self._linked.number)

    # Where it came from, and what came of it

    def logged_by(self) -> ApiRun | None:
        """Return the run that logged it; None where there was none, or it was deleted."""
        if self._stand_in:
            return None
        info = self._logged("logged_by()")
        return None if info.logged_by is None or self._place is None else self._place.run(info.logged_by)

    def used_by(self) -> list[ApiRun]:
        """Return the runs that used it; deleted ones are not among them."""
        if self._stand_in or self._place is None:
            return []
        uses = self._place.source.users(self._logged("used_by()").uid)
        refs = dict.fromkeys(use.run for use in uses if not use.is_output)
        return [run for run in map(self._place.run, refs) if run is not None]

    def lineage(self, depth: int | None = None, direction: str = "both") -> Lineage:
        """Return the runs and versions that it came from ("up"), that came of it ("down"), or "both".

        Args:
            depth: how many edges away; None for all.
            direction: which.
        """
        info = self._logged("lineage()")
        if self._stand_in:
            return Lineage([], [])
        assert self._place is not None
        return self._place.source.lineage(f"version:{info.uid}", depth, direction)

    # What is in it

    @property
    def manifest(self) -> ArtifactManifest:
        """The files by name: `manifest.entries["model.pt"]`."""
        return ArtifactManifest(self, [self._name_of(item) for item in self._all_items()])

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def get(self, name: str) -> Any:
        """Return the rich value that `add(obj, name)` put in, such as a Table; None where there is none.

        Raises:
            UsageError: the artifact is not logged yet.
        """
        if self._stand_in:
            return None
        self._logged("get()")
        from ..media.in_artifact import from_artifact, suffixes

        names = {self._name_of(item) for item in self._all_items()}
        for found in (name, *(f"{name}{suffix}" for suffix in suffixes())):
            if found in names and found.endswith(suffixes()):
                return from_artifact(found, lambda path: ArtifactEntry(self, path).read())
        return None

    def get_entry(self, name: str | os.PathLike[str]) -> ArtifactEntry:
        """Return a file by its name; raises NotFoundError (a KeyError in wandb) where there is none."""
        path = os.fspath(name).replace(os.sep, "/")
        self._item(path)
        return ArtifactEntry(self, path)

    get_path = get_entry

    def files(self, names: Iterable[str] | None = None, per_page: int = 50) -> list[ArtifactFile]:
        """Return the files, by name.

        Args:
            names: only these.
            per_page: accepted for scripts written for wandb.

        Raises:
            NotFoundError: it has no such file.
        """
        chosen = [self._name_of(item) for item in self._all_items()] if names is None else list(names)
        return [ArtifactFile(self.get_entry(name)) for name in chosen]

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Download the only file of the artifact and return its path.

        Raises:
            UsageError: it has more than one, or none.
        """
        if self._stand_in:
            return os.path.abspath(default_root(self) if root is None else root)
        self._logged("file()")
        names = [entry.path for entry in self._loaded_manifest()]
        if len(names) != 1:
            got = f"an artifact of {len(names)} files"
            raise UsageError("file()", got, "one file", "use download(), or get_entry(name).download()")
        return self.get_entry(names[0]).download(root)

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | None = None,
        multipart: bool | None = None,
    ) -> str:
        """Write the files into a folder and return its path. A file that is there with the right content stays.

        Args:
            root: the folder. Default: "NAME:vN" below the setting `artifact_dir`.
            allow_missing_references: go on where a reference cannot be fetched.
            skip_cache, multipart: accepted for scripts written for wandb.
            path_prefix: only files whose names begin with it.

        Raises:
            UsageError: it is not logged yet, or something is in the way.
            TrackerError: content cannot be had, or is not what was logged.
        """
        return download(self, root, allow_missing_references, path_prefix)

    def checkout(self, root: str | os.PathLike[str] | None = None) -> str:
        """Make a folder hold exactly the files of the version, and return its path: others in it are removed."""
        return checkout(self, root)

    def verify(self, root: str | os.PathLike[str] | None = None) -> None:
        """Compare a folder with the version.

        Raises:
            UsageError: a file is missing, was changed, or is none of the version's.
        """
        verify(self, root)

    def _all_items(self) -> Iterable[Item]:
        return self._loaded_manifest() if self._info is not None else self._contents

    def _loaded_manifest(self) -> Manifest:
        info = self._logged("manifest")
        if self._manifest is None:
            assert self._place is not None
            self._manifest = self._place.source.manifest(info.uid)
        return self._manifest

    def _item(self, name: str) -> Item:
        found = self._contents.get(name) if self._info is None else self._loaded_manifest().get(name)
        if found is None and self._stand_in:
            return Entry(name, 0, bytes(32))
        if found is None:
            some = sorted(self._name_of(item) for item in self._all_items())[:20]
            raise NotFoundError(f"file {name!r} is not in the artifact {self.name!r}; it has {some}")
        return found

    def _entry(self, name: str) -> Entry:
        found = self._item(name)
        assert isinstance(found, Entry), "a logged artifact has entries only"
        return found

    @staticmethod
    def _name_of(item: Item) -> str:
        return item.name if isinstance(item, LocalFile) else item.path


def registered_name(target_path: object, where: str = "link(target_path=)") -> str:
    """Return the registered model that a path such as "model-registry/digits" names; raises UsageError for others."""
    path = parse_path(target_path, where)
    if path.project not in (None, REGISTRY) or path.which != LATEST:
        got = repr(target_path)[:200]
        raise UsageError(where, got, '"model-registry/NAME"', f"write 'model-registry/{path.name}'")
    return path.name


def _if_other(value: Any, there: Any, otherwise: Any = None) -> Any:
    """Return what an edit says of a value: nothing where it is as it was."""
    return None if value == there else otherwise if value is None else value
