# Scripts that look at their process: user, environment, threads, random numbers, limits.

# %% main-name
seen = f"{__name__} {__doc__} {__package__} {__spec__}"

# %% main-module
import sys

seen = f"{sys.modules['__main__'].__name__} {hasattr(sys.modules['__main__'], 'sys')} {'__builtins__' in globals()}"

# %% main-names
seen = " ".join(sorted(name for name in globals()))

# %% main-guard
def main():
    global seen
    seen = "main ran"


if __name__ == "__main__":
    main()

# %% main-loader
seen = type(__loader__).__name__

# %% annotations-of-main
x: int = 3
seen = str(__annotations__)

# %% pickling-an-own-class
import pickle


class Point:
    def __init__(self, x):
        self.x = x


seen = str(pickle.loads(pickle.dumps(Point(3))).x)

# %% dataclass
from dataclasses import dataclass


@dataclass
class Row:
    name: str
    value: float = 1.0


seen = str(Row("a"))

# %% arguments
import sys

seen = f"{len(sys.argv)} {sys.argv[0].endswith('.py')}"

# %% argparse
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=3)
seen = str(parser.parse_args().n)

# %% flags
import sys

seen = f"{sys.flags.optimize} {sys.flags.isolated} {sys.flags.no_site} {sys.dont_write_bytecode} {sys.flags.hash_randomization}"

# %% encodings
import locale
import sys

seen = f"{sys.stdout.encoding.lower()} {sys.getfilesystemencoding()} {locale.getpreferredencoding().lower()}"

# %% print-unicode
print("Grüße 你好 😀")
seen = "printed"

# %% print-much
for i in range(20000):
    print("line", i)
seen = "printed"

# %% standard-streams
import sys

seen = f"{sys.stdin is not None} {sys.stdout.isatty()} {sys.stderr.writable()}"

# %% standard-input
import sys

try:
    line = input()
    seen = "a line"
except EOFError:
    seen = "end of file"

# %% write-to-error-stream
import sys

sys.stderr.write("a warning\n")
seen = "written"

# %% stdout-descriptor
import os

seen = str(os.write(1, b"text\n"))

# %% locale
import locale

locale.setlocale(locale.LC_ALL, "")
seen = str(locale.localeconv()["decimal_point"])

# %% environment-usual
import os

seen = " ".join(name for name in ("PATH", "HOME") if name in os.environ)

# %% environment-set
import os

os.environ["MY_SETTING"] = "3"
seen = os.getenv("MY_SETTING")

# %% environment-of-ours
import os

seen = " ".join(sorted(name for name in os.environ if name.startswith(("RRVF", "SOURCE_DATE"))))

# %% user
import os

seen = f"{os.getuid() >= 0} {os.getpid() > 0} {os.getppid() > 0}"

# %% user-name
import getpass

seen = str(len(getpass.getuser()) > 0)

# %% user-record
import os
import pwd

record = pwd.getpwuid(os.getuid())
seen = f"{len(record.pw_name) > 0} {record.pw_uid == os.getuid()}"

# %% host-name
import platform
import socket

seen = f"{len(platform.node()) > 0} {len(socket.gethostname()) > 0} {platform.system()}"

# %% processors
import os

seen = f"{os.cpu_count() >= 1} {len(os.sched_getaffinity(0)) >= 1}"

# %% thread
import threading

values = []
thread = threading.Thread(target=lambda: values.append(3))
thread.start()
thread.join()
seen = f"{values} {threading.current_thread().name} {threading.active_count()}"

# %% thread-daemon
import threading
import time

thread = threading.Thread(target=time.sleep, args=(0.2,), daemon=True)
thread.start()
seen = str(thread.is_alive())

# %% thread-local
import threading

local = threading.local()
local.value = 1
seen = f"{local.value} {threading.main_thread() is threading.current_thread()}"

# %% thread-pool
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(8) as pool:
    seen = str(sum(pool.map(lambda x: x * x, range(50))))

# %% thread-pool-of-multiprocessing
from multiprocessing.pool import ThreadPool

with ThreadPool(4) as pool:
    seen = str(sum(pool.map(abs, range(10))))

# %% thread-lock-and-queue
import queue
import threading

items = queue.Queue()
lock = threading.RLock()
with lock:
    items.put(1)
seen = f"{items.get(timeout=5)} {threading.Event().is_set()}"

# %% thread-timer
import threading

done = threading.Event()
threading.Timer(0.05, done.set).start()
seen = str(done.wait(10))

# %% many-threads
import threading

barrier = threading.Barrier(41)
threads = [threading.Thread(target=barrier.wait) for _ in range(40)]
for thread in threads:
    thread.start()
barrier.wait()
for thread in threads:
    thread.join()
seen = str(len(threads))

# %% asyncio
import asyncio


async def twice(x):
    await asyncio.sleep(0.01)
    return 2 * x


async def main():
    return await asyncio.gather(twice(1), twice(2))


seen = str(asyncio.run(main()))

# %% asyncio-in-a-thread
import asyncio


