"""Exhaustion: memory, time, files, threads, output. The item fails by its own fault, alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rrvf.renderers.chart import ChartRenderer
from rrvf.types import Rendering

Ask = Callable[[ChartRenderer, str], str]
Draw = Callable[..., Rendering]
Eventually = Callable[[Callable[[], bool]], bool]
Children = Callable[[int], list[int]]
LimitsOf = Callable[..., AbstractContextManager[None]]

MIB = 2**20
EMPTY_CHART = "import matplotlib.pyplot as plt\nplt.figure()"


def statuses(rendering: Rendering) -> set[str]:
    return {rendering.official.status, rendering.fixed.status}


# -------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np; np.ones(8 * 2**30)",
        "bytearray(64 * 2**30)",
        "'x' * 2**40",
        "list(range(10**12))",
        "import mmap; mmap.mmap(-1, 2**40)[:]",
        "pieces = []\nwhile True: pieces.append(bytes(2**20))",
    ],
)
def test_memory_is_bounded(strongest: ChartRenderer, draw: Draw, code: str) -> None:
    rendering = draw(strongest, code)
    assert statuses(rendering) <= {"out_of_memory", "code_error"}
    assert "out_of_memory" in statuses(rendering) or "mmap" in code


def test_many_small_objects(strongest: ChartRenderer, draw: Draw, limits: LimitsOf) -> None:
    """Nothing is left even for telling what went wrong."""
    script = "held = []\nwhile True: held.append([object()] * 2000)"
    with limits(strongest, memory=1536 * MIB, cpu_seconds=30):
        assert statuses(draw(strongest, script)) == {"out_of_memory"}


def test_the_system_ends_a_script_first(
    renderer: ChartRenderer,
    draw: Draw,
    limits: LimitsOf,
    children: Children,
    eventually: Eventually,
) -> None:
    """When the machine runs out of memory, its choice must not be the host or the server."""
    with ThreadPoolExecutor(1) as pool, limits(renderer, wall_seconds=3):
        sleeping = pool.submit(draw, renderer, "import time; time.sleep(60)", modes=("official",))
        assert eventually(lambda: bool(children(renderer.server_pid())))
        file = Path(f"/proc/{children(renderer.server_pid())[0]}/oom_score_adj")
        assert eventually(lambda: not file.exists() or int(file.read_text()) == 1000)
        assert file.exists(), "it ended before it was so"
        assert sleeping.result().official.status == "timeout"


@pytest.mark.parametrize(
    "code",
    [
        "plt.figure(figsize=(600, 600)); plt.plot([1, 2])",
        "plt.figure(dpi=10**6); plt.plot([1, 2])",
        "plt.plot([1, 2]); plt.savefig('a.png', dpi=10**5)",
        "plt.figure(figsize=(60000, 1)); plt.plot([1, 2])",
        "plt.imshow([[0]], interpolation='none', extent=(0, 1e300, 0, 1)); plt.savefig('a.png')",
    ],
)
def test_an_enormous_picture_does_not_get_out(
    strongest: ChartRenderer, draw: Draw, limits: LimitsOf, code: str
) -> None:
    """However large the figure: what the host receives is small, or nothing."""
    with limits(strongest, cpu_seconds=4):
        rendering = draw(strongest, f"import matplotlib.pyplot as plt\n{code}", judge=True)
    assert statuses(rendering) <= {"ok", "code_error", "timeout", "out_of_memory"}
    for picture, pixels in ((rendering.png, 720**2), (rendering.judge_png, 61 * 10**6)):
        if picture is not None:
            width, height = (int.from_bytes(picture[i : i + 4], "big") for i in (16, 20))
            assert width * height <= pixels


# ---------------------------------------------------------------------------------------- time

ENDLESS = {
    "a loop": "while True: pass",
    "a loop that ignores signals": """
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True: pass
""",
    "a loop in C": "sum(iter(int, 1))",
    "a big number": "10 ** 10 ** 10",
    "a regular expression": "import re; re.match('(a|aa)+$', 'a' * 99 + 'b')",
    "print": "import sys\nwhile True: print('x' * 9999, file=sys.stderr); print('x' * 9999)",
    "a generator of figures": """
