"""The host's side of the chart renderer: start the server, send scripts, read the drawings.

One :class:`ChartRenderer` is one server process; it may be used from many threads at once. Output
of a script's process is parsed as data and checked, never executed or unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import math
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, cast

from rrvf.errors import HarnessError, SetupError, TooLargeError
from rrvf.pictures import require_drawable
from rrvf.renderers import cache
from rrvf.renderers.chart_server import wire
from rrvf.renderers.chart_server.confine import LEVELS, Limits
from rrvf.renderers.chart_server.figure_texts import MAX_TEXTS
from rrvf.renderers.chart_server.wire import MAX_COLORS, MAX_NAME
from rrvf.renderers.memo import LASTING, Memo
from rrvf.replies import before_saving
from rrvf.types import (
    Color,
    Drawing,
    Elements,
    FigureRendering,
    FigureText,
    LayoutCell,
    Mode,
    Pictures,
    Rendering,
    Status,
)

PYTHON_VARIABLE = "RRVF_CHART_PYTHON"
CONFINEMENT_VARIABLE = "RRVF_CONFINEMENT"
SERVER = Path(__file__).parent / "chart_server" / "__main__.py"
MAX_CODE = 1_000_000
REFERENCES = "2"
"""To be raised when another rule says what a reference amounts to."""
NO_FIGURE = "the script draws no figure"
NOT_RUN: Mapping[str, float] = {"seconds": 0.0, "cpu_seconds": 0.0}
START_SECONDS = 300.0
CLOSE_SECONDS = 5.0
SIGXCPU, SIGKILL = 24, 9
CONFINED = b"C"
NO_THREAD = b"can't start new thread"
HEX_COLOR = re.compile("#[0-9A-F]{6}([0-9A-F]{2})?")
MOST = 1_000_000
MOST_DRAWN_TEXTS, MOST_CHARACTERS = 200_000, 4_000_000
MOST_FUNCTIONS, MOST_CELLS = 1000, 10_000
TOKEN_BYTES = 32

MOST_INCHES = 1e6

Flavour = Literal["official", "texts", "fixed"]
Outcome = TypeVar("Outcome")
Items = TypeVar("Items", bound=Sized)

__all__ = ["ChartRenderer", "ChartScript", "Limits"]


@dataclass(frozen=True, slots=True)
class ChartScript:
    """A script to draw.

    Attributes:
        official: The code as the official scorer prepares it.
        fixed: The code as the fixed rules prepare it; ``None`` if it is the same.
        append_save: Whether the official last line, which saves the current figure, is added:
            true for a model's answer, false for a reference, which saves by itself.
    """

    official: str
    fixed: str | None = None
    append_save: bool = True

    def code(self, mode: Mode) -> str:
        """The code that the rules of ``mode`` prepare."""
        return self.official if mode == "official" or self.fixed is None else self.fixed


class PictureOptions(NamedTuple):
    """The requested pictures of an execution, besides what it records."""

    judge: bool = False
    pdf: bool = False
    pictures: Pictures = "all"

    def key(self) -> str:
        """Itself, as a part of a key of the cache."""
        return str(self.judge) if self.pictures == "all" else f"{self.judge} {self.pictures}"

    def list_alternatives(self) -> Iterator[PictureOptions]:
        """What would do as well, itself first."""
        everything: Pictures = "all"
        choices = product((self.judge, True), (self.pdf, True), (self.pictures, everything))
        yield from dict.fromkeys(PictureOptions(*choice) for choice in choices)


class ChartRenderer:
    """Draws chart scripts, confined, several at a time.

    Args:
        python: Interpreter with the plotting packages; ``$RRVF_CHART_PYTHON``, else this one.
        workers: Executions at the same time.
        limits: Limits of one execution.
        confinement: A level to use instead of the best one; ``$RRVF_CONFINEMENT``. A level below
            ``landlock`` must be named here.
        memo_bytes: Bytes of renderings to keep, so that a repeated script is not executed again.

    Raises:
        SetupError: The server cannot start, or confinement is too weak here.
    """

    def __init__(
        self,
        python: Path | None = None,
        workers: int = 2,
        limits: Limits | None = None,
        confinement: str | None = None,
        memo_bytes: int = 0,
    ) -> None:
        self._python = chart_python(python)
        self._workers = workers
        self.limits = limits or Limits()
        self._confinement = confinement or os.environ.get(CONFINEMENT_VARIABLE) or "auto"
        if self._confinement not in ("auto", *LEVELS):
            raise SetupError(
                f"unknown confinement {self._confinement!r}; choose one of auto, "
                + ", ".join(LEVELS)
            )
        self._lock = threading.Lock()
        self._renderings: Memo[Rendering] = Memo(_find_worst_status, memo_bytes)
        self._figures: Memo[FigureRendering] = Memo(lambda figure: figure.status, memo_bytes)
        self._server: _Server | None = None
        self._closed = False
        self.environment: Mapping[str, Any] = self._require_server().hello

    # ------------------------------------------------------------------- life

    def __enter__(self) -> ChartRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and whatever it still runs; nothing can be drawn afterwards."""
        with self._lock:
            self._closed = True
            if self._server is not None:
                self._server.close()
                self._server = None

    def server_pid(self) -> int:
        """Process id of the server, for measurements."""
        return self._require_server().process.pid

    def _require_server(self) -> _Server:
        with self._lock:
            if self._closed:
                raise HarnessError("the renderer is closed")
            if self._server is not None and not self._server.is_alive():
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = _Server(self._python, self._confinement)
                try:
                    check_level(self._server.hello["level"], self._confinement)
                except SetupError:
                    self._server.close()
                    self._server = None
                    raise
            return self._server

    # -------------------------------------------------------------- rendering

    def render(
        self,
        script: ChartScript,
        *,
        modes: tuple[Mode, ...] = ("official", "fixed"),
        judge: bool = False,
        pdf: bool = False,
        pictures: Pictures = "all",
    ) -> Rendering:
        """Draw a script by the rules of each of ``modes``; one execution usually serves all.

        The same script is not executed again as long as its rendering is remembered.

        Args:
            script: The script.
            modes: The requested rules.
            judge: Also make the 350 dpi picture.
            pdf: Also return the PDF.
            pictures: Make the preview of every script, of one that fails, or of none.

        Raises:
            HarnessError: The failure is ours.
        """
        options = PictureOptions(judge, pdf, pictures)
        candidates = (
            self._renderings.find((script, modes, alternative))
            for alternative in options.list_alternatives()
        )
        drawn_before = next((rendering for rendering in candidates if rendering is not None), None)
        return drawn_before or self._renderings.get(
            (script, modes, options), lambda: self._render(script, modes, options)
        )

    def _render(
        self, script: ChartScript, modes: tuple[Mode, ...], options: PictureOptions
    ) -> Rendering:
        rendering: Rendering | None = None
        if "official" in modes:
            rendering = self._render_official(script, options)
        same_code = script.fixed is None or script.fixed == script.official
        if "fixed" in modes and not (rendering and same_code and rendering.fixed is not UNKNOWN):
            own_rendering = self._execute(
                script.fixed or script.official, "fixed", script.append_save, options
            )
            rendering = own_rendering if rendering is None else _merge(rendering, own_rendering)
        elif rendering is not None and not same_code:
            rendering = replace(rendering, fixed=UNKNOWN)
        if rendering is None:
            raise ValueError("no mode to render for")
        return rendering

    def _render_official(self, script: ChartScript, options: PictureOptions) -> Rendering:
        rendering, needs_texts = self._execute_raw(
            script.official, "official", script.append_save, options
        )
        if not needs_texts or rendering.official.status == "harness_error":
            return rendering
        texts_rendering = self._execute(
            script.official, "texts", script.append_save, PictureOptions(pictures="none")
        )
        elements = replace(
            rendering.official.elements, texts=texts_rendering.official.elements.texts
        )
        return replace(rendering, official=replace(rendering.official, elements=elements))

    def _execute(
        self, code: str, flavour: Flavour, append_save: bool, options: PictureOptions
    ) -> Rendering:
        return self._execute_raw(code, flavour, append_save, options)[0]

    def _execute_raw(
        self, code: str, flavour: Flavour, append_save: bool, options: PictureOptions
    ) -> tuple[Rendering, bool]:
        request = {
            "code": code,
            "flavour": flavour,
            "append_save": append_save,
            "judge": options.judge,
            "pdf": options.pdf,
            "previews": options.pictures,
        }
        return self._ask(
            request,
            lambda header, answer: parse_answer(header, answer, flavour),
            lambda header, status, error: (_fail_both(header, status, error), False),
        )

    def _ask(
        self,
        request: dict[str, Any],
        parse: Callable[[Mapping[str, Any], bytes], Outcome],
        fail: Callable[[Mapping[str, Any], Status, str], Outcome],
    ) -> Outcome:
        """Have a script executed.

        Args:
            request: What the child is asked for, its ``code`` above all.
            parse: How its process ended, what that wrote -> the outcome.
            fail: How its process ended, whose fault that is, why -> the outcome.
        """
        if len(request["code"]) > MAX_CODE:
            return fail(NOT_RUN, "code_error", f"longer than {MAX_CODE} characters")
        header, answer = self._require_server().ask(request, self._workers, self.limits)
        if header.get("crowded") and answer is not None and NO_THREAD in answer:
            raise HarnessError("other programs of this user use all threads that it may have")
        if answer is not None and header.get("ended_by") is None:
            try:
                return parse(header, answer)
            except TooLargeError as error:
                return fail(header, "code_error", str(error))
            except Exception:  # what the script's process wrote is the script's, whatever it does
                return fail(header, "code_error", "the process answered with no valid record")
        if header["outcome"] == "not_started":
            raise HarnessError(f"no process could be started: {header['reason']}")
        return fail(header, *self._find_fault(header))

    def _find_fault(self, header: dict[str, Any]) -> tuple[Status, str]:
        """A process that ended without an answer: whose fault?"""
        if not header["confined"]:
            raise HarnessError("a process could not be confined")
        status, error = cause_of_death(header, self.limits)
        if status == "code_error" and header["ended_by"] is None and not self._empty_script_runs():
            raise HarnessError(f"{error}; an empty script fails too")
        return status, error

    def _empty_script_runs(self) -> bool:
        return self._require_server().ask({"code": ""}, self._workers, self.limits)[1] is not None

    def render_figure(self, code: str) -> FigureRendering:
        """Execute an unchanged script and draw its current figure, as Plot2Code does.

        The script may save and show anything. A closed figure is lost, and an all-white picture
        counts as no picture. Source: ``execute_generated_code.py`` and
        ``eval/text_match_score.py`` of github.com/TencentARC/Plot2Code, but that the script starts
        without any names and runs as a module: there it runs inside a function.

        Raises:
            HarnessError: The failure is ours.
        """
        request = {"code": code, "flavour": "figure"}
        return self._figures.get(
            ("answer", code), lambda: self._ask(request, parse_figure, _fail_figure)
        )

    # -------------------------------------------------------------- references

    def render_reference(
        self, code: str, *, judge: bool = False, pictures: Pictures = "all"
    ) -> Rendering:
        """Draw a reference script, or read its drawing from the cache.

        Texts are recorded where a PDF is drawn. A script that draws none (it saves a PNG, or only
        shows its figure) is executed once more, prepared as an answer with the same code would be:
        its texts and its pictures are those of that execution. Officially it has no texts, and
        every answer to it scores 0 for them.

        Failures that may pass (ours, and those of a limit) are not cached.

        Args:
            code: The script.
            judge: Also make the 350 dpi picture.
            pictures: As for :meth:`render`.

        Raises:
            HarnessError: The failure is ours.
        """
        options = PictureOptions(judge, False, pictures)
        keys = {
            alternative: self._cache_key(code, alternative.key())
            for alternative in options.list_alternatives()
            if not alternative.pdf
        }
        candidates = (self._renderings.find(key) for key in keys.values())
        drawn_before = next((rendering for rendering in candidates if rendering is not None), None)
        return drawn_before or self._renderings.get(
            keys[options], lambda: self._draw_reference(list(keys.values()), code, options)
        )

    def _draw_reference(self, keys: Sequence[str], code: str, options: PictureOptions) -> Rendering:
        entries = (cache.load(key) for key in keys)
        entry = next((rendering for rendering in entries if rendering is not None), None)
        if entry is not None:
            return entry
        judge, _, pictures = options
        script = ChartScript(code, append_save=False)
        rendering = self.render(script, judge=judge, pictures=pictures)
        if rendering.official.status == "ok" and _draws_nothing(rendering):
            failure = Drawing("code_error", NO_FIGURE)
            rendering = replace(rendering, official=failure, fixed=failure)
        elif rendering.without_texts and rendering.official.complete:
            rendering = self._add_texts(rendering, code, options)
        if rendering.official.status in ("ok", "code_error"):
            cache.store(keys[0], rendering)
        return rendering

    def _add_texts(self, rendering: Rendering, code: str, options: PictureOptions) -> Rendering:
        script = ChartScript(before_saving(code), fixed=code)
        answer = self.render(script, judge=options.judge, pictures=options.pictures)
        return replace(
            rendering,
            official=_copy_texts(rendering.official, answer.official, answer.fixed),
            fixed=_copy_texts(rendering.fixed, answer.fixed),
            png=answer.png or rendering.png,
            judge_png=answer.judge_png,
            without_texts=False,
        )

    def render_figure_reference(self, code: str) -> FigureRendering:
        """As :meth:`render_figure`, from the cache where it was drawn before.

        Failures that may pass (ours, and those of a limit) are not cached.

        Raises:
            HarnessError: The failure is ours.
        """
        key = self._cache_key(code, "figure")
        return self._figures.get(key, lambda: self._draw_figure_reference(key, code))

    def _draw_figure_reference(self, key: str, code: str) -> FigureRendering:
        entry = cache.load_figure(key)
        if entry is not None:
            return entry
        rendering = self.render_figure(code)
        if rendering.status in ("ok", "code_error"):
            cache.store_figure(key, rendering)
        return rendering

    def _cache_key(self, code: str, kind: str) -> str:
        parts = [
            *(code, repr(sorted(self.environment["versions"].items())), kind, REFERENCES),
            *(self.environment["python"], self.environment["fonts_hash"], source_hash()),
        ]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _find_worst_status(rendering: Rendering) -> Status:
    """The status under the rules it was drawn for; a failure that may pass before any other."""
    drawings = [
        drawing for drawing in (rendering.official, rendering.fixed) if drawing is not UNKNOWN
    ]
    transient_drawings = [drawing for drawing in drawings if drawing.status not in LASTING]
    return (transient_drawings or drawings)[0].status


