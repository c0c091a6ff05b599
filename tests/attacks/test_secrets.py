"""Secrets: the reference, what other items draw, and the host's keys are nowhere in reach.

A script may look at every object of its interpreter and every byte of its memory. So nothing that
it should not know may ever have been in the process from which it was forked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.types import Rendering

Ask = Callable[[ChartRenderer, str], str]
Draw = Callable[..., Rendering]
Children = Callable[[int], list[int]]

SECRET = "the-title" + "-of-the-reference"
REFERENCE = f"""
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.title({SECRET!r})
plt.savefig("reference.pdf")
"""

# Reads memory through a pipe: where nothing is mapped, the write fails instead of the process.
SEARCH_MEMORY = """
import ctypes, os
needle = bytes(reversed(NEEDLE))
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
read_end, write_end = os.pipe()
size = 1 << 16
starts = {address >> 28 for address in (
    id(needle), id(os), id(bytes(10**5)), id(lambda: 0), libc.malloc(100), libc.malloc(10**7),
)}
found = []
for start in sorted({start + near for start in starts for near in (-1, 0, 1)}):
    for address in range(start << 28, (start + 1) << 28, size):
        got = libc.write(write_end, ctypes.c_void_p(address), ctypes.c_size_t(size))
        if got > 0:
            chunk = os.read(read_end, got)
            at = chunk.find(needle)
            while at >= 0:
                if b"reference" in chunk[at : at + 40]:
                    found.append(chunk[max(0, at - 30) : at + 30])
                at = chunk.find(needle, at + 1)
answer = found
""".replace("NEEDLE", repr(("title" + "-of-the-").encode()[::-1]))


def test_a_reference_leaves_nothing_in_memory(renderer: ChartRenderer, ask: Ask) -> None:
    renderer.render(ChartScript(REFERENCE, append_save=False))
    assert ask(renderer, SEARCH_MEMORY) == "[]"


def test_the_search_finds_what_is_there(strongest: ChartRenderer, ask: Ask) -> None:
    """The test above would pass if the search found nothing ever."""
    script = f"kept = {SECRET!r} + ' '.join(map(str, range(9)))\n{SEARCH_MEMORY}"
    assert SECRET[3:] in ask(strongest, script)


SEARCH_FRAMES = """
import gc, sys, warnings  # which the repr of some objects asks for
from collections.abc import Collection
frame, found = sys._getframe(), []
while frame is not None:
    for name, value in list(frame.f_locals.items()):
        found.append(repr(value))
        found.append(repr(getattr(value, "__dict__", "")))
        found += [repr(list(part)) for part in list(getattr(value, "__dict__", {}).values())
                  if isinstance(part, Collection)]
    frame = frame.f_back
found += [repr(thing) for thing in gc.get_objects() if type(thing) in (dict, list, tuple, str)]
needle = "".join(reversed(NEEDLE))
answer = [text[:60] for text in found if needle in text]
""".replace("NEEDLE", repr("of-the-reference"[::-1]))


def test_a_reference_that_waits_its_turn_is_not_seen(
    renderer: ChartRenderer, ask: Ask, draw: Draw
) -> None:
    """With both workers busy, an answer and after it a reference are sent."""
    slow = "import time; time.sleep(1)"
    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(draw, renderer, slow, modes=("official",)) for _ in range(2)]
        wait_a_little()
        attack: Future[str] = pool.submit(ask, renderer, SEARCH_FRAMES)
        wait_a_little()
        reference = pool.submit(renderer.render, ChartScript(REFERENCE, append_save=False))
        assert attack.result() == "[]"
        assert reference.result().official.elements.texts == (SECRET,)
    assert all(future.done() for future in busy)


def wait_a_little() -> None:
    """So that requests arrive in this order; if they do not, the attack only has less to find."""
    threading.Event().wait(0.2)


def test_an_item_beside_is_not_seen(
    renderer: ChartRenderer, ask: Ask, draw: Draw, children: Children
) -> None:
    """One item writes into its scratch folder; another, at the same time, looks for that."""
    victim = """
import time
open("notes.txt", "w").write("mine")
time.sleep(2)
import matplotlib.pyplot as plt
plt.title(open("notes.txt").read())
"""
    with ThreadPoolExecutor(1) as pool:
        mine = pool.submit(draw, renderer, victim)
        while not (beside := children(renderer.server_pid())):
            wait_a_little()
        assert ask(renderer, looking_for_notes(beside[0])) == "[]"
        assert mine.result().official.elements.texts == ("mine",)


def looking_for_notes(pid: int) -> str:
    return f"""
