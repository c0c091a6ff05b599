"""A page that holds everything it shows and asks for nothing else.

Names, errors, code and drawn texts come from a stranger's model, so they reach the page only as
JSON in an inert block, escaped so that no string can end that block; the script puts them into the
page as text nodes; and a Content-Security-Policy allows this script, this style and nothing from
the network.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from rrvf.errors import UserError

_SCRIPTS = ("episodes.js", "blocks.js")
_STYLES = ("report.css", "episodes.css")
_OWN_SCRIPTS = {"report": ("overview.js", "panels.js", "compare.js", "address.js", "keys.js")}
_OWN_STYLES = {"report": ("compare.css",)}
"""Kind -> what its page has beside the files that are called as the kind is."""


def make_page(
    kind: str, payload: Mapping[str, Any], title: str, table: str, linked: bool = False
) -> str:
    """Fill the page of a kind: it has a script and a style of its own.

    Args:
        kind: Its files in ``report_assets`` are called so.
        payload: What the script is given, as JSON.
        title: Of the window.
        table: Plain text for readers without a script.
        linked: Pictures lie beside the page.
    """
    assets = resources.files("rrvf") / "report_assets"
    styles = (*_STYLES, *_OWN_STYLES.get(kind, ()), f"{kind}.css")
    style = _join_files(assets, [*dict.fromkeys(styles)])
    script = _join_files(assets, (*_SCRIPTS, *_OWN_SCRIPTS.get(kind, ()), f"{kind}.js"))
    return Template((assets / f"{kind}.html").read_text(encoding="utf-8")).substitute(
        policy=_policy(style, script, linked),
        title=html.escape(title),
        table=html.escape(table),
        style=style,
        script=script,
        data=_inert_json(payload),
    )


def _join_files(assets: Traversable, names: Sequence[str]) -> str:
    return "\n".join((assets / name).read_text(encoding="utf-8") for name in names)


def _policy(style: str, script: str, linked: bool) -> str:
    """Nothing from anywhere but this one script and style; pictures from the page or beside it."""
    pictures = "data: 'self' file:" if linked else "data:"
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        f"img-src {pictures}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _inert_json(payload: Mapping[str, Any]) -> str:
    """JSON in ASCII without ``<``, ``>`` and ``&``: no string can end or open a script block."""
    text = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def write_page(path: Path, text: str) -> Path:
    """Write it whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UserError(
            f"cannot write {path} ({error.strerror}); free some space or name another folder"
        ) from error
    return path
