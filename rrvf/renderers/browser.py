"""Find a Chromium and start it confined, with the settings that make its pictures repeatable."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrvf.errors import HarnessError, SetupError
from rrvf.types import Mode

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

BROWSER_VARIABLE = "RRVF_CHROMIUM"
SYSTEM_NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable", "chrome"),
)
START = Path(__file__).with_name("browser_start.py")
PLAN_VARIABLE = "RRVF_BROWSER_PLAN"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
LAUNCH_SECONDS = 60.0
REPORT = "reached.json"
DEAD_END = "127.0.0.1:9"

STEADY_ARGUMENTS = (
    # The same pixels on every run.
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--hide-scrollbars",
    "--disable-partial-raster",
    "--disable-gpu",
    # Pictures stand still, and those further down are loaded as well.
    # A browser takes the last of two such arguments, so Playwright's mouse is named again.
    "--blink-settings=imageAnimationPolicy=2,lazyLoadEnabled=false,primaryHoverType=2,"
    "availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
)
CLOSED_ARGUMENTS = (
    # No way out even if a request gets past the interception.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    f"--proxy-server=http://{DEAD_END}",
    "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--no-pings",
    "--deny-permission-prompts",
)
DRAWING_ARGUMENTS: Mapping[Mode, tuple[str, ...]] = {
    "fixed": STEADY_ARGUMENTS,
    "official": ("--disable-partial-raster",),
}
"""What moves pixels, by mode. Design2Code's scorer names none, and some pages of its test set then
come out otherwise from one time to the next, in a few pixels by one level."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """How far the browser is closed in.

    Attributes:
        sandbox: Chromium's own sandbox is on.
        files: Landlock: it can open libraries, fonts and its own profile only.
        network: It has a network namespace of its own, with nothing in it.
        dropped: Started as root, it runs as an ordinary user.
    """

    sandbox: bool
    files: bool
    network: bool
    dropped: bool

    def suffices(self) -> bool:
        """Whether a page that takes over its process is still held."""
        return self.sandbox or self.files


@dataclass(slots=True)
class BrowserProcess:
    """A browser that has been launched, the process it is, and the folder of its profile."""

    browser: Browser
    pid: int
    confinement: Confinement
    profile: Path


def find_browser(user_path: Path | None = None) -> Path:
    """The browser to use: the user's, Playwright's own, the system's; in this order.

    Args:
        user_path: A path given by the user; ``$RRVF_CHROMIUM`` where it is ``None``.

    Raises:
        SetupError: The user's is no program, or there is none.
    """
    choice = user_path or (
        Path(os.environ[BROWSER_VARIABLE]) if BROWSER_VARIABLE in os.environ else None
    )
    if choice is not None:
        if not os.access(choice, os.X_OK) or not choice.is_file():
            raise SetupError(
                f"{choice} is not a browser; name a Chromium, or unset {BROWSER_VARIABLE}"
            )
        return choice.absolute()
    for path in (*_find_downloads(), *map(shutil.which, SYSTEM_NAMES)):
        if path is not None:
            return Path(path)
    raise SetupError("no Chromium found; run: rrvf setup-browser")


def _find_downloads() -> Iterator[str]:
    """Browsers that Playwright has downloaded, the newest first, the headless shell before all."""
    setting = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    with contextlib.suppress(RuntimeError):  # no home
        root = Path(setting or "~/.cache/ms-playwright").expanduser()
        for pattern in (
            "chromium_headless_shell-*/chrome-*/*headless*shell",
            "chromium-*/chrome-linux*/headless_shell",
            "chromium-*/chrome-linux*/chrome",
        ):
            binaries = [path for path in root.glob(pattern) if os.access(path, os.X_OK)]
            yield from map(str, sorted(binaries, key=_read_revision, reverse=True))


def _read_revision(path: Path) -> int:
    numbers = re.findall(r"-(\d+)/", str(path))
    return int(numbers[-1]) if numbers else 0


def describe_fonts() -> dict[str, Any]:
    """How many font files the browser can see, and a hash of their names and sizes."""
    files = sorted(
        (path.name, path.stat().st_size)
        for folder in FONT_FOLDERS
        for path in Path(folder).rglob("*")
        if path.is_file()
    )
    return {"count": len(files), "hash": hashlib.sha256(repr(files).encode()).hexdigest()[:16]}


# ----------------------------------------------------------------------------- launching


async def launch(
    playwright: Playwright, binary: Path, level: str, mode: Mode = "fixed"
) -> BrowserProcess:
    """Launch the browser as closely confined as this machine allows.

    Args:
        playwright: A started Playwright.
        binary: From :func:`find_browser`.
        level: ``auto``, or the highest level to use, as for charts.
        mode: Whose pictures it takes.

    Raises:
        HarnessError: It does not start in any way.
    """
    errors: list[str] = []
    for plan in _list_plans(level):
        try:
            return await _launch(playwright, binary, plan, mode)
        except Exception as error:  # whatever Playwright says of a browser that ends at once
            errors.append(_find_gist(str(error)))
    raise HarnessError(f"{binary} does not start: {errors[0]}")


def _list_plans(level: str) -> Iterator[Mapping[str, bool]]:
    """Ways to launch, the safest first."""
    namespaces = level in ("auto", "namespaces")
    landlock = namespaces or level == "landlock"
    layers = {"namespaces": namespaces, "landlock": landlock}
    if os.getuid() == 0:
        yield {**layers, "drop": True, "sandbox": True}
        yield {**layers, "drop": True, "sandbox": False}
    else:
        yield {**layers, "drop": False, "sandbox": True}
    yield {**layers, "drop": False, "sandbox": False}


async def _launch(
    playwright: Playwright, binary: Path, plan: Mapping[str, bool], mode: Mode
) -> BrowserProcess:
    with tempfile.TemporaryDirectory(prefix="rrvf-browser-") as name:
        folder = Path(name)
        options = {**plan, "binary": str(binary), "report": str(folder / REPORT)}
        browser = await playwright.chromium.launch(
            executable_path=_write_starter(folder),
            args=[*DRAWING_ARGUMENTS[mode], *CLOSED_ARGUMENTS],
            chromium_sandbox=plan["sandbox"],
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=1000 * LAUNCH_SECONDS,
            # Gone with this folder: Playwright removes one of its own only when it has the time.
            artifacts_dir=folder / "artifacts",
            env={**_make_environment(), PLAN_VARIABLE: json.dumps(options)},
        )
        report = json.loads((folder / REPORT).read_bytes())
    is_dropped = report["user"] is not None
    confinement = Confinement(plan["sandbox"], report["files"], report["network"], is_dropped)
    return BrowserProcess(browser, report["pid"], confinement, Path(report["profile"]))


def _write_starter(folder: Path) -> Path:
    """A program to start in the browser's place."""
    starter = folder / "browser"
    starter.write_text(f'#!/bin/sh\nexec {shlex.join(_make_start_command())} "$@"\n')
    starter.chmod(0o700)
    return starter


def _make_start_command() -> list[str]:
    return [sys.executable, "-I", "-S", str(START)]


def _make_environment() -> dict[str, str | float | bool]:
    """What the browser may know of ours: no key, no token, no name."""
    names = ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "FONTCONFIG_PATH", "FONTCONFIG_FILE")
    return {"TZ": "UTC", **{name: os.environ[name] for name in names if name in os.environ}}


def _find_gist(message: str) -> str:
    """The line of Playwright's long report that says something."""
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    error_lines = [line for line in lines if "FATAL" in line or "rror:" in line]
    return (error_lines or lines or ["no reason given"])[-1][:300]
