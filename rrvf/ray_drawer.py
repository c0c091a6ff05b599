"""Drawing on the nodes of a Ray cluster, for a service that scores in this process.

Complete drawings come back from the nodes, and only this process computes scores. Nodes must draw
exactly as this machine does; the slots are those of :mod:`rrvf.ray_executor`.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from rrvf.bench import Bench
from rrvf.errors import HarnessError, SetupError, UserError
from rrvf.kinds.kind import Drawn, Script
from rrvf.options import RunOptions
from rrvf.ray_executor import (
    LOSSES,
    PATIENCE_SECONDS,
    Build,
    Parcel,
    Refusal,
    Slot,
    connect,
    describe_setup,
    find_difference,
    fit_to_slot,
    read_image,
    scoring_on_node,
)
from rrvf.types import Pictures, Sample

_log = logging.getLogger(__name__)

Call = Callable[[Any], Any]
"""An actor -> the reference to what it will return."""


@contextmanager
def open_ray_drawer(
    benchmark: str, options: RunOptions, bench: Bench, address: str | None = None
) -> Generator[RayDrawer]:
    """Slots of a cluster, open as long as the context lasts.

    Args:
        benchmark: Its name.
        options: How it is drawn; ``workers`` slots.
        bench: How this machine would draw and score.
        address: Of the cluster.

    Raises:
        UserError: No Ray, no cluster, or a node that would draw otherwise.
    """
    build = partial(scoring_on_node, benchmark, fit_to_slot(options), None)
    with connect(address) as ray:
        drawer = RayDrawer(ray, build, describe_setup(bench))
        try:
            drawer.hire(options.workers)
            yield drawer
        finally:
            drawer.close()


class RayDrawer:
    """Draws on whichever slot is free; may be used from many threads at once.

    Args:
        ray: The module, connected.
        build: Opens on a node what draws there.
        setup: What nodes have to be like.
    """

    def __init__(self, ray: Any, build: Build, setup: dict[str, Any]) -> None:
        self._ray = ray
        self._build = build
        self._setup = setup
        self._idle: queue.Queue[Any] = queue.Queue()
        self._actors: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def hire(self, n_slots: int) -> None:
        """Open slots.

        Raises:
            SetupError: A node would draw otherwise, or lacks something.
        """
        actors = [self._start() for _ in range(n_slots)]
        for actor in actors:
            self._open(actor)

    def close(self) -> None:
        """End all slots, and what they have under way."""
        with self._lock:
            self._closed = True
            actors, self._actors = self._actors, []
        for actor in actors:
            with suppress(Exception):  # it may be lost already
                self._ray.kill(actor)

    def draw(self, script: Script, pictures: Pictures = "all") -> Drawn:
        """Execute code on a node.

        Raises:
            HarnessError: No node could.
        """
        return self._call(lambda actor: actor.draw.remote(script, pictures))

    def draw_target(self, sample: Sample, pictures: Pictures = "all") -> Drawn:
        """What answers to a sample are compared with, drawn on a node.

        Raises:
            HarnessError: No node could.
        """
        parcel = Parcel((sample, None), read_image(sample), None)
        return self._call(lambda actor: actor.draw_target.remote(parcel, pictures))

    def _call(self, call: Call) -> Drawn:
        problem = ""
        for _ in range(LOSSES):
            actor = self._idle.get()
            if actor is None:
                self._idle.put(None)
                raise HarnessError("no slot is left in the Ray cluster")
            try:
                drawn = self._ray.get(call(actor))
            except self._ray.exceptions.RayTaskError as error:  # it came back, with an exception
                self._idle.put(actor)
                raise HarnessError(f"a node failed: {error.cause}") from error
            except self._ray.exceptions.RayError as error:
                problem = str(error).strip().splitlines()[0]
                self._replace(actor)
                continue
            self._idle.put(actor)
            if isinstance(drawn, Refusal):
                raise HarnessError(drawn.message)
            return drawn
        raise HarnessError(f"it was under way {LOSSES} times when a slot was lost: {problem}")

    def _start(self) -> Any:
        options = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        actor = self._ray.remote(Slot).options(**options).remote(self._build)
        with self._lock:
            self._actors.append(actor)
        return actor

    def _open(self, actor: Any) -> None:
        ref = actor.open.remote()
        while not self._ray.wait([ref], timeout=PATIENCE_SECONDS)[0]:
            _log.warning("waiting for a free CPU in the Ray cluster")
        reply = self._ray.get(ref)
        if isinstance(reply, Refusal):
            raise SetupError(reply.message)
        node, setup = reply
        if difference := find_difference(self._setup, setup):
            raise SetupError(
                f"the node {node} draws differently from this machine ({difference}); give all "
                "nodes the same packages, fonts and confinement"
            )
        self._idle.put(actor)

    def _replace(self, lost_actor: Any) -> None:
        """Another slot in the place of one that is gone, wherever there is room for it."""
        self._forget(lost_actor)
        threading.Thread(target=self._open_another, daemon=True).start()

    def _forget(self, actor: Any) -> bool:
        """Strike a slot off; whether others are left."""
        with self._lock:
            if actor in self._actors:
                self._actors.remove(actor)
            return bool(self._actors)

    def _open_another(self) -> None:
        has_others = True
        for _ in range(LOSSES):
            actor = self._start()
            try:
                self._open(actor)
                return
            except (UserError, self._ray.exceptions.RayError) as error:
                if self._closed:
                    return
                _log.warning("a slot that was lost is not replaced: %s", error)
                has_others = self._forget(actor)
        if not has_others:
            self._idle.put(None)  # nobody shall wait for what will not come
