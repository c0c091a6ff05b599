"""Rollouts: the episodes of a batch, played in parallel by the loop of evaluation.

One turn of all episodes is one batch of generation. Then all requested code is rendered and
commented on in parallel. An episode that ends is scored at once, while the others continue.
"""

from __future__ import annotations

import io
import logging
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rrvf.agent import STOP, AgentSettings, Episode, respond
from rrvf.bench import Bench
from rrvf.chat import Chat, Message, Picture
from rrvf.errors import HarnessError, UserError, boundary
from rrvf.rewards import Rewarded, Rewarder
from rrvf.teacher import Teacher
from rrvf.trajectories import STOP_REASONS, Completion, Observation, Trajectory
from rrvf.types import Sample
from training.chat_tokens import ChatTokens, Tokens
from training.generation import Generated, count_slots, generate
from training.vllm_sync import keep_awake
from training.watchdog import Watchdog

logger = logging.getLogger(__name__)

_FLAT = 1e-8
"""Rewards that differ by less are alike."""

Generate = Callable[[Any, ChatTokens, Sequence[Tokens], Sequence[str]], list[Generated]]


@dataclass(frozen=True)
class World:
    """What episodes are played with; the same parts as in evaluation.

    Attributes:
        teacher: Who comments.
        settings: The rules.
        rewarder: Who scores and rewards.
        max_tokens: Of a whole rollout after its prompt, observations included.
        concurrency: Renderings, comments and judgements under way at a time.
        servers: Of judge and teacher, waited for between batches where one stopped answering.
        server_patience: Seconds to wait for one.
    """

    teacher: Teacher
    settings: AgentSettings
    rewarder: Rewarder
    max_tokens: int = 8192
    concurrency: int = 64
    servers: tuple[Chat, ...] = ()
    server_patience: float = 300.0

    @property
    def bench(self) -> Bench:
        """Where code is drawn and scored."""
        return self.rewarder.bench


@dataclass
class Rollout:
    """One episode with its tokens.

    Attributes:
        sample: What it is about.
        episode: Its state; ``None`` where it could not begin.
        prompt: Tokens before the first completion.
        ids: Tokens after the prompt.
        mask: 1 for each token that the model wrote, 0 for what it was told.
        logprobs: Of each token as it was sampled, 0 for what it was told.
        pictures: Of the whole rollout, in the order of its tokens.
        longest_turn: Tokens of a reply and of what it was told, at most so far.
        failure: Why it could not begin.
    """

    sample: Sample
    prompt: list[int]
    episode: Episode | None = None
    ids: list[int] = field(default_factory=list[int])
    mask: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    pictures: list[Any] = field(default_factory=list[Any])
    longest_turn: int = 0
    failure: Trajectory | None = None
    score: Future[Rewarded] | None = None

    @property
    def goes_on(self) -> bool:
        """Another completion is due."""
        return self.episode is not None and self.episode.stop_reason is None

    def tokens_so_far(self) -> Tokens:
        """What the model is shown next."""
        return Tokens(self.prompt + self.ids, self.pictures)

    def add_reply(self, reply: Generated, trains: bool = True) -> None:
        """The model generated; ``trains`` where it is to learn from it."""
        self.ids += reply.ids
        self.mask += [int(trains)] * len(reply.ids)
        self.logprobs += reply.logprobs or [0.0] * len(reply.ids)

    def add_tokens(self, tokens: Tokens) -> None:
        """The model is told something."""
        self.ids += tokens.ids
        self.mask += [0] * len(tokens.ids)
        self.logprobs += [0.0] * len(tokens.ids)
        self.pictures += tokens.pictures

    def trajectory(self) -> Trajectory:
        """The finished episode."""
        if self.failure is not None:
            return self.failure
        assert self.episode is not None
        return self.episode.trajectory()


