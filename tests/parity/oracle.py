"""Score pairs with VLMEvalKit's own ChartMimic code: the other side of the parity suite.

Runs under an interpreter that has ``vlmeval`` installed, needs nothing else of this project, and is
called as a program::

    PYTHON tests/parity/oracle.py --pairs pairs.jsonl --out out.jsonl --jobs 2

or, from a test, through :func:`ask`. A line of ``--pairs`` is one :class:`Pair`; a line of
``--out`` is one outcome (see :func:`judge`), known ones first, the others as they finish. Outcomes
are cached: a run that was cut off goes on where it stopped, and a repetition costs nothing.

What is official: taking the code out of the completion, its preparation, the decision whether it
was executed, the four evaluators, the scripts they write and the sums. What is replaced, without a
change of values:

* the time limits of the evaluators and the picture for the GPT judge, which are dropped;
* the process pool of the colour evaluator, which becomes a plain loop over memoised similarities,
  and its search over all permutations of a big group, which becomes an optimal assignment;
* the log of a reference that several pairs share, which is made once by each worker;
* with ``--runner fork``, the start of a Python process for each of the nine scripts of a pair,
  which becomes a fork of a process that has imported matplotlib's dependencies.
  ``--runner subprocess`` starts them as the official code does.
"""

from __future__ import annotations

import argparse
import atexit
import builtins
import contextlib
import copy
import gc
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import itertools
import json
import logging
import math
import multiprocessing
import os
import platform
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, Protocol

Outcome = dict[str, Any]
"""One line of the output, see :func:`judge`."""

SCORERS: Mapping[str, tuple[str, str, str]] = {
    "text": ("TextEvaluator", "_log_texts", "text_metrics"),
    "type": ("ChartTypeEvaluator", "_get_chart_types", "chart_type_metrics"),
    "color": ("ColorEvaluator", "_log_colors", "color_metrics"),
    "layout": ("LayoutEvaluator", "_log_layouts", "layout_metrics"),
}
"""Our name -> the evaluator's class, its method that reads one script, its key in the result."""

REVISION = 2
"""Part of the cache's key: raise it with every change of this file that could move an outcome."""

PACKAGES = (
    "ms-vlmeval",
    "colormath",
    "matplotlib",
    "matplotlib-venn",
    "networkx",
    "numpy",
    "pandas",
    "pillow",
    "scipy",
    "seaborn",
    "squarify",
)
"""Distributions whose version can move a score."""

PREIMPORTS = (
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "mpl_toolkits.mplot3d",
    "mpl_toolkits.axes_grid1.inset_locator",
    "pandas",
    "scipy.stats",
    "scipy.cluster.hierarchy",
    "networkx",
    "squarify",
    "colormath.color_diff",
)
"""What a forked script finds imported, where it is installed.

Not pyplot, and nothing that imports it or registers colour maps (seaborn, matplotlib_venn): what
``matplotlib.use`` does and which colour maps exist would differ from a process of its own.
"""

EXHAUSTIVE_UP_TO = 720
"""Permutations that are still tried one by one, as the official code does: six colours of six."""

SCRIPT_SECONDS = 120.0
"""Time limit of one script; the official limit of the first execution."""


class OracleError(Exception):
    """The oracle itself failed; the message is one line."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference script and a model's completion.

    Attributes:
        name: Also the stem of the reference's file: one that begins with ``graph`` has its layout
            read by another rule.
        reference: The reference script.
        completion: The raw reply of a model.
        task: ``direct`` or ``customized``.
    """

    name: str
    reference: str
    completion: str
    task: str = "direct"


# ------------------------------------------------------------------------- what a caller uses


def load_pairs(path: Path) -> list[Pair]:
    """Read a JSONL file of pairs, or a folder of them.

    Args:
        path: The file; or a folder with ``index.json``, a list of objects with ``name``, ``task``
            and perhaps ``reference`` (the name of another pair whose reference is shared), and
            beside it ``<name>.ref.py`` and ``<name>.answer.md``.
    """
    if path.is_dir():
        index = json.loads((path / "index.json").read_text(encoding="utf-8"))
        return [_pair_of_folder(path, entry) for entry in index]
    lines = path.read_text(encoding="utf-8").split("\n")
    return [Pair(**json.loads(line)) for line in lines if line.strip()]


