"""One line on why a script failed: the error, its place, and what the confinement lacks."""

from __future__ import annotations

import errno
import functools
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType, TracebackType

from . import surroundings

MAX_ERROR = 400
MAX_CAUSES = 20
REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS)

NO_LATEX = "text.usetex needs LaTeX, which the confinement does not run"
NO_DATASETS = "no network: seaborn's data sets are not at hand"
NO_NETWORK = "no network: the confinement has none"
NO_PROCESSES = "process pools and subprocesses are not run in the confinement"
NO_SEMAPHORES = "semaphores need the confinement level namespaces"
NO_TMP = "at this level of confinement $TMPDIR, the home and the working folder can be written"
NO_CALL = "the confinement refuses this system call"
NO_MODES = "modes of files cannot be changed in the confinement"

# Place of a refusal -> what is missing. The first that fits counts.

_PLACES: tuple[tuple[str, str], ...] = (
    (r"/matplotlib/(texmanager|dviread)\.py$", NO_LATEX),
    (r"/seaborn/utils\.py$", NO_DATASETS),
    (r"/(multiprocessing/pool|concurrent/futures/process)\.py$", NO_PROCESSES),
    (r"/multiprocessing/synchronize\.py$", NO_SEMAPHORES),
    (r"/(subprocess|multiprocessing/(popen_\w+|util|context|process))\.py$", NO_PROCESSES),
    (r"/(socket|ssl|urllib/request|http/client)\.py$", NO_NETWORK),
    (r"/shutil\.py$", NO_MODES),
)


def write_message(error: BaseException | None, scratch: str) -> str:
    """Type and message in one printable line, without a path of the host's.

    Args:
        error: What the script raised; it may be a class of the script's own.
        scratch: The script's working folder.
    """
    try:
        message = explain_refusal(error) or str(error)
    except BaseException:
        message = ""
    message = cut_host_paths(" ".join(message[:10_000].split()), scratch)
    return f"{type(error).__name__[:100]}: {message}"[:MAX_ERROR]


@functools.cache
def list_host_folders() -> tuple[str, ...]:
    """Folders of the host that a message may hold, longest first; found before any script runs."""
    packages = {path for path in sys.path if Path(path).is_dir()}
    prefixes = {sys.prefix, sys.base_prefix, os.environ.get("MPLCONFIGDIR", "")}
    folders = packages | prefixes | {os.path.realpath(path) for path in packages | prefixes}
    return tuple(sorted(folders - {"", "/", "/usr"}, key=len, reverse=True))


def cut_host_paths(message: str, scratch: str) -> str:
    """Paths as the script knows them: its own as it wrote them, those of libraries cut short."""
    root = str(Path(scratch).parent)
    for path, replacement in ((scratch, ""), (f"{root}/home", "~"), (root, "")):
        message = message.replace(f"{path}/", f"{replacement}/" if replacement else "").replace(
            path, replacement
        )
    for folder in list_host_folders():
        message = message.replace(f"{folder}/", "").replace(folder, "")
    return message


def explain_refusal(error: BaseException | None) -> str | None:
    """What the confinement lacks that the script asked for, ``None`` where that is not why."""
    causes = [cause for cause in _list_causes(error) if isinstance(cause, OSError)]
    name_errors = [cause for cause in causes if type(cause).__name__ == "gaierror"]
    refusals = name_errors + [cause for cause in causes if cause.errno in REFUSED]
    if not refusals:
        return None
    files = [frame.f_code.co_filename for cause in causes for frame in _list_frames(cause)]
    for place, explanation in _PLACES:
        if any(re.search(place, file) for file in files):
            return explanation
    return NO_NETWORK if name_errors else _explain_call(refusals[0])


def _explain_call(refusal: OSError) -> str | None:
    if refusal.errno == errno.EPERM:
        return f"{refusal}: {NO_CALL}"
    name = refusal.filename
    if isinstance(name, str) and name.startswith(tuple(surroundings.PRIVATE.values())):
        return f"{refusal}: {NO_TMP}"
    return None


def _list_causes(error: BaseException | None) -> Generator[BaseException]:
    """The error, and what it was raised from or during."""
    for _ in range(MAX_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _list_frames(error: BaseException) -> Generator[FrameType]:
    step: TracebackType | None = error.__traceback__
    while step is not None:
        yield step.tb_frame
        step = step.tb_next
