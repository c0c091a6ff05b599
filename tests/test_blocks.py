"""The text block scorers: by hand, by their properties, and against a plain search."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from rrvf.scorers import blocks
from rrvf.scorers.blocks import (
    Block,
    match_blocks,
    ratio_to,
    score_block_match,
    score_color,
    score_position,
    score_text,
)
from rrvf.types import PageRendering, TextBlock

SCORERS = (score_block_match, score_text, score_position, score_color)
WIDTH, HEIGHT = 1000, 500
BLACK = "#000000"
PARTS = [
    "sign in", "sign", "in now", "about us", "about", "us", "alpha", "beta", "alpha beta",
    "read the news", "read", "the news", "x", "Ünïcode 中文", "price 12", "price",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    blocks._match_recorded_pages.cache_clear()
    yield
    blocks._match_recorded_pages.cache_clear()


def page(*texts: TextBlock, width: int = WIDTH, height: int = HEIGHT) -> PageRendering:
    return PageRendering("ok", width=width, height=height, blocks=texts)


def at(
    text: str,
    x: float = 0,
    y: float = 0,
    width: float = 100,
    height: float = 50,
    color: str = BLACK,
) -> TextBlock:
    return TextBlock(text, x, y, width, height, color)


def column(texts: Sequence[str]) -> PageRendering:
    """Texts below each other, 10 px each."""
    return page(*[at(text, y=10 * i, height=10) for i, text in enumerate(texts)], height=5000)


def values(target: PageRendering, other: PageRendering) -> list[float]:
    found = [scorer(target, other).value for scorer in SCORERS]
    return [value for value in found if value is not None]


# ------------------------------------------------------------------------------------- by hand


def test_block_match_is_matched_area_over_all_area() -> None:
    target = page(at("hello", width=100, height=50), at("quick", y=100, width=200, height=50))
    other = page(at("HELLO", width=80, height=50), at("zzzz", y=100, width=30, height=10))
    score = score_block_match(target, other)
    # matched 5000 + 4000, missing 10000, extra 300 square pixels, on pages of the same size
    assert score.value == pytest.approx(9000 / 19300)
    assert score.details["missing"] == ["quick"]
    assert score.details["extra"] == ["zzzz"]
    counts = [score.details[f"n_{what}"] for what in ("matched", "missing", "extra")]
    assert counts == [1, 1, 1]


def test_areas_are_shares_of_each_page() -> None:
    target = page(at("hello"), at("quick"), width=1000, height=500)
    other = page(at("hello"), width=1000, height=1000)
    # 1 % of the page matched with 0.5 %; the two of the target stand in the same place
    assert score_block_match(target, other).value == pytest.approx(1.0)
    apart = page(at("hello"), at("quick", y=200), width=1000, height=500)
    assert score_block_match(apart, other).value == pytest.approx(0.015 / 0.025)


def test_text_is_the_ratio_of_the_pairs_in_lower_case() -> None:
    score = score_text(page(at("ABCD"), at("same", y=90)), page(at("abxd"), at("Same", y=90)))
    assert score.value == pytest.approx((0.75 + 1.0) / 2)  # three of four letters on both sides
    worst = score.details["pairs"][0]
    assert (worst["reference"], worst["rendering"]) == ({"text": "abcd"}, {"text": "abxd"})
    assert worst["similarity"] == pytest.approx(0.75)


def test_position_is_the_larger_distance_of_the_centres() -> None:
    target = page(at("hello", x=100, y=100, width=100, height=50))  # centre 15 %, 25 %
    other = page(at("hello", x=300, y=100, width=200, height=50))  # centre 40 %, 25 %
    assert score_position(target, other).value == pytest.approx(0.75)
    taller = page(at("hello", x=100, y=100, width=100, height=50), height=1000)  # 15 %, 12.5 %
    assert score_position(target, taller).value == pytest.approx(0.875)


def test_color_is_one_less_a_hundredth_of_the_difference() -> None:
    target = page(at("first"), at("second", y=100))
    other = page(at("first", color="#FFFFFF"), at("second", y=100))
    score = score_color(target, other)
    assert score.value == pytest.approx((0.0 + 1.0) / 2, abs=1e-4)  # black and white are 100 apart
    shown = score.details["pairs"][0]
    assert shown["reference"] == {"text": "first", "color": "#000000"}
    assert shown["rendering"] == {"text": "first", "color": "#FFFFFF"}


def test_red_and_blue_are_53_apart() -> None:
    # CIEDE2000 of sRGB red and blue as published by several calculators: 52.88
    target, other = page(at("word", color="#FF0000")), page(at("word", color="#0000FF"))
    assert score_color(target, other).value == pytest.approx(0.4712, abs=2e-4)


def test_pairs_less_than_half_alike_are_dropped() -> None:
    assert values(page(at("abcd")), page(at("abxy"))) == pytest.approx([1, 0.5, 1, 1])
    assert values(page(at("abcd")), page(at("axyz"))) == [0, 0, 0, 0]


def test_a_text_in_two_nodes_is_one_after_merging() -> None:
    target = page(at("Sign in now", x=10, width=90, color="#202020"))
    halves = (
        at("sign in", x=10, width=50, color="#101010"),
        at("now", x=70, width=30, color="#313131"),
    )
    for first, second in ((target, page(*halves)), (page(*halves), target)):
        assert values(first, second) == pytest.approx([1.0, 1.0, 1.0, 1.0])
    pair = score_color(target, page(*halves)).details["pairs"][0]
    assert pair["rendering"] == {"text": "sign in now", "color": "#202020"}  # (16 + 49) // 2 = 32


def test_no_merge_without_a_better_best_pair() -> None:
    # "alpha beta" of the merge would be worse than the perfect pair it takes apart
    score = score_block_match(page(at("alpha"), at("beta", y=90)), page(at("alpha")))
    assert score.details["missing"] == ["beta"]


def test_blocks_in_the_same_box_are_one() -> None:
    target = page(at("left right", color="#808080"))
    other = page(at("left", color="#7F7F7F"), at("right", color="#818181"))
    assert values(target, other) == pytest.approx([1, 1, 1, 1])


# ----------------------------------------------------------------------------------- properties

BOXES = st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2)
TEXTS = st.one_of(st.sampled_from(PARTS), st.text(min_size=1, max_size=6))
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06X}")
BLOCKS = st.builds(lambda text, box, color: TextBlock(text, *box, color), TEXTS, BOXES, COLOURS)
PAGES = st.lists(BLOCKS, max_size=7).map(lambda found: page(*found, width=100, height=100))


@given(PAGES, PAGES)
@settings(deadline=None)
def test_values_lie_between_0_and_1(target: PageRendering, other: PageRendering) -> None:
    for value in values(target, other):
        assert 0.0 <= value <= 1.0 + 1e-12
    assert len(values(target, other)) == 4


@given(PAGES)
@example(column(["a", "b", "a", "b"]))
def test_a_page_equals_itself(target: PageRendering) -> None:
    assert values(target, target) == pytest.approx([1, 1, 1, 1])


def test_two_pages_without_text_are_equal_and_one_is_worth_nothing() -> None:
    assert values(page(), page(height=900)) == [1, 1, 1, 1]
    assert values(page(at("hello")), page()) == [0, 0, 0, 0]
    assert values(page(), page(at("hello"))) == [0, 0, 0, 0]


def test_order_does_not_matter_where_texts_are_unlike() -> None:
    texts = ["aaaa", "bbbb", "cccc", "dddd", "eeee"]
    target = column(texts)
    for seed in range(5):
        shuffled = random.Random(seed).sample(target.blocks, len(texts))
        assert values(target, page(*shuffled, height=5000)) == pytest.approx([1, 1, 1, 1])


GRADED: dict[str, tuple[int, Callable[[int], Sequence[TextBlock]]]] = {
    "parts left out": (0, lambda n: [at(t, y=60 * i) for i, t in enumerate(PARTS[6:12])][n:]),
    "letters changed": (1, lambda n: [at("w" * n + "abcdefghijklmnop"[n:])]),
    "moved": (2, lambda n: [at("hello", x=50 * n)]),
    "paler": (3, lambda n: [at("hello", color=f"#{30 * n:02X}" + f"{30 * n:02X}" * 2)]),
}


@pytest.mark.parametrize("change", GRADED)
def test_more_change_scores_less(change: str) -> None:
    place, changed = GRADED[change]
    found = [values(page(*changed(0)), page(*changed(n)))[place] for n in range(5)]
    assert found[0] == pytest.approx(1.0)
    assert all(first > second for first, second in pairwise(found))


# --------------------------------------------------------------------------- limits and reports


def test_blocks_beyond_the_limits_count_as_unmatched(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["aaaa", "bbbb", "cccc", "dddd"]
    other = page(*column(texts).blocks, at("zz", x=900), height=5000)
    monkeypatch.setattr(blocks, "MAX_BLOCKS", 3)
    score = score_block_match(column(texts), other)
    assert (score.details["missing"], sorted(score.details["extra"])) == (["dddd"], ["dddd", "zz"])

    blocks._match_recorded_pages.cache_clear()
    monkeypatch.setattr(blocks, "MAX_CHARACTERS", 10)
    target = column(["aaaa", "bbbb", "ccxx"])
    assert score_text(target, page(*target.blocks[:2], height=5000)).value == 1.0
    pairs = score_text(target, other).details["pairs"]  # the last one is cut to "cc" on both sides
    assert ("cc", "cc") in [(p["reference"]["text"], p["rendering"]["text"]) for p in pairs]


def test_too_many_blocks_are_not_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    target, other = page(at("sign in now")), page(at("sign in"), at("now", x=300))
    monkeypatch.setattr(blocks, "MAX_MERGED_BLOCKS", 1)
    assert score_block_match(target, other).details["extra"] == ["now"]


def test_huge_pages_are_served_and_reports_stay_short() -> None:
    target = column([f"{i} " + "word " * 400 for i in range(300)])
    other = column(["word " * 50_000, *(["\0"] * 400), "\ud800"])
    for first, second in ((target, other), (other, target)):
        for scorer in SCORERS:
            details = scorer(first, second).details
            assert len(details.get("pairs", details.get("missing"))) <= blocks.MAX_LISTED
            assert len(str(details)) < 60_000


# ---------------------------------------------------------------------------------- the search


@given(*[st.text("ab c", min_size=1, max_size=40)] * 2)
@example("a b", "b a")
def test_ratio_is_difflibs(first: str, second: str) -> None:
    for one, other in ((first, second), (first * 9, second * 9), (first, second * 9)):
        assert ratio_to(other)(one) == SequenceMatcher(None, one, other).ratio()


def test_ratio_is_difflibs_for_words() -> None:
    chance = random.Random(0)
    for _ in range(500):
        one, other = (" ".join(chance.choices(PARTS, k=chance.randrange(1, 25))) for _ in "ab")
        assert ratio_to(other)(one) == SequenceMatcher(None, one, other).ratio()


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=6),
       st.lists(st.sampled_from(PARTS), min_size=1, max_size=6))  # fmt: skip
@settings(deadline=None)
def test_merges_and_pairs_are_those_of_a_plain_search(ours: list[str], theirs: list[str]) -> None:
    same_as_plain_search(ours, theirs)


def test_pairs_are_those_of_a_plain_search_where_texts_are_much_alike() -> None:
    for seed in range(150):
        chance = random.Random(seed)
        lengths = [chance.randrange(1, 9) for _ in range(16)]
        texts = ["".join(chance.choices("abcd ", k=n)).strip() or "e" for n in lengths]
        same_as_plain_search(texts[:8], texts[8:])


def same_as_plain_search(ours: list[str], theirs: list[str]) -> None:
    sides = [[_block(text) for text in texts] for texts in (ours, theirs)]
    found = match_blocks(*sides, "official")
    expected = plain_search(theirs, ours)
    assert [(pair.rendering.text, pair.reference.text) for pair in found.pairs] == expected[0]
    assert [block.text for block in found.extra_blocks] == expected[1]
    assert [block.text for block in found.missing_blocks] == expected[2]


def _block(text: str) -> Block:
    return Block(text.lower(), 0, 0, 1, 1, (0, 0, 0))


Matched = list[tuple[str, str]]


def plain_search(rows: list[str], columns: list[str]) -> tuple[Matched, list[str], list[str]]:
    """What the documents say, without memory, bounds or shortcuts."""
    rows, columns = [text.lower() for text in rows], [text.lower() for text in columns]
    changed = True
    while changed:
        rows, rows_changed = swept(rows, lambda some, rest=columns: plain_table(some, rest))
        columns, changed = swept(columns, lambda some, rest=rows: plain_table(rest, some))
        changed = changed or rows_changed
    table = plain_table(rows, columns)
    kept = [
        (i, j)
        for i, j in zip(*linear_sum_assignment(-in_context(table)), strict=True)
        if table[i, j] >= 0.5
    ]
    extra = [text for i, text in enumerate(rows) if i not in [row for row, _ in kept]]
    missing = [text for j, text in enumerate(columns) if j not in [column for _, column in kept]]
    return [(rows[i], columns[j]) for i, j in kept], extra, missing


def swept(texts: list[str], table: Callable[[list[str]], np.ndarray]) -> tuple[list[str], bool]:
    before = best_similarities(table(texts))
    gains: dict[int, float] = {}
    for i in range(len(texts) - 1):
        joined = [*texts[:i], f"{texts[i]} {texts[i + 1]}", *texts[i + 2 :]]
        gone, new = list(before), []
        for value in best_similarities(table(joined)):
            gone.remove(value) if value in gone else new.append(value)
        if gone and new and max(new) > max(gone):
            gains[i] = float(np.mean(new) - np.mean(gone))
    taken: set[int] = set()
    joined = list(texts)
    for i in sorted(gains, key=lambda i: -gains[i]):
        if gains[i] > 0.05 and not {i, i + 1} & taken:
            taken |= {i, i + 1}
            joined[i], joined[i + 1] = f"{texts[i]} {texts[i + 1]}", ""
    return [text for text in joined if text], bool(taken)


def plain_table(rows: list[str], columns: list[str]) -> np.ndarray:
    return np.array([[SequenceMatcher(None, r, c).ratio() for c in columns] for r in rows])


def best_similarities(table: np.ndarray) -> list[float]:
    return table[linear_sum_assignment(-table)].tolist()


def in_context(table: np.ndarray) -> np.ndarray:
    raised = table.copy()
    for i, j in zip(*np.nonzero(table > 0.5), strict=True):
        near = table[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].flatten().tolist()
        near.remove(table[i, j])
        raised[i, j] += 0.1 * sum(sorted(near)[-2:])
    return raised


# ------------------------------------------------------------------------------- the work it takes


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every pair of texts whose similarity is worked out."""
    pairs: list[tuple[str, str]] = []
    honest = blocks.ratio_to

    def counting(second: str) -> Callable[[str], float]:
        ratio = honest(second)

        def counted(first: str) -> float:
            pairs.append((first, second))
            return ratio(first)

        return counted

    monkeypatch.setattr(blocks, "ratio_to", counting)
    return pairs


def distinct_texts(number: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices("abcdefghijklmnop ", k=12)) + "." for _ in range(number)]


def test_a_good_page_costs_one_table(computed: list[tuple[str, str]]) -> None:
    n = 60
    texts = distinct_texts(n, 1)
    values(column(texts), column([*texts[:-1], "something else"]))
    # of the 118 possible merges only those with the text that has no partner need a closer look
    assert len(computed) <= n * n + 2 * n


def test_no_similarity_is_computed_twice(computed: list[tuple[str, str]]) -> None:
    n = 30
    values(column(distinct_texts(n, 1)), column(distinct_texts(n, 2)))
    assert len(computed) == len(set(computed))
    assert len(computed) < 6 * n * n  # the table, and what merges of either side would make


def test_four_scores_cost_one_matching(computed: list[tuple[str, str]]) -> None:
    target, other = column(PARTS), column(PARTS[::-1])
    score_block_match(target, other)
    after_one = len(computed)
    values(target, other)
    assert len(computed) == after_one > 0
