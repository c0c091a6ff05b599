"""Policies: the sources of completions.

A policy is an endpoint (vLLM, OpenAI and similar servers), a checkpoint in this process
(transformers, vLLM), or a file of recorded answers. It sees messages and nothing else of a sample;
the sample's id only selects recorded answers.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

from rrvf.benchmarks.predictions import explain_loss, load_predictions, sample_id
from rrvf.chat import Answer, Chat, EmptyAnswerError, Message, Picture, TooLongError
from rrvf.chat.faults import is_too_long
from rrvf.chat.question import spell_out
from rrvf.checkpoints import checkpoint_key, local_checkpoint
from rrvf.errors import DataError, HarnessError, SetupError, boundary
from rrvf.scoring import content_key
from rrvf.trajectories import Completion

_MOST_PICTURES = 32


ALL_REASONING = (
    "the server returned the whole answer as reasoning, outside the content: its reasoning parser "
    "found no end of the thoughts"
)
"""A note on a completion: the configuration, not the model, then causes zeros."""


class Policy(Protocol):
    """Continues a conversation; may be called from many threads at once."""

    def protocol(self) -> Mapping[str, Any]:
        """The settings that can change its completions, for the record of a run."""
        ...

    def reply(
        self,
        messages: Sequence[Message],
        *,
        sample_id: str,
        repeat: int,
        stop: Sequence[str],
        max_tokens: int,
    ) -> Completion:
        """The next completion.

        Args:
            messages: The conversation so far; the last one is not the assistant's.
            sample_id: The id of the sample.
            repeat: The number of this episode among several of the same sample.
            stop: Strings that end generation; the completion may lack the string itself.
            max_tokens: The largest length.

        Raises:
            TooLongError: The conversation does not fit into the model's context.
            HarnessError: There is no completion this time.
            UserError: There will never be a completion.
        """
        ...


# ---------------------------------------------------------------------------------- an endpoint


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """A model behind an OpenAI-compatible server.

    Attributes:
        chat: The server and its model. If it caches answers, an interrupted episode is not paid
            for again.
        temperature: 0 always picks the likeliest token.
        tools: Schemas of tools to offer natively; empty if the system message describes them.
        parameters: Further parameters, sent unchanged.
    """

    chat: Chat
    temperature: float = 0.0
    tools: tuple[Mapping[str, Any], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def protocol(self) -> Mapping[str, Any]:
        """The model, and how it is asked."""
        return {
            "policy": self.chat.settings.model,
            "backend": "endpoint",
            "endpoint": self.chat.settings.endpoint_kind,
            "temperature": self.temperature,
            "parameters": dict(self.parameters),
            **self.chat.describe_refused(),
        }

    def reply(
        self,
        messages: Sequence[Message],
        *,
        sample_id: str,
        repeat: int,
        stop: Sequence[str],
        max_tokens: int,
    ) -> Completion:
        """Ask the server; a model that says nothing has said nothing."""
        tools = {"tools": [dict(tool) for tool in self.tools]} if self.tools else {}
        try:
            answer = self.chat.ask(
                messages,
                repeat=repeat,
                temperature=self.temperature,
                max_tokens=max_tokens,
                stop=list(stop),
                thoughts_count=True,
                **tools,
                **_add_seed(self.parameters, repeat),
            )
        except EmptyAnswerError as error:
            answer = error.answer
        if "stop" in self.chat.refused():
            answer = replace(answer, text=_cut(answer.text, stop) or answer.text)
        return to_completion(answer)


def _add_seed(parameters: Mapping[str, Any], repeat: int) -> dict[str, Any]:
    """Another seed for each of several episodes, which would all be one otherwise."""
    seed = parameters.get("seed")
    return {**parameters, "seed": seed + repeat} if isinstance(seed, int) else dict(parameters)


def to_completion(answer: Answer) -> Completion:
    """What a server answered, as the loop takes it."""
    return Completion(
        join_thoughts(answer),
        answer.finish_reason or "stop",
        answer.tool_calls,
        answer.input_tokens,
        answer.output_tokens,
        answer.cached,
        _find_note(answer),
    )


def join_thoughts(answer: Answer) -> str:
    """Text and thoughts as the model wrote them, before the server took them apart.

    So thoughts count for the format and are shown again in the next turn, whether the server has a
    reasoning parser or not. Where nothing followed the thoughts, they were never closed.
    """
    if not answer.thought:
        return answer.text
    thought = answer.thought.removeprefix("<think>")
    if not answer.text.strip() and not answer.tool_calls:
        return f"<think>{thought}"
    return f"<think>{thought}</think>{answer.text}"


def _find_note(answer: Answer) -> str | None:
    """What tells a server's set-up from a model that says nothing."""
    has_reply = answer.text.strip() or answer.tool_calls
    if has_reply or not answer.thought or answer.finish_reason == "length":
        return None
    return ALL_REASONING


