"""A client of ``rrvf serve``, for any trainer; it draws nothing itself.

::

    with EnvironmentClient("http://127.0.0.1:8300") as client:
        play = client.begin("bar_1")
        while not play.is_over:
            play.step(ask_model(play.messages))
        print(play.outcome["reward"]["total"])

The client repeats whatever is lost: after a broken connection, after a response that asks to retry,
and, for a service that was restarted meanwhile, the whole episode.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from rrvf.errors import HarnessError, SetupError, UserError
from rrvf.private_ca import find_trusted

try:
    import httpx
except ImportError as error:
    raise SetupError("a client of rrvf serve needs httpx: pip install 'rrvf[client]'") from error

CLIENT_HEADER = "x-rrvf-client"
"""Names who asks; drawings are shared out by it."""

EndReason = Literal["token_budget", "time_budget", "policy_error"]
View = dict[str, Any]

_JSON = {"content-type": "application/json"}
_COME_AGAIN = (429, 502, 503, 504)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_CONNECT_SECONDS = 10.0


class GoneError(HarnessError):
    """The service does not know this episode, or not any more."""


class EnvironmentClient:
    """A connection to a service; may be used from many threads at once.

    Args:
        base_url: The address of the service, as in ``http://127.0.0.1:8300``.
        token: The token, if the service needs one.
        patience: Seconds to retry while the service does not answer or is busy.
        seconds: Limit of one answer, including the judge's and the teacher's time.
        name: The client's name; programs with the same name share one turn at drawing.

    Raises:
        UserError: The address is not valid.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        patience: float = 600.0,
        seconds: float = 900.0,
        name: str | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise UserError(
                f"{base_url!r} is not an address of a service, as in http://127.0.0.1:8300"
            )
        headers = {CLIENT_HEADER: name or uuid.uuid4().hex}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._patience = patience
        self._http = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
            verify=find_trusted(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def read_health(self) -> View:
        """The service's report on itself, ready or not."""
        return self._http.get("/health").json()

    def count(self, name: str) -> float:
        """A value of the service's metrics, summed over all labels."""
        rows = self._http.get("/metrics").text.splitlines()
        return sum(float(row.split()[-1]) for row in rows if re.match(rf"{name}[ {{]", row))

    def list_samples(self) -> list[str]:
        """The ids of all samples."""
        ids: list[str] = []
        while True:
            page = self.request("GET", f"/samples?offset={len(ids)}")
            ids += page["ids"]
            if not page["ids"] or len(ids) >= page["n"]:
                return ids

    def begin(self, sample: str, repeat: int = 0) -> RemotePlay:
        """Start an episode.

        Raises:
            UserError: There is no such sample, or the service refuses.
            HarnessError: The service does not answer.
        """
        play = RemotePlay(self, sample, repeat)
        play.begin()
        return play

    def reward(
        self, sample: str, completions: Sequence[Mapping[str, Any] | str], repeat: int = 0
    ) -> View:
        """Reward and scores of an episode whose completions are all known already.

        Raises:
            UserError, HarnessError: As :meth:`begin`.
        """
        body = {
            "sample": sample,
            "repeat": repeat,
            "completions": [to_completion(completion) for completion in completions],
        }
        return self.request("POST", "/rewards", body)

    def observe(self, sample: str, code: str) -> View:
        """The response to a tool call with some code, for loops that keep no episode.

        Returns:
            ``status``, ``text``, and ``content``: the parts of a message, a picture among them.

        Raises:
            UserError, HarnessError: As :meth:`begin`; the latter also where it cannot be drawn.
        """
        return self.request("POST", "/observations", {"sample": sample, "code": code})

    def score(self, sample: str, completion: str | None) -> View:
        """The result of one answer, as a line of ``results.jsonl`` has it.

        Raises:
            UserError, HarnessError: As :meth:`begin`.
        """
        body = {"sample": sample, "completion": completion}
        return self.request("POST", "/scores", body)["result"]

    def request(self, method: str, path: str, body: View | None = None) -> View:
        """Ask, and ask again until there is an answer.

        Raises:
            UserError: The request is wrong, or not allowed; with what the service says.
            GoneError: What it asks for is not there.
            HarnessError: Nobody answers, or the service failed.
        """
        end = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            reply, problem = self._try(method, path, body)
            if reply is not None and reply.status_code not in _COME_AGAIN:
                return _read(reply)
            if time.monotonic() >= end:
                raise HarnessError(f"{self._http.base_url}: {problem}")
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try(self, method: str, path: str, body: View | None) -> tuple[httpx.Response | None, str]:
        try:
            content = None if body is None else json.dumps(body)  # ASCII, whatever it holds
            reply = self._http.request(method, path, content=content, headers=_JSON)
        except httpx.TransportError as error:
            return None, f"no answer: {type(error).__name__}: {error}"
        return reply, f"{reply.status_code}: {_find_reason(reply)}"


@dataclass
class RemotePlay:
    """One episode at a service; belongs to one thread at a time.

    Attributes:
        client: The client of the service.
        sample: The id of the sample.
        repeat: The number of this episode among several of the same sample.
        messages: The conversation so far, in OpenAI's format; the policy continues it.
        view: The service's last response.
    """

    client: EnvironmentClient
    sample: str
    repeat: int = 0
    messages: list[View] = field(default_factory=list[View], repr=False)
    view: View = field(default_factory=dict[str, Any], repr=False)
    _id: str = ""
    _sent: list[tuple[str, View]] = field(default_factory=list[tuple[str, View]], repr=False)

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return self.view["outcome"] is not None

    @property
    def outcome(self) -> View:
        """Reward and result.

        Raises:
            ValueError: The episode is not over.
        """
        if not self.is_over:
            raise ValueError("the episode is not over")
        return self.view["outcome"]

    def begin(self) -> None:
        """Start the episode at the service, under a new id."""
        self._id = uuid.uuid4().hex
        body = {"sample": self.sample, "repeat": self.repeat}
        self.view = self.client.request("PUT", f"/episodes/{self._id}", body)
        self.messages = list(self.view["messages"])

    def step(self, completion: Mapping[str, Any] | str) -> View:
        """Send the policy's next completion.

        Args:
            completion: Its text; or ``text``, ``finish_reason``, ``tool_calls``, ``output_tokens``.

        Returns:
            The service's response.

        Raises:
            UserError, HarnessError: As :meth:`EnvironmentClient.begin`.
        """
        wire = to_completion(completion)
        return self._send("", {"completion": wire}, to_message(wire))

    def end(self, reason: EndReason, error: str | None = None) -> View:
        """End the episode, because the policy cannot continue.

        Args:
            reason: The reason.
            error: What failed, if the policy failed.

        Raises:
            UserError, HarnessError: As :meth:`EnvironmentClient.begin`.
        """
        return self._send("/end", {"reason": reason, "error": error}, None)

    def _send(self, suffix: str, body: View, message: View | None) -> View:
        self._sent.append((suffix, body))
        try:
            self.view = self._ask(len(self._sent))
        except GoneError:
            self.view = self._play_again()
        except BaseException:  # to be sent again, as the same turn
            self._sent.pop()
            raise
        self.messages += ([message] if message else []) + self.view["messages"]
        return self.view

    def _ask(self, turn: int) -> View:
        suffix, body = self._sent[turn - 1]
        return self.client.request("PUT", f"/episodes/{self._id}/turns/{turn}{suffix}", body)

    def _play_again(self) -> View:
        """After a restart of the service: send the same completions again."""
        known_messages = self.messages
        self.begin()
        self.messages = known_messages
        view = self.view
        for turn in range(1, len(self._sent) + 1):
            if view["outcome"] is not None:  # through a fault that was not there before
                break
            view = self._ask(turn)
        return view

    def drop(self) -> None:
        """Have the service forget it."""
        self.client.request("DELETE", f"/episodes/{self._id}")


def to_completion(completion: Mapping[str, Any] | str) -> View:
    """A completion as the service takes it."""
    return {"text": completion} if isinstance(completion, str) else dict(completion)


def to_message(completion: Mapping[str, Any]) -> View:
    """A completion as a message of its conversation."""
    message: View = {"role": "assistant", "content": completion.get("text", "")}
    calls: Sequence[Mapping[str, Any]] = completion.get("tool_calls") or ()
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id", ""),
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls
        ]
    return message


def _read(reply: httpx.Response) -> View:
    if reply.is_success:
        return reply.json()
    reason = f"{reply.request.url}: {_find_reason(reply)}"
    if reply.status_code == 404:
        raise GoneError(reason)
    if reply.is_client_error:
        raise UserError(reason)
    raise HarnessError(reason)


def _find_reason(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return reply.text[:200] or reply.reason_phrase
