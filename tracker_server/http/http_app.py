"""The HTTP application of `tracker ui`: routes over one local folder, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from tracker_core.version import __version__

from ..query.folder import LocalFolder
from .access import Access, RouteTable
from .api_schema import describe
from .events import ChangeFeed
from .gate import Gate
from .http_errors import add_error_handlers
from .local_auth import LocalAuth
from .routes_api import PREFIX, add_api_routes
from .routes_catalog import add_catalog_routes
from .routes_pages import add_page_routes
from .routes_run import add_run_routes
from .static_files import Dashboard


def make_app(folder: LocalFolder, feed: ChangeFeed, auth: LocalAuth, dashboard: Dashboard) -> FastAPI:
    """Return the application. The caller starts and closes `feed` and closes `folder`."""

    @asynccontextmanager
    async def no_lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    routes = RouteTable()
    add_api_routes(routes, folder, feed)
    add_run_routes(routes, folder, PREFIX)
    add_catalog_routes(routes, folder, feed, PREFIX)
    add_page_routes(routes, auth, dashboard)
    openapi_path = f"{PREFIX}/openapi.json"
    routes.access[openapi_path] = Access.SIGNED_IN
    app = FastAPI(
        title="Tracker",
        version=__version__,
        openapi_url=openapi_path,
        docs_url=None,
        redoc_url=None,
        lifespan=no_lifespan,
    )
    routes.attach(app)
    app.state.access = routes.access
    add_error_handlers(app)
    describe(app)
    app.add_middleware(Gate, auth=auth, is_public=routes.is_public)
    return app
