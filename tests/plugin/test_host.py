"""What the plugin does to the process, with a stand-in for VLMEvalKit; and its own flags."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrvf.errors import UserError
from vlmeval_plugin import settings

UNVERIFYING = "import ssl\nssl._create_default_https_context = ssl._create_unverified_context\n"
RUN = "WHERE = {!r}\n"


def stand_in(folder: Path, *, run: str) -> Path:
    """A package that does to TLS what VLMEvalKit does, with a run.py inside or beside."""
    package = folder / "vlmeval"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(UNVERIFYING)
    (package.parent / run).write_text(RUN.format(run))
    return folder


def python(code: str, path: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(path or "")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_plugin_imports_nothing_of_the_host() -> None:
    said = python(
        "import sys\nfrom vlmeval_plugin import register\n"
        "print('vlmeval' in sys.modules, callable(register))"
    )
    assert said == "False True"


SHOW = "print(ssl._create_default_https_context is ssl.create_default_context)"


@pytest.mark.parametrize(
    ("before", "verified"),
    [
        ("", "True"),
        ("import vlmeval", "True"),  # somebody else imported it first
        ("ssl._create_default_https_context = ssl._create_unverified_context", "False"),
    ],
    ids=["fresh", "imported-before", "the-user-s-own-wish"],
)
def test_tls_stays_as_it_was(tmp_path: Path, before: str, verified: str) -> None:
    folder = stand_in(tmp_path, run="run.py")
    code = f"import ssl\n{before}\nfrom vlmeval_plugin.host import import_host\n"
    assert python(f"{code}import_host(); import_host()\n{SHOW}", folder) == verified


def test_the_stand_in_does_turn_verification_off(tmp_path: Path) -> None:
    folder = stand_in(tmp_path, run="run.py")
    assert python(f"import ssl, vlmeval\n{SHOW}", folder) == "False"


@pytest.mark.parametrize("run", ["vlmeval/run.py", "run.py"], ids=["inside", "beside"])
def test_run_is_found_in_a_package_and_in_a_checkout(tmp_path: Path, run: str) -> None:
    folder = stand_in(tmp_path, run=run)
    code = "from vlmeval_plugin.host import load_run; print(load_run().WHERE)"
    assert python(code, folder) == run


def test_a_missing_host_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['vlmeval'] = None\n")
    done = subprocess.run(
        [sys.executable, "-m", "vlmeval_plugin", "--data", "RRVF_Demo_Plot2Code"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'rrvf[vlmeval]'" in done.stderr


# ------------------------------------------------------------------------------ flags


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """``parse`` writes into the environment."""
    for name in settings.Settings.__slots__:
        monkeypatch.setenv(f"RRVF_{name.upper()}", "")


def test_our_flags_are_taken_off_and_the_others_kept_in_order() -> None:
    given = [
        *("--data", "A", "B", "--teacher", "big", "--model", "M", "--override", "--max-turns=3"),
        *("--judge", "likeness", "--reuse", "--judge-args", '{"a": 1}'),
    ]
    override, rest = settings.parse(given)
    assert override
    assert rest == [
        *("--data", "A", "B", "--model", "M"),
        *("--judge", "likeness", "--reuse", "--judge-args", '{"a": 1}'),
    ]
    said = settings.current()
    assert (said.teacher, said.max_turns, said.teacher_base_url) == ("big", 3, None)


def test_the_host_s_flags_are_never_taken_for_abbreviations_of_ours() -> None:
    given = ["--max-tokens", "5", "--work-dir", "w", "--mode", "eval", "--max", "1"]
    assert settings.parse(given) == (False, given)


@pytest.mark.parametrize(
    ("name", "value"), [("MAX_TURNS", "0"), ("WORKERS", "x"), ("SCORE_MODE", "best")]
)
def test_a_value_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"RRVF_{name}", value)
    with pytest.raises(UserError, match=f"RRVF_{name}"):
        settings.current()
