"""What a file is, by its first bytes: never by its name, and never what a browser would run. Pure."""

from __future__ import annotations

import re

SNIFFED_BYTES = 4096
OTHER = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
SVG = "image/svg+xml"

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}
_SVG = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg[\s>]", re.DOTALL)


def media_type_of(beginning: bytes) -> str:
    """Return the media type of a file that begins so.

    Text is always plain text, whatever it says it is, but for SVG, which a browser runs no scripts of as an image.
    """
    for known, media_type in _BEGINNINGS:
        if beginning.startswith(known):
            return media_type
    if beginning.startswith(b"RIFF"):
        return _RIFF.get(beginning[8:12], OTHER)
    if beginning[4:8] == b"ftyp":
        return _BRANDS.get(beginning[8:12], "video/mp4")
    if beginning.startswith(b"OggS"):
        return "video/ogg" if b"theora" in beginning[:512] else "audio/ogg"
    if len(beginning) > 1 and beginning[0] == 0xFF and beginning[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    if _SVG.match(beginning.removeprefix(b"\xef\xbb\xbf")):
        return SVG
    return TEXT if is_text(beginning, len(beginning) >= SNIFFED_BYTES) else OTHER


def is_text(beginning: bytes, is_cut: bool) -> bool:
    """Say whether bytes are UTF-8 text; `is_cut` where a last character may be cut in two."""
    if b"\0" in beginning:
        return False
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        return is_cut and error.start > len(beginning) - 4
    return True
