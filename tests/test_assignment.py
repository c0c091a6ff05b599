"""Assignments are scipy's, whether its solver is loaded alone or with all of ``scipy.optimize``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.optimize

from rrvf.scorers import assignment


@pytest.fixture(autouse=True)
def _load_anew() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    load = assignment._load_solver  # pyright: ignore[reportPrivateUsage]
    load.cache_clear()
    yield
    load.cache_clear()


def compare_with_scipy() -> None:
    random = np.random.default_rng(0)
    for rows, columns in ((1, 1), (3, 3), (4, 9), (9, 4), (0, 2)):
        # Few values, so that there are ties.
        table = random.integers(0, 4, (rows, columns)) / 3
        for maximize in (False, True):
            own = assignment.solve_assignment(table, maximize=maximize)
            expected = scipy.optimize.linear_sum_assignment(table, maximize=maximize)
            assert own == tuple(side.tolist() for side in expected)


def test_the_solver_alone() -> None:
    compare_with_scipy()


@pytest.mark.parametrize("name", ["no_such_file", "_direct"])
def test_a_scipy_that_keeps_its_solver_elsewhere(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(assignment, "SOLVER", name)
    compare_with_scipy()


def test_the_rest_of_scipy_optimize_is_not_loaded() -> None:
    code = (
        "import sys\nfrom rrvf.scorers.color import match_colors\nfrom rrvf.types import Color\n"
        "match_colors([Color('bar', '#FF0000')], [Color('bar', '#00FF00')])\n"
        "print('scipy.optimize' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
