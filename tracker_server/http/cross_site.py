"""Whether another site caused a request."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_cross_site(method: str, host: str, fetch_site: str | None, fetch_mode: str | None, origin: str | None) -> bool:
    """Say whether a request was caused by another site, or by another port of this host.

    A GET that navigates (a link that was clicked) may come from anywhere: it shows our page, and its cookie is
    SameSite=Strict. Browsers send Sec-Fetch-Site to localhost and over https; Origin covers the rest.
    """
    if fetch_site is not None:
        is_own = fetch_site in ("same-origin", "none")
        return not is_own and not (method == "GET" and fetch_mode == "navigate")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:  # brackets that are no address
        return True
