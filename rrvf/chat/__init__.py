"""One client for every model behind a server: judges, teachers and policies.

``Chat(settings, folder).ask(messages)`` sends a question to an OpenAI-compatible server and returns
the answer. Temporary failures are retried. Paid answers are kept on disk and never paid for again.
A mistake in the configuration ends the run with a one-line message; a bad answer affects only its
own question.
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
