"""The scorers as pure functions: properties, and colours against independent sources."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.errors import UserError
from rrvf.scorers import SCORERS
from rrvf.scorers.color import ciede2000, lab, match_colors, similarities, thin_colors
from rrvf.scorers.layout import graph_rule
from rrvf.scorers.matching import match_multisets
from rrvf.scorers.scorer import find_scorers, score_each
from rrvf.types import Color, Drawing, Elements, LayoutCell, Score

HEX = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06X}")
VALUES = st.one_of(HEX, st.sampled_from(["viridis", "plasma", "Blues"]))
COLORS = st.lists(st.builds(Color, st.sampled_from(["bar", "line", "pie"]), VALUES), max_size=8)
CELLS = st.builds(LayoutCell, *[st.integers(0, 3)] * 6)
ELEMENTS = st.builds(
    Elements,
    texts=st.lists(st.text(max_size=5), max_size=8).map(tuple),
    chart_types=st.dictionaries(st.sampled_from(["bar", "plot"]), st.integers(1, 4)),
    colors=COLORS.map(lambda colors: tuple(dict.fromkeys(colors))),
    layout=st.lists(CELLS, max_size=4).map(tuple),
    n_axes=st.integers(0, 4),
)


def drawn(elements: Elements) -> Drawing:
    return Drawing("ok", complete=True, elements=elements)


# ------------------------------------------------------------------------------ any scorer


@given(ELEMENTS)
def test_a_drawing_equals_itself_in_fixed_mode(elements: Elements) -> None:
    scores = score_each(SCORERS, drawn(elements), drawn(elements), "fixed")
    assert {name: pytest.approx(1.0) for name in SCORERS} == {
        name: score.value for name, score in scores.items()
    }


@given(ELEMENTS, ELEMENTS)
def test_values_lie_between_0_and_1_and_are_f1(first: Elements, second: Elements) -> None:
    for mode in ("official", "fixed"):
        scores = score_each(SCORERS, drawn(first), drawn(second), mode)
        for name, score in scores.items():
            assert score.value is not None
            assert 0.0 <= score.value <= 1.0 + 1e-12
            if name != "execution":
                p, r = score.details["precision"], score.details["recall"]
                assert score.value == pytest.approx(2 * p * r / (p + r) if p + r else 0.0)


@given(ELEMENTS, ELEMENTS)
def test_swapping_the_sides_swaps_precision_and_recall(first: Elements, second: Elements) -> None:
    there = score_each(SCORERS, drawn(first), drawn(second), "official")
    back = score_each(SCORERS, drawn(second), drawn(first), "official")
    for name in ("text", "type", "color", "layout"):
        assert there[name].details["precision"] == pytest.approx(back[name].details["recall"])


def test_empty_sides_are_worth_nothing_officially_and_everything_in_fixed_mode() -> None:
    empty = drawn(Elements())
    full = drawn(Elements(("a",), {"bar": 1}, (Color("bar", "#000000"),), (LayoutCell(*[0] * 6),)))
    for name in ("text", "type", "color", "layout"):
        scorer = SCORERS[name]
        assert scorer(empty, empty, "official").value == 0.0
        assert scorer(empty, empty, "fixed").value == 1.0
        assert scorer(full, empty, "fixed").value == 0.0
        assert scorer(empty, full, "fixed").value == 0.0


def test_whose_fault_it_is() -> None:
    good = drawn(Elements(("a",)))
    unfinished = Drawing("ok", complete=False)
    assert values(good, Drawing("timeout")) == dict.fromkeys(SCORERS, 0.0)
    assert values(good, Drawing("harness_error")) == dict.fromkeys(SCORERS)
    for target in (None, unfinished, Drawing("code_error")):
        assert values(target, good) == {**dict.fromkeys(SCORERS), "execution": 1.0}
        assert values(target, Drawing("code_error")) == {**dict.fromkeys(SCORERS), "execution": 0.0}


def values(target: Drawing | None, drawing: Drawing) -> dict[str, float | None]:
    scores = score_each(SCORERS, target, drawing, "official")
    return {name: score.value for name, score in scores.items()}


def test_scorers_are_found_by_name_and_by_dotted_path() -> None:
    assert list(find_scorers(["text", "rrvf.scorers.text:score_text"], SCORERS)) == [
        "text",
        "rrvf.scorers.text:score_text",
    ]
    with pytest.raises(UserError, match=r"'colour'.*Did you mean color\?"):
        find_scorers(["colour"], SCORERS)
    with pytest.raises(UserError, match="cannot be imported"):
        find_scorers(["no.such.module:thing"], SCORERS)


NO_SCORES: dict[str, tuple[Any, str]] = {
    "raises": (lambda *_: 1 / 0, r"own failed: ZeroDivisionError: division by zero \(.*py:\d+\)"),
    "a number": (lambda *_: 0.5, "own failed: TypeError: must return rrvf.types.Score, not float"),
    "nothing": (lambda *_: None, "must return rrvf.types.Score, not NoneType"),
    "no number": (lambda *_: Score(float("nan")), "a finite number or None, not nan"),
    "no JSON": (lambda *_: Score(1.0, {"at": {1, 2}}), "own failed: TypeError: .*serializable"),
    "gives up": (lambda *_: Score.unscored("not today"), "^not today$"),
}


@pytest.mark.parametrize("kind", NO_SCORES)
def test_a_scorer_that_fails_leaves_the_others_alone(kind: str) -> None:
    scorer, reason = NO_SCORES[kind]
    good = drawn(Elements(("a",)))
    scores = score_each({"own": scorer, **SCORERS}, good, good, "official")
    assert scores["own"].value is None
    assert re.search(reason, scores["own"].details["reason"])
    assert scores["text"].value == 1.0


def test_a_scorer_that_cannot_work_here_ends_the_run() -> None:
    def lacks(*_: object) -> Score:
        raise UserError("install something")

    good = drawn(Elements(("a",)))
    with pytest.raises(UserError, match="install something"):
        score_each({"own": lacks}, good, good, "official")


def test_unscored_is_not_zero() -> None:
    assert Score.unscored("judge down").value is None
    assert Score.failed().value == 0.0


# ------------------------------------------------------------------------------- matching


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_multisets_are_matched(reference: list[str], generated: list[str]) -> None:
    matched, missing, extra = match_multisets(reference, generated)
    common = Counter(reference) & Counter(generated)
    assert Counter(matched) == common
    assert Counter(missing) == Counter(reference) - common
    assert Counter(extra) == Counter(generated) - common


def test_text_by_hand() -> None:
    target, drawing = drawn(Elements(("a", "b", "b", "c"))), drawn(Elements(("b", "b", "x")))
    score = SCORERS["text"](target, drawing, "official")
    assert score.details["precision"] == pytest.approx(2 / 3)
    assert score.details["recall"] == pytest.approx(2 / 4)
    assert score.value == pytest.approx(4 / 7)
    assert (score.details["missing"], score.details["extra"]) == (["a", "c"], ["x"])


def test_type_by_hand() -> None:
    target, drawing = (
        drawn(Elements(chart_types={"bar": 3})),
        drawn(Elements(chart_types={"bar": 1, "plot": 1})),
    )
    score = SCORERS["type"](target, drawing, "official")
    assert (score.details["precision"], score.details["recall"]) == (1 / 2, 1 / 3)


def test_the_graph_rule_never_meets_a_real_cell() -> None:
    cell = LayoutCell(1, 1, 0, 0, 0, 0)
    graph = drawn(Elements(layout=graph_rule(Elements(layout=(cell,), n_axes=1)), n_axes=1))
    answer = drawn(Elements(layout=(cell,), n_axes=1))
    assert SCORERS["layout"](graph, answer, "official").value == 0.0


# --------------------------------------------------------------------------------- colours


@pytest.mark.filterwarnings("ignore")  # colormath's source has invalid escapes
@given(st.lists(HEX, min_size=1, max_size=6), st.lists(HEX, min_size=1, max_size=6))
def test_ciede2000_equals_colormath(first: list[str], second: list[str]) -> None:
    ours = ciede2000(lab(first)[:, None, :], lab(second)[None, :, :])
    for (i, one), (j, other) in itertools.product(enumerate(first), enumerate(second)):
        assert ours[i, j] == pytest.approx(colormath_distance(one, other), abs=1e-9)


def colormath_distance(first: str, second: str) -> float:
    from colormath.color_conversions import convert_color
    from colormath.color_diff_matrix import delta_e_cie2000
    from colormath.color_objects import LabColor, sRGBColor

    one, other = (
        np.array(convert_color(sRGBColor.new_from_rgb_hex(c), LabColor).get_value_tuple())
        for c in (first, second)
    )
    return float(delta_e_cie2000(one, np.array([other]))[0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # pairs 1, 4, 9, 17, 25, 28 of Sharma, Wu, Dalal (2005), table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ],
)
def test_ciede2000_equals_the_published_examples(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-4)


@given(COLORS.map(lambda c: c[:5]), COLORS.map(lambda c: c[:5]))
def test_the_assignment_is_as_good_as_every_permutation(
    reference: list[Color], generated: list[Color]
) -> None:
    pairs, missing, extra = match_colors(reference, generated)
    total = sum(pair["similarity"] for pair in pairs)
    assert total == pytest.approx(best_by_permutations(reference, generated))
    assert len(pairs) + len(missing) == len(reference)
    assert len(pairs) + len(extra) == len(generated)


def best_by_permutations(reference: list[Color], generated: list[Color]) -> float:
    total = 0.0
    for role in {color.role for color in (*reference, *generated)}:
        ours = [color.value for color in reference if color.role == role]
        theirs = [color.value for color in generated if color.role == role]
        shorter, longer = sorted((ours, theirs), key=len)
        table = similarities(shorter, longer)
        total += max(
            sum(table[i, j] for i, j in enumerate(columns))
            for columns in itertools.permutations(range(len(longer)), len(shorter))
        )
    return total


def test_colours_and_colour_maps_are_never_alike() -> None:
    table = similarities(["#FF0000", "viridis"], ["#ff0000".upper(), "viridis", "plasma"])
    assert table.tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_an_alpha_channel_is_not_looked_at() -> None:
    assert similarities(["#FF000080"], ["#FF0000"]).tolist() == [[1.0]]


def test_more_than_ten_colours_are_thinned_in_drawing_order() -> None:
    reds = [Color("bar", f"#{255 - i:02X}0000") for i in range(11)]
    blue = Color("bar", "#0000FF")
    assert thin_colors(reds[:10]) == reds[:10]
    assert thin_colors([*reds, blue]) == [reds[0], blue]
    assert thin_colors([blue, *reds]) == [blue, reds[0]]


def test_roles_are_not_mixed() -> None:
    pairs, missing, extra = match_colors([Color("bar", "#FF0000")], [Color("line", "#FF0000")])
    assert (pairs, missing, extra) == ([], [Color("bar", "#FF0000")], [Color("line", "#FF0000")])
