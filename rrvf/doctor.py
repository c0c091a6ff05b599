"""What this machine offers, for a person and for a bug report."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rrvf import __version__
from rrvf.benchmarks.design2code_download import HARD_PAGES, PAGES, HubFolder
from rrvf.errors import RrvfError, SetupError
from rrvf.renderers import cache
from rrvf.renderers.browser import find_browser
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
class Use:
    """Something that the package is used for.

    Attributes:
        subject: What a user wants to do.
        extras: Of the package, that it takes.
    """

    subject: str
    extras: tuple[str, ...]


USES = (
    Use("to evaluate charts", ("chart",)),
    Use("to evaluate pages", ("web",)),
    Use("to play charts", ("chart", "judge")),
    Use("to play pages", ("judge", "web")),
    Use("to train", ("chart", "judge", "train")),
)


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
        is_wanted = not _find_missing("web")
        answer = f"{error} (only web pages need it)"
        yield Finding("browser", answer, ok=False if is_wanted else None)
    yield _examine_clip()
    for hub in (PAGES, HARD_PAGES):
        yield _examine_pages_of(hub)
    yield _examine_package(
        "vlmeval", "ms-vlmeval", "only the live comparison with the official scorer"
    )
    yield _examine_server()
    for use in USES:
        yield _examine_use(use, python, browser)


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
    if not _is_installed(distribution):
        return Finding(module, f"not installed ({purpose} needs it)")
    return Finding(module, metadata.version(distribution))


def _examine_server() -> Finding:
    path = shutil.which("vllm")
    advice = (
        "not on PATH; models are served elsewhere (--base-url), or here after pip install "
        "'rrvf[vllm]' in an environment of its own"
    )
    return Finding("vLLM", path or advice)


def _examine_use(use: Use, python: Path | None, browser: Path | None) -> Finding:
    """Ready, or what is missing and the command that brings it. Nobody needs all uses."""
    if not _is_installed("rrvf"):
        return Finding(use.subject, "not known: rrvf is not installed here; run: make demo")
    extras = [name for name in use.extras if name != "chart" or python is None]
    missing = {name: _find_missing(name) for name in extras}
    lacking = [name for name, packages in missing.items() if packages]
    packages = list(dict.fromkeys(package for names in missing.values() for package in names))
    commands = [_tell_install(lacking)] if lacking else []
    if "web" in extras and not _has_browser(browser):
        packages.append("Chromium")
        commands.append("rrvf setup-browser")
    if not packages:
        return Finding(use.subject, "ready", ok=True)
    return Finding(use.subject, f"lacks {', '.join(packages)}; run: {' && '.join(commands)}")


def _find_missing(extra: str) -> list[str]:
    """The distributions of an extra that are not installed."""
    pattern = re.compile(rf"""([\w.-]+).*;.*extra == ['"]{extra}['"]""")
    lines = metadata.requires("rrvf") or []
    names = [match[1] for line in lines if (match := pattern.fullmatch(line))]
    return [name for name in dict.fromkeys(names) if not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False


def _tell_install(extras: Sequence[str]) -> str:
    """Into the environment of this very interpreter, which may be without pip."""
    pip = f"{sys.executable} -m pip install"
    uv = f"{_find_uv()} pip install --python {sys.executable}"
    return f"{pip if find_spec('pip') else uv} 'rrvf[{','.join(extras)}]'"


def _find_uv() -> str:
    """By its name, or where make keeps it in a checkout."""
    own = Path(__file__).parents[1] / ".tools" / "bin" / "uv"
    return str(own) if shutil.which("uv") is None and own.exists() else "uv"


def _has_browser(browser: Path | None) -> bool:
    try:
        return bool(find_browser(browser))
    except SetupError:
        return False
