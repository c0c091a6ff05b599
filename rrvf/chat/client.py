"""The client: which question is sent when, what is retried, and when to stop."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from rrvf.chat import cache
from rrvf.chat.cost import OUTPUT_TOKENS, PRICES, Estimate, Ledger, Usage, estimate_tokens
from rrvf.chat.faults import REFUSABLE, Endpoint, Fault, classify_exception, classify_status
from rrvf.chat.identity import (
    Identity,
    may_be_request_time,
    merge_facts,
    normalize_address,
    read_served_facts,
)
from rrvf.chat.question import (
    Answer,
    EmptyAnswerError,
    Message,
    RefusedError,
    TooLongError,
    WithheldAnswerError,
    fingerprint,
    read_answer,
    request_body,
)
from rrvf.chat.wire import Reply, Wire
from rrvf.errors import HarnessError, SetupError, UserError

_log = logging.getLogger(__name__)

REFUSED_PARTS = ("left_out", "renamed")
"""Of a protocol: parameters that a server did not take, and those that it takes by a new name."""

OPENAI_URL = "https://api.openai.com/v1"

GIVE_UP_AFTER = 8
"""Questions in a row that found no answer in all their attempts: the server is gone."""

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_LIST_ATTEMPTS = 3
_LIST_SECONDS = 10.0
_NEXT_SECOND = 1.1
"""Seconds after which a server that reports the time reports a new one."""

_NOT_IMPLEMENTED = 501

_PRUNE_EVERY = 10_000
"""Stored answers between two counts of the folder."""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The server and model to ask, with limits.

    Attributes:
        model: The model's name at the server.
        base_url: An OpenAI-compatible server, usually ending in ``/v1``; ``None`` is OpenAI.
        key_variable: The environment variable that holds the key, its only source.
        concurrency: Requests at a time.
        attempts: Limit of attempts for one question.
        timeout_seconds: Limit for one attempt.
        deadline_seconds: Limit for one question with all its attempts and pauses.
        max_cost: USD; no question is asked that may exceed it.
        prices: Model -> USD per million tokens, input and output; overrides the built-in table.
        name: Cached answers belong to this name instead of address and server. The user guarantees
            that it always means the same model.
        since: Unix time; questions whose cached answers are older are asked again.
    """

    model: str
    base_url: str | None = field(default=None, repr=False)
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 16
    attempts: int = 8
    timeout_seconds: float = 180.0
    deadline_seconds: float = 900.0
    max_cost: float | None = None
    prices: Mapping[str, tuple[float, float]] | None = None
    name: str | None = None
    since: float = 0.0

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "timeout_seconds", "deadline_seconds"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} must be more than 0, not {getattr(self, name)}")
        if not (self.base_url or OPENAI_URL).startswith(("http://", "https://")):
            address = (self.base_url or "").rpartition("@")[2]
            raise UserError(f"the base URL {address!r} must begin with http:// or https://")
        try:
            normalize_address(self.base_url or OPENAI_URL)
        except ValueError as error:
            raise UserError(f"not a base URL ({error}); give http://HOST:PORT/v1") from None
        if self.name is not None and not self.name.strip():
            raise UserError(f"{self.model} has an empty name; give one, or leave it out")

    @property
    def endpoint_kind(self) -> Literal["openai", "compatible"]:
        """The kind of server, for the protocol of a run."""
        openai = urlsplit(OPENAI_URL).hostname
        return (
            "openai" if urlsplit(self.base_url or OPENAI_URL).hostname == openai else "compatible"
        )


class _ParameterRefused(Exception):  # noqa: N818 - no error: the question is asked again
    """The server does not take a parameter of the question; from now on it is not sent it."""


