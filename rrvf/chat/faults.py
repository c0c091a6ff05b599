"""What went wrong with a request, and whether it affects other requests too."""

from __future__ import annotations

import base64
import email.utils
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

Reach = Literal["attempt", "question", "run"]
"""What is spoilt: this attempt, so that another may help; this question; every question."""

_WORTH_A_RETRY = frozenset({408, 409, 425, 429})
_SHORTEST_SECRET = 8
"""Characters; shorter keys are words like EMPTY, given to servers that want none."""

_NO_SUCH_MODEL = re.compile(
    r"\bmodel\b.{0,120}?\b(not found|not exist|unknown)|\b(unknown|invalid|no such) model\b",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG = re.compile(
    r"\bcontext[ _](length|size|window)\b|\bmaximum model length\b|\bmax_model_len\b"
    r"|\b(prompt|inputs?)\b.{0,60}?\btoo (long|large)\b|\btoo many (input )?tokens\b"
    r"|\btoken count\b.{0,80}?\bexceeds\b|\btokens?\b.{0,80}?\bmust (be|have) (<=|less than)",
    re.IGNORECASE | re.DOTALL,
)
REFUSABLE: Mapping[str, str | None] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": None,
    "stop": None,
    "temperature": None,
    "seed": None,
}
"""Parameters without which a question can be asked, and the name that some of them go by now."""

_UNSUPPORTED = re.compile(
    r"\bunsupported\b|\bnot (yet )?(supported|permitted|allowed)\b|\bdoes not support\b"
    r"|\b(unrecognized|unknown|unexpected|extra)\b.{0,40}?\b(argument|parameter|field|input|key)",
    re.IGNORECASE | re.DOTALL,
)
_NAMED = r"['\"`]{0}['\"`]|\A{0}\b|\b(?:argument|parameter|field|key)s?\b[^.]{{0,20}}?\b{0}\b"
_REFUSING = frozenset({400, 422})
_OF_THE_RUN = frozenset({"unsupported_parameter", "unsupported_value"})
"""Codes of a 400 that every question of the run would meet alike."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One attempt that brought no answer.

    Attributes:
        line: What happened, for a person; without the key.
        wait: Seconds that the server wants to be left alone.
        unreachable: No connection came about.
        too_long: The question is longer than the model's context.
        refused: The parameter that the server does not take, one of :data:`REFUSABLE`: where it was
            sent, the question may be asked again without it.
    """

    line: str
    reach: Reach = "attempt"
    wait: float = 0.0
    unreachable: bool = False
    too_long: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is asked.

    Attributes:
        url: The base URL.
        key_variable: The environment variable that the key was looked for in.
        key: ``None`` where the variable is not set.
    """

    url: str = field(repr=False)
    model: str
    key_variable: str
    key: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The address without anything secret that may stand in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def scrub(self, text: str) -> str:
        """``text`` without the key and without the password of the address.

        A short password may be a word of the text, which has to stay as it is.
        """
        secrets = self._list_secrets()
        return self._replace_secrets(
            [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET], text
        )

    def quote(self, text: str) -> str:
        """``text`` from outside as part of one line; without any secret."""
        line = " ".join(self._replace_secrets(self._list_secrets(), text).split())
        return line if len(line) <= 200 else f"{line[:200]}..."

    def _replace_secrets(self, secrets: Iterable[str], text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "[key]" if secret == self.key else "[secret]")
        return text

    def _list_secrets(self) -> list[str]:
        """The key, and what the address holds beside its name; the longest first."""
        parts = urlsplit(self.url)
        password = unquote(parts.password or "")
        secrets = {parts.query, parts.password or "", password}
        if password:
            pair = f"{unquote(parts.username or '')}:{password}"
            secrets |= {pair, base64.b64encode(pair.encode()).decode("ascii")}
        if self.key is not None and len(self.key) >= _SHORTEST_SECRET:
            secrets.add(self.key)
        return sorted(filter(None, secrets), key=len, reverse=True)


def classify_status(
    status: int, headers: Mapping[str, str], body: bytes, endpoint: Endpoint
) -> Fault:
    """The fault behind an HTTP status that is none of success."""
    parsed = _parse(body)
    code, message = _read_error(parsed)
    line = f"HTTP {status}: {endpoint.quote(message)}" if message else f"HTTP {status}"
    refused = None
    if status in _REFUSING and not is_too_long(message, code):
        refused = _find_refused(parsed, code, message)
    mend = _find_mend(status, code, message, endpoint)
    if mend is not None:
        return Fault(f"{endpoint.name}: {mend} ({line})", "run", refused=refused)
    if status in _WORTH_A_RETRY or status >= 500:
        return Fault(line, wait=retry_after(headers))
    too_long = status == 413 or is_too_long(message, code)
    return Fault(line, "question", too_long=too_long, refused=refused)


def is_too_long(message: str, code: str = "") -> bool:
    """Whether a refusal speaks of the model's context, as vLLM, SGLang, llama.cpp and OpenAI do."""
    return code in _TOO_LONG_CODES or _TOO_LONG.search(message) is not None


