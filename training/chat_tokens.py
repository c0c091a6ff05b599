"""Conversations as tokens; generated tokens are kept and never decoded and encoded again.

A rollout is the tokens of the prompt, followed by generated and observed tokens in turns. The text
around them comes from the processor's chat template, so an episode has the same form in training as
in evaluation.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rrvf.chat import Message, Picture
from rrvf.errors import UserError
from rrvf.policies import to_parts

_QUESTION = Message("user", ("?",))
_ANSWER = Message("assistant", ("!",))


@dataclass(frozen=True, slots=True)
class Tokens:
    """A piece of a conversation: its token ids, and its pictures in their order."""

    ids: list[int]
    pictures: list[Any] = field(default_factory=list[Any])


class ChatTokens:
    """Turns messages into tokens.

    Args:
        processor: Of a vision-language model, with a chat template.

    Raises:
        UserError: The template changes what was said before when a conversation goes on, so that
            no rollout can be put together from its pieces.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self.tokenizer: Any = processor.tokenizer
        self._after_reply = self._render([_QUESTION, _ANSWER])
        self._end_of_turn: str = self._after_reply.rpartition("!")[2]
        longer = self._render([_QUESTION, _ANSWER, _QUESTION])
        if not longer.startswith(self._after_reply):
            raise UserError(
                "the chat template rewrites earlier turns of a conversation; "
                "training needs one that keeps them, as rrvf/prompts/qwen_tools.jinja does"
            )

    @property
    def end_token(self) -> int:
        """That ends a turn."""
        return int(self.tokenizer.eos_token_id)

    @property
    def picture_token(self) -> int:
        """That stands for a part of a picture; a picture is a run of them."""
        return int(self._processor.image_token_id)

    def prompt(self, messages: Sequence[Message]) -> Tokens:
        """Everything up to where the model begins to write."""
        return self._tokens(self._render(messages, asks=True), messages)

    def continuation(self, messages: Sequence[Message], *, ended: bool) -> Tokens:
        """What stands between a reply and the next one.

        Args:
            messages: What the model is told after its reply.
            ended: The reply's own tokens include the end of the turn.
        """
        conversation = self._render([_QUESTION, _ANSWER, *messages], asks=True)
        text = self._end_of_turn + conversation[len(self._after_reply) :]
        if ended and self.tokenizer.eos_token:
            text = text.removeprefix(self.tokenizer.eos_token)
        return self._tokens(text, messages)

    def text(self, ids: Sequence[int], *, special: bool = False) -> str:
        """Tokens as text."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=not special))

    def _render(self, messages: Sequence[Message], *, asks: bool = False) -> str:
        return str(
            self._processor.apply_chat_template(
                to_parts(messages), tokenize=False, add_generation_prompt=asks
            )
        )

    def _tokens(self, text: str, messages: Sequence[Message]) -> Tokens:
        pictures = open_pictures(messages)
        inputs = self._processor(text=[text], images=[pictures] if pictures else None)
        return Tokens(list(inputs["input_ids"][0]), pictures)


def collapse_pictures(tokens: Tokens, picture_token: int) -> list[int]:
    """The ids with one token a picture, as vLLM takes them: it makes runs of them by itself.

    Args:
        tokens: A conversation whose pictures are runs of ``picture_token``.
        picture_token: From :attr:`ChatTokens.picture_token`.

    Raises:
        ValueError: It has other than one run a picture.
    """
    ids = [
        token
        for token, previous in zip(tokens.ids, [None, *tokens.ids], strict=False)
        if token != picture_token or previous != picture_token
    ]
    n_runs = ids.count(picture_token)
    if n_runs != len(tokens.pictures):
        raise ValueError(f"{n_runs} runs of picture tokens for {len(tokens.pictures)} pictures")
    return ids


def open_pictures(messages: Sequence[Message]) -> list[Any]:
    """The pictures of some messages, in their order, as PIL images in RGB."""
    from PIL import Image

    return [
        Image.open(io.BytesIO(part.png)).convert("RGB")
        for message in messages
        for part in message.parts
        if isinstance(part, Picture)
    ]
