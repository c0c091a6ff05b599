"""Draw one file, for a person."""

from __future__ import annotations

from pathlib import Path

from rrvf.decoding import decode_html
from rrvf.errors import DataError, UserError
from rrvf.renderers.cache import write_atomically
from rrvf.renderers.chart import ChartRenderer, ChartScript
from rrvf.renderers.page import PageRenderer


def draw_file(file: Path, out: Path, python: Path | None, confinement: str) -> Path:
    """Draw the script in ``file`` and write a PNG: 350 dpi through its PDF, as a judge sees it.

    Raises:
        DataError: ``file`` cannot be read.
        UserError: It draws nothing; with what it raised. Or ``out`` cannot be written.
    """
    code = _read_text(file, "a Python script")
    script = ChartScript(code, append_save=False)
    with ChartRenderer(python, 1, None, confinement) as renderer:
        rendering = renderer.render(script, modes=("fixed",), judge=True)
    return _write_picture(out, rendering.judge_png or rendering.png, file, rendering.fixed.error)


def show_file(
    file: Path, out: Path, browser: Path | None, confinement: str, *, javascript: bool = False
) -> Path:
    """Show the page in ``file`` and write its full-page screenshot.

    Raises:
        DataError: ``file`` cannot be read.
        UserError: It cannot be shown; with the reason. Or ``out`` cannot be written.
    """
    html = decode_html(_read_bytes(file, "an HTML file"))
    with PageRenderer(browser, 1, javascript=javascript, confinement=confinement) as renderer:
        rendering = renderer.render(html)
    return _write_picture(out, rendering.png, file, rendering.error)


def _read_text(file: Path, description: str) -> str:
    try:
        return _read_bytes(file, description).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text; name {description}") from error


def _read_bytes(file: Path, description: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; name {description}") from error


def _write_picture(out: Path, picture: bytes | None, file: Path, error: str | None) -> Path:
    if picture is None:
        raise UserError(f"{file}: no picture: {error}")
    try:
        write_atomically(out, picture)
    except OSError as problem:
        raise UserError(
            f"{out}: cannot be written: {problem.strerror}; name another --out"
        ) from problem
    return out