def _find_mend(status: int, code: str, message: str, endpoint: Endpoint) -> str | None:
    """What to do about a refusal that every question would meet; ``None`` if it is none."""
    if status == 402 or code == "insufficient_quota":
        return "no credit left; top it up and run the same command again to resume"
    if status in (401, 403):
        if endpoint.key is None:
            return f"it wants a key; set ${endpoint.key_variable}"
        return (
            f"it takes the key in ${endpoint.key_variable} not for {endpoint.model!r}; set another"
        )
    if status in (400, 404) and (code == "model_not_found" or _NO_SUCH_MODEL.search(message)):
        return f"it serves no model {endpoint.model!r}; name one that it serves"
    if status == 404:
        return "no chat model answers here; give the base URL, which usually ends in /v1"
    if status == 400 and code in _OF_THE_RUN:
        return f"{endpoint.model!r} cannot be asked like this; choose another model"
    return None


def _find_refused(body: object, code: str, message: str) -> str | None:
    """The parameter that a refusal names as one that the server does not take.

    A value that is merely too large, say, is no such thing: there the question has to change.
    """
    is_told = code in _OF_THE_RUN
    if not is_told and _UNSUPPORTED.search(message) is None:
        return None
    named = _find_param(body)
    if named is not None:
        return named if named in REFUSABLE else None
    # The name that stands first is meant; behind it may stand what to take instead. A refusal of
    # what was asked may hold such a word as well, but not as a name.
    pattern = r"\b{0}\b" if is_told else _NAMED
    places = {name: re.search(pattern.format(name), message) for name in REFUSABLE}
    found = {name: match.start() for name, match in places.items() if match is not None}
    return min(found, key=lambda name: found[name], default=None)


def _find_param(body: object) -> str | None:
    """What OpenAI's ``param`` names, if it is there."""
    if not isinstance(body, Mapping):
        return None
    parts = cast("Mapping[str, object]", body)
    if isinstance(parts.get("error"), Mapping):
        return _find_param(parts["error"])
    param = parts.get("param")
    return param if isinstance(param, str) and param else None


def _parse(body: bytes) -> object:
    """The JSON in an error's body, else its text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_error(body: object) -> tuple[str, str]:
    """Code and message of an error's body, whatever its form."""
    if not isinstance(body, Mapping):
        return "", "" if body is None else str(body)
    parts = cast("Mapping[str, object]", body)
    if isinstance(parts.get("error"), Mapping):
        return _read_error(parts["error"])
    message = parts.get("message") or parts.get("detail") or parts.get("error") or ""
    return str(parts.get("code") or ""), str(message)


def classify_exception(error: Exception, endpoint: Endpoint) -> Fault:
    """The fault behind an exception on the way to the server or back."""
    chain = list(_follow_causes(error))
    names = {type(link).__name__ for link in chain}
    unreachable = not names.isdisjoint({"ConnectError", "ConnectTimeout"})
    if isinstance(error, TimeoutError) or any("Timeout" in name for name in names):
        return Fault("no answer in time", unreachable=unreachable)
    cause = chain[-1] if unreachable else chain[0]
    return Fault(endpoint.quote(f"{type(cause).__name__}: {cause}"), unreachable=unreachable)


def _follow_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a reply asks to wait, given in seconds or as a date; 0 if it does not ask."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        seconds = _count_seconds_until(value)
    return seconds if 0 < seconds < float("inf") else 0.0


def _count_seconds_until(date: str) -> float:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
