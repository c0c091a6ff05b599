"""The metrics that a service reports to Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from rrvf.rewards import Rewarded
from rrvf.types import Status

_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts and times of one service; every method may be called from any thread."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._drawings = Counter(
            *("rrvf_renders", "Renderings, by whose fault they failed, if any's."),
            *(("fault",),),
            registry=registry,
        )
        for fault in ("none", "model", "ours"):
            self._drawings.labels(fault)
        self._seconds = Histogram(
            *(
                "rrvf_render_seconds",
                "Time of a rendering, near none where it was remembered.",
            ),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._episodes = Counter(
            *("rrvf_episodes", "Finished episodes, by why they ended."),
            *(("stop_reason",),),
            registry=registry,
        )
        self._unrewarded = Counter(
            *("rrvf_episodes_unrewarded", "Finished episodes whose reward could not be measured."),
            registry=registry,
        )
        self._requests = Counter(
            *("rrvf_requests", "Requests, by what they were answered with."),
            *(("status",),),
            registry=registry,
        )
        self._gauges = {
            name: Gauge(f"rrvf_{name}", text, registry=registry)
            for name, text in (
                ("renders_waiting", "Renderings that wait for their turn."),
                ("requests_at_work", "Requests that are at work or wait."),
                ("episodes_open", "Episodes under way."),
            )
        }

    def watch(self, name: str, count: Callable[[], int]) -> None:
        """Have a number read whenever somebody asks for it.

        Args:
            name: ``renders_waiting``, ``requests_at_work`` or ``episodes_open``.
            count: Tells it.
        """
        self._gauges[name].set_function(count)

    def note_drawing(self, status: Status, seconds: float) -> None:
        """A rendering is done."""
        ours = status == "harness_error"
        self._drawings.labels("ours" if ours else "none" if status == "ok" else "model").inc()
        self._seconds.observe(seconds)

    def note_episode(self, rewarded: Rewarded) -> None:
        """An episode is over, and its reward known."""
        self._episodes.labels(rewarded.trajectory.stop_reason).inc()
        if rewarded.reward.total is None:
            self._unrewarded.inc()

    def note_request(self, status: int) -> None:
        """A request is answered."""
        self._requests.labels(str(status)).inc()

    def to_text(self) -> bytes:
        """All of it, in Prometheus's text form."""
        return generate_latest(self._registry)
