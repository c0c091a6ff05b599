"""What a row needs and its estimated cost, before anything is started."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from rrvf.agent import AgentSettings
from rrvf.benchmarks import find_benchmark
from rrvf.chat import Message, Picture
from rrvf.chat.cost import PRICES, PRICES_DATE, estimate_tokens
from rrvf.errors import UserError
from rrvf.kinds import KINDS
from rrvf.reproduce.data import list_ids
from rrvf.reproduce.job import Job
from rrvf.reproduce.needs import is_asked, list_needs
from rrvf.reproduce.progress import Progress, read_progress
from rrvf.scorers.model_judge import MAX_TOKENS
from rrvf.scorers.rubrics import load_rubric

_ANSWER_TOKENS = 800
"""Of a completion with code: about the median of a tool call on real charts, in Qwen's tokens."""

_VERDICT_TOKENS = 300
"""Of a judge's answer; an assumption."""

_SIDE = 2048


def describe_plan(job: Job) -> Iterator[str]:
    """Lines for a person: what there is, what is missing, what it may cost."""
    row = job.recipe.row
    progress = read_progress(job)
    yield f"{job.name}: {row.model} of {row.benchmark}, into {job.out}"
    for need in list_needs(job, progress):
        yield f"{'  ' if need.is_met else '!!'} {need}"
    yield from _estimate(job, progress)


def _estimate(job: Job, progress: Progress) -> Iterator[str]:
    n_samples = _count_samples(job)
    turns = job.recipe.loop.max_turns
    if progress.played:
        yield f"   play: done, {progress.n_played} episodes"
    else:
        read = _count_policy_tokens(job)
        # A conversation grows with every turn.
        most_read = read if job.is_direct else job.recipe.policy.max_model_len or turns * read
        most = job.recipe.decoding.max_tokens
        yield _describe_cost(
            f"policy {job.model_name('policy')}",
            None if job.is_started_here("policy") or job.options.base_url else "openai",
            job.model_name("policy"),
            (n_samples, n_samples * turns),
            (read, most_read, _ANSWER_TOKENS, most),
        )
        if "teacher" in job.models():
            n_calls = n_samples * (turns - 1)
            yield f"   teacher: {n_calls:,} questions where each turn but the last has one call"
    if progress.judged:
        yield f"   judge: done, {progress.n_judged} results"
    else:
        yield from _estimate_judge(job, n_samples)
    yield (
        "   assumed: no cached answers; every picture "
        f"{_SIDE} x {_SIDE} pixels; {_ANSWER_TOKENS} tokens an answer with code and "
        f"{_VERDICT_TOKENS} a judgement, at most the limits; one further question to the judge "
        f"for each of which it reads no figure at most; prices of {PRICES_DATE}, not checked"
    )


def _estimate_judge(job: Job, n_samples: int) -> Iterator[str]:
    options = job.judge_options()
    if not is_asked(str(options.model), options.base_url):
        yield f"   judge {options.model}: in this process, costs nothing"
        return
    rubric = load_rubric(job.recipe.judge.rubric, None)
    picture = _make_picture()
    question = Message("user", (rubric.prompt.system or "", rubric.prompt.user, picture, picture))
    read = estimate_tokens(str(options.model), [question])
    yield _describe_cost(
        f"judge {options.model}",
        None if options.base_url else "openai",
        str(options.model),
        (n_samples, 2 * n_samples),
        (read, read, _VERDICT_TOKENS, MAX_TOKENS),
    )


def _describe_cost(
    who: str,
    endpoint: str | None,
    model: str,
    n: tuple[int, int],
    tokens: tuple[int, int, int, int],
) -> str:
    """A line: questions expected and at most, their tokens, and USD where a price is known."""
    read, most_read, written, most_written = tokens
    text = (
        f"   {who}: {n[0]:,} questions, at most {n[1]:,}; about {n[0] * read:,} tokens to read and "
        f"{n[0] * written:,} to write, at most {n[1] * most_read:,} and {n[1] * most_written:,}"
    )
    if endpoint is None:
        return f"{text}; on a server of yours"
    if model not in PRICES:
        return f"{text}; its price is not known here"
    price_in, price_out = PRICES[model]
    low = n[0] * (read * price_in + written * price_out) / 1e6
    high = n[1] * (most_read * price_in + most_written * price_out) / 1e6
    return f"{text}; about ${low:.2f}, at most ${high:.2f}"


def _count_samples(job: Job) -> int:
    try:
        ids = list_ids(job)
    except UserError:
        ids = None
    return len(ids) if ids else (job.options.limit or job.recipe.data.samples)


def _count_policy_tokens(job: Job) -> int:
    """Of the first question: the instruction, and the target as large as it may be."""
    benchmark = find_benchmark(job.recipe.row.benchmark)
    rules = AgentSettings.of(KINDS[benchmark.kind].language)
    text = rules.prompt.user if job.is_direct else rules.system() + rules.prompt.user
    return estimate_tokens(job.model_name("policy"), [Message("user", (text, _make_picture()))])


def _make_picture() -> Picture:
    buffer = io.BytesIO()
    Image.new("L", (_SIDE, _SIDE)).save(buffer, "PNG")
    return Picture(buffer.getvalue())
