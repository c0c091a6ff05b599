"""A recipe with the user's options: where things are, and the options of each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rrvf.checkpoints import checkpoint_key
from rrvf.errors import UserError
from rrvf.options import JudgeOptions, LoopOptions, ReproduceOptions, RunOptions
from rrvf.reproduce.recipe import ModelPart, Recipe

Role = Literal["policy", "teacher"]

NO_KEY = "RRVF_OWN_SERVERS_HAVE_NO_KEY"
"""Servers that are started here are asked without a key: none of the user's goes to them."""


@dataclass(frozen=True)
class Job:
    """A row that is to be reproduced.

    Attributes:
        name: Of the recipe, as it was named.
        recipe: What the row needs.
        options: The user's options.
        out: Folder of everything that is kept.

    Raises:
        UserError: An option has no effect on this recipe.
    """

    name: str
    recipe: Recipe
    options: ReproduceOptions
    out: Path

    def __post_init__(self) -> None:
        options, policy = self.options, self.recipe.policy
        if self.recipe.teacher is None:
            for flag, value in (
                ("--teacher", options.teacher),
                ("--teacher-base-url", options.teacher_base_url),
            ):
                if value is not None:
                    raise UserError(f"{flag} has no effect: {self.name} has no teacher")
        if policy.server == "openai" and options.checkpoint and options.base_url is None:
            raise UserError(
                f"--checkpoint has no effect: {policy.model} is asked at OpenAI; name another "
                "server by --base-url"
            )

    @property
    def played(self) -> Path:
        """Folder of the run in which the policy answered."""
        return self.out / "played"

    @property
    def judged(self) -> Path:
        """Folder of the run in which the same answers were judged."""
        return self.out / "judged"

    @property
    def is_direct(self) -> bool:
        """One turn, no tool."""
        return self.recipe.loop.max_turns == 1

    # ------------------------------------------------------------------ policy and teacher

    def models(self) -> dict[Role, ModelPart]:
        """Who plays."""
        parts: dict[Role, ModelPart] = {"policy": self.recipe.policy}
        if self.recipe.teacher is not None:
            parts["teacher"] = self.recipe.teacher
        return parts

    def url(self, role: Role) -> str | None:
        """Of a server that is there, as the user says."""
        return self.options.base_url if role == "policy" else self.options.teacher_base_url

    def is_started_here(self, role: Role) -> bool:
        """No server was named, and the recipe asks for one of our own."""
        return self.url(role) is None and self.models()[role].server == "vllm"

    def checkpoint(self, role: Role) -> str | None:
        """What a server of our own is to serve."""
        told = self.options.checkpoint if role == "policy" else self.options.teacher
        return told or self.models()[role].checkpoint

    def model_name(self, role: Role) -> str:
        """By which it is asked."""
        checkpoint = self.checkpoint(role)
        if checkpoint is None or (self.is_started_here(role) and Path(checkpoint).is_dir()):
            return self.models()[role].model
        return checkpoint

    def identity(self, role: Role) -> str | None:
        """By which a server of our own is known, whatever its port; of another it is found out."""
        checkpoint = self.checkpoint(role)
        if not self.is_started_here(role) or checkpoint is None:
            return None
        folder = Path(checkpoint)
        is_here = folder.is_dir()
        return f"{self.model_name(role)} {checkpoint_key(folder)}" if is_here else checkpoint

    def key_variable(self, role: Role) -> str:
        """Where the key for it is."""
        if self.is_started_here(role):
            return NO_KEY
        options = self.options
        return options.key_variable if role == "policy" else options.teacher_key_variable

    # ---------------------------------------------------------------------------- options

    def run_options(self, data: str | None) -> RunOptions:
        """How the policy's answers are scored while it plays: by all but the judge."""
        options = self.options
        return RunOptions(
            data=data,
            subset=self._find_subset(data),
            limit=options.limit,
            workers=options.workers,
            mode=self.recipe.mode,
            chart_python=options.chart_python,
            browser=options.browser,
            clip_weights=options.clip_weights,
            confinement=options.confinement,
        )

    def _find_subset(self, data: str | None) -> str | None:
        """The recipe's subset; ``None`` where the data are one already."""
        subset = self.recipe.data.subset
        if subset is None or data is None:
            return subset
        patterns = (subset, f"*/{subset}", f"*/*/{subset}")
        return subset if any(any(Path(data).glob(one)) for one in patterns) else None

    def loop_options(self, policy_url: str | None, teacher_url: str | None) -> LoopOptions:
        """Who plays by which rules, the servers being there."""
        recipe, options = self.recipe, self.options
        has_teacher = recipe.teacher is not None
        return LoopOptions(
            policy=self.model_name("policy"),
            backend="endpoint",
            base_url=policy_url,
            policy_name=self.identity("policy"),
            key_variable=self.key_variable("policy"),
            policy_max_cost=options.policy_max_cost,
            temperature=recipe.decoding.temperature,
            top_p=recipe.decoding.top_p,
            seed=recipe.decoding.seed,
            max_tokens=recipe.decoding.max_tokens,
            max_turns=recipe.loop.max_turns,
            concurrency=options.concurrency,
            teacher=self.model_name("teacher") if has_teacher else None,
            teacher_base_url=teacher_url if has_teacher else None,
            teacher_name=self.identity("teacher") if has_teacher else None,
            teacher_key_variable=(
                self.key_variable("teacher") if has_teacher else LoopOptions.teacher_key_variable
            ),
        )

    def judge_options(self) -> JudgeOptions:
        """Who judges."""
        options = self.options
        return JudgeOptions(
            model=options.judge or self.recipe.judge.model,
            base_url=options.judge_base_url,
            rubric=self.recipe.judge.rubric,
            concurrency=options.judge_concurrency,
            max_cost=options.max_cost,
            key_variable=options.judge_key_variable,
        )
