"""Design2Code's own scorer as a program: the other side of its parity tests.

Nothing of it is kept here: its code is read from where it lies, a checkout of
https://github.com/NoviScl/Design2Code or VLMEvalKit's port of it. Called as a program this scores
one pair of pages and writes what it saw into a folder, or compares lists of blocks.
:class:`Official` calls it.

The changes to the official code, all of them:

* two lines of the authors' ``visual_score.py`` that Python cannot parse are indented as their
  neighbours;
* CLIP is not run: its two input pictures are made by the official code and kept instead;
* torch, clip, matplotlib and sklearn, which the four other scores do not use, are empty modules;
* ``python3`` is the Python that runs this, its Playwright starts the browser that is named, and
  that browser finds no other machine, because ours does not either;
* what ``os.system`` is asked to run is run, and what it prints and draws is kept.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import ctypes
import hashlib
import importlib
import importlib.util
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PLACEHOLDER = "rick.jpg"
SCORES = ("block_match", "text", "position", "color")
SIDES = ("reference", "prediction")
KINDS = ("authors", "port")
Blocks = list[dict[str, Any]]
"""Official blocks: ``text``, ``bbox`` (shares of the page), ``color`` (0..255)."""
BLANK = "Failed to take screenshot"
"""What the official code prints where it draws a white picture in place of the page."""

NEEDED = ("bs4", "colormath", "cv2", "numpy", "PIL", "playwright", "scipy", "tqdm")
"""Modules that the official code imports and uses."""
PR_SET_CHILD_SUBREAPER = 36
SITE = """
from functools import wraps
from playwright.sync_api import BrowserType

launch = BrowserType.launch

@wraps(launch)
def launch_ours(self, **options):
    options["args"] = [*options.get("args", ()), "--host-resolver-rules=MAP * ~NOTFOUND"]
    return launch(self, executable_path={path!r}, **options)

BrowserType.launch = launch_ours
"""
"""What every ``python3`` of the official code begins with."""


# ------------------------------------------------------------------------------------- loading it


def load_authors(checkout: Path) -> ModuleType:
    """The scorer of a checkout of NoviScl/Design2Code; makes its folder the current one."""
    sys.path.insert(0, str(checkout))
    os.chdir(checkout / "Design2Code")  # it starts metrics/screenshot_single.py
    source = Path("metrics/visual_score.py").read_text(encoding="utf-8")
    mended = re.sub(r"(?m)^ +(if|elif)(?= len\(\w+_blocks\) == 0:)", r"        \1", source)
    module = ModuleType("visual_score")
    exec(compile(mended, "visual_score.py", "exec"), module.__dict__)
    return module


def load_port(folder: Path) -> ModuleType:
    """VLMEvalKit's port: the folder ``vlmeval/dataset/utils/design2code``, without VLMEvalKit."""
    package = ModuleType("design2code_port")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.visual_score")


def load_port_cleanup(folder: Path) -> Callable[[str], str]:
    """What VLMEvalKit does to an answer before it becomes a page."""
    path = folder.parents[1] / "design2code.py"
    functions = ast.parse(path.read_text(encoding="utf-8")).body
    wanted = [node for node in functions if getattr(node, "name", "") == "cleanup_response"]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(wanted, []), str(path), "exec"), names)
    return lambda answer: names["cleanup_response"](answer.strip())


def find_port() -> Path | None:
    """The folder of the installed VLMEvalKit's port, if there is one; imports nothing."""
    spec = importlib.util.find_spec("vlmeval")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "dataset" / "utils" / "design2code"
        if (folder / "visual_score.py").is_file():
            return folder
    return None


def load(kind: str, code: Path) -> Any:
    """The module that scores, of either kind."""
    put_stubs()
    return load_authors(code) if kind == "authors" else load_port(code)