async def main():
    return await asyncio.to_thread(sum, [1, 2, 3])


seen = str(asyncio.run(main()))

# %% asyncio-loop
import asyncio

loop = asyncio.new_event_loop()
seen = str(loop.run_until_complete(asyncio.sleep(0, result=5)))
loop.close()

# %% socket-pair
import socket

left, right = socket.socketpair()
left.sendall(b"hello")
seen = right.recv(5).decode()

# %% pipe
import os

reading, writing = os.pipe()
os.write(writing, b"abc")
seen = os.read(reading, 3).decode()

# %% semaphore
import multiprocessing

lock = multiprocessing.Lock()
with lock:
    seen = "held"

# %% shared-value
import multiprocessing

value = multiprocessing.Value("i", 3)
value.value += 1
seen = str(value.value)

# %% signals
import signal

signal.signal(signal.SIGALRM, lambda *_: None)
seen = str(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

# %% exit-functions
import atexit

atexit.register(lambda: print("bye"))
seen = "registered"

# %% exit-in-the-middle
import sys

sys.exit(0)
seen = "reached"

# %% warnings-filters
import warnings

seen = " ".join(f"{f[0]}:{f[2].__name__}" for f in warnings.filters)

# %% warnings-filters-after-imports
import warnings

import matplotlib.pyplot
import numpy
import pandas
import seaborn

seen = " ".join(f"{f[0]}:{f[2].__name__}:{f[3]}" for f in warnings.filters)

# %% warning-becomes-an-error
import warnings

warnings.simplefilter("error")
warnings.warn("now an error")
seen = "reached"

# %% warnings-caught
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("seen", UserWarning)
seen = str(len(caught))

# %% warning-registry-of-numpy
import warnings

import numpy as np

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("default")
    np.array([1.0]) / 0
seen = str(len(caught))

# %% logging
import logging

root = logging.getLogger()
seen = f"{root.level} {len(root.handlers)} {logging.getLogger('matplotlib').level}"

# %% logging-written
import logging

logging.basicConfig(level=logging.INFO)
logging.info("a line")
seen = str(len(logging.getLogger().handlers))

# %% random-seeded
import random

import numpy as np

random.seed(3)
np.random.seed(3)
seen = f"{random.random():.6f} {np.random.rand():.6f} {np.random.default_rng(3).random():.6f}"

# %% random-unseeded-differs-between-calls
import random

import numpy as np

seen = f"{random.random() != random.random()} {np.random.rand() != np.random.rand()}"

# %% random-identifiers
import secrets
import uuid

seen = f"{len(str(uuid.uuid4()))} {len(secrets.token_hex(4))} {uuid.uuid4() != uuid.uuid4()}"

# %% hashes-of-strings
seen = str(list({"b", "a", "c", "d"}) == sorted({"b", "a", "c", "d"}, key=hash) or True)

# %% recursion-limit
import sys

seen = str(sys.getrecursionlimit())

# %% recursion-deep
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


seen = str(depth(900))

# %% recursion-too-deep
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


try:
    depth(100000)
    seen = "no error"
except RecursionError:
    seen = "too deep"

# %% recursion-raised-limit
import sys

sys.setrecursionlimit(20000)


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


seen = str(depth(5000))

# %% memory-array
import numpy as np

values = np.ones((4000, 4000))
seen = str(values.sum())

# %% memory-list
values = list(range(3_000_000))
seen = str(len(values))

# %% garbage
import gc

seen = f"{gc.isenabled()} {gc.get_freeze_count() == 0 or True}"

# %% trace
import sys

seen = f"{sys.gettrace()} {sys.getprofile()}"

# %% hooks
import sys

seen = f"{sys.excepthook is sys.__excepthook__} {sys.displayhook is sys.__displayhook__}"

# %% builtins
import builtins

names = ("exit", "quit", "copyright", "help", "open", "input", "breakpoint")
seen = " ".join(name for name in names if hasattr(builtins, name))

# %% quit-ends-the-script
quit()
seen = "reached"

# %% time-and-date
import datetime
import time

seen = f"{datetime.datetime.now().year >= 2024} {time.time() > 1.7e9}"

# %% time-measured
import time

start = time.perf_counter()
time.sleep(0.05)
seen = str(time.perf_counter() - start >= 0.05)

# %% threads-of-blas
import numpy as np

a = np.random.default_rng(0).random((300, 300))
seen = f"{np.linalg.det(a @ a.T) > 0}"

# %% ctypes
import ctypes

seen = str(ctypes.CDLL(None).abs(-3))

# %% decimal-and-fractions
from decimal import Decimal, getcontext
from fractions import Fraction

seen = f"{Decimal(1) / 3} {getcontext().prec} {Fraction(1, 3)}"

# %% display-of-ipython
try:
    get_ipython()
    seen = "in a notebook"
except NameError:
    seen = "no notebook"

# %% interactive-mode
import sys

seen = f"{hasattr(sys, 'ps1')} {sys.flags.interactive}"
