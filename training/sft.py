"""Supervised training: the cold start before GRPO, and the baseline on reference code.

``python -m training.sft --config FILE``, alone or under ``accelerate launch``, ``torchrun`` or
``deepspeed``. The keys of the file, which are also flags, are those of :class:`SftArguments`,
:class:`training.settings.DataArguments`, :class:`training.settings.RunArguments` and
``trl.SFTConfig``.

:class:`training.chat_tokens.ChatTokens` turns conversations into tokens, as in rollouts and
evaluations: the prompt, then replies and what follows each of them. The loss covers only the
replies, including the token that ends each turn. A conversation longer than ``max_length`` is
skipped and counted, never cut.

TRL's ``SFTTrainer`` is used for its loss, which never holds the logits of a whole conversation (for
8,000 tokens of Qwen's vocabulary 5 GB in 32 bit), and for its support of LoRA under ZeRO-3. It gets
rows that only number the conversations, and a collator that makes the batches.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rrvf.agent import AgentSettings
from rrvf.bench import Bench, open_bench
from rrvf.benchmarks import find_benchmark
from rrvf.chat import Message, Picture
from rrvf.errors import DataError, HarnessError, UserError
from rrvf.kinds.kind import RendererOptions
from rrvf.options import LoopOptions, RunOptions
from rrvf.policies import to_parts
from rrvf.scorers.model_judge import bound_picture
from rrvf.types import Sample
from training.chat_tokens import ChatTokens, open_pictures
from training.command import read_arguments, run_as_command, tell_ranks
from training.conversations import (
    Conversation,
    read_conversations,
    recorded_conversations,
    reference_conversation,
)
from training.data import TrainingData, load
from training.grpo import open_data
from training.records import describe_environment, push_folder
from training.settings import DataArguments, RunArguments, as_in_evaluation, option

logger = logging.getLogger(__name__)

IGNORED = -100
"""The label of a token that takes no part in the loss."""


@dataclass
class SftArguments:
    """The training data: conversations, a recorded run, or the data's own code."""

    conversations: str | None = option(
        "JSONL or parquet file with conversations, or folder of parquet files.", None
    )
    held_out_conversations: str | None = option(
        "The same for the loss on held-out conversations.", None
    )
    recorded: str | None = option("Folder of rrvf eval on the data: its good episodes.", None)
    score: str | None = option("Score that selects good episodes, as in text.", None)
    at_least: float = option("Lowest such score of a good episode, 0 to 1.", 0.8)
    answer: Literal["tags", "block"] = option(
        "Reference code in the protocol's <answer>, or as a plain block to the plain prompt.",
        "tags",
    )
    max_turns: int = option(
        "As in GRPO: the prompt says how often the tool may be called.", LoopOptions.max_turns
    )
    max_pixels: int = as_in_evaluation(LoopOptions, "max_pixels")
    workers: int = option("Drawings at a time, if targets must be drawn.", RunOptions.workers)
    chart_python: str | None = as_in_evaluation(RunOptions, "chart_python")
    browser: str | None = as_in_evaluation(RunOptions, "browser")
    confinement: str | None = option("Level of confinement.", None)


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation in tokens.

    Attributes:
        ids: Token ids.
        labels: The same for tokens of the model, otherwise ``IGNORED``.
        messages: The messages, which hold the pictures as PNG until they are needed.
    """

    ids: list[int]
    labels: list[int]
    messages: tuple[Message, ...]


def as_example(chat: ChatTokens, conversation: Conversation, max_pixels: int) -> Example:
    """A conversation as tokens, built like a rollout.

    Args:
        chat: The model's tokens.
        conversation: It begins with a prompt and ends with a reply of the model.
        max_pixels: Larger pictures are scaled down to it.

    Raises:
        DataError: It begins or ends otherwise, or has no picture.
    """
    messages = tuple(_scale_pictures(message, max_pixels) for message in conversation.messages)
    turns = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if not turns or turns[0] == 0 or turns[-1] != len(messages) - 1:
        raise DataError(
            f"conversation {conversation.id}: it must begin with what the model is told and end "
            "with a reply of the model; fix it or leave it out"
        )
    if not any(isinstance(part, Picture) for message in messages for part in message.parts):
        # Under ZeRO-3 a rank that never asks the vision tower would leave the others waiting.
        raise DataError(f"conversation {conversation.id} has no picture; leave it out")
    ids = list(chat.prompt(messages[: turns[0]]).ids)
    labels = [IGNORED] * len(ids)
    for turn, next_turn in zip(turns, [*turns[1:], None], strict=True):
        reply = [*_reply(chat, messages[turn]), chat.end_token]
        ids += reply
        labels += reply
        if next_turn is not None:
            tokens = chat.continuation(messages[turn + 1 : next_turn], ended=True).ids
            ids += tokens
            labels += [IGNORED] * len(tokens)
    return Example(ids, labels, messages)


def _scale_pictures(message: Message, max_pixels: int) -> Message:
    parts = (
        replace(part, png=bound_picture(part.png, max_pixels))
        if isinstance(part, Picture)
        else part
        for part in message.parts
    )
    return replace(message, parts=tuple(parts))


def _reply(chat: ChatTokens, message: Message) -> list[int]:
    """What the model wrote; a special token in it is spelled out, as in every conversation."""
    if any(isinstance(part, Picture) for part in message.parts):
        raise DataError(
            "a reply of the model contains a picture, but it can only write text; fix the data"
        )
    text = "".join(part["text"] for part in to_parts([message])[0]["content"])
    return list(chat.tokenizer.encode(text, add_special_tokens=False))


def prepare_examples(
    chat: ChatTokens,
    conversations: Iterable[Conversation],
    name: str,
    max_length: int | None,
    max_pixels: int,
) -> tuple[list[Example], int]:
    """The tokens of all conversations that are short enough, and how many are not.

    Args:
        chat: The model's tokens.
        conversations: Each is read once.
        name: For the line that tells how many are left out.
        max_length: In tokens, pictures included; ``None`` for no limit.
        max_pixels: Larger pictures are scaled down to it.

    Raises:
        DataError: None is short enough, or one cannot be used.
    """
    examples: list[Example] = []
    lengths: list[int] = []
    for conversation in conversations:
        example = as_example(chat, conversation, max_pixels)
        lengths.append(len(example.ids))
        if max_length is None or lengths[-1] <= max_length:
            examples.append(example)
    n_too_long = len(lengths) - len(examples)
    problem = (
        f"{name}: {n_too_long} of {len(lengths)} conversations are longer than max_length "
        f"({max_length} tokens; the longest has {max(lengths, default=0)})"
    )
    if not examples:
        raise DataError(f"{problem}; raise max_length" if lengths else f"{name}: no conversations")
    if n_too_long:
        logger.warning("%s and are left out", problem)
    return examples, n_too_long


class Collator:
    """Makes a batch: tokens and labels padded on the right, and the pictures of every turn.

    Args:
        processor: Of the model.
        parts: By name, the conversations that rows number.
    """

    def __init__(self, processor: Any, parts: Mapping[str, Sequence[Example]]) -> None:
        self._processor, self._parts = processor, parts
        self._image_token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The tensors of some rows of :func:`rows_of`."""
        import torch

        examples: list[Example] = [self._parts[row["part"]][row["place"]] for row in rows]
        pictures = [picture for example in examples for picture in open_pictures(example.messages)]
        ids = _pad([example.ids for example in examples], self._processor.tokenizer.pad_token_id)
        return {
            "input_ids": ids,
            "attention_mask": _pad([[1] * len(example.ids) for example in examples], 0),
            "labels": _pad([example.labels for example in examples], IGNORED),
            "mm_token_type_ids": (ids == self._image_token).to(torch.long),
            **self._processor.image_processor(images=pictures, return_tensors="pt"),
        }


