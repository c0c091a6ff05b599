"""What each rank is doing: seconds and memory by phase, and a warning when a rank hangs.

A hang of distributed training is silent: some ranks wait in a collective for a rank that never
arrives. Each rank writes its current phase into a small file. If a rank hangs longer than
``patience`` seconds, a message shows what each rank is waiting for, so the one that waits for
something else is visible.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

IDLE = "training"


@dataclass(frozen=True, slots=True)
class Activity:
    """What a rank does.

    Attributes:
        phase: Its name.
        detail: Turn, numbers.
        since: Wall clock, in seconds.
    """

    phase: str
    detail: str
    since: float


class Watchdog:
    """Measures the time of phases and reports ranks that hang.

    Args:
        folder: Shared by all ranks; a file a rank is written there.
        rank: This one.
        patience: Seconds in one phase before a report, and between further reports.
        take_peak: Bytes of the GPU's memory that were taken at most since the last call.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        patience: float = 600.0,
        take_peak: Callable[[], int] | None = None,
    ) -> None:
        self._folder, self._rank, self._patience = folder, rank, patience
        self._take_peak = take_peak
        self._peaks: dict[str, int] = {}
        self._activity = Activity(IDLE, "", time.time())
        self._seconds: dict[str, float] = defaultdict(float)
        self._stop = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._write()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def phase(self, name: str, detail: str = "") -> Generator[None]:
        """What happens inside belongs to this phase."""
        outer, start = self._activity, time.monotonic()
        self._note_peak(outer.phase)
        self._activity = Activity(name, detail, time.time())
        self._write()
        try:
            yield
        finally:
            self._note_peak(name)
            self._seconds[name] += time.monotonic() - start
            self._activity = Activity(outer.phase, outer.detail, time.time())
            self._write()

    def take_seconds(self) -> dict[str, float]:
        """Seconds by phase since the last call."""
        seconds = dict(self._seconds)
        self._seconds.clear()
        return seconds

    def take_peaks(self) -> dict[str, int]:
        """Bytes of the GPU's memory at most, by phase, since the last call; empty without one."""
        peaks, self._peaks = self._peaks, {}
        return peaks

    def _note_peak(self, phase: str) -> None:
        if self._take_peak is not None:
            self._peaks[phase] = max(self._peaks.get(phase, 0), self._take_peak())

    def close(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def report(self) -> str:
        """What every rank does, a line each."""
        now = time.time()
        lines: list[str] = []
        for path in sorted(self._folder.glob("rank_*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(path.read_bytes())
                detail = f" ({record['detail']})" if record["detail"] else ""
                wait = now - float(record["since"])
                lines.append(f"rank {record['rank']}: {record['phase']}{detail} for {wait:.0f} s")
        return "; ".join(lines)

    def _write(self) -> None:
        activity = self._activity
        record = {
            "rank": self._rank,
            "phase": activity.phase,
            "detail": activity.detail,
            "since": activity.since,
        }
        # A full or missing disk must not end a training run for the sake of this file.
        with suppress(OSError):
            (self._folder / f"rank_{self._rank}.json").write_text(json.dumps(record))

    def _watch(self) -> None:
        report_time = 0.0
        while not self._stop.wait(min(5.0, self._patience / 4)):
            activity = self._activity
            wait = time.time() - max(activity.since, report_time)
            if wait >= self._patience:
                report_time = time.time()
                logger.warning("no progress for %.0f s: %s", wait, self.report())


def take_gpu_peak() -> int:
    """Bytes that this process took of its GPU at most since the last call."""
    import torch

    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return peak


def find_memory_meter() -> Callable[[], int] | None:
    """What tells the peak of this process's GPU; ``None`` where there is none."""
    import torch

    return take_gpu_peak if torch.cuda.is_available() else None
