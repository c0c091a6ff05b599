"""One file drawn once, for a person."""

from __future__ import annotations

from pathlib import Path

from rrvf.errors import DataError, UserError
from rrvf.renderers.cache import write_atomically
from rrvf.renderers.chart import ChartRenderer, ChartScript


def draw_file(renderer: ChartRenderer, file: Path, out: Path) -> Path:
    """Draw the script in ``file`` and write a PNG: 350 dpi through its PDF, as a judge sees it.

    Raises:
        DataError: ``file`` cannot be read.
        UserError: It draws nothing; with what it raised. Or ``out`` cannot be written.
    """
    try:
        code = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text; name a Python script") from error
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; name a Python script") from error
    rendering = renderer.render(ChartScript(code, append_save=False), modes=("fixed",), judge=True)
    picture = rendering.judge_png or rendering.png
    if picture is None:
        raise UserError(f"{file}: no picture: {rendering.fixed.error}")
    try:
        write_atomically(out, picture)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written: {error.strerror}; name another --out"
        ) from error
    return out
