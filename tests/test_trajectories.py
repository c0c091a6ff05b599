"""The episodes of a run on disk: a line is read when it is asked for, a torn one passed over."""

from __future__ import annotations

from pathlib import Path

from rrvf.episodes import TRAJECTORIES, Trajectories
from rrvf.trajectories import Completion, Observation, Trajectory, Turn
from tests.episodes import png


def episode(sample_id: str, color: str = "red") -> Trajectory:
    seen = Observation("ok", "fine", "code", png(color))
    called = Turn(Completion("call", "stop"), "call", observations=(seen,))
    return Trajectory(sample_id, (called, Turn(Completion("x", "stop"), "answer")), "answered", "x")


def test_an_episode_is_found_again_with_its_pictures(tmp_path: Path) -> None:
    kept = Trajectories(tmp_path)
    for name in ("a", "b"):
        kept.add(episode(name), f"key of {name}")
    again = Trajectories(tmp_path)
    assert again.find("a", "key of a") == episode("a")
    assert again.find("b", "key of b") == episode("b")
    assert again.find("b", "another key") is None
    assert again.find("c", "key of c") is None


def test_the_last_line_of_a_sample_counts(tmp_path: Path) -> None:
    kept = Trajectories(tmp_path)
    kept.add(episode("a"), "key")
    kept.add(episode("a", "blue"), "key")
    assert Trajectories(tmp_path).find("a", "key") == episode("a", "blue")


def test_a_torn_line_harms_neither_the_one_before_nor_the_one_after(tmp_path: Path) -> None:
    Trajectories(tmp_path).add(episode("a"), "key")
    with (tmp_path / TRAJECTORIES).open("a") as lines:
        lines.write('{"sample_id": "b", "tu')
    Trajectories(tmp_path).add(episode("c"), "key")
    again = Trajectories(tmp_path)
    assert again.find("a", "key") == episode("a")
    assert again.find("b", "key") is None
    assert again.find("c", "key") == episode("c")


def test_an_episode_whose_pictures_are_gone_is_played_again(tmp_path: Path) -> None:
    Trajectories(tmp_path).add(episode("a"), "key")
    (picture,) = (tmp_path / "renderings").iterdir()
    picture.unlink()
    assert Trajectories(tmp_path).find("a", "key") is None
