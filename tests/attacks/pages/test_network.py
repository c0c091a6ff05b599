"""The network: nothing that a page can say makes the browser knock at a door outside.

Three layers keep it in: what the renderer answers itself (with the page offline and under a
policy), the browser's arguments, and the network of its own that the browser's process has. All
attacks run against all three; then against each alone; and with none, where every one of them
arrives, so that the tests are known to be able to fail.
"""

from __future__ import annotations

import contextlib
import json
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rrvf.renderers import browser, page, page_session
from rrvf.renderers.page import PageRenderer
from rrvf.types import PageRendering

pytestmark = pytest.mark.usefixtures("lingering")
Show = Callable[[PageRenderer, str], PageRendering]

STYLED = "<style>{}</style><p class=$name>text</p>"
SVG = "<svg width=50 height=50 xmlns:xlink='http://www.w3.org/1999/xlink'>{}</svg>"

# What asks for something without any script, at $url.
STILL = {
    "img": "<img src=$url>",
    "img, unusual": "<image src=$url>",
    "img srcset": "<img srcset='$url 1x, $url/2 2x'>",
    "img lazy": "<div style='height: 3000px'></div><img loading=lazy src=$url>",
    "picture": "<picture><source srcset=$url><img src='data:,'></picture>",
    "input": "<input type=image src=$url>",
    "body background": "<body background=$url>",
    "table background": "<table background=$url><td background=$url>x",
    "noscript": "<noscript><img src=$url></noscript>",
    "template": "<p><template shadowrootmode=open><img src=$url></template></p>",
    "base": "<base href=$url><img src=picture.png>",
    "css @import": STYLED.format("@import '$url';"),
    "css @import layer": STYLED.format("@import url($url) layer(x) supports(color: red);"),
    "css in css": "<link rel=stylesheet href='data:text/css,@import%20%22$url%22'>",
    "css background": STYLED.format(".$name { background: url($url) }"),
    "css content": STYLED.format(".$name::before { content: url($url) }"),
    "css list": "<ul style='list-style-image: url($url)'><li>x",
    "css border": "<p style='border: 9px solid; border-image: url($url) 9'>x",
    "css mask": STYLED.format(".$name { mask: url($url); -webkit-mask: url($url) }"),
    "css shape": STYLED.format(".$name { float: left; shape-outside: url($url) }"),
    "css filter": STYLED.format(".$name { filter: url($url/f.svg#f) }"),
    "css clip-path": STYLED.format(".$name { clip-path: url($url/f.svg#f) }"),
    "css image-set": STYLED.format(".$name { background: image-set('$url' 1x, '$url/2' 2x) }"),
    "css cross-fade": STYLED.format(
        ".$name { background: -webkit-cross-fade(url($url), url($url/2), 50%) }"
    ),
    "css variable": STYLED.format(":root { --u: url($url) } .$name { background: var(--u) }"),
    "css reflect": STYLED.format(".$name { -webkit-box-reflect: below 0 url($url) }"),
    "font": STYLED.format(
        "@font-face { font-family: F; src: url($url) } .$name { font-family: F }"
    ),
    "svg image": SVG.format("<image href=$url width=50 height=50 />"),
    "svg xlink": SVG.format("<image xlink:href=$url width=50 height=50 />"),
    "svg use": SVG.format("<use href='$url/f.svg#a' />"),
    "svg feImage": SVG.format(
        "<filter id=f><feImage href=$url /></filter><rect width=50 height=50 filter='url(#f)' />"
    ),
    "svg foreignObject": SVG.format("<foreignObject width=50 height=50><img src=$url>"),
    "svg style": SVG.format("<style>@import url($url);</style>"),
    "link stylesheet": "<link rel=stylesheet href=$url>",
    "link for print": "<link rel=stylesheet media=print href=$url>",
    "link icon": "<link rel=icon href=$url>",
    "link manifest": "<link rel=manifest href=$url/app.json>",
    "link preload": "<link rel=preload as=image href=$url>",
    "link preload style": "<link rel=preload as=style href=$url>",
    "link preload font": "<link rel=preload as=font crossorigin href=$url>",
    "link preload fetch": "<link rel=preload as=fetch crossorigin href=$url>",
    "link preload srcset": "<link rel=preload as=image imagesrcset=$url>",
    "link modulepreload": "<link rel=modulepreload href=$url>",
    "link prefetch": "<link rel=prefetch href=$url>",
    "link prerender": "<link rel=prerender href=$url>",
    "link preconnect": "<link rel=preconnect href=$url>",
    "link dns-prefetch": "<link rel=dns-prefetch href=$url>",
    "link dictionary": "<link rel=compression-dictionary href=$url>",
    "iframe": "<iframe src=$url></iframe>",
    "iframe srcdoc": "<iframe srcdoc='<img src=$url>'></iframe>",
    "iframe srcdoc refresh": (
        "<iframe srcdoc='<meta http-equiv=refresh content=\"0; url=$url\">'></iframe>"
    ),
    "iframe data": "<iframe src='data:text/html,<img src=$url>'></iframe>",
    "frameset": "<frameset cols=100%><frame src=$url></frameset>",
    "fencedframe": "<fencedframe src=$url></fencedframe>",
    "portal": "<portal src=$url></portal>",
    "object": "<object data=$url></object>",
    "object with a type": "<object type=image/svg+xml data=$url/f.svg></object>",
    "embed": "<embed src=$url>",
    "video": "<video src=$url preload=auto></video>",
    "video source": "<video preload=auto><source src=$url></video>",
    "video poster": "<video poster=$url></video>",
    "audio": "<audio src=$url preload=auto controls></audio>",
    "track": "<video><track default kind=captions src=$url></video>",
    "refresh": "<meta http-equiv=refresh content='0; url=$url'>",
    "refresh to a script": (
        "<meta http-equiv=refresh content='0; url=javascript:location=\"$url\"'>"
    ),
    "refresh to data": ("<meta http-equiv=refresh content='0; url=data:text/html,<img src=$url>'>"),
    "report": (
        "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'; report-uri $url\">"
        "<img src=x.png>"
    ),
    "speculation": (
        "<script type=speculationrules>"
        '{"prefetch": [{"urls": ["$url"], "eagerness": "immediate"}]}</script>'
    ),
    "script": "<script src=$url></script>",
    "module": "<script type=module src=$url></script>",
    "import map": (
        '<script type=importmap>{"imports": {"a": "$url"}}</script>'
        "<script type=module>import 'a';</script>"
    ),
    "form": "<form action=$url><button autofocus>x</button></form>",
    "ping": "<a href=# ping=$url autofocus accesskey=a>x</a>",
}

