"""A checkpoint is known by what is in its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rrvf.checkpoints import EDGE, checkpoint_key
from rrvf.errors import DataError

HEADER = {"w": {"dtype": "U8", "shape": [3 * EDGE], "data_offsets": [0, 3 * EDGE]}}


def shard(path: Path, header: object = HEADER, weights: bytes = bytes(3 * EDGE)) -> None:
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + weights)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"hidden_size": 8}')
    (model / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    for name in ("model-1.safetensors", "model-2.safetensors"):
        shard(model / name)
    return model


def weights_at(place: int) -> Callable[[Path], None]:
    changed = bytearray(3 * EDGE)
    changed[place] = 1
    return lambda folder: shard(folder / "model-2.safetensors", weights=bytes(changed))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: (f / "config.json").write_text("{}"), id="config"),
        pytest.param(lambda f: (f / "model.safetensors.index.json").write_text("{}"), id="index"),
        pytest.param(lambda f: (f / "generation_config.json").write_text("{}"), id="sampling"),
        pytest.param(lambda f: (f / "chat_template.jinja").write_text("x"), id="template"),
        pytest.param(lambda f: shard(f / "model-1.safetensors", {}), id="header"),
        pytest.param(weights_at(0), id="the first byte"),
        pytest.param(weights_at(EDGE - 1), id="the last of the first MiB"),
        pytest.param(weights_at(2 * EDGE), id="the first of the last MiB"),
        pytest.param(weights_at(3 * EDGE - 1), id="the last byte"),
        pytest.param(lambda f: shard(f / "model-2.safetensors", weights=b""), id="size"),
        pytest.param(lambda f: (f / "model-2.safetensors").unlink(), id="a shard less"),
        pytest.param(lambda f: (f / "adapter_model.bin").write_bytes(b"x"), id="an adapter"),
        pytest.param(lambda f: (f / "model-2.safetensors").write_bytes(b"\xff" * 9), id="none"),
    ],
)
def test_whatever_may_change_answers_counts(folder: Path, change: Callable[[Path], object]) -> None:
    before = checkpoint_key(folder)
    change(folder)
    assert checkpoint_key(folder) != before


def test_neither_place_nor_date_nor_the_state_of_training_counts(folder: Path) -> None:
    before = checkpoint_key(folder)
    moved = folder.with_name("moved")
    shutil.copytree(folder, moved, copy_function=shutil.copyfile)
    (moved / "trainer_state.json").write_text("{}")
    (moved / "optimizer.pt").write_bytes(b"x")
    (moved / "README.md").write_text("x")
    assert checkpoint_key(moved) == before


def test_a_huge_file_is_not_read_whole(folder: Path) -> None:
    """A hole of a terabyte: reading it would not end."""
    with (folder / "model-3.bin").open("wb") as file:
        file.truncate(2**40)
    assert checkpoint_key(folder) != checkpoint_key(folder.parent)


def test_a_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(DataError, match="no checkpoint to read: Permission denied"):
        checkpoint_key(folder)