def _pad(rows: Sequence[Sequence[int]], value: int) -> Any:
    import torch

    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def rows_of(part: str, examples: Sequence[Example]) -> Any:
    """A data set of TRL's that only numbers conversations."""
    datasets: Any = importlib.import_module("datasets")
    return datasets.Dataset.from_list(
        [{"part": part, "place": place} for place in range(len(examples))]
    )


# ------------------------------------------------------------------------------------- the data


def find_conversations(
    data: DataArguments, sft: SftArguments
) -> tuple[list[Conversation], list[Conversation], dict[str, Any]]:
    """What is learnt, what is held out, and what the run's card says of them.

    Raises:
        UserError: It is not told what to learn from, or that cannot be used.
    """
    if sft.conversations is not None:
        return _from_files(data, sft, sft.conversations)
    if not data.data:
        raise UserError(
            "no training data: set conversations: FILE, or data: SOURCE as in training.data"
        )
    return _from_samples(data, sft)


def _from_files(
    data: DataArguments, sft: SftArguments, name: str
) -> tuple[list[Conversation], list[Conversation], dict[str, Any]]:
    if data.data or sft.recorded:
        raise UserError("conversations and data are both named; name one of them")
    conversations = read_conversations(Path(name))
    if sft.held_out_conversations is not None:
        held_out = list(read_conversations(Path(sft.held_out_conversations)))
    else:
        held_out = list(islice(conversations, data.held_out))
    card = {"conversations": name, "held_out_conversations": sft.held_out_conversations}
    return list(conversations), held_out, card


