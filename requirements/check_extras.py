"""Resolve every set of extras that the documentation installs together.

``make pins`` runs it. A set is what stands in one pair of brackets, and what one page tells its
reader to install bit by bit. A set that cannot be resolved is named, with the extra or the pair of
extras that fails by itself.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    *("*.md", "docs/*.md", "rrvf/*.md", "rrvf/trainers/*.md", "training/*.md"),
    *("vlmeval_plugin/*.md", "training/configs/*", "training/launch/*"),
)
PYTHONS = ("3.11", "3.13")
"""The oldest and the newest that the package supports."""

ALONE = frozenset({"openenv", "vllm", "verifiers"})
"""Extras that the documentation installs into environments of their own."""

Extras = frozenset[str]


def find_sets(root: Path) -> dict[Extras, str]:
    """Every set of extras, and where it stands."""
    places: dict[Extras, str] = {}
    for path in sorted({path for pattern in PAGES for path in root.glob(pattern)}):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        sets = [
            frozenset(part.strip() for part in names.split(","))
            for names in re.findall(r"(?:rrvf|'\.)\[([a-z, -]+)\]", text)
        ]
        whole_page = frozenset[str]().union(*sets) - ALONE
        for extras in [*sets, *([whole_page] if whole_page else [])]:
            places.setdefault(extras, str(path.relative_to(root)))
    return places


def explain_failure(uv: str, extras: Iterable[str], python: str) -> str | None:
    """Why a set cannot be resolved; ``None`` where it can."""
    options = [part for name in sorted(extras) for part in ("--extra", name)]
    command = [uv, "pip", "compile", "--quiet", "--python-platform", "linux"]
    command += ["--python-version", python, str(ROOT / "pyproject.toml"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def find_conflict(uv: str, extras: Extras, python: str) -> str:
    """The extra, or else the pair, that fails by itself."""
    for name in sorted(extras):
        if explain_failure(uv, [name], python) is not None:
            return f"{name} cannot be installed"
    for pair in combinations(sorted(extras), 2):
        if explain_failure(uv, pair, python) is not None:
            return f"{pair[0]} and {pair[1]} exclude each other"
    return "no two of them exclude each other"


def main() -> int:
    """Check all sets; prints one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uv", default="uv")
    uv = parser.parse_args().uv
    n_failed = 0
    for extras, place in find_sets(ROOT).items():
        for python in PYTHONS:
            name = f"rrvf[{','.join(sorted(extras))}] (Python {python}, {place})"
            failure = explain_failure(uv, extras, python)
            if failure is None:
                print(f"ok   {name}", flush=True)
                continue
            n_failed += 1
            print(f"FAIL {name}: {find_conflict(uv, extras, python)}\n{failure}", flush=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
