"""The reward of an episode: the scores of evaluation, weighted and added up.

``reward = w_v R_vision + w_f R_format + w_t R_tool``, the form of RRVF (arXiv 2507.20766). The
paper does not publish weights or formulas. The defaults are those of DeepEyes, the framework it
builds on: 0.8 for the quality of the answer, 0.2 for the format (0 or -1), and 1.2 for a successful
tool call, given only if the quality is above 0.5. Another reproduction names 0.2, 0.8, 1.0.

* ``R_vision`` in [0, 1] is a weighted mean of scores of the final answer, by default a judge's.
* ``R_format`` in [-1, 0] is reduced if the format is wrong or the final code does not run.
* ``R_tool`` in [0, 1] counts tool calls whose code rendered, up to a cap, behind a gate.

More terms can be added as functions of (result, trajectory); the result has the scores of every
turn.

If a score could not be measured through our fault, the reward is ``None``, and the episode is
excluded from its group.
"""

from __future__ import annotations

import functools
import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rrvf.bench import Bench
from rrvf.by_turn import score_turns
from rrvf.dotted import find_object
from rrvf.errors import HarnessError, UserError, boundary
from rrvf.gains import EMPTY_CODE, count_gaining_calls, measure_progress
from rrvf.options import RewardOptions
from rrvf.replies import close_thought, extract_code, extract_spoken, parse_reply
from rrvf.scorers.likeness import NAME as LIKENESS
from rrvf.scorers.likeness import OLD_NAME as OLD_LIKENESS
from rrvf.scorers.likeness import RENAMED
from rrvf.scoring import Outcome, make_unscored
from rrvf.trajectories import Completion, Trajectory, Turn
from rrvf.types import EpisodeResult, Language, Sample, SampleResult, Score

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSettings:
    """How scores become a reward.

    Attributes:
        vision: Score -> its weight in R_vision; weights need not add up to 1. ``gpt`` is the
            judge's score.
        vision_weight, format_weight, tool_weight: Weights of the three parts.
        structure_penalty: Taken off R_format if the format is wrong.
        running_penalty: Taken off R_format if no final code runs.
        tool_gate: R_tool is 0 unless R_vision is larger than this; ``None`` for no gate.
        tool_cap: Successful calls that earn the whole of R_tool.
        tool_must_gain: A call is successful only if its rendering is closer to the target than an
            empty picture and the previous draft, see :mod:`rrvf.gains`. Without it, every call that
            renders is successful.
        progress_weight: Weight of the gain in likeness from the first draft to the answer, see
            :func:`rrvf.gains.measure_progress`.
        terms: Further terms with their weights: ``my.module:function``, see :data:`Term`.
    """

    vision: Mapping[str, float] = field(default_factory=lambda: {"gpt": 1.0})
    vision_weight: float = 0.8
    format_weight: float = 0.2
    tool_weight: float = 1.2
    structure_penalty: float = 1.0
    running_penalty: float = 1.0
    tool_gate: float | None = 0.5
    tool_cap: int = 1
    tool_must_gain: bool = False
    progress_weight: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        weights = list(self.vision.values())
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise UserError("R_vision needs scores with weights above 0, as in gpt=1")
        numbers = [*weights, *self.weights().values(), self.structure_penalty, self.running_penalty]
        numbers += [] if self.tool_gate is None else [self.tool_gate]
        if not all(map(math.isfinite, numbers)):
            raise UserError(
                "a weight or gate of the reward is not a finite number; give one, as in 0.5"
            )
        if self.tool_cap < 1:
            raise UserError(f"the cap of tool calls must be at least 1, not {self.tool_cap}")

    def weights(self) -> dict[str, float]:
        """Part of the reward -> its weight, in the order in which they are added up."""
        parts = {
            "vision": self.vision_weight,
            "format": self.format_weight,
            "tool": self.tool_weight,
        }
        progress = {"progress": self.progress_weight} if self.progress_weight else {}
        return {**parts, **progress, **self.terms}

    def protocol(self) -> dict[str, Any]:
        """For the record of a run."""
        return {name: _to_plain(getattr(self, name)) for name in self.__slots__}


def _to_plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def read_mix(text: str) -> dict[str, float]:
    """Scores and weights from a configuration: ``gpt``, or ``text=1, layout=0.5``.

    Raises:
        UserError: The text cannot be read.
    """
    mix: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition("=")
        try:
            mix[name.strip()] = float(weight) if weight else 1.0
        except ValueError as error:
            raise UserError(f"{part!r} is not a score with a weight, as in text=0.5") from error
    return mix


