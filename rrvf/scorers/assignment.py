"""The assignment problem, solved by scipy.

The solver is a compiled module that needs only numpy. ``import scipy.optimize`` would execute some
hundred other modules first, which takes longer than the colours of a thousand charts. So only the
solver's file is loaded; if it is elsewhere, the usual import is used.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

SOLVER = "_lsap"


def solve_assignment(
    table: NDArray[np.float64], *, maximize: bool = False
) -> tuple[list[int], list[int]]:
    """The best one-to-one assignment of rows to columns.

    Args:
        table: What each pair costs, or is worth.
        maximize: Whether it is worth that.

    Returns:
        Rows, in ascending order, and the column of each.
    """
    rows, columns = _load_solver().linear_sum_assignment(table, maximize=maximize)
    return rows.tolist(), columns.tolist()


@cache
def _load_solver() -> Any:
    folders = [str(Path(place, "optimize")) for place in scipy.__path__]
    spec = PathFinder.find_spec(SOLVER, folders)
    if spec is not None and spec.loader is not None:
        module: Any = module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "linear_sum_assignment"):
            return module
    return import_module("scipy.optimize")
