"""Our own flags, stored in environment variables, which every process of VLMEvalKit inherits."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from rrvf.errors import UserError
from rrvf.options import LoopOptions, RunOptions
from rrvf.types import Mode

_FLAGS: Mapping[str, str] = {
    "policy-base-url": "OpenAI-compatible server of our models; --base-url has priority.",
    "policy-model": "Name of the model at that server, if it is not the checkpoint's.",
    "teacher": "Model that compares pictures for the ...-Loop models.",
    "teacher-base-url": "OpenAI-compatible server of the teacher.",
    "teacher-name": "Name that identifies the teacher, whatever its address.",
    "judge-name": "Name that identifies the judge, whatever its address.",
    "max-turns": "Turns of an episode of the ...-Loop models (5).",
    "workers": "Executions at the same time (2).",
    "score-mode": "official, or fixed: with the listed bugs of the official scorer fixed.",
    "plot2code-data": "Folder with Plot2Code, instead of the hub.",
    "websight-data": "Folder or file with pages, instead of the hub.",
    "design2code-data": "Folder or file with Design2Code, instead of the hub.",
    "benchmark-data": "Data for --data my.module:MyBenchmark, your own benchmark.",
    "trajectories": "Folder for the turns of our models, by default that of --work-dir.",
}
"""Flag -> help. The variable is the flag in capitals after ``RRVF_``."""

_FRESH = "RRVF_FRESH"
"""Unix time of the start of a run with ``--fresh``, for every process of it."""

_BENCHMARKS = "RRVF_BENCHMARKS"
"""Benchmarks of the user's own that the run is about, for every process of it."""

_LONG_AGO = 1e9


@dataclass(frozen=True, slots=True)
class Settings:
    """What flags or the environment say; ``None`` where they say nothing."""

    policy_base_url: str | None = None
    policy_model: str | None = None
    teacher: str | None = None
    teacher_base_url: str | None = None
    max_turns: int = LoopOptions.max_turns
    max_tokens: int = LoopOptions.max_tokens
    workers: int = RunOptions.workers
    score_mode: Mode | None = RunOptions.mode
    plot2code_data: str | None = None
    websight_data: str | None = None
    design2code_data: str | None = None
    benchmark_data: str | None = None
    trajectories: str | None = None
    judge: str | None = None
    judge_base_url: str | None = None
    teacher_name: str | None = None
    judge_name: str | None = None
    fresh: float = 0.0


def parse(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Take our own flags off a command line and note them in the environment.

    Returns:
        Whether ``--override`` was among them, and what is left for VLMEvalKit.
    """
    parser = argparse.ArgumentParser(
        prog="python -m vlmeval_plugin",
        description="VLMEvalKit's run.py with the benchmarks and models of RRVF. Options of our "
        "own, each also an environment variable (--max-turns is RRVF_MAX_TURNS):",
        usage="%(prog)s [--override] [our options] [options of VLMEvalKit's run.py]",
        epilog="Of VLMEvalKit's own options, which follow, --judge MODEL and --judge-base-url URL "
        "(RRVF_JUDGE, RRVF_JUDGE_BASE_URL) fill the GPT column; our data sets have no other judge.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--override",
        action="store_true",
        help="Score ChartMimic_* and Design2Code with our scorer, too.",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="Ask judge and teacher anew, whatever is kept."
    )
    for flag, text in _FLAGS.items():
        parser.add_argument(f"--{flag}", metavar="X", help=text)
    options, other_arguments = parser.parse_known_args(arguments)
    for flag in _FLAGS:
        value = cast("str | None", getattr(options, flag.replace("-", "_")))
        if value is not None:
            os.environ[_variable(flag)] = value
    if options.fresh:
        os.environ[_FRESH] = repr(time.time())
    if {"-h", "--help"} & set(other_arguments):
        parser.print_help()
    return options.override, other_arguments


def current() -> Settings:
    """What the environment says now.

    Raises:
        UserError: A value that cannot be.
    """
    values = {name: os.environ.get(_variable(name)) or None for name in Settings.__slots__}
    return Settings(
        policy_base_url=values["policy_base_url"],
        policy_model=values["policy_model"],
        teacher=values["teacher"],
        teacher_base_url=values["teacher_base_url"],
        max_turns=_count("max_turns", values["max_turns"], LoopOptions.max_turns),
        max_tokens=_count("max_tokens", values["max_tokens"], LoopOptions.max_tokens),
        workers=_count("workers", values["workers"], RunOptions.workers),
        score_mode=_mode(values["score_mode"]),
        plot2code_data=values["plot2code_data"],
        websight_data=values["websight_data"],
        design2code_data=values["design2code_data"],
        benchmark_data=values["benchmark_data"],
        trajectories=values["trajectories"],
        judge=values["judge"],
        judge_base_url=values["judge_base_url"],
        teacher_name=values["teacher_name"],
        judge_name=values["judge_name"],
        fresh=_moment(values["fresh"]),
    )


def note_benchmarks(names: Sequence[str]) -> None:
    """Note the user's own benchmarks, named ``my.module:MyBenchmark``, that a run is about."""
    os.environ[_BENCHMARKS] = ",".join(names)


def own_benchmarks() -> tuple[str, ...]:
    """Those that were noted."""
    return tuple(filter(None, os.environ.get(_BENCHMARKS, "").split(",")))


def _variable(name: str) -> str:
    return "RRVF_" + name.replace("-", "_").upper()


def _count(name: str, value: str | None, default: int) -> int:
    if value is None:
        return default
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise UserError(f"{_variable(name)} (--{name.replace('_', '-')}) must be 1 or more: {value!r}")


def _moment(value: str | None) -> float:
    """Unix time since when answers count that are kept; 0 for always."""
    if value is None:
        return 0.0
    try:
        moment = float(value)
    except ValueError:
        moment = 0.0
    if not _LONG_AGO < moment < float("inf"):
        raise UserError(f"{_FRESH} must be a Unix time, not {value!r}; --fresh sets it to now")
    return moment


def _mode(value: str | None) -> Mode | None:
    if value is None or value == "official" or value == "fixed":
        return value
    raise UserError(f"RRVF_SCORE_MODE (--score-mode) must be official or fixed, not {value!r}")
