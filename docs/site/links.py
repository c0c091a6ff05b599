"""Links that lead somewhere in the repository and on the site alike.

The pages are read in two places: as files of the repository, and as pages of the site. A link is
written for the repository. Here it is turned into one that the site has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_BLOCK = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r"^```\{include\} (\S+)$", re.MULTILINE)


_SHORT = {"rrvf/README.md": "index.md", "rrvf/REPRODUCE.md": "reproduce.md"}
"""Pages of the repository that only point to the site."""


def find_included(docs: Path) -> dict[Path, str]:
    """File of the repository -> the page of the site that shows it."""
    included = {
        (docs / target).resolve(): page.name
        for page in sorted(docs.glob("*.md"))
        for target in _INCLUDE.findall(page.read_text(encoding="utf-8"))
    }
    return included | {docs.resolve().parent / name: page for name, page in _SHORT.items()}


def adapt_links(text: str, folder: Path, docs: Path, included: Mapping[Path, str]) -> str:
    """A page's text, with its relative links as the site has them.

    Args:
        text: The page, as Markdown.
        folder: Where the page's file is.
        docs: The folder of the site's pages.
        included: Files of the repository that are pages of the site.
    """

    def adapt(match: re.Match[str]) -> str:
        label, target = match.groups()
        return _adapt_link(label, target, folder, docs, included)

    parts = _BLOCK.split(text)
    parts[::2] = [_LINK.sub(adapt, part) for part in parts[::2]]
    return "".join(parts)


def _adapt_link(
    label: str, target: str, folder: Path, docs: Path, included: Mapping[Path, str]
) -> str:
    address, mark, anchor = target.partition("#")
    if not address or ":" in address:
        return f"[{label}]({target})"
    path = (folder / address).resolve()
    if path.is_dir():
        return label  # the site has no page for a folder
    page = included.get(path) or os.path.relpath(path, docs)
    return f"[{label}]({page}{mark}{anchor})"
