"""The imports of the server before it forks, and the objects that its forks inherit."""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import platform
import sys
from collections.abc import Generator
from types import ModuleType
from typing import Any

from . import child, colors, figure_texts, install, integrity, packages, plan, recorder, wire

VERSIONS = (
    *("matplotlib", "numpy", "scipy", "pandas", "seaborn", "networkx", "squarify"),
    *("matplotlib_venn", "PIL"),
)


class Inheritance:
    """The recorder and the guard that every fork finds in place."""

    recorder: recorder.Recorder
    guard: integrity.Guard


_INHERITANCE = Inheritance()


def load() -> dict[str, Any]:
    """Import the plotting packages, wrap the drawing functions, draw once to warm up.

    Returns:
        Versions, fonts and interpreter, for the record of a run.
    """
    missing_names = packages.load()
    _warm_up()
    _INHERITANCE.recorder = recorder.Recorder()
    install.install(_INHERITANCE.recorder)
    _release_fonts()
    child.fix_numpy()
    modules = [child, colors, figure_texts, integrity, plan, recorder, wire]
    _INHERITANCE.guard = integrity.Guard(modules)
    return _describe_environment(missing_names)


def _warm_up() -> None:
    """Load fonts and compile patterns once instead of in every fork."""
    import io

    from matplotlib import backends, pyplot
    from PIL import Image

    with _restore_names([backends, pyplot, Image]):
        pyplot.switch_backend("agg")
        figure, axes = pyplot.subplots()
        axes.plot([1, 2], label="warm $x^2$")
        axes.set_title("warm")
        axes.legend()
        figure.savefig(io.BytesIO(), format="pdf")
        figure.savefig(io.BytesIO(), format="png")
        pyplot.close("all")


@contextlib.contextmanager
def _restore_names(modules: list[ModuleType]) -> Generator[None]:
    """Give the names in ``modules`` the values back that they had: no backend is chosen yet."""
    snapshots = [dict(vars(module)) for module in modules]
    try:
        yield
    finally:
        for module, names in zip(modules, snapshots, strict=True):
            vars(module).update(names)
            for name in set(vars(module)) - set(names):
                delattr(module, name)


def _release_fonts() -> None:
    """Empty the caches that hold font files open.

    A fork closes what it does not know; a font that then falls out of a cache would close its
    file again, and whatever has taken its number. Nor may forks share a file: its position is one
    for all of them.
    """
    from matplotlib import font_manager, mathtext

    caches: list[Any] = [
        getattr(font_manager, "_get_font", None) or font_manager.get_font,
        vars(mathtext.MathTextParser)["_parse_cached"],
    ]
    for function in caches:
        function.cache_clear()
    gc.collect()


def _describe_environment(missing_names: list[str]) -> dict[str, Any]:
    versions: dict[str, str | None] = {}
    for name in VERSIONS:
        module = sys.modules.get(name)
        versions[name] = getattr(module, "__version__", None) or _find_version(name)
    from matplotlib import font_manager

    fonts = sorted({font.name for font in font_manager.fontManager.ttflist})
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine": platform.machine(),
        "versions": versions,
        "missing": missing_names,
        "n_fonts": len(fonts),
        "fonts_hash": hashlib.sha256("\n".join(fonts).encode()).hexdigest()[:16],
    }


def _find_version(name: str) -> str | None:
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None


def execute(request_fd: int, answer_fd: int, scratch: str) -> None:
    """In a fork: run the request in one descriptor and write the answer to the other."""
    encode, write_all = wire.encode, wire.write_all
    with open(request_fd, "rb") as stream:
        fields = json.loads(stream.read())
    token = bytes.fromhex(fields["token"])
    request = child.Request(
        code=fields["code"],
        flavour=fields.get("flavour", "official"),
        append_save=bool(fields.get("append_save")),
        judge=bool(fields.get("judge")),
        pdf=bool(fields.get("pdf")),
        previews=str(fields.get("previews", "all")),
    )
    execution = child.Execution(request, _INHERITANCE.recorder, _INHERITANCE.guard, scratch)
    answer = execution.run()
    write_all(answer_fd, token + encode(answer.header(), answer.blobs))