# ------------------------------------------------------------------------------------- recorded


@dataclass(frozen=True)
class RecordedPolicy:
    """Says what was recorded, turn by turn, whatever it is shown; known by what it says.

    Attributes:
        turns: Sample id -> its completions. After the last one it says nothing more.
        name: Of the recording.
    """

    turns: Mapping[str, Sequence[str]]
    name: str = "recorded"

    @classmethod
    def load(cls, path: Path) -> RecordedPolicy:
        """A file of predictions, or JSON lines with ``id`` and ``turns``, a list of strings.

        Raises:
            DataError: It cannot be used.
        """
        lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" and path.exists() else []
        if lines and b'"turns"' in lines[0]:
            return cls(dict(_read_recorded(path, lines)), path.name)
        predictions = load_predictions(path)
        return cls({name: (text,) for name, text in predictions.items()}, path.name)

    def protocol(self) -> Mapping[str, Any]:
        """The file's name, and a hash of what is recorded."""
        return {"policy": self.name, "backend": "recorded", "content": self._content}

    @cached_property
    def _content(self) -> str:
        return content_key(*(f"{name} {self.key(name)}" for name in sorted(self.turns)))

    def key(self, sample_id: str) -> str:
        """Identifies what is recorded of one sample."""
        turns = self.turns.get(sample_id)
        return "" if turns is None else content_key(json.dumps(list(turns)))

    def reply(
        self,
        messages: Sequence[Message],
        *,
        sample_id: str,
        repeat: int,
        stop: Sequence[str],
        max_tokens: int,
    ) -> Completion:
        """The next recorded completion."""
        n_replies = sum(message.role == "assistant" for message in messages)
        turns = self.turns.get(sample_id, ())
        text = turns[n_replies] if n_replies < len(turns) else ""
        if reason := explain_loss(text):
            raise HarnessError(reason)
        return Completion(text, "stop")


def _read_recorded(path: Path, lines: Sequence[bytes]) -> Iterator[tuple[str, tuple[str, ...]]]:
    names: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            name, turns = sample_id(path, f"line {number}", entry, "id"), entry["turns"]
            turns = tuple(cast("list[object]", turns)) if isinstance(turns, list) else (None,)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DataError):
            name, turns = "", (None,)
        if not all(isinstance(turn, str) for turn in turns):
            raise DataError(f'{path}: line {number} has no "id" and "turns", a list of strings')
        if name in names:
            raise DataError(f"{path}: line {number} records {name} again; keep one line each")
        names.add(name)
        yield name, cast("tuple[str, ...]", turns)


