"""Shared by the tests of runs: small data sets, a renderer without processes, the command."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from rrvf import cli
from rrvf.errors import HarnessError, SetupError
from rrvf.renderers import chart
from rrvf.renderers.chart import ChartRenderer, ChartScript, Limits
from rrvf.renderers.memo import Memo
from rrvf.types import Drawing, Elements, Rendering, Sample

RRVF = Path(sys.executable).with_name("rrvf")
PNG = b"\x89PNG\r\n\x1a\n"
COUNTING = """
import os
from rrvf.types import Score

def score(target, drawing, mode):
    with open(os.environ["COUNTED"], "a") as file:
        file.write(f"{mode} {drawing.elements.texts[0]}\\n")
    return Score(1.0)
"""
"""A scorer of the user's own, in a module named ``counting``, that notes what it was asked."""


def fenced(code: str) -> str:
    return f"Here is the code.\n```python\n{code}\n```\n"


def plot(title: str, before: str = "") -> str:
    """A script whose only text is its title."""
    return f'{before}\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title("{title}")'


def write_data(
    folder: Path, references: Mapping[str, str], answers: Mapping[str, str]
) -> list[str | Path]:
    """A data set of scripts and a predictions file; returns the options that name them."""
    (folder / "references").mkdir(parents=True, exist_ok=True)
    for name, code in references.items():
        (folder / "references" / f"{name}.py").write_text(code)
    lines = [json.dumps({"id": name, "prediction": text}) for name, text in answers.items()]
    (folder / "predictions.jsonl").write_text("\n".join(lines))
    return ["--data", folder / "references", "--predictions", folder / "predictions.jsonl"]


def environment(**more: str) -> dict[str, str]:
    """This process's, and a terminal of known width."""
    return {**os.environ, "COLUMNS": "100", **more}


