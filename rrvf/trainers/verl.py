"""verl: our tool, our reward and our data set for its agent loop, through ``rrvf serve``.

verl's processes draw nothing. The service answers each call of the tool. A finished conversation is
sent to the service, and its reward is that of evaluation. Written for verl 0.9.

* :class:`RenderTool` is named in the tool configuration;
* :class:`RenderAgentLoop` is verl's own loop that also keeps the model's text, turn by turn;
* :func:`compute_score` is the custom reward function;
* ``python -m rrvf.trainers.verl`` writes the data set.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image
from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from rrvf.errors import HarnessError, RrvfError
from rrvf.render_tool import CHART_TOOL, PAGE_TOOL
from rrvf.serving.client import EnvironmentClient
from rrvf.written_calls import read_native

AGENT = "rrvf_agent"
COMPLETIONS = "rrvf_completions"
"""Where a conversation keeps what the model wrote, turn by turn."""

_log = logging.getLogger(__name__)

# Without special tokens, what verl decodes has the roles of the chat template as lines.
_TOLD = re.compile(
    r"\s*(?:user|tool)\n(?:<tool_response>.*?</tool_response>\s*)+assistant\n", re.DOTALL
)


class RenderTool(BaseTool):
    """Renders code by the service, and answers by what differs and by the picture.

    Args:
        config: ``service``, its address; ``language``, ``python`` for charts or ``html`` for pages;
            ``token_variable``, where the service needs a token.
        tool_schema: Only where the tool shall be described otherwise.
    """

    def __init__(self, config: dict[str, Any], tool_schema: Any = None) -> None:
        self._tool = PAGE_TOOL if config.get("language") == "html" else CHART_TOOL
        self._samples: dict[str, str] = {}
        super().__init__(config, tool_schema)

    def get_openai_tool_schema(self) -> Any:
        """The tool of the loop, as the model is told of it."""
        return OpenAIFunctionToolSchema.model_validate(self._tool.schema())

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, Any]:
        """Begin a call; ``create_kwargs`` names the sample."""
        name, response = await super().create(instance_id)
        self._samples[name] = kwargs["create_kwargs"]["sample"]
        return name, response

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[Any, float, dict[str, Any]]:
        """Render the code of a call.

        Returns:
            Text and picture; 0, because the reward is the whole episode's; how it went.
        """
        code, problem = self._tool.code_of(read_native(self._tool.name, json.dumps(parameters)))
        if code is None:
            return ToolResponse(text=f"---Error:\n{problem}"), 0.0, {"status": "no_code"}
        client = _connect(self.config["service"], self.config.get("token_variable"))
        sample = self._samples[instance_id]
        try:
            view = await asyncio.to_thread(client.observe, sample, code)
        except RrvfError as error:  # of ours: the model is told that, and its episode not spoilt
            _log.warning("rendering for %s failed: %s", sample, error)
            return ToolResponse(text="---Error:\nthe renderer failed; call again"), 0.0, {}
        return to_response(view), 0.0, {"status": view["status"]}

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        """Forget a call."""
        self._samples.pop(instance_id, None)


def to_response(view: Mapping[str, Any]) -> Any:
    """What the service answers a call by, as verl takes it."""
    texts = [part["text"] for part in view["content"] if part["type"] == "text"]
    urls = [part["image_url"]["url"] for part in view["content"] if part["type"] == "image_url"]
    pictures = {"image": [to_picture(url) for url in urls]} if urls else {}
    return ToolResponse(text="\n".join(texts), **pictures)


def to_picture(url: str) -> Image.Image:
    """The picture in a ``data:`` address."""
    data = base64.b64decode(url.partition(",")[2])
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert("RGB")


@register(AGENT)
class RenderAgentLoop(ToolAgentLoop):
    """verl's loop; besides, every completion is kept as it was written, for the reward."""

    async def _handle_generating_state(self, agent_data: Any, *args: Any, **kwargs: Any) -> Any:
        state = await super()._handle_generating_state(agent_data, *args, **kwargs)
        text = self.tokenizer.decode(agent_data.response_ids, skip_special_tokens=True)
        agent_data.extra_fields.setdefault(COMPLETIONS, []).append(text)
        return state


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any],
    *,
    service: str,
    token_variable: str | None = None,
    unscored: float = 0.0,
    **_: Any,
) -> dict[str, float]:
    """The reward of a conversation, and its parts as further figures.

    Args:
        data_source: Unused.
        solution_str: The conversation after its prompt, decoded; read where the loop kept no
            completions.
        ground_truth: Unused: the service has the references.
        extra_info: ``sample``, and what :class:`RenderAgentLoop` kept.
        service: Address of the service.
        token_variable: Environment variable with its token.
        unscored: The reward of what could not be measured, for which verl knows no word. The
            figure ``unscored`` is then 1; watch its mean.
    """
    completions = extra_info.get(COMPLETIONS) or split_turns(solution_str)
    try:
        client = _connect(service, token_variable)
        outcome = client.reward(extra_info["sample"], list(completions))
    except HarnessError as error:
        _log.warning("no reward for %s: %s", extra_info["sample"], error)
        return _to_figures({}, unscored)
    if outcome["reward"]["total"] is None:
        _log.warning("no reward for %s: %s", extra_info["sample"], outcome["reward"]["reason"])
    return _to_figures(outcome["reward"], unscored)