def read_rewards(options: RewardOptions) -> RewardSettings:
    """The settings in the options.

    Raises:
        UserError: They cannot be read.
    """
    values = asdict(options)
    mix = read_mix(values.pop("reward_vision"))
    if OLD_LIKENESS in mix:
        _log.warning("reward_vision: %s", RENAMED)
        mix = {LIKENESS if name == OLD_LIKENESS else name: mix[name] for name in mix}
    return RewardSettings(vision=mix, terms=read_mix(values.pop("reward_terms")), **values)


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of one episode and its parts.

    Attributes:
        total: The weighted sum; ``None`` if a part could not be measured.
        vision, format, tool: The parts, before their weights.
        reason: Why there is no reward.
        terms: The further terms, before their weights.
    """

    total: float | None
    vision: float | None = None
    format: float | None = None
    tool: float | None = None
    reason: str | None = None
    terms: Mapping[str, float] = field(default_factory=dict[str, float])

    def parts(self) -> dict[str, float | None]:
        """Part -> its value, named as in :meth:`RewardSettings.weights`."""
        return {
            "vision": self.vision,
            "format": self.format,
            "tool": self.tool,
            **self.terms,
        }


Term = Callable[[SampleResult, Trajectory], float | None]
"""A user's own term; ``result.episode.by_turn`` holds the scores of every turn."""


def reward_of(
    trajectory: Trajectory,
    result: SampleResult,
    settings: RewardSettings,
    language: Language,
    terms: Mapping[str, Term] | None = None,
    n_calls: int | None = None,
    progress: float | None = None,
) -> Reward:
    """Add up what an episode earned.

    Args:
        trajectory: The episode.
        result: Of its answer, as evaluation scores it.
        settings: Weights and gates.
        language: Of the code.
        terms: The functions behind the further terms that the settings weigh.
        n_calls: Successful ones; ``None`` for all that rendered.
        progress: From the first draft to the answer; ``None`` where it was not asked for.
    """
    if trajectory.failed:
        return Reward(None, reason=trajectory.error or trajectory.stop_reason)
    if result.status == "harness_error":
        return Reward(None, reason=result.error or result.status)
    for name in settings.vision:
        score = result.scores.get(name)
        if score is None or score.value is None:
            reason = "it was not asked for" if score is None else score.details.get("reason", "")
            return Reward(None, reason=f"{name}: {reason}")
        if not math.isfinite(score.value):
            return Reward(None, reason=f"{name}: {score.value} is no score")
    vision = _average(settings.vision, result.scores)
    form = _score_format(trajectory, result, settings, language)
    n_calls = count_successful_calls(trajectory) if n_calls is None else n_calls
    tool = _score_tool(n_calls, vision, settings)
    total = (
        settings.vision_weight * vision
        + settings.format_weight * form
        + settings.tool_weight * tool
    )
    term_values: dict[str, float] = {}
    if progress is not None:
        term_values["progress"] = progress
        total += settings.progress_weight * progress
    for name, term in (terms or {}).items():
        value = _call_term(name, term, result, trajectory)
        if isinstance(value, str):
            return Reward(None, vision, form, tool, value)
        term_values[name] = value
        total += settings.terms[name] * value
    return Reward(total, vision, form, tool, terms=term_values)


def _call_term(name: str, term: Term, result: SampleResult, trajectory: Trajectory) -> float | str:
    """The value of a term; a reason where it raises, or returns what is no number."""
    try:
        value = term(result, trajectory)
    except Exception as error:  # whatever a stranger's term raises
        return f"{name} failed: {type(error).__name__}: {error}"
    if not isinstance(value, float | int) or not math.isfinite(value):
        return f"{name}: {value!r} is no number"
    return float(value)


def _average(weights: Mapping[str, float], scores: Mapping[str, Score]) -> float:
    if len(weights) == 1:  # the score itself, bit for bit
        return scores[next(iter(weights))].value or 0.0
    products = (weight * (scores[name].value or 0.0) for name, weight in weights.items())
    return sum(products) / sum(weights.values())


def _score_format(
    trajectory: Trajectory, result: SampleResult, settings: RewardSettings, language: Language
) -> float:
    penalty = 0.0
    if not is_well_formed(trajectory, language):
        penalty += settings.structure_penalty
    if result.status != "ok":
        penalty += settings.running_penalty
    return max(-1.0, -penalty)