STUN = "new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:$port'}]})"
WRITTEN = [
    *("img", "css @import", "font", "iframe", "iframe srcdoc", "object", "video", "refresh"),
    *("link preconnect", "link prefetch", "link modulepreload", "speculation", "script"),
]
# What only a script can do.
SCRIPTS = {
    "fetch": "fetch('$url')",
    "fetch, no cors": "fetch('$url', {mode: 'no-cors', method: 'POST', body: 'x'})",
    "fetch that outlives": "fetch('$url', {keepalive: true, mode: 'no-cors'})",
    "fetchLater": "fetchLater('$url', {activateAfter: 0})",
    "XMLHttpRequest": "const x = new XMLHttpRequest(); x.open('GET', '$url'); x.send()",
    "synchronous": "const x = new XMLHttpRequest(); x.open('GET', '$url', false); x.send()",
    "WebSocket": "new WebSocket('ws://127.0.0.1:$port')",
    "WebSocketStream": "new WebSocketStream('ws://127.0.0.1:$port')",
    "EventSource": "new EventSource('$url')",
    "sendBeacon": "navigator.sendBeacon('$url', 'x')",
    "sendBeacon at the end": "addEventListener('pagehide', () => navigator.sendBeacon('$url'))",
    "WebRTC": f"const c = {STUN}; c.createDataChannel('x'); "
    "c.createOffer().then(o => c.setLocalDescription(o))",
    "WebTransport": "new WebTransport('https://127.0.0.1:$port')",
    "Image": "new Image().src = '$url'",
    "FontFace": "new FontFace('F', 'url($url)').load()",
    "Audio": "new Audio('$url').load()",
    "CSSStyleSheet": "document.head.append(Object.assign(document.createElement('style'), "
    "{textContent: '@import url($url);'}))",
    "import": "import('$url')",
    "worker": "new Worker('$url')",
    "worker of a blob": "new Worker(URL.createObjectURL(new Blob(['fetch(\"$url\")'])))",
    "worker of data": "new Worker('data:text/javascript,fetch(\"$url\")')",
    "shared worker": "new SharedWorker('data:text/javascript,fetch(\"$url\")')",
    "service worker": "navigator.serviceWorker.register('$url')",
    "worklet": "CSS.paintWorklet.addModule('$url')",
    "importScripts": "new Worker('data:text/javascript,importScripts(\"$url\")')",
    "open": "window.open('$url')",
    "open about:blank": "window.open().document.write('<img src=$url>')",
    "open with script": "window.open('javascript:fetch(\"$url\")')",
    "location": "location = '$url'",
    "location of a frame": "document.body.append(document.createElement('iframe')); "
    "frames[0].location = '$url'",
    "script in a frame": "document.body.append(document.createElement('iframe')); "
    "frames[0].eval('fetch(\"$url\")')",
    "submit": "const f = document.createElement('form'); f.action = '$url'; "
    "document.body.append(f); f.submit()",
    "submit in a window": "const f = document.createElement('form'); f.action = '$url'; "
    "f.target = '_blank'; f.method = 'post'; document.body.append(f); f.submit()",
    "click": "const a = document.createElement('a'); a.href = '$url'; a.click()",
    "download": "const a = document.createElement('a'); a.href = '$url'; a.download = 'x'; "
    "a.click()",
    "click with a ping": "const a = document.createElement('a'); a.href = '#x'; a.ping = '$url'; "
    "document.body.append(a); a.click()",
    "history": "history.pushState({}, '', '/x'); history.back(); location.href = '$url'",
    "navigation": "navigation.navigate('$url')",
    "document.write": "document.write('<img src=$url>')",
    "document.open": "document.open(); document.write('<link rel=stylesheet href=$url>')",
    "error in a frame": "document.write('<iframe src=\"javascript:fetch(`$url`)\"></iframe>')",
    "ReportingObserver": "new ReportingObserver(() => fetch('$url'), {types: ['csp-violation'], "
    "buffered: true}).observe(); new Image().src = 'ftp://x'",
    "policy taken away": "document.querySelectorAll('meta').forEach(m => m.remove()); "
    "fetch('$url')",
    "background fetch": "navigator.serviceWorker.ready.then(r => r.backgroundFetch.fetch('x', "
    "'$url'))",
    "payment": "new PaymentRequest([{supportedMethods: '$url'}], {total: {label: 'x', amount: "
    "{currency: 'USD', value: '1'}}}).show()",
    **{
        f"written {name}": f"document.write({json.dumps(STILL[name]).replace('/', chr(92) + '/')})"
        for name in WRITTEN
    },
}

