"""What a script finds around it: folders, a name, threads; and what an error says is missing.

What the official scorer gives such a script is what it gives any: it runs unconfined.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rrvf.errors import SetupError
from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.renderers.chart_server import surroundings
from rrvf.types import Drawing
from tests.runs import kept_servers

CHART = """
import matplotlib.pyplot as plt
plt.bar(["a", "b"], [1, 2])
plt.title("Sales")
"""


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
def level(request: pytest.FixtureRequest) -> Iterator[ChartRenderer]:
    """Each level that strangers' code may run at."""
    with kept_servers():
        try:
            renderer = ChartRenderer(workers=2, confinement=request.param)
        except SetupError as error:
            pytest.skip(f"needs confinement {request.param!r}: {error}")
    with renderer:
        yield renderer


@pytest.fixture(scope="module")
def private() -> Iterator[ChartRenderer]:
    """The level that gives a script places of its own."""
    with kept_servers():
        try:
            renderer = ChartRenderer(workers=2, confinement="namespaces")
        except SetupError as error:
            pytest.skip(f"needs namespaces: {error}")
    with renderer:
        if "/tmp" not in renderer.environment["private"]:
            pytest.skip("this environment lies below /tmp")
        yield renderer


def drawn(renderer: ChartRenderer, code: str) -> Drawing:
    return renderer.render(ChartScript(code), modes=("official",)).official


def runs(renderer: ChartRenderer, code: str) -> None:
    drawing = drawn(renderer, code + CHART)
    assert (drawing.status, drawing.error) == ("ok", None)
    assert drawing.elements.texts == ("Sales",)


EVERYWHERE = {
    "a temporary file": "import tempfile\nwith tempfile.NamedTemporaryFile() as f: f.write(b'x')",
    "a temporary folder": """
import os, tempfile
assert tempfile.gettempdir() != os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    open(os.path.join(folder, "x"), "w").close()
""",
    "a home": """
import os
from pathlib import Path
assert Path.home() == Path(os.path.expanduser("~"))
assert list(Path.home().iterdir()) == []
(Path.home() / ".config").mkdir()
(Path.home() / ".config" / "x").write_text("x")
""",
    "a name": "import getpass\nassert getpass.getuser()",
    "asyncio": "import asyncio\nasync def f(): return 1\nassert asyncio.run(f()) == 1",
    "asyncio in a thread": """
import asyncio
async def f(): return await asyncio.to_thread(abs, -1)
assert asyncio.run(f()) == 1
""",
    "a thread pool left open": """
from concurrent.futures import ThreadPoolExecutor
assert list(ThreadPoolExecutor(3).map(abs, [-1, 2])) == [1, 2]
""",
    "a daemon that waits for more": """
import queue, threading
jobs = queue.Queue()
def work():
    while True:
        jobs.get()
        jobs.task_done()
threading.Thread(target=work, daemon=True).start()
jobs.put(1)
jobs.join()
""",
    "a monitor of a progress bar": """
import threading
threading.Thread(target=threading.Event().wait, args=(10,), daemon=True).start()
""",
    "a pipe between threads": """
import socket
a, b = socket.socketpair()
a.sendall(b"x")
assert b.recv(1) == b"x"
a.close()
assert b.recv(1) == b""
""",
    "a connection": """
import multiprocessing
here, there = multiprocessing.Pipe()
here.send([1])
assert there.recv() == [1]
""",
    "an Excel file's types": "import mimetypes\nmimetypes.init()\nmimetypes.guess_type('a.xlsx')",
}
WITH_NAMESPACES = {
    "a chart in /tmp": CHART + "\nplt.gcf().savefig('/tmp/rrvf_case.png')",
    "a text in /tmp": "open('/tmp/rrvf_case.txt', 'w').write('x')",
    "a text in /var/tmp": "open('/var/tmp/rrvf_case.txt', 'w').write('x')",
    "an empty /tmp": "import os\nassert os.listdir('/tmp') == []",
    "a user's entry": """
import os, pwd
entry = pwd.getpwuid(os.getuid())
assert (entry.pw_dir, os.path.expanduser("~" + entry.pw_name)) == (os.environ["HOME"],) * 2
""",
    "locks of processes": """
import multiprocessing
for made in (multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.Semaphore(2)):
    with made:
        pass
""",
    "a queue of processes": """
import multiprocessing
jobs = multiprocessing.Queue()
jobs.put({"a": 1})
assert jobs.get() == {"a": 1}
""",
}


@pytest.mark.parametrize("what", EVERYWHERE)
def test_what_a_fresh_interpreter_offers_is_there(level: ChartRenderer, what: str) -> None:
    runs(level, EVERYWHERE[what])


@pytest.mark.parametrize("what", WITH_NAMESPACES)
def test_places_of_its_own(private: ChartRenderer, what: str) -> None:
    runs(private, WITH_NAMESPACES[what])


