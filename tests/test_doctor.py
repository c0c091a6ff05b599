"""What doctor says of each use: ready, or what is missing and the one command that brings it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from rrvf import doctor
from rrvf.doctor import USES, Finding, examine
from rrvf.errors import SetupError

REQUIRES = [
    "numpy>=1.26",
    'matplotlib==3.9.*; extra == "chart"',
    'seaborn>=0.13; extra == "chart"',
    'playwright>=1.65; extra == "web"',
    'openai>=1.55; extra == "judge"',
    'trl<1.17,>=1.16; extra == "train"',
    'rrvf[train]; extra == "train-vllm"',
    'vllm<0.32,>=0.31; (sys_platform == "linux") and extra == "train-vllm"',
]
Machine = Callable[..., dict[str, Finding]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A machine that lacks these distributions, and perhaps a browser and pip."""

    def examined(
        *lacks: str, browser: bool = True, pip: bool = True, python: Path | None = None
    ) -> dict[str, Finding]:
        def version(name: str) -> str:
            if name in lacks:
                raise metadata.PackageNotFoundError(name)
            return "1.0"

        def find_browser(_: Path | None = None) -> Path:
            if not browser:
                raise SetupError("no Chromium found")
            return tmp_path

        monkeypatch.setattr(doctor.metadata, "version", version)
        monkeypatch.setattr(doctor.metadata, "requires", lambda _: REQUIRES)
        monkeypatch.setattr(doctor, "find_browser", find_browser)
        monkeypatch.setattr(doctor, "find_spec", lambda _: pip or None)
        monkeypatch.setattr(doctor, "_examine_charts", lambda *_: iter(()))
        monkeypatch.setattr(doctor, "_examine_pages", lambda *_: iter(()))
        return {finding.subject: finding for finding in examine(python)}

    return examined


def uses(findings: dict[str, Finding]) -> list[str]:
    return [findings[use.subject].answer for use in USES]


def install(extras: str) -> str:
    return f"{sys.executable} -m pip install 'rrvf[{extras}]'"


def test_a_machine_with_all_is_ready_for_every_use(machine: Machine) -> None:
    findings = machine()
    assert uses(findings) == ["ready"] * len(USES)
    assert all(findings[use.subject].ok for use in USES)


def test_what_is_missing_is_named_with_one_command(machine: Machine) -> None:
    charts, pages, play_charts, play_pages, train = uses(machine("seaborn", "openai", "trl"))
    assert charts == f"lacks seaborn; run: {install('chart')}"
    assert pages == "ready"
    assert play_charts == f"lacks seaborn, openai; run: {install('chart,judge')}"
    assert play_pages == f"lacks openai; run: {install('judge')}"
    assert train == f"lacks seaborn, openai, trl; run: {install('chart,judge,train')}"


def test_a_missing_browser_is_got_by_the_same_command(machine: Machine) -> None:
    charts, pages, play_charts, play_pages, train = uses(machine("playwright", browser=False))
    assert charts == play_charts == train == "ready"
    expected = f"lacks playwright, Chromium; run: {install('web')} && rrvf setup-browser"
    assert pages == play_pages == expected
    assert uses(machine(browser=False))[1] == "lacks Chromium; run: rrvf setup-browser"


def test_an_environment_without_pip_is_filled_by_uv(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    own = project / ".tools" / "bin" / "uv"
    program = own if own.exists() else "uv"
    command = f"pip install --python {sys.executable} 'rrvf[judge]'"
    answer = uses(machine("openai", pip=False))[2]
    assert answer.endswith(f"run: {program} {command}")
    (tmp_path / "uv").touch(mode=0o755)
    assert uses(machine("openai", pip=False))[2].endswith(f"run: uv {command}")


def test_what_draws_elsewhere_needs_nothing_here(machine: Machine, tmp_path: Path) -> None:
    assert uses(machine("seaborn", python=tmp_path))[0] == "ready"


def test_what_a_use_lacks_is_no_fault_of_the_machine(machine: Machine) -> None:
    findings = machine("trl", "openai", "playwright", browser=False)
    assert [one.subject for one in findings.values() if one.ok is False] == []


def test_without_the_package_installed_nothing_is_claimed(machine: Machine) -> None:
    assert set(uses(machine("rrvf"))) == {"not known: rrvf is not installed here; run: make demo"}


def test_the_extras_of_the_uses_are_those_of_the_package() -> None:
    known = metadata.metadata("rrvf").get_all("Provides-Extra", [])
    assert {extra for use in USES for extra in use.extras} <= set(known)
