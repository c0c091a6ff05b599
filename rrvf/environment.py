"""An environment: everything needed to play, score and reward episodes of one benchmark.

It is for programs with their own policy, above all trainers, in the same process or behind
``rrvf serve``. It uses the same loop, bench and reward as evaluation and training. The docstring of
:mod:`rrvf` has an example of ten lines.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from rrvf.agent import AgentSettings, Episode, ToolRequest, respond
from rrvf.bench import Bench
from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.benchmark import Benchmark
from rrvf.chat import Message
from rrvf.errors import HarnessError, UserError, boundary
from rrvf.evaluate import score_item
from rrvf.kinds.kind import Drawer
from rrvf.options import RewardOptions, RuleOptions, RunOptions
from rrvf.rewards import Rewarded, Rewarder, read_rewards
from rrvf.runs import build_rules, open_run, open_teacher_of
from rrvf.scoring import Outcome, add_hash, make_unscored
from rrvf.teacher import Teacher
from rrvf.trajectories import Completion, Observation, StopReason, Trajectory, Turn
from rrvf.types import Sample


@dataclass(frozen=True)
class Environment:
    """Starts episodes; may be used from many threads at once.

    Attributes:
        samples: The samples by id.
        rewarder: Scores and rewards episodes, on the bench that draws their code.
        teacher: Comments on renderings.
        rules: The rules of an episode.
    """

    samples: Mapping[str, Sample]
    rewarder: Rewarder
    teacher: Teacher
    rules: AgentSettings

    @property
    def bench(self) -> Bench:
        """The bench that draws and scores code."""
        return self.rewarder.bench

    def with_drawer(self, drawer: Drawer) -> Environment:
        """The same environment, but ``drawer`` draws the code."""
        rewarder = replace(self.rewarder, bench=replace(self.bench, drawer=drawer))
        return replace(self, rewarder=rewarder)

    def protocol(self) -> dict[str, Any]:
        """The settings that can change scores and rewards, with their hash."""
        inner = {name: value for name, value in self.bench.protocol().items() if name != "hash"}
        parts = {
            "loop": dict(self.rules.protocol()),
            "teacher": dict(self.teacher.protocol()),
            "reward": self.rewarder.settings.protocol(),
        }
        return add_hash({**inner, **parts})

    def find_sample(self, sample_id: str) -> Sample:
        """A sample by id.

        Raises:
            UserError: There is no such sample.
        """
        if sample_id not in self.samples:
            raise UserError(f"no sample {sample_id!r} in {self.bench.benchmark.name}'s data")
        return self.samples[sample_id]

    def begin(self, sample_id: str, repeat: int = 0) -> Play:
        """Start an episode of a sample; it is ready for its first completion.

        If the target picture is missing through our fault, the episode is over at once.

        Args:
            sample_id: The id of the sample.
            repeat: The number of this episode among several of the same sample.

        Raises:
            UserError: There is no such sample.
        """
        sample = self.find_sample(sample_id)
        try:
            with boundary(f"preparing {sample.id}"):
                target = self.bench.target(sample)
                episode = Episode(sample.id, sample.prompt, target, self.rules, repeat)
        except (HarnessError, UserError) as error:
            failure = Trajectory(sample.id, (), "harness_error", error=str(error), repeat=repeat)
            return Play(self, sample, failure)
        return Play(self, sample, episode)

    def play(
        self, sample_id: str, completions: Sequence[Completion | str], repeat: int = 0
    ) -> Play:
        """Play a whole episode from completions that are already known.

        If they do not end the episode, it ends with ``token_budget``.

        Args:
            sample_id: The id of the sample.
            completions: The policy's completions, turn by turn; those after the end are ignored.
            repeat: The number of this episode among several of the same sample.

        Raises:
            UserError: As :meth:`begin`.
        """
        play = self.begin(sample_id, repeat)
        for completion in completions:
            if play.is_over:
                break
            play.step(completion)
        if not play.is_over:
            play.end("token_budget")
        return play

    def observe(self, sample_id: str, code: str) -> Observation:
        """The response to a tool call with some code, at any point of an episode.

        It is for other loops, which keep no episode of ours. Our loop starts with :meth:`begin`.

        Raises:
            UserError: There is no such sample.
            HarnessError: The code cannot be drawn, through no fault of its own.
        """
        sample = self.find_sample(sample_id)
        try:
            with boundary(f"rendering for {sample.id}"):
                target = self.bench.target(sample)
                episode = Episode(sample.id, sample.prompt, target, self.rules)
                return respond(ToolRequest(code), sample, self.bench, self.teacher, episode)
        except UserError as error:
            raise HarnessError(str(error)) from error

    def score(self, sample_id: str, completion: str | None) -> Outcome:
        """Score one answer as ``rrvf score`` does; our failures are unscored, never raised.

        Raises:
            UserError: There is no such sample.
        """
        item = (self.find_sample(sample_id), completion)
        try:
            return score_item(item, self.bench)
        except UserError as error:  # it concerns this machine, not the answer
            return Outcome(make_unscored(item, self.bench.names(), HarnessError(str(error))))


@dataclass
class Play:
    """One episode under way; belongs to one thread at a time.

    Attributes:
        environment: The environment that plays it.
        sample: Its sample.
        episode: Its state, or a failed trajectory if it could not start.
    """

    environment: Environment
    sample: Sample
    episode: Episode | Trajectory
    _begun: float = field(default_factory=time.monotonic)
    _rewarded: Rewarded | None = field(default=None, repr=False)

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the episode ended; ``None`` while it is under way."""
        return self.episode.stop_reason

    @property
    def error(self) -> str | None:
        """What failed, if the episode ended by our fault or the policy server's."""
        return self.episode.error

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return self.stop_reason is not None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far: completions and their observations."""
        return self.episode.turns

    def messages(self) -> list[Message]:
        """The messages to show the policy next: the whole conversation."""
        return [] if isinstance(self.episode, Trajectory) else self.episode.messages()

    def tokens_left(self) -> int:
        """The largest number of tokens for the next completion."""
        return 0 if isinstance(self.episode, Trajectory) else self.episode.tokens_left()

    def step(self, completion: Completion | str) -> list[Message]:
        """Take the policy's next completion and run its tool calls.

        Our failures end the episode, and its reward reports them.

        Args:
            completion: As generated, thoughts and tags included.

        Returns:
            The messages that follow the completion; empty if the episode is over.

        Raises:
            ValueError: The episode is over.
        """
        episode = self._require_open()
        if isinstance(completion, str):
            completion = Completion(completion, "stop")
        n_known = len(episode.messages())
        try:
            with boundary(f"rendering for {self.sample.id}"):
                self._answer(episode, completion)
        except (HarnessError, UserError) as error:  # also from the renderer: not the policy's fault
            episode.end("harness_error", str(error))
        limit = self.environment.rules.max_seconds
        if not self.is_over and limit is not None and time.monotonic() - self._begun >= limit:
            episode.end("time_budget")
        return [] if self.is_over else episode.messages()[n_known + 1 :]

    def _answer(self, episode: Episode, completion: Completion) -> None:
        environment = self.environment
        requests = episode.take(completion)
        if episode.stop_reason is None:
            parts = (self.sample, environment.bench, environment.teacher, episode)
            episode.observe([respond(request, *parts) for request in requests])

    def _require_open(self) -> Episode:
        if self.is_over or isinstance(self.episode, Trajectory):
            raise ValueError(f"the episode is over: {self.stop_reason}")
        return self.episode

    def end(self, reason: StopReason, error: str | None = None) -> None:
        """End the episode now, because its policy will not continue.

        Args:
            reason: ``token_budget`` or ``time_budget`` if the policy reached a limit;
                ``policy_error`` if it failed, which leaves the episode without scores and reward.
            error: What failed.

        Raises:
            ValueError: The episode is over.
        """
        self._require_open().end(reason, error)

    def trajectory(self) -> Trajectory:
        """The finished episode.

        Raises:
            ValueError: The episode is not over.
        """
        if isinstance(self.episode, Trajectory):
            return self.episode
        return self.episode.trajectory(time.monotonic() - self._begun)

    def rewarded(self) -> Rewarded:
        """Scores and reward of the finished episode; computed once.

        Raises:
            ValueError: The episode is not over.
        """
        if self._rewarded is None:
            self._rewarded = self.environment.rewarder(self.sample, self.trajectory())
        return self._rewarded


@contextmanager
def open_environment(
    benchmark: str,
    run: RunOptions,
    rules: RuleOptions | None = None,
    reward: RewardOptions | None = None,
) -> Generator[Environment]:
    """Open an environment; its renderers and connections close with the context.

    Args:
        benchmark: A name, or ``my.module:MyBenchmark``.
        run: Data, scorers, renderers and judge.
        rules: The rules of an episode, and the teacher.
        reward: How scores become a reward.

    Raises:
        UserError: Something is missing, or options contradict each other.
    """
    if run.data is None:
        raise UserError("no data are named; give RunOptions(data=...) a folder, a file or a name")
    rules, settings = rules or RuleOptions(), read_rewards(reward or RewardOptions())
    definition = find_benchmark(benchmark)
    run = replace(run, scorers=_choose_scorers(definition, run, settings.vision))
    with (
        open_run(benchmark, run) as (items, bench),
        open_teacher_of(rules, bench.language) as teacher,
    ):
        samples = {sample.id: sample for sample, _ in items}
        agent_settings = build_rules(rules, bench.language)
        yield Environment(samples, Rewarder(bench, settings), teacher, agent_settings)


def _choose_scorers(
    benchmark: Benchmark, run: RunOptions, vision: Mapping[str, float]
) -> tuple[str, ...]:
    """The user's scorers or else the benchmark's, and those that only the reward names."""
    extra_scorers = (name for name in vision if name == "clip" or ":" in name)
    return tuple(dict.fromkeys((*(run.scorers or benchmark.scorers), *extra_scorers)))
