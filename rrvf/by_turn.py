"""What a run's episodes were, and how good the code was after each turn.

Means by turn number alone mislead: the episodes that reach a late turn are others than those that
end early. So every turn has two means:

* ``metrics``: over the episodes with code in that turn; ``n`` says how many these are.
* ``carried``: over all ``n_carried`` episodes, each with the last code it had shown by then. One
  that stopped keeps its last scores, one without any code yet counts as 0. An episode whose first
  code could not be scored through our fault is left out of that score at every turn, as is one that
  shows no code and whose result could not be scored; where later code could not, the score before
  it stands.

Both are computed by the benchmark's own rule for its table. What a turn shows is the code of its
last call, or the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rrvf.bench import Bench
from rrvf.errors import HarnessError, boundary
from rrvf.scoring import make_unscored
from rrvf.trajectories import Trajectory
from rrvf.types import Code, Language, Sample, SampleResult, Score, Status, TurnScores

Metrics = Callable[[Sequence[SampleResult]], Mapping[str, float | None]]
"""Results -> the columns of the table."""


def summarize_episodes(results: Sequence[SampleResult], metrics: Metrics) -> dict[str, Any]:
    """The ``episodes`` of a ``summary.json``; empty where no loop was played."""
    played = [result for result in results if result.episode is not None]
    episodes = [result.episode for result in played if result.episode is not None]
    if not episodes:
        return {}
    lengths = Counter(episode.n_turns for episode in episodes)
    teacher: Counter[str] = Counter()
    for episode in episodes:
        teacher.update(episode.teacher)
    return {
        "n": len(episodes),
        "turns": {str(length): lengths[length] for length in sorted(lengths)},
        "stop_reasons": dict(Counter(episode.stop_reason for episode in episodes)),
        "teacher": dict(teacher),
        "by_turn": _by_turn(played, metrics),
    }


def _by_turn(results: Sequence[SampleResult], metrics: Metrics) -> list[dict[str, Any]]:
    turns = [(result, result.episode.by_turn) for result in results if result.episode is not None]
    whole = [(result, entries) for result, entries in turns if entries is not None]
    scored = [entries for _, entries in whole]
    shown = [entry for entries in scored for entry in entries]
    names = list(dict.fromkeys(name for entry in shown for name in entry.scores))
    n_turns = max((entry.turn for entry in shown), default=0)
    carried = [list(_carried(entries, _open(one, names), n_turns)) for one, entries in whole]
    rows: list[dict[str, Any]] = []
    for turn in range(1, n_turns + 1):
        own = [_last_of(entries, turn) for entries in scored]
        there = [_result(entry.status, entry.scores) for entry in own if entry is not None]
        rows.append(
            {
                "turn": turn,
                "n": len(there),
                "n_carried": len(scored),
                "metrics": _measured(metrics(there)),
                "carried": _measured(metrics([states[turn - 1] for states in carried])),
            }
        )
    return rows


def _last_of(entries: Sequence[TurnScores], turn: int) -> TurnScores | None:
    return next((entry for entry in reversed(entries) if entry.turn == turn), None)


def _open(result: SampleResult, names: Sequence[str]) -> dict[str, bool]:
    """Score -> whether it is left out of an episode at every turn."""
    entries = result.episode.by_turn if result.episode is not None else None
    if entries:
        return {name: entries[0].scores.get(name) is None for name in names}
    final = result.scores
    return {name: name in final and final[name].value is None for name in names}


def _carried(
    entries: Sequence[TurnScores], unknown: Mapping[str, bool], n_turns: int
) -> Iterator[SampleResult]:
    """An episode as it stood after each turn."""
    status: Status = "no_code"
    known: dict[str, float | None] = {name: None if out else 0.0 for name, out in unknown.items()}
    for turn in range(1, n_turns + 1):
        entry = _last_of(entries, turn)
        if entry is not None:
            status = entry.status
            told = {name: value for name, value in entry.scores.items() if value is not None}
            known |= {name: value for name, value in told.items() if not unknown[name]}
        yield _result(status, known)


def _result(status: Status, scores: Mapping[str, float | None]) -> SampleResult:
    """As the benchmark's rule takes it."""
    return SampleResult("", status, None, 0.0, {name: Score(v) for name, v in scores.items()})


def _measured(table: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in table.items() if value is not None}


# ------------------------------------------------------------------------------ one episode


def score_turns(
    bench: Bench, sample: Sample, trajectory: Trajectory, final: SampleResult
) -> tuple[TurnScores, ...]:
    """What each code of an episode is worth, by all scorers but a judge that is paid.

    Args:
        bench: Where its answer was scored; code that comes again is not drawn again.
        sample: Which it is about.
        trajectory: The episode.
        final: The result of its answer.
    """
    free = _without_paid_judge(bench)
    names = free.names()
    known = {_only_code(trajectory.completion, bench.language): final}
    scored: list[TurnScores] = []
    for turn, written in enumerate(trajectory.turns, start=1):
        for call, seen in enumerate(written.observations, start=1):
            if seen.code is None:
                continue
            code = seen.code.strip("\n")
            if code not in known:
                known[code] = _score_code(free, sample, seen.code)
            scored.append(_turn_scores(turn, call, known[code], names))
    if trajectory.stop_reason == "answered":
        scored.append(_turn_scores(len(trajectory.turns), None, final, names))
    return tuple(scored)


def _without_paid_judge(bench: Bench) -> Bench:
    """A model as judge is paid; an embedded one is not."""
    paid = bench.judge is not None and bench.judge.name == "gpt"
    return replace(bench, judge=None) if paid else bench


def _only_code(reply: str | None, language: Language) -> str | None:
    """The code of a reply that is one block and nothing else; ``None`` of any other."""
    opening = f"```{language}\n"
    text = (reply or "").strip()
    if not text.startswith(opening) or not text.endswith("```"):
        return None
    return text.removeprefix(opening).removesuffix("```").strip("\n")


def _score_code(bench: Bench, sample: Sample, code: str) -> SampleResult:
    """The code of one turn; a failure of ours leaves its scores open and the others alone."""
    item = (sample, Code(code))
    try:
        with boundary(f"scoring a turn of {sample.id}"):
            return bench.score(item).result
    except HarnessError as error:
        return make_unscored(item, bench.names(), error)


def _turn_scores(
    turn: int, call: int | None, result: SampleResult, names: Sequence[str]
) -> TurnScores:
    values = {name: result.scores[name].value for name in names}
    return TurnScores(turn, call, result.status, values)
