"""Markdown of users as HTML that holds no script, no picture from elsewhere, and no link but to http(s) and mail.

CommonMark with tables (markdown-it-py, raw HTML off), its result cleaned once more by nh3. The page makes elements of
its own of it and never sets it as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_CHARS = 100_000
_TAGS = set("h1 h2 h3 h4 h5 h6 p br hr blockquote pre code em strong s ul ol li table thead tbody tr th td a".split())


def render(text: str) -> str:
    """Return Markdown as harmless HTML. What is longer than `MAX_CHARS` is cut. Thread-safe."""
    import nh3

    if not text.strip():
        return ""
    return nh3.clean(
        _parser().render(text[:MAX_CHARS].replace("\0", "")),
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # The depth is bounded: quotes in quotes, 10,000 deep, are no card.
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 40})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _picture)
    return parser


def _picture(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Show a picture as a link to it: to load it would tell its server who looks at the page."""
    from markdown_it.common.utils import escapeHtml

    token = tokens[index]
    alt = renderer.renderInlineAsText(token.children or [], options, env)
    return f'<a href="{escapeHtml(str(token.attrGet("src") or ""))}">{escapeHtml(alt or "picture")}</a>'
