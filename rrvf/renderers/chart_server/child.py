"""The work inside the fork: execute one script and report what it drew.

There are four kinds of execution:

``official``
    The whole script runs. At its first ``plt.savefig`` the figure is drawn with the script's own
    arguments. Then the ticks are removed, and it is drawn again only for the texts. Colours and
    layout are read at the end. This gives all four logs that the official scorer makes in four
    runs.
``texts``
    The copy with the official insertion, for the rare script whose copy is a different program.
``fixed``
    The script runs until it first saves or shows a figure; everything is read there.
``figure``
    The whole unchanged script runs. Then its current figure is drawn as a PNG and its texts are
    read, as Plot2Code does.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import builtins
import contextlib
import ctypes
import functools
import importlib
import io
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

import matplotlib
import numpy as np
from matplotlib import collections, image, lines, patches, pyplot
from matplotlib.axes import _base as axes_base
from matplotlib.backends.backend_pdf import FigureCanvasPdf, RendererPdf
from matplotlib.figure import Figure

from .explain import write_message
from .figure_texts import forget, is_all_white, read_inches, read_texts
from .integrity import MEASURING, Guard
from .plan import (
    FILE_NAME,
    NOT_COMPILED,
    REMOVE_TICKS,
    SAVE,
    Plan,
    compile_whole,
    make_plan,
    try_compile,
)
from .recorder import Recorder

OUTPUT = "output.pdf"
PREVIEW_PIXELS = 720
PREVIEW_DPI = 100
RASTER_PIXELS = 1 << 16
# Sizes are rounded up, and a page of 345.6 points is one of 345.60001: so a scale is a bit less.
ROUNDED_UP = 1 - 1e-6
JUDGE_DPI = 350
JUDGE_PIXELS = 60_000_000
SWITCH_SECONDS = 0.005
NEVER = 1e6
THREAD_SECONDS = 2.0
WAITING = (threading.__file__, "wait")
POOLS = Path(threading.__file__).parent / "concurrent" / "futures" / "thread.py"
POOL_WORKER = (str(POOLS), "_worker")
CALLS_TO_SCRIPT = 2
STATE_NUMBERS = 32
MANY_FRAMES = 100


class Captured(BaseException):
    """Ends a script of the ``fixed`` flavour once its figure has been read."""


class TamperedError(Exception):
    """The script replaced a function that measuring relies on."""


class BlankError(Exception):
    """The picture shows nothing."""


@dataclass
class Request:
    """One execution.

    Attributes:
        code: The script.
        flavour: ``official``, ``texts``, ``fixed`` or ``figure``.
        append_save: Add the official last line, which saves the current figure.
        judge: Also return the 350 dpi picture.
        pdf: Also return the PDF.
        previews: Draw one of ``all`` scripts, of those that ``failed``, or of ``none``.
    """

    code: str
    flavour: str = "official"
    append_save: bool = False
    judge: bool = False
    pdf: bool = False
    previews: str = "all"


@dataclass
class Answer:
    """What goes back to the host."""

    official: dict[str, Any] | None = None
    fixed: dict[str, Any] | None = None
    needs_texts: bool = False
    drew_pdf: bool = False
    figure: dict[str, Any] | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)

    def header(self) -> dict[str, Any]:
        """Everything but the blobs."""
        return {
            "official": self.official,
            "fixed": self.fixed,
            "needs_texts": self.needs_texts,
            "drew_pdf": self.drew_pdf,
            "figure": self.figure,
        }


class Execution:
    """Runs one script under a recorder."""

    def __init__(self, request: Request, recorder: Recorder, guard: Guard, scratch: str) -> None:
        self._request = request
        self._recorder = recorder
        self._guard = guard
        self._pyplot: Any = pyplot
        self._output = str(Path(scratch) / OUTPUT)
        self._scratch = scratch
        self._namespace: dict[str, Any] = {}
        self._answer = Answer()
        self._is_armed = False
        self._save_call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._texts_with_ticks: list[str] = []
        self._drew_pdf = False
        self._events = 0
        self._inside_save = False
        self._own_frames = 0
        """Calls below the script's, which do not count towards its limit of recursion."""

    def run(self) -> Answer:
        """Execute, and never raise on account of the script."""
        random.seed(0)  # which Python seeds anew in every fork
        tempfile.tempdir = None
        threading._counter = itertools.count(1).__next__  # pyright: ignore[reportAttributeAccessIssue]
        if self._request.flavour == "figure":
            self._run_figure()
            return self._answer
        code = self._request.code
        if self._request.append_save:
            code = f'{code}\n{SAVE}("{self._output}")'
        try:
            plan = make_plan(code)
        except NOT_COMPILED as error:
            self._answer.official = self._answer.fixed = make_failure(error, self._scratch)
            return self._answer
        self._namespace = make_namespace(code)
        if self._request.flavour == "texts":
            self._run_texts(code)
            return self._answer
        self._watch_saving()
        if self._request.flavour == "fixed":
            self._run_fixed(plan)
        else:
            self._run_official(plan)
        return self._answer

    # -------------------------------------------------------------------- official

    def _run_official(self, plan: Plan) -> None:
        """Two flows in one: the script as it is, and the official copy that logs the texts."""
        is_shared = plan.ticks_stay or plan.save is not None
        self._recorder.sink = self._recorder.texts if is_shared else None
        self._answer.needs_texts = plan.text_copy is not None
        error = text_error = self._execute(plan.before)
        if error is None and plan.save is not None:
            if self._namespace.get("plt") is self._pyplot:
                error, text_error = self._save_twice(plan.save)
            else:
                self._answer.needs_texts = True
                error = text_error = self._execute(plan.save)
        if plan.after is not None and (error is None or text_error is None):
            late_error = self._execute(plan.after)
            error = late_error if error is None else error
            text_error = late_error if text_error is None else text_error
        if error is not None and self._events == 0:
            self._answer.fixed = make_failure(error, self._scratch)
        elements = make_empty_elements()
        if not plan.unlogged:
            elements = self._read_official_elements(error is None, is_shared and text_error is None)
        self._answer.official = self._make_outcome(error, elements)
        self._answer.drew_pdf = self._drew_pdf
        self._take_pictures()

    def _read_official_elements(self, alive: bool, texts_alive: bool) -> dict[str, Any]:
        elements = make_empty_elements()
        if texts_alive:
            elements["texts"] = [str(text) for text in self._recorder.texts]
        if alive:
            elements["chart_types"] = self._recorder.read_official_types()
            elements["colors"] = self._recorder.read_colors(self._recorder.official_colors)
            # The official log asks whatever the script calls plt; without an answer it stays empty.
            with contextlib.suppress(Exception):
                elements |= read_layout(self._namespace["plt"].gcf())
        return elements

    def _make_outcome(
        self, error: BaseException | None, elements: dict[str, Any]
    ) -> dict[str, Any]:
        if isinstance(error, TamperedError):
            return make_failure(error, self._scratch)
        has_drawn = self._has_drawn() if self._request.append_save else error is None
        outcome = (
            make_failure(error, self._scratch) if error is not None else make_success(elements)
        )
        if has_drawn:
            outcome |= {"status": "ok", "elements": elements}
        elif error is None:
            outcome |= {"status": "code_error", "error": "no picture was saved"}
        return outcome

    def _has_drawn(self) -> bool:
        """The picture exists, and came from a call that saves one."""
        return self._events > 0 and Path(self._output).is_file()

    def _save_twice(self, statement: CodeType) -> tuple[BaseException | None, BaseException | None]:
        """Draw as the script asks; then once more without ticks, for the texts.

        Where the second drawing shows a text that the first one did not, drawing itself changed
        the figure (an animation's first frame, a formatter that counts): the texts are then left
        to an execution of their own.

        Returns:
            What the first and the second drawing raised.
        """
        first_event = self._events == 0
        with contextlib.suppress(OSError):  # what the script itself has put there
            Path(self._output).unlink()
        self._is_armed = True
        error = self._execute(statement)
        self._is_armed = False
        text_error: BaseException | None = error
        n_texts = len(self._recorder.texts)
        if self._save_call is not None and not isinstance(error, TamperedError):
            text_error = self._draw_texts(again=error is not None)
        texts = self._recorder.texts[n_texts:]
        if error is None and Counter(texts) - Counter(self._texts_with_ticks):
            self._answer.needs_texts = True
        if first_event and error is not None:
            self._answer.fixed = make_failure(error, self._scratch)
        elif first_event:
            self._answer.fixed = make_success(self._read_fixed_elements(texts, self._pyplot.gcf()))
        return error, text_error

    def _draw_texts(self, again: bool) -> BaseException | None:
        """Take the ticks off and draw for the texts.

        Args:
            again: Repeat the script's own call to the letter, since the first one raised.
        """
        figure = self._pyplot.gcf()
        try:
            remove_ticks(figure)
            if again and self._save_call is not None:
                args, kwargs = self._save_call
                self._pyplot.savefig(*args, **kwargs)
            elif self._drew_pdf:
                draw_texts_only(figure, self._recorder)
        except BaseException as error:
            return error
        return None

    # ----------------------------------------------------------------------- texts

    def _run_texts(self, code: str) -> None:
        place = code.find(SAVE)
        copy = try_compile(code[:place] + REMOVE_TICKS + code[place:])
        self._recorder.sink = self._recorder.texts
        error = self._execute(copy) if copy is not None else SyntaxError()
        elements = self._read_official_elements(alive=False, texts_alive=error is None)
        self._answer.official = make_success(elements)

    # ----------------------------------------------------------------------- fixed

    def _run_fixed(self, plan: Plan) -> None:
        error: BaseException | None = None
        for part in (plan.before, plan.save, plan.after):
            if part is not None and error is None:
                error = self._execute(part)
        if self._answer.fixed is not None:
            return
        if error is None and self._pyplot.get_fignums():
            self._capture(self._pyplot.gcf())
            return
        if error is None:
            error = RuntimeError("the script draws no figure")
        self._answer.fixed = make_failure(error, self._scratch)

    def _capture(self, figure: Any) -> None:
        """Draw ``figure`` and read everything from it."""
        self._guard.restore()
        violation = self._guard.find_violation()
        if violation is not None:
            self._answer.fixed = make_failure(make_tampered_error(violation), self._scratch)
            return
        try:
            with self._mark_saving():
                figure.savefig(self._output)
        except Exception as error:
            self._answer.fixed = make_failure(error, self._scratch)
            return
        self._take_pictures()
        texts: list[str] = []
        with contextlib.suppress(Exception), self._recorder.send_texts_to(texts):
            remove_ticks(figure)
            draw_texts_only(figure, self._recorder)
        self._answer.fixed = make_success(self._read_fixed_elements(texts, figure))

    def _read_fixed_elements(self, texts: list[str], figure: Any) -> dict[str, Any]:
        elements = make_empty_elements()
        elements["texts"] = [str(text) for text in texts]
        elements["chart_types"] = dict(self._recorder.fixed_types)
        elements["colors"] = self._recorder.read_colors(self._recorder.fixed_colors)
        return elements | read_layout(figure)

    # ---------------------------------------------------------------------- figure

    def _run_figure(self) -> None:
        try:
            code = compile_whole(self._request.code)
        except NOT_COMPILED as error:
            self._answer.figure = make_failure(error, self._scratch)
            return
        self._namespace = make_namespace(self._request.code)
        error = self._execute(code)
        if error is None:
            error = self._run_watched(self._read_figure)
        if error is not None:
            self._answer.figure = make_failure(error, self._scratch)
            self._answer.blobs.clear()

    def _read_figure(self) -> None:
        """The picture of the current figure, then its texts: drawing moves axis labels."""
        figure = self._pyplot.gcf()
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        if is_all_white(picture):
            raise BlankError("the picture is all white")
        self._answer.blobs["png"] = picture.getvalue()
        forget(figure)
        self._answer.figure = {
            "status": "ok",
            "error": None,
            "texts": read_texts(figure),
            "inches": read_inches(figure),
        }

    # ------------------------------------------------------------ running and watching

    def _execute(self, code: CodeType) -> BaseException | None:
        """Run a part of the script; what it raised, or that it meddled with the measuring."""
        return self._run_watched(lambda: exec(code, self._namespace))

    def _run_watched(self, run: Callable[[], None]) -> BaseException | None:
        """Do what may run code of the script's; what it raised, or that it meddled."""
        error: BaseException | None = None
        if self._own_frames == 0:
            self._own_frames = count_frames() + CALLS_TO_SCRIPT
            allow_frames(self._own_frames)
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            run()
        except BaseException as exception:
            error = exception
        # No thread of the script's may run between here and the answer.
        is_alone = threads_have_ended()
        sys.setswitchinterval(NEVER)
        self._guard.restore()
        violation = self._guard.find_violation()
        if violation is not None and not isinstance(error, Captured):
            error = make_tampered_error(violation)
        if not is_alone:
            error = TamperedError("the script left a thread running")
        return error

    def _watch_saving(self) -> None:
        """Learn of every call that saves or shows a figure, in place of matplotlib's own three.

        The wrappers become part of what :class:`Guard` watches: they stand for good functions.
        """
        save_figure = Figure.savefig

        def figure_savefig(figure: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._inside_save:
                self._note_event(figure)
            with self._mark_saving():
                return save_figure(figure, *args, **kwargs)

        self._note_pdf()
        self._watch_pyplot(save_figure)
        self._install(Figure, "savefig", figure_savefig)
        reload = importlib.reload

        @functools.wraps(reload)
        def reload_and_watch(module: ModuleType) -> ModuleType:
            reloaded = reload(module)
            if reloaded is pyplot:
                self._watch_pyplot(save_figure)
            return reloaded

        importlib.reload = reload_and_watch

    def _watch_pyplot(self, save_figure: Callable[..., Any]) -> None:
        save, show = pyplot.savefig, pyplot.show

        def pyplot_savefig(*args: Any, **kwargs: Any) -> Any:
            self._note_event(pyplot.gcf())
            if not self._is_armed:
                with self._mark_saving():
                    return save(*args, **kwargs)
            self._is_armed = False
            self._save_call = (args, kwargs)
            with self._recorder.send_texts_to(self._texts_with_ticks), self._mark_saving():
                return save_once(pyplot.gcf(), save_figure, args, kwargs)

        def pyplot_show(*args: Any, **kwargs: Any) -> Any:
            if pyplot.get_fignums():
                self._note_event(pyplot.gcf())
            return show(*args, **kwargs)

        for name in MEASURING:
            self._guard.expect(pyplot, name, getattr(pyplot, name))
        self._install(pyplot, "savefig", pyplot_savefig)
        self._install(pyplot, "show", pyplot_show)

    def _install(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self._guard.expect(owner, name, function)
        setattr(owner, name, function)

    def _note_pdf(self) -> None:
        print_pdf = FigureCanvasPdf.print_pdf

        @functools.wraps(print_pdf)  # matplotlib looks at its module and its signature
        def print_and_note(*args: Any, **kwargs: Any) -> Any:
            self._drew_pdf = True
            return print_pdf(*args, **kwargs)

        self._install(FigureCanvasPdf, "print_pdf", print_and_note)

    @contextlib.contextmanager
    def _mark_saving(self) -> Generator[None]:
        before, self._inside_save = self._inside_save, True
        try:
            yield
        finally:
            self._inside_save = before

    def _note_event(self, figure: Any) -> None:
        self._events += 1
        if self._request.flavour == "fixed" and self._answer.fixed is None:
            with self._mark_saving():
                self._capture(figure)
            raise Captured

    # -------------------------------------------------------------------- pictures

    def _take_pictures(self) -> None:
        """The preview, and what was asked for; the status does not depend on them."""
        pdf = self._find_pdf()
        if self._wants_preview():
            self._preview(pdf)
        if pdf is None:
            return
        if self._request.pdf:
            self._answer.blobs["pdf"] = pdf.read_bytes()
        if self._request.judge:
            with contextlib.suppress(Exception):
                self._answer.blobs["judge_png"] = draw_page(pdf, judge_scale)

    def _wants_preview(self) -> bool:
        if self._request.previews != "failed":
            return self._request.previews == "all"
        outcome = self._answer.official
        return outcome is not None and outcome["status"] != "ok"

    def _preview(self, pdf: Path | None) -> None:
        with contextlib.suppress(Exception):
            if pdf is not None:
                self._answer.blobs["png"] = draw_page(pdf, preview_scale)
        with contextlib.suppress(Exception):
            if "png" not in self._answer.blobs and self._pyplot.get_fignums():
                self._answer.blobs["png"] = draw_png(self._pyplot.gcf())

    def _find_pdf(self) -> Path | None:
        candidates = [Path(self._output)]
        if self._save_call is not None and self._save_call[0]:
            with contextlib.suppress(TypeError, ValueError):
                candidates.append(Path(self._save_call[0][0]))
        return next((path for path in candidates if path.is_file()), None)


# ------------------------------------------------------------------------------- surroundings


def fix_numpy() -> None:
    """Make numpy's unseeded random numbers the same in every execution; before the fork."""
    generator: Any = np.random.bit_generator

    np.random.seed(0)
    # Where numpy's new generators take their entropy from when no seed is given.
    seeds = itertools.count(0x5EED)

    def next_bits(k: int) -> int:
        return next(seeds) % (1 << k)

    generator.randbits = next_bits


def make_namespace(code: str) -> dict[str, Any]:
    """The globals of a script that runs as ``__main__``, its file in the working folder."""
    with contextlib.suppress(OSError):  # a script may fill its disk with itself
        Path(FILE_NAME).write_text(code, encoding="utf-8", errors="surrogatepass")
    main = ModuleType("__main__")
    loader = SourceFileLoader("__main__", FILE_NAME)
    main.__dict__.update(__file__=FILE_NAME, __cached__=None, __loader__=loader)
    main.__dict__.update(__annotations__={}, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv[:] = [FILE_NAME]
    return main.__dict__


def count_frames() -> int:
    """How many calls deep the caller is."""
    frame, depth = sys._getframe(), 0  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def allow_frames(number: int) -> None:
    """Let a script recurse as deep as if it had started on an empty stack.

    The interpreter counts the frames that are left in the state of its thread, in the number before
    the limit. Where that number is not found the limit itself is raised, which a script can see.
    """
    limit = sys.getrecursionlimit()
    get_state = ctypes.pythonapi.PyThreadState_Get
    get_state.restype = ctypes.c_void_p
    state = (ctypes.c_int * STATE_NUMBERS).from_address(get_state() or 0)
    places = [place for place in range(1, STATE_NUMBERS) if state[place] == limit]
    counters = [place - 1 for place in places if 0 < limit - state[place - 1] < MANY_FRAMES]
    if len(counters) == 1:
        state[counters[0]] += number
    else:
        sys.setrecursionlimit(limit + number)


def threads_have_ended() -> bool:
    """Wait a little for the threads a script has started, as the interpreter does at its end.

    It does not wait for daemons, and ends the workers of a pool: those that wait for work, and so
    do nothing, may stay.
    """
    give_up = time.monotonic() + THREAD_SECONDS
    while _find_busy_threads():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


def _find_busy_threads() -> list[int]:
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
    daemons = {thread.ident for thread in threading.enumerate() if thread.daemon}
    own = threading.get_ident()
    return [
        ident
        for ident, frame in frames.items()
        if ident != own and not _waits_for_work(frame.f_code, is_daemon=ident in daemons)
    ]


def _waits_for_work(code: CodeType, *, is_daemon: bool) -> bool:
    place = (code.co_filename, code.co_name)
    return place == POOL_WORKER or (is_daemon and place == WAITING)


# ------------------------------------------------------------------------------- reading


def make_tampered_error(name: str) -> TamperedError:
    """The script replaced ``name``."""
    return TamperedError(f"the script replaced {name}, which the measuring relies on")


def make_empty_elements() -> dict[str, Any]:
    """What an execution that logged nothing amounts to."""
    return {"texts": [], "chart_types": {}, "colors": [], "layout": [], "n_axes": 0}


def make_success(elements: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a script that ran to its end."""
    return {"status": "ok", "error": None, "complete": True, "elements": elements}


def make_failure(error: BaseException | None, scratch: str) -> dict[str, Any]:
    """The outcome of a script that did not."""
    status = "out_of_memory" if isinstance(error, MemoryError) else "code_error"
    return {
        "status": status,
        "error": describe(error, scratch),
        "complete": False,
        "elements": make_empty_elements(),
    }


def describe(error: BaseException | None, scratch: str) -> str:
    """One line without paths of the host: what was raised, and at which line of the script."""
    if isinstance(error, TamperedError | BlankError):
        return str(error)
    if isinstance(error, SystemExit):
        return "the script ended itself (SystemExit) before it was through"
    line = find_script_line(error.__traceback__ if error else None)
    if isinstance(error, SyntaxError):
        line = None  # the message names it
    place = f" (line {line})" if line else ""
    message = write_message(error, scratch)
    return "".join(sign if sign.isprintable() else "?" for sign in message) + place


def find_script_line(traceback: TracebackType | None) -> int | None:
    """The last line of the script itself in a traceback."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE_NAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def read_layout(figure: Any) -> dict[str, Any]:
    """Six numbers for every axes in a grid, and how many axes there are."""
    cells: list[list[int]] = []
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None:
            rows, columns = spec.rowspan, spec.colspan
            grid = spec.get_gridspec().get_geometry()
            cell = [*grid, rows.start, rows.stop - 1, columns.start, columns.stop - 1]
            cells.append([int(number) for number in cell])
    return {"layout": cells, "n_axes": len(figure.axes)}


# ------------------------------------------------------------------------------- drawing


def remove_ticks(figure: Any) -> None:
    """What the official scorer does to every axes before it logs the texts."""
    for axes in figure.get_axes():
        axes.set_xticks([])
        axes.set_yticks([])


def draw_texts_only(figure: Any, recorder: Recorder) -> None:
    """Have ``recorder`` note the texts of ``figure``, as if it were drawn as a PDF.

    Lines, images, collections and plain patches hold no text and are left out, and no title is
    moved; table cells and annotations are drawn, but their strokes go nowhere. Nor do the texts
    themselves, so that no font has to be put into the file, which is thrown away.
    """

    def do_nothing(*args: Any, **kwargs: Any) -> None:
        return None

    methods: list[tuple[Any, str]] = [
        (lines.Line2D, "draw"),
        (collections.Collection, "draw"),
        (patches.Patch, "draw"),
        (vars(axes_base)["_AxesBase"], "_update_title_position"),
        (vars(image)["_ImageBase"], "draw"),
        (RendererPdf, "draw_path"),
        (RendererPdf, "draw_markers"),
        (RendererPdf, "draw_path_collection"),
        (RendererPdf, "draw_image"),
    ]
    originals = [(owner, name, owner.__dict__[name]) for owner, name in methods]
    try:
        for owner, name in methods:
            setattr(owner, name, do_nothing)
        recorder.draws_texts = False
        with matplotlib.rc_context({"savefig.bbox": None}):
            figure.canvas.print_figure(io.BytesIO(), format="pdf")
    finally:
        recorder.draws_texts = True
        for owner, name, function in originals:
            setattr(owner, name, function)


def save_once(
    figure: Any, save: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """``plt.savefig`` without the drawing to the screen canvas that follows, which nobody sees.

    Unless that would raise: a canvas that no raster can hold fails officially, too.
    """
    result = save(figure, *args, **kwargs)
    if max(figure.canvas.get_width_height()) >= RASTER_PIXELS:
        figure.canvas.draw_idle()
    return result


def draw_png(figure: Any) -> bytes:
    """Draw ``figure`` for the preview, at no more pixels than it needs."""
    width, height = figure.get_size_inches()
    dpi = min(100.0, PREVIEW_PIXELS / max(width, height, 0.1))
    buffer = io.BytesIO()
    figure.canvas.print_figure(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def preview_scale(width: float, height: float) -> float:
    """Pixels per point at which the longer side has the size of the report's pictures."""
    return min(PREVIEW_DPI / 72, PREVIEW_PIXELS / max(width, height, 1.0)) * ROUNDED_UP


def judge_scale(width: float, height: float) -> float:
    """Pixels per point at 350 dpi, as the official pipeline shows a figure to a judge."""
    scale = JUDGE_DPI / 72
    return scale * min(1.0, (JUDGE_PIXELS / (width * height * scale**2)) ** 0.5) * ROUNDED_UP


def draw_page(pdf: Path, scale: Callable[[float, float], float]) -> bytes:
    """The first page as a PNG.

    Args:
        pdf: The file; made by a script, so only ever opened inside its confinement.
        scale: Width and height in points -> pixels per point.
    """
    import pypdfium2

    page: Any = pypdfium2.PdfDocument(str(pdf))[0]
    bitmap = page.render(scale=scale(page.get_width(), page.get_height()))
    buffer = io.BytesIO()
    bitmap.to_pil().save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