def test_the_places_are_bounded_together(private: ChartRenderer) -> None:
    """128 MiB for all of them."""
    code = """
import os
places = ["/tmp", "/dev/shm", os.path.expanduser("~"), "."]
for place in places:
    with open(os.path.join(place, "x"), "wb") as stream:
        for _ in range(40):
            stream.write(bytes(2**20))
"""
    drawing = drawn(private, code + CHART)
    assert drawing.status == "code_error"
    assert "No space left" in (drawing.error or "")


MISSING = {
    "plt.rcParams['text.usetex'] = True": "text.usetex needs LaTeX, which the confinement",
    "import seaborn; seaborn.load_dataset('tips')": "no network: seaborn's data sets are not at",
    "import urllib.request as u; u.urlopen('http://localhost:9')": "no network",
    "import pandas; pandas.read_csv('https://localhost:9/x.csv')": "no network",
    "import socket; socket.socket()": "no network",
    "import multiprocessing as m; m.Pool(2)": "process pools and subprocesses are not run",
    "import concurrent.futures as c; c.ProcessPoolExecutor().submit(abs, 1)": "process pools",
    "import subprocess; subprocess.run(['ls'])": "process pools and subprocesses are not run",
    "import os; os.fork()": "the confinement refuses this system call",
    "open('/data/sales.csv')": "'/data/sales.csv'",
    "open('/root/x.png', 'w')": "'/root/x.png'",
    "open('/tmp/none/x.png', 'w')": "'/tmp/none/x.png'",
    "import os; open(os.path.expanduser('~/none.csv'))": "'~/none.csv'",
    "import os; open(os.path.abspath('none.csv'))": ": 'none.csv'",
}


@pytest.mark.parametrize("code", MISSING)
def test_an_error_names_what_is_missing(level: ChartRenderer, code: str) -> None:
    drawing = drawn(
        level, f"import matplotlib.pyplot as plt\n{code}\n{CHART}\nplt.savefig('o.pdf')"
    )
    assert drawing.status == "code_error"
    assert MISSING[code] in (drawing.error or "")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("open('/tmp/x.png', 'w')", "'/tmp/x.png': at this level of confinement $TMPDIR"),
        ("import multiprocessing as m; m.Lock()", "semaphores need the confinement level namesp"),
    ],
)
def test_what_a_level_lacks_is_named(level: ChartRenderer, code: str, says: str) -> None:
    if level.environment["private"]:
        pytest.skip("has it")
    assert says in (drawn(level, code).error or "")


def test_no_folder_of_the_host_is_named(level: ChartRenderer) -> None:
    """Libraries are named as they are imported."""
    code = "import os, matplotlib as m; raise ValueError(m.__file__, os.__file__, os.getcwd())"
    error = drawn(level, code).error or ""
    assert error.startswith("ValueError: ('matplotlib/__init__.py', 'os.py', '')")


# -------------------------------------------------------------------------------------- threads

HOLDING = """
import _thread, threading, time
threading.stack_size(65536)
gate = _thread.allocate_lock()
gate.acquire()
until = time.time() + 8
while time.time() < until:
    try:
        _thread.start_new_thread(gate.acquire, ())
    except RuntimeError:
        time.sleep(0.05)
"""
POOL = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(abs, range(10))) == 45
"""


def test_threads_of_an_item_are_no_other_items(level: ChartRenderer) -> None:
    """One starts all that it may; those beside it, and in another renderer, go on."""
    if level.environment["threads"] != "kernel":
        pytest.skip("the kernel counts the threads of a user as a whole here")
    with (
        ThreadPoolExecutor(1) as pool,
        ChartRenderer(workers=1, confinement=level.environment["level"]) as another,
    ):
        holding = pool.submit(drawn, level, HOLDING)
        for renderer in (level, another, level):
            runs(renderer, POOL)
        assert not holding.done()


MANY = """
import threading, time
threading.stack_size(65536)
for _ in range(600):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


def test_threads_of_other_programs_do_not_count(level: ChartRenderer) -> None:
    """600 of them, of the same user, started after the server."""
    with subprocess.Popen([sys.executable, "-c", MANY], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n"
            runs(level, POOL)
        finally:
            other.kill()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_private_home_keeps_no_script_from_its_libraries(private: ChartRenderer) -> None:
    """Root's interpreter may lie below a folder that only root enters: the rest stays hidden."""
    code = """
import os
assert os.getuid() != 0
import colorsys, sched, wave
for folder in HIDDEN:
    try:
        os.listdir(folder)
    except OSError:
        continue
    raise AssertionError(folder)
"""
    hidden = [str(path) for path in Path(sys.executable).resolve().parents if path != Path("/")]
    runs(private, code.replace("HIDDEN", repr([*hidden, str(Path.home())])))


def test_a_place_that_holds_libraries_is_no_script_s_own() -> None:
    """All below a script's own place is its own to change, its interpreter included."""
    everywhere = surroundings.list_private_places(["/usr/lib/python3"])
    assert everywhere["tmp"] == "/tmp"
    below = surroundings.list_private_places(["/usr/lib/python3", "/tmp/env/lib"])
    assert everywhere.keys() - below.keys() == {"tmp"}
