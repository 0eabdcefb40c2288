"""The routes that show artifacts: lists, versions, files, differences, lineage. Nothing of a file is ever run."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response

from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import RunRef, VersionInfo

from ..query.folder import LocalFolder
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .artifact_models import (
    CollectionList,
    CollectionRow,
    LineageGraph,
    LineageNode,
    RunArtifact,
    RunArtifacts,
    UsageList,
    UsageRow,
    VersionDetail,
    VersionList,
    as_json,
    seconds,
)
from .artifact_reply import ManifestCache, RunLinks
from .authorize import Principal
from .http_errors import json_response
from .markdown import render
from .routes_artifact_edits import add_artifact_edits
from .routes_artifact_files import add_artifact_files
from .routes_registry import add_registry_routes
from .served_artifacts import ServedArtifacts

MAX_NODES = 2000
_MAX_NUMBER = 1 << 53

After = Annotated[int | None, Query(ge=0, le=_MAX_NUMBER)]
Size = Annotated[int, Query(ge=1, le=1000)]
Depth = Annotated[int | None, Query(ge=1, le=1000)]
Nodes = Annotated[int, Query(ge=1, le=MAX_NODES)]
Direction = Literal["up", "down", "both"]


def add_artifact_routes(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    """Declare all routes of artifacts and of the registry that the pages ask."""
    manifests = ManifestCache()
    _add_lists(routes, folder, artifacts, prefix)
    _add_one(routes, folder, artifacts, prefix)
    _add_lineage(routes, folder, artifacts, prefix)
    add_artifact_files(routes, folder, artifacts, manifests, prefix)
    add_artifact_edits(routes, folder, artifacts, prefix)
    add_registry_routes(routes, folder, artifacts, prefix)


def version_path(prefix: str) -> str:
    """Return the address of a version: by "v3", an alias, a digest or a uid."""
    return f"{prefix}/projects/{{project}}/artifacts/{{name}}/versions/{{version}}"


def _add_lists(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    @routes.add("GET", f"{prefix}/artifacts", Action.READ, per_project=True, **documented(CollectionList))
    def listing(
        request: Request,
        project: str | None = None,
        type: str | None = None,
        text: str = "",
        after: After = None,
        size: Size = 100,
    ) -> Response:
        source = artifacts.of(request)
        page = source.collections(project, type, text, after, size)
        links = RunLinks(folder, principal_of(request))
        rows = [links.collection(info) for info in page.items]
        projects = source.projects() if project is None else [project]
        types = sorted({kind for name in projects for kind in source.types(name)})
        return json_response(CollectionList(rows, types, page.next_place))

    @routes.add("GET", f"{prefix}/artifacts/usage", Action.READ, per_project=True, **documented(UsageList))
    def usage(request: Request, project: str | None = None) -> Response:
        found = artifacts.of(request).usage(project)
        rows = [UsageRow(u.project, u.n_artifacts, u.n_versions, u.logical_bytes, u.stored_bytes) for u in found]
        return json_response(UsageList(rows))


def _add_one(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    artifact_path = f"{prefix}/projects/{{project}}/artifacts/{{name}}"

    @routes.add("GET", artifact_path, Action.READ, **documented(CollectionRow))
    def collection(project: str, name: str, request: Request) -> Response:
        links = RunLinks(folder, principal_of(request))
        return json_response(links.collection(artifacts.of(request).collection(project, name), is_whole=True))

    @routes.add("GET", f"{artifact_path}/versions", Action.READ, **documented(VersionList))
    def versions(project: str, name: str, request: Request, after: After = None, size: Size = 100) -> Response:
        page = artifacts.of(request).versions(project, name, after, size)
        links = RunLinks(folder, principal_of(request))
        return json_response(VersionList(links.versions(page.items), page.next_place))

    @routes.add("GET", version_path(prefix), Action.READ, **documented(VersionDetail))
    def version(project: str, name: str, version: str, request: Request) -> Response:
        source = artifacts.of(request)
        info = source.resolve(project, name, version)
        return json_response(version_detail(source, info, folder, principal_of(request)))


def version_detail(source: ArtifactSource, info: VersionInfo, folder: LocalFolder, reader: Principal) -> VersionDetail:
    """Return all that is known of a version."""
    newest = source.versions(info.project, info.name, None, 1).items
    return VersionDetail(
        version=RunLinks(folder, reader, has_summary=True).version(info),
        metadata=as_json(info.metadata),
        description_html=render(info.description),
        uses=RunLinks(folder, reader).uses(source.users(info.uid)),
        latest_number=newest[0].ordinal if newest else None,
    )


def _add_lineage(routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, prefix: str) -> None:
    run_path = f"{prefix}/projects/{{project}}/runs/{{run_id}}"

    def graph(request: Request, node: str, depth: int | None, direction: Direction, n_nodes: int) -> Response:
        found = artifacts.of(request).lineage(node, depth, direction, n_nodes)
        links = RunLinks(folder, principal_of(request))
        nodes = [
            LineageNode(one.id, links.of(one.run), None if one.version is None else links.version(one.version))
            for one in found.nodes
        ]
        shown = [one for one in nodes if one.run is not None or one.version is not None]
        ids = {one.id for one in shown}
        edges = [(start, end) for start, end in found.edges if start in ids and end in ids]
        return json_response(LineageGraph(shown, edges, found.is_complete))

    @routes.add("GET", f"{version_path(prefix)}/lineage", Action.READ, **documented(LineageGraph))
    def of_version(
        project: str,
        name: str,
        version: str,
        request: Request,
        depth: Depth = None,
        direction: Direction = "both",
        max_nodes: Nodes = MAX_NODES,
    ) -> Response:
        info = artifacts.of(request).resolve(project, name, version)
        return graph(request, f"version:{info.uid}", depth, direction, max_nodes)

    @routes.add("GET", f"{run_path}/lineage", Action.READ, **documented(LineageGraph))
    def of_run(
        project: str,
        run_id: str,
        request: Request,
        depth: Depth = None,
        direction: Direction = "both",
        max_nodes: Nodes = MAX_NODES,
    ) -> Response:
        return graph(request, f"run:{project}/{run_id}", depth, direction, max_nodes)

    @routes.add("GET", f"{run_path}/artifacts", Action.READ, **documented(RunArtifacts))
    def artifacts_of_run(project: str, run_id: str, request: Request) -> Response:
        found = artifacts.of(request).of_run(RunRef(project, run_id))
        links = RunLinks(folder, principal_of(request))
        rows = [RunArtifact(links.version(info), seconds(use.at_ns), use.is_output, use.used_as) for use, info in found]
        return json_response(RunArtifacts(rows))
