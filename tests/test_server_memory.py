"""What the chart server does to its heap before its forks share it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FILL = """
import ctypes, json, random
from rrvf.renderers.chart_server import memory

libc = ctypes.CDLL(None)
if not hasattr(libc, "mallinfo2"):
    print(json.dumps(None))
    raise SystemExit
libc.mallinfo2.restype = memory.HeapCounts
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
sizes = random.Random(0)
pieces = [libc.malloc(sizes.randint(16, 3000)) for _ in range(5000)]
for piece in pieces[::2]:
    libc.free(piece)
before = libc.mallinfo2()
memory.fill_gaps()
after = libc.mallinfo2()
print(json.dumps([before.fordblks, before.ordblks, after.ordblks, after.arena - before.arena]))
"""
NOT_GLIBC = """
import ctypes
from rrvf.renderers.chart_server import memory

class Library:
    def __init__(self, name): pass
ctypes.CDLL = Library
memory.fill_gaps()
"""
ANOTHER_MALLOC = """
import ctypes
from rrvf.renderers.chart_server import memory

class Function:
    def __call__(self, *arguments): return memory.HeapCounts(arena=1 << 20, fordblks=1 << 20)
class Library:
    def __init__(self, name): self.mallinfo2 = self.malloc = self.malloc_trim = Function()
ctypes.CDLL = Library
memory.fill_gaps()
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hardly_a_gap_is_left_and_little_is_taken() -> None:
    counts = json.loads(run(FILL))
    if counts is None:
        pytest.skip("needs glibc 2.33")
    free_bytes, gaps, gaps_left, growth = counts
    assert gaps > 1000
    assert gaps_left < 20
    assert growth < free_bytes + 4 * 2**20


@pytest.mark.parametrize("code", [NOT_GLIBC, ANOTHER_MALLOC])
def test_other_libraries_are_left_alone(code: str) -> None:
    run(code)
