"""The battlefield: a renderer a level, things worth stealing or spoiling, a look at what is left.

Every test that takes ``renderer`` or ``strongest`` ends with the same check: the server still is
the one it was, it has no children, nothing lies in its folder, and a normal chart comes out right.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
import stat
import string
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rrvf.errors import SetupError
from rrvf.renderers.chart import ChartRenderer, ChartScript, Limits
from rrvf.types import Color, Elements, LayoutCell, Rendering

MIB = 2**20
LIMITS = Limits(
    cpu_seconds=6,
    wall_seconds=60,
    memory=2048 * MIB,
    file_size=8 * MIB,
    scratch_size=32 * MIB,
    scratch_files=300,
    output=16 * MIB,
)

NORMAL_CHART = """
import matplotlib.pyplot as plt
plt.bar(["a", "b"], [1, 2], color="#102030")
plt.title("normal")
"""
NORMAL = Elements(
    texts=("normal",),
    chart_types={"bar": 1},
    colors=(Color("bar", "#102030"),),
    layout=(LayoutCell(1, 1, 0, 0, 0, 0),),
    n_axes=1,
)

TELL = """
import matplotlib.pyplot as plt
plt.close("all")
plt.figure().text(0, 0, str(answer), parse_math=False)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.attacks)


# ------------------------------------------------------------------------------ the renderers


@dataclass
class Battlefield:
    """One renderer a level, started when first asked for, each with a folder of its own."""

    folder: Path
    renderers: dict[str, ChartRenderer]

    def servers(self, level: str) -> Path:
        """Where the servers of one level have their folders."""
        folder = self.folder / level
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        return folder

    def renderer(self, level: str) -> ChartRenderer:
        """A running renderer of ``level``; skips where this machine has no such level."""
        if level not in self.renderers:
            try:
                self.renderers[level] = ChartRenderer(
                    workers=2, limits=LIMITS, confinement=None if level == "best" else level
                )
            except SetupError as error:
                pytest.skip(f"needs confinement {level!r}: {error}")
        return self.renderers[level]

    def drop(self, level: str) -> None:
        """End a renderer that an attack has spoilt, so that the next test gets a new one."""
        self.renderers.pop(level).close()
        # Not shutil: what an attack has nested may be deeper than it can go.
        subprocess.run(["rm", "-rf", str(self.servers(level))], check=True)


SECRET_VARIABLES = {"OPENAI_API_KEY": "sk-attack" + "-7f3a", "HF_TOKEN": "hf-attack" + "-91cc"}


@pytest.fixture(scope="session")
def battlefield() -> Iterator[Battlefield]:
    """A folder for the servers that others may pass through, secrets around it, and renderers."""
    folder = Path(tempfile.mkdtemp(prefix="rrvf-attacks-"))
    folder.chmod(0o711)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RRVF_CONFINEMENT", raising=False)
        for name, value in SECRET_VARIABLES.items():
            patch.setenv(name, value)
        field = Battlefield(folder, {})
        yield field
        for renderer in field.renderers.values():
            renderer.close()
    left = [path for servers in folder.iterdir() for path in servers.iterdir()]
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert left == [], "a closed server leaves its folder behind"


def defended(battlefield: Battlefield, level: str) -> Iterator[ChartRenderer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(battlefield.servers(level)))
        renderer = battlefield.renderer(level)
        server = renderer.server_pid()
        yield renderer
        try:
            assert renderer.server_pid() == server, "the attack ended the server"
            assert drawn(renderer, NORMAL_CHART).official.elements == NORMAL
            assert children_of(server) == []
            assert scratch_left(battlefield.servers(level)) == []
        except BaseException:
            battlefield.drop(level)
            raise


@pytest.fixture(params=["namespaces", "landlock"])
def renderer(request: pytest.FixtureRequest, battlefield: Battlefield) -> Iterator[ChartRenderer]:
    """Each level that is good enough for a stranger's code."""
    yield from defended(battlefield, request.param)


@pytest.fixture
def strongest(battlefield: Battlefield) -> Iterator[ChartRenderer]:
    """The level this machine offers, for what does not depend on the level."""
    yield from defended(battlefield, "best")


@contextlib.contextmanager
def limited(renderer: ChartRenderer, **changes: Any) -> Iterator[None]:
    before = renderer.limits
    renderer.limits = dataclasses.replace(before, **changes)
    try:
        yield
    finally:
        renderer.limits = before


@pytest.fixture
def limits() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """``with limits(renderer, cpu_seconds=1): ...``."""
    return limited


def drawn(renderer: ChartRenderer, code: str, **options: Any) -> Rendering:
    return renderer.render(ChartScript(code), **options)


