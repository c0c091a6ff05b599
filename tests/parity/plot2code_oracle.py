"""Plot2Code's text score, written down from the rule alone: the other side of its parity tests.

Nothing here is the product's. Called as a program it reads folders, one a line: in a fork for each,
in which nothing but pyplot was imported, it executes the folder's ``script.py``, does to its figure
what the benchmark does, and pickles what it found into ``found.pickle``; :func:`match` then
compares two of these by edit distances, pair by pair. Differs from the benchmark's own program in
nothing but the seeds, which the product sets as well.
"""

from __future__ import annotations

import io
import itertools
import os
import pickle
import random
import sys
import traceback
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np


@dataclass
class Found:
    """What a script amounts to.

    Attributes:
        drawn: It ran, and its picture is not all white.
        texts: Every visible text, lower case, stripped, not empty.
        positions: An array for each, of whatever kind numpy makes of the position.
        inches: Size of the figure.
    """

    drawn: bool
    texts: list[str] = field(default_factory=list)
    positions: list[Any] = field(default_factory=list)
    inches: Any = None


def execute(code: str) -> Found:
    import matplotlib
    import matplotlib.pyplot as plt

    random.seed(0)
    np.random.seed(0)
    seeds = itertools.count(0x5EED)
    np.random.bit_generator.randbits = lambda bits: next(seeds) % (1 << bits)
    try:
        exec(compile(code, "script.py", "exec", dont_inherit=True), {"__name__": "__main__"})
        figure = plt.gcf()
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
    except (Exception, SystemExit) as error:
        print(f"{type(error).__name__}: {error}")
        return Found(drawn=False)
    plt.close()
    matplotlib.rcdefaults()
    plt.cla()
    plt.clf()
    plt.close("all")
    found = Found(drawn=not is_white(picture), inches=np.array(figure.get_size_inches()))
    collect(figure, found)
    return found


def is_white(picture: io.BytesIO) -> bool:
    from PIL import Image

    return bool((np.asarray(Image.open(picture)) == 255).all())


def collect(artist: Any, found: Found) -> None:
    from matplotlib.text import Text

    if isinstance(artist, Text) and artist.get_visible():
        said = artist.get_text().lower().strip()
        if said != "":
            found.texts.append(said)
            found.positions.append(np.array(artist.get_position()))
    for child in artist.get_children():
        collect(child, found)


def match(reference: Found, generated: Found) -> float:
    """The score of two figures that have been drawn."""
    ratio = reference.inches / generated.inches
    others = list(zip(generated.texts, generated.positions, strict=True))
    pairs = 0
    for text, position in zip(reference.texts, reference.positions, strict=True):
        best: tuple[int, int] | None = None  # distance, index
        for index, (other, place) in enumerate(others):
            if is_near(position, place, ratio):
                distance = edit_distance(text, other)
                if best is None or distance < best[0]:
                    best = (distance, index)
        if best is not None and best[0] == 0:
            pairs += 1
            del others[best[1]]
    unmatched = len(reference.texts) - pairs
    total = pairs + unmatched + len(others)
    return pairs / total if total > 0 else 1.0


def is_near(position: Any, other: Any, ratio: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            apart = np.sqrt(np.sum((position - other * ratio) ** 2))
            return bool(np.exp(-apart / 100) > 0.8)
        except Exception:  # a date or a category has no distance: such a pair never matches
            return False


@lru_cache(maxsize=1 << 18)
def edit_distance(left: str, right: str) -> int:
    """Insertions, deletions and replacements that make one of the other."""
    row = list(range(len(right) + 1))
    for i, sign in enumerate(left, start=1):
        above, row = row, [i]
        for j, other in enumerate(right, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (sign != other)))
    return row[-1]


def serve() -> None:
    """Answer each folder on stdin with the status of the process that looked at its script."""
    import matplotlib.pyplot  # noqa: F401 - what every execution imports first

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            look_at(Path(line.rstrip("\n")))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def look_at(folder: Path) -> NoReturn:
    status = 1
    try:
        os.chdir(folder)
        found = execute(Path("script.py").read_text(encoding="utf-8"))
        Path("found.pickle").write_bytes(pickle.dumps(found))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    # Under this name the pickle can be read where this file is imported as a module of the tests.
    Found.__module__ = "tests.parity.plot2code_oracle"
    sys.modules[Found.__module__] = sys.modules["__main__"]
    serve()
