"""The small pages of somebody who is not signed in: without script, and nothing in them but our own words."""

from __future__ import annotations

import re
from html import escape

# A path of ours and nothing that a browser takes for an address elsewhere: it reads "\\" as "/" and skips controls.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
# The colours of the dashboard; both themes without a script.
_STYLE = (
    ":root{color-scheme:light dark;--bg:light-dark(#f7f8fa,#111418);--card:light-dark(#fff,#171b20);"
    "--text:light-dark(#1b1f24,#e6e9ed);--muted:light-dark(#5c6670,#98a2ad);--border:light-dark(#e3e6ea,#262c33);"
    "--strong:light-dark(#c9ced6,#3a424c);--accent:light-dark(#2458c5,#7fb0ff);--on-accent:light-dark(#fff,#0d1420);"
    "--bad:light-dark(#b3261e,#ff9a91);--bad-soft:light-dark(#fdeceb,#2c1a1a);--code:light-dark(#f0f2f5,#20262d)}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px 16px;background:var(--bg);"
    "color:var(--text);font:14px/21px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}"
    "main{width:100%;max-width:400px;padding:28px;background:var(--card);border:1px solid var(--border);"
    "border-radius:10px}"
    ".logo{display:block;margin-bottom:16px;color:var(--accent)}"
    "h1{margin:0 0 16px;font-size:20px;line-height:28px;font-weight:600;letter-spacing:-.01em}p{margin:0 0 12px}"
    "form{display:grid;gap:6px;margin:0}p+form{margin-top:4px}label{font-weight:600}"
    "input{width:100%;height:36px;padding:0 10px;border:1px solid var(--strong);border-radius:6px;color:inherit;"
    "background:var(--card);font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}"
    "input::placeholder{color:var(--muted);opacity:1}"
    "button{height:36px;margin-top:10px;border:0;border-radius:6px;background:var(--accent);color:var(--on-accent);"
    "font:inherit;font-weight:600;cursor:pointer}button:hover{filter:brightness(1.08)}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:1px}a{color:var(--accent)}"
    ".hint{margin:20px 0 0;padding-top:16px;border-top:1px solid var(--border);color:var(--muted);font-size:13px}"
    "code{padding:1px 5px;border-radius:4px;background:var(--code);font:12px ui-monospace,Menlo,Consolas,monospace}"
    ".wrong{padding:8px 12px;border-radius:6px;background:var(--bad-soft);color:var(--bad)}"
)
_LOGO = (
    '<svg class="logo" width="28" height="28" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.8" '
    'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
    '<path d="M2 12.5 5.5 7l3 3L14 3.5M10.5 3.5H14V7"/></svg>'
)


def small_page(title: str, text: str, head: str = "") -> str:
    """Return a page. All arguments are our own words, as HTML."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"{head}<title>{title}</title><style>{_STYLE}</style><main>{_LOGO}<h1>{title}</h1>{text}</main></html>"
    )


LOCAL_SIGN_IN = small_page(
    "Please open the link again",
    "<p>This page is only for whoever started the server. Open the link that <code>tracker ui</code> printed; if it "
    "was used already, stop that command and run <code>tracker ui</code> again to get a new one.",
)
LINK_USED_UP = small_page(
    "Link used up",
    "<p>This link was used already, or is not one of this server. Run <code>tracker ui</code> again.",
)
NOT_ALLOWED = small_page(
    "Not for this key",
    '<p>The key that you signed in with may not see this page. <a href="/">Go to what it may see</a>, or sign in with '
    'another one.<form method="post" action="/logout"><button>Sign out</button></form>',
)


def hop_page(target: str) -> str:
    """Return a page that goes on to a path of ours by itself, from where a SameSite=Strict cookie is sent along."""
    path = escape(own_path(target))
    text = f'<p>Opening <a href="{path}">the dashboard</a> ...'
    return small_page("One moment", text, f'<meta http-equiv="refresh" content="0;url={path}">')


def login_page(target: str, wrong: str = "") -> str:
    """Return the form into which a key is pasted.

    Args:
        target: the path to go to afterwards.
        wrong: what was wrong with the last key, in our own words.
    """
    message = f'<p class="wrong" role="alert">{wrong}' if wrong else ""
    return small_page(
        "Sign in to Tracker",
        f'{message}<form method="post" action="/login">'
        '<label for="key">Key</label>'
        '<input id="key" name="key" type="password" required autofocus autocomplete="current-password" '
        'spellcheck="false" placeholder="tk_...">'
        f'<input type="hidden" name="next" value="{escape(own_path(target))}">'
        "<button>Sign in</button></form>"
        '<p class="hint">A key is made by an admin of this server with <code>tracker keys create</code>. The first one '
        "was printed when <code>tracker server</code> was started for the first time.",
    )


def own_path(target: str) -> str:
    """Return a path on this server, with its query: `target` where it is one, else "/"."""
    return target if len(target) <= 4000 and _PATH.fullmatch(target) else "/"
