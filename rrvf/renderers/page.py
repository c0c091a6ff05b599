"""The page renderer: from HTML to a full-page picture and its texts, several pages at a time.

One :class:`PageRenderer` keeps one browser per worker; it may be used from many threads at once. A
browser that hangs, crashes or grows too large is replaced, and the page that caused it reports
this.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Coroutine, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rrvf.errors import HarnessError, SetupError
from rrvf.renderers import browser, cache, web_assets
from rrvf.renderers.chart_server.confine import LEVELS
from rrvf.renderers.markup_worker import MarkupError, MarkupWorker, require_parser
from rrvf.renderers.memo import Memo
from rrvf.renderers.page_document import Document
from rrvf.renderers.page_official import N_PICTURES, OfficialSession
from rrvf.renderers.page_session import PageLimits, Session
from rrvf.renderers.processes import OwnTime, descendants, kill_tree, memory_of_tree
from rrvf.types import STATUSES, Mode, PageRendering, TextBlock

if TYPE_CHECKING:
    from playwright.async_api import Playwright

__all__ = ["PageLimits", "PageRenderer", "descendants"]

CONFINEMENT_VARIABLE = "RRVF_CONFINEMENT"
WATCH_AFTER, WATCH_EVERY = 0.5, 0.25
CLOCK_AFTER, CLOCK_EVERY = 0.5, 0.2
CLOSE_SECONDS = 20.0
REMOVING_TRIES = 100
EMPTY = b"<!DOCTYPE html><title></title>"
SOURCES = (
    *("page.py", "processes.py", "page_session.py", "page_snapshot.py", "page_visibility.py"),
    *("browser.py", "web_assets.py", "page_document.py"),
)
OFFICIAL_SOURCES = (
    *("page_official.py", "page_markup.py", "page_pixels.py", "markup_worker.py"),
    "page_remarks.py",
)

T = TypeVar("T")


class PageRenderer:
    """Shows web pages, confined, several at a time.

    Args:
        browser_path: The browser; ``$RRVF_CHROMIUM``, else the first that is found.
        workers: Browsers, each with one page at a time.
        limits: Limits of one page.
        javascript: Whether the pages' own scripts run, under the same deadline.
        reuse_pages: Show all documents in one page of each browser, instead of a fresh context
            each: faster; only without scripts.
        confinement: The highest level to use; ``$RRVF_CONFINEMENT``. Only naming one below
            ``landlock`` makes a browser acceptable that has neither Landlock nor its own sandbox.
        memo_bytes: Bytes of renderings to keep, so that a repeated page is not shown again.
        mode: ``official`` shows pages and finds their texts as Design2Code's scorer does: scripts
            run, three pictures a page, each with the limit's seconds.
        assets: Files that pages may request, by name; official pages get nothing else.

    Raises:
        SetupError: No browser, Playwright or parser, or confinement is too weak here.
        HarnessError: The browser does not start.
    """

    def __init__(
        self,
        browser_path: Path | None = None,
        workers: int = 2,
        limits: PageLimits | None = None,
        *,
        javascript: bool = False,
        reuse_pages: bool = False,
        confinement: str | None = None,
        memo_bytes: int = 0,
        mode: Mode = "fixed",
        assets: Mapping[str, bytes] | None = None,
    ) -> None:
        if mode == "official":
            require_parser()
            javascript = True
        if javascript and reuse_pages:
            raise SetupError("a page can only be reused without scripts: one would see the other")
        self._path = browser.find_browser(browser_path)
        self._level = confinement or os.environ.get(CONFINEMENT_VARIABLE) or "auto"
        if self._level not in ("auto", *LEVELS):
            raise SetupError(
                f"unknown confinement {self._level!r}; choose one of auto, " + ", ".join(LEVELS)
            )
        self.limits = limits or PageLimits()
        self.mode: Mode = mode
        self.assets: Mapping[str, bytes] = dict(assets or {})
        self.asset_hashes = {name: _hash(content) for name, content in self.assets.items()}
        self._settings = _Settings(
            *(self._path, self._level, self.limits, javascript, reuse_pages, mode),
            self.assets,
        )
        self._pages: Memo[PageRendering] = Memo(lambda page: page.status, memo_bytes)
        self._references: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pages", daemon=True)
        self._thread.start()
        try:
            self._pool: _Pool = self._wait(self._start_pool(workers))
            self.environment: Mapping[str, Any] = self._wait(self._describe_environment())
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------------- life

    def __enter__(self) -> PageRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browsers; nothing can be shown afterwards."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if hasattr(self, "_pool"):
            with contextlib.suppress(Exception):
                self._wait(self._pool.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start_pool(self, workers: int) -> _Pool:
        pool = _Pool(self._settings)
        await pool.start(workers)
        return pool

    async def _describe_environment(self) -> dict[str, Any]:
        """What can move a picture, for the record of a run."""
        process = await self._pool.take_process()
        confinement = process.confinement
        if not confinement.suffices() and self._level not in ("seccomp", "rlimits"):
            raise SetupError(
                "this machine allows the browser neither its own sandbox nor Landlock; to run "
                "pages anyway, add --confinement rlimits"
            )
        environment = {
            "browser": f"{self._path.name} {process.browser.version}",
            "confinement": asdict(confinement),
            "fonts": browser.describe_fonts(),
            "tailwind": web_assets.tailwind_version(),
            "javascript": self._settings.javascript,
            "pages_reused": self._settings.reuse,
            "viewport": f"{self.limits.width}x{self.limits.height}",
        }
        if self.mode == "official":
            environment["parser"] = f"beautifulsoup4 {metadata.version('beautifulsoup4')}"
        return environment

    # ------------------------------------------------------------------------ showing

    def render(self, html: str, *, repair: bool = True) -> PageRendering:
        """Show a page.

        Args:
            html: The page.
            repair: The official rules may repair it first, as they repair answers.

        Raises:
            HarnessError: The browser fails, and would fail on an empty page too.
        """
        size, most = len(html.encode("utf-8", "replace")), self.limits.source
        if size > most:
            return PageRendering(
                "code_error",
                f"the page's source is {size / 1e6:.1f} MB; the limit is {most / 1e6:.0f} MB",
            )
        return self._pages.get((html, repair), lambda: self._show(html, repair))

    def render_reference(self, html: str) -> PageRendering:
        """As :meth:`render`, kept on disk by content and by everything that can move a picture."""
        key = self._make_key(html)
        with self._lock:
            lock = self._references.setdefault(key, threading.Lock())
        with lock:
            rendering = _load(key)
            if rendering is None:
                rendering = self.render(html, repair=False)
                if rendering.status == "ok":
                    _store(key, rendering)
        with self._lock:
            self._references.pop(key, None)
        return rendering

    def _show(self, html: str, repair: bool) -> PageRendering:
        if self._closed:
            raise HarnessError("the page renderer is closed")
        try:
            return self._wait(self._pool.show(html, repair=repair))
        except concurrent.futures.CancelledError as error:
            raise HarnessError("the page renderer was closed") from error

    def _make_key(self, html: str) -> str:
        confinement = {"confinement": None}  # moves no pixel
        parts = [
            *(html, source_hash(self.mode), asdict(self.limits)),
            *({**self.environment, **confinement}, dict(self.asset_hashes)),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_hash(mode: Mode = "fixed") -> str:
    """Hash of the code that decides what a picture looks like and which texts are read."""
    names = (*SOURCES, *(OFFICIAL_SOURCES if mode == "official" else ()))
    return _hash(b"".join((Path(__file__).parent / name).read_bytes() for name in names))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


# --------------------------------------------------------------------------------- the pool


@dataclass(frozen=True, slots=True)
class _Settings:
    """How pages are shown; the attributes are the arguments of :class:`PageRenderer`."""

    path: Path
    level: str
    limits: PageLimits
    javascript: bool
    reuse: bool
    mode: Mode
    assets: Mapping[str, bytes]

    def open_session(self, process: browser.BrowserProcess) -> Session:
        """A browser's session, by the rules of the mode."""
        if self.mode == "official":
            return OfficialSession(process, self.limits, self.assets)
        return Session(
            *(process, self.limits, self.assets), javascript=self.javascript, reuse=self.reuse
        )

    @property
    def seconds(self) -> float:
        """For all pictures of a page."""
        return self.limits.seconds * (N_PICTURES if self.mode == "official" else 1)


