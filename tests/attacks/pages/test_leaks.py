"""Leaks: no process and no folder stays behind, whoever is killed, whatever is being shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rrvf.errors import HarnessError
from rrvf.renderers.page import PageLimits, PageRenderer, descendants

Eventually = Callable[[Callable[[], bool]], bool]
Gone = Callable[[int], bool]
Pid = Callable[[PageRenderer], int]

HANG = "<p>x<script>while (true);</script>"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where browsers have their profiles; others may pass through it."""
    folder = tmp_path_factory.mktemp("profiles")
    for parent in (folder, folder.parent, folder.parent.parent):
        if parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def family(pid: int) -> list[int]:
    return [pid, *descendants(pid)]


def test_closing_leaves_nothing(
    chromium: Path, folder: Path, browser_pid: Pid, gone: Gone, eventually: Eventually
) -> None:
    own = set(descendants(os.getpid()))
    renderer = PageRenderer(chromium, workers=1)
    assert renderer.render("<p>x").status == "ok"
    processes = family(browser_pid(renderer))
    assert len(processes) > 2
    assert list(folder.iterdir())
    renderer.close()
    renderer.close()
    assert eventually(lambda: all(gone(pid) for pid in processes))
    assert eventually(lambda: not [p for p in set(descendants(os.getpid())) - own if not gone(p)])
    assert list(folder.iterdir()) == []
    with pytest.raises(HarnessError, match="closed"):
        renderer.render("<p>x")


def test_a_driver_that_ends_first_leaves_no_profile(
    chromium: Path, folder: Path, gone: Gone, eventually: Eventually
) -> None:
    """Playwright is not always there to remove the profiles of browsers that were killed."""
    own = set(descendants(os.getpid()))
    renderer = PageRenderer(chromium, workers=1)
    assert renderer.render("<p>x").status == "ok"
    started = set(descendants(os.getpid())) - own
    for pid in started:
        if Path(f"/proc/{pid}/comm").read_text().startswith(("node", "MainThread")):
            os.kill(pid, signal.SIGKILL)
    renderer.close()
    assert eventually(lambda: all(gone(pid) for pid in started))
    assert [path for path in folder.iterdir() if "profile" in path.name] == []


def test_closing_ends_what_is_being_shown(
    chromium: Path, folder: Path, browser_pid: Pid, gone: Gone, eventually: Eventually
) -> None:
    renderer = PageRenderer(chromium, workers=1, javascript=True, limits=PageLimits(seconds=600))
    with ThreadPoolExecutor(1) as pool:
        showing = pool.submit(renderer.render, HANG)
        time.sleep(1)
        processes = family(browser_pid(renderer))
        renderer.close()
        with pytest.raises(HarnessError):
            showing.result(timeout=60)
    assert eventually(lambda: all(gone(pid) for pid in processes))
    assert eventually(lambda: list(folder.iterdir()) == [])


def test_recycled_browsers_leave_nothing(
    chromium: Path, folder: Path, browser_pid: Pid, gone: Gone, eventually: Eventually
) -> None:
    limits = PageLimits(seconds=5)
    with PageRenderer(chromium, workers=1, javascript=True, limits=limits) as renderer:
        processes: list[int] = []
        for _ in range(2):
            processes += family(browser_pid(renderer))
            assert renderer.render(HANG).status == "timeout"
            renderer.render("<p>x")
        assert eventually(lambda: all(gone(pid) for pid in processes))
        # One browser, one profile; and what Playwright keeps as long as it runs.
        profiles = list(folder.glob("*profile*"))
        assert eventually(lambda: len(list(folder.glob("*profile*"))) == 1), profiles
        assert not list(folder.glob("rrvf-browser-*"))
    assert eventually(lambda: list(folder.iterdir()) == [])


HOST = """
import sys
from rrvf.renderers.page import PageLimits, PageRenderer
renderer = PageRenderer(workers=1, javascript=True, limits=PageLimits(seconds=600))
(session,) = renderer._pool._live_sessions
print(session.process.pid, flush=True)
if sys.argv[1] == "idle":
    sys.stdin.read()
renderer.render("<p>x<script>while (true);</script>")
"""


@pytest.mark.parametrize("state", ["idle", "showing"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_host_leaves_nothing(
    chromium: Path,
    folder: Path,
    project: Path,
    eventually: Eventually,
    gone: Gone,
    state: str,
    number: int,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOST, state],
        cwd=project,
        env={**os.environ, "RRVF_CHROMIUM": str(chromium)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as host:
        assert host.stdout is not None
        root = int(host.stdout.readline())
        time.sleep(1)
        processes = family(root)
        assert len(processes) > 2
        host.send_signal(number)
        host.wait(timeout=60)
    assert eventually(lambda: all(gone(pid) for pid in processes))
    assert eventually(lambda: list(folder.iterdir()) == [])
