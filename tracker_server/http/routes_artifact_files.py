"""The routes of what is in a version: its files, what they look like, their bytes, and how two versions differ."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse

from tracker_core.artifacts.manifest import Entry
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import VersionInfo
from tracker_core.errors import NotFoundError, UsageError

from ..artifacts import file_preview
from ..artifacts.file_preview import Preview
from ..artifacts.text_diff import TextDiff, diff_texts
from ..artifacts.version_files import compare, find_files, list_folder
from ..query.folder import LocalFolder
from ..runs.run_view import flat
from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .artifact_models import FileList, VersionDiff, change_row, file_row, folder_row, metadata_changes
from .artifact_reply import ManifestCache, RunLinks
from .file_reply import attachment_headers
from .http_errors import json_response
from .served_artifacts import ServedArtifacts

_MAX_NUMBER = 1 << 53
Place = Annotated[int, Query(ge=0, le=_MAX_NUMBER)]
Size = Annotated[int, Query(ge=1, le=1000)]
Text = Annotated[str, Query(max_length=1024)]


def add_artifact_files(
    routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, manifests: ManifestCache, prefix: str
) -> None:
    """Declare the routes below a version's address."""
    base = f"{prefix}/projects/{{project}}/artifacts/{{name}}/versions/{{version}}"
    _add_files(routes, artifacts, manifests, base)
    _add_differences(routes, folder, artifacts, manifests, base)


def _add_files(routes: RouteTable, artifacts: ServedArtifacts, manifests: ManifestCache, base: str) -> None:
    def entry_of(source: ArtifactSource, project: str, name: str, version: str, path: str) -> tuple[str, Entry]:
        info = source.resolve(project, name, version)
        return info.uid, find_entry(manifests, source, info, path)

    @routes.add("GET", f"{base}/files", Action.READ, **documented(FileList))
    def files(
        project: str,
        name: str,
        version: str,
        request: Request,
        folder: Text = "",
        text: Text = "",
        after: Place = 0,
        size: Size = 200,
    ) -> Response:
        source = artifacts.of(request)
        manifest = manifests.get(source, source.resolve(project, name, version).uid)
        found = find_files(manifest, text, after, size) if text else list_folder(manifest, folder, after, size)
        folders = [folder_row(one) for one in found.folders]
        rows = [file_row(one) for one in found.files]
        return json_response(FileList(folders, rows, found.n_files, found.next_place))

    @routes.add("GET", f"{base}/preview", Action.READ, **documented(Preview))
    def preview(project: str, name: str, version: str, path: Text, request: Request) -> Response:
        source = artifacts.of(request)
        uid, entry = entry_of(source, project, name, version, path)
        return json_response(file_preview.preview(source, uid, entry))

    @routes.add("GET", f"{base}/files/{{path:path}}", Action.READ, **documented(None))
    def file(project: str, name: str, version: str, path: str, request: Request, inline: bool = False) -> Response:
        source = artifacts.of(request)
        uid, entry = entry_of(source, project, name, version, path)
        if entry.reference:
            remedy = "fetch it from there; the server fetches nothing"
            raise UsageError(f"file {path!r}"[:300], "a reference to another place", "a file that is here", remedy)
        return _file_reply(source, uid, entry, inline)


def find_entry(manifests: ManifestCache, source: ArtifactSource, info: VersionInfo, path: str) -> Entry:
    """Return a file of a version; raises NotFoundError where it has no such file."""
    entry = manifests.get(source, info.uid).get(path)
    if entry is None:
        raise NotFoundError(f"{info.project}/{info.name}:{info.version} has no file {path!r:.300}; see its files")
    return entry


def _file_reply(source: ArtifactSource, uid: str, entry: Entry, inline: bool) -> Response:
    """Return a file to be stored; shown only where that is asked for and its bytes are those of a picture."""
    media_type = "application/octet-stream"
    if inline and entry.size_bytes <= file_preview.MAX_IMAGE_BYTES:
        media_type = file_preview.picture_type(file_preview.beginning(source, uid, entry, 16)) or media_type
    is_shown = media_type != "application/octet-stream"
    name = entry.path.rpartition("/")[2]
    headers = attachment_headers(name, "inline" if is_shown else "attachment")
    headers["Content-Length"] = str(entry.size_bytes)
    return StreamingResponse(file_preview.content(source, uid, entry), headers=headers, media_type=media_type)


def _add_differences(
    routes: RouteTable, folder: LocalFolder, artifacts: ServedArtifacts, manifests: ManifestCache, base: str
) -> None:
    @routes.add("GET", f"{base}/diff", Action.READ, **documented(VersionDiff))
    def differences(
        project: str,
        name: str,
        version: str,
        request: Request,
        old: Text,
        after: Place = 0,
        size: Size = 200,
    ) -> Response:
        source = artifacts.of(request)
        before, now = source.resolve(project, name, old), source.resolve(project, name, version)
        found = compare(manifests.get(source, before.uid), manifests.get(source, now.uid))
        changes, next_place = found.part(after, size)
        links = RunLinks(folder, principal_of(request))
        reply = VersionDiff(
            old=links.version(before),
            new=links.version(now),
            n_changed=found.count("changed"),
            n_moved=found.count("moved"),
            n_added=found.count("added"),
            n_removed=found.count("removed"),
            n_same=found.n_same,
            reused_bytes=found.reused_bytes,
            changes=[change_row(change) for change in changes],
            next_place=next_place,
            metadata=metadata_changes(flat(before.metadata), flat(now.metadata)),
        )
        return json_response(reply)

    @routes.add("GET", f"{base}/diff/text", Action.READ, **documented(TextDiff))
    def text_of(
        project: str, name: str, version: str, request: Request, old: Text, path: Text, old_path: Text = ""
    ) -> Response:
        source = artifacts.of(request)
        before, now = source.resolve(project, name, old), source.resolve(project, name, version)
        first = find_entry(manifests, source, before, old_path or path)
        second = find_entry(manifests, source, now, path)
        return json_response(diff_texts((source, before.uid, first), (source, now.uid, second)))
