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
from rrvf.benchmarks.design2code_download import HARD_PAGES, PAGES, HubFolder
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
    """One line of the examination; ``ok`` is ``None`` where nothing is wrong with any answer."""

    subject: str
    answer: str
    ok: bool | None = None


def examine(
    python: Path | None = None, browser: Path | None = None, confinement: str | None = None
) -> Iterator[Finding]:
    """Look at everything that scoring depends on, one finding at a time."""
    yield Finding("rrvf", f"{__version__} on Python {platform.python_version()}")
    yield Finding("cache folder", str(cache.folder()))
    try:
        yield from _examine_charts(python, confinement)
    except (RrvfError, OSError) as error:
        yield Finding("charts", str(error), ok=False)
    try:
        yield from _examine_pages(browser, confinement)
    except (RrvfError, OSError) as error:
        yield Finding("browser", f"{error} (not needed for charts)", ok=False)
    yield _examine_clip()
    for hub in (PAGES, HARD_PAGES):
        yield _examine_pages_of(hub)
    yield _examine_package(
        "vlmeval", "ms-vlmeval", "only the live comparison with the official scorer"
    )


def _examine_charts(python: Path | None, confinement: str | None) -> Iterator[Finding]:
    with ChartRenderer(python, confinement=confinement) as renderer:
        environment = renderer.environment
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    yield Finding("charts drawn by", environment["executable"], ok=True)
    yield Finding("plotting packages", versions, ok=not environment["missing"])
    if environment["missing"]:
        yield Finding("missing packages", ", ".join(environment["missing"]), ok=False)
    yield _examine_official_packages(Path(environment["executable"]))
    level = environment["level"]
    yield Finding("confinement", f"{level} ({MEANING[level]})", level in ("namespaces", "landlock"))
    yield Finding("scripts run as", environment["user"])
    yield _examine_threads(environment)
    yield _examine_places(environment)
    yield Finding("fonts", f"{environment['n_fonts']} families (hash {environment['fonts_hash']})")
    yield _examine_glyphs("fonts of charts", "chart")


def _examine_official_packages(python: Path) -> Finding:
    """What scripts of ChartMimic may import beside the plotting packages."""
    names = find_missing_packages(python)
    if not names:
        return Finding("official packages", "all there")
    answer = f"without {', '.join(names)}; scripts that import them fail here: {INSTALL}"
    return Finding("official packages", answer)


def _examine_threads(environment: Mapping[str, Any]) -> Finding:
    if environment["threads"] == "kernel":
        return Finding("threads of a script", "counted by the kernel, for each script", ok=True)
    reason = (
        "scripts are given no uid and no user namespace of their own here: the server counts 20 "
        "times a second, and where others of this user take all threads an item is unscored"
    )
    return Finding("threads of a script", reason, ok=False)


def _examine_places(environment: Mapping[str, Any]) -> Finding:
    if environment["private"]:
        return Finding("a script's own", f"home, {', '.join(environment['private'])}", ok=True)
    reason = (
        "home and $TMPDIR; no /tmp, no entry among the users and no semaphores: these need mount "
        "namespaces, which this machine does not allow or --confinement left out"
    )
    return Finding("a script's own", reason)


def _examine_pages(browser: Path | None, confinement: str | None) -> Iterator[Finding]:
    with PageRenderer(browser, 1, confinement=confinement) as renderer:
        environment = renderer.environment
    states = environment["confinement"]
    layers = ", ".join(f"{name} {'on' if on else 'off'}" for name, on in states.items())
    yield Finding("browser", environment["browser"], ok=True)
    yield Finding("browser confinement", layers, ok=states["sandbox"] or states["files"])
    fonts = environment["fonts"]
    yield Finding("browser fonts", f"{fonts['count']} files (hash {fonts['hash']})")
    yield _examine_glyphs("fonts of pages", "page")
    yield Finding("Tailwind", environment["tailwind"] or "not installed; run: rrvf setup-browser")


def _examine_glyphs(subject: str, medium: Medium) -> Finding:
    scripts = list_unwritable(medium)
    if not scripts:
        return Finding(subject, f"glyphs for {', '.join(SCRIPTS)}")
    return Finding(subject, f"no glyphs for {', '.join(scripts)}: {CONSEQUENCE}")


def _examine_clip() -> Finding:
    """Weights that are here; nothing is downloaded to find out."""
    path = os.environ.get(WEIGHTS_VARIABLE)
    if path:
        exists = Path(path).is_file()
        return Finding("CLIP weights", path if exists else f"{path}: no such file", ok=exists)
    return Finding("CLIP weights", f"by {WEIGHTS_VARIABLE}, --clip-weights, or from the network")


def _examine_pages_of(hub: HubFolder) -> Finding:
    """Whether a data set of pages was fetched; nothing is downloaded to find out."""
    commit = hub.commit()
    answer = f"commit {commit}" if commit else "not fetched; fetched by its name, or name a folder"
    return Finding(hub.dataset.rpartition("/")[2], answer)


def _examine_package(module: str, distribution: str, purpose: str) -> Finding:
    try:
        return Finding(module, metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return Finding(module, f"not installed ({purpose} needs it)")
