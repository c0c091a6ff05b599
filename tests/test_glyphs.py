"""Texts that no font can write: said by the run, its report and doctor, for charts and pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rrvf.renderers import glyphs
from rrvf.renderers.glyphs import find_unwritable, list_unwritable
from tests.runs import lines_of, rrvf_here

CHART = """import matplotlib.pyplot as plt
plt.bar(["a", "b"], [1, 2])
plt.title("{}")
plt.savefig("chart.pdf")
"""


@pytest.fixture
def only_dejavu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fonts but those that come with matplotlib."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(glyphs, "FONT_FOLDERS", ())
    monkeypatch.setattr(glyphs, "has_glyphs", glyphs.has_glyphs.__wrapped__)


@pytest.mark.usefixtures("only_dejavu")
@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("Sales 2024", ()),
        ("Größe, Ширина, Ύψος, עברית, عربي", ()),
        ("销售额", ("Chinese",)),
        ("売り上げ", ("Chinese", "Japanese")),
        ("매출", ("Korean",)),
        ("ยอดขาย", ("Thai",)),
        ("Growth \U0001f680", ("emoji",)),
    ],
)
def test_scripts_that_dejavu_cannot_write(text: str, scripts: tuple[str, ...]) -> None:
    assert find_unwritable(["a", text], "chart") == scripts


@pytest.mark.usefixtures("only_dejavu")
def test_a_page_without_fonts_can_write_nothing() -> None:
    assert list_unwritable("page") == tuple(glyphs.SCRIPTS)
    assert "Hebrew" not in list_unwritable("chart")
    assert "Chinese" in list_unwritable("chart")


def test_the_run_its_report_and_doctor_name_scripts_without_glyphs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    missing = list_unwritable("chart")
    if "Korean" not in missing:
        pytest.skip("this machine has a font for Korean")
    data = tmp_path / "data"
    data.mkdir()
    given = {"latin": "Sales", "korean": "매출", "noted": "Sales # 매출"}
    rows: list[str] = []
    for name, title in given.items():
        (data / f"{name}.py").write_text(CHART.format(title.partition(" #")[0]), "utf-8")
        code = CHART.format("Sales" if name != "korean" else "지출") + title.partition("Sales")[2]
        rows.append(json.dumps({"id": name, "prediction": f"```python\n{code}\n```"}) + "\n")
    (tmp_path / "answers.jsonl").write_text("".join(rows))
    done = rrvf_here(
        *("score", "chartmimic", "--data", data, "--predictions", tmp_path / "answers.jsonl"),
        *("--out", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    told = "1 item holds characters that no font has here (Korean)"
    assert told in done.stdout
    assert told in (tmp_path / "out" / "report.html").read_text("utf-8")
    tags = {
        name: line["tags"].get("no_glyphs") for name, line in lines_of(tmp_path / "out").items()
    }
    assert tags == {"latin": None, "korean": "Korean", "noted": None}, "a comment is no text"
    said = rrvf_here("doctor").stdout
    assert f"no glyphs for {', '.join(missing)}" in " ".join(said.split())
