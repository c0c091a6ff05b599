"""One client for every model that is asked over the network: judges, teachers and policies.

``Chat(settings, folder).ask(messages)`` sends a question to an OpenAI-compatible server and returns
its answer. What is worth a retry is retried; an answer that was paid for is kept on disk and never
paid for again; a mistake in the set-up ends the run with one line, and a bad answer spoils its own
question alone.
"""

from __future__ import annotations

from rrvf.chat.client import REFUSED_PARTS, Chat, ChatSettings
from rrvf.chat.cost import Estimate, Usage
from rrvf.chat.identity import Identity
from rrvf.chat.question import (
    Answer,
    EmptyAnswerError,
    Message,
    Picture,
    RefusedError,
    ToolCall,
    TooLongError,
    WithheldAnswerError,
    to_wire,
)

__all__ = [
    "REFUSED_PARTS",
    "Answer",
    "Chat",
    "ChatSettings",
    "EmptyAnswerError",
    "Estimate",
    "Identity",
    "Message",
    "Picture",
    "RefusedError",
    "TooLongError",
    "ToolCall",
    "Usage",
    "WithheldAnswerError",
    "to_wire",
]
