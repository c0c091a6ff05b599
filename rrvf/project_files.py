"""Files that come with the project: recipes, configurations, published figures, measured runs.

In a checkout they are in ``results/`` and ``training/``. A wheel has ``results/`` within the
package, and ``training/`` beside it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rrvf.errors import UserError

_PACKAGE = Path(__file__).parent
_SUFFIXES = (".yaml", ".sh", ".sbatch")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Files of one purpose.

    Attributes:
        title: What they are.
        use: The command that takes one of them.
        folder: Where they are.
        files: Those that a user names, by this name.
    """

    title: str
    use: str
    folder: Path
    files: Mapping[str, Path]


def find_results() -> Path:
    """The results folder of the project: ``paper``, ``published``, ``recipes``, measured runs."""
    within = _PACKAGE / "results"
    return within if within.is_dir() else _PACKAGE.parent / "results"


def list_shelves() -> Sequence[Shelf]:
    """What a user starts from: recipes of rows, configurations of training, launch scripts."""
    training = _PACKAGE.parent / "training"
    return (
        _make_shelf(
            "Recipes of rows of the paper's tables",
            "rrvf reproduce NAME --out FOLDER",
            find_results() / "recipes",
        ),
        _make_shelf(
            "Configurations of training",
            "python -m training.grpo --config FILE, or training.sft",
            training / "configs",
        ),
        _make_shelf("Scripts that start training and servers", "bash FILE", training / "launch"),
    )


def _make_shelf(title: str, use: str, folder: Path) -> Shelf:
    paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    by_stem = "NAME" in use
    files = {path.stem if by_stem else path.name: path for path in paths}
    return Shelf(title, use, folder, files)


def summarize(path: Path) -> str:
    """The first sentence of the comment at the head of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line[2:] for line in lines[:20] if line.startswith("# ")]
    return re.split(r"(?<=[.?])\s|;\s", " ".join(head), maxsplit=1)[0]


def copy_shelves(out: Path) -> Path:
    """Copy all of it, as a place to change it and to start training from.

    Configurations name each other from the folder above ``training``; the copy keeps this order.

    Raises:
        UserError: The folder is there already.
    """
    if out.exists():
        raise UserError(f"{out} exists; name a new folder")
    for shelf in list_shelves():
        place = Path(shelf.folder.parent.name) / shelf.folder.name
        shutil.copytree(shelf.folder, out / place)
    return out
