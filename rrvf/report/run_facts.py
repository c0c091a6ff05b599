"""What a training run is, in a few lines for a person, from its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrvf.report.columns import LABELS
from rrvf.report.values import Json, clip, count_of, mapping, number

_SETTINGS = {
    "images_only": "images only",
    "with_reference": "images with their reference code",
}


def run_facts(card: Mapping[str, Any]) -> list[Json]:
    """Name, text and whether it is a warning, in the order of reading; what is unknown is left out.

    Args:
        card: ``run_card.json``.
    """
    data, world = mapping(card.get("data")), mapping(card.get("world"))
    facts = [
        ("Model", _model(card), False),
        ("Trained on", _part(mapping(data.get("train"))) or _conversations(data), False),
        ("Held out", _part(mapping(data.get("held_out"))), False),
        ("Test items", *_test_items(data)),
        ("Judge", _judge(world) if world else None, False),
        ("Teacher", _teacher(world) if world else None, False),
        ("Rollouts", _rollouts(card), False),
        ("Updates", _updates(mapping(card.get("trl"))), False),
        ("Seeds", _seeds(card), False),
    ]
    return [{"name": name, "text": clip(text), "warn": warn} for name, text, warn in facts if text]


def reward_sentence(card: Mapping[str, Any]) -> str | None:
    """What the reward is, in plain words; ``None`` where the card does not tell."""
    rewards = mapping(card.get("rewards"))
    weights = [number(rewards.get(f"{part}_weight")) for part in ("vision", "format", "tool")]
    mix = {name: number(weight) for name, weight in mapping(rewards.get("vision")).items()}
    if None in weights or not mix:
        return None
    vision, form, tool = (_figure(weight) for weight in weights)
    return clip(
        f"The reward of an episode is {vision} × R_vision + {form} × R_format + {tool} × R_tool. "
        f"R_vision, 0 to 1, is {_vision(mix, mapping(card.get('world')))} of the final answer, as "
        f"evaluation scores it. R_format is 0 at best and −1 at worst: "
        f"{_figure(rewards.get('structure_penalty'))} is taken off where the structure is not the "
        f"protocol's, {_figure(rewards.get('running_penalty'))} where no final code runs. "
        f"{_tool(rewards)} An episode that could not be scored through a fault of ours earns "
        "nothing, not 0: it takes no part in its group.",
        text=2_000,
    )


def _vision(mix: Mapping[str, Any], world: Mapping[str, Any]) -> str:
    names = {name: LABELS.get(name, name) for name in mix}
    if "gpt" in names:
        names["gpt"] = f"the rating by the judge {world.get('judge') or ''}".strip()
    if len(mix) == 1:
        scorer = next(iter(mix))
        return names[scorer] if scorer == "gpt" else f"the score {names[scorer]}"
    if len(set(mix.values())) == 1:
        *before, last = names.values()
        return f"the mean of the scores {', '.join(before)} and {last}"
    terms = ", ".join(f"{names[name]} × {_figure(weight)}" for name, weight in mix.items())
    return f"the weighted mean of {terms}"


def _tool(rewards: Mapping[str, Any]) -> str:
    cap, gate = number(rewards.get("tool_cap")), number(rewards.get("tool_gate"))
    calls = (
        "R_tool is 1 for at least one tool call whose code rendered, else 0"
        if cap in (None, 1)
        else f"R_tool is the number of tool calls whose code rendered, up to {cap}, over {cap}"
    )
    return calls + ("." if gate is None else f"; it needs an R_vision above {_figure(gate)}.")


def _figure(value: Any) -> str:
    figure = number(value)
    return "?" if figure is None else f"{figure:g}"


def _model(card: Mapping[str, Any]) -> str | None:
    run = mapping(card.get("run"))
    if not run.get("model"):
        return None
    rank = number(run.get("lora_rank"))
    how = f"LoRA of rank {rank}" if rank else "all weights"
    return f"{run['model']} · {how}" + (", vision tower frozen" if run.get("freeze_vision") else "")


def _part(part: Mapping[str, Any]) -> str | None:
    if not part:
        return None
    setting = part.get("setting")
    texts = [
        part.get("source"),
        _SETTINGS.get(setting, setting) if isinstance(setting, str) else None,
        count_of(part["n"], "sample") if number(part.get("n")) is not None else None,
    ]
    return " · ".join(str(text) for text in texts if text)


def _conversations(data: Mapping[str, Any]) -> str | None:
    """What supervised fine-tuning learns from, where it is no set of samples."""
    name, n = data.get("conversations"), number(data.get("n_train"))
    return (
        f"{name}" + (f" · {count_of(n, 'conversation')}" if n is not None else "") if name else None
    )


def _test_items(data: Mapping[str, Any]) -> tuple[str | None, bool]:
    in_training = mapping(data.get("train")).get("test_items")
    in_held_out = mapping(data.get("held_out")).get("test_items")
    if in_training is True:
        return "Benchmark test items are in the training data: its scores there tell nothing", True
    if in_training is not False:
        return None, False
    remark = "; the held-out samples are test items" if in_held_out is True else ""
    return f"none in the training data{remark}", False


def _judge(world: Mapping[str, Any]) -> str:
    if not world.get("judge"):
        return "none"
    return f"{world['judge']} · rubric {world.get('judge_rubric')}"


def _teacher(world: Mapping[str, Any]) -> str:
    return str(world.get("teacher") or "none: the rendering speaks for itself")


def _rollouts(card: Mapping[str, Any]) -> str | None:
    trl, world = mapping(card.get("trl")), mapping(card.get("world"))
    if number(trl.get("num_generations")) is None:
        return None
    texts = [f"{trl['num_generations']} a sample"]
    if number(world.get("max_turns")) is not None:
        texts.append(f"up to {count_of(world['max_turns'], 'turn')}")
    texts.append(f"temperature {_figure(trl.get('temperature'))}")
    return " · ".join(texts)


def _updates(trl: Mapping[str, Any]) -> str | None:
    if not trl:
        return None
    texts = [f"learning rate {_figure(trl.get('learning_rate'))}"]
    if trl.get("loss_type"):
        texts.append(f"loss {trl['loss_type']}")
    if number(trl.get("beta")) is not None:
        texts.append(f"KL weight {_figure(trl['beta'])}")
    if number(trl.get("generation_batch_size")) is not None:
        texts.append(f"{trl['generation_batch_size']} rollouts a batch")
    return " · ".join(texts)


def _seeds(card: Mapping[str, Any]) -> str | None:
    trl, data = mapping(card.get("trl")), mapping(card.get("data"))
    order = trl.get("data_seed")
    seeds = {
        "training": trl.get("seed"),
        "order of data": trl.get("seed") if order is None else order,
        "held-out split": data.get("split_seed"),
        "generated data": mapping(data.get("train")).get("seed"),
    }
    texts = [f"{name} {seed}" for name, seed in seeds.items() if number(seed) is not None]
    return " · ".join(texts) or None
