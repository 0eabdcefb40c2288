"""How files of users are sent: to be stored, and harmless were one to be opened as a page."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

# What others' files may do in a browser: nothing at all.
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"


def attachment_headers(name: str, disposition: Literal["attachment", "inline"] = "attachment") -> dict[str, str]:
    """Return the headers of a file of this name; `inline` is only for what was found to be harmless."""
    return {
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "no-store",
    }
