"""The environment runs the data sets' own scripts, with calls that newer releases dropped."""

from __future__ import annotations

from pathlib import Path

from tests.runs import fenced, lines_of, plot, rrvf_here, values, write_data

SAVE = "\nplt.savefig('o.pdf')"
SCORERS = ("execution", "text", "layout", "type", "color")
CALLS = {
    "applymap": 'pd.DataFrame({"a": [1, 2]}).applymap(lambda value: value * 2)',
    "filled": 'pd.Series([1.0, None]).fillna(method="ffill")',
    "months": 'pd.date_range("2024-01-01", periods=3, freq="M")',
    "float_of_array": "float(np.array([4.0]))",
    "in_one_dimension": "np.in1d([1], [1, 2])",
    "trapezoids": "np.trapz([1, 2])",
}
"""Dropped by pandas 3 the first three, by numpy 2.4 the others."""


def test_calls_of_the_data_sets_scripts_run(tmp_path: Path) -> None:
    scripts = {
        name: plot(name, f"import numpy as np\nimport pandas as pd\n{call}") + SAVE
        for name, call in CALLS.items()
    }
    data = write_data(tmp_path, scripts, {name: fenced(code) for name, code in scripts.items()})
    done = rrvf_here("score", "chartmimic", *data, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    results = lines_of(tmp_path / "out")
    assert set(results) == set(CALLS)
    for result in results.values():
        assert values(result) == dict.fromkeys(SCORERS, 1.0), result["error"]