class _Pool:
    """Browsers and who may use them; lives in the renderer's event loop."""

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._playwright: Playwright | None = None
        self._idle_sessions: asyncio.Queue[Session | None] = asyncio.Queue()
        self._idle_workers: asyncio.Queue[MarkupWorker] = asyncio.Queue()
        self._live_sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._profiles: set[Path] = set()

    async def start(self, workers: int) -> None:
        await self._start_driver()
        for _ in range(workers):
            self._idle_sessions.put_nowait(None)  # launched when first needed
            self._idle_workers.put_nowait(MarkupWorker())

    async def _start_driver(self) -> None:
        try:
            from playwright.async_api import async_playwright
        except ImportError as error:
            raise SetupError("Playwright is missing; run: pip install 'rrvf[web]'") from error
        self._playwright = await async_playwright().start()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in list(self._live_sessions):
            self._discard(session)
        while not self._idle_workers.empty():
            self._idle_workers.get_nowait().kill()
        try:
            if self._playwright is not None:
                await asyncio.wait_for(self._playwright.stop(), CLOSE_SECONDS)
        finally:
            # Playwright removes what a browser has left, but not always before it ends itself.
            for profile in self._profiles:
                await asyncio.to_thread(_remove, profile)

    async def take_process(self) -> browser.BrowserProcess:
        """One of the browsers, launched."""
        session = await self._prepare_session(await self._idle_sessions.get())
        self._idle_sessions.put_nowait(session)
        return session.process

    async def show(self, html: str, *, repair: bool) -> PageRendering:
        """Show a page in the next browser that is free."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            document = await self._prepare_document(html, repair=repair)
        except MarkupError as error:
            return PageRendering("code_error", str(error))
        session = await self._idle_sessions.get()
        try:
            session = await self._prepare_session(session)
            rendering, session = await self._show_in_session(session, document)
        except BaseException:
            session = None if session is None else self._discard(session)
            raise
        finally:
            self._idle_sessions.put_nowait(session)
        return rendering

    async def _prepare_document(self, html: str, *, repair: bool) -> Document:
        """What a session shows.

        Raises:
            MarkupError: No parser gets through the page.
        """
        if self._settings.mode == "fixed":
            return Document(html.encode("utf-8", "replace"))
        worker = await self._idle_workers.get()
        try:
            return await worker.prepare(html, repair=repair)
        finally:
            self._idle_workers.put_nowait(worker)

    async def _prepare_session(self, session: Session | None) -> Session:
        """A session whose browser runs and is not worn."""
        if session is not None and self._serves(session):
            return session
        if session is not None:
            self._discard(session)
        return await self._launch_session()

    def _serves(self, session: Session) -> bool:
        return session.process.browser.is_connected() and session.n_shown < self._limits.pages

    async def _launch_session(self) -> Session:
        """A session with a new browser.

        Raises:
            HarnessError: It does not start, nor does it with a new driver.
        """
        try:
            process = await self._launch_browser()
        except HarnessError:
            await self._start_driver()  # it may be what has died
            process = await self._launch_browser()
        self._profiles.add(process.profile)
        session = self._settings.open_session(process)
        self._live_sessions.add(session)
        return session

    async def _launch_browser(self) -> browser.BrowserProcess:
        if self._playwright is None:
            raise HarnessError("Playwright was not started")
        settings = self._settings
        return await browser.launch(self._playwright, settings.path, settings.level, settings.mode)

    def _discard(self, session: Session) -> None:
        """Kill a browser with everything below it."""
        self._live_sessions.discard(session)
        kill_tree(session.process.pid)

    # ------------------------------------------------------------------- one document

    async def _show_in_session(
        self, session: Session, document: Document
    ) -> tuple[PageRendering, Session | None]:
        """The outcome, and the session where it can go on.

        Where the browser fails, it may have been dead or dying for a reason of its own: the page is
        shown once more in a new one before it is blamed.
        """
        start = time.monotonic()
        rendering = await self._attempt(session, document)
        if isinstance(rendering, Exception):
            self._discard(session)
            session = await self._launch_session()
            rendering = await self._attempt(session, document)
        survivor: Session | None = session
        if isinstance(rendering, Exception) or rendering.status != "ok":
            survivor = self._discard(session)
        if isinstance(rendering, Exception):
            rendering = await self._blame_page(rendering)
        return replace(rendering, seconds=time.monotonic() - start), survivor

    async def _attempt(self, session: Session, document: Document) -> PageRendering | Exception:
        """The outcome, or what broke."""
        watcher = asyncio.ensure_future(self._watch(session))
        outcome: PageRendering | Exception
        try:
            outcome = await self._show_in_time(session, document)
        except TimeoutError:
            outcome = PageRendering(
                "timeout", f"the page was not drawn within {self._settings.seconds:g} s"
            )
        except Exception as error:
            outcome = error
        finally:
            watcher.cancel()
        if watcher.done() and not watcher.cancelled():
            outcome = PageRendering("out_of_memory", self._explain_memory())
        return outcome

    async def _show_in_time(self, session: Session, document: Document) -> PageRendering:
        """Show a document within the seconds of its own that it has.

        Raises:
            TimeoutError: It takes longer.
        """
        task = asyncio.ensure_future(session.show(document))
        seconds_left = first_seconds = min(CLOCK_AFTER, self._settings.seconds)
        clock: OwnTime | None = None
        try:
            while seconds_left > 0:
                finished_tasks, _ = await asyncio.wait(
                    {task}, timeout=max(seconds_left, CLOCK_EVERY)
                )
                if finished_tasks:
                    return task.result()
                # This thread's waiting is no page's doing either.
                clock = clock or OwnTime(session.process.pid, [threading.get_native_id()])
                seconds_left = self._settings.seconds - first_seconds - clock.seconds()
            raise TimeoutError
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _explain_memory(self) -> str:
        return f"the page took the browser over {self._limits.memory / 2**30:g} GiB of memory"

    async def _blame_page(self, error: Exception) -> PageRendering:
        """The page's fault, unless an empty one fails as well.

        Raises:
            HarnessError: It does.
        """
        session = await self._launch_session()
        try:
            await self._show_in_time(session, Document(EMPTY, EMPTY, EMPTY))
        except Exception as second_error:
            raise HarnessError(
                f"the browser fails on an empty page: {_describe_error(second_error)}"
            ) from error
        finally:
            self._discard(session)
        return PageRendering("code_error", f"the page broke the browser: {_describe_error(error)}")

    async def _watch(self, session: Session) -> None:
        """Return, the browser killed, once its processes have grown too large."""
        await asyncio.sleep(WATCH_AFTER)
        while True:
            if memory_of_tree(session.process.pid) > self._limits.memory:
                kill_tree(session.process.pid)
                return
            await asyncio.sleep(WATCH_EVERY)


def _describe_error(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _remove(profile: Path) -> None:
    """Remove a folder in which processes that are dying may still write."""
    for _ in range(REMOVING_TRIES):
        shutil.rmtree(profile, ignore_errors=True)
        if not profile.exists():
            return
        time.sleep(0.05)


# ------------------------------------------------------------------------ kept references


def _path(key: str) -> Path:
    return cache.folder() / "pages" / key[:2] / f"{key}.json"


def _load(key: str) -> PageRendering | None:
    """The rendering stored under ``key``; one that cannot be read counts as absent."""
    try:
        entry = json.loads(_path(key).read_bytes())
        if entry["status"] not in STATUSES:
            return None
        fields: dict[str, Any] = {
            **entry,
            "png": base64.b64decode(entry["png"], validate=True),
            "blocks": tuple(TextBlock(**block) for block in entry["blocks"]),
            "denied": tuple(entry["denied"]),
            "remarks": tuple(entry["remarks"]),
        }
        return PageRendering(**fields)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _store(key: str, rendering: PageRendering) -> None:
    """A cache that cannot be written is no cache, and no error."""
    png = base64.b64encode(rendering.png or b"").decode("ascii")
    with contextlib.suppress(OSError):
        data = json.dumps({**asdict(rendering), "png": png}).encode("ascii")
        cache.write_atomically(_path(key), data)
