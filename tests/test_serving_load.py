"""Many episodes at once from several processes, a third of whose calls go wrong first."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import serve

LOAD = serve.Load(episodes=24, at_once=12, clients=4, faults=0.3)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_mixed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "KILLS_EVERY", 10.0)
    for name in serve.NAMES:
        (tmp_path / f"{name}.py").write_text((serve.CHARTS / f"{name}.py").read_text())
    expected, _ = serve.play_in_process(tmp_path, LOAD)
    found, _, _ = serve.play_through_service(tmp_path, LOAD)
    same, unmeasured, other = serve.compare(expected, found)
    assert other == 0
    assert same + unmeasured == LOAD.episodes
    assert same >= LOAD.episodes / 3, "the renderer was killed, but not all the time"
    titles = {outcome["result"]["code"] for outcome in found.values() if outcome["result"]["code"]}
    assert len(titles) >= same, "every episode is another"