import matplotlib.pyplot as plt
while True: plt.close(plt.figure())
""",
    "what is drawn": """
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
class Endless(Artist):
    def draw(self, renderer):
        while True: pass
plt.gca().add_artist(Endless())
""",
    "the words of an error": """
class Endless(Exception):
    def __str__(self):
        while True: pass
raise Endless
""",
    "the end of an object": """
class Endless:
    def __del__(self):
        while True: pass
Endless()
""",
    "threads": """
import threading
def loop():
    while True: pass
for _ in range(4): threading.Thread(target=loop).start()
threading.Event().wait()
""",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_work_is_a_timeout(
    strongest: ChartRenderer, draw: Draw, limits: LimitsOf, what: str
) -> None:
    with limits(strongest, cpu_seconds=1):
        rendering = draw(strongest, ENDLESS[what], modes=("official",))
    assert rendering.official.status == "timeout"


def test_catching_the_limit_does_not_lift_it(
    strongest: ChartRenderer, draw: Draw, limits: LimitsOf
) -> None:
    script = """
import signal
def handler(*_): raise RuntimeError
signal.signal(signal.SIGXCPU, handler)
while True:
    try:
        while True: pass
    except BaseException:
        pass
"""
    with limits(strongest, cpu_seconds=1):
        rendering = draw(strongest, script, modes=("official",))
    assert rendering.official.status in ("timeout", "code_error")


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(10**6)",
        "import signal; signal.pause()",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import threading; threading.Event().wait()",
        "import os; read_end, write_end = os.pipe(); os.read(read_end, 1)",
    ],
)
def test_waiting_for_ever_is_a_timeout(
    strongest: ChartRenderer, draw: Draw, limits: LimitsOf, code: str
) -> None:
    with limits(strongest, wall_seconds=2):
        assert draw(strongest, code, modes=("official",)).official.status == "timeout"


def test_a_thread_that_goes_on_is_an_error(strongest: ChartRenderer, draw: Draw) -> None:
    """It could change what is measured while it is measured."""
    script = """
import threading, time
import matplotlib.pyplot as plt
plt.title("done")
threading.Thread(target=time.sleep, args=(10**6,)).start()
"""
    drawing = draw(strongest, script).official
    assert (drawing.status, drawing.error) == (
        "code_error",
        "the script left a thread running",
    )


@pytest.mark.parametrize(
    "code",
    [
        "def f(): f()\nf()",
        "import sys; sys.setrecursionlimit(10**9)\nnested = []\n"
        "for _ in range(10**6): nested = [nested]\nrepr(nested)",
        "import ctypes; ctypes.string_at(0)",
        "import sys; sys.setrecursionlimit(10**9)\ndef f(_): return sorted([1, 2], key=f)\nf(0)",
        "(" * 500 + ")" * 500,
        "x = " + "-" * 10**5 + "1",
        "x = a" + ".a" * 10**5,
        "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 200)),
    ],
    ids=range(8),
)
def test_depth_is_an_error_of_the_script(
    strongest: ChartRenderer, draw: Draw, limits: LimitsOf, code: str
) -> None:
    with limits(strongest, cpu_seconds=2):
        assert statuses(draw(strongest, code)) <= {"code_error", "timeout", "out_of_memory"}


# --------------------------------------------------------------------------------------- files

DISK = {
    "one huge file": """
with open("huge", "wb") as stream:
    while True: stream.write(bytes(2**20))
""",
    "many large files": """
for number in range(200):
    with open(str(number), "wb") as stream: stream.write(bytes(7 * 2**20))
""",
    "a million files": """
for number in range(10**6): open(str(number), "w").close()
""",
    "a million folders": """
