"""RRVF's models for VLMEvalKit: ``generate(message, dataset)``, one call per row.

The plain names answer in one turn. The names with ``-Loop`` also see their renderings and the
differences, and correct their code, all within that one call. Both use
:func:`rrvf.agent.run_episode`.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache as memoize
from functools import partial
from pathlib import Path
from typing import Any

from rrvf.agent import AgentSettings, Canvas, run_episode
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks import find_benchmark
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.benchmarks.predictions import LOST
from rrvf.benchmarks.websight import WebSight
from rrvf.chat import Chat, ChatSettings
from rrvf.errors import HarnessError, SetupError, UserError
from rrvf.files import write_atomically
from rrvf.kinds import KINDS
from rrvf.kinds.kind import Drawn, RendererOptions
from rrvf.pictures import read_png
from rrvf.policies import EndpointPolicy, Policy, TransformersPolicy, VllmPolicy
from rrvf.renderers import cache
from rrvf.run_folder import PICTURES
from rrvf.teacher import ModelTeacher, PictureOnly, Teacher, teacher_prompt
from rrvf.trajectories import Trajectory, to_json
from rrvf.types import Language, Sample
from vlmeval_plugin import settings

FAIL_MESSAGE = f"{LOST} via API."
"""What VLMEvalKit looks for to ask again on the next run."""

KEY_VARIABLE = "RRVF_POLICY_KEY"
LOOP = "-Loop"
_CHECKPOINTS: Mapping[str, tuple[str, Language]] = {
    "RRVF-Chart-7B": ("chenzju/rrvf_chartmimic", "python"),
    "RRVF-Web-7B": ("chenzju/rrvf_websight", "html"),
}
_CHAT = "/chat/completions"
_CONCURRENCY = 256  # VLMEvalKit's --api-nproc is what bounds requests
_NOT_SENT = ("custom_prompt", "verbose", "video_llm", "local_media", "stream", "use_vllm", "wait")
"""Options of VLMEvalKit's own client that are no parameters of a completion."""

log = logging.getLogger("vlmeval.rrvf")


def by_name() -> dict[str, Callable[..., RRVFModel]]:
    """Name -> what builds the model."""
    names = [f"{name}{loop}" for name in _CHECKPOINTS for loop in ("", LOOP)]
    # run.py puts its --retry where a model has one.
    return {name: partial(RRVFModel, model=name, retry=6) for name in names}


def at_url(options: Mapping[str, Any]) -> RRVFModel:
    """A model at the server of ``--base-url``, from the options that run.py has for its client."""
    return RRVFModel(**options)