def put_stubs() -> None:
    """Empty modules in place of large ones that the four scores do not need."""
    contents: dict[str, dict[str, Any]] = {
        "torch": {"Tensor": type("Tensor", (), {}), "cuda": SimpleNamespace(is_available=bool)},
        "clip": {"load": lambda *_, **__: (None, None)},
        "matplotlib": {},
        "matplotlib.pyplot": {},
        "sklearn": {},
        "sklearn.metrics": {},
        "sklearn.metrics.pairwise": {"cosine_similarity": None},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        sys.modules[name] = module


@contextlib.contextmanager
def python3_with_browser(browser: Path) -> Iterator[None]:
    """Let the ``python3`` that the official code starts be this one, with a browser of ours."""
    with tempfile.TemporaryDirectory(prefix="design2code-python3-") as name:
        Path(name, "sitecustomize.py").write_text(SITE.format(path=str(browser)))
        command = Path(name, "python3")
        python = shlex.quote(sys.executable)
        command.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(name)} exec {python} "$@"\n')
        command.chmod(0o755)
        old_path = os.environ["PATH"]
        os.environ["PATH"] = f"{name}{os.pathsep}{old_path}"
        try:
            yield
        finally:
            os.environ["PATH"] = old_path


# --------------------------------------------------------------------------------- where time goes


class Clock:
    """Wall and CPU seconds by stage; a stage inside another is not counted in the outer one.

    CPU seconds are those of this process and of all that it started, daemons included: whatever is
    left behind becomes a child of this process and is waited for.
    """

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wall: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()
        self._stages = ["other"]
        self._last = self._now()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What happens inside belongs to ``name``."""
        self._charge()
        self._stages.append(name)
        try:
            yield
        finally:
            self._charge()
            self._stages.pop()

    def timed(self, name: str, function: Any) -> Any:
        """The same function, as a stage."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return call

    def _charge(self) -> None:
        now = self._now()
        self.wall[self._stages[-1]] += now[0] - self._last[0]
        self.cpu[self._stages[-1]] += now[1] - self._last[1]
        self._last = now

    @staticmethod
    def _now() -> tuple[float, float]:
        usages = [
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        return time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages)