# ------------------------------------------------------------------------------ in this process


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One conversation that waits for a batch."""

    messages: Sequence[Message]
    stop: tuple[str, ...]
    max_tokens: int
    future: Future[Completion] = field(default_factory=Future[Completion])


class BatchPolicy:
    """A policy that generates for several conversations at once.

    Whoever asks while a batch is generated waits, and all who wait make up the next batch. So
    batches fill by themselves when many episodes are under way.

    Args:
        batch_size: Conversations at a time.
    """

    def __init__(self, batch_size: int = 8) -> None:
        self._batch_size = batch_size
        self._queue: list[BatchRequest] = []
        self._list_lock = threading.Lock()
        self._generate_lock = threading.Lock()

    def generate(self, batch: Sequence[BatchRequest]) -> Sequence[Completion]:
        """Completions of conversations with the same limits, in their order."""
        raise NotImplementedError

    def reply(
        self,
        messages: Sequence[Message],
        *,
        sample_id: str,
        repeat: int,
        stop: Sequence[str],
        max_tokens: int,
    ) -> Completion:
        """Take part in the next batch."""
        request = BatchRequest(messages, tuple(stop), max_tokens)
        with self._list_lock:
            self._queue.append(request)
        while not request.future.done():
            with self._generate_lock:
                if not request.future.done():
                    self._run(self._next_batch())
        return request.future.result()

    def _next_batch(self) -> list[BatchRequest]:
        """Those who have waited longest, as far as their limits agree."""
        with self._list_lock:
            first = self._queue[0]
            batch = [
                request
                for request in self._queue
                if (request.stop, request.max_tokens) == (first.stop, first.max_tokens)
            ][: self._batch_size]
            self._queue = [request for request in self._queue if request not in batch]
        return batch

    def _run(self, batch: Sequence[BatchRequest]) -> None:
        """Generate for a batch; where that fails, for each of it alone.

        One conversation that cannot be continued must not take the others along.
        """
        try:
            with boundary("generating"):
                for request, completion in zip(batch, self.generate(batch), strict=True):
                    request.future.set_result(completion)
        except Exception as error:
            rest = [request for request in batch if not request.future.done()]
            if len(batch) > 1:
                for request in rest:
                    self._run([request])
                return
            too_long = isinstance(error, HarnessError) and is_too_long(str(error))
            for request in rest:
                request.future.set_exception(TooLongError(str(error)) if too_long else error)
        except BaseException:
            for request in batch:
                if not request.future.done():
                    request.future.set_exception(HarnessError("interrupted"))
            raise


class TransformersPolicy(BatchPolicy):
    """A checkpoint in this process, through transformers.

    Args:
        model: Folder or name of a vision-language checkpoint.
        temperature: 0 for the likeliest words.
        batch_size: Conversations at a time.
        device: ``cpu``, ``cuda`` and so on; by default a GPU where there is one.
        dtype: Of the weights; ``auto`` is that of the checkpoint.
        parameters: Of generation besides, such as ``top_p``; of no effect at temperature 0.

    Raises:
        SetupError: transformers or torch is missing, the checkpoint cannot be loaded, or the device
            does not take it.
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float = 0.0,
        batch_size: int = 8,
        device: str | None = None,
        dtype: str = "auto",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(batch_size)
        try:
            import torch
            import transformers
        except ImportError as error:
            raise SetupError(
                f"a checkpoint needs transformers and torch: pip install 'rrvf[train]' ({error})"
            ) from error
        self._name, self._temperature = model, temperature
        self._parameters = dict(parameters or {})
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        hub: Any = transformers
        try:
            self._processor: Any = hub.AutoProcessor.from_pretrained(model)
            self._model: Any = hub.AutoModelForImageTextToText.from_pretrained(model, dtype=dtype)
        except (OSError, ValueError, ImportError) as error:
            raise SetupError(f"{model}: not a checkpoint to load: {_first_words(error)}") from error
        self._content = _find_content(model)
        self._processor.tokenizer.padding_side = "left"  # answers are written to the right
        try:
            self._model = self._model.to(self._device).eval()
        except (RuntimeError, AssertionError) as error:  # torch has no better one for this
            raise SetupError(
                f"device {self._device!r} cannot be used: {_first_words(error)}"
            ) from error

    def protocol(self) -> Mapping[str, Any]:
        """The checkpoint with a hash of it, and how it generates."""
        return {
            "policy": self._name,
            "content": self._content,
            "backend": "transformers",
            "device": self._device,
            "dtype": str(self._model.dtype),
            "temperature": self._temperature,
            "parameters": self._parameters,
        }

    def generate(self, batch: Sequence[BatchRequest]) -> Sequence[Completion]:
        """One call of the model for all."""
        import torch

        inputs: Any = self._prepare_inputs(batch)
        is_sampled = self._temperature > 0
        sampling = {"temperature": self._temperature, **self._parameters} if is_sampled else {}
        with torch.inference_mode():
            tokens: Any = self._model.generate(
                **inputs,
                max_new_tokens=batch[0].max_tokens,
                do_sample=is_sampled,
                **sampling,
                stop_strings=list(batch[0].stop) or None,
                tokenizer=self._processor.tokenizer,
            )
        n_prompt_tokens = inputs["input_ids"].shape[1]
        return [
            self._to_completion(request, row, int(mask.sum()))
            for request, row, mask in zip(
                batch, tokens[:, n_prompt_tokens:].tolist(), inputs["attention_mask"], strict=True
            )
        ]

    def _prepare_inputs(self, batch: Sequence[BatchRequest]) -> Any:
        conversations = [to_parts(request.messages) for request in batch]
        texts = [
            self._processor.apply_chat_template(parts, tokenize=False, add_generation_prompt=True)
            for parts in conversations
        ]
        pictures = [_open_pictures(request.messages) for request in batch]
        # Without any picture the processor wants None.
        images = pictures if any(pictures) else None
        inputs = self._processor(text=texts, images=images, padding=True, return_tensors="pt")
        return inputs.to(self._device)

    def _to_completion(
        self, request: BatchRequest, tokens: list[int], n_prompt_tokens: int
    ) -> Completion:
        tokenizer = self._processor.tokenizer
        ends = self._model.generation_config.eos_token_id
        ends = set(cast("list[int]", ends) if isinstance(ends, list) else [ends])
        ends.add(tokenizer.pad_token_id)
        length = next((at for at, token in enumerate(tokens) if token in ends), len(tokens))
        text = tokenizer.decode(tokens[:length], skip_special_tokens=True)
        cut_text = _cut(text, request.stop)
        is_full = length >= request.max_tokens and cut_text is None
        return Completion(
            text=text if cut_text is None else cut_text,
            finish_reason="length" if is_full else "stop",
            input_tokens=n_prompt_tokens,
            output_tokens=length,
        )


