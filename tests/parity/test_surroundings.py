"""Scripts that look at or use their surroundings: a fresh interpreter beside our forks.

A cell of ``surroundings/*.py`` begins with ``# %% name`` and is a script of its own. What it found
out, ``seen``, is drawn with the chart, so that it reaches the texts that the official evaluators
log. Each script is run by those evaluators in fresh interpreters, unconfined and without a display,
and by us: status and the four scores must be equal. And what it saw must be what it sees in a plain
``python3 script.py``: the evaluators import packages themselves before a script begins.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from rrvf.renderers.chart import ChartRenderer, Limits
from tests.parity import oracle
from tests.parity.test_parity import Ours, differences_of, oracle_python, our_side
from tests.runs import kept_renderer

SURROUNDINGS = Path(__file__).parent / "surroundings"
CELL = re.compile(r"^# %% ([a-z0-9-]+)\n", re.MULTILINE)
TAIL = """
import matplotlib.pyplot as plt

if not plt.get_fignums():
    plt.bar(["a", "b"], [1, 2], color=["red", "blue"])
    plt.title("Sales")
plt.gcf().text(0.01, 0.01, "seen: " + str(seen).replace("$", ""))
"""
TOLD = """
print("\\nseen: " + str(seen).replace("$", ""))
"""
REFERENCE = f'seen = "nothing"\n{TAIL}plt.savefig("reference.pdf")\n'

WALLS: Mapping[str, str] = {
    "drawing-walls-subprocess": "process pools and subprocesses are not run in the confinement",
    "drawing-walls-process-pool": "process pools and subprocesses are not run in the confinement",
    "drawing-walls-fork": "the confinement refuses this system call",
    "files-links": "the confinement refuses this system call",
}
"""Scripts that a wall of the confinement stops; what their error names."""

SEES_MORE: Mapping[str, str] = {
    "others-traceback-and-stack": "the calls that run a script lie below its own on the stack"
}
"""Scripts that score alike and see more; what that is."""


@dataclass(frozen=True)
class Cell:
    """One script; its name holds that of its file."""

    name: str
    code: str

    def pair(self) -> oracle.Pair:
        completion = f"```python\n{self.code}{TAIL}```"
        return oracle.Pair(self.name, REFERENCE, completion)


def read_cells() -> list[Cell]:
    cells: list[Cell] = []
    for path in sorted(SURROUNDINGS.glob("*.py")):
        _, *parts = CELL.split(path.read_text(encoding="utf-8"))
        names, bodies = parts[0::2], parts[1::2]
        cells += [
            Cell(f"{path.stem}-{name}", body) for name, body in zip(names, bodies, strict=True)
        ]
    return cells


def find_differences(outcome: oracle.Outcome, ours: Ours | None) -> list[str]:
    """What differs between the official outcome of a script and ours, in words."""
    why = "" if ours is None or ours.drawing.error is None else f" ({ours.drawing.error})"
    return [line + why for line in differences_of(outcome["name"], outcome, ours)]


def observe_fresh(cell: Cell) -> str | None:
    """What a script finds out in a plain interpreter; ``None`` where it does not end well.

    As with the official evaluators, it does not lie in the working folder.
    """
    hidden = ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY", "RRVF_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as beside:
        script = Path(beside, "script.py")
        script.write_text(f"{cell.code}{TAIL}{TOLD}", encoding="utf-8")
        done = subprocess.run(
            [str(oracle_python()), str(script)],
            cwd=folder,
            env={**environment, "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("seen: ")]
    return lines[-1] if done.returncode == 0 and lines else None


def find_observation(ours: Ours | None) -> str | None:
    """What a script found out in our fork."""
    texts = [] if ours is None or ours.drawing.status != "ok" else ours.drawing.elements.texts
    lines = [text for text in texts if text.startswith("seen: ")]
    return lines[-1] if lines else None


@pytest.fixture(autouse=True)
def settings_of_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has set for Python is not set for the scripts."""
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChartRenderer]:
    with kept_renderer(workers=2, limits=Limits(cpu_seconds=60, wall_seconds=180)) as running:
        yield running


def test_cells_are_enough_and_named_once() -> None:
    names = [cell.name for cell in read_cells()]
    assert len(names) == len(set(names))
    assert len(names) >= 150
    assert set(WALLS) <= set(names)
    assert len(WALLS) <= 8


@pytest.mark.parity
def test_a_fork_is_as_a_fresh_interpreter(renderer: ChartRenderer) -> None:
    pairs = [cell.pair() for cell in read_cells()]
    with ThreadPoolExecutor(2) as pool:
        ours = dict(zip(pairs, pool.map(lambda pair: our_side(renderer, pair), pairs), strict=True))
    outcomes = oracle.ask(oracle_python(), pairs, jobs=2, runner="subprocess")
    differences: list[str] = []
    for pair, drawn in ours.items():
        if pair.name not in WALLS:
            differences += find_differences(outcomes[pair.name], drawn)
    assert differences == []


@pytest.mark.parity
def test_a_script_sees_what_it_would_see_in_a_fresh_interpreter(renderer: ChartRenderer) -> None:
    cells = [cell for cell in read_cells() if cell.name not in {*WALLS, *SEES_MORE}]
    with ThreadPoolExecutor(2) as pool:
        fresh = list(pool.map(observe_fresh, cells))
        ours = list(pool.map(lambda cell: our_side(renderer, cell.pair()), cells))
    differences = [
        f"{cell.name}: fresh {expected!r}, ours {find_observation(drawn)!r}"
        for cell, expected, drawn in zip(cells, fresh, ours, strict=True)
        if expected != find_observation(drawn)
    ]
    assert sum(expected is not None for expected in fresh) >= 150
    assert differences == []


@pytest.mark.parametrize("name", sorted(WALLS))
def test_a_wall_is_named(renderer: ChartRenderer, name: str) -> None:
    (cell,) = [cell for cell in read_cells() if cell.name == name]
    ours = our_side(renderer, cell.pair())
    assert ours is not None
    assert ours.drawing.status == "code_error"
    assert WALLS[name] in (ours.drawing.error or "")