class RRVFModel:
    """One of RRVF's models behind an endpoint, or loaded here.

    Args:
        model: One of our names.
        api_base: Of an OpenAI-compatible server; without it, that of ``--policy-base-url``; without
            both the checkpoint is loaded by vLLM where that is installed, else by transformers.
        key: For the server; without it, ``$RRVF_POLICY_KEY`` or ``$OPENAI_API_KEY``.
        max_tokens: Of one turn; without it, ``$RRVF_MAX_TOKENS``.
        temperature: 0 for the likeliest words.
        timeout: Seconds an answer may take.
        retry: Attempts an answer.
        parameters: ``top_p`` and whatever else the server understands.

    Raises:
        UserError: It cannot work here.
    """

    INTERLEAVE = True
    allowed_types = ("text", "image")

    def __init__(
        self,
        model: str,
        api_base: str | None = None,
        key: str | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        timeout: float = 1800.0,
        retry: int = 6,
        **parameters: Any,
    ) -> None:
        options = settings.current()
        name = model.removesuffix(LOOP)
        if name not in _CHECKPOINTS:
            raise UserError(f"no model {model!r}; there are {', '.join(by_name())}")
        checkpoint_name, language = _CHECKPOINTS[name]
        checkpoint = options.policy_model or checkpoint_name
        self._language: Language = language
        url = api_base or options.policy_base_url
        self.name = model
        self._n_turns = options.max_turns if model.endswith(LOOP) else 1
        self._max_tokens = max_tokens or options.max_tokens
        self._remote = url is not None
        if key:
            os.environ[KEY_VARIABLE] = key
        completion_parameters = {
            name: value
            for name, value in parameters.items()
            if name not in _NOT_SENT and value is not None
        }
        self._policy: Policy
        if url is None:
            self._policy = _load_policy(checkpoint, temperature)
        else:
            chat = Chat(
                ChatSettings(
                    checkpoint,
                    url.removesuffix(_CHAT),
                    KEY_VARIABLE if KEY_VARIABLE in os.environ else "OPENAI_API_KEY",
                    concurrency=_CONCURRENCY,
                    attempts=max(1, retry),
                    timeout_seconds=timeout,
                    deadline_seconds=max(timeout, 900.0),
                )
            )
            self._policy = EndpointPolicy(chat, temperature, parameters=completion_parameters)
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}

    @property
    def is_api(self) -> bool:
        """VLMEvalKit may call from several threads; not where it runs one process a GPU."""
        return self._remote or int(os.environ.get("WORLD_SIZE", "1")) == 1

    def set_dump_image(self, function: object) -> None:
        """VLMEvalKit offers its writer of pictures; messages hold paths already."""

    def generate(self, message: Sequence[Mapping[str, str]], dataset: str | None = None) -> str:
        """The answer to one row.

        Args:
            message: ``type`` (``text`` or ``image``) and ``value`` (a text, or a path).
            dataset: The row's data set.

        Returns:
            What is scored; empty where the model gave no answer, and VLMEvalKit's mark of failure,
            with the reason, where none could be had.
        """
        text = "\n".join(part["value"] for part in message if part["type"] == "text")
        pictures = [part["value"] for part in message if part["type"] == "image"]
        try:
            if len(pictures) != 1:
                raise UserError(f"{self.name} takes one picture, not {len(pictures)}")
            stage = self._stage(dataset or "")
            sample = stage.sample(text, pictures[0])
            trajectory = run_episode(self._policy, sample, stage.canvas, stage.teacher, stage.rules)
        except (UserError, HarnessError) as error:
            log.error("%s on %s: %s", self.name, dataset, error)
            return f"{FAIL_MESSAGE} {error}"
        self._note(trajectory, dataset or "")
        for note in {turn.completion.note for turn in trajectory.turns} - {None}:
            log.warning("%s on %s: %s", self.name, dataset, note)
        return (
            f"{FAIL_MESSAGE} {trajectory.error}"
            if trajectory.failed
            else trajectory.completion or ""
        )

    def _stage(self, dataset: str) -> _Stage:
        with self._lock:
            if dataset not in self._stages:
                stage = _stage(dataset, self._language, self._n_turns, self._max_tokens)
                self._stages[dataset] = stage
                self._note_protocol(stage, dataset)
            return self._stages[dataset]

    def _folder(self) -> Path | None:
        root = settings.current().trajectories
        return None if root is None else Path(root, self.name)

    def _note_protocol(self, stage: _Stage, dataset: str) -> None:
        """Who answered by which rules, and who looked."""
        protocol = {
            **stage.rules.protocol(),
            "policy": dict(self._policy.protocol()),
            "teacher": dict(stage.teacher.protocol()),
        }
        log.info("%s on %s: %s", self.name, dataset, protocol)
        folder = self._folder()
        if folder is not None:
            data = json.dumps(protocol, indent=2) + "\n"
            write_atomically(folder / f"{self.name}_{dataset}_protocol.json", data.encode())

    def _note(self, trajectory: Trajectory, dataset: str) -> None:
        """A line of ``<model>_<dataset>_trajectories.jsonl``, beside VLMEvalKit's predictions.

        Where a sample was asked again, its last line holds.
        """
        folder = self._folder()
        if folder is None:
            return

        def add_picture(png: bytes) -> str:
            name = hashlib.sha256(png).hexdigest()[:24] + ".png"
            if not (folder / PICTURES / name).exists():
                write_atomically(folder / PICTURES / name, png)
            return name

        line = json.dumps(to_json(trajectory, add_picture)) + "\n"
        path = folder / f"{self.name}_{dataset}_trajectories.jsonl"
        with self._lock, path.open("a", encoding="ascii") as file:
            file.write(line)