def _score_tool(n_calls: int, vision: float, settings: RewardSettings) -> float:
    if settings.tool_gate is not None and vision <= settings.tool_gate:
        return 0.0
    return min(n_calls, settings.tool_cap) / settings.tool_cap


def count_successful_calls(trajectory: Trajectory) -> int:
    """Tool calls whose code rendered."""
    return sum(
        observation.status == "ok" for turn in trajectory.turns for observation in turn.observations
    )


def is_well_formed(trajectory: Trajectory, language: Language) -> bool:
    """Whether an episode keeps to the protocol.

    Every turn thinks first and then either calls, in the protocol's own form, or answers; the
    answer stands between its tags and holds a block of code.
    """
    turns = trajectory.turns
    if trajectory.stop_reason != "answered" or not turns:
        return False
    return all(_calls_well(turn) for turn in turns[:-1]) and _answers_well(turns[-1], language)


def _calls_well(turn: Turn) -> bool:
    is_understood = not turn.malformed and all(
        observation.status != "no_code" for observation in turn.observations
    )
    return bool(turn.thought) and turn.action == "call" and is_understood


def _answers_well(turn: Turn, language: Language) -> bool:
    reply = parse_reply(close_thought(turn.completion.text))
    if not turn.thought or reply.answer is None or reply.tool_calls or reply.text:
        return False
    return f"```{language}" in reply.answer and bool(extract_code(reply.answer, language))


# ----------------------------------------------------------------------------------- an episode


@dataclass(frozen=True, slots=True)
class Rewarded:
    """An episode with its scores and its reward."""

    trajectory: Trajectory = field(repr=False)
    outcome: Outcome = field(repr=False)
    reward: Reward


