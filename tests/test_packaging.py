"""The wheel holds what it needs, importing it is light, and the pins are usable anywhere."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import rrvf
from rrvf.tables.records import kept_runs

HEAVY = {"matplotlib", "pandas", "torch", "scipy", "playwright", "openpyxl", "vlmeval", "trl"}
HEAVY |= {"openai", "skimage", "open_clip", "datasets", "transformers"}
PINS = sorted(
    (Path(__file__).resolve().parent.parent / "requirements").glob("*.txt"),
    key=lambda path: path.name,
)


@pytest.fixture(scope="module")
def wheel(built_wheel: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(built_wheel)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


@pytest.fixture(scope="module")
def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())


def pinned(path: Path) -> dict[str, str]:
    """Package -> version of a compiled requirement file."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


def test_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile, project: Path) -> None:
    wanted = {
        path.relative_to(project).as_posix()
        for path in (project / "rrvf").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted <= set(wheel.namelist())
    # The list above comes from the folder: these must be in the folder, too.
    assert {"rrvf/py.typed", "rrvf/demo_data/charts/predictions.jsonl"} <= wanted
    assert any(name.startswith("rrvf/report_assets/") for name in wanted)


def test_wheel_holds_the_results_that_tables_and_leaderboard_show(
    wheel: zipfile.ZipFile, project: Path
) -> None:
    results = project / "results"
    folders = [*kept_runs(results), *(results / x for x in ("paper", "published", "recipes"))]
    assert len(folders) > 3
    wanted = {path for folder in folders for path in folder.iterdir()}
    assert {f"rrvf/{path.relative_to(project)}" for path in wanted} <= set(wheel.namelist())


def test_a_source_distribution_builds_the_same_wheel(
    wheel: zipfile.ZipFile, project: Path, tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path), "-t"]
    subprocess.run([*build, "sdist"], cwd=project, check=True, capture_output=True)
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    subprocess.run([*build, "wheel"], cwd=source, check=True, capture_output=True)
    [path] = tmp_path.glob("*.whl")
    assert sorted(zipfile.ZipFile(path).namelist()) == sorted(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    packages = {top for top in tops if not top.endswith(".dist-info")}
    assert packages == {"rrvf", "vlmeval_plugin", "training"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_wheel_says_what_it_is(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["Version"] == rrvf.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    [entry_points] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "rrvf = rrvf.cli:main" in wheel.read(entry_points).decode()
    assert [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]


def test_extras_are_the_documented_ones(metadata: Message) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    charts = {"chart", "chart-full"}
    assert extras == {
        *charts,
        "web",
        "judge",
        "client",
        "demo",
        "clip",
        "vlmeval",
        "vllm",
        "train",
        "train-vllm",
        "verifiers",
        "ray",
        "serve",
        "openenv",
        "docs",
        "dev",
        "dev-models",
    }


@pytest.mark.parametrize("module", ["rrvf", "rrvf.cli"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "rrvf" in done.stdout.split()
    assert not HEAVY & set(done.stdout.split())


def run_python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_everything_that_is_offered_is_there() -> None:
    names = run_python("from rrvf import *; print(*(name for name in dir() if name[0] != '_'))")
    assert {"open_environment", "Environment", "Play", "RunOptions", "to_wire"} <= set(
        names.split()
    )
    assert "Rrvf" not in names
    assert set(run_python("import rrvf; print(*rrvf.__all__)").split()) == set(names.split())


def test_a_trainers_package_finds_its_classes_where_it_is_and_nobody_else_does() -> None:
    beside = "import sys, types; sys.modules['verifiers.v1'] = types.ModuleType('fake'); "
    names = "import rrvf; print(*rrvf.__all__)"
    own, found = run_python(names).split(), run_python(beside + names).split()
    assert set(found) - set(own) == {"RrvfEnv", "RrvfHarness", "RrvfTaskset"}
    assert set(own) < set(found)


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.name)
def test_pins_hold_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"(^|\s)/", text, re.MULTILINE), "an absolute path"
    assert not re.search(r"^-", text, re.MULTILINE), "an option such as --index-url"
    assert pinned(path)


@pytest.mark.parametrize("name", ["test.txt", "parity.txt"])
def test_pins_fit_the_declared_ranges(name: str, project: Path, pyproject: dict[str, Any]) -> None:
    pins = pinned(project / "requirements" / name)
    extras = pyproject["project"]["optional-dependencies"]
    declared = pyproject["project"]["dependencies"] + extras["chart"] + extras["dev"]
    if name == "parity.txt":
        declared += extras["vlmeval"]
    for requirement in map(Requirement, declared):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{name} lacks {requirement.name}: make pins"
        assert requirement.specifier.contains(version), f"{requirement} but {version}: make pins"


def test_every_chart_environment_has_its_matplotlib(project: Path) -> None:
    folder = project / "requirements"
    published = pinned(folder / "charts-published.txt")
    assert published["matplotlib"] == "3.8.4"
    assert published["numpy"] == "1.26.4"
    assert published["networkx"] == "3.2.1"
    assert published["matplotlib-venn"] == "0.11.10"
    assert published["pandas"].startswith(("1.", "2.0."))
    assert pinned(folder / "test.txt")["matplotlib"].startswith("3.9.")
    assert pinned(folder / "parity.txt")["matplotlib"].startswith("3.9.")
    assert pinned(folder / "charts-newest.txt")["matplotlib"].startswith("3.11.")


def test_the_demo_needs_no_torch(project: Path) -> None:
    pins = pinned(project / "requirements" / "demo.txt")
    assert not {name for name in pins if name.startswith(("torch", "nvidia", "cuda", "vllm"))}


def test_tests_cannot_leave_this_machine() -> None:
    for host in ("192.0.2.1", "example.invalid"):
        with pytest.raises(RuntimeError, match="a test"):
            socket.create_connection((host, 80), timeout=1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.stem)
def test_charts_are_drawn_with_releases_that_run_the_data_sets(path: Path) -> None:
    """numpy 2.4 and pandas 3 dropped calls that their scripts make."""
    pins = pinned(path)
    if "matplotlib" not in pins:
        pytest.skip("draws no charts")
    assert Version(pins["numpy"]) < Version("2.4")
    assert Version(pins["pandas"]) < Version("3")


def test_the_extra_for_charts_keeps_to_them(pyproject: dict[str, Any]) -> None:
    extra = pyproject["project"]["optional-dependencies"]["chart"]
    allowed = {one.name: one.specifier for one in map(Requirement, extra)}
    assert not allowed["numpy"].contains("2.4.0")
    assert allowed["numpy"].contains("2.3.5")
    assert not allowed["pandas"].contains("3.0.0")
    assert allowed["pandas"].contains("2.3.3")