# What this browser does not do, or not unasked: nothing arrives even where nothing hinders it.
SILENT = {
    *("css filter", "svg use", "link icon", "link manifest", "link prerender", "link preconnect"),
    *("link dns-prefetch", "fencedframe", "portal", "track", "refresh to a script", "form"),
    *("refresh to data", "report", "ping"),
    *("fetchLater", "sendBeacon at the end", "WebTransport", "worker", "service worker"),
    *("worklet", "open about:blank", "open with script", "ReportingObserver"),
    *("background fetch", "payment", "written link preconnect"),
}
SILENT_WITHOUT_SCRIPTS = {"link modulepreload", "speculation", "script", "module", "import map"}
SILENT_WITH_SCRIPTS = {"noscript"}
# What takes the page away from the others, or cannot say on whose behalf it comes.
ALONE = {
    *("base", "frameset", "report", "refresh", "refresh to a script", "refresh to data"),
    *("iframe srcdoc refresh", "open", "open about:blank", "open with script", "location"),
    *("submit", "submit in a window", "click", "download", "history", "navigation"),
    *(
        "document.open",
        "synchronous",
        "policy taken away",
        "script in a frame",
        "WebSocket",
        "WebSocketStream",
    ),
    *("WebRTC", "written refresh"),
}
# What a network without a way out need not be asked again; scripts that stop their own page.
REPEATED = ALONE - {"WebRTC", "WebSocket", "refresh", "open", "location"}
LEAVING = {"location", "submit", "click", "download", "history", "navigation"}


