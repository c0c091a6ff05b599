"""The picture of the architecture shows what is in the repository."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

BOX_WIDTH = {"5": 160, "3": 250}
"""Pixels of a box, by the number of slots in its row."""


@pytest.fixture(scope="module")
def sheet(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "docs" / "architecture.toml").read_text("utf-8"))


def test_every_box_is_a_folder_or_file_that_exists(project: Path, sheet: dict[str, Any]) -> None:
    paths = [entry["path"] for entry in (*sheet["box"], *sheet["frame"])]
    assert len(paths) == len(set(paths)) > 15
    missing = [
        path
        for path in paths
        if not ((project / path).is_dir() if path.endswith("/") else (project / path).is_file())
    ]
    assert not missing


def test_every_type_is_defined_where_the_arrow_says(project: Path, sheet: dict[str, Any]) -> None:
    arrows = [*sheet["arrow"], *sheet["back"]]
    named = {(arrow["type"], arrow["module"]) for arrow in arrows}
    assert len(named) >= 8
    assert not {(name, path) for name, path in named if name not in defined(project / path)}


def defined(path: Path) -> set[str]:
    """Classes of a module, and names that it gives a value."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_the_committed_picture_is_what_the_script_draws(project: Path, tmp_path: Path) -> None:
    script = project / "docs" / "draw_architecture.py"
    subprocess.run([sys.executable, script, "--out", tmp_path / "new.svg"], check=True)
    committed = (project / "docs" / "architecture.svg").read_bytes()
    assert committed == (tmp_path / "new.svg").read_bytes(), "run: python docs/draw_architecture.py"


def test_the_picture_shows_every_path_and_type(project: Path, sheet: dict[str, Any]) -> None:
    root = ET.parse(project / "docs" / "architecture.svg").getroot()
    shown = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {entry["path"] for entry in (*sheet["box"], *sheet["frame"])} <= shown
    assert {entry["type"] for entry in (*sheet["arrow"], *sheet["back"])} <= shown


def test_texts_fit_into_their_boxes(sheet: dict[str, Any]) -> None:
    """Measured with DejaVu, the widest font in the picture's list."""
    for entry in sheet["box"]:
        width = BOX_WIDTH[entry["slot"][-1]]
        assert len(entry["path"]) * 7.85 < width, entry["path"]
        assert len(entry["text"]) * 6.6 < width, entry["text"]


def test_the_readme_shows_the_picture(project: Path) -> None:
    assert "](docs/architecture.svg)" in (project / "README.md").read_text("utf-8")