def _from_samples(
    data: DataArguments, sft: SftArguments
) -> tuple[list[Conversation], list[Conversation], dict[str, Any]]:
    if sft.recorded is not None:
        return _read_recorded(data, sft, sft.recorded)
    train_data, held_out, card = open_data(replace(data, setting="with_reference"))
    return _references(train_data, sft), _references(held_out, sft) if held_out else [], card


def _read_recorded(
    data: DataArguments, sft: SftArguments, run: str
) -> tuple[list[Conversation], list[Conversation], dict[str, Any]]:
    if sft.score is None:
        raise UserError("recorded needs the score that selects good episodes, as in score: text")
    allow = data.allow_test_items
    samples = load(data.data, setting="with_reference", allow_test_items=allow)
    with _bench(samples, sft) as bench:
        episodes = recorded_conversations(
            Path(run), samples, bench, scorer=sft.score, at_least=sft.at_least
        )
        conversations = list(episodes)
    card = {"recorded": run, "score": sft.score, "at_least": sft.at_least, "data": samples.card()}
    return conversations[data.held_out :], conversations[: data.held_out], card


def _references(samples: TrainingData, sft: SftArguments) -> list[Conversation]:
    """Picture and code of all samples whose picture is there or can be drawn."""
    max_turns = 1 if sft.answer == "block" else sft.max_turns
    settings = AgentSettings.of(samples.language, max_turns=max_turns, max_pixels=sft.max_pixels)
    problems: list[HarnessError] = []

    def make_conversation(sample: Sample) -> Conversation | None:
        try:
            return reference_conversation(sample, bench.target(sample), settings)
        except HarnessError as error:
            problems.append(error)
            return None

    with _bench(samples, sft) as bench, ThreadPoolExecutor(sft.workers) as pool:
        conversations = [
            conversation
            for conversation in pool.map(make_conversation, samples)
            if conversation is not None
        ]
    if problems:
        logger.warning("%d of %d samples left out: %s", len(problems), len(samples), problems[0])
    return conversations


def _bench(samples: TrainingData, sft: SftArguments) -> AbstractContextManager[Bench]:
    """Where targets without a picture are drawn."""
    options = RendererOptions(
        workers=sft.workers,
        chart_python=None if sft.chart_python is None else Path(sft.chart_python),
        browser=None if sft.browser is None else Path(sft.browser),
        confinement=sft.confinement,
        assets=samples.find_assets(),
    )
    return open_bench(find_benchmark(samples.benchmark), options, scorers=("execution",))