@dataclass(frozen=True, slots=True)
class Opening:
    """What all episodes of a sample begin with.

    Attributes:
        sample: What they are about.
        target: Its picture, as PNG.
        prompt: Tokens before the first completion; ``None`` where it cannot be asked about.
        error: Why it cannot.
    """

    sample: Sample
    target: bytes = b""
    prompt: Tokens | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which episodes of a batch are played, and in what order.

    Attributes:
        parts: Of a batch: one generates while the others render and are commented on.
        redraws: How often groups whose rewards are all alike are drawn again, from other samples:
            the dynamic sampling of DAPO (arXiv 2503.14476), bounded.
        ids: Of the samples to draw from.
        shared_first_turn: A group's episodes share their first turn, which is generated once and
            not learnt from: what is learnt is to mend it, as in MM-ReCoder (arXiv 2604.01600).
    """

    parts: int = 1
    redraws: int = 0
    ids: Sequence[str] = ()
    shared_first_turn: bool = False


@dataclass
class Part:
    """A part of a batch whose episodes are played side by side.

    Attributes:
        rollouts: Its episodes.
        turn: How many turns were generated.
        pending: What the last turn asked for.
    """

    rollouts: Sequence[Rollout]
    turn: int = 0
    pending: list[Future[None]] = field(default_factory=list[Future[None]])

    def wait(self) -> None:
        """Until what the last turn asked for is there."""
        pending, self.pending = self.pending, []
        for future in pending:
            future.result()

    def find_speakers(self, size: int) -> list[tuple[Rollout, list[Rollout]]]:
        """Of each group of ``size`` the first that goes on, with all that its reply is for."""
        groups = [
            [rollout for rollout in self.rollouts[start : start + size] if rollout.goes_on]
            for start in range(0, len(self.rollouts), size)
        ]
        return [(group[0], group) for group in groups if group]


def split_groups(rollouts: Sequence[Rollout], n_parts: int, size: int) -> list[Sequence[Rollout]]:
    """A batch in parts of about the same length, groups of ``size`` kept together.

    Every rank gets as many parts, however few its rollouts: some may be empty.
    """
    n_groups = -(-len(rollouts) // size)
    ends = [round(n_groups * number / n_parts) * size for number in range(n_parts + 1)]
    return [rollouts[start:end] for start, end in pairwise(ends)]


def can_compare(group: Sequence[Rewarded]) -> bool:
    """Whether two episodes of a group have a reward."""
    return sum(episode.reward.total is not None for episode in group) >= 2


def _choose(chooser: random.Random, names: Sequence[str], number: int) -> list[str]:
    """So many names, none twice as long as there are enough."""
    chosen: list[str] = []
    while len(chosen) < number:
        chosen += chooser.sample(names, min(len(names), number - len(chosen)))
    return chosen


def find_flat_groups(rewards: Sequence[float | None], size: int) -> list[int]:
    """Numbers of the groups of ``size`` that teach nothing: equal rewards, or fewer than two."""
    flat: list[int] = []
    for number in range(len(rewards) // size):
        group_rewards = rewards[number * size : (number + 1) * size]
        group = [value for value in group_rewards if value is not None]
        if len(group) < 2 or max(group) - min(group) < _FLAT:
            flat.append(number)
    return flat


class Rollouts:
    """Plays the episodes of a batch; TRL's ``rollout_func``.

    Args:
        world: What they are played with.
        chat: The model's tokens.
        watchdog: Told what is under way.
        find: Id -> sample; may draw its picture.
        generate: Continues conversations: :func:`training.generation.generate`.
        sampling: Which episodes of a batch are played, and in what order.

    Attributes:
        n_drawn_again: Groups of the last batch that were drawn again.
    """

    def __init__(
        self,
        world: World,
        chat: ChatTokens,
        watchdog: Watchdog,
        find: Callable[[str], Sample],
        generate: Generate = generate,
        sampling: Sampling | None = None,
    ) -> None:
        self._world, self._chat, self._watchdog = world, chat, watchdog
        self._sampling = sampling or Sampling()
        self.n_drawn_again = 0
        self._find = find
        # Stands for what is not there: a forward pass without any picture would leave out the
        # vision tower, for which other ranks may wait.
        self._filler = chat.prompt([Message("user", ("?", Picture(_blank())))])
        self._generate = generate
        self._pool = ThreadPoolExecutor(world.concurrency, thread_name_prefix="rollout")

    @property
    def bench(self) -> Bench:
        """Where answers are scored."""
        return self._world.bench

    def close(self) -> None:
        """End what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any] | None]:
        """Play one episode for each sample of the trainer's batch.

        Returns:
            By TRL's names: the tokens, ``env_mask``, and for each rollout its ``pictures`` and
            ``rewarded``.
        """
        return self.play(trainer.batch_ids, trainer)

    def longest_episode(self) -> int:
        """Tokens of an episode at most: a prompt with the largest picture, and its rollout."""
        settings = self._world.settings
        side = math.isqrt(settings.max_pixels)
        episode = Episode("", "", _blank(side), settings)
        return len(self._chat.prompt(episode.messages()).ids) + self._world.max_tokens

    def play(self, ids: Sequence[str], trainer: Any) -> dict[str, list[Any] | None]:
        """As above, for the samples of these ids."""
        self._wait_for_servers()
        rollouts = self._play_all(ids, trainer)
        rewarded = self._await_rewards(rollouts)
        if trainer.model.training:
            self._draw_again(rollouts, rewarded, trainer)
        vllm = bool(trainer.use_vllm)
        return {
            "prompt_ids": [rollout.prompt for rollout in rollouts],
            "completion_ids": [rollout.ids for rollout in rollouts],
            "logprobs": [rollout.logprobs for rollout in rollouts] if vllm else None,
            "env_mask": [rollout.mask for rollout in rollouts],
            "pictures": [rollout.pictures for rollout in rollouts],
            "rewarded": rewarded,
        }

    def _play_all(self, ids: Sequence[str], trainer: Any) -> list[Rollout]:
        """Episodes from their first word to their last; scores may still be under way."""
        with self._watchdog.phase("prompts", f"{len(ids)} samples"):
            rollouts = self._begin_all(ids)
        for rollout in rollouts:
            self._score_if_over(rollout)
        with keep_awake(trainer.vllm_generation) if trainer.use_vllm else nullcontext():
            self._play_turns(rollouts, trainer)
        return rollouts

    def _play_turns(self, rollouts: Sequence[Rollout], trainer: Any) -> None:
        """Turn by turn; of several parts, one generates while the others render."""
        size = trainer.num_generations if trainer.model.training else 1
        parts = [Part(rollouts) for rollouts in split_groups(rollouts, self._sampling.parts, size)]
        goes_on = True
        while goes_on:
            went_on = [self._turn(part, trainer) for part in parts]
            goes_on = any(went_on)

    def _await_rewards(self, rollouts: Sequence[Rollout]) -> list[Rewarded]:
        with self._watchdog.phase("judge", f"{len(rollouts)} rollouts"):
            return [_result(rollout) for rollout in rollouts]

    def _draw_again(self, rollouts: list[Rollout], rewarded: list[Rewarded], trainer: Any) -> None:
        """Put other samples' episodes in the place of groups that teach nothing, in place.

        Every rank plays along as often as the one that needs it most.
        """
        size = trainer.num_generations
        self.n_drawn_again = 0
        for attempt in range(self._sampling.redraws):
            self._wait_for_servers()
            flat = find_flat_groups([episode.reward.total for episode in rewarded], size)
            if max_over_ranks(len(flat), trainer.accelerator) == 0:
                return
            self.n_drawn_again += len(flat)
            ids = self._choose_others(len(flat), rollouts, trainer, attempt)
            fresh = self._play_all([name for name in ids for _ in range(size)], trainer)
            fresh_rewarded = self._await_rewards(fresh)
            for number, group in enumerate(flat):
                new, old = number * size, group * size
                if not can_compare(fresh_rewarded[new : new + size]):
                    continue  # what was measured is worth more than what could not be
                rollouts[old : old + size] = fresh[new : new + size]
                rewarded[old : old + size] = fresh_rewarded[new : new + size]

    def _choose_others(
        self, n_groups: int, rollouts: Sequence[Rollout], trainer: Any, attempt: int
    ) -> list[str]:
        """Samples that are not in this batch, the same ones where a run is repeated."""
        used = {rollout.sample.id for rollout in rollouts}
        others = [name for name in self._sampling.ids if name not in used]
        key = (trainer.args.seed, trainer.state.global_step, trainer.accelerator.process_index)
        chooser = random.Random(f"{key} {attempt}")
        return _choose(chooser, others or sorted(used), n_groups)

    def _wait_for_servers(self) -> None:
        """Give judge and teacher time to come back, where one stopped answering."""
        patience = self._world.server_patience
        for server in self._world.servers:
            if not server.is_given_up:
                continue
            name = server.settings.model
            logger.warning("%s stopped answering: waiting for it, %.0f s at most", name, patience)
            with self._watchdog.phase("wait", f"for the server of {name}"):
                is_back = server.wait_until_back(patience)
            logger.warning("%s %s", name, "answers again" if is_back else "does not answer yet")

    # ---------------------------------------------------------------------------- a turn

    def _begin_all(self, ids: Sequence[str]) -> list[Rollout]:
        """An episode for each id; those of one sample share its picture and its prompt."""
        names = list(dict.fromkeys(ids))
        openings = dict(zip(names, self._pool.map(self._open, names), strict=True))
        return list(self._pool.map(self._begin, map(openings.__getitem__, ids), _repeats(ids)))

    def _open(self, sample_id: str) -> Opening:
        sample, settings = Sample(sample_id), self._world.settings
        try:
            with boundary(f"preparing {sample_id}"):
                sample = self._find(sample_id)
                target = self._world.bench.target(sample)
                messages = Episode(sample.id, sample.prompt, target, settings).messages()
                return Opening(sample, target, self._chat.prompt(messages))
        except (HarnessError, UserError) as error:
            return Opening(sample, error=str(error))

    def _begin(self, opening: Opening, repeat: int) -> Rollout:
        if opening.prompt is None:  # the next try may succeed
            opening = self._open(opening.sample.id)
        sample = opening.sample
        if opening.prompt is None:
            failure = Trajectory(sample.id, (), "harness_error", error=opening.error, repeat=repeat)
            # TRL needs a token; its mask keeps it out of the loss.
            rollout = Rollout(sample, self._filler.ids, failure=failure)
            rollout.add_tokens(Tokens([self._chat.end_token], self._filler.pictures))
            return rollout
        settings, prompt = self._world.settings, opening.prompt
        episode = Episode(sample.id, sample.prompt, opening.target, settings, repeat)
        return Rollout(sample, list(prompt.ids), episode, pictures=list(prompt.pictures))

    def _slots(self, rollouts: Sequence[Rollout], trainer: Any) -> int:
        """How many conversations every rank generates for next; 0 where all are over.

        Ranks that generate unequally often wait for each other for ever: one whose episodes are
        over generates along, until those of all ranks are. vLLM shares a batch out by its length,
        which must be the same everywhere.
        """
        n_active = sum(rollout.goes_on for rollout in rollouts)
        with self._watchdog.phase("wait", "for the other ranks' turn"):
            n_most = max_over_ranks(n_active, trainer.accelerator)
        if n_most == 0:
            return 0
        if trainer.use_vllm:
            return n_most
        return count_slots(n_active, n_most, trainer.conversations_at_once)

    def _turn(self, part: Part, trainer: Any) -> bool:
        """One turn of a part of the batch; what it asked for is under way afterwards.

        Returns:
            Whether there was one, on any rank.
        """
        with self._watchdog.phase("render", f"turn {part.turn}"):
            part.wait()
        shares_turn = self._sampling.shared_first_turn and trainer.model.training and part.turn == 0
        speakers = part.find_speakers(trainer.num_generations if shares_turn else 1)
        n_slots = self._slots([speaker for speaker, _ in speakers], trainer)
        if n_slots == 0:
            return False
        part.turn += 1
        conversations = [speaker.tokens_so_far() for speaker, _ in speakers]
        batch = conversations + [self._filler] * (n_slots - len(conversations))
        detail = f"turn {part.turn}, {len(speakers)} conversations"
        with self._watchdog.phase("generate", detail):
            replies = self._generate(trainer, self._chat, batch, STOP)
        for (_, group), reply in zip(speakers, replies, strict=False):
            for rollout in group:
                trains = not shares_turn
                part.pending.append(self._pool.submit(self._advance, rollout, reply, trains))
        return True

    def _advance(self, rollout: Rollout, reply: Generated, trains: bool) -> None:
        """What a completion asks for, one conversation."""
        episode = rollout.episode
        assert episode is not None
        rollout.add_reply(reply, trains)
        try:
            with boundary(f"rendering for {rollout.sample.id}"):
                self._answer(rollout, episode, reply)
        except (HarnessError, UserError) as error:
            episode.end("harness_error", str(error))
        self._score_if_over(rollout)

    def _answer(self, rollout: Rollout, episode: Episode, reply: Generated) -> None:
        n_known = len(episode.messages())
        requests = episode.take(as_completion(self._chat, reply))
        if episode.stop_reason is not None:
            return
        episode.observe([self._respond(request, rollout, episode) for request in requests])
        if episode.stop_reason is not None:
            return

        def continuation() -> Tokens:
            messages = episode.messages()[n_known + 1 :]  # after what the model said itself
            return self._chat.continuation(messages, ended=reply.ended)

        tokens = continuation()
        settings = self._world.settings
        rollout.longest_turn = max(rollout.longest_turn, len(reply.ids) + len(tokens.ids))
        # What is left once there is one more completion, however long.
        room = self._world.max_tokens - len(rollout.ids) - settings.turn_tokens
        if settings.tell_last_call and len(tokens.ids) + rollout.longest_turn > room:
            episode.say_no_call_is_left()
            tokens = continuation()
        if len(tokens.ids) > room:
            episode.end("token_budget")
        else:
            rollout.add_tokens(tokens)

    def _respond(self, request: Any, rollout: Rollout, episode: Episode) -> Observation:
        world = self._world
        return respond(request, rollout.sample, world.bench, world.teacher, episode)

    def _score_if_over(self, rollout: Rollout) -> None:
        if not rollout.goes_on and rollout.score is None:
            rollout.score = self._pool.submit(
                self._world.rewarder, rollout.sample, rollout.trajectory()
            )


