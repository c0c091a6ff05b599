"""A client for ``rrvf serve BENCHMARK --interface openenv``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrvf.trainers.openenv.models import RrvfAction, RrvfObservation, RrvfState
from rrvf.trainers.openenv.package import import_openenv

ANSWER_SECONDS = 900.0
"""A rendering waits for its turn, a teacher or a judge may be slow."""

_EnvClient: Any = import_openenv("env_client").EnvClient
_StepResult: Any = import_openenv("client_types").StepResult


class RrvfEnv(_EnvClient[RrvfAction, RrvfObservation, RrvfState]):
    """One session of a service; ``.sync()`` is the same without ``await``.

    ::

        with RrvfEnv("http://localhost:8300").sync() as env:
            result = env.reset(sample="bar_1")
            while not result.done:
                result = env.step(RrvfAction(text=ask_model(result.observation.messages)))
            print(result.reward, result.observation.scores)

    ``reset`` takes ``sample``, or ``index`` or ``seed``, which choose one; and ``repeat``. Without
    any, a session goes through the samples in their order. What the service refuses is raised as
    ``RuntimeError``, in one line.

    Args:
        base_url: Of the service.
        token: That it asks for.
        options: As OpenEnv's own client takes them.
    """

    def __init__(
        self, base_url: str | None = None, *, token: str | None = None, **options: Any
    ) -> None:
        headers: dict[str, str] = dict(options.pop("headers", None) or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        options.setdefault("message_timeout_s", ANSWER_SECONDS)
        options |= {"headers": headers or None}
        super().__init__(base_url, **options)  # pyright: ignore[reportUnknownMemberType]

    def _step_payload(self, action: RrvfAction) -> dict[str, Any]:
        return action.model_dump(mode="json", exclude_defaults=True)

    def _parse_result(self, payload: Mapping[str, Any]) -> Any:
        told = {"reward": payload.get("reward"), "done": payload.get("done", False)}
        observation = RrvfObservation(**payload["observation"], **told)
        return _StepResult(observation, told["reward"], told["done"], payload.get("metadata"))

    def _parse_state(self, payload: Mapping[str, Any]) -> RrvfState:
        return RrvfState(**payload)
