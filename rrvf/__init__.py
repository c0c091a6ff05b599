"""Score and train models that turn images of charts and web pages back into code.

Programs with their own model use the same parts as the commands::

    from rrvf import RewardOptions, RunOptions, open_environment, to_wire

    run, reward = RunOptions(data="DATASET"), RewardOptions(reward_vision="text=1, layout=1")
    with open_environment("chartmimic", run, reward=reward) as environment:
        print(environment.score("bar_1", answer).result.scores["text"].value)
        play = environment.begin("bar_1")
        while not play.is_over:
            play.step(ask_model(to_wire(play.messages())))
        print(play.rewarded().reward.total)

:func:`open_bench` only draws and scores. :class:`Episode` is only the loop.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrvf.agent import AgentSettings, Episode
    from rrvf.bench import Bench, open_bench
    from rrvf.chat import to_wire
    from rrvf.environment import Environment, Play, open_environment
    from rrvf.evaluate import score_predictions
    from rrvf.options import JudgeOptions, RewardOptions, RuleOptions, RunOptions
    from rrvf.report import write_report
    from rrvf.run_folder import read_summary
    from rrvf.runs import open_run
    from rrvf.trajectories import Completion
    from rrvf.types import Sample

    # At run time __getattr__ returns it: it depends on the imported packages.
    __all__ = [
        "AgentSettings",
        "Bench",
        "Completion",
        "Environment",
        "Episode",
        "JudgeOptions",
        "Play",
        "RewardOptions",
        "RuleOptions",
        "RunOptions",
        "Sample",
        "open_bench",
        "open_environment",
        "open_run",
        "read_summary",
        "score_predictions",
        "to_wire",
        "write_report",
    ]

__version__ = "0.1.0"

_MODULES = {
    "agent": ("AgentSettings", "Episode"),
    "bench": ("Bench", "open_bench"),
    "chat": ("to_wire",),
    "environment": ("Environment", "Play", "open_environment"),
    "evaluate": ("score_predictions",),
    "options": ("JudgeOptions", "RewardOptions", "RuleOptions", "RunOptions"),
    "report": ("write_report",),
    "run_folder": ("read_summary",),
    "runs": ("open_run",),
    "trajectories": ("Completion",),
    "types": ("Sample",),
}

_PLUGINS = {"verifiers.v1": ("trainers.verifiers", ("RrvfEnv", "RrvfHarness", "RrvfTaskset"))}
"""Package -> a module and its names, which the package finds by this module's ``__all__``."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that the command line starts quickly."""
    if name == "__all__":
        return _list_names()
    for module, names in (*_MODULES.items(), *_PLUGINS.values()):
        if name in names:
            return getattr(importlib.import_module(f"rrvf.{module}"), name)
    raise AttributeError(f"module 'rrvf' has no attribute {name!r}")


def _list_names() -> list[str]:
    """The API; the classes of a plugin only if the package that they are for is imported."""
    own = [name for names in _MODULES.values() for name in names]
    plugins = [names for package, (_, names) in _PLUGINS.items() if package in sys.modules]
    return sorted(own) + [name for names in plugins for name in names]