def wait_for_orphans(seconds: float = 5) -> bool:
    """Wait for what the last picture's browser left behind; whether nothing is left."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return True
    return False


# -------------------------------------------------------------------------------- what it sees


@dataclass
class Recorder:
    """Keeps what the official code draws and finds on its way to the scores."""

    out: Path
    clock: Clock
    pictures: dict[str, dict[str, Any]] = field(default_factory=dict)
    blocks: dict[str, Any] = field(default_factory=dict)
    clip_boxes: dict[str, Any] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def attach(self, module: ModuleType) -> None:
        """Stand between the official code and what it calls."""
        code: Any = module
        os.system = self.clock.timed("screenshots", self.system)
        code.pre_process = self.clock.timed("preprocess", code.pre_process)
        code.calculate_clip_similarity_with_blocks = self.clip_inputs
        find = self.clock.timed("blocks", code.get_blocks_ocr_free)

        def find_and_keep(picture: str) -> Any:
            found = find(picture)
            with self.clock.stage("recording"):
                self.blocks[side_of(picture)] = deepcopy(found)
            return found

        code.get_blocks_ocr_free = find_and_keep
        self._masked = self.clock.timed("clip_inputs", code.rescale_and_mask)

    def system(self, command: str) -> int:
        """``os.system``, with what is printed kept, and what is drawn."""
        run = subprocess.run(
            command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if "screenshot_single.py" in command:
            gone = wait_for_orphans()
            with self.clock.stage("recording"):
                self._keep(Path(shlex.split(command)[-1]), run, gone)
        elif run.stdout:
            self.messages.append(run.stdout)
        return run.returncode

    def _keep(self, picture: Path, run: subprocess.CompletedProcess[str], gone: bool) -> None:
        name = f"{side_of(str(picture))}{re.sub(r'^page', '', picture.stem)}"
        seen: dict[str, Any] = {
            "blank": BLANK in run.stdout,
            "exit": run.returncode,
            "printed": run.stdout.strip(),
            "browser_gone": gone,
        }
        if picture.is_file():
            shutil.copyfile(picture, self.out / f"{name}.png")
            seen |= describe(picture)
        self.pictures[name] = seen

    def clip_inputs(self, picture: str, target: str, blocks: Any, target_blocks: Any) -> float:
        """In place of CLIP: keep its two inputs. The prediction comes first."""
        for path, boxes in ((picture, blocks), (target, target_blocks)):
            side = side_of(path)
            square = self._masked(path, [block["bbox"] for block in boxes])
            with self.clock.stage("recording"):
                self.clip_boxes[side] = [list(block["bbox"]) for block in boxes]
                name = f"{side}_clip"
                square.save(self.out / f"{name}.png", compress_level=1)
                self.pictures[name] = describe(self.out / f"{name}.png")
        return 0.0


def side_of(path: str) -> str:
    """``reference`` or ``prediction``, by the folder."""
    return Path(path).parent.name


def describe(picture: Path) -> dict[str, Any]:
    """Size, mode, and the SHA-256 of the decoded RGB bytes."""
    from PIL import Image

    with Image.open(picture) as image:
        pixels = image.convert("RGB").tobytes()
        return {
            "size": list(image.size),
            "mode": image.mode,
            "sha256": hashlib.sha256(pixels).hexdigest(),
        }


# -------------------------------------------------------------------------- what it is asked for


def score_pair(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Score one pair with the official code, and say all that was seen."""
    out = options.out.resolve()
    code, browser = options.code.resolve(), options.browser.resolve()
    pages = lay_out(options, work)
    module = load(options.kind, code)
    clock = Clock()
    recorder = Recorder(out, clock)
    recorder.attach(module)
    seen: dict[str, Any] = {"kind": options.kind, "beside": options.beside}
    try:
        with python3_with_browser(browser), clock.stage("matching"):
            pair = [[str(pages["prediction"])], str(pages["reference"])]
            answer = module.visual_eval_v3_multi(pair)
        seen["scores"] = named(answer)
    except BaseException:  # a page that raises ends the official run
        seen["error"] = traceback.format_exc()
    leave = ("recording", "other")
    return seen | {
        "blocks": recorder.blocks,
        "clip_boxes": recorder.clip_boxes,
        "pictures": recorder.pictures,
        "blank": sorted(name for name, of in recorder.pictures.items() if of.get("blank")),
        "preprocessed": pages["prediction"].read_text(encoding="utf-8", errors="replace"),
        "cut": pages["prediction"].with_name("page_old.txt").exists(),
        "printed": recorder.messages,
        "cpu": {name: spent for name, spent in clock.cpu.items() if name not in leave},
        "wall": {name: spent for name, spent in clock.wall.items() if name not in leave},
    }


def lay_out(options: argparse.Namespace, work: Path) -> dict[str, Path]:
    """The files as the official run has them: a folder a side, the placeholder where it was."""
    pages: dict[str, Path] = {}
    for side in SIDES:
        (work / side).mkdir()
        pages[side] = work / side / "page.html"
        shutil.copyfile(getattr(options, side), pages[side])
        if side in options.beside:
            shutil.copyfile(options.placeholder, work / side / PLACEHOLDER)
    if options.kind == "port":
        clean = load_port_cleanup(options.code.resolve())
        answer = pages["prediction"].read_text(encoding="utf-8")
        pages["prediction"].write_text(clean(answer), encoding="utf-8")
    return pages


