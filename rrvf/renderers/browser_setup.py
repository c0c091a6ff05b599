"""Install a missing Chromium, and the stylesheet that pages request from a CDN."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from rrvf.errors import SetupError
from rrvf.private_ca import tell_node
from rrvf.renderers import web_assets
from rrvf.renderers.browser import find_browser

DOWNLOAD = (sys.executable, "-m", "playwright", "install", "--only-shell", "chromium")
PACKAGE = "chromium-headless-shell"
SECONDS = 900


def set_up() -> Iterator[str]:
    """Do what is missing, a line a step.

    Raises:
        SetupError: There is no way to get a browser; names what to do by hand.
    """
    yield f"browser: {_provide_browser()}"
    yield f"Tailwind {web_assets.TAILWIND}: {web_assets.install_tailwind()}"


def _provide_browser() -> str:
    """The browser found, else Playwright's own, else the system's package."""
    try:
        return str(find_browser())
    except SetupError:
        if _succeeds(DOWNLOAD) or _install_from_system():
            return str(find_browser())
    raise SetupError(
        "Chromium could not be installed: Playwright cannot download one, and "
        + (f"apt-get cannot install {PACKAGE}" if _may_install() else "this is not root on Debian")
        + "; install chromium and name it by RRVF_CHROMIUM"
    )


def _may_install() -> bool:
    return os.getuid() == 0 and shutil.which("apt-get") is not None


def _install_from_system() -> bool:
    if not _may_install():
        return False
    _succeeds(("apt-get", "-qq", "update"))
    install = ("apt-get", "-qq", "install", "-y", "--no-install-recommends")
    return _succeeds((*install, PACKAGE)) or _succeeds((*install, "chromium"))


def _succeeds(command: Sequence[str]) -> bool:
    environment = {**os.environ, **tell_node(), "DEBIAN_FRONTEND": "noninteractive"}
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0
