"""The bytes of media as a reply: a type that they have, a part where one is asked for, and nothing that can run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from ..ingest.kept_files import KeptFile
from .media_types import OTHER, SNIFFED_BYTES, TEXT, media_type_of

_READ_BYTES = 256 << 10
# Opened as a page they may do nothing at all: no script, no request, no form, no way out of a frame.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
# HTML in a frame of ours: what it holds itself is shown. It has an origin of its own and reaches no other address.
_HTML = (
    "sandbox{scripts}; default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "media-src data: blob:; {script_source}form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def media_reply(content: BinaryIO, file: KeptFile, range_header: str, known_tag: str) -> Response:
    """Return the bytes of a file under the type that they have, to be shown in the page that asked.

    Args:
        content: the open file; it is closed.
        file: what is known of it.
        range_header: the header Range, "" for none.
        known_tag: the header If-None-Match, "" for none.
    """
    tag = f'"{file.digest}"'
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "private, max-age=3600",
        "ETag": tag,
        "Accept-Ranges": "bytes",
    }
    if tag in known_tag:
        content.close()
        return Response(status_code=304, headers=headers)
    media_type, size_bytes = media_type_of(content.read(SNIFFED_BYTES)), content.seek(0, 2)
    name = quote(file.path.rpartition("/")[2], safe="")
    disposition = "attachment" if media_type == OTHER else "inline"
    headers["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{name}"
    part = _part_of(range_header, size_bytes)
    if part is None:
        content.close()
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size_bytes}"})
    first, stop = part
    headers["Content-Length"] = str(stop - first)
    if range_header:
        headers["Content-Range"] = f"bytes {first}-{stop - 1}/{size_bytes}"
    status = 206 if range_header else 200
    return StreamingResponse(_pieces(content, first, stop), status, headers, media_type=media_type)


def html_reply(content: BinaryIO, file: KeptFile, with_scripts: bool) -> Response:
    """Return text as HTML for a frame; what is no text is no HTML.

    With `with_scripts` its own scripts run, in an origin of their own: they see no cookie and no page of ours.
    """
    media_type = media_type_of(content.read(SNIFFED_BYTES))
    content.seek(0)
    is_html = media_type == TEXT or media_type.startswith("image/svg")
    policy = _HTML.format(
        scripts=" allow-scripts" if with_scripts else "",
        script_source="script-src 'unsafe-inline'; " if with_scripts else "",
    )
    headers = {
        "Content-Security-Policy": policy if is_html else SANDBOX,
        "X-Frame-Options": "SAMEORIGIN",
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f"{'inline' if is_html else 'attachment'}; filename*=UTF-8''{quote(file.path, safe='')}",
    }
    shown = "text/html; charset=utf-8" if is_html else OTHER
    return StreamingResponse(_pieces(content, 0, file.size_bytes), headers=headers, media_type=shown)


def _part_of(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Return which bytes are asked for, end excluded; None where there are none such. More than one part is all."""
    found = _RANGE.fullmatch(header.strip())
    if not header or found is None or found.groups() == ("", ""):
        return 0, size_bytes
    begin, end = found.groups()
    if not begin:
        return max(0, size_bytes - int(end)), size_bytes
    first, stop = int(begin), min(int(end) + 1 if end else size_bytes, size_bytes)
    return (first, stop) if first < stop else None


def _pieces(content: BinaryIO, first: int, stop: int) -> Iterator[bytes]:
    with closing(content):
        content.seek(first)
        left = stop - first
        while left > 0 and (piece := content.read(min(left, _READ_BYTES))):
            left -= len(piece)
            yield piece