def _load_policy(checkpoint: str, temperature: float) -> Policy:
    if importlib.util.find_spec("vllm") is not None:
        return VllmPolicy(checkpoint, temperature=temperature)
    try:
        return TransformersPolicy(checkpoint, temperature=temperature)
    except SetupError as error:
        raise SetupError(f"{error}; or name a server by --base-url") from error


# ------------------------------------------------------------------------------ a data set


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the episodes of one data set have in common."""

    canvas: Canvas
    teacher: Teacher
    rules: AgentSettings
    samples: Mapping[tuple[str, str], Sample] = field(default_factory=dict[Any, Sample])

    def sample(self, text: str, picture: str) -> Sample:
        """The row's sample, with the question and the picture that VLMEvalKit asks with."""
        row_sample = self.samples.get((text, picture), Sample(Path(picture).stem))
        return replace(row_sample, prompt=text, image=Path(picture))


def _stage(dataset: str, language: Language, n_turns: int, max_tokens: int) -> _Stage:
    """Ours are drawn as they are scored, others by what the model writes."""
    from vlmeval_plugin import datasets

    dataset = datasets.RRVFDataset.ALIASES.get(dataset, dataset)
    kind = next(
        (
            dataset_class
            for dataset_class in datasets.ALL_CLASSES
            if dataset in dataset_class.supported_datasets()
        ),
        None,
    )
    benchmark, seconds = (ChartMimic.name if language == "python" else WebSight.name), None
    samples: Mapping[tuple[str, str], Sample] = {}
    assets: Mapping[str, bytes] = {}
    if kind is not None:
        source = kind.SOURCES[dataset]
        benchmark, seconds = source.name, source.timeout
        language = KINDS[source.benchmark().kind].language
        samples = kind.keyed_samples(dataset) if n_turns > 1 else {}
        assets = source.find_assets() if n_turns > 1 else {}
    canvas = _Canvas(benchmark, seconds, assets)
    rules = AgentSettings.of(language, max_turns=n_turns, turn_tokens=max_tokens)
    return _Stage(canvas, _teacher(language), rules, samples)


def _teacher(language: Language) -> Teacher:
    options = settings.current()
    if options.teacher is None:
        return PictureOnly()
    chat = Chat(
        ChatSettings(
            options.teacher,
            options.teacher_base_url,
            concurrency=_CONCURRENCY,
            name=options.teacher_name,
            since=options.fresh,
        ),
        cache.folder() / "chat",
    )
    return ModelTeacher(chat, teacher_prompt(language))


@dataclass(frozen=True, slots=True)
class _Canvas:
    """Draws as a benchmark's bench; its renderer starts with the first drawing.

    One turn needs none.
    """

    benchmark: str
    seconds: int | None = None
    assets: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def target(self, sample: Sample) -> bytes:
        """The picture in the message."""
        png = read_png(sample.image)
        if png is None:
            raise HarnessError(f"the sample {sample.id} has no picture")
        return png

    def draw(self, sample: Sample, code: str) -> Drawn:
        """As the benchmark draws what it scores."""
        options = settings.current()
        renderer = RendererOptions(
            workers=options.workers, seconds=self.seconds, mode=options.score_mode
        )
        with _start_lock:
            bench = _start_bench(self.benchmark, renderer, tuple(self.assets.items()))
        return bench.draw(sample, code)


_start_lock = threading.Lock()


@memoize
def _start_bench(
    benchmark: str, renderer: RendererOptions, assets: tuple[tuple[str, bytes], ...]
) -> Bench:
    """One bench a process and benchmark, by the rules and with the limits that scoring has."""
    options = replace(renderer, assets=dict(assets))
    stack = ExitStack()
    atexit.register(stack.close)
    definition = find_benchmark(benchmark)
    return stack.enter_context(open_bench(definition, options, scorers=("execution",)))
