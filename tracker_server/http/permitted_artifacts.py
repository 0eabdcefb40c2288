"""Artifacts and the registry as one caller may see and change them: every method asks `authorize` itself.

To see a version takes READ of its project, to log one WRITE, to change one CHANGE. A version of a project that the
caller may not read is not there for them. A registered model is seen by who may read one of its versions, as far as
these go; what concerns a whole model takes CHANGE of all projects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from tracker_core.artifacts.manifest import Chunk, Manifest
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import (
    AuditEntry,
    CollectionInfo,
    Lineage,
    LinkedVersion,
    NewVersion,
    Page,
    RegisteredModel,
    Retention,
    RunRef,
    Usage,
    Use,
    VersionEdit,
    VersionInfo,
)
from tracker_core.errors import NotFoundError, UsageError

from .access import Action, RefusedError, require
from .authorize import Principal, authorize


class PermittedArtifacts:
    """The artifacts of a source for one caller; `ArtifactSource` says what each method does. Thread-safe.

    Args:
        source: has them all.
        who: asks.
        lease_project: returns the project that a lease is for, raises NotFoundError where there is no such lease.
        registrations: returns the number of the audit's entry since when there is a model of a name.

    Raises, in every method:
        RefusedError: the caller may not do this.
    """

    def __init__(
        self,
        source: ArtifactSource,
        who: Principal,
        lease_project: Callable[[str], str],
        registrations: Callable[[], dict[str, int]],
    ) -> None:
        self._source = source
        self._who = who
        self._lease_project = lease_project
        self._registrations = registrations

    @property
    def place(self) -> str:
        return self._source.place

    def close(self) -> None:
        """Do nothing: the source is not this caller's alone."""

    # -- what the caller may do

    def _require(self, action: Action, project: str | None) -> None:
        require(self._who, action, project)

    def _sees(self, project: str) -> bool:
        return authorize(self._who, Action.READ, project)

    @property
    def _sees_all(self) -> bool:
        return authorize(self._who, Action.READ, None)

    def _own(self, project: str | None) -> str | None:
        """Return the project to look in where any would do: the only one that the caller may read."""
        project = self._who.project if project is None else project
        self._require(Action.READ, project)
        return project

    def _checked(self, uid: str, action: Action = Action.READ) -> VersionInfo:
        """Return a version with which the caller may do this."""
        return self._checked_version(self._source.version(uid), uid, action)

    def _checked_version(self, found: VersionInfo, asked: str, action: Action = Action.READ) -> VersionInfo:
        if not self._sees(found.project):
            raise NotFoundError(f"{self.place} has no version {asked}")
        self._require(action, found.project)
        return self._shown(found)

    def _shown(self, version: VersionInfo) -> VersionInfo:
        """Return a version without the name of a run that the caller may not see."""
        run = version.logged_by
        if run is None or self._sees(run.project):
            return version
        return msgspec.structs.replace(version, logged_by=None)

    def _lease(self, lease: str) -> None:
        project = self._lease_project(lease)
        if not self._sees(project):
            raise NotFoundError(f"{self.place} has no upload {lease!a:.80}")
        self._require(Action.WRITE, project)

    # -- bytes

    def begin_upload(self, project: str) -> str:
        self._require(Action.WRITE, project)
        return self._source.begin_upload(project)

    def missing(self, lease: str, chunks: Sequence[Chunk]) -> set[bytes]:
        self._lease(lease)
        return self._source.missing(lease, chunks)

    def put(self, lease: str, chunks: Iterable[tuple[Chunk, bytes | memoryview]]) -> None:
        self._lease(lease)
        self._source.put(lease, chunks)

    def commit(self, new: NewVersion) -> VersionInfo:
        self._require(Action.WRITE, new.project)
        if new.logged_by is not None:
            self._require(Action.WRITE, new.logged_by.project)
        if self._lease_project(new.lease) != new.project:
            raise UsageError("commit", "an upload for another project", "one for this", "begin an upload anew")
        found = self._source.commit(new)
        if not self._sees(found.project):  # the uid is that of a version elsewhere
            raise UsageError("commit", f"the uid {new.uid!a:.80}, which is taken", "a new one", "log it anew")
        return self._shown(found)

    def end_upload(self, lease: str) -> None:
        try:
            self._lease(lease)
        except NotFoundError:
            return  # it is over already
        self._source.end_upload(lease)

    def read(self, uid: str, chunks: Sequence[Chunk]) -> Iterator[bytes]:
        self._checked(uid)
        return self._source.read(uid, chunks)

    # -- artifacts

    def projects(self) -> list[str]:
        return [project for project in self._source.projects() if self._sees(project)]

    def types(self, project: str) -> list[str]:
        self._require(Action.READ, project)
        return self._source.types(project)

    def collections(
        self,
        project: str | None = None,
        type: str | None = None,
        text: str = "",
        after: int | None = None,
        size: int = 100,
    ) -> Page:
        page = self._source.collections(self._own(project), type, text, after, size)
        page.items = [self._shown_collection(one) for one in page.items]
        return page

    def _shown_collection(self, found: CollectionInfo) -> CollectionInfo:
        latest = found.latest and self._shown(found.latest)
        return found if latest is found.latest else msgspec.structs.replace(found, latest=latest)

    def collection(self, project: str, name: str) -> CollectionInfo:
        self._require(Action.READ, project)
        return self._shown_collection(self._source.collection(project, name))

    def versions(self, project: str, name: str, after: int | None = None, size: int = 100) -> Page:
        self._require(Action.READ, project)
        page = self._source.versions(project, name, after, size)
        page.items = [self._shown(one) for one in page.items]
        return page

    def version(self, uid: str) -> VersionInfo:
        return self._checked(uid)

    def resolve(self, project: str, name: str, which: str = "latest") -> VersionInfo:
        self._require(Action.READ, project)
        return self._checked_version(self._source.resolve(project, name, which), which)

    def manifest(self, uid: str) -> Manifest:
        self._checked(uid)
        return self._source.manifest(uid)

    def edit(self, uid: str, edit: VersionEdit, why: str = "") -> VersionInfo:
        self._checked(uid, Action.CHANGE)
        return self._shown(self._source.edit(uid, edit, why))

    def delete(self, uids: Sequence[str], why: str = "", delete_aliases: bool = False) -> list[str]:
        for uid in uids:
            self._checked(uid, Action.CHANGE)
        return self._source.delete(uids, why, delete_aliases)

    def delete_collection(self, project: str, name: str, why: str = "") -> None:
        self._require(Action.CHANGE, project)
        self._source.delete_collection(project, name, why)

    def describe(self, project: str, name: str, description: str) -> CollectionInfo:
        self._require(Action.CHANGE, project)
        return self._shown_collection(self._source.describe(project, name, description))

    def set_retention(self, project: str, name: str, retention: Retention) -> CollectionInfo:
        self._require(Action.CHANGE, project)
        return self._shown_collection(self._source.set_retention(project, name, retention))

    def usage(self, project: str | None = None) -> list[Usage]:
        return self._source.usage(self._own(project))

    # -- lineage

    def add_uses(self, uses: Sequence[Use]) -> None:
        for project in {use.run.project for use in uses}:
            self._require(Action.WRITE, project)
        known = [use for use in uses if self._may_use(use)]
        if known:
            self._source.add_uses(known)

    def _may_use(self, use: Use) -> bool:
        try:
            self._checked(use.uid, Action.WRITE if use.is_output else Action.READ)
        except (NotFoundError, RefusedError):
            return False
        return True

    def of_run(self, run: RunRef) -> list[tuple[Use, VersionInfo]]:
        self._require(Action.READ, run.project)
        return [(use, self._shown(one)) for use, one in self._source.of_run(run) if self._sees(one.project)]

    def users(self, uid: str) -> list[Use]:
        self._lineage(f"version:{uid}", 0)
        return [use for use in self._source.users(uid) if self._sees(use.run.project)]

    def lineage(self, node: str, depth: int | None = None, direction: str = "both", max_nodes: int = 2000) -> Lineage:
        return self._lineage(node, depth, direction, max_nodes)

    def _lineage(self, node: str, depth: int | None, direction: str = "both", max_nodes: int = 2000) -> Lineage:
        """Return the part of a lineage that the caller may see and that its root leads to through what they may see."""
        found = self._source.lineage(node, depth, direction, max_nodes)
        if self._sees_all:
            return found
        seen = {one.id: one for one in found.nodes if self._sees(_project_of(one.run, one.version))}
        edges = [edge for edge in found.edges if edge[0] in seen and edge[1] in seen]
        root = found.nodes[0].id if found.nodes else node
        if root not in seen:
            raise NotFoundError(f"{self.place} has no {node!a:.200}")
        reached = _connected(root, edges)
        nodes = [
            one if one.version is None else msgspec.structs.replace(one, version=self._shown(one.version))
            for one in seen.values()
            if one.id in reached
        ]
        return Lineage(nodes, [edge for edge in edges if edge[0] in reached], found.is_complete)

    # -- the registry

    def models(self, text: str = "") -> list[RegisteredModel]:
        found = self._source.models(text)
        if self._sees_all:
            return found
        return [shown for one in found if (shown := self._shown_model(one)) is not None]

    def model(self, name: str) -> RegisteredModel:
        found = self._source.model(name)
        shown = found if self._sees_all else self._shown_model(found)
        if shown is None:
            raise _no_model(self.place, name)
        return shown

    def _shown_model(self, model: RegisteredModel) -> RegisteredModel | None:
        """Return a model as if it had no other versions than those that the caller may see."""
        linked = self._seen_links(model.name)
        if not linked:
            return None
        aliases = {alias: one.number for one in linked for alias in one.aliases}
        latest = max(linked, key=lambda one: one.number)
        return msgspec.structs.replace(model, n_versions=len(linked), aliases=aliases, latest=latest)

    def _seen_links(self, name: str) -> list[LinkedVersion]:
        found = self._source.linked(name)
        return [self._shown_link(one) for one in found if self._sees(one.version.project)]

    def _shown_link(self, link: LinkedVersion) -> LinkedVersion:
        version = self._shown(link.version)
        return link if version is link.version else msgspec.structs.replace(link, version=version)

    def linked(self, name: str) -> list[LinkedVersion]:
        found = self._seen_links(name)
        if not found and not self._sees_all:
            raise _no_model(self.place, name)
        return found

    def resolve_linked(self, name: str, which: str = "latest") -> LinkedVersion:
        if not self._sees_all and which == "latest":
            return max(self.linked(name), key=lambda one: one.number)
        found = self._source.resolve_linked(name, which)
        if not self._sees(found.version.project):
            raise NotFoundError(f"{self.place} has no model-registry/{name}:{which}")
        return self._shown_link(found)

    def link(self, name: str, uid: str, aliases: Sequence[str] = (), why: str = "") -> LinkedVersion:
        self._checked(uid, Action.CHANGE)
        self._require_aliases(name, aliases)
        return self._shown_link(self._source.link(name, uid, aliases, why))

    def unlink(self, name: str, number: int, why: str = "") -> None:
        self._link(name, number)
        self._source.unlink(name, number, why)

    def set_model_aliases(
        self, name: str, number: int, add: Sequence[str] = (), remove: Sequence[str] = (), why: str = ""
    ) -> LinkedVersion:
        self._link(name, number)
        self._require_aliases(name, add)
        return self._shown_link(self._source.set_model_aliases(name, number, add, remove, why))

    def _link(self, name: str, number: int) -> None:
        """Refuse to change a link whose version the caller may not change."""
        found = self._source.resolve_linked(name, f"v{number}")
        self._checked_version(found.version, f"model-registry/{name}:v{number}", Action.CHANGE)

    def _require_aliases(self, name: str, aliases: Sequence[str]) -> None:
        """Refuse to take an alias off a version that the caller may not change."""
        if authorize(self._who, Action.CHANGE, None) or not aliases:
            return
        try:
            linked = self._source.linked(name)
        except NotFoundError:
            return
        for one in linked:
            if set(one.aliases) & set(aliases):
                self._require(Action.CHANGE, one.version.project)

    def set_card(self, name: str, card: str, why: str = "") -> RegisteredModel:
        self._require(Action.CHANGE, None)
        return self._source.set_card(name, card, why)

    def delete_model(self, name: str, why: str = "") -> None:
        self._require(Action.CHANGE, None)
        self._source.delete_model(name, why)

    def audit(self, name: str | None = None, after: int = 0, size: int = 1000) -> list[AuditEntry]:
        if self._sees_all:
            return self._source.audit(name, after, size)
        made = self._registrations()
        names = [name] if name is not None else [one.name for one in self._source.models()]
        numbers = {one: {link.number for link in self._seen_links(one)} for one in names}
        if name is not None and not numbers[name]:
            raise _no_model(self.place, name)
        entries: list[AuditEntry] = []
        while len(entries) < size and (more := self._source.audit(name, after, size)):
            own = [one for one in more if one.version is not None and one.version in numbers.get(one.model, ())]
            entries += [one for one in own if one.number > made.get(one.model, one.number)]
            after = more[-1].number
        now = self._registrations()  # what was made anew meanwhile has the same numbers for other versions
        return [one for one in entries[:size] if made[one.model] == now.get(one.model)]


def _no_model(place: str, name: str) -> NotFoundError:
    return NotFoundError(f"{place} has no registered model {name!a:.200}; `tracker registry list` shows what is there")


def _project_of(run: RunRef | None, version: VersionInfo | None) -> str:
    if version is not None:
        return version.project
    return "" if run is None else run.project


def _connected(root: str, edges: Iterable[tuple[str, str]]) -> set[str]:
    """Return what can be reached from `root` along edges, in either direction."""
    near: dict[str, set[str]] = {}
    for one, other in edges:
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    reached, waiting = {root}, [root]
    while waiting:
        new = near.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached
