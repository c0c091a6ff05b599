"""Speed and memory of showing web pages: ours against a browser launched for every page.

``python benchmarks/render_web.py`` shows the same pages in one run on one machine:

* as Design2Code's scorer does it: Playwright and the browser started anew for each page, whose file
  is opened and taken as a full-page screenshot;
* with :class:`rrvf.renderers.page.PageRenderer`, a fresh context a page, at one and two workers;
* with the same, one page reused, at one and two workers.

The browser is the same for all; pages ask for nothing outside of themselves, so that nobody waits
for a network. Start and end of browsers and drivers are counted on both sides.

Then 500 pages in one browser, in rounds: each round shows all of them, in an order of its own. It
tells whether memory grows, whether a page comes out otherwise in another order, and which pages
fail. ``--pages FOLDER`` does this part alone, with the folder's HTML files and the ``rick.jpg``
beside them; ``--mode official`` does it by Design2Code's rules.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

from measure import descendants, proportional_size

from rrvf.renderers.browser import find_browser
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.types import Mode, PageRendering

N_PAGES, N_LONG = 40, 500


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


# ---------------------------------------------------------------- many, one after another


@dataclass
class LongRun:
    """What many pages left behind.

    Attributes:
        sizes: Proportional memory of all processes after each page, in MB.
        failures: Page -> the status that it had, where that was not ``ok``.
        unsteady: Pages that came out in more than one way.
        seconds: Wall time.
    """

    sizes: list[float] = field(default_factory=list[float])
    failures: dict[str, str] = field(default_factory=dict[str, str])
    unsteady: set[str] = field(default_factory=set[str])
    seconds: float = 0.0

    def growth(self, n_pages: int) -> float:
        """Per cent, from the end of the first quarter to the end; means of a round before each."""
        end = max(1, len(self.sizes) // 4)
        first, last = self.sizes[max(0, end - n_pages) : end], self.sizes[-n_pages:]
        return 100 * (fmean(last) / fmean(first) - 1)


def show_many(
    pages: Mapping[str, str], number: int, binary: Path, mode: Mode, assets: Mapping[str, bytes]
) -> LongRun:
    """Show pages in one browser, round after round."""
    run, prints = LongRun(), dict[str, str]()
    limits = PageLimits(pages=10 * number)
    start = time.perf_counter()
    with PageRenderer(binary, 1, limits, mode=mode, assets=assets) as renderer:
        for name in list_rounds(sorted(pages), number):
            rendering = renderer.render(pages[name])
            if rendering.status != "ok":
                run.failures[name] = rendering.status
            elif prints.setdefault(name, fingerprint(rendering)) != fingerprint(rendering):
                run.unsteady.add(name)
            processes = [os.getpid(), *descendants(os.getpid())]
            run.sizes.append(sum(map(proportional_size, processes)) / 1e6)
    run.seconds = time.perf_counter() - start
    return run


def list_rounds(names: Sequence[str], number: int) -> Iterator[str]:
    """So many names; all of them in each round, in another order."""
    for place in range(number):
        if place % len(names) == 0:
            names = random.Random(place).sample(names, len(names))
        yield names[place % len(names)]


def fingerprint(rendering: PageRendering) -> str:
    """Of everything that scores look at."""
    seen = repr((rendering.png, rendering.blocks, rendering.width, rendering.height))
    return hashlib.sha256(seen.encode()).hexdigest()


def describe(run: LongRun, n_pages: int) -> dict[str, Any]:
    """The figures of a long run."""
    quarter = max(1, len(run.sizes) // 4)
    return {
        "shown": len(run.sizes),
        "pages": n_pages,
        "seconds": round(run.seconds, 1),
        "memory_mb": {
            n: round(run.sizes[n - 1]) for n in range(quarter, len(run.sizes) + 1, quarter)
        },
        "growth_percent": round(run.growth(n_pages), 1),
        "failures": run.failures,
        "unsteady": sorted(run.unsteady),
    }


def print_long_run(figures: Mapping[str, Any]) -> None:
    """In words."""
    timeouts = sum(status == "timeout" for status in figures["failures"].values())
    print(f"\n{figures['shown']} times one of {figures['pages']} pages, {figures['seconds']:.0f} s")
    for number, size in figures["memory_mb"].items():
        print(f"memory after {number} pages {size} MB")
    print(f"from the first quarter's end to the last's {figures['growth_percent']:+.1f} %")
    print(f"pages that came out in two ways: {', '.join(figures['unsteady']) or 'none'}")
    print(f"time-outs: {timeouts}; pages that failed: {figures['failures'] or 'none'}")


def read_pages(folder: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """The folder's pages, and what lies beside them.

    Raises:
        SystemExit: It has none.
    """
    pages = {
        file.name: file.read_text(encoding="utf-8", errors="replace")
        for file in sorted(folder.glob("*.html"))
    }
    if not pages:
        raise SystemExit(f"{folder} has no HTML files")
    placeholder = folder / "rick.jpg"
    return pages, {placeholder.name: placeholder.read_bytes()} if placeholder.is_file() else {}


def compare_ways(pages: list[str], binary: Path) -> dict[str, dict[str, float]]:
    """Pages a second in each of the ways, as a table too."""
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
    print("| | pages/s | times a browser a page |\n| --- | ---: | ---: |")
    for name, wall in times.items():
        print(f"| {name} | {N_PAGES / wall:.2f} | {base / wall:.1f} |")
    return {
        name: {"pages_per_second": N_PAGES / wall, "times": base / wall}
        for name, wall in times.items()
    }


def main() -> None:
    """Measure and print; ``--out`` keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", type=Path)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="show these, for memory alone")
    parser.add_argument(
        "--mode", choices=["official", "fixed"], default="fixed", help="of the many pages"
    )
    parser.add_argument("--number", type=int, default=N_LONG, help="how many pages to show")
    options = parser.parse_args()
    binary = find_browser(options.browser)
    figures: dict[str, Any] = {"browser": str(binary), "mode": options.mode}
    if options.pages is None:
        sources = make_pages(N_PAGES)
        figures["rates"] = compare_ways(sources, binary)
        pages, assets = {f"page {n:02d}": html for n, html in enumerate(sources)}, {}
    else:
        pages, assets = read_pages(options.pages)
    run = show_many(pages, options.number, binary, options.mode, assets)
    figures["long_run"] = describe(run, len(pages))
    print_long_run(figures["long_run"])
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