import glob, os
answer = []
here = os.getcwd()
places = ["..", "../..", here + "/..", "/proc/{pid}/cwd", "/proc/{pid}/root", "/tmp"]
for place in places:
    for name in ("", "notes.txt", "scratch/notes.txt"):
        try:
            path = os.path.join(place, name)
            seen = os.listdir(path) if name == "" else open(path).read()
            answer += [(place, seen)] if seen else []
        except OSError:
            pass
answer += glob.glob("../*/notes.txt") + glob.glob(os.path.dirname(here) + "/*/*")
for number in range(1, 10):
    for name in (f"../scratch-{{number}}", f"../scratch-{{number}}/notes.txt"):
        if os.path.exists(name):
            answer.append(name)
"""


def test_the_environment_of_the_host_is_not_seen(renderer: ChartRenderer, ask: Ask) -> None:
    script = """
import ctypes, os
allowed = {"PATH", "HOME", "LC_ALL", "TZ", "TMPDIR", "MPLBACKEND", "MPLCONFIGDIR"}
allowed |= {"USER", "LOGNAME"} if os.environ["USER"] == os.environ["LOGNAME"] == "user" else set()
block = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
names, at = set(os.environ), 0
while block[at] is not None:
    names.add(block[at].partition(b"=")[0].decode())
    at += 1
answer = sorted(
    name for name in names - allowed
    if not name.endswith("_NUM_THREADS") and not name.startswith(("PYTHON", "SOURCE_DATE"))
)
"""
    assert ask(renderer, script) == "[]"


def test_the_keys_of_the_host_are_not_in_memory(renderer: ChartRenderer, ask: Ask) -> None:
    """As the reference above: the fixtures put ``sk-attack-...`` into the host's environment."""
    needle = repr(b"sk-attack-"[::-1])
    search = SEARCH_MEMORY.replace(repr(b"title-of-the-"[::-1]), needle)
    assert ask(renderer, search.replace('b"reference"', 'b"7f3a"')) == "[]"


def test_descriptors_are_few_and_harmless(renderer: ChartRenderer, ask: Ask) -> None:
    """Three on /dev/null and one pipe; none of the server's."""
    script = """
import os, stat
answer = []
for descriptor in range(5000):
    try:
        mode = os.fstat(descriptor).st_mode
        answer.append("pipe" if stat.S_ISFIFO(mode) else "device" if stat.S_ISCHR(mode) else mode)
    except OSError:
        pass
"""
    assert ask(renderer, script) == str(["device"] * 3 + ["pipe"])


def test_working_and_home_folder_tell_nothing(renderer: ChartRenderer, ask: Ask) -> None:
    script = """
import os
home = os.path.expanduser("~")
answer = (os.listdir("."), os.listdir(home), home == os.environ["HOME"], "HOST_HOME" in home)
"""
    script = script.replace("HOST_HOME", str(Path.home()))
    assert ask(renderer, script) == str((["script.py"], [], True, False))


def test_an_error_names_no_path_of_the_host(renderer: ChartRenderer, draw: Draw) -> None:
    """What is raised is shown to people and may be fed back to the model."""
    script = "import os; raise RuntimeError(f'{os.getcwd()} {os.__file__} /home/me/a.txt')"
    assert draw(renderer, script).official.error == "RuntimeError:  os.py /home/me/a.txt (line 1)"


def test_nothing_is_handed_down_from_item_to_item(renderer: ChartRenderer, ask: Ask) -> None:
    left: list[Any] = [
        "import builtins, matplotlib; builtins.left = 1; matplotlib.left = 1; answer = 0",
        "import matplotlib.pyplot as plt; plt.rcParams['font.size'] = 33; answer = 0",
        "import os; os.environ['LEFT'] = '1'; os.umask(0); answer = 0",
    ]
    for script in left:
        ask(renderer, script)
    script = """
import builtins, matplotlib, os
import matplotlib.pyplot as plt
answer = (hasattr(builtins, "left"), hasattr(matplotlib, "left"), "LEFT" in os.environ,
          plt.rcParams["font.size"], plt.get_fignums())
"""
    assert ask(renderer, script) == "(False, False, False, 10.0, [])"