# ------------------------------------------------------------------------------------ the run


def train(data: DataArguments, sft: SftArguments, run: RunArguments, arguments: Any) -> Any:
    """One run from its settings to the model in ``output_dir/final``.

    Args:
        data: Samples, where they are learnt from.
        sft: What is learnt.
        run: The model.
        arguments: A ``trl.SFTConfig``; its ``max_length`` is the longest conversation.

    Returns:
        The trainer.

    Raises:
        UserError: The settings cannot be used.
    """
    from training.checkpoints import MarkWhole, find_checkpoint
    from training.models import load_model, load_processor, lora, skip_frozen_vision

    tell_ranks()
    out = Path(arguments.output_dir)
    processor = load_processor(run)
    parts, card = _parts(data, sft, ChatTokens(processor), arguments.max_length)
    # Rows are numbers; TRL must neither prepare them nor drop their columns.
    arguments.remove_unused_columns = False
    arguments.dataset_kwargs = {"skip_prepare_dataset": True}
    if arguments.process_index == 0:
        _write_card(out, {"sft": asdict(sft), "run": asdict(run), "data": card}, arguments)
    model = load_model(run, arguments)
    rows = {name: rows_of(name, examples) for name, examples in parts.items()}
    trainer = make_resumable(importlib.import_module("trl").SFTTrainer)(
        model=model,
        args=arguments,
        data_collator=Collator(processor, parts),
        train_dataset=rows["train"],
        eval_dataset=rows.get("held_out"),
        processing_class=processor,
        peft_config=lora(run, model),
        callbacks=[MarkWhole()],
    )
    skip_frozen_vision(trainer.model)
    checkpoint = find_checkpoint(out) if run.resume else None
    if checkpoint is not None:
        logger.info("going on from %s", checkpoint)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model(str(out / "final"))
    if arguments.process_index == 0:
        processor.save_pretrained(out / "final")
        if run.push_final_to:
            push_folder(out / "final", run.push_final_to)
    return trainer


def make_resumable(trainer_class: Any) -> Any:
    """The same trainer, which finds all of a checkpoint's weights when it goes on."""
    from training.checkpoints import load_weights

    class Resumable(trainer_class):
        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            folder = Path(resume_from_checkpoint)
            if (folder / "adapter_config.json").exists():
                trainer_class._load_from_checkpoint(self, resume_from_checkpoint, model)
            else:
                load_weights(folder, self.model if model is None else model)

    return Resumable


def _parts(
    data: DataArguments, sft: SftArguments, chat: ChatTokens, max_length: int | None
) -> tuple[dict[str, list[Example]], dict[str, Any]]:
    """What is learnt and what is held out, in tokens, and the card of both."""
    train_conversations, held_out, card = find_conversations(data, sft)
    parts: dict[str, list[Example]] = {}
    for name, conversations in (("train", train_conversations), ("held_out", held_out)):
        if name == "held_out" and not conversations:
            continue
        parts[name], n_too_long = prepare_examples(
            chat, conversations, name, max_length, sft.max_pixels
        )
        card |= {f"n_{name}": len(parts[name]), f"n_{name}_too_long": n_too_long}
    return parts, card


def _write_card(out: Path, card: Mapping[str, Any], arguments: Any) -> None:
    """The record of what this run is."""
    out.mkdir(parents=True, exist_ok=True)
    record = {
        **card,
        "trl": json.loads(arguments.to_json_string()),
        "training_environment": describe_environment(),
    }
    (out / "run_card.json").write_text(json.dumps(record, indent=2, default=str) + "\n")


def main() -> None:
    """The command."""
    trl: Any = importlib.import_module("trl")
    classes = (DataArguments, SftArguments, RunArguments, trl.SFTConfig)
    data, sft, run, arguments = read_arguments(classes)
    train(data, sft, run, arguments)


if __name__ == "__main__":
    run_as_command(main)
