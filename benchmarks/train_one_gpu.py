"""What training takes on one card of 80 GB: memory, tokens a second, seconds by phase, resuming.

``python benchmarks/train_one_gpu.py --out one_gpu.json`` needs one GPU, at most nine minutes, the
extras ``train`` and ``judge``, and nothing from outside. ``SIZE=tiny`` goes the same way with a
tiny model, without a GPU, too; its figures mean nothing.

Real are the loop, the tokens, the embedded judge, the rewards, TRL's trainer with LoRA and gradient
checkpointing, checkpoints, and transformers' generation. Made up are the weights (random, of the
size of Qwen2.5-VL-7B), the pictures, what code draws (one of these pictures), and what the model
says: at every turn it reads all conversations and writes a few tokens, whose memory and time count;
then a script's words take their place, so that turns, tokens and pictures are as wanted. So the
seconds of ``generate`` within rollouts are those of reading; writing has parts of its own. A larger
card is used up to the size of one of 80 GB.

The file is written anew after each part, and holds what there is even where a later part failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from benchmarks.made_up import (
        SIZES,
        has_card,
        make_model,
        make_picture,
        make_processor,
        make_world,
    )
    from benchmarks.watched_training import RANK, Found, Session, Watched, clear_card, gib, now
    from rrvf.agent import STOP, Episode
    from rrvf.files import write_atomically
    from training.chat_tokens import ChatTokens, Tokens
    from training.generation import generate, model_inputs
    from training.memory import CARD, GIB, MODELS, Plan, activations, cache_of_token
    from training.records import describe_environment
except ImportError as error:
    raise SystemExit(f"train_one_gpu: {error}: pip install 'rrvf[train,judge]'") from error

NEEDED = ("torch", "torchvision", "transformers", "trl", "peft", "accelerate", "datasets")


# --------------------------------------------------------------------------------- the card


def limit_card() -> float:
    """Use no more than a card of 80 GB has; returns GiB that may be used."""
    if not has_card():
        return 0.0
    cuda = importlib.import_module("torch").cuda
    total = cuda.get_device_properties(0).total_memory / GIB
    cuda.set_per_process_memory_fraction(min(1.0, CARD / total))
    return round(min(CARD, total), 1)


# -------------------------------------------------------------------------------- the parts


def measure_model(session: Session) -> Found:
    """Making it."""
    began = now()
    model = make_model(session.size, session.processor)
    return {
        "make_seconds": round(now() - began, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "computed_parameters_7b": MODELS["7B"].total,
        "kept_gib": gib("memory_allocated"),
        "computed_weights_7b_gib": round(2 * MODELS["7B"].total / GIB, 2),
    }


def measure_attention(session: Session) -> Found:
    """Calls of attention in one forward pass of a conversation with a picture of 640 x 480."""
    torch: Any = importlib.import_module("torch")
    model = make_model(session.size, session.processor).eval()
    device = SimpleNamespace(device=model.device)
    trainer = SimpleNamespace(model=model, accelerator=device, processing_class=session.processor)
    inputs = model_inputs(trainer, [ask(session, make_picture(0, 640, 480))])
    plain, inside = torch.nn.functional.scaled_dot_product_attention, [0.0]
    calls, seconds = {"vision": 0, "language": 0}, {"forward": 0.0, "vision": 0.0}

    def counted(*values: Any, **named: Any) -> Any:
        calls["vision" if inside[0] else "language"] += 1
        return plain(*values, **named)

    def enter(*_: Any) -> None:
        inside[0] = now()

    def leave(*_: Any) -> None:
        seconds["vision"], inside[0] = now() - inside[0], 0.0

    model.model.visual.register_forward_pre_hook(enter)
    model.model.visual.register_forward_hook(leave)
    for _ in range(2):  # the first warms up
        calls.update(vision=0, language=0)
        began = now()
        with (
            mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", counted),
            torch.no_grad(),
        ):
            model(**inputs, logits_to_keep=1)
        seconds["forward"] = now() - began
    total = calls["vision"] + calls["language"]
    return {
        "picture": [640, 480],
        "tokens": int(inputs["input_ids"].shape[1]),
        "calls": total,
        **{f"{name}_calls": number for name, number in calls.items()},
        "vision_share_of_calls": round(calls["vision"] / total, 4),
        **{f"{name}_ms": round(1000 * value, 1) for name, value in seconds.items()},
    }


def ask(session: Session, png: bytes) -> Tokens:
    """The first question of an episode about a picture."""
    episode = Episode("", "", png, make_world([png]).settings)
    return ChatTokens(session.processor).prompt(episode.messages())


def measure_turns(session: Session, turns: int) -> Found:
    """A step of training with episodes of so many turns."""
    name = f"turns_{turns}"
    watched = session.train(name, turns, 1, save=turns == 1)
    if turns == 1:
        session.first = watched
    return describe_run(watched)


def describe_run(watched: Watched) -> Found:
    """Tokens, memory and seconds of a run's last step, beside what is computed for them.

    Raises:
        RuntimeError: A reward could not be measured.
    """
    log = [entry for entry in watched.trainer.state.log_history if "reward" in entry][-1]
    if log["unscored"]:
        raise RuntimeError(f"{log['unscored']:.0%} of the rewards could not be measured")
    seconds = _pick(log, "seconds/")
    memory = {name: log.get(f"memory_gib/{name}", 0.0) for name in seconds}
    tokens, pictures, model = max(watched.tokens), max(watched.pictures), MODELS["7B"]
    plan = Plan(model="7B", rank=RANK, gpus=1, stage=0, tokens=tokens, pictures=pictures)
    cache = len(watched.tokens) * tokens * cache_of_token(model)
    computed = {
        "activations_gib": activations(model, tokens, pictures, vision=False) / GIB,
        "states_gib": plan.parts()[0],
        "plan_gib": plan.on_gpu(),
        "rollouts_weights_and_cache_gib": (2 * model.total + cache) / GIB,
    }
    update = dict(watched.update)
    update["working_gib"] = round(update["backward_peak_gib"] - update["kept_before_gib"], 2)
    return {
        "turns": log.get("turns"),
        "conversations": len(watched.tokens),
        "tokens": tokens,
        "prompt_tokens": watched.prompt_tokens,
        "pictures": pictures,
        "update": update,
        "rollouts_peak_gib": round(max(memory.values()), 2),
        "computed_7b": {name: round(value, 2) for name, value in computed.items()},
        "seconds_by_phase": {name: round(value, 2) for name, value in seconds.items()},
        "memory_gib_by_phase": {name: round(value, 2) for name, value in memory.items()},
        **{name: log.get(name) for name in ("loss", "grad_norm", "reward", "reward_std_in_groups")},
    }


def _pick(log: Mapping[str, Any], prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): float(value)
        for name, value in log.items()
        if name.startswith(prefix)
    }


def measure_generation(session: Session, conversations: int) -> Found:
    """Tokens a second by transformers, with the trainer of the run of one turn.

    Raises:
        RuntimeError: That run failed.
    """
    if session.first is None:
        raise RuntimeError("there is no trainer: the run of one turn failed or was left out")
    trainer, chat = session.first.trainer, ChatTokens(session.processor)
    trainer.model.train()
    prompts = [ask(session, png) for png in session.pictures()]
    prompts = [prompts[number % len(prompts)] for number in range(conversations)]
    clear_card()

    def write(n_tokens: int) -> tuple[int, float]:
        trainer.generation_config.max_new_tokens = n_tokens
        began = now()
        replies = generate(trainer, chat, prompts, STOP)
        return sum(len(reply.ids) for reply in replies), now() - began

    write(1)  # the first warms up
    _, reading = write(1)
    written, seconds = write(session.size.new_tokens)
    return {
        "conversations": conversations,
        "prompt_tokens": max(len(prompt.ids) for prompt in prompts),
        "tokens": written,
        "reading_seconds": round(reading, 3),
        "generation_seconds": round(seconds, 3),
        "tokens_per_second": round(written / seconds, 1),
        "tokens_per_second_after_reading": round(written / max(seconds - reading, 1e-3), 1),
        "peak_gib": gib("max_memory_allocated"),
    }


def measure_resuming(session: Session) -> Found:
    """Going on from the checkpoint of the run of one turn, for a second step.

    Raises:
        RuntimeError: There is none.
    """
    from training.checkpoints import find_checkpoint

    first, session.first = session.first, None
    checkpoint = find_checkpoint(session.folder / "turns_1")
    if first is None or checkpoint is None:
        raise RuntimeError("there is no checkpoint: the run of one turn failed or was left out")
    steps, weights = first.steps, first.weights[-1]
    del first
    size = sum(path.stat().st_size for path in checkpoint.rglob("*") if path.is_file())
    watched = session.train("turns_1", 1, 2, save=True)
    logged = [entry["step"] for entry in watched.trainer.state.log_history if "reward" in entry]
    return {
        "checkpoint": checkpoint.name,
        "checkpoint_gb": round(size / 1e9, 3),
        "computed_checkpoint_7b_gb": round(Plan(model="7B", rank=RANK).checkpoint(), 3),
        "steps_before": steps,
        "steps_after": watched.steps,
        "steps_in_log": logged,
        "weights_as_saved": abs(watched.weights[0] - weights) <= 1e-9 * weights,
        "second_step": describe_run(watched),
    }


# ------------------------------------------------------------------------------- the report


class Report:
    """The file, written anew after each part.

    Args:
        path: Of the file.
        minutes: After which no part is begun.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self._path, self._limit, self._began = path, 60 * minutes, time.monotonic()
        self._longest = 0.0
        self.content: Found = {"minutes": minutes}
        self.parts: dict[str, Found] = {}

    def write(self) -> None:
        """Keep what is known."""
        seconds = round(time.monotonic() - self._began, 1)
        content = {**self.content, "seconds": seconds, "parts": self.parts}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, (json.dumps(content, indent=2) + "\n").encode())

    def measure(self, name: str, part: Callable[[], Found]) -> None:
        """One part; what it raises is told, and does not end the others."""
        began = time.monotonic()
        clear_card()
        kept = gib("memory_allocated")
        if began - self._began + self._longest > self._limit:
            self.parts[name] = {"skipped": "not enough time was left"}
        else:
            try:
                self.parts[name] = part()
            except Exception as error:
                traceback.print_exc()
                line = " ".join(str(error).split())[:500]
                self.parts[name] = {"error": f"{type(error).__name__}: {line}"}
        seconds = time.monotonic() - began
        self._longest = max(self._longest, seconds)
        self.parts[name] |= {"gib_at_start": kept, "seconds": round(seconds, 1)}
        for key, value in self.parts[name].items():
            print(f"{name:14} {key}: {value}", flush=True)
        self.write()


