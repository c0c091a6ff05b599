"""Check every link of a built site without a network.

::

    python -m docs.site.check_links build/docs

A link inside the site must lead to a file that exists, and its anchor to an element of that page.
Addresses of other sites are not asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class _Page(HTMLParser):
    """The links and the anchors of a page."""

    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("href", "src"):
                self.links.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def find_dead_links(site: Path) -> Iterator[str]:
    """A line for each link that leads nowhere."""
    for path in sorted(site.rglob("*.html")):
        for link in _read(path).links:
            fault = _find_fault(path, link)
            if fault:
                yield f"{path.relative_to(site)}: {link}: {fault}"


def _find_fault(page: Path, link: str) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in _read(target).anchors:
        return "no such anchor"
    return None


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("site", type=Path, help="Folder of the built pages.")
    site: Path = parser.parse_args().site
    dead = list(find_dead_links(site))
    print(*dead, sep="\n", file=sys.stderr, end="\n" if dead else "")
    if dead or not list(site.rglob("*.html")):
        sys.exit(f"{len(dead)} dead links in {site}")


if __name__ == "__main__":
    main()
