"""Speed and memory of showing web pages: ours against a browser launched for every page.

``python benchmarks/render_web.py`` shows the same pages in one run on one machine:

* as Design2Code's scorer does it: Playwright and the browser started anew for each page, whose file
  is opened and taken as a full-page screenshot;
* with :class:`rrvf.renderers.page.PageRenderer`, a fresh context a page, at one and two workers;
* with the same, one page reused, at one and two workers.

The browser is the same for all; pages ask for nothing outside of themselves, so that nobody waits
for a network. Start and end of browsers and drivers are counted on both sides. Then 500 pages in
one browser, for its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

from measure import descendants, proportional_size

from rrvf.renderers.browser import find_browser
from rrvf.renderers.page import PageLimits, PageRenderer

N_PAGES, N_LONG, SETTLED = 40, 500, 100


def make_pages(number: int) -> list[str]:
    """The demo's pages, each several times with other texts and heights, and without addresses."""
    folder = resources.files("rrvf") / "demo_data" / "pages" / "references"
    sources = [file.read_text() for file in sorted(folder.iterdir(), key=lambda file: file.name)]
    pages: list[str] = []
    for place in range(number):
        html = re.sub(r"<link[^>]*>|(?:src|href)=\"[^\"]*\"", "", sources[place % len(sources)])
        paragraphs = "".join(f"<p>Paragraph {n} of page {place}.</p>" for n in range(place % 7 * 5))
        pages.append(html.replace("</body>", f"{paragraphs}</body>"))
    return pages


def run_browser_a_page(pages: list[str], binary: Path) -> None:
    """Everything started anew for each page."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        for html in pages:
            file.write_text(html)
            with sync_playwright() as playwright:
                sandbox = os.getuid() != 0
                browser = playwright.chromium.launch(
                    executable_path=binary, chromium_sandbox=sandbox
                )
                page = browser.new_page()
                page.goto(file.as_uri(), timeout=60_000)
                page.screenshot(
                    path=Path(folder, "page.png"), full_page=True, animations="disabled"
                )
                browser.close()


def run_ours(pages: list[str], binary: Path, workers: int, *, reuse: bool) -> None:
    """One renderer for all pages, as a run uses it."""
    with (
        PageRenderer(binary, workers, reuse_pages=reuse) as renderer,
        ThreadPoolExecutor(workers) as pool,
    ):
        for rendering in pool.map(renderer.render, pages):
            assert rendering.status == "ok", rendering.error


def seconds(work: Callable[[], None]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def memory(pages: list[str], binary: Path) -> Iterator[tuple[int, float]]:
    """Number of pages shown in one browser, and the proportional memory of all processes in MB."""
    limits = PageLimits(pages=10 * N_LONG)
    with PageRenderer(binary, 1, limits) as renderer:
        for number in range(1, N_LONG + 1):
            renderer.render(pages[number % len(pages)])
            if number % 50 == 0:
                sizes = map(proportional_size, descendants(os.getpid()))
                yield number, sum(sizes) / 1e6


def main() -> None:
    """Measure and print a table; ``--out`` keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", type=Path)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    binary, pages = find_browser(options.browser), make_pages(N_PAGES)
    run_ours(pages[:4], binary, 1, reuse=False)  # fonts and files are warm for all
    ways: dict[str, Callable[[], None]] = {
        "a browser a page": lambda: run_browser_a_page(pages, binary),
        "fresh context, 1 worker": lambda: run_ours(pages, binary, 1, reuse=False),
        "fresh context, 2 workers": lambda: run_ours(pages, binary, 2, reuse=False),
        "page reused, 1 worker": lambda: run_ours(pages, binary, 1, reuse=True),
        "page reused, 2 workers": lambda: run_ours(pages, binary, 2, reuse=True),
    }
    times = {name: seconds(work) for name, work in ways.items()}
    base = times["a browser a page"]
    rates = {
        name: {"pages_per_second": N_PAGES / wall, "times": base / wall}
        for name, wall in times.items()
    }
    sizes = dict(memory(pages, binary))
    figures: dict[str, Any] = {"browser": str(binary), "rates": rates, "memory_mb": sizes}
    print("| | pages/s | times a browser a page |\n| --- | ---: | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate['pages_per_second']:.2f} | {rate['times']:.1f} |")
    growth = 100 * (max(sizes.values()) / sizes[SETTLED] - 1)
    print(f"\nmemory after {SETTLED} pages {sizes[SETTLED]:.0f} MB, ", end="")
    print(f"at most {growth:+.1f} % of that until page {N_LONG}")
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
