"""ChartMimic's own rules: what is executed, what it is compared with, what a table adds up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from rrvf.benchmarks.benchmark import compute_metrics, count_unscored
from rrvf.benchmarks.chartmimic import ChartMimic
from rrvf.errors import HarnessError
from rrvf.types import Drawing, Elements, LayoutCell, Sample, SampleResult, Score
from tests.runs import fenced

REFERENCE = """\
# ===================
# Part 2: Data Preparation
# ===================
sizes = [3, 4]

# ===================
# Part 3: Plot Configuration and Rendering
# ===================
plt.bar([1, 2], sizes)
plt.savefig("c.pdf")
"""
CELL = LayoutCell(1, 2, 0, 0, 1, 1)
LOW_LEVEL = ("text", "layout", "type", "color")
BENCHMARK = ChartMimic()


def metrics(results: Sequence[SampleResult]) -> Mapping[str, float | None]:
    return compute_metrics(BENCHMARK.columns, results)


# ------------------------------------------------------------------------ what is executed


@pytest.mark.parametrize("completion", [None, "", "prose", "```\nplt.plot()\n```", "```python"])
def test_an_answer_without_a_python_block_is_no_script(completion: str | None) -> None:
    assert BENCHMARK.script(Sample("a", REFERENCE), completion) is None
    assert BENCHMARK.script(Sample("a", REFERENCE, task="customized"), completion) is None


def test_each_mode_cuts_the_answer_by_its_own_rule() -> None:
    code = "def draw():\n    plt.plot([1])\n    plt.show()\ndraw()\nplt.savefig('x.png')\nlate()"
    script = BENCHMARK.script(Sample("a"), fenced(code))
    assert script is not None
    assert script.official == "def draw():\n    plt.plot([1])"
    assert script.fixed == "def draw():\n    plt.plot([1])\n    plt.show()\ndraw()"
    assert script.append_save, "the answer's own saving was cut off"


def test_a_direct_answer_is_given_no_data() -> None:
    script = BENCHMARK.script(Sample("a", REFERENCE), fenced("plt.plot()"))
    assert script is not None
    assert script.official == script.fixed == "plt.plot()"


def test_a_customized_answer_is_given_the_data_in_both_modes() -> None:
    script = BENCHMARK.script(Sample("a", REFERENCE, task="customized"), fenced("plt.plot(sizes)"))
    assert script is not None
    for code in (script.official, script.fixed):
        assert code is not None
        assert code.endswith("\nplt.plot(sizes)")
        assert code.index("sizes = [3, 4]") < code.index("plt.plot(sizes)")
        assert code.startswith("import ")
        assert "plt.bar" not in code


@pytest.mark.parametrize("reference", [None, "", "plt.bar([1], [2])"])
def test_a_customized_sample_without_data_cannot_be_scored(reference: str | None) -> None:
    with pytest.raises(HarnessError, match='the reference a has no "Part 2: Data Preparation"'):
        BENCHMARK.script(Sample("a", reference, task="customized"), fenced("plt.plot()"))


# ------------------------------------------------------------------- what it is compared with


DRAWN = Drawing("ok", None, True, Elements(("a",), {"bar": 1}, (), (CELL,), 3))


def sample(name: str, **tags: str) -> Sample:
    return Sample(name, REFERENCE, tags=tags)


@pytest.mark.parametrize(
    ("item", "odd"),
    [
        (sample("graph_1"), True),
        (sample("graph"), True),
        (sample("7", reference_name="graph_1"), True),
        (sample("graph_1", reference_name="bar_1"), False),
        (sample("my_graph_1"), False),
        (sample("Graph_1"), False),
        (sample("bar_1"), False),
    ],
)
def test_the_layout_of_a_graph_is_officially_read_by_another_rule(item: Sample, odd: bool) -> None:
    target = BENCHMARK.adjust_target(item, DRAWN, "official")
    if not odd:
        assert target == DRAWN
        return
    # One cell for each axes; its end lies beyond the grid, which no answer's cell can equal.
    assert target.elements.layout == (LayoutCell(1, 1, 0, 1, 0, 1),) * 3
    assert target.elements.texts == DRAWN.elements.texts
    assert (target.status, target.complete) == ("ok", True)


def test_the_fixed_mode_reads_a_graph_as_everything_else() -> None:
    assert BENCHMARK.adjust_target(sample("graph_1"), DRAWN, "fixed") == DRAWN


# ------------------------------------------------------------------------------- the table


def row(name: str, scores: Mapping[str, float | None]) -> SampleResult:
    return SampleResult(name, "ok", None, 0.0, {key: Score(v) for key, v in scores.items()})


def test_the_table_is_means_in_percent() -> None:
    rows = [
        row("a", {"execution": 1, "text": 0.5, "layout": 1, "type": 0.25, "color": 0, "gpt": 0.8}),
        row("b", {"execution": 0, "text": 0, "layout": 0, "type": 0, "color": 0, "gpt": 0}),
    ]
    assert metrics(rows) == pytest.approx(
        {
            "exec_rate": 50,
            "text": 25,
            "layout": 50,
            "type": 12.5,
            "color": 0,
            "average": 87.5 / 4,
            "gpt": 40,
            "overall": (87.5 / 4 + 40) / 2,
        }
    )


def test_the_table_has_the_columns_of_the_paper_and_an_average() -> None:
    paper = ["exec_rate", "text", "layout", "type", "color", "gpt", "overall"]
    assert [key for key in metrics([]) if key != "average"] == paper


def test_what_was_not_scored_does_not_count_as_zero() -> None:
    rows = [row("a", {"execution": 1, "text": 0.5}), row("b", {"execution": 1, "text": None})]
    assert metrics(rows)["text"] == 50.0
    assert count_unscored(rows) == {"execution": 0, "text": 1}


@pytest.mark.parametrize("missing", LOW_LEVEL)
@pytest.mark.parametrize("how", ["not asked for", "never scored"])
def test_there_is_no_average_of_fewer_than_four(missing: str, how: str) -> None:
    scores: dict[str, float | None] = {**dict.fromkeys(LOW_LEVEL, 0.5), "gpt": 0.5}
    assert metrics([row("a", scores)])["average"] == 50.0
    if how == "not asked for":
        del scores[missing]
    else:
        scores[missing] = None
    table = metrics([row("a", scores)])
    assert table[missing] is table["average"] is table["overall"] is None
    assert table["gpt"] == 50.0


def test_there_is_no_overall_without_a_judge() -> None:
    assert metrics([row("a", dict.fromkeys(LOW_LEVEL, 0.5))])["overall"] is None


def test_nothing_scored_is_no_table_of_zeros() -> None:
    assert set(metrics([]).values()) == {None}
    assert set(metrics([row("a", {"execution": None})]).values()) == {None}