class VllmPolicy(BatchPolicy):
    """A checkpoint in this process, through vLLM.

    Args:
        model: Folder or name of a vision-language checkpoint.
        temperature: 0 for the likeliest words.
        batch_size: Conversations at a time; vLLM schedules among them.
        parameters: Of sampling besides, such as ``top_p`` and ``seed``.
        options: Passed on to ``vllm.LLM``.

    Raises:
        SetupError: vLLM is missing.
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float = 0.0,
        batch_size: int = 64,
        parameters: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(batch_size)
        try:
            self._vllm: Any = importlib.import_module("vllm")
        except ImportError as error:
            raise SetupError(
                f"vLLM is missing ({error}); install it in an environment of its own, or serve "
                "the checkpoint and give its --base-url"
            ) from error
        self._name, self._temperature = model, temperature
        self._parameters = dict(parameters or {})
        pictures = {"limit_mm_per_prompt": {"image": _MOST_PICTURES}}
        self._model: Any = self._vllm.LLM(model=model, **{**pictures, **(options or {})})
        self._content = _find_content(model)

    def protocol(self) -> Mapping[str, Any]:
        """The checkpoint with a hash of it, and how it generates."""
        version = getattr(self._vllm, "__version__", "unknown")
        return {
            "policy": self._name,
            "content": self._content,
            "backend": f"vllm {version}",
            "temperature": self._temperature,
            "parameters": self._parameters,
        }

    def generate(self, batch: Sequence[BatchRequest]) -> Sequence[Completion]:
        """One call of vLLM for all."""
        sampling = self._vllm.SamplingParams(
            temperature=self._temperature,
            max_tokens=batch[0].max_tokens,
            stop=list(batch[0].stop),
            include_stop_str_in_output=True,
            **self._parameters,
        )
        conversations = [to_parts(request.messages, inline=True) for request in batch]
        outputs = self._model.chat(conversations, sampling, use_tqdm=False)
        return [
            Completion(
                text=output.outputs[0].text,
                finish_reason=output.outputs[0].finish_reason,
                input_tokens=len(output.prompt_token_ids or ()),
                output_tokens=len(output.outputs[0].token_ids),
            )
            for output in outputs
        ]


# ---------------------------------------------------------------------------------------- texts


def to_parts(messages: Sequence[Message], *, inline: bool = False) -> list[dict[str, Any]]:
    """A conversation as chat templates take it.

    What looks like a special token in a text is spelled out: a page that shows ``<|im_end|>`` must
    neither end a turn nor stand for a picture.

    Args:
        messages: The conversation.
        inline: Pictures as data URLs within; otherwise their places are marked.
    """
    return [
        {
            "role": message.role,
            "content": [_to_part(part, inline=inline) for part in message.parts],
        }
        for message in messages
    ]


def _to_part(part: str | Picture, *, inline: bool) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": spell_out(part)}
    if not inline:
        return {"type": "image"}
    address = "data:image/png;base64," + base64.b64encode(part.png).decode("ascii")
    return {"type": "image_url", "image_url": {"url": address}}


def _find_content(model: str) -> str | None:
    """What tells a checkpoint from others of its name; ``None`` where it is not to be found."""
    folder = local_checkpoint(model)
    return None if folder is None else checkpoint_key(folder)


def _open_pictures(messages: Sequence[Message]) -> list[Any]:
    """The pictures of a conversation, in their order."""
    from PIL import Image

    parts = [part for message in messages for part in message.parts]
    return [
        Image.open(io.BytesIO(part.png)).convert("RGB")
        for part in parts
        if isinstance(part, Picture)
    ]


def _cut(text: str, stop: Sequence[str]) -> str | None:
    """The text up to the first stop string, with it; ``None`` where it has none."""
    ends = [text.find(string) + len(string) for string in stop if string in text]
    return text[: min(ends)] if ends else None


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