def score_lists(module: Any, pairs: Sequence[Sequence[Blocks]]) -> list[dict[str, float]]:
    """The scores of pairs of given blocks, the reference's first; no page is shown."""
    found: dict[str, Blocks] = {}
    os.system = lambda _: 0  # type: ignore[assignment]
    module.pre_process = lambda _: None
    module.get_blocks_ocr_free = lambda picture: found[picture]
    module.calculate_clip_similarity_with_blocks = lambda *_: 0.0
    scores: list[dict[str, float]] = []
    with contextlib.redirect_stdout(None):
        for pair in pairs:
            found = {f"{side}.png": list(blocks) for side, blocks in zip(SIDES, pair, strict=True)}
            answer = module.visual_eval_v3_multi([["prediction.html"], "reference.html"])
            scores.append(named(answer))
    return scores


def named(answer: Any) -> dict[str, float]:
    """The four scores of what the official function returns."""
    return dict(zip(SCORES, map(float, answer[0][2]), strict=False))


def as_json(value: Any) -> Any:
    """Numpy's numbers as Python's; whole numbers stay whole."""
    return value.item()


def main() -> None:
    """Write ``record.json``, and for a pair of pages the pictures, into the folder ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--code", type=Path, required=True, help="checkout, or the port's folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lists", type=Path, help="pairs of lists of blocks, instead of pages")
    parser.add_argument("--browser", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--prediction", type=Path)
    parser.add_argument("--placeholder", type=Path, help=f"the picture {PLACEHOLDER}")
    parser.add_argument("--beside", nargs="*", choices=SIDES, default=[], help="where it lies")
    options = parser.parse_args()
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    seen: Any
    if options.lists is not None:
        pairs = json.loads(options.lists.read_text(encoding="utf-8"))
        seen = score_lists(load(options.kind, options.code.resolve()), pairs)
    else:
        with tempfile.TemporaryDirectory(prefix="design2code-") as name:
            seen = score_pair(options, Path(name).resolve())
    record = json.dumps(seen, indent=1, default=as_json)
    (out / "record.json").write_text(record + "\n", encoding="utf-8")


# --------------------------------------------------------------------------------- asking for it


@dataclass(frozen=True)
class Official:
    """One of the two official scorers, as a program to call.

    Attributes:
        kind: ``authors`` or ``port``.
        code: The authors' checkout, or the port's folder.
        browser: The Chromium that takes the pictures.
        python: A Python that has what the official code imports.
    """

    kind: str
    code: Path
    browser: Path
    python: Path = Path(sys.executable)

    def score(
        self,
        reference: Path,
        prediction: Path,
        out: Path,
        placeholder: Path | None = None,
        beside: Sequence[str] = SIDES,
        seconds: float = 900,
    ) -> dict[str, Any]:
        """What the official code makes of one pair of files.

        The answer has ``scores``, or ``error`` where the official code raised; ``blocks`` of both
        sides as found, before any are joined; ``clip_boxes``, what is painted over for CLIP;
        ``pictures`` with their hashes (the files lie in ``out``); ``blank``, those that the
        official code failed to take; ``preprocessed``, the prediction as it was shown; ``cpu`` and
        ``wall`` seconds by stage.
        """
        options = ["--browser", self.browser, "--reference", reference, "--prediction", prediction]
        if placeholder is not None:
            options += ["--placeholder", placeholder, "--beside", *beside]
        return self._ask(out, options, seconds)

    def score_lists(
        self, pairs: Sequence[tuple[Blocks, Blocks]], out: Path, seconds: float = 900
    ) -> list[dict[str, float]]:
        """The official scores of pairs of given blocks, the reference's first."""
        lists = out / "lists.json"
        lists.write_text(json.dumps(pairs), encoding="utf-8")
        return self._ask(out, ["--lists", lists], seconds)

    def _ask(self, out: Path, options: Sequence[Path | str], seconds: float) -> Any:
        command = [self.python, __file__, "--kind", self.kind, "--code", self.code, "--out", out]
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        subprocess.run(
            [*map(str, [*command, *options])], check=True, env=environment, timeout=seconds
        )
        return json.loads((out / "record.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
