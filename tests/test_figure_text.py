"""Plot2Code's text score on figures written by hand; every expected value is worked out here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrvf.scorers.figure_text import SHOWN, SHOWN_CHARACTERS, score_figure_text
from rrvf.types import FigureRendering, FigureText

Placed = tuple[str, tuple[float, float] | None]


def figure(*texts: Placed, size: tuple[float, float] = (6.0, 4.0)) -> FigureRendering:
    placed = tuple(FigureText(text, position) for text, position in texts)
    return FigureRendering("ok", png=b"", texts=placed, width_inches=size[0], height_inches=size[1])


def value(left: FigureRendering, right: FigureRendering) -> float | None:
    return score_figure_text(left, right).value


A, B = ("a", (0.0, 0.0)), ("b", (0.0, 0.0))


@pytest.mark.parametrize(
    ("reference", "generated", "expected"),
    [
        ([], [], 1.0),
        ([A], [], 0.0),
        ([], [A], 0.0),
        ([A], [A], 1.0),
        ([A], [B], 0.0),
        ([A, B], [B, A], 1.0),
        ([A, B], [A], 1 / 2),
        ([A, A], [A], 1 / 2),
        ([A], [A, A, B], 1 / 3),
        ([("a", (0.0, 22.31))], [A], 1.0),  # exp(-0.2231) > 0.8 > exp(-0.2232)
        ([("a", (0.0, 22.32))], [A], 0.0),
        ([("a", (16.0, 16.0))], [A], 0.0),  # 22.6 apart
        ([("a", (15.0, 15.0))], [A], 1.0),  # 21.2 apart
    ],
)
def test_matched_over_matched_and_unmatched(
    reference: list[Placed], generated: list[Placed], expected: float
) -> None:
    assert value(figure(*reference), figure(*generated)) == expected


def test_the_first_that_is_near_is_taken_and_not_the_nearest() -> None:
    reference = figure(("a", (0.0, 0.0)), ("a", (-30.0, 0.0)))
    # The second reference text would need the one at -15, which the first has taken.
    assert value(reference, figure(("a", (-15.0, 0.0)), ("a", (0.0, 0.0)))) == 1 / 3
    assert value(reference, figure(("a", (0.0, 0.0)), ("a", (-15.0, 0.0)))) == 1.0


def test_the_order_of_the_reference_counts() -> None:
    generated = figure(("a", (-15.0, 0.0)), ("a", (0.0, 0.0)))
    assert value(figure(("a", (-30.0, 0.0)), ("a", (0.0, 0.0))), generated) == 1.0


def test_positions_of_the_answer_are_scaled_to_the_reference() -> None:
    small, large = ("a", (100.0, 100.0)), ("a", (200.0, 300.0))
    assert value(figure(small), figure(large, size=(12.0, 12.0))) == 1.0
    assert value(figure(small), figure(large, size=(12.0, 4.0))) == 0.0
    # Only the answer's are: 30 * 2 = 60 is far from 30, 30 is near 15 * 2.
    assert value(figure(("a", (30.0, 0.0)), size=(12.0, 4.0)), figure(("a", (15.0, 0.0)))) == 1.0
    assert value(figure(("a", (30.0, 0.0)), size=(12.0, 4.0)), figure(("a", (30.0, 0.0)))) == 0.0


def test_a_text_without_a_position_matches_nothing() -> None:
    assert value(figure(("a", None), A), figure(("a", None), A)) == 1 / 3


def test_a_similar_text_is_not_consumed() -> None:
    reference = figure(("tome", (0.0, 0.0)), ("time", (0.0, 0.0)))
    assert value(reference, figure(("time", (0.0, 0.0)))) == 1 / 2


def test_details_tell_what_matched() -> None:
    score = score_figure_text(figure(A, ("c", (0.0, 0.0))), figure(B, A, B))
    assert score.details == {
        "n_matched": 1,
        "n_missing": 1,
        "n_extra": 2,
        "matched": ["a"],
        "missing": ["c"],
        "extra": ["b", "b"],
    }


def test_details_are_bounded() -> None:
    score = score_figure_text(figure(), figure(*[("x" * 1000, None)] * 1000))
    assert score.details["n_extra"] == 1000
    assert score.details["extra"] == ["x" * SHOWN_CHARACTERS] * SHOWN


places = st.floats(-1e3, 1e3) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.builds(FigureText, st.sampled_from("abc"), st.none() | st.tuples(places, places))
figures = st.builds(
    FigureRendering,
    st.just("ok"),
    texts=st.lists(texts, max_size=8).map(tuple),
    width_inches=st.floats(1e-3, 1e6),
    height_inches=st.floats(1e-3, 1e6),
)


@given(figures, figures)
def test_every_text_is_counted_once(left: FigureRendering, right: FigureRendering) -> None:
    score = score_figure_text(left, right)
    counts = score.details
    assert counts["n_matched"] + counts["n_missing"] == len(left.texts)
    assert counts["n_matched"] + counts["n_extra"] == len(right.texts)
    assert score.value is not None
    assert 0 <= score.value <= 1


@given(figures)
def test_a_figure_equals_itself_where_all_texts_have_places(only: FigureRendering) -> None:
    """Scaling by 1 moves nothing, so that each text finds one of its own kind."""
    if all(text.position is not None for text in only.texts):
        alike = {text.text for text in only.texts}
        if len(alike) == len(only.texts):
            assert value(only, only) == 1.0
