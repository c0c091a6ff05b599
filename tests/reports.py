"""Shared by the tests of the report: run folders by hand, and a browser that watches a page."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rrvf.trajectories import Trajectory, to_json

LOW_LEVEL = ("text", "layout", "type", "color")
SIDES = ("reference", "rendering")


HOSTILE = [
    "<img src=x onerror=window.pwned=1>",
    "</script><script>window.pwned=2</script>",
    "<!--<script>",
    "--><svg onload=window.pwned=3>",
    "]]>&lt;b&gt;&amp;",
    "' onmouseover='window.pwned=4' \" autofocus onfocus=\"window.pwned=5",
    "javascript:window.pwned=6",
    "${window.pwned=7}",
    "$data $script",
    "\u2028\u2029\u202etxet desrever\x00\x07",
    "\ud800 lone",
]
"""What a model might write to get out of where it is shown."""


# --- run folders --------------------------------------------------------------------------------


def png(shade: int, width: int = 8, height: int = 6) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    row = b"\0" + bytes([shade % 256, shade // 256, 90] * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return (
        signature
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * height))
        + chunk(b"IEND", b"")
    )


def score(value: float | None, **details: Any) -> dict[str, Any]:
    if value is None:
        return {"value": None, "reason": "the reference did not run", **details}
    return {"value": value, "precision": value, "recall": value, "f1": value, **details}


def item(sample_id: str, status: str = "ok", **changes: Any) -> dict[str, Any]:
    value = 0.0 if status != "ok" else 0.5
    scores = {name: score(value) for name in ("execution", *LOW_LEVEL)}
    return {
        "sample_id": sample_id,
        "status": status,
        "error": None,
        "seconds": 0.25,
        "code": "print(1)",
        "pictures": {},
        "other_mode": {},
        "tags": {},
        "scores": scores,
        **changes,
    }


def summary(n_samples: int, **changes: Any) -> dict[str, Any]:
    return {
        "benchmark": "chartmimic",
        "n_samples": n_samples,
        "statuses": {"ok": n_samples},
        "n_unscored": {},
        "metrics": {
            "exec_rate": 90.984,
            "text": 70.9,
            "layout": 84.3,
            "type": 71.82,
            "color": 61.1,
            "average": 72.03,
            "gpt": None,
            "overall": None,
        },
        "environment": {
            "python": "3.11.9",
            "confinement": {"level": "landlock + seccomp + rlimits"},
            "packages": {"matplotlib": "3.9.4"},
        },
        "protocol": {"mode": "official"},
        **changes,
    }


def write_run(
    folder: Path, items: list[dict[str, Any]], table: dict[str, Any] | None, tail: str = ""
) -> Path:
    (folder / "renderings").mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(entry) + "\n" for entry in items)
    (folder / "results.jsonl").write_text(lines + tail, encoding="utf-8")
    if table is not None:
        (folder / "summary.json").write_text(json.dumps(table), encoding="utf-8")
    return folder


def add_picture(run: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest() + ".png"
    (run / "renderings").mkdir(parents=True, exist_ok=True)
    (run / "renderings" / name).write_bytes(content)
    return name


def add_episodes(run: Path, *episodes: Trajectory) -> None:
    """As the loop writes them."""
    lines = [to_json(episode, lambda data: add_picture(run, data)) for episode in episodes]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "trajectories.jsonl").write_text(text, encoding="utf-8")


class Blocks(HTMLParser):
    """Collects the tags of a page and the contents of its script and style elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.contents: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.contents:
            self.contents[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.contents:
            self.contents[self.cdata_elem][-1] += data

    @property
    def policy(self) -> str:
        metas = [attributes for tag, attributes in self.tags if tag == "meta"]
        return next(m["content"] or "" for m in metas if "http-equiv" in m)


def payload(page: Path) -> dict[str, Any]:
    return json.loads(Blocks(page.read_text(encoding="utf-8")).contents["script"][0])


# --- in a browser -------------------------------------------------------------------------------


def chromium_path(playwright: Any) -> str:
    candidates = [
        os.environ.get("RRVF_CHROMIUM"),
        playwright.chromium.executable_path,
        shutil.which("chromium-headless-shell"),
        shutil.which("chromium"),
        shutil.which("google-chrome"),
    ]
    found = next((path for path in candidates if path and Path(path).is_file()), None)
    if found is None:
        pytest.skip("no Chromium found; name one in RRVF_CHROMIUM")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(
            executable_path=chromium_path(playwright), args=arguments
        )
        yield launched
        launched.close()


@dataclass(slots=True)
class Seen:
    """A page, and everything it did that it should not do."""

    page: Any
    trouble: list[str] = field(default_factory=list)

    def ids(self) -> list[str]:
        return self.page.evaluate(
            "[...document.querySelectorAll('#items > .card')].map(c => c.dataset.id)"
        )

    def wait_until(self, expression: str) -> None:
        """Until JavaScript says so; Playwright's own way would need the page to allow eval."""
        deadline = time.monotonic() + 15
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.05)

    def toggle(self, kind: str) -> None:
        """Press a filter, named by its key or by a status."""
        self.page.click(f'#filters :is([data-filter="{kind}"], [data-status="{kind}"])')

    def told(self) -> str:
        """What stands at the foot of the window."""
        return self.page.inner_text("#told")

    def fragment(self) -> str:
        return self.page.evaluate("location.hash")

    def focused(self) -> str | None:
        """The item that has the focus."""
        return self.page.evaluate("document.activeElement.closest('.card')?.dataset.id")

    def card(self, sample_id: str) -> Any:
        """The item's card, scrolled to and filled."""
        index = self.ids().index(sample_id)
        card = self.page.locator("#items > .card").nth(index)
        card.scroll_into_view_if_needed()
        card.locator(".pictures").wait_for()
        return card


Open = Callable[..., Seen]

RENDER_ALL = """
const sheet = new CSSStyleSheet();
sheet.replaceSync(".card { content-visibility: visible !important; }");
document.adoptedStyleSheets = [sheet];
"""
"""A card that the browser skips has no inner text, and when it does so is up to the browser."""


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    contexts: list[Any] = []
    opened: list[Seen] = []

    def open_it(path: Path, fragment: str = "", **options: Any) -> Seen:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        context.add_init_script(RENDER_ALL)
        seen = Seen(context.new_page())
        opened.append(seen)
        seen.page.set_default_timeout(15_000)
        seen.page.on("pageerror", lambda error: seen.trouble.append(f"error {error}"))
        seen.page.on("dialog", lambda dialog: seen.trouble.append(f"dialog {dialog.message}"))
        seen.page.on("console", lambda message: seen.trouble.append(f"console {message.text}"))
        seen.page.on("request", lambda request: seen.trouble.append(f"request {request.url}")
                     if not request.url.startswith(("file:", "data:")) else None)  # fmt: skip
        seen.page.goto(path.resolve().as_uri() + fragment)
        return seen

    yield open_it
    trouble = [line for seen in opened for line in seen.trouble]
    for context in contexts:
        context.close()
    assert trouble == []
