"""The run of 91 real answers that is kept in the results: scored again, it is what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrvf.submission import compare
from tests.runs import rrvf_here

PROJECT = Path(__file__).resolve().parents[1]
KEPT = PROJECT / "results" / "chartmimic" / "gpt-4v" / "v1-91"
ANSWERS = PROJECT.parent / "shared" / "data" / "chartmimic_v1"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_kept_run_scores_the_same_again(tmp_path: Path) -> None:
    if not ANSWERS.is_dir():
        pytest.skip("needs the 91 answers and their data in ../shared/data/chartmimic_v1")
    out = tmp_path / "again"
    done = rrvf_here(
        *("score", "chartmimic", "--data", ANSWERS / "golden", "--pictures", "none"),
        *("--predictions", ANSWERS / "predictions.jsonl", "--out", out),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    verdict = compare(KEPT, out)
    assert verdict.n_samples == 91
    assert verdict.differences == ()
    # The packages that draw may be others here; matplotlib is the one that moves scores.
    assert not any("matplotlib " in line for line in verdict.environment)