for number in range(10**6): os.mkdir(str(number))
""",
    "space reserved beyond the end of a file": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
descriptor = os.open("reserved", os.O_CREAT | os.O_RDWR)
if libc.fallocate(descriptor, 1, ctypes.c_long(0), ctypes.c_long(2**28)) < 0:
    raise OSError(ctypes.get_errno(), "fallocate")
""",
    "files without a name": """
descriptors = []
for number in range(100):
    descriptors.append(os.open("x", os.O_CREAT | os.O_RDWR))
    os.unlink("x")
    os.write(descriptors[-1], bytes(2**20))
""",
    "large files without a name": """
for number in range(8):
    descriptor = os.open("x", os.O_CREAT | os.O_RDWR)
    os.unlink("x")
    for _ in range(7): os.write(descriptor, bytes(2**20))
""",
    "files that are mapped, with neither a name nor a descriptor": """
import mmap
maps = []
for number in range(8):
    with open("x", "w+b") as stream:
        for _ in range(7): stream.write(bytes(2**20))
        stream.flush()
        maps.append(mmap.mmap(stream.fileno(), 4096, prot=mmap.PROT_READ))
    os.unlink("x")
""",
    "descriptors of a thread's own": """
import ctypes, threading
libc = ctypes.CDLL(None, use_errno=True)
def hold(number):
    if libc.close_range(5000, 5000, 2) < 0:  # CLOSE_RANGE_UNSHARE
        os._exit(1)
    for at in range(10):
        os.open(f"{number}-{at}", os.O_CREAT | os.O_RDWR)
        os.unlink(f"{number}-{at}")
for number in range(4): threading.Thread(target=hold, args=(number,)).start()
""",
    "files in folders that are renamed all the time": """
import threading
os.makedirs("/".join(f"d{depth}" for depth in range(6)))
folders = [os.open(".", os.O_RDONLY)]
for depth in range(6): folders.append(os.open(f"d{depth}", os.O_RDONLY, dir_fd=folders[-1]))
stop = False
def toggle(depth):
    here, there = f"d{depth}", f"e{depth}"
    while not stop:
        os.rename(here, there, src_dir_fd=folders[depth], dst_dir_fd=folders[depth])
        here, there = there, here
threads = [threading.Thread(target=toggle, args=(depth,)) for depth in range(3)]
for thread in threads: thread.start()
for number in range(8):
    descriptor = os.open(f"x{number}", os.O_CREAT | os.O_RDWR, dir_fd=folders[-1])
    for _ in range(7): os.write(descriptor, bytes(2**20))
    os.close(descriptor)
time.sleep(2)
stop = True
for thread in threads: thread.join()
for number in range(8): os.unlink(f"x{number}", dir_fd=folders[-1])
""",
    "files under a very long path": """
for _ in range(30):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
for number in range(100):
    with open(str(number), "wb") as stream: stream.write(bytes(2**20))
""",
    "a sparse file that is filled later": """
with open("sparse", "wb") as stream: stream.truncate(2**40)
""",
}


@pytest.mark.parametrize("what", DISK)
def test_the_disk_is_bounded(
    renderer: ChartRenderer, draw: Draw, limits: LimitsOf, what: str
) -> None:
    """Whoever keeps more than 32 MiB or 300 files for a second has failed by then."""
    script = f"import os, time\n{DISK[what]}\ntime.sleep(1.5)\n{EMPTY_CHART}"
    with limits(renderer, cpu_seconds=20):
        assert statuses(draw(renderer, script)) == {"code_error"}


def test_folders_in_folders(renderer: ChartRenderer, draw: Draw, limits: LimitsOf) -> None:
    """Clearing up must not go as deep as the script went."""
    script = "import os\nfor _ in range(1200):\n    os.mkdir('d')\n    os.chdir('d')"
    with limits(renderer, scratch_files=5000):
        assert statuses(draw(renderer, script)) == {"code_error"}


