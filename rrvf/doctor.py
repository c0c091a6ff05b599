"""What this machine offers, for a person and for a bug report."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rrvf import __version__
from rrvf.errors import RrvfError
from rrvf.renderers import cache
from rrvf.renderers.chart import ChartRenderer
from rrvf.renderers.glyphs import CONSEQUENCE, SCRIPTS, Medium, list_unwritable
from rrvf.renderers.official_packages import INSTALL, find_missing_packages
from rrvf.renderers.page import PageRenderer
from rrvf.scorers.clip_weights import VARIABLE as WEIGHTS_VARIABLE

MEANING = {
    "namespaces": "private network, mounts and IPC; Landlock; seccomp; limits",
    "landlock": "Landlock; seccomp; limits",
    "seccomp": "seccomp; limits - a script can read your files",
    "rlimits": "limits only - a script can do what you can",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination; ``ok`` is ``None`` where nothing is wrong with either answer."""

    what: str
    found: str
    ok: bool | None = None


def examine(
    python: Path | None = None, browser: Path | None = None, confinement: str | None = None
) -> Iterator[Finding]:
    """Look at everything that scoring depends on, one finding at a time."""
    yield Finding("rrvf", f"{__version__} on Python {platform.python_version()}")
    yield Finding("cache folder", str(cache.folder()))
    try:
        yield from _charts(python, confinement)
    except (RrvfError, OSError) as error:
        yield Finding("charts", str(error), ok=False)
    try:
        yield from _pages(browser, confinement)
    except (RrvfError, OSError) as error:
        yield Finding("browser", f"{error} (not needed for charts)", ok=False)
    yield _clip()
    yield _package("vlmeval", "ms-vlmeval", "only the live comparison with the official scorer")


def _charts(python: Path | None, confinement: str | None) -> Iterator[Finding]:
    with ChartRenderer(python, confinement=confinement) as renderer:
        said = renderer.environment
    versions = ", ".join(f"{name} {version}" for name, version in said["versions"].items())
    yield Finding("charts drawn by", said["executable"], ok=True)
    yield Finding("plotting packages", versions, ok=not said["missing"])
    if said["missing"]:
        yield Finding("missing packages", ", ".join(said["missing"]), ok=False)
    yield _official(Path(said["executable"]))
    level = said["level"]
    yield Finding("confinement", f"{level} ({MEANING[level]})", level in ("namespaces", "landlock"))
    yield Finding("scripts run as", said["user"])
    yield _threads(said)
    yield _places(said)
    yield Finding("fonts", f"{said['n_fonts']} families (hash {said['fonts_hash']})")
    yield _without_glyphs("fonts of charts", "chart")


def _official(python: Path) -> Finding:
    """What scripts of ChartMimic may import beside the plotting packages."""
    missing = find_missing_packages(python)
    if not missing:
        return Finding("official packages", "all there")
    found = f"without {', '.join(missing)}; scripts that import them fail here: {INSTALL}"
    return Finding("official packages", found)


def _threads(said: Mapping[str, Any]) -> Finding:
    if said["threads"] == "kernel":
        return Finding("threads of a script", "counted by the kernel, for each script", ok=True)
    why = (
        "scripts are given no uid and no user namespace of their own here: the server counts 20 "
        "times a second, and where others of this user take all threads an item is unscored"
    )
    return Finding("threads of a script", why, ok=False)


def _places(said: Mapping[str, Any]) -> Finding:
    if said["private"]:
        return Finding("a script's own", f"home, {', '.join(said['private'])}", ok=True)
    why = (
        "home and $TMPDIR; no /tmp, no entry among the users and no semaphores: these need mount "
        "namespaces, which this machine does not allow or --confinement left out"
    )
    return Finding("a script's own", why)


def _pages(browser: Path | None, confinement: str | None) -> Iterator[Finding]:
    with PageRenderer(browser, 1, confinement=confinement) as renderer:
        said = renderer.environment
    reached = said["confinement"]
    layers = ", ".join(f"{name} {'on' if on else 'off'}" for name, on in reached.items())
    yield Finding("browser", said["browser"], ok=True)
    yield Finding("browser confinement", layers, ok=reached["sandbox"] or reached["files"])
    fonts = said["fonts"]
    yield Finding("browser fonts", f"{fonts['count']} files (hash {fonts['hash']})")
    yield _without_glyphs("fonts of pages", "page")
    yield Finding("Tailwind", said["tailwind"] or "not installed; run: rrvf setup-browser")


def _without_glyphs(what: str, medium: Medium) -> Finding:
    scripts = list_unwritable(medium)
    if not scripts:
        return Finding(what, f"glyphs for {', '.join(SCRIPTS)}")
    return Finding(what, f"no glyphs for {', '.join(scripts)}: {CONSEQUENCE}")


def _clip() -> Finding:
    """Weights that are here; nothing is downloaded to find out."""
    named = os.environ.get(WEIGHTS_VARIABLE)
    if named:
        found = Path(named).is_file()
        return Finding("CLIP weights", named if found else f"{named}: no such file", ok=found)
    return Finding("CLIP weights", f"by {WEIGHTS_VARIABLE}, --clip-weights, or from the network")


def _package(module: str, distribution: str, purpose: str) -> Finding:
    try:
        return Finding(module, metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return Finding(module, f"not installed ({purpose} needs it)")