def _draws_nothing(rendering: Rendering) -> bool:
    """Whether a script ends well and leaves no figure, nor anything that was recorded of one."""
    return rendering.fixed.status == "code_error" and rendering.official.elements == Elements()


def _copy_texts(drawing: Drawing, *sources: Drawing) -> Drawing:
    """The same with the texts of the first of ``sources`` that has any."""
    texts = next((source.elements.texts for source in sources if source.elements.texts), ())
    elements = replace(drawing.elements, texts=texts)
    return replace(drawing, elements=elements) if drawing.complete else drawing


UNKNOWN = Drawing("harness_error", "not derived from this execution")
"""Stands for a mode's outcome that an execution does not tell."""


def source_hash() -> str:
    """Changes whenever the recording code does, so that cached references cannot go stale."""
    digest = hashlib.sha256()
    for path in sorted(SERVER.parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _merge(official: Rendering, fixed: Rendering) -> Rendering:
    return replace(
        official,
        fixed=fixed.fixed,
        seconds=official.seconds + fixed.seconds,
        cpu_seconds=official.cpu_seconds + fixed.cpu_seconds,
        png=official.png or fixed.png,
        pdf=official.pdf or fixed.pdf,
        judge_png=official.judge_png or fixed.judge_png,
    )


# ------------------------------------------------------------------------------- records


def chart_python(user_path: Path | None) -> Path:
    """The interpreter that draws.

    Raises:
        SetupError: The named one does not exist.
    """
    path = user_path or Path(os.environ.get(PYTHON_VARIABLE) or sys.executable)
    if not path.is_file():
        raise SetupError(
            f"no interpreter at {path}; name one with --chart-python or ${PYTHON_VARIABLE}"
        )
    if not os.access(path, os.X_OK):
        raise SetupError(f"{path} cannot be executed; name an interpreter with --chart-python")
    return path.absolute()  # not resolved: a virtual environment is known by its link


def check_level(level: str, choice: str) -> None:
    """Refuse a weaker level than requested, or than ``landlock`` without a request.

    Raises:
        SetupError: The level is too weak; the message says what to do.
    """
    if choice == level or (choice == "auto" and level in ("namespaces", "landlock")):
        return
    if level == "none":
        problem = "no confinement" if choice == "auto" else f"no confinement {choice!r}"
        raise SetupError(
            f"{problem} is available on this machine; it needs Linux 5.13 or later with Landlock, "
            "see `rrvf doctor`"
        )
    raise SetupError(
        f"this machine offers only confinement {level!r}, which lets untrusted code read your "
        f"files; accept it with --confinement {level}"
    )


def cause_of_death(header: Mapping[str, Any], limits: Limits) -> tuple[Status, str]:
    """Status and error of a process that ended without an answer."""
    if header["ended_by"] == "time":
        return "timeout", f"not done after {limits.wall_seconds} s"
    if header["ended_by"] == "output":
        return "code_error", "returned too much output"
    if header["ended_by"] == "files":
        return "code_error", "wrote too many files"
    if header["ended_by"] == "threads":
        return "code_error", f"started more than {limits.tasks} threads"
    number = header["signal"]
    if number == SIGXCPU or (number == SIGKILL and header["cpu_seconds"] >= limits.cpu_seconds):
        return "timeout", f"not done after {limits.cpu_seconds} s of CPU time"
    if number == SIGKILL:
        return "out_of_memory", "ended by the system, probably for want of memory"
    if number is not None:
        return "code_error", f"ended by signal {number}"
    return "code_error", f"the process ended itself early (exit code {header['exit']})"


def _fail_both(header: Mapping[str, Any], status: Status, error: str) -> Rendering:
    drawing = Drawing(status, error)
    return Rendering(drawing, drawing, header["seconds"], header["cpu_seconds"])


def _fail_figure(header: Mapping[str, Any], status: Status, error: str) -> FigureRendering:
    return FigureRendering(status, error, header["seconds"])


def parse_answer(
    header: Mapping[str, Any], answer: bytes, flavour: Flavour = "official"
) -> tuple[Rendering, bool]:
    """What a script's process wrote, checked piece by piece.

    Args:
        header: How the process ended.
        answer: What it wrote.
        flavour: What it was asked for; that much must be there.

    Returns:
        The rendering, and whether its texts have to come from an execution of their own.

    Raises:
        WireError, KeyError, TypeError, ValueError: It is no such record.
    """
    record, blobs = _decode_frame(answer)
    if record["fixed" if flavour == "fixed" else "official"] is None:
        raise ValueError("the outcome is missing")
    rendering = Rendering(
        official=parse_drawing(record["official"]),
        fixed=parse_drawing(record["fixed"]),
        seconds=header["seconds"],
        cpu_seconds=header["cpu_seconds"],
        png=_read_picture(blobs, "png"),
        pdf=_read_blob(blobs, "pdf", b"%PDF"),
        judge_png=_read_picture(blobs, "judge_png"),
        without_texts=flavour == "official" and not record["drew_pdf"],
    )
    return rendering, bool(record["needs_texts"])


def _decode_frame(answer: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    decoder = wire.Decoder()
    frames = decoder.feed(answer)
    if len(frames) != 1 or decoder.is_unfinished():
        raise wire.WireError("not one frame")
    return frames[0]


def parse_figure(header: Mapping[str, Any], answer: bytes) -> FigureRendering:
    """What a script's process wrote of its figure, checked piece by piece.

    Args:
        header: How the process ended.
        answer: What it wrote.

    Raises:
        WireError, KeyError, TypeError, ValueError: It is no such record.
    """
    frame, blobs = _decode_frame(answer)
    record = frame["figure"]
    status, error = _read_status(record), _read_error(record)
    if status != "ok":
        return FigureRendering(status, error, header["seconds"])
    png = _read_picture(blobs, "png")
    texts = _require_at_most(MAX_TEXTS, _require_list(record["texts"]), "texts")
    if png is None:
        raise ValueError("no picture")
    width, height = (_parse_inches(number) for number in _require_list(record["inches"]))
    return FigureRendering(
        status=status,
        error=error,
        seconds=header["seconds"],
        png=png,
        texts=tuple(
            FigureText(_require_text(text), _parse_position(x, y))
            for text, x, y in map(_require_list, texts)
        ),
        width_inches=width,
        height_inches=height,
    )


def _parse_position(x: Any, y: Any) -> tuple[float, float] | None:
    return None if x is None and y is None else (_require_finite(x), _require_finite(y))


def _parse_inches(value: Any) -> float:
    number = _require_finite(value)
    if not 0 < number <= MOST_INCHES:
        raise ValueError("out of range")
    return number


def _require_finite(value: Any) -> float:
    if not isinstance(value, float) or not math.isfinite(value):
        raise TypeError("not a finite number")
    return value


def _read_picture(blobs: Mapping[str, bytes], name: str) -> bytes | None:
    """A PNG of a bounded size that can be decoded to its end, where there is one.

    Raises:
        ValueError: It is too large, or cannot be decoded.
    """
    if name not in blobs:
        return None
    data = require_drawable(blobs[name])
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.load()
    except Exception as error:  # a dozen kinds, SyntaxError among them
        raise ValueError("no picture that can be decoded") from error
    return data


def _read_blob(blobs: Mapping[str, bytes], name: str, magic: bytes) -> bytes | None:
    data = blobs.get(name)
    return data if data is not None and data.startswith(magic) else None


def parse_drawing(record: Any) -> Drawing:
    """One mode's outcome from its JSON form; ``None`` means that it was not derived."""
    if record is None:
        return UNKNOWN
    return Drawing(
        status=_read_status(record),
        error=_read_error(record),
        complete=bool(record["complete"]),
        elements=parse_elements(record["elements"]),
    )


def _read_status(record: Any) -> Status:
    status = record["status"]
    if status not in ("ok", "code_error", "out_of_memory"):
        raise ValueError("no status")
    return cast("Status", status)


def _read_error(record: Any) -> str | None:
    error = record["error"]
    return None if error is None else str(error)[:1000]


def parse_elements(record: Any) -> Elements:
    """Recorded elements from their JSON form.

    Raises:
        TooLargeError: They are more than can be compared in bounded time.
        KeyError, TypeError, ValueError: They are no such elements.
    """
    texts = _require_at_most(MOST_DRAWN_TEXTS, _require_list(record["texts"]), "texts")
    types = _require_at_most(
        MOST_FUNCTIONS, _require_mapping(record["chart_types"]), "kinds of drawing functions"
    )
    colors = _require_at_most(MAX_COLORS, _require_list(record["colors"]), "colours")
    layout = _require_at_most(MOST_CELLS, _require_list(record["layout"]), "axes")
    if sum(len(_require_text(text)) for text in texts) > MOST_CHARACTERS:
        raise TooLargeError(f"more than {MOST_CHARACTERS} characters of text were drawn")
    return Elements(
        texts=tuple(texts),
        chart_types={_require_name(k): _require_count(n, least=1) for k, n in types.items()},
        colors=tuple(Color(_require_name(role), _require_color(value)) for role, value in colors),
        layout=tuple(LayoutCell(*map(_require_count, _require_list(cell))) for cell in layout),
        n_axes=_require_count(record["n_axes"]),
    )


def _require_at_most(most: int, values: Items, noun: str) -> Items:
    if len(values) > most:
        raise TooLargeError(f"more than {most} {noun} were drawn")
    return values


def _require_name(value: Any) -> str:
    if len(_require_text(value)) > MAX_NAME:
        raise ValueError("too long a name")
    return value


def _require_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _require_color(value: Any) -> str:
    """``#RRGGBB``, with or without alpha, or the name of a colour map."""
    if _require_name(value).startswith("#") and not HEX_COLOR.fullmatch(value):
        raise ValueError("not a colour")
    return value


def _require_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return cast("list[Any]", value)


def _require_mapping(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a mapping")
    return cast("dict[Any, Any]", value)


def _require_count(value: Any, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not an integer")
    if not least <= value <= MOST:
        raise ValueError("out of range")
    return value


# ---------------------------------------------------------------------------- the process


class _Server:
    """One server process, its socket and the thread that listens to it."""

    def __init__(self, python: Path, confinement: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="rrvf-")
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = str(theirs.fileno())
            self.process = subprocess.Popen(
                [str(python), "-s", str(SERVER), descriptor, confinement, self._folder],
                pass_fds=[theirs.fileno()],
                env=server_environment(python),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,  # Ctrl-C is the host's to handle
            )
        self._socket = ours
        self._send_lock = threading.Lock()
        self._ids = itertools.count()
        self._answers: dict[int, Future[dict[str, Any]]] = {}
        self._decoder = wire.Decoder()
        self._is_gone = False
        self._threads: list[threading.Thread] = []
        self.hello = self._await_greeting(python)
        self._socket.settimeout(None)
        listener = threading.Thread(target=self._listen, daemon=True, name="chart-server")
        listener.start()
        self._threads = [listener, self._drain_errors()]

    def _await_greeting(self, python: Path) -> dict[str, Any]:
        self._socket.settimeout(START_SECONDS)
        with contextlib.suppress(OSError):
            while data := self._socket.recv(1 << 16):
                for header, _ in self._decoder.feed(data):
                    return header
        self.process.kill()
        message = self.process.stderr.read().decode(errors="replace") if self.process.stderr else ""
        self.close()
        raise SetupError(why_not_started(python, message))

    def _drain_errors(self) -> threading.Thread:
        """Keep the error pipe from filling up; nothing of it is shown."""

        def drain() -> None:
            if self.process.stderr is not None:
                with self.process.stderr as stream:
                    stream.read()

        thread = threading.Thread(target=drain, daemon=True, name="chart-server-errors")
        thread.start()
        return thread

    def is_alive(self) -> bool:
        return not self._is_gone and self.process.poll() is None

    def ask(
        self, request: dict[str, Any], workers: int, limits: Limits
    ) -> tuple[dict[str, Any], bytes | None]:
        """Send one request and wait until its process has ended.

        Request and answer go directly to and from the child process, in descriptors, because later
        scripts inherit the server's memory.

        Returns:
            How the process ended, and what it wrote after its token, ``None`` where that is
            missing or too much.

        Raises:
            HarnessError: The server is gone.
        """
        token = secrets.token_bytes(TOKEN_BYTES)
        request_fd = os.memfd_create("request", os.MFD_CLOEXEC)
        read_end, write_end = os.pipe()
        try:
            wire.write_all(
                request_fd, json.dumps({**request, "token": token.hex()}).encode("ascii")
            )
            os.lseek(request_fd, 0, os.SEEK_SET)
            future = self._send(request_fd, write_end, workers, limits)
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(request_fd)
            os.close(write_end)
        # Closing the pipe at the limit ends the writer.
        with os.fdopen(read_end, "rb") as stream:
            output = stream.read(len(CONFINED) + limits.output + 1)
        header = {**future.result(), "confined": output.startswith(CONFINED)}
        output = output.removeprefix(CONFINED)
        if len(output) > limits.output:
            return {**header, "ended_by": "output"}, None
        return header, output[TOKEN_BYTES:] if output.startswith(token) else None

    def _send(
        self, request_fd: int, answer_fd: int, workers: int, limits: Limits
    ) -> Future[dict[str, Any]]:
        future: Future[dict[str, Any]] = Future()
        with self._send_lock:
            if self._is_gone:
                raise HarnessError("the chart server is gone")
            number = next(self._ids)
            self._answers[number] = future
            header = {"id": number, "workers": workers, "limits": asdict(limits)}
            try:
                # A small frame goes in one piece, and its descriptors with it.
                socket.send_fds(self._socket, [wire.encode(header)], [request_fd, answer_fd])
            except OSError as error:
                del self._answers[number]
                raise HarnessError("the chart server is gone") from error
        return future

    def _listen(self) -> None:
        with contextlib.suppress(OSError, wire.WireError):
            while data := self._socket.recv(1 << 20):
                for header, _ in self._decoder.feed(data):
                    self._answers.pop(header["id"]).set_result(header)
        with self._send_lock:
            self._is_gone = True
            pending, self._answers = self._answers, {}
        for answer in pending.values():
            answer.set_exception(HarnessError("the chart server ended unexpectedly"))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self.process.wait(timeout=CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        self._socket.close()
        if self.process.stderr is not None:
            self.process.stderr.close()


def why_not_started(python: Path, message: str) -> str:
    """One line from a server's dying words."""
    last_line = message.strip().splitlines()[-1] if message.strip() else "it said nothing"
    if "ModuleNotFoundError" in last_line:
        return (
            f"{python} lacks a plotting package ({last_line}); install them with "
            "`pip install 'rrvf[chart]'`, or name another interpreter with --chart-python"
        )
    return f"the chart server did not start under {python}: {last_line}"


def font_cache(python: Path) -> dict[str, str]:
    """Where matplotlib keeps its list of fonts; nothing where no cache can be written.

    The server then makes the list anew in a folder of its own, which takes some seconds.
    """
    config = cache.folder() / "matplotlib" / hashlib.sha256(str(python).encode()).hexdigest()[:12]
    with contextlib.suppress(OSError):
        config.mkdir(parents=True, exist_ok=True)
    return {"MPLCONFIGDIR": str(config)} if os.access(config, os.W_OK) else {}


def server_environment(python: Path) -> dict[str, str]:
    """The server's whole environment: nothing of the host's gets in, keys least of all."""
    threads = ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        **font_cache(python),
        **{f"{name}_NUM_THREADS": "1" for name in threads},
    }
