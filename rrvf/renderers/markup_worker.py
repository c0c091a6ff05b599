"""A process that prepares markup, because untrusted pages may keep a parser busy for hours.

Requests and answers are JSON, one line per page. The process is killed if it takes too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import rrvf
from rrvf.errors import HarnessError, SetupError
from rrvf.renderers.page_document import ColoredText, Document
from rrvf.renderers.page_remarks import describe_cut
from rrvf.renderers.processes import OwnTime

SECONDS = 30.0
"""Less what the process had to wait for a processor."""
CLOCK_EVERY = 0.2
START_SECONDS = 60.0
MEMORY = 2 * 2**30
"""Bytes of address space."""
MAX_LINE = 256 * 2**20
"""Bytes of an answer: a page written three times, and its texts."""

ENDED = (OSError, ValueError, asyncio.IncompleteReadError)


class MarkupError(Exception):
    """A page that no parser gets through."""


class MarkupWorker:
    """Prepares pages one after another; started when first needed, and anew after a failure."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def prepare(self, html: str, *, repair: bool) -> Document:
        """Mend an answer where asked, and colour its texts.

        Args:
            html: The page.
            repair: It is an answer, not a reference.

        Raises:
            MarkupError: It takes too long or too much memory.
            HarnessError: The process does not start.
        """
        question = json.dumps({"html": html, "repair": repair}).encode("ascii") + b"\n"
        try:
            answer = await self._answer(question)
        except ENDED:  # it may have been killed for a reason of its own: asked anew once
            try:
                answer = await self._answer(question)
            except ENDED:
                raise MarkupError("the page's markup breaks the parser") from None
        if "error" in answer:
            raise MarkupError(f"the page's markup breaks the parser: {answer['error']}")
        page, first, second = (
            str(answer[name]).encode("utf-8", "replace") for name in ("page", "first", "second")
        )
        texts = tuple(
            ColoredText(text, (red, green, blue)) for text, red, green, blue in answer["texts"]
        )
        cut = answer["cut"]
        remarks = () if cut is None else (describe_cut(cut, len(html)),)
        return Document(page, first, second, texts, remarks)

    async def _answer(self, question: bytes) -> dict[str, Any]:
        """What the process says; where it says nothing it is ended.

        Raises:
            MarkupError: It takes too long.
            OSError, ValueError, asyncio.IncompleteReadError: It has died.
        """
        process = await self._start()
        task = asyncio.ensure_future(_ask(process, question))
        clock = OwnTime(process.pid)
        try:
            while clock.seconds() < SECONDS:
                finished_tasks, _ = await asyncio.wait({task}, timeout=CLOCK_EVERY)
                if finished_tasks:
                    return task.result()
            raise MarkupError(f"the page's markup was not read within {SECONDS:g} s")
        except BaseException:
            self.kill()
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _start(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", __name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_make_environment(),
            limit=MAX_LINE,
        )
        try:
            await asyncio.wait_for(_ask(self._process, b"{}\n"), START_SECONDS)
        except (TimeoutError, *ENDED) as error:
            self.kill()
            raise HarnessError("the process that reads markup does not start") from error
        return self._process

    def kill(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._process = None


def require_parser() -> None:
    """Say at once that the parser is missing.

    Raises:
        SetupError: It is.
    """
    if importlib.util.find_spec("bs4") is None:
        raise SetupError("Beautiful Soup is missing; run: pip install 'rrvf[web]'")


async def _ask(process: asyncio.subprocess.Process, question: bytes) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(question)
    await process.stdin.drain()
    return json.loads(await process.stdout.readuntil(b"\n"))


def _make_environment() -> dict[str, str]:
    """This package, and nothing of ours that a parser need not know."""
    folders = [str(Path(rrvf.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    names = ("PATH", "LANG", "LD_LIBRARY_PATH", "HOME")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


# --------------------------------------------------------------------------------- the process


def main() -> None:
    """Answer questions until there are no more."""
    from rrvf.renderers.page_markup import find_repetition, recolor_markup, repair_markup

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if question:
                page, cut = question["html"], None
                if question["repair"]:
                    cut = find_repetition(page)
                    page = repair_markup(page[:cut])
                colored = recolor_markup(page)
                answer = {
                    "page": page,
                    "cut": cut,
                    "first": colored.first,
                    "second": colored.second,
                    "texts": [(text.text, *text.color) for text in colored.texts],
                }
        except (MemoryError, RecursionError, ValueError) as error:
            answer = {"error": type(error).__name__}
        sys.stdout.buffer.write(json.dumps(answer).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