def rrvf(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run(
        [RRVF, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=cwd,
        env=env or environment(),
    )


START = chart._Server  # pyright: ignore[reportPrivateUsage]


class KeptServer:
    """A chart server that outlives the renderer that has closed it: starting one takes seconds."""

    kept: dict[tuple[str, str, str | None], KeptServer] = {}  # noqa: RUF012 - shared on purpose

    def __init__(self, server: Any) -> None:
        self._server = server
        atexit.register(server.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def close(self) -> None:
        if not self._server.is_alive():
            self._server.close()


@contextlib.contextmanager
def kept_servers() -> Iterator[None]:
    """Renderers draw in servers that are there already, one for each interpreter and level."""

    def find(python: Path, confinement: str) -> KeptServer:
        key = str(python), confinement, os.environ.get("TMPDIR")
        found = KeptServer.kept.get(key)
        if found is None or not found.is_alive():
            found = KeptServer.kept[key] = KeptServer(START(python, confinement))
        return found

    with mock.patch.object(chart, "_Server", find):
        yield


@contextlib.contextmanager
def kept_renderer(*arguments: Any, **options: Any) -> Iterator[ChartRenderer]:
    """A renderer whose server is there already and stays."""
    with kept_servers():
        renderer = ChartRenderer(*arguments, **options)
    with renderer:
        yield renderer


@contextlib.contextmanager
def _as_of_its_own(env: Mapping[str, str], cwd: Path | None) -> Iterator[None]:
    """Environment, folder, warnings, logging and modules as a fresh process has them."""
    before = set(sys.modules)
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        with (
            mock.patch.dict(os.environ, env, clear=True),
            contextlib.chdir(cwd or Path.cwd()),
            warnings.catch_warnings(),
        ):
            warnings.resetwarnings()
            for ignored in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
                warnings.simplefilter("ignore", ignored)
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.showwarning = lambda message, category, filename, lineno, *_: sys.stderr.write(
                warnings.formatwarning(message, category, filename, lineno)
            )
            importlib.invalidate_caches()
            yield
    finally:
        root.handlers = handlers
        own = Path(cwd or ".").resolve()
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(own) and cwd:
                del sys.modules[name]


def rrvf_here(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in this process: what it comes to, without the seconds that a start takes.

    Charts are drawn by servers that are kept. Signals, streams that are closed, and what a start
    itself does want ``rrvf``.
    """
    words = ["rrvf", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    with (
        _as_of_its_own(env or environment(), cwd),
        kept_servers(),
        mock.patch.object(sys, "argv", words),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        except Exception:
            traceback.print_exc()
            code = 1
    if isinstance(code, str):
        err.write(f"{code}\n")
        code = 1
    return subprocess.CompletedProcess(words, int(code or 0), out.getvalue(), err.getvalue())


def started(*arguments: object, cwd: Path, **env: str) -> subprocess.Popen[str]:
    """The command, under way, in a process group of its own."""
    return subprocess.Popen(
        [RRVF, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(**env),
        start_new_session=True,
    )


def wait_for_lines(process: subprocess.Popen[str], path: Path, number: int) -> None:
    """Until a file has so many whole lines, or the process has ended."""
    while process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= number:
            return
        time.sleep(0.02)
    raise AssertionError(f"ended before {number} lines: {process.communicate()}")


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether something becomes true within a minute."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def lines_of(out: Path) -> dict[str, dict[str, Any]]:
    """Every line of a run, by sample; each must be whole and stand there once."""
    entries = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    by_id = {entry["sample_id"]: entry for entry in entries}
    assert len(by_id) == len(entries)
    return by_id


def values(line: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: score["value"] for name, score in line["scores"].items()}


def summary_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


def lasting_summary_of(out: Path) -> dict[str, Any]:
    """The summary without what is measured in seconds."""
    summary = summary_of(out)
    loop = summary.get("episodes", {}).get("loop", {})
    loop.get("measures", {}).pop("seconds_per_point", None)
    return summary


def assert_one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """A user's mistake: nothing on stdout, one line on stderr that says these things."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("rrvf: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def sample(name: str, reference: str = "ok target", task: str = "direct") -> Sample:
    return Sample(name, reference, task=task, tags={"reference_name": name})


class FakeRenderer(ChartRenderer):
    """Draws without a process: a script is a status, then the texts that it draws.

    ``ok a b`` draws the texts a and b, ``code_error`` fails, ``harness_error`` raises ours,
    ``no_setup`` a user error; ``ok`` with the text ``meets`` waits until so many do at once.
    """

    def __init__(
        self,
        python: Path | None = None,
        workers: int = 2,
        limits: Limits | None = None,
        confinement: str | None = None,
        memo_bytes: int = 0,
        *,
        versions: Mapping[str, str] | None = None,
        level: str = "landlock",
        meeting: int = 1,
    ) -> None:
        self._meeting = threading.Barrier(meeting)
        self.limits = limits or Limits()
        self._renderings = Memo(lambda rendering: rendering.official.status, most_bytes=0)
        self.drawn: list[str] = []
        self.most_at_once = self._at_once = 0
        self.closed = False
        self._counting = threading.Lock()
        self.environment = {
            "level": level,
            "user": "nobody",
            "python": "3.11.0",
            "versions": versions or {"matplotlib": "3.9.4"},
            "n_fonts": 1,
            "fonts_hash": "f",
        }

    def close(self) -> None:
        self.closed = True

    def render(self, script: ChartScript, **_: object) -> Rendering:
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.drawn.append(script.official)
        try:
            return self._drawn(script.official)
        finally:
            with self._counting:
                self._at_once -= 1

    def _drawn(self, code: str) -> Rendering:
        if self.closed:
            raise HarnessError("the renderer is closed")
        status, *texts = code.split()
        if "meets" in texts:
            self._meeting.wait(60)
        if status == "harness_error":
            raise HarnessError("the chart server is gone")
        if status == "no_setup":
            raise SetupError("no server; install one")
        elements = Elements(tuple(texts), {"plot": 1}, n_axes=1)
        drawing = Drawing("ok", None, complete=True, elements=elements)
        if status != "ok":
            drawing = Drawing(status, f"it was to be {status}")  # pyright: ignore[reportArgumentType]
        return Rendering(drawing, drawing, 0.5, 0.25, png=PNG + code.encode())