def _to_figures(reward: Mapping[str, Any], unscored: float) -> dict[str, float]:
    parts = {name: reward.get(name) or 0.0 for name in ("vision", "format", "tool")}
    total = reward.get("total")
    score = unscored if total is None else total
    return {"score": score, "unscored": float(total is None), **parts}


def split_turns(text: str) -> list[str]:
    """What the model wrote, turn by turn, from a conversation that verl has decoded."""
    return _TOLD.split(text)


@cache
def _connect(service: str, token_variable: str | None) -> EnvironmentClient:
    """One client a process: it may be used from many threads."""
    token = None if token_variable is None else os.environ[token_variable]
    return EnvironmentClient(service, token=token)


# ---------------------------------------------------------------------------------- the data


def build_rows(client: EnvironmentClient, source: str = "rrvf") -> Iterator[dict[str, Any]]:
    """Every sample of a service as a row of verl's data set.

    Yields:
        ``prompt`` with ``<image>`` where the target's picture stands, ``images`` as PNG, and in
        ``extra_info`` the sample, for the tool and for the reward.
    """
    for number, sample in enumerate(client.list_samples()):
        play = client.begin(sample)
        play.drop()
        if play.is_over:
            _log.warning("%s left out: %s", sample, play.outcome["reward"]["reason"])
            continue
        pictures: list[dict[str, bytes]] = []
        prompt = [_to_row_message(message, pictures) for message in play.messages]
        tools = {
            tool.name: {"create_kwargs": {"sample": sample}} for tool in (CHART_TOOL, PAGE_TOOL)
        }
        yield {
            "data_source": source,
            "agent_name": AGENT,
            "prompt": prompt,
            "images": pictures,
            "reward_model": {"style": "rule", "ground_truth": ""},
            "extra_info": {
                "index": number,
                "sample": sample,
                "need_tools_kwargs": True,
                "tools_kwargs": tools,
            },
        }


def _to_row_message(message: Mapping[str, Any], pictures: list[dict[str, bytes]]) -> dict[str, str]:
    if isinstance(message["content"], str):
        return {"role": message["role"], "content": message["content"]}
    texts: list[str] = []
    for part in message["content"]:
        if part["type"] == "text":
            texts.append(part["text"])
        else:
            url = part["image_url"]["url"]
            pictures.append({"bytes": base64.b64decode(url.partition(",")[2])})
            texts.append("<image>")
    return {"role": message["role"], "content": "".join(texts)}


def write_data(client: EnvironmentClient, path: Path, source: str = "rrvf") -> int:
    """Write the data set as parquet; returns its number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = list(build_rows(client, source))
    pq.write_table(pa.Table.from_pylist(rows), path)
    return len(rows)


def main() -> None:
    """The command that writes the data set."""
    parser = argparse.ArgumentParser(description="Write the samples of a service as verl's data.")
    parser.add_argument("--service", required=True, help="Its address.")
    parser.add_argument("--token-variable", help="Environment variable with its token.")
    parser.add_argument("--out", type=Path, required=True, help="The parquet file.")
    options = parser.parse_args()
    n_rows = write_data(_connect(options.service, options.token_variable), options.out)
    print(f"{options.out}: {n_rows} rows")


if __name__ == "__main__":
    main()