def attack(name: str, html: str, listener: Any) -> str:
    """The page, asking for a path by which the attack is known."""
    url = f"{listener.url}/{slug(name)}/"
    return string.Template(html).safe_substitute(name=slug(name), url=url, port=listener.port)


def slug(name: str) -> str:
    return re.sub(r"[^a-z]", "-", name.lower())


def script(code: str) -> str:
    return f"<!DOCTYPE html><body><p>text</p><script>{code}</script>"


def groups(*, javascript: bool) -> Iterator[dict[str, str]]:
    """The attacks, as many at a time as get on with each other."""
    attacks = dict(STILL)
    if javascript:
        attacks |= {name: script(code) for name, code in SCRIPTS.items()}
    yield {name: html for name, html in attacks.items() if name not in ALONE}
    for name in sorted(attacks.keys() & ALONE):
        yield {name: attacks[name]}


def page_of(group: dict[str, str], listener: Any) -> str:
    return "\n".join(attack(name, html, listener) for name, html in group.items())


def arrived(group: dict[str, str], listener: Any) -> set[str]:
    """What the listener has heard of; of an attack alone, by any sound."""
    hits = list(listener.hits)
    if len(group) == 1:
        return set(group) if hits else set()
    return {name for name in group if any(f"/{slug(name)}/" in hit for hit in hits)}


def test_nothing_gets_out(still: PageRenderer, listener: Any) -> None:
    for group in groups(javascript=False):
        assert still.render(page_of(group, listener)).status == "ok"
    assert listener.hits == []


def test_no_script_gets_out(scripted: PageRenderer, listener: Any) -> None:
    for group in groups(javascript=True):
        if not LEAVING & group.keys():
            assert scripted.render(page_of(group, listener)).status == "ok"
    assert listener.hits == []


@pytest.mark.parametrize("number", range(len(list(groups(javascript=True)))))
def test_no_official_page_gets_out(official: PageRenderer, listener: Any, number: int) -> None:
    group = list(groups(javascript=True))[number]
    rendering = official.render(page_of(group, listener))
    assert rendering.status in ("ok", "timeout")
    assert rendering.status == "ok" or LEAVING & group.keys()
    assert listener.hits == []


@pytest.mark.parametrize("name", sorted(LEAVING))
def test_no_script_gets_away(impatient: PageRenderer, listener: Any, name: str) -> None:
    """A page that leaves itself before it is there is never there."""
    rendering = impatient.render(attack(name, script(SCRIPTS[name]), listener))
    assert rendering.status == "timeout"
    assert listener.hits == []


# ------------------------------------------------------------------------- each layer alone