@pytest.fixture
def draw() -> Callable[..., Rendering]:
    """``draw(renderer, code)``: the rendering of a model's answer."""
    return drawn


@pytest.fixture
def ask() -> Callable[[ChartRenderer, str], str]:
    """``ask(renderer, code)``: run code and give back, as text, what it left in ``answer``."""

    def asked(renderer: ChartRenderer, code: str) -> str:
        drawing = drawn(renderer, code + TELL).official
        assert drawing.status == "ok", drawing.error
        return "\n".join(drawing.elements.texts)

    return asked


ATTEMPTS = """
import ctypes, errno, mmap, os, pathlib, resource, shutil, signal, socket, subprocess, sys
import threading
libc = ctypes.CDLL(None, use_errno=True)

def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def system_call(number, *arguments):
    call(libc.syscall, number, *(ctypes.c_long(a) if type(a) is int else a for a in arguments))

refused = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV, errno.EROFS, *{more!r})
answer = {{}}
for expression in {expressions!r}:
    try:
        answer[expression] = eval(expression)
    except OSError as error:
        if error.errno not in refused:
            answer[expression] = error
    except Exception as error:
        answer[expression] = error
"""


def attempts(expressions: list[str], also: tuple[int, ...], names: dict[str, object]) -> str:
    values = {
        name: repr(value if isinstance(value, int) else str(value)) for name, value in names.items()
    }
    ready = [string.Template(expression).substitute(values) for expression in expressions]
    return ATTEMPTS.format(expressions=ready, more=also)


@pytest.fixture
def not_refused(ask: Callable[[ChartRenderer, str], str]) -> Callable[..., str]:
    """``not_refused(renderer, expressions, name=value)``: those that the system did not refuse.

    A name stands for its value as ``$name``. An expression that fails by a mistake of its own is
    told as well, for it shows nothing. ``{}`` means that all were refused.
    """

    def tried(renderer: ChartRenderer, expressions: list[str], **names: object) -> str:
        return ask(renderer, attempts(expressions, (), names))

    return tried


@pytest.fixture
def not_out_of_reach(ask: Callable[[ChartRenderer, str], str]) -> Callable[..., str]:
    """As ``not_refused``, of files that do exist: not to find them is as good as a refusal."""

    def tried(renderer: ChartRenderer, expressions: list[str], **names: object) -> str:
        return ask(renderer, attempts(expressions, (errno.ENOENT,), names))

    return tried


# ----------------------------------------------------------------------------- what is left


def children_of(pid: int) -> list[int]:
    """Children of a process, dead ones that nobody has waited for included."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def scratch_left(folder: Path) -> list[Path]:
    """What executions have left in the servers' folders; the mount point itself is not counted."""
    return [
        path
        for server in folder.glob("rrvf-*")
        for path in server.iterdir()
        if path.name != "scratch" or any(path.iterdir())
    ]


@pytest.fixture
def children() -> Callable[[int], list[int]]:
    return children_of


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Whether something becomes true; gives up only when nothing else can explain it."""

    def waited(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    return waited


# ----------------------------------------------------------------- what is worth spoiling


@dataclass(frozen=True)
class Treasure:
    """Files that everybody may read and write, so that confinement alone protects them."""

    folder: Path
    file: Path
    inner: Path
    secret: str

    def picture(self) -> dict[str, tuple[Any, ...]]:
        """Everything about the files that an attack could change; reading times aside."""
        return {str(path): facts(path) for path in [self.folder, *sorted(self.folder.rglob("*"))]}


def facts(path: Path) -> tuple[Any, ...]:
    said = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(said.st_mode) else None
    return (
        *(said.st_mode, said.st_uid, said.st_gid, said.st_nlink, said.st_ino, said.st_size),
        *(said.st_mtime_ns, said.st_ctime_ns, content, tuple(os.listxattr(path))),
    )


@pytest.fixture
def treasure() -> Iterator[Treasure]:
    """Unprotected files; the test fails if any of them changes.

    Not below ``/tmp``, which scripts have one of their own of: there is nothing to refuse there.
    """
    folder = Path(tempfile.mkdtemp(prefix="treasure-", dir=Path(__file__).parent))
    inner = folder / "inner"
    inner.mkdir()
    secret = hashlib.sha256(b"treasure").hexdigest()
    for file in (folder / "file.txt", inner / "file.py"):
        file.write_text(secret)
        file.chmod(0o666)
    for opened in (folder, inner):
        opened.chmod(0o777)
    found = Treasure(folder, folder / "file.txt", inner, secret)
    before = found.picture()
    yield found
    after = found.picture() if folder.exists() else {}
    shutil.rmtree(folder, ignore_errors=True)
    assert after == before
