"""Plotly for figures that runs logged, where the package is installed: in a frame that reaches nothing of ours."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

import msgspec
from starlette.responses import Response

from tracker_core.errors import NotFoundError

from .access import Action, RouteTable
from .api_schema import documented
from .http_errors import json_response

# Some traces compile what they draw with. In an origin of its own, with no way to the network, that is harmless.
_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_FRAME = """<!doctype html><html><head><meta charset="utf-8"><style>
html,body,#plot{margin:0;height:100%%;overflow:hidden}</style></head><body><div id="plot"></div>
<script>%s</script>
<script>
const page = window.parent;
const COLOURS = { light: ['#1b1f24', '#eceff2', '#ffffff'], dark: ['#e6e9ed', '#20262d', '#14181d'] };
function layoutOf(given, theme) {
  const [text, grid, paper] = COLOURS[theme] || COLOURS.light;
  const own = { autosize: true, paper_bgcolor: paper, plot_bgcolor: paper, font: { color: text, size: 12 } };
  const layout = Object.assign({ margin: { l: 48, r: 16, t: given && given.title ? 48 : 16, b: 40 } }, given, own);
  delete layout.width; delete layout.height; delete layout.template;
  const lines = { gridcolor: grid, zerolinecolor: grid };
  for (const axis of ['xaxis', 'yaxis']) layout[axis] = Object.assign({}, lines, layout[axis]);
  return layout;
}
window.addEventListener('message', (event) => {
  if (event.source !== page || !event.data || typeof event.data !== 'object') return;
  const figure = event.data.figure || {};
  const options = { responsive: true, displaylogo: false, showSendToCloud: false };
  document.body.style.background = (COLOURS[event.data.theme] || COLOURS.light)[2];
  try { Plotly.react('plot', figure.data || [], layoutOf(figure.layout || {}, event.data.theme), options); }
  catch (problem) { document.getElementById('plot').textContent = 'Plotly cannot draw this: ' + problem.message; }
});
page.postMessage('ready', '*');
</script></body></html>"""


class PlotlyState(msgspec.Struct):
    """Which Plotly draws figures; "" where there is none."""

    version: str


def add_plotly_routes(routes: RouteTable, prefix: str) -> None:
    """Declare the routes."""

    @routes.add("GET", f"{prefix}/plotly", Action.READ, per_project=True, **documented(PlotlyState))
    def state() -> Response:
        return json_response(PlotlyState(_version()))

    @routes.add("GET", f"{prefix}/plotly/frame", Action.READ, per_project=True, **documented(None))
    def frame() -> Response:
        if not _version():
            raise NotFoundError("plotly is not installed where the server runs; `pip install plotly`")
        headers = {
            "Content-Security-Policy": _POLICY,
            "X-Frame-Options": "SAMEORIGIN",
            "Cache-Control": "private, max-age=86400",
        }
        return Response(_page(), headers=headers, media_type="text/html; charset=utf-8")


@lru_cache(maxsize=1)
def _script() -> Path | None:
    """Return where the script is, without importing the package."""
    found = util.find_spec("plotly")
    path = None if found is None or found.origin is None else Path(found.origin).parent / "package_data/plotly.min.js"
    return path if path is not None and path.is_file() else None


def _version() -> str:
    try:
        return metadata.version("plotly") if _script() is not None else ""
    except metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def _page() -> bytes:
    script = _script()
    assert script is not None
    # Nothing in a script may end the element that it is in.
    text = script.read_text(encoding="utf-8").replace("</script", "<\\/script")
    return (_FRAME % "\0").replace("\0", text).encode()