@pytest.mark.parametrize(
    "code",
    [
        "os.umask(0o777); os.makedirs('locked'); open('locked.txt', 'w').close()",
        "os.mkdir(b'\\xff\\xfe'); open(b'\\xff\\xfe/\\n\\x01-rf \\xf0', 'w').close()",
        "open('a' * 255, 'w').close(); open('-rf *', 'w').close(); open('$(id)', 'w').close()",
        "os.mkdir('output.png'); os.mkdir('x'); os.chdir('x'); os.rmdir('../x')",
    ],
)
def test_hostile_names_and_modes_are_cleared_up(
    renderer: ChartRenderer, draw: Draw, code: str
) -> None:
    rendering = draw(renderer, f"import os; {code}\nimport matplotlib.pyplot as plt\nplt.plot([1])")
    assert rendering.official.status in ("ok", "code_error")


# -------------------------------------------------------------------------------- descriptors


@pytest.mark.parametrize(
    "open_one", ["os.open('x', os.O_CREAT)", "os.pipe()[0]", "os.dup(0)", "os.eventfd(0)"]
)
def test_descriptors_are_bounded(strongest: ChartRenderer, ask: Ask, open_one: str) -> None:
    script = f"""
import os
answer = 0
opened = []
try:
    while True: opened.append({open_one}); answer += 1
except OSError:
    for descriptor in opened: os.close(descriptor)
"""
    assert int(ask(strongest, script)) <= 256


def test_threads_are_bounded(renderer: ChartRenderer, ask: Ask) -> None:
    """The system has room for some 30,000 of all users together."""
    script = """
import threading, _thread
threading.stack_size(32768)
gate = _thread.allocate_lock()
gate.acquire()
answer = 0
try:
    for _ in range(3000):
        _thread.start_new_thread(gate.acquire, ())
        answer += 1
except RuntimeError:
    pass
"""
    assert int(ask(renderer, script)) < 3000


def test_some_threads_are_allowed(renderer: ChartRenderer, ask: Ask) -> None:
    script = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(16) as pool:
    answer = sum(pool.map(lambda x: x * x, range(100)))
"""
    assert ask(renderer, script) == str(sum(x * x for x in range(100)))


# -------------------------------------------------------------------------------------- output


def test_a_flood_into_the_result_pipe(strongest: ChartRenderer, draw: Draw) -> None:
    script = """
import os
for descriptor in range(3, 5000):
    try:
        while True: os.write(descriptor, bytes(2**20))
    except OSError:
        pass
"""
    drawing = draw(strongest, script).official
    assert (drawing.status, drawing.error) == ("code_error", "returned too much output")


def test_a_flood_of_texts(strongest: ChartRenderer, draw: Draw, limits: LimitsOf) -> None:
    script = """
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.font_manager import FontProperties
class Flood(Artist):
    def draw(self, renderer):
        for _ in range(10**7):
            renderer.draw_text(renderer.new_gc(), 0, 0, "x", FontProperties(), 0)
plt.gca().add_artist(Flood())
"""
    with limits(strongest, cpu_seconds=2):
        assert statuses(draw(strongest, script)) == {"timeout"}


def test_more_texts_than_a_frame_holds(strongest: ChartRenderer, draw: Draw) -> None:
    """40 MB, put into the recorder's own list, which is quicker than drawing them."""
    script = """
import matplotlib.pyplot as plt
from matplotlib.backends.backend_pdf import RendererPdf
plt.figure()
cells = [cell.cell_contents for cell in RendererPdf.draw_text.__closure__]
recorder = next(content for content in cells if hasattr(content, "texts"))
recorder.texts += ["x" * 1000] * 40_000
"""
    assert draw(strongest, script).official.status == "code_error"


def test_a_script_larger_than_a_frame(strongest: ChartRenderer, draw: Draw) -> None:
    """The server must not take it for a broken connection."""
    assert statuses(draw(strongest, "#" + "x" * 40_000_000)) == {"code_error"}
