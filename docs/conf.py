"""The site: Sphinx reads this file. ``make docs`` builds it."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

import rrvf
from docs.site.command_line import describe_commands
from docs.site.links import adapt_links, find_included
from docs.site.names import describe_names
from docs.site.settings import describe_keys, describe_plugin

DOCS = Path(__file__).resolve().parent
MADE = {
    "command-line": describe_commands,
    "python": describe_names,
    "training-keys": describe_keys,
    "vlmevalkit-plugin": describe_plugin,
}
"""Page -> what is made for its end, from the code."""

project = "RRVF"
author = project_copyright = "the RRVF developers"
release = version = rrvf.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["site"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the tables of results/README.md are two levels lower

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = "RRVF"
html_copy_source = False
html_static_path = ["style"]
html_css_files = ["site.css"]


def setup(app: Sphinx) -> None:
    """Say what is done with a page's text before it is read."""
    app.connect("source-read", adapt_page)
    app.connect("include-read", adapt_included)


def adapt_page(_: Sphinx, name: str, text: list[str]) -> None:
    """Links of a page of the site; and what is made for its end."""
    text[0] = adapt_links(text[0], DOCS, DOCS, find_included(DOCS))
    if name in MADE:
        text[0] += MADE[name]()


def adapt_included(_: Sphinx, path: Path, __: str, text: list[str]) -> None:
    """Links of a file of the repository that is shown as a page."""
    text[0] = adapt_links(text[0], (DOCS / path).resolve().parent, DOCS, find_included(DOCS))