def _blank(side: int = 56) -> bytes:
    """A white PNG of so many pixels each way."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (side, side), "white").save(out, "PNG")
    return out.getvalue()


def as_completion(chat: ChatTokens, reply: Generated) -> Completion:
    """What was generated, as the loop reads it: up to the first stop string."""
    text = chat.text(reply.ids)
    ends = [text.find(tag) + len(tag) for tag in STOP if tag in text]
    return Completion(
        text=text[: min(ends)] if ends else text,
        finish_reason="length" if reply.cut else "stop",
        output_tokens=len(reply.ids),
    )


def max_over_ranks(number: int, accelerator: Any) -> int:
    """The largest of every rank's number."""
    if accelerator.num_processes == 1:
        return number
    import torch

    own_number = torch.tensor([number], device=accelerator.device)
    return int(accelerator.gather(own_number).max())


def _repeats(ids: Sequence[str]) -> list[int]:
    """Which episode of its sample each one is."""
    counts: dict[str, int] = {}
    numbers: list[int] = []
    for sample_id in ids:
        numbers.append(counts.get(sample_id, 0))
        counts[sample_id] = numbers[-1] + 1
    return numbers


def _result(rollout: Rollout) -> Rewarded:
    assert rollout.score is not None
    return rollout.score.result()


