"""The progress of an earlier start, read from the files in the folder."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrvf.episodes import Trajectories
from rrvf.errors import UserError
from rrvf.report.values import mapping
from rrvf.reproduce.data import list_ids
from rrvf.reproduce.job import Job
from rrvf.run_folder import SETTINGS, is_ours, read_results, read_summary
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import VERSION


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done; what failed through no fault of the model's is not.

    Attributes:
        n_played: Episodes that are whole.
        played: All of them.
        n_judged: Results that lack nothing.
        judged: All of them, and the policy has nothing left to do.
    """

    n_played: int
    played: bool
    n_judged: int
    judged: bool


def read_progress(job: Job) -> Progress:
    """Look at the runs in the folder.

    Raises:
        UserError: Somebody else played there.
    """
    _require_same_policy(job)
    ids = _read_ids(job)
    trajectories = Trajectories(job.played)
    whole = {name for name in trajectories.ids() if trajectories.find(name, None) is not None}
    scored = set(read_results(job.played)[0])
    played = _covers(whole & scored, ids)
    results, _ = read_results(job.judged)
    done = {name for name, result in results.items() if not is_ours(result)}
    judged = played and _covers(done, ids) and _is_same_judge(job)
    return Progress(len(whole), played, len(done), judged)


def _require_same_policy(job: Job) -> None:
    """Refuse another policy now, and not only when its server has started.

    Raises:
        UserError: It is another one, as far as the run says who played.
    """
    settings = _read_settings(job.played)
    old_name = mapping(settings.get("protocol.policy")).get("policy")
    old_identity = mapping(settings.get("asked.policy")).get("name")
    name, identity = job.model_name("policy"), job.identity("policy")
    if old_name is not None and old_name != name:
        raise UserError(
            f"{job.played}: was played by {old_name}, not {name}; name another --out, or give "
            "the same --checkpoint as at first"
        )
    if None not in (old_identity, identity) and old_identity != identity:
        raise UserError(f"{job.played}: was played by another checkpoint; name another --out")


def _is_same_judge(job: Job) -> bool:
    """Whether the results are those of the judge that is asked for; if not, the run says how."""
    judge = mapping(_read_settings(job.judged).get("protocol.judge")).get("judge")
    wanted = str(job.judge_options().model)
    return judge in (wanted, f"{LIKENESS} {VERSION}" if wanted == LIKENESS else wanted)


def _read_settings(folder: Path) -> dict[str, Any]:
    try:
        return mapping(json.loads((folder / SETTINGS).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


def _read_ids(job: Job) -> Collection[str]:
    """Who is to be answered: the samples; where they are not here, those of a finished run."""
    try:
        ids = list_ids(job)
    except UserError:
        ids = None  # which is told as a need
    if ids is not None:
        return ids
    try:
        is_finished = read_summary(job.played)["finished"] is True
    except (OSError, ValueError, LookupError, TypeError):
        return ()
    ids = list(read_results(job.played)[0]) if is_finished else []
    return ids if len(ids) == (job.options.limit or job.recipe.data.samples) else ()


def _covers(done: Collection[str], ids: Collection[str]) -> bool:
    return bool(ids) and set(done) >= set(ids)
