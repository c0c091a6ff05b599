"""The server's memory, prepared before its forks share it.

A fork that writes to a page of its parent's memory gets a copy of that page. New allocations of a
fork would go into the gaps that loading the packages has left, a few bytes in each of many pages.
So these gaps are filled first. Then a fork's allocations lie together, in pages that need no copy.
"""

from __future__ import annotations

import ctypes

LARGEST, SMALLEST = 1 << 15, 1 << 5
"""Bytes of the pieces that are looked for; the heap grows when there are no more of a size."""
COUNTS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"),
    *("fordblks", "keepcost"),
)


class HeapCounts(ctypes.Structure):
    """What glibc counts of its heap: ``arena`` are its bytes, ``fordblks`` those that are free."""

    _fields_ = [(name, ctypes.c_size_t) for name in COUNTS]

    arena: int
    fordblks: int


def fill_gaps() -> None:
    """Use up the free pieces of the heap; nothing where the C library is another than glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return
    libc.mallinfo2.restype = HeapCounts
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.malloc_trim(0)
    size = LARGEST
    while size >= SMALLEST:
        counts = libc.mallinfo2()
        for _ in range(counts.fordblks // LARGEST + 1):
            for _ in range(LARGEST // size):
                libc.malloc(size - ctypes.sizeof(ctypes.c_size_t))  # in which it notes the size
            if libc.mallinfo2().arena != counts.arena:
                break
        size //= 2
