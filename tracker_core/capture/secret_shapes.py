"""Secrets that show by their shape, under whatever name: well-known tokens, private keys, credentials in URLs.

Pure. Each function yields the (start, end) of what is to be masked. A literal that every such secret contains is looked
for first, so plain text costs one memory search each; a pattern is tried only where its literal stands, and never
starts within a run that it would consume, so the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..lazy_pattern import lazy_pattern

Span = tuple[int, int]

_WORD_START = r"(?<![A-Za-z0-9_-])"
_TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (literal, lazy_pattern(_WORD_START + pattern))
    for literal, pattern in (
        *((prefix, prefix + r"[A-Z0-9]{16}(?![A-Za-z0-9])") for prefix in ("AKIA", "ASIA")),  # AWS
        *((f"gh{kind}_", rf"gh{kind}_[A-Za-z0-9]{{30,}}") for kind in "pousr"),  # GitHub
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{22,}"),
        ("glpat-", r"glpat-[\w.-]{20,}"),  # GitLab: personal, deploy, runner, trigger, job, agent
        *((f"{prefix}-", rf"{prefix}-[\w.-]{{20,}}") for prefix in ("gldt", "glrt", "glptt", "glcbt", "glagent")),
        ("tk_", r"tk_[A-Za-z0-9]{30,}"),  # ours
        ("hf_", r"hf_[A-Za-z0-9]{30,}"),  # Hugging Face
        ("api_org_", r"api_org_[A-Za-z0-9]{30,}"),
        ("sk-", r"sk-(?=[\w-]*[0-9])(?=[\w-]*[A-Z])[\w-]{20,}"),  # OpenAI, Anthropic; not sk-learn-something
        ("wandb_v1_", r"wandb_v1_[\w-]{20,}"),
        ("xox", r"xox[a-z]-[A-Za-z0-9-]{10,}"),  # Slack
        ("xapp-", r"xapp-[A-Za-z0-9-]{10,}"),
        ("AIza", r"AIza[\w-]{35}"),  # Google
        ("ya29.", r"ya29\.[\w-]{20,}"),
        ("GOCSPX-", r"GOCSPX-[\w-]{20,}"),
        ("eyJ", r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"),  # JWT
        ("sk_live_", r"sk_live_[A-Za-z0-9]{16,}"),  # Stripe
        ("rk_live_", r"rk_live_[A-Za-z0-9]{16,}"),
        ("sk_test_", r"sk_test_[A-Za-z0-9]{16,}"),
        ("SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),  # SendGrid
        ("npm_", r"npm_[A-Za-z0-9]{36}"),
        ("pypi-", r"pypi-[\w-]{50,}"),
        ("dop_v1_", r"dop_v1_[0-9a-f]{64}"),  # DigitalOcean
        ("dapi", r"dapi[0-9a-f]{32}"),  # Databricks
        ("r8_", r"r8_[A-Za-z0-9]{37,}"),  # Replicate
        ("gsk_", r"gsk_[A-Za-z0-9]{40,}"),  # Groq
    )
)
# A secret behind something that tells it: (literal, pattern whose group 1 is the secret).
_MARKED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("earer ", lazy_pattern(r"earer +(?=[\w.~+/=-]*[0-9])([\w.~+/=-]{16,})")),
    ("hooks.slack.com/", lazy_pattern(r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]+)")),
    ("/api/webhooks/", lazy_pattern(r"/api/webhooks/([0-9]+/[\w-]+)")),  # Discord
    ("login ", lazy_pattern(r"login[ \t]+\S{1,200}[ \t\n]+password[ \t]+(\S+)")),  # .netrc
)
_PEM_BEGIN = lazy_pattern(r"-----BEGIN [A-Z ]{0,40}$")
_PEM_TEXT = lazy_pattern(r"[A-Za-z0-9/=][A-Za-z0-9+/=]{7,}")  # not the "+" of an added line
_MAX_PEM_CHARS = 20_000
_AUTHORITY = lazy_pattern(r"[^\s/?#\"'`<>\\]{1,1024}")
_REST_OF_URL = lazy_pattern(r"[^\s\"'`<>\\]{1,1024}")


def token_spans(text: str) -> Iterator[Span]:
    """Yield tokens of well-known services, and those that a header or an address tells."""
    for literal, pattern in _TOKENS:
        at = text.find(literal)
        while at >= 0:
            match = pattern.match(text, at)
            if match:
                yield match.span()
            at = text.find(literal, match.end() if match else at + len(literal))
    for literal, marked in _MARKED:
        at = text.find(literal)
        while at >= 0:
            match = marked.match(text, at)
            if match:
                yield match.span(1)
            at = text.find(literal, match.end() if match else at + len(literal))


def private_key_spans(text: str) -> Iterator[Span]:
    """Yield the lines of PEM private keys, each on its own, so that the lines of a patch keep their number."""
    at = text.find("PRIVATE KEY-----")
    while at >= 0:
        body = at + len("PRIVATE KEY-----")
        if _PEM_BEGIN.search(text, max(0, at - 60), at):
            end = text.find("-----END", body, body + _MAX_PEM_CHARS)
            body_end = end if end >= 0 else min(len(text), body + _MAX_PEM_CHARS)
            yield from (match.span() for match in _PEM_TEXT.finditer(text, body, body_end))
            body = body_end
        at = text.find("PRIVATE KEY-----", body)


def url_spans(text: str) -> Iterator[Span]:
    """Yield the user and password of addresses. A user alone stays, except in http addresses, where it is a token."""
    at = text.find("://")
    while at >= 0:
        start = at + 3
        end = _userinfo_end(text, start)
        if end > start and (":" in text[start:end] or text[max(0, at - 5) : at].lower().endswith(("http", "https"))):
            yield start, end
        at = text.find("://", max(start, end))


def _userinfo_end(text: str, start: int) -> int:
    """Return where the userinfo that starts there ends, or -1."""
    authority = _AUTHORITY.match(text, start)
    if authority is None:
        return -1
    end = text.rfind("@", start, authority.end())
    port = authority.group().rpartition(":")[2]
    if end < 0 and ":" in authority.group() and port and not port.isdigit():
        # A password with a "/", "?" or "#" that should have been escaped.
        rest = _REST_OF_URL.match(text, start)
        end = text.rfind("@", start, rest.end()) if rest else -1
    return end