def _pair_of_folder(folder: Path, entry: Mapping[str, Any]) -> Pair:
    name = entry["name"]
    return Pair(
        name=name,
        reference=_read(folder / f"{entry.get('reference', name)}.ref.py"),
        completion=_read(folder / f"{name}.answer.md"),
        task=entry["task"],
    )


def _read(path: Path) -> str:
    """The file's text with its own line ends: an answer may hold carriage returns on purpose."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def ask(
    python: Path, pairs: Sequence[Pair], *, jobs: int = 2, runner: str = "fork"
) -> dict[str, Outcome]:
    """Run this program under another interpreter and return its outcomes by pair name.

    Raises:
        OracleError: The program failed or left out a pair.
    """
    with tempfile.TemporaryDirectory(prefix="oracle-") as name:
        asked, answered = Path(name, "pairs.jsonl"), Path(name, "out.jsonl")
        asked.write_text("".join(json.dumps(asdict(p)) + "\n" for p in pairs), encoding="utf-8")
        command = [str(python), __file__, "--pairs", str(asked), "--out", str(answered)]
        options = ["--jobs", str(jobs), "--runner", runner]
        done = subprocess.run(command + options, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OracleError(f"the oracle failed: {done.stderr.strip()[-2000:]}")
        lines = answered.read_text(encoding="utf-8").splitlines()
    outcomes = {outcome["name"]: outcome for outcome in map(json.loads, lines)}
    missing = [pair.name for pair in pairs if pair.name not in outcomes]
    if missing:
        raise OracleError(f"the oracle left out {', '.join(missing)}")
    return outcomes


# ------------------------------------------------------------------------------ running scripts


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """How one script ended: exit status (minus the signal that killed it) and what it printed."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Runner(Protocol):
    """Runs a Python script to its end."""

    def __call__(self, script: Path, cwd: Path) -> ScriptRun:
        """Run it in ``cwd``.

        Raises:
            TimeoutError: It did not end within :data:`SCRIPT_SECONDS`.
        """
        ...


