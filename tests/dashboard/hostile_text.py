"""Texts that try to run a script where they are shown. Each would call `hit`, which says from where."""

from __future__ import annotations

from html import escape
from xml.etree import ElementTree

# What a payload runs: it leaves a mark in every window that it could reach.
HIT = 'try{top.hit=1}catch(e){};window.hit=1;console.log("XSS-HIT");alert(1)'

_EVENTS = "load error focus mouseover toggle animationstart begin pointerenter beforetoggle canplay".split()
_TAGS = "img svg video audio iframe details body input object embed marquee style".split()

_PLAIN = [
    f"<script>{HIT}</script>",
    f"</script><script>{HIT}</script>",
    f"<SCRIPT>{HIT}</SCRIPT>",
    f"<scr<script>ipt>{HIT}</scr</script>ipt>",
    f"<script src=data:text/javascript,{HIT}></script>",
    f"<script type=module>{HIT}</script>",
    f"<img src=x onerror={HIT!r}>",
    f"<img src=x onerror=&#39;{HIT}&#39;>",
    f"<svg onload={HIT!r}></svg>",
    f"<svg><script>{HIT}</script></svg>",
    f"<svg><animate onbegin={HIT!r} attributeName=x dur=1s></svg>",
    f"<svg><a xlink:href=javascript:{HIT}><text y=20>x</text></a></svg>",
    f"<svg><use href=data:image/svg+xml,<svg/onload={HIT!r}>#x></use></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={HIT!r}>",
    f"<iframe srcdoc='<script>{HIT}</script>'></iframe>",
    f"<iframe src='javascript:{HIT}'></iframe>",
    f"<object data='javascript:{HIT}'></object>",
    f"<embed src='data:text/html,<script>{HIT}</script>'>",
    f"<details open ontoggle={HIT!r}>x</details>",
    f"<input autofocus onfocus={HIT!r}>",
    f"<video><source onerror={HIT!r}></video>",
    f"<video src=x onerror={HIT!r}></video>",
    f"<audio src=x onerror={HIT!r}></audio>",
    f"<body onload={HIT!r}>",
    f"<marquee onstart={HIT!r}>x</marquee>",
    f"<style>@keyframes k{{}}p{{animation:k 1s}}</style><p onanimationstart={HIT!r}>x</p>",
    f"<link rel=stylesheet href=data:text/css,*{{}} onload={HIT!r}>",
    f"<meta http-equiv=refresh content='0;url=javascript:{HIT}'>",
    f"<base href='javascript:{HIT}//'>",
    f"<form action='javascript:{HIT}'><button autofocus>x</button></form>",
    f"<button popovertarget=x onclick={HIT!r} autofocus>x</button>",
    f"<template shadowrootmode=open><script>{HIT}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={HIT}>'>",
    f"<!--><script>{HIT}</script>-->",
    f"<![CDATA[<script>{HIT}</script>]]>",
    f"<x onpointerenter={HIT!r} style='position:fixed;inset:0'>x</x>",
    f"javascript:{HIT}",
    f"JaVaScRiPt:{HIT}",
    f"java\tscript:{HIT}",
    f"\x01javascript:{HIT}",
    f"data:text/html,<script>{HIT}</script>",
    f"vbscript:{HIT}",
    f'" onmouseover="{HIT}" autofocus onfocus="{HIT}',
    f"' onmouseover='{HIT}' autofocus onfocus='{HIT}",
    f"` onmouseover=`{HIT}",
    f'"><script>{HIT}</script>',
    f"'><img src=x onerror={HIT}>",
    f"--></style></title></textarea><script>{HIT}</script>",
    f"${{{HIT}}}",
    "{{constructor.constructor('" + HIT + "')()}}",
    f"#{{{HIT}}}",
    f"<%= {HIT} %>",
    f"');{HIT}//",
    f'");{HIT}//',
    f"\\u003cscript\\u003e{HIT}\\u003c/script\\u003e",
    f"&lt;script&gt;{HIT}&lt;/script&gt;",
    f"%3Cscript%3E{HIT}%3C/script%3E",
    f"\uff1cscript\uff1e{HIT}\uff1c/script\uff1e",
    f"\u2028<script>{HIT}</script>\u2029",
    f"<a href='javascript:{HIT}' autofocus>x</a>",
    f"[x](javascript:{HIT})",
    f"![x](x' onerror='{HIT})",
    f"<{'a' * 50} onfocus={HIT!r} tabindex=1 autofocus>",
    f'<a href="data:text/html;base64,PHNjcmlwdD4" onfocus={HIT!r} autofocus>x</a>',
    f"url('javascript:{HIT}')",
    f'red;background:url("javascript:{HIT}")',
    f"expression({HIT})",
    f"__proto__[innerHTML]=<img src=x onerror={HIT}>",
    "constructor",
    "__proto__",
    f"\u202e<script>{HIT}</script>",
]

PAYLOADS = [*_PLAIN, *(f"<{tag} on{event}={HIT!r} src=x autofocus>x" for tag in _TAGS[:6] for event in _EVENTS[:6])]


def svg_of(payload: str) -> bytes:
    """Return an image whose own markup is hostile, and valid: what is not is never looked at as SVG."""
    run = escape(HIT)

    def image(inner: str) -> str:
        return (
            "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='40' height='40' "
            f'onload="{run}"><script><![CDATA[{HIT}]]></script><foreignObject width="40" height="40"><body '
            f'xmlns="http://www.w3.org/1999/xhtml" onload="{run}">{inner}</body></foreignObject></svg>'
        )

    try:
        ElementTree.fromstring(image(payload))
    except ElementTree.ParseError:
        payload = escape(payload)
    return image("".join(c for c in payload if c >= " ")).encode()


def html_of(payload: str) -> str:
    """Return a page that tries what a page can."""
    return (
        f'<!doctype html><body onload="{escape(HIT)}">{payload}<script>{HIT};'
        "fetch('/api/v1/projects').then(r=>r.text()).then(t=>{top.stolen=t});"
        "top.location='/?stolen';document.cookie</script>"
    )