def totals(
    rewarded: Sequence[Rewarded], seconds: Mapping[str, float]
) -> dict[str, tuple[float, int]]:
    """What a batch of rollouts amounts to: name -> sum and how many it is of.

    Args:
        rewarded: The rollouts.
        seconds: By phase.
    """
    values_by_name: dict[str, list[float]] = defaultdict(list[float])
    for episode in rewarded:
        for name, value in measures(episode).items():
            if value is not None:
                values_by_name[name].append(value)
    for phase, duration in seconds.items():
        values_by_name[f"seconds/{phase}"].append(duration)
    if generation_seconds := seconds.get("generate"):
        n_tokens = sum(episode.trajectory.output_tokens for episode in rewarded)
        values_by_name["tokens_per_second"].append(n_tokens / generation_seconds)
    return {name: (sum(values), len(values)) for name, values in values_by_name.items()}


def measures(episode: Rewarded) -> dict[str, float | None]:
    """What is logged of a rollout; ``None`` where it does not apply."""
    trajectory, result, reward = episode.trajectory, episode.outcome.result, episode.reward
    observations = [observation for turn in trajectory.turns for observation in turn.observations]
    is_ours = trajectory.failed or result.status == "harness_error"
    is_ok = result.status == "ok"
    values: dict[str, float | None] = {
        "reward/vision": reward.vision,
        "reward/format": reward.format,
        "reward/tool": reward.tool,
        **{f"reward/{name.rpartition(':')[2]}": value for name, value in reward.terms.items()},
        "unscored": float(reward.total is None),
        "harness_failures": float(is_ours),
        "runnable": None if is_ours else float(is_ok),
        "likeness_of_runnable": reward.vision if is_ok else None,
        "turns": float(len(trajectory.turns)),
        "tool_calls": float(len(observations)),
        "tool_failures": float(sum(observation.status != "ok" for observation in observations)),
        "teacher_failures": float(trajectory.n_teacher("failed")),
        **{f"stop/{name}": float(trajectory.stop_reason == name) for name in STOP_REASONS},
    }
    for name, score in result.scores.items():
        values[f"score/{name}"] = score.value
    judgement = result.scores.get("gpt")
    values["judge_failures"] = None if judgement is None else float(judgement.value is None)
    return values
