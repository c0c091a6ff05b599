"""What every test may rely on: no network, a cache of its own, and the machine's optional parts."""

from __future__ import annotations

import ipaddress
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A busy machine must not make a property fail.
settings.register_profile("rrvf", deadline=None)
settings.load_profile("rrvf")

PROJECT = Path(__file__).resolve().parent.parent
CHART_ENVIRONMENTS = {"published": "charts-env", "newest": "charts-newest-env"}


LEARNS = ("test_clip.py", "test_tiny_model.py")
"""Files that need torch, beside those of training."""

NEEDS_NO_TORCH = ("test_data.py", "test_synthetic.py", "test_watchdog.py", "test_packages.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs torch is marked so, by its file."""
    for item in items:
        trains = item.path.parent.name == "training" and item.path.name not in NEEDS_NO_TORCH
        if trains or item.path.name in LEARNS:
            item.add_marker(pytest.mark.torch)


class NetworkUsedError(RuntimeError):
    """A test tried to leave this machine."""


def stays_here(host: object) -> bool:
    """Whether a host is this machine, without asking any name server."""
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    """A socket's ``connect`` that only reaches this machine."""

    def connect_here(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not stays_here(address[0]):
            raise NetworkUsedError(f"a test connects to {address[0]}")
        return connect(self, address)

    return connect_here


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell has what it starts in the background ignore Ctrl-C, and that is inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def closed_network() -> Iterator[None]:
    """Only loopback and Unix sockets, in this process; names of other machines do not resolve."""
    resolve = socket.getaddrinfo

    def resolve_here(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not stays_here(host):
            raise NetworkUsedError(f"a test looks up {host!r}")
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", resolve_here)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``RRVF_CACHE_DIR`` for this session; nothing of the user's cache is read or written."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RRVF_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def built_wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def shared_chartmimic() -> Path:
    """Real ChartMimic v1 items: ``golden/<id>.py`` and ``predictions.jsonl``."""
    folder = PROJECT.parent / "shared" / "data" / "chartmimic_v1"
    if not folder.is_dir():
        pytest.skip("needs the ChartMimic items in ../shared/data/chartmimic_v1")
    return folder


def find_chart_python(name: str) -> Path:
    """The interpreter of a chart environment: ``own``, ``published`` or ``newest``."""
    if name == "own":
        return Path(sys.executable)
    python = PROJECT / f".venv-charts-{name}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs the {name} chart environment: make {CHART_ENVIRONMENTS[name]}")
    return python


@pytest.fixture(scope="session", params=["own", "published", "newest"])
def chart_python(request: pytest.FixtureRequest) -> Path:
    """Each matplotlib line in turn; a test that takes this runs three times."""
    return find_chart_python(request.param)


@pytest.fixture(scope="session")
def published_python() -> Path:
    """The interpreter of the environment in which the published scores were measured."""
    return find_chart_python("published")


@pytest.fixture(scope="session")
def newest_python() -> Path:
    """The interpreter with the newest matplotlib that the tests cover."""
    return find_chart_python("newest")


@pytest.fixture(scope="session")
def web_browser() -> Path:
    """The Chromium that shows pages; tests that need one skip where there is none."""
    from rrvf.errors import SetupError
    from rrvf.renderers.browser import find_browser

    try:
        return find_browser()
    except SetupError as error:
        pytest.skip(str(error))