class SubprocessRunner:
    """Starts ``python3 SCRIPT``, as the official code does."""

    def __call__(self, script: Path, cwd: Path) -> ScriptRun:
        command = ["python3", str(script)]
        try:
            done = subprocess.run(
                command, cwd=cwd, capture_output=True, timeout=SCRIPT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no end within {SCRIPT_SECONDS:g} s") from error
        return ScriptRun(done.returncode, done.stdout, done.stderr)


class ForkRunner:
    """Has a process that imported the slow libraries fork a child for each script."""

    def __init__(self, scratch: Path) -> None:
        self._stdout, self._stderr = scratch / "stdout", scratch / "stderr"
        self._server = subprocess.Popen(
            [sys.executable, __file__, "--fork-server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, script: Path, cwd: Path) -> ScriptRun:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = [str(path) for path in (script, cwd, self._stdout, self._stderr)]
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        reply = self._server.stdout.readline()
        if not reply:
            raise OracleError("the fork server died")
        returncode = json.loads(reply)
        if returncode is None:
            raise TimeoutError(f"no end within {SCRIPT_SECONDS:g} s")
        return ScriptRun(returncode, self._stdout.read_bytes(), self._stderr.read_bytes())

    def close(self) -> None:
        """End the server process."""
        self._server.communicate()


def fork_server() -> None:
    """Answer each request on stdin with an exit status.

    A request is a JSON list: the script, the folder to run it in, the files for its two outputs.
    """
    for name in PREIMPORTS:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it inherited
    replies = os.fdopen(os.dup(1), "w")
    while line := sys.stdin.readline():
        script, cwd, stdout, stderr = json.loads(line)
        child = os.fork()
        if child == 0:
            replies.close()
            _redirect(stdout, stderr)
            os.chdir(cwd)
            _become(script)
        print(json.dumps(_wait(child)), file=replies, flush=True)


def _redirect(stdout: str, stderr: str) -> None:
    """Give the child its own session and standard streams, so that nothing reaches the protocol."""
    os.setsid()
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(stdout, writing), 1)
    os.dup2(os.open(stderr, writing), 2)


def _become(script: str) -> NoReturn:
    """Run the script as ``__main__``, then leave without taking the interpreter down.

    Taking it down would copy every page the child inherited: 0.6 s of CPU where this takes 0.02 s.
    """
    with contextlib.suppress(ModuleNotFoundError):
        # a new process seeds itself; a fork would repeat its parent's numbers
        importlib.import_module("numpy").random.seed()
    main = types.ModuleType("__main__")
    main.__file__ = script
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.argv[:] = [script]
    sys.path[0] = str(Path(script).parent)
    status = _execute_file(script, main.__dict__)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _execute_file(script: str, namespace: dict[str, Any]) -> int:
    """Execute the file as the interpreter would; return the exit status."""
    try:
        source = Path(script).read_bytes()
        exec(compile(source, script, "exec", dont_inherit=True), namespace)
    except SystemExit as leaving:
        if leaving.code is None or isinstance(leaving.code, int):
            return (leaving.code or 0) & 0xFF
        print(leaving.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _wait(child: int) -> int | None:
    """The child's exit status; ``None``, and the child killed, when its time is up."""
    descriptor = os.pidfd_open(child)
    ended, _, _ = select.select([descriptor], [], [], SCRIPT_SECONDS)
    os.close(descriptor)
    if not ended:
        os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status) if ended else None


# ------------------------------------------------------------------------- the official code


class Official:
    """VLMEvalKit's ChartMimic module, with its processes replaced and its logs kept.

    It is patched for the whole process: only one may exist, in a process of its own.
    """

    def __init__(self, runner: Runner, folder: Path) -> None:
        check_folder(folder)
        self._runner, self._folder = runner, folder
        self._raw: dict[str, dict[str, Any]] = {}
        self._errors: dict[str, str] = {}
        self._references: dict[tuple[str, str], Any] = {}
        self._module = _import_official()
        self._judge_one: Callable[[str], tuple[int, Any]] = inspect.unwrap(
            self._module._judge_one_item
        )
        self._patch_module()
        self._patch_color_matching()
        for scorer in SCORERS:
            self._patch_evaluator(scorer)

    def __call__(self, pair: Pair) -> Outcome:
        """Judge one pair; see :func:`judge` for what comes back."""
        self._raw = {}
        self._errors = {}
        reference = Path("v0", f"{pair.name}.py")
        image_root = self._folder / "images" / "ChartMimic"
        (image_root / reference).parent.mkdir(parents=True)
        with (image_root / reference).open("w", encoding="utf-8", newline="") as file:
            file.write(pair.reference)
        item = {
            "index": 1,
            "task": pair.task,
            "prediction": pair.completion,
            "ground_truth_figure_code": str(reference),
        }
        low_level: Mapping[str, Any] = {}
        try:
            low_level = self._judge_one(json.dumps(item))[1]["low_level"]
        except Exception as error:  # `judge_one_item` turns whatever is raised into zeros
            self._errors["item"] = repr(error)
        return self._outcome(pair, low_level)

    def _outcome(self, pair: Pair, low_level: Mapping[str, Any]) -> Outcome:
        generated = low_level.get("generated_py_file")
        outcome: Outcome = {"name": pair.name, "executed": generated is not None}
        for scorer, (_, _, key) in SCORERS.items():
            metrics = low_level.get(key, {})
            outcome[scorer] = {k: float(metrics.get(k, 0)) for k in ("precision", "recall", "f1")}
        outcome["raw"] = self._raw
        outcome["errors"] = self._errors
        return outcome

    def _patch_module(self) -> None:
        """Replace what stands around the evaluators: folders, time limits, the judge's picture."""

        def image_root() -> str:
            return str(self._folder)

        def no_timeout(seconds: float) -> Callable[[Any], Any]:
            del seconds
            return lambda function: function

        def no_picture(pdf: str, png: str, dpi: int = 350) -> bool:
            del pdf, png, dpi
            return False

        def start(command: Sequence[str], **options: object) -> ScriptRun:
            del options
            return self._execute(Path(command[1]))

        module = self._module
        module.LMUDataRoot = image_root
        module.save_code_dir = str(self._folder / "out")
        module.sub_set_name = "parity"
        module.timeout = no_timeout
        module._convert_single_page_pdf_to_png = no_picture
        module.subprocess = types.SimpleNamespace(
            run=start, TimeoutExpired=subprocess.TimeoutExpired
        )

    def _execute(self, script: Path) -> ScriptRun:
        """Run a script; what it prints must be text, or the official ``text=True`` raises."""
        try:
            ended = self._runner(script, self._folder)
        except TimeoutError as error:
            self._errors[script.name] = str(error)
            raise
        if ended.returncode != 0:
            last = ended.stderr.decode(errors="replace").strip().split("\n")[-1]
            self._errors[script.name] = f"exit status {ended.returncode}: {last[:300]}"
        ended.stdout.decode()
        ended.stderr.decode()
        return ended

    def _patch_evaluator(self, scorer: str) -> None:
        """Let an evaluator start scripts through the runner, and keep what it read and raised."""
        class_name, method_name, _ = SCORERS[scorer]
        evaluator = getattr(self._module, class_name)
        read: Callable[[Any, str], Any] = getattr(evaluator, method_name)
        compare: Callable[..., None] = evaluator.__call__

        def recorded_read(self_: Any, code_file: str) -> Any:
            side = "generated" if code_file.endswith("/1.py") else "reference"
            if side == "reference":
                found = self._read_reference(scorer, code_file, lambda: read(self_, code_file))
            else:
                found = read(self_, code_file)
            # a copy now: the comparison takes matched texts out of the list
            self._raw.setdefault(scorer, {})[side] = _plain(scorer, found)
            return found

        def recorded_compare(self_: Any, **files: str) -> None:
            try:
                compare(self_, **files)
            except Exception as error:
                self._errors[scorer] = repr(error)
                raise

        def run_script_safe(script_path: str) -> bool:
            return self._execute(Path(script_path)).returncode == 0

        setattr(evaluator, method_name, recorded_read)
        evaluator.__call__ = recorded_compare
        namespace: Any = sys.modules[evaluator.__module__]
        namespace.run_script_safe = run_script_safe

    def _read_reference(self, scorer: str, code_file: str, read: Callable[[], Any]) -> Any:
        """What an evaluator reads from a reference; of pairs that share one, read once."""
        key = (scorer, _read(Path(code_file)))
        if key not in self._references:
            self._references[key] = read()
        return copy.deepcopy(self._references[key])

    def _patch_color_matching(self) -> None:
        """Replace the pool and, for big groups, the search over all permutations."""
        namespace: Any = sys.modules[self._module.ColorEvaluator.__module__]
        similarity: Callable[[str, str], float] = lru_cache(maxsize=None)(
            namespace.calculate_similarity_single
        )

        def permutations(longer: Sequence[str], length: int) -> Iterable[Any]:
            return arrangements(longer, length, similarity)

        namespace.calculate_similarity_single = similarity
        namespace.permutations = permutations
        namespace.Pool = NoPool


def check_folder(folder: Path) -> None:
    """Refuse a folder whose name the official code would misread.

    It looks for ``/graph`` in a script's path, and replaces ``.py`` everywhere in it.
    """
    if "/graph" in str(folder) or ".py" in str(folder):
        raise OracleError(f"{folder} holds '/graph' or '.py': set TMPDIR to another folder")


def _import_official() -> Any:
    if "vlmeval" not in sys.modules and importlib.util.find_spec("torch") is None:
        _stand_in_for_packages()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        module: Any = importlib.import_module("vlmeval.dataset.chartmimic")
    module.logger.disabled = True
    return module


def _stand_in_for_packages() -> None:
    """Let ``vlmeval.dataset.chartmimic`` and its evaluators be imported where torch is not.

    The ``__init__`` files above them import every model and data set. Their places are taken by
    bare packages with the same folders; the modules that score are the installed ones.
    """
    spec = importlib.util.find_spec("vlmeval")
    if spec is None or not spec.submodule_search_locations:
        raise OracleError("vlmeval is not installed here")
    folder = Path(spec.submodule_search_locations[0])

    def unused(*args: object, **kwargs: object) -> None:
        raise OracleError("a part of VLMEvalKit that does not score was called")

    def logger(*args: object, **kwargs: object) -> logging.Logger:
        return logging.getLogger("vlmeval")

    names = ("LMUDataRoot", "download_file", "dump", "file_size", "load", "md5")
    tools = dict.fromkeys((*names, "get_intermediate_file_path"), unused)
    contents: dict[str, dict[str, Any]] = {
        "vlmeval": {"__path__": [str(folder)]},
        "vlmeval.smp": {**tools, "get_logger": logger},
        "vlmeval.dataset": {"__path__": [str(folder / "dataset")]},
        "vlmeval.dataset.image_base": {"ImageBaseDataset": object},
        "vlmeval.dataset.utils": {
            "__path__": [str(folder / "dataset" / "utils")],
            "DEBUG_MESSAGE": "",
            "build_judge": unused,
        },
    }
    for name, content in contents.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        sys.modules[name] = module


class BestMatch:
    """Stands for all arrangements of ``longer``; knows the one that suits ``shorter`` best."""

    def __init__(self, longer: Sequence[str], similarity: Callable[[str, str], float]) -> None:
        self._longer, self._similarity = longer, similarity

    def for_shorter(self, shorter: Sequence[str]) -> tuple[str, ...]:
        """As many of ``longer`` as there are in ``shorter``, each beside its partner."""
        import numpy as np
        from scipy.optimize import linear_sum_assignment

        table = np.array([[self._similarity(a, b) for b in self._longer] for a in shorter])
        _, chosen = linear_sum_assignment(table, maximize=True)
        return tuple(self._longer[int(column)] for column in chosen)


def arrangements(
    longer: Sequence[str], length: int, similarity: Callable[[str, str], float]
) -> Iterable[Any]:
    """Every arrangement of a small group; of a big one a stand-in for the best."""
    if math.perm(len(longer), length) <= EXHAUSTIVE_UP_TO:
        return itertools.permutations(longer, length)
    return [BestMatch(longer, similarity)]


class NoPool:
    """A process pool without processes."""

    def __init__(self, processes: int | None = None) -> None:
        del processes

    def __enter__(self) -> NoPool:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, function: Callable[[Any], float], tasks: Iterable[Any]) -> list[float]:
        """What ``multiprocessing.Pool.map`` returns."""
        return [function(self._resolved(*task)) for task in tasks]

    @staticmethod
    def _resolved(shorter: Sequence[str], arrangement: Any) -> tuple[Sequence[str], Any]:
        if isinstance(arrangement, BestMatch):
            return shorter, arrangement.for_shorter(shorter)
        return shorter, arrangement


def _plain(scorer: str, found: Any) -> Any:
    """An evaluator's log as JSON: texts without positions, function names without folders.

    Of a log that could not be read back the official code keeps the unread text itself.
    """
    if isinstance(found, str):
        return found
    if scorer == "text":
        return [entry[-1] for entry in found]
    if scorer == "color":
        return sorted(_without_folder(name) for name in found)
    if scorer == "type":
        return {_without_folder(name): count for name, count in found.items()}
    return [dict(cell) for cell in found]


def _without_folder(name: str) -> str:
    """``/x/site-packages/matplotlib/axes/_axes.py-bar`` -> ``matplotlib/axes/_axes.py-bar``."""
    return name.rpartition("/site-packages/")[2]


# ----------------------------------------------------------------------------------- the program


def judge(official: Official, pair: Pair) -> Outcome:
    """Judge one pair and say how long it took.

    Returns:
        ``name``; ``executed``; for each of ``text type color layout`` a dict of ``precision``,
        ``recall`` and ``f1`` in [0, 1]; ``raw``, scorer -> ``reference`` and ``generated`` -> what
        the evaluator read from that script; ``errors``, the exit status of each script that failed
        and whatever an evaluator raised; ``seconds``.
    """
    start = time.perf_counter()
    outcome = official(pair)
    return {**outcome, "seconds": round(time.perf_counter() - start, 2)}


def work(runner_name: str, tasks: Any, results: Any) -> None:
    """Judge the pairs of a queue until it yields ``None``; the body of a worker process."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory(prefix="oracle-") as name:
        scratch = Path(name)
        folder = scratch / "item"
        runner: Runner = ForkRunner(scratch) if runner_name == "fork" else SubprocessRunner()
        official = Official(runner, folder)
        while (pair := tasks.get()) is not None:
            with _fresh(folder):
                results.put((pair, judge(official, pair)))


@contextlib.contextmanager
def _fresh(folder: Path) -> Generator[None]:
    """An empty folder, removed afterwards: files of an earlier pair would count for this one."""
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder)


def judge_all(pairs: Sequence[Pair], runner: str, jobs: int) -> Iterator[tuple[Pair, Outcome]]:
    """Judge pairs in several processes; yield each as it is done."""
    # imported once, shared by the forked workers; without it each would need 20 s and 1 GB
    _import_official()
    context = multiprocessing.get_context("fork")
    tasks, results = context.Queue(), context.Queue()
    for task in [*pairs, *[None] * jobs]:
        tasks.put(task)
    workers = [context.Process(target=work, args=(runner, tasks, results)) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    remaining = len(pairs)
    while remaining:
        try:
            yield results.get(timeout=5)
            remaining -= 1
        except queue.Empty:
            if not any(worker.is_alive() for worker in workers):
                raise OracleError("every worker died; the last one said why above") from None
    for worker in workers:
        worker.join()


def versions() -> dict[str, str]:
    """Version of everything that can move a score; of a package that is absent, ``absent``."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def cache_key(pair: Pair, runner: str, installed: Mapping[str, str]) -> str:
    """A hash of everything an outcome depends on."""
    payload = json.dumps([REVISION, asdict(pair), runner, installed], sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()


def default_cache() -> Path:
    """``$RRVF_CACHE_DIR/oracle``, by default below the user's cache folder."""
    root = os.environ.get("RRVF_CACHE_DIR")
    return Path(root) / "oracle" if root else Path.home() / ".cache" / "rrvf" / "oracle"


def prepare_environment() -> None:
    """Set what the scripts inherit: this interpreter as ``python``, fixed hashes, no display.

    The backend is not named: officially matplotlib finds out that nothing is displayed.
    """
    folder = Path(sys.executable).parent
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["PYTHONHASHSEED"] = "0"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(name, None)


def run(pairs: Sequence[Pair], out: Path, *, cache: Path, runner: str, jobs: int) -> None:
    """Write the outcome of every pair to ``out``, from the cache where it is known."""
    cache.mkdir(parents=True, exist_ok=True)
    installed = versions()
    files = {pair.name: cache / f"{cache_key(pair, runner, installed)}.json" for pair in pairs}
    if len(files) != len(pairs):
        raise OracleError("two pairs have the same name")
    known = [pair for pair in pairs if files[pair.name].exists()]
    unknown = [pair for pair in pairs if not files[pair.name].exists()]
    with out.open("w", encoding="utf-8") as lines:
        for pair in known:
            print(files[pair.name].read_text(encoding="utf-8"), file=lines)
        for pair, outcome in judge_all(unknown, runner, jobs) if unknown else ():
            text = json.dumps({**outcome, "runner": runner, "versions": installed})
            _write_whole(files[pair.name], text)
            print(text, file=lines, flush=True)
            print(f"{pair.name}: {outcome['seconds']} s", file=sys.stderr, flush=True)


def _write_whole(path: Path, text: str) -> None:
    """Write so that nobody ever sees half a file."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=Path, help="a JSONL file, or a folder with index.json")
    parser.add_argument("--out", type=Path, help="the JSONL file to write")
    parser.add_argument("--jobs", type=int, default=1, help="pairs judged at a time")
    parser.add_argument("--runner", choices=["fork", "subprocess"], default="fork")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--fork-server", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fork_server:
        fork_server()
        return
    if given.pairs is None or given.out is None:
        parser.error("--pairs and --out are needed")
    prepare_environment()
    try:
        run(
            load_pairs(given.pairs),
            given.out,
            cache=given.cache,
            runner=given.runner,
            jobs=given.jobs,
        )
    except OracleError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
