"""Training needs TRL and what it stands on; where that is missing its tests skip, saying so."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NEEDED = ("trl", "deepspeed", "peft", "accelerate", "datasets", "torch", "transformers")
MISSING = [name for name in NEEDED if not find_spec(name)]

collect_ignore_glob: list[str] = []
if MISSING:
    names = ("faults", "models", "one_gpu", "rollouts", "runs", "smoke")
    collect_ignore_glob = [f"test_{name}.py" for name in names]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL with random weights."""
    from training.tiny_model import build

    return build(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def processor(tiny: Path) -> Any:
    """Its processor, as training loads it."""
    from training.models import load_processor
    from training.settings import RunArguments

    return load_processor(RunArguments(model=str(tiny)))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread: sums in the same order each time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