class Chat:
    """A model behind an OpenAI-compatible server; every method may be called from any thread.

    Answers are cached in ``folder``, one file each. An answer in transit when the process is killed
    is paid for and lost. Every other answer is asked for only once, except empty ones and the
    oldest beyond :data:`rrvf.chat.cache.MOST_ANSWERS`. The key is the question and
    :class:`rrvf.chat.Identity`: at another address, or at a server that describes its model
    differently, the same question is asked again.

    A parameter that the server does not accept (:data:`rrvf.chat.faults.REFUSABLE`) is not sent
    again, or is sent by its new name: :meth:`refused`. The key of an answer is what was sent.

    Args:
        settings: The server and model to ask.
        folder: The folder of cached answers; ``None`` for no cache. Answers of judges and teachers
            may serve several runs, from ``chat`` in the cache. A policy's answers are what a run
            measures, so they belong in that run's own folder.
        sleep: Waits this many seconds between two attempts.

    Raises:
        SetupError: There is no ``openai`` package, no key for OpenAI, or no price for ``max_cost``.
    """

    def __init__(
        self,
        settings: ChatSettings,
        folder: Path | None = None,
        *,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.settings = settings
        self._folder = folder
        self._endpoint = _endpoint(settings)
        self._wire = Wire(self._endpoint)
        self._ledger = Ledger(_price(settings), settings.max_cost)
        self._slots = threading.Semaphore(settings.concurrency)
        self._lock = threading.Lock()
        self._futures: dict[str, Future[Answer]] = {}
        self._stopped = threading.Event()
        self._stop_error: UserError | None = None
        self._closed = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._wait = sleep or self._closed.wait  # also once questions are refused
        self._was_reached = False
        self._is_given_up = False
        self._n_unanswered = 0
        self._n_kept = itertools.count()
        self._identity_lock = threading.Lock()
        self._identity: Identity | None = None
        self._unique_name = secrets.token_hex(16)
        self._refused: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End pauses and connections; questions still under way fail."""
        self._closed.set()
        self._stopped.set()
        self._wire.close()

    @property
    def is_given_up(self) -> bool:
        """The server stopped answering, and no question is put to it any more."""
        return self._is_given_up

    def wait_until_back(self, seconds: float) -> bool:
        """Ask again after the server was given up, as soon as it answers.

        Its list of models is asked for, with pauses in between. Only a server that stopped
        answering is waited for; what else has ended the questions stays as it is.

        Args:
            seconds: At most.

        Returns:
            Whether it answers; true at once where it was not given up.
        """
        if not self._is_given_up:
            return True
        deadline = time.monotonic() + seconds
        for attempt in itertools.count(1):
            reply = self._read_reply(lambda: self._wire.get("/models", _LIST_SECONDS))
            if isinstance(reply, bytes) or reply.reach != "attempt":
                break
            pause = _choose_pause(attempt, 0)
            if time.monotonic() + pause >= deadline:
                return False
            self._wait(pause)
        if self._closed.is_set():
            return False
        with self._lock:
            self._is_given_up, self._stop_error, self._n_unanswered = False, None, 0
            self._stopped.clear()
        return True

    def usage(self) -> Usage:
        """What was asked and paid so far."""
        return self._ledger.usage()

    def refused(self) -> list[str]:
        """Parameters that the server did not take."""
        with self._lock:
            return sorted(self._refused)

    def leave_out(self, names: Iterable[str]) -> None:
        """Do not send parameters of which it is known that the server does not take them."""
        with self._lock:
            self._refused |= dict.fromkeys(name for name in names if name in REFUSABLE)

    def describe_refused(self) -> dict[str, list[str]]:
        """The same for the protocol of a run: what is left out, and what has another name."""
        names = self.refused()
        left_out = [n for n in names if (REFUSABLE[n] or n) in names]
        renamed = [name for name in names if name not in left_out]
        parts = zip(REFUSED_PARTS, (left_out, renamed), strict=True)
        return {part: values for part, values in parts if values}

    def address(self) -> Identity:
        """The identity of the model as far as the settings give it; no server is asked."""
        address = self._endpoint.scrub(normalize_address(self._endpoint.url))
        return Identity(self.settings.name, address)

    def identity(self) -> Identity:
        """Who answers. The server is asked once, unless the settings name it.

        Raises:
            SetupError: No server answers at that address.
        """
        with self._identity_lock:
            if self._identity is None:
                identity = self.address()
                facts = None if identity.name is not None else self._ask_facts()
                self._identity = replace(identity, served=facts)
            return self._identity

    def estimate(
        self, n_questions: int, messages: Sequence[Message], max_tokens: int = OUTPUT_TOKENS
    ) -> Estimate:
        """What ``n_questions`` like this one take at most, if none is in the cache.

        Input tokens are estimated (see :func:`rrvf.chat.cost.estimate_tokens`), answers counted at
        their full length.
        """
        input_tokens = n_questions * estimate_tokens(self.settings.model, messages)
        output_tokens = n_questions * max_tokens
        return Estimate(
            input_tokens, output_tokens, self._ledger.price(input_tokens, output_tokens)
        )

    def ask(
        self,
        messages: Sequence[Message],
        *,
        repeat: int = 0,
        thoughts_count: bool = False,
        **parameters: Any,
    ) -> Answer:
        """Put one question and wait for its answer.

        Args:
            messages: The conversation so far.
            repeat: Which of several answers to the same question is wanted; the server does not
                see it.
            thoughts_count: An answer that is all thoughts is one, to be kept like any other.
            parameters: ``temperature``, ``max_tokens``, ``tools`` and so on, sent as they are.

        Raises:
            UserError: Nothing can be asked any more: a wrong key, an unknown model, a dead server,
                the cost limit, a full disk. Every later question meets the same.
            EmptyAnswerError: The model said nothing.
            RefusedError: The server refuses this question.
            HarnessError: No answer to this question.
        """
        body = request_body(self.settings.model, messages, parameters)
        self._ledger.count("questions")
        try:
            while True:
                try:
                    return self._ask_fitted(self._fit(body), messages, repeat, thoughts_count)
                except _ParameterRefused:
                    continue  # each time with one parameter less
        except BaseException:
            self._ledger.count("failures")
            raise

    def _ask_fitted(
        self, body: dict[str, Any], messages: Sequence[Message], repeat: int, thoughts_count: bool
    ) -> Answer:
        self._check()
        key = fingerprint(self._find_owner(), body, repeat)
        return self._ask_once(key, lambda: self._find(key, body, messages, thoughts_count))

    def _fit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request without what the server does not take."""
        fitted = dict(body)
        refused = self.refused()
        for name, new_name in REFUSABLE.items():
            if name in refused and name in fitted:
                value = fitted.pop(name)
                if new_name is not None and new_name not in refused:
                    fitted[new_name] = value
        return fitted

    def _learn_refused(self, fault: Fault, body: Mapping[str, Any]) -> None:
        """Take note of a parameter that was sent and is not taken, and say so once.

        Raises:
            _ParameterRefused: There is one; the question may be asked without it.
        """
        if fault.refused is None:
            return
        # The name to take instead may be all that is said.
        olds = [old for old, new in REFUSABLE.items() if new == fault.refused]
        name = next((name for name in (fault.refused, *olds) if name in body), None)
        if name is None:
            return
        self._was_reached = True
        with self._lock:
            is_news = name not in self._refused
            self._refused[name] = None
        if is_news:
            new_name = REFUSABLE[name]
            how = "is left out" if new_name is None else f"goes by its new name, {new_name}"
            _log.warning(
                "%s does not take %s for %s: it %s from now on, and the run's protocol says so",
                *(self._endpoint.name, name, self.settings.model, how),
            )
        raise _ParameterRefused

    def _find_owner(self) -> dict[str, Any]:
        """Under whom answers are kept; where that is not known, under a name that nobody has."""
        if self._folder is None:
            return {}
        identity = self.identity()
        if identity.name is None and identity.served is None:
            return {"unknown": self._unique_name}
        return identity.to_json()

    def _ask_once(self, key: str, find: Callable[[], Answer]) -> Answer:
        """The answer, with every question under way only once."""
        with self._lock:
            other = self._futures.get(key)
            future = self._futures.setdefault(key, Future())
        if other is not None:
            answer = replace(other.result(), cached=True)
            self._ledger.count("from_cache")
            return answer
        try:
            answer = find()
            future.set_result(answer)
            return answer
        except BaseException as error:
            is_shared = isinstance(error, Exception)
            future.set_exception(error if is_shared else HarnessError("the question was abandoned"))
            raise
        finally:
            with self._lock:
                del self._futures[key]

    def _find(
        self, key: str, body: dict[str, Any], messages: Sequence[Message], thoughts_count: bool
    ) -> Answer:
        """The answer from the disk, else from the server."""
        self._check()
        since = self.settings.since
        answer = cache.load(self._folder, key, since) if self._folder else None
        if answer is not None:
            self._ledger.count("from_cache")
            return answer
        with self._slots:
            answer = self._buy(body, messages)
            has_reply = (
                answer.text.strip() or answer.tool_calls or (thoughts_count and answer.thought)
            )
            if not has_reply:
                line = f"an empty answer (finish reason: {answer.finish_reason})"
                raise EmptyAnswerError(line, answer)
            self._keep(key, answer)
        self._ledger.count("paid")
        return answer

    def _check(self) -> None:
        if self._stop_error is not None:
            raise type(self._stop_error)(str(self._stop_error))
        if self._stopped.is_set():
            raise HarnessError("the chat is closed")

    def _stop(self, error: UserError) -> UserError:
        """End the run: every later question gets the first such error."""
        with self._lock:
            self._stop_error = self._stop_error or error
        self._stopped.set()
        return error

    def _keep(self, key: str, answer: Answer) -> None:
        if self._folder is None:
            return
        try:
            if next(self._n_kept) % _PRUNE_EVERY == 0:
                cache.prune(self._folder)
            cache.store(self._folder, key, answer)
        except OSError as error:
            line = f"answers cannot be kept in {self._folder} ({error.strerror or error})"
            raise self._stop(
                UserError(f"{line}; make room or name another folder with $RRVF_CACHE_DIR")
            ) from error

    def _buy(self, body: dict[str, Any], messages: Sequence[Message]) -> Answer:
        """A usable answer from the server, within the cost limit."""
        self._check()
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or OUTPUT_TOKENS
        estimate = self.estimate(1, messages, limit)
        try:
            self._ledger.reserve(estimate)
        except UserError as error:
            raise self._stop(error) from None
        try:
            answer = self._insist(body)
        except BaseException:
            self._ledger.settle(estimate, None)
            raise
        self._ledger.settle(estimate, answer)
        if answer.finish_reason == "content_filter":
            raise WithheldAnswerError(f"{self._endpoint.name} withheld the answer (content filter)")
        return answer

    def _insist(self, body: dict[str, Any]) -> Answer:
        """Ask until there is an answer, or a reason to stop."""
        deadline = time.monotonic() + self.settings.deadline_seconds
        for attempt in range(1, self.settings.attempts + 1):
            self._check()
            seconds = min(self.settings.timeout_seconds, deadline - time.monotonic())
            outcome = self._attempt(body, seconds)
            if isinstance(outcome, Fault):
                self._learn_refused(outcome, body)
            self._learn_from(outcome)
            if isinstance(outcome, Answer):
                return outcome
            pause = _choose_pause(attempt, outcome.wait)
            if attempt == self.settings.attempts or time.monotonic() + pause >= deadline:
                raise self._give_up(outcome, attempt)
            self._ledger.count("retries")
            self._sleep(pause)
        raise AssertionError("unreachable: there is at least one attempt")

    def _learn_from(self, outcome: Answer | Fault) -> None:
        """Learn from an outcome about the server; raises unless another attempt may help."""
        if isinstance(outcome, Fault) and outcome.unreachable:
            if not self._was_reached:
                raise self._stop_unreachable(outcome)
            return
        self._was_reached = True
        if isinstance(outcome, Answer) or outcome.reach == "question":
            with self._lock:
                self._n_unanswered = 0
        if isinstance(outcome, Answer):
            return
        if outcome.reach == "run":
            raise self._stop(SetupError(outcome.line))
        if outcome.reach == "question":
            refusal = TooLongError if outcome.too_long else RefusedError
            raise refusal(f"{self._endpoint.name} refuses this question ({outcome.line})")

    def _stop_unreachable(self, fault: Fault) -> UserError:
        return self._stop(
            SetupError(
                f"nothing answers at {self._endpoint.name} ({fault.line}); start the server "
                "or correct the base URL"
            )
        )

    def _give_up(self, fault: Fault, attempts: int) -> Exception:
        """What to raise for a question that found no answer."""
        line = f"no answer from {self._endpoint.name} in {attempts} attempts (last: {fault.line})"
        with self._lock:
            self._n_unanswered += 1
            is_gone = self._n_unanswered >= GIVE_UP_AFTER
            self._is_given_up = self._is_given_up or (is_gone and self._stop_error is None)
        if not is_gone:
            return HarnessError(line)
        return self._stop(
            SetupError(
                f"{line}, {GIVE_UP_AFTER} questions in a row; check the server and run the same "
                "command again to resume"
            )
        )

    def _attempt(self, body: dict[str, Any], seconds: float) -> Answer | Fault:
        """One request. An outcome is a value: no exception could carry the key out of here."""
        if seconds <= 0:
            return Fault("no time left")
        reply = self._exchange(body, seconds)
        if isinstance(reply, Fault):
            return reply
        try:
            # Through JSON once more: the key may have been escaped in the reply.
            text = json.dumps(json.loads(reply))
            return read_answer(json.loads(self._endpoint.scrub(text)))
        except json.JSONDecodeError:
            return Fault("a reply that is no JSON")
        except (ValueError, RecursionError) as error:
            return Fault(self._endpoint.quote(str(error)))

    def _exchange(self, body: dict[str, Any], seconds: float) -> bytes | Fault:
        return self._read_reply(lambda: self._wire.post("/chat/completions", body, seconds))

    def _read_reply(self, request: Callable[[], Reply]) -> bytes | Fault:
        """The body of a reply, or why there is none."""
        try:
            reply = request()
        except Exception as error:  # of the HTTP library, whichever that is
            return classify_exception(error, self._endpoint)
        if 200 <= reply.status < 300:
            return reply.body
        if reply.status == _NOT_IMPLEMENTED:
            return Fault(f"HTTP {reply.status}", "question")
        return classify_status(reply.status, reply.headers, reply.body, self._endpoint)

    def _ask_facts(self) -> dict[str, Any] | None:
        """What ``/models`` says of the model; ``None`` where no reply came about.

        Some servers fill in the time of the request as ``created``. One that is near to now is
        looked at twice, and left out where it has moved.
        """
        facts = self._list_facts()
        if not facts or not may_be_request_time(facts):
            return facts
        self._stopped.wait(_NEXT_SECOND)
        later = self._list_facts()
        return None if later is None else merge_facts(facts, later)

    def _list_facts(self) -> dict[str, Any] | None:
        for attempt in range(1, _LIST_ATTEMPTS + 1):
            reply = self._read_reply(lambda: self._wire.get("/models", _LIST_SECONDS))
            if isinstance(reply, bytes):
                return self._read_facts(reply)
            if reply.unreachable:
                raise self._stop_unreachable(reply)
            if reply.reach != "attempt":
                return {}
            if attempt < _LIST_ATTEMPTS:
                self._sleep(_choose_pause(attempt, reply.wait))
        return None

    def _read_facts(self, reply: bytes) -> dict[str, Any]:
        try:
            listing = json.loads(self._endpoint.scrub(json.dumps(json.loads(reply))))
        except (ValueError, RecursionError):
            return {}
        return read_served_facts(listing, self.settings.model)


def _choose_pause(attempt: int, wait: float) -> float:
    """Seconds before the next attempt: doubling, scattered, and never less than asked for."""
    pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    return wait + pause * random.uniform(0.5, 1.0)


def _endpoint(settings: ChatSettings) -> Endpoint:
    key = os.environ.get(settings.key_variable, "").strip() or None
    if key is None and settings.endpoint_kind == "openai":
        raise SetupError(
            f"OpenAI needs a key: set the environment variable {settings.key_variable}"
        )
    if key is not None and not (key.isascii() and key.isprintable()):
        raise SetupError(
            f"${settings.key_variable} contains characters that a key cannot have; set it again"
        )
    url = settings.base_url or OPENAI_URL
    return Endpoint(url, settings.model, settings.key_variable, key)


def _price(settings: ChatSettings) -> tuple[float, float] | None:
    price = (settings.prices or {}).get(settings.model)
    if price is None and settings.endpoint_kind == "openai":
        price = PRICES.get(settings.model)
    if price is None and settings.max_cost is not None:
        raise SetupError(
            f"a cost limit needs the price of {settings.model!r}, which is not known here; "
            "leave --max-cost out"
        )
    return price
