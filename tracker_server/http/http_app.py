"""The HTTP application of `tracker ui`: routes over one local folder, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from tracker_core.version import __version__

from ..query.folder import LocalFolder
from .access import RouteTable
from .api_keys import ApiKeys
from .api_schema import describe
from .events import ChangeFeed
from .exact_reply import FreshFolder
from .forwarded import ForwardedHeaders
from .gate import Gate
from .http_errors import add_error_handlers
from .key_auth import KeyAuth
from .local_auth import LocalAuth
from .routes_api import PREFIX, add_api_routes
from .routes_artifacts import add_artifact_routes
from .routes_artifacts_exact import add_artifacts_exact
from .routes_catalog import add_catalog_routes
from .routes_exact import add_exact_routes
from .routes_exact_changes import add_exact_changes
from .routes_exact_media import add_exact_media
from .routes_keys import add_key_routes
from .routes_login import add_key_login, add_local_login
from .routes_me import add_me_route
from .routes_media import add_media_routes
from .routes_pages import add_page_routes
from .routes_plotly import add_plotly_routes
from .routes_progress import add_progress_routes
from .routes_run import add_run_routes
from .served_artifacts import ServedArtifacts
from .static_files import Dashboard


def make_app(
    folder: LocalFolder,
    feed: ChangeFeed,
    auth: LocalAuth | KeyAuth,
    dashboard: Dashboard,
    artifacts: ServedArtifacts,
    declare_more: Callable[[RouteTable], None] | None = None,
) -> FastAPI:
    """Return the application. The caller starts and closes `feed` and closes `folder`.

    Args:
        folder: what it serves.
        feed: tells of its changes.
        auth: who may call.
        dashboard: the pages' files.
        artifacts: those of the folder; the caller closes them.
        declare_more: declares the routes that only a server has.
    """

    @asynccontextmanager
    async def no_lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    routes = _declared(folder, feed, auth, dashboard, artifacts)
    if declare_more is not None:
        declare_more(routes)
    app = FastAPI(
        title="Tracker",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=no_lifespan,
    )
    describe(app, routes, f"{PREFIX}/openapi.json")
    routes.attach(app)
    app.state.declared = routes.routes
    app.state.artifacts = artifacts
    add_error_handlers(app)
    app.add_middleware(Gate, auth=auth, is_public=routes.is_public)
    app.add_middleware(ForwardedHeaders)  # nobody is trusted here; the caller may put one in front that trusts some
    return app


def _declared(
    folder: LocalFolder, feed: ChangeFeed, auth: LocalAuth | KeyAuth, dashboard: Dashboard, artifacts: ServedArtifacts
) -> RouteTable:
    """Return the routes that the dashboard and a server have."""
    routes = RouteTable()
    add_api_routes(routes, folder, feed)
    add_run_routes(routes, folder, PREFIX)
    add_media_routes(routes, folder, PREFIX)
    add_plotly_routes(routes, PREFIX)
    add_catalog_routes(routes, folder, feed, PREFIX)
    add_me_route(routes, PREFIX)
    fresh = FreshFolder(folder, feed)
    add_exact_routes(routes, fresh, PREFIX)
    add_exact_media(routes, fresh, PREFIX)
    add_exact_changes(routes, fresh, PREFIX)
    add_artifact_routes(routes, folder, artifacts, PREFIX)
    add_artifacts_exact(routes, folder, artifacts, PREFIX)
    add_progress_routes(routes, fresh, PREFIX)
    add_page_routes(routes, dashboard)
    if isinstance(auth, LocalAuth):
        add_local_login(routes, auth)
        add_key_routes(routes, ApiKeys(folder.catalog.database), PREFIX)
    else:
        add_key_login(routes, auth)
        add_key_routes(routes, auth.keys, PREFIX)
    return routes
