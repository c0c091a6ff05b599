"""Leaks: nothing stays behind, whoever is killed: no process, folder, mount or descriptor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rrvf.errors import HarnessError, SetupError
from rrvf.renderers.chart import ChartRenderer, Limits
from rrvf.types import Rendering

Draw = Callable[..., Rendering]
Children = Callable[[int], list[int]]
LimitsOf = Callable[..., AbstractContextManager[None]]
Eventually = Callable[[Callable[[], bool]], bool]

SLEEPER = "import time; time.sleep(600)"
CHART = "import matplotlib.pyplot as plt\nplt.title('again')"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers of one test have their folders; others may pass through it."""
    folder = tmp_path_factory.mktemp("servers")
    for parent in (folder, folder.parent, folder.parent.parent):
        if parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture(params=["namespaces", "landlock"])
def fresh(request: pytest.FixtureRequest, folder: Path) -> Iterator[ChartRenderer]:
    """A renderer of its own, to be treated badly."""
    try:
        renderer = ChartRenderer(workers=2, limits=Limits(5, 120), confinement=request.param)
    except SetupError as error:
        pytest.skip(f"needs confinement {request.param!r}: {error}")
    yield renderer
    renderer.close()


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def gone(pid: int) -> bool:
    """Ended; whether somebody has waited for it yet is not ours to say where init is slow."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def started_child(renderer: ChartRenderer, children: Children, eventually: Eventually) -> int:
    server = renderer.server_pid()
    assert eventually(lambda: bool(children(server)))
    return children(server)[0]


def test_descriptors_do_not_grow(renderer: ChartRenderer, draw: Draw) -> None:
    """A hundred scripts: good, bad, and dying."""
    scripts = ["pass", "1 / 0", "import os; os._exit(3)", "import os; os.closerange(3, 5000)"]
    for script in scripts:
        draw(renderer, script, modes=("official",))
    before = descriptors(os.getpid()), descriptors(renderer.server_pid())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: draw(renderer, scripts[n % 4], modes=("official",)), range(100)))
    assert (descriptors(os.getpid()), descriptors(renderer.server_pid())) == before


def test_no_dead_child_is_left(
    renderer: ChartRenderer, draw: Draw, limits: LimitsOf, children: Children
) -> None:
    for script in ("pass", "import os; os.abort()", "import os; os.closerange(0, 5000)"):
        draw(renderer, script, modes=("official",))
    with limits(renderer, wall_seconds=1):
        draw(renderer, SLEEPER, modes=("official",))
    assert children(renderer.server_pid()) == []


def test_no_mount_is_seen_outside(renderer: ChartRenderer, draw: Draw) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    draw(renderer, CHART)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_closing_ends_what_still_runs(
    fresh: ChartRenderer, draw: Draw, folder: Path, children: Children, eventually: Eventually
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(draw, fresh, SLEEPER)
        pids = [fresh.server_pid(), started_child(fresh, children, eventually)]
        fresh.close()
        with pytest.raises(HarnessError):
            running.result()
    assert all(gone(pid) for pid in pids)
    assert list(folder.iterdir()) == []
    with pytest.raises(HarnessError, match="closed"):
        draw(fresh, CHART)


def test_a_killed_server_takes_its_children_along(
    fresh: ChartRenderer, draw: Draw, folder: Path, children: Children, eventually: Eventually
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(draw, fresh, SLEEPER)
        child = started_child(fresh, children, eventually)
        os.kill(fresh.server_pid(), signal.SIGKILL)
        with pytest.raises(HarnessError):
            running.result()
    assert eventually(lambda: gone(child))
    assert draw(fresh, CHART).official.elements.texts == ("again",)
    fresh.close()
    assert list(folder.iterdir()) == []


HOST = """
import sys
from rrvf.renderers.chart import ChartRenderer, ChartScript, Limits
renderer = ChartRenderer(limits=Limits(5, 600), confinement=sys.argv[1])
print(renderer.server_pid(), flush=True)
renderer.render(ChartScript("import time; time.sleep(600)"))
"""


@pytest.mark.parametrize(
    ("level", "number"),
    [("namespaces", signal.SIGKILL), ("landlock", signal.SIGKILL), ("auto", signal.SIGINT)],
)
def test_a_killed_host_leaves_nothing(
    level: str, number: int, folder: Path, children: Children, eventually: Eventually
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOST, level],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as host:
        assert host.stdout is not None
        said = host.stdout.readline()
        if not said:
            pytest.skip(f"needs confinement {level!r}")
        server = int(said)
        assert eventually(lambda: bool(children(server)))
        child = children(server)[0]
        host.send_signal(number)
        host.wait()
    assert eventually(lambda: gone(server) and gone(child))
    assert eventually(lambda: list(folder.iterdir()) == [])
