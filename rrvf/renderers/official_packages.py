"""Packages of ChartMimic's own environment that drawing charts does not need.

A script that imports a missing one of these would run officially: the run reports it, and says what
to install.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rrvf.errors import SetupError
from rrvf.types import SampleResult

DISTRIBUTIONS = {
    "IPython": "ipython",
    "plotly": "plotly",
    "skimage": "scikit-image",
    "sympy": "sympy",
    "tqdm": "tqdm",
    "imageio": "scikit-image",
    "mpmath": "sympy",
}
"""Name in an ``import`` -> the distribution of the extra ``chart-full`` that brings it."""

INSTALL = "pip install 'rrvf[chart-full]'"
_NOTE = f" (the official environment has it; {INSTALL})"
_ANSWER = re.compile(r"^ModuleNotFoundError: No module named '(\w+)'")
_REFERENCE = re.compile(r"cannot be drawn: ModuleNotFoundError: No module named '(\w+)'")
_ASK_SECONDS = 60


def name_missing_package(error: str | None) -> str | None:
    """The same error, which says where a missing module is one that the official scorer has."""
    if error is None or _NOTE in error:
        return error
    for pattern in (_REFERENCE, _ANSWER):
        match = pattern.search(error)
        if match and match[1] in DISTRIBUTIONS:
            error = error[: match.end()] + _NOTE + error[match.end() :]
    return error


def count_missing_packages(results: Iterable[SampleResult]) -> list[str]:
    """A line for each missing package, with how many answers and references import it."""
    errors = [result.error or "" for result in results]
    lines: list[str] = []
    for singular, plural, pattern in (
        ("answer imports", "answers import", _ANSWER),
        ("reference imports", "references import", _REFERENCE),
    ):
        names = Counter(match[1] for error in errors if (match := pattern.search(error)))
        lines += [
            f"{n} {singular if n == 1 else plural} {name}, "
            f"which the official environment has: {INSTALL}"
            for name, n in names.most_common()
            if name in DISTRIBUTIONS
        ]
    return lines


def find_missing_packages(python: Path) -> Sequence[str]:
    """The distributions that an interpreter lacks, by asking it.

    Raises:
        SetupError: It does not answer.
    """
    names = list(DISTRIBUTIONS)
    question = (
        "import importlib.util, sys\n"
        "print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
    )
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", question, *names],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{python} does not say which packages it has: {error}") from error
    return list(dict.fromkeys(DISTRIBUTIONS[name] for name in answer.stdout.split()))