def require_packages() -> None:
    """Training's packages are there, before anything is measured.

    Raises:
        SystemExit: One is missing; in one line.
    """
    for name in (*NEEDED, "skimage"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise SystemExit(
                f"train_one_gpu: {name} is missing: pip install 'rrvf[train,judge]' ({error})"
            ) from error


def main() -> int:
    """Measure everything; 1 where a part failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("one_gpu.json"), metavar="FILE")
    parser.add_argument("--minutes", type=float, default=9.0, help="no part is begun after these")
    options = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    warnings.simplefilter("ignore", FutureWarning)
    report = Report(options.out, options.minutes)
    require_packages()
    name = os.environ.get("SIZE") or ("7B" if has_card() else "tiny")
    if name not in SIZES:
        raise SystemExit(f"train_one_gpu: SIZE={name}; give one of {', '.join(SIZES)}")
    environment = describe_environment()
    report.content |= {
        "size": name,
        "card": environment["gpu"] or "none",
        "card_limit_gib": limit_card(),
        "python": platform.python_version(),
        "environment": environment,
    }
    for key, value in report.content.items():
        print(f"{key}: {value}", flush=True)
    with tempfile.TemporaryDirectory(prefix="train_one_gpu") as folder:
        session = Session(SIZES[name], Path(folder), make_processor(SIZES[name].side))
        report.measure("model", lambda: measure_model(session))
        report.measure("attention", lambda: measure_attention(session))
        report.measure("turns_1", lambda: measure_turns(session, 1))
        report.measure("generation_8", lambda: measure_generation(session, 8))
        report.measure("generation_32", lambda: measure_generation(session, 32))
        report.measure("resuming", lambda: measure_resuming(session))
        report.measure("turns_3", lambda: measure_turns(session, 3))
        report.measure("turns_5", lambda: measure_turns(session, 5))
    return int(any("error" in part for part in report.parts.values()))


if __name__ == "__main__":
    sys.exit(main())
