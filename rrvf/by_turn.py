"""The episodes of a run, and how good the code was after each turn.

Means by turn number alone mislead, because the episodes that reach a late turn differ from those
that end early. Therefore every turn has two means:

* ``metrics``: the mean over the ``n`` episodes with code in that turn.
* ``carried``: the mean over all ``n_carried`` episodes, carrying the last score forward. An episode
  that has ended keeps its last scores; one without code so far counts as 0. If an episode's first
  code could not be scored through our fault, it is left out of that score at every turn. The same
  holds for an episode without code whose result could not be scored. If later code could not be
  scored, the previous score remains.

Both use the benchmark's own rule for its table. The code of a turn is that of its last call, or the
answer.
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
    loop_results = [result for result in results if result.episode is not None]
    episodes = [result.episode for result in loop_results if result.episode is not None]
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
        "by_turn": _summarize_turns(loop_results, metrics),
    }


def _summarize_turns(results: Sequence[SampleResult], metrics: Metrics) -> list[dict[str, Any]]:
    turns = [(result, result.episode.by_turn) for result in results if result.episode is not None]
    pairs = [(result, entries) for result, entries in turns if entries is not None]
    entry_lists = [entries for _, entries in pairs]
    all_entries = [entry for entries in entry_lists for entry in entries]
    names = list(dict.fromkeys(name for entry in all_entries for name in entry.scores))
    n_turns = max((entry.turn for entry in all_entries), default=0)
    histories = [
        list(_carry_scores(entries, _find_unknown(result, names), n_turns))
        for result, entries in pairs
    ]
    rows: list[dict[str, Any]] = []
    for turn in range(1, n_turns + 1):
        last_entries = [_last_of(entries, turn) for entries in entry_lists]
        turn_results = [
            _to_result(entry.status, entry.scores) for entry in last_entries if entry is not None
        ]
        rows.append(
            {
                "turn": turn,
                "n": len(turn_results),
                "n_carried": len(entry_lists),
                "metrics": _drop_unmeasured(metrics(turn_results)),
                "carried": _drop_unmeasured(metrics([history[turn - 1] for history in histories])),
            }
        )
    return rows


def _last_of(entries: Sequence[TurnScores], turn: int) -> TurnScores | None:
    return next((entry for entry in reversed(entries) if entry.turn == turn), None)


def _find_unknown(result: SampleResult, names: Sequence[str]) -> dict[str, bool]:
    """Score -> whether it is left out of an episode at every turn."""
    entries = result.episode.by_turn if result.episode is not None else None
    if entries:
        return {name: entries[0].scores.get(name) is None for name in names}
    scores = result.scores
    return {name: name in scores and scores[name].value is None for name in names}


def _carry_scores(
    entries: Sequence[TurnScores], is_unknown: Mapping[str, bool], n_turns: int
) -> Iterator[SampleResult]:
    """An episode as it stood after each turn."""
    status: Status = "no_code"
    scores: dict[str, float | None] = {
        name: None if unknown else 0.0 for name, unknown in is_unknown.items()
    }
    for turn in range(1, n_turns + 1):
        entry = _last_of(entries, turn)
        if entry is not None:
            status = entry.status
            new_scores = {name: value for name, value in entry.scores.items() if value is not None}
            scores |= {name: value for name, value in new_scores.items() if not is_unknown[name]}
        yield _to_result(status, scores)


def _to_result(status: Status, scores: Mapping[str, float | None]) -> SampleResult:
    """As the benchmark's rule takes it."""
    return SampleResult("", status, None, 0.0, {name: Score(v) for name, v in scores.items()})


def _drop_unmeasured(table: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in table.items() if value is not None}


# ------------------------------------------------------------------------------ one episode


def score_turns(
    bench: Bench, sample: Sample, trajectory: Trajectory, final: SampleResult
) -> tuple[TurnScores, ...]:
    """The scores of each code of an episode, by all scorers except a paid judge.

    Args:
        bench: Where its answer was scored; code that comes again is not drawn again.
        sample: Which it is about.
        trajectory: The episode.
        final: The result of its answer.
    """
    free_bench = _drop_paid_judge(bench)
    names = free_bench.names()
    results = {_only_code(trajectory.completion, bench.language): final}
    scores: list[TurnScores] = []
    for number, turn in enumerate(trajectory.turns, start=1):
        for call, observation in enumerate(turn.observations, start=1):
            if observation.code is None:
                continue
            code = observation.code.strip("\n")
            if code not in results:
                results[code] = _score_code(free_bench, sample, observation.code)
            scores.append(_to_turn_scores(number, call, results[code], names))
    if trajectory.stop_reason == "answered":
        scores.append(_to_turn_scores(len(trajectory.turns), None, final, names))
    return tuple(scores)


def _drop_paid_judge(bench: Bench) -> Bench:
    """A model as judge is paid; an embedded one is not."""
    is_paid = bench.judge is not None and bench.judge.name == "gpt"
    return replace(bench, judge=None) if is_paid else bench


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


def _to_turn_scores(
    turn: int, call: int | None, result: SampleResult, names: Sequence[str]
) -> TurnScores:
    values = {name: result.scores[name].value for name in names}
    return TurnScores(turn, call, result.status, values)
