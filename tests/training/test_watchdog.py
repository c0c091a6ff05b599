"""Phases are timed, and a rank that is stuck tells what all ranks do."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest

from training.watchdog import Watchdog


def test_phases_are_timed_and_nest(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path, 0)
    with watchdog.phase("generate", "turn 1"):
        told = json.loads((tmp_path / "rank_0.json").read_text())
        assert (told["phase"], told["detail"]) == ("generate", "turn 1")
        time.sleep(0.02)
    with watchdog.phase("render"), watchdog.phase("judge"):
        pass
    assert json.loads((tmp_path / "rank_0.json").read_text())["phase"] == "training"
    take_seconds = watchdog.take_seconds()
    assert take_seconds["generate"] >= 0.02
    assert set(take_seconds) == {"generate", "render", "judge"}
    assert watchdog.take_seconds() == {}
    watchdog.close()


def test_a_rank_that_is_stuck_names_what_every_rank_waits_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Watchdog(tmp_path, 1)
    stuck = Watchdog(tmp_path, 0, patience=0.1)
    with (
        caplog.at_level(logging.WARNING, "training.watchdog"),
        other.phase("judge", "8 rollouts"),
        stuck.phase("wait", "for the other ranks' turn"),
    ):
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.01)
    stuck.close()
    other.close()
    message = caplog.records[0].getMessage()
    assert message.startswith("no progress for ")
    assert "rank 0: wait (for the other ranks' turn) for 0 s" in message
    assert "rank 1: judge (8 rollouts) for 0 s" in message


def test_a_folder_that_cannot_be_written_does_not_end_training(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path / "ranks", 0)
    (tmp_path / "ranks" / "rank_0.json").unlink()
    (tmp_path / "ranks" / "rank_0.json").mkdir()
    with watchdog.phase("generate"):
        assert watchdog.report() == ""
    watchdog.close()


def test_the_peak_of_each_phase_is_its_own(tmp_path: Path) -> None:
    peaks = iter([7, 3, 2, 9, 4])
    watchdog = Watchdog(tmp_path, 0, take_peak=lambda: next(peaks))
    # 7 in training before it, 3 in generate before the wait, 2 in that, 9 in the rest of generate.
    with watchdog.phase("generate"), watchdog.phase("wait"):
        pass
    with watchdog.phase("judge"):  # 4 in training
        peaks = iter([6])
    assert watchdog.take_peaks() == {"training": 7, "generate": 9, "wait": 2, "judge": 6}
    assert watchdog.take_peaks() == {}
    watchdog.close()


def test_without_a_gpu_no_memory_is_told(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path, 0)
    with watchdog.phase("generate"):
        pass
    assert watchdog.take_peaks() == {}
    watchdog.close()