@dataclass(frozen=True)
class Rewarder:
    """Scores episodes as evaluation does, and computes their rewards.

    Attributes:
        bench: Scores answers; the same bench as in ``rrvf eval``.
        settings: Weights and gates.

    Raises:
        UserError: R_vision names a score that is not measured.
    """

    bench: Bench
    settings: RewardSettings = field(default_factory=RewardSettings)
    moved: RewardSettings | None = field(default=None, repr=False)
    """The old third argument; removed in the next release."""

    def __post_init__(self) -> None:
        if isinstance(self.settings, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            warnings.warn(
                "Rewarder(scoring, language, settings) is now Rewarder(bench, settings)",
                DeprecationWarning,
                stacklevel=3,
            )
            object.__setattr__(self, "settings", self.moved or RewardSettings())
        unknown_names = [name for name in self.settings.vision if name not in self.bench.names()]
        if "gpt" in unknown_names and self.bench.judge is None:
            raise UserError(
                "R_vision is a judge's score, and no judge is named; name one, or other scores: "
                "reward_vision text=1, layout=1"
            )
        if unknown_names:
            known_names = ", ".join(self.bench.names())
            raise UserError(
                f"R_vision (reward_vision) names {', '.join(unknown_names)}; measured are: "
                f"{known_names}; name some of these, or have the others measured: a judge, "
                "or setting: with_reference"
            )
        _ = self.terms  # a missing one is reported before anything is played

    @functools.cached_property
    def terms(self) -> Mapping[str, Term]:
        """The functions behind the further terms."""
        return {name: find_object(name, "reward term") for name in self.settings.terms}

    def __call__(self, sample: Sample, trajectory: Trajectory) -> Rewarded:
        """Score and reward one episode; the reward reports our failures, which are never raised.

        May be called from many threads at once.
        """
        item = (sample, trajectory.completion)
        n_calls = progress = None
        if trajectory.failed:
            failure = HarnessError(trajectory.error or trajectory.stop_reason)
            outcome = Outcome(make_unscored(item, self.bench.names(), failure))
        else:
            try:
                with boundary(f"scoring {sample.id}"):
                    outcome = self._add_turns(sample, trajectory, self.bench.score(item))
                    if self.settings.tool_must_gain:
                        n_calls = self._count_gaining_calls(sample, trajectory)
                    if self.settings.progress_weight:
                        progress = self._measure_progress(sample, trajectory, outcome.result)
            except (HarnessError, UserError) as error:
                # A judge that is gone must not end a training run: its steps are counted there.
                failure = HarnessError(str(error))
                outcome = Outcome(make_unscored(item, self.bench.names(), failure))
        reward = reward_of(
            trajectory,
            outcome.result,
            self.settings,
            self.bench.language,
            self.terms,
            n_calls,
            progress,
        )
        return Rewarded(trajectory, outcome, reward)

    def _count_gaining_calls(self, sample: Sample, trajectory: Trajectory) -> int:
        # The bench keeps what it has drawn: an empty rendering is made once.
        empty = self.bench.draw(sample, EMPTY_CODE[self.bench.language])
        return count_gaining_calls(trajectory, self.bench.target(sample), empty.png)

    def _measure_progress(
        self, sample: Sample, trajectory: Trajectory, result: SampleResult
    ) -> float:
        is_drawn = result.status == "ok" and result.code is not None
        final = self.bench.draw(sample, result.code or "").png if is_drawn else None
        return measure_progress(trajectory, self.bench.target(sample), final)

    def _add_turns(self, sample: Sample, trajectory: Trajectory, outcome: Outcome) -> Outcome:
        """Add the scores of every turn, if a term uses them."""
        if not self.terms:
            return outcome
        turns = score_turns(self.bench, sample, trajectory, outcome.result)
        episode = EpisodeResult(trajectory.stop_reason, len(trajectory.turns), by_turn=turns)
        return replace(outcome, result=replace(outcome.result, episode=episode))


# ------------------------------------------------------------------------- for other frameworks


def as_trajectory(sample: Sample, completion: str, language: Language) -> Trajectory:
    """A reply of a single turn, without the loop, as an episode of one turn."""
    reply = parse_reply(close_thought(completion))
    answer = extract_spoken(completion, language)
    turn = Turn(Completion(completion, "stop"), "answer", reply.think, answer)
    return Trajectory(sample.id, (turn,), "answered", answer)


@dataclass(frozen=True)
class TrlReward:
    """A reward function for TRL's trainers, where each completion is a whole answer.

    The data set has the columns ``sample_id`` and ``reference_code`` (or ``sample``)::

        with open_bench(ChartMimic()) as bench:
            rewarder = Rewarder(bench, RewardSettings(vision={"text": 1, "color": 1}))
            trainer = GRPOTrainer(..., reward_funcs=TrlReward(rewarder))

    Attributes:
        rewarder: Scores and rewards.
        concurrency: Completions at a time.
    """

    rewarder: Rewarder
    concurrency: int = 16

    @property
    def __name__(self) -> str:
        """What TRL logs it as."""
        return "rrvf"

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """A reward for each completion; ``None`` where it could not be measured."""
        samples = _read_samples(columns, len(completions))
        texts = [_read_text(completion) for completion in completions]
        with ThreadPoolExecutor(self.concurrency) as pool:
            return list(pool.map(self._reward_one, samples, texts))

    def _reward_one(self, sample: Sample, text: str) -> float | None:
        return self.rewarder(
            sample, as_trajectory(sample, text, self.rewarder.bench.language)
        ).reward.total


def _read_samples(columns: Mapping[str, Any], n_rows: int) -> list[Sample]:
    if "sample" in columns:
        return list(columns["sample"])
    if "reference_code" not in columns:
        raise UserError("the data set has no column reference_code (or sample) to compare with")
    codes = columns["reference_code"]
    names = columns.get("sample_id") or [str(number) for number in range(n_rows)]
    return [Sample(str(name), code) for name, code in zip(names, codes, strict=True)]


def _read_text(completion: Any) -> str:
    """A completion of TRL's: a string, or the messages of an assistant."""
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content") or "") for message in completion)


def verl_reward(rewarder: Rewarder) -> Callable[..., dict[str, float]]:
    """A ``compute_score`` for verl: ``ground_truth`` is the reference's code.

    verl knows no missing reward: where ours could not be measured it gets 0, and ``unscored`` is 1,
    to be filtered by.
    """

    def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: str,
        extra_info: Mapping[str, Any] | None = None,
    ) -> dict[str, float]:
        sample = Sample(str((extra_info or {}).get("index", data_source)), ground_truth)
        reward = rewarder(
            sample, as_trajectory(sample, solution_str, rewarder.bench.language)
        ).reward
        parts = {
            "vision": reward.vision or 0.0,
            "format": reward.format or 0.0,
            "tool": reward.tool or 0.0,
        }
        return {"score": reward.total or 0.0, **parts, "unscored": float(reward.total is None)}

    return compute_score