# Neither interception nor offline mode nor a policy knows of WebRTC or of prefetching by such
# rules; Landlock knows nothing of UDP.
HOLES = {("answers", "WebRTC"), ("answers", "speculation"), ("answers", "written speculation")}
HOLES |= {("landlock", "WebRTC")}
ARGUMENTS_OF_THE_NETWORK = ("--host-resolver-rules", "--proxy", "--force-webrtc", "--no-pings")


def unguarded(session: Any) -> Any:
    """A session that passes on what the page asks for."""

    class Unguarded(session):
        async def _open(self) -> Any:
            opened = await super()._open()
            await opened.context.set_offline(False)
            return opened

        async def _answer(self, route: Any) -> None:
            if route.request.url == page_session.ADDRESS and not self._is_delivered:
                await super()._answer(route)
            else:
                await route.continue_()

    return Unguarded


@pytest.fixture
def left_with(started: Any, chromium: Path) -> Iterator[Callable[..., PageRenderer]]:
    """``left_with("answers")``: a renderer of which one layer is left; with none, none."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())

        def start(layer: str, *, javascript: bool) -> PageRenderer:
            if layer != "arguments":
                kept = (
                    a
                    for a in browser.CLOSED_ARGUMENTS
                    if not a.startswith(ARGUMENTS_OF_THE_NETWORK)
                )
                # Newer browsers ask before a page may reach the machine it is shown on.
                ask = "--disable-features=LocalNetworkAccessChecks"
                patch.setattr(browser, "CLOSED_ARGUMENTS", (*kept, ask))
            if layer != "answers":
                patch.setattr(page, "Session", unguarded(page.Session))
                patch.setattr(page_session, "POLICY", "base-uri *")
                patch.setattr(page_session, "SCRIPT_POLICY", "")
            level = {"namespace": "auto", "landlock": "landlock"}.get(layer, "rlimits")
            return stack.enter_context(
                PageRenderer(chromium, 1, javascript=javascript, confinement=level)
            )

        yield start


def missing(
    group: dict[str, str],
    silent: set[str],
    listener: Any,
    renderer: PageRenderer,
    patch: pytest.MonkeyPatch,
) -> set[str]:
    """Those of a page's attacks that have not arrived after a long time."""
    expected = group.keys() - SILENT - silent
    patch.setattr(page.Session, "seconds", 5.0)
    patch.setattr(
        page.Session, "happened", staticmethod(lambda: expected <= arrived(group, listener))
    )
    listener.hits.clear()
    renderer.render(page_of(group, listener))
    return expected - arrived(group, listener)


@pytest.mark.parametrize("javascript", [False, True])
def test_without_any_layer_they_arrive(
    left_with: Any, listener: Any, monkeypatch: pytest.MonkeyPatch, javascript: bool
) -> None:
    """Otherwise the other tests could not fail."""
    renderer = left_with("none", javascript=javascript)
    assert not renderer.environment["confinement"]["network"]
    silent = SILENT_WITH_SCRIPTS if javascript else SILENT_WITHOUT_SCRIPTS
    for group in groups(javascript=javascript):
        absent = missing(group, silent, listener, renderer, monkeypatch)
        for name in absent:  # one of the others may have come between
            assert not missing({name: group[name]}, silent, listener, renderer, monkeypatch)


@pytest.mark.parametrize("layer", ["answers", "arguments", "namespace", "landlock"])
def test_each_layer_is_enough(left_with: Any, listener: Any, layer: str) -> None:
    """Scripts run, so that all attacks are made; the lower layers do not care who has asked."""
    renderer = left_with(layer, javascript=True)
    for group in groups(javascript=True):
        tried = {name: html for name, html in group.items() if (layer, name) not in HOLES}
        if len(group) > 1 or not group.keys() & (LEAVING if layer == "answers" else REPEATED):
            assert renderer.render(page_of(tried, listener)).status == "ok"
    assert listener.hits == []
