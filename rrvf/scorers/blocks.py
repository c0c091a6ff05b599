"""Text blocks of a web page: are the same texts there, with the same wording, place and colour?

Four scorers share one matching of the reference's blocks with the page's:

* ``block_match``: area of the matched blocks over the area of all blocks, of both sides.
* ``text``: mean similarity of the matched texts (``difflib``'s ratio).
* ``position``: mean of 1 - the larger of the horizontal and vertical distance of the centres, as
  shares of each page's width and height.
* ``color``: mean of ``max(0, 1 - CIEDE2000 / 100)`` of the matched texts' colours.

Source: Design2Code (https://github.com/NoviScl/Design2Code, ``metrics/visual_score.py``). The
page's renderer finds the blocks by the rules of its mode: in ``official`` it compares recoloured
pictures, as their code does; in ``fixed`` it uses the browser's layout. The matching follows the
mode too.

``official`` gives their numbers. ``fixed`` differs in two points:

* Repeated texts are paired by place. Their code pairs them crosswise if that gives the first or
  last of them better neighbours.
* Equal pages score 1, even pages without any text. Their code gives 0 for these.

In both modes only the first ``MAX_BLOCKS`` blocks and ``MAX_CHARACTERS`` characters of a page are
compared; the blocks after them count as unmatched. If a side has more than ``MAX_MERGED_BLOCKS``
blocks, only blocks at exactly the same place are merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rrvf.scorers.assignment import solve_assignment
from rrvf.scorers.color import ciede2000, lab_of_rgb
from rrvf.types import Mode, PageRendering, Score, TextBlock

MIN_SIMILARITY = 0.5
MIN_GAIN = 0.05
CONTEXT_BONUS = 0.1
DISTANCE_COST = 1e-3
"""Of centres a whole page apart: it decides between texts that are equally similar."""
MAX_BLOCKS = 1000
MAX_CHARACTERS = 50_000
MAX_MERGED_BLOCKS = 300
MAX_LISTED = 50
MAX_LISTED_CHARACTERS = 120
AUTOJUNK_LENGTH = 200
"""From this length of the second text on, ``difflib`` overlooks frequent characters."""
ROUNDING = 1e-6

Floats = NDArray[np.float64]
Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Block:
    """A text and where it stands, in shares of the page; colour channels in 0..255."""

    text: str
    x: float
    y: float
    width: float
    height: float
    color: Rgb

    @property
    def area(self) -> float:
        """Share of the page that the box covers."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """Of the box."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Pair:
    """A block of the reference, the block of the page matched with it, and how alike they are."""

    reference: Block
    rendering: Block
    text: float
    position: float
    color: float


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs, and what is left on either side, in the order of the documents."""

    pairs: tuple[Pair, ...]
    missing_blocks: tuple[Block, ...]
    extra_blocks: tuple[Block, ...]
    mode: Mode = "fixed"

    @property
    def equally_empty(self) -> bool:
        """No text on either page, and that is counted as likeness."""
        is_empty = not (self.pairs or self.missing_blocks or self.extra_blocks)
        return is_empty and self.mode == "fixed"


# ------------------------------------------------------------------------------- the four scorers


def score_block_match(target: PageRendering, page: PageRendering) -> Score:
    """Matched area over all area; details name the missing and the extra texts, largest first."""
    matching = match_pages(target, page)
    matched_area = sum(pair.reference.area + pair.rendering.area for pair in matching.pairs)
    missing_area = sum(block.area for block in matching.missing_blocks)
    extra_area = sum(block.area for block in matching.extra_blocks)
    details: dict[str, Any] = {
        "n_matched": len(matching.pairs),
        "n_missing": len(matching.missing_blocks),
        "n_extra": len(matching.extra_blocks),
        "missing": _list_largest(matching.missing_blocks),
        "extra": _list_largest(matching.extra_blocks),
        "matched_area": matched_area,
        "missing_area": missing_area,
        "extra_area": extra_area,
    }
    sides = {"reference": list(target.remarks), "rendering": list(page.remarks)}
    details |= {"remarks": sides} if any(sides.values()) else {}
    if not matching.pairs:
        return Score(float(matching.equally_empty), details)
    return Score(matched_area / (matched_area + missing_area + extra_area), details)


def score_text(target: PageRendering, page: PageRendering) -> Score:
    """Mean similarity of the matched texts; details list the least similar pairs."""
    return _average_pairs(match_pages(target, page), lambda pair: pair.text, lambda block: {})


def score_position(target: PageRendering, page: PageRendering) -> Score:
    """Mean nearness of the matched blocks' centres; details list the farthest pairs."""
    return _average_pairs(
        match_pages(target, page),
        lambda pair: pair.position,
        lambda block: {"center": [round(share, 4) for share in block.center]},
    )


def score_color(target: PageRendering, page: PageRendering) -> Score:
    """Mean similarity of the matched texts' colours; details list the least similar pairs."""
    return _average_pairs(
        match_pages(target, page),
        lambda pair: pair.color,
        lambda block: {"color": "#{:02X}{:02X}{:02X}".format(*map(round, block.color))},
    )


def _average_pairs(
    matching: Matching, value: Callable[[Pair], float], describe: Callable[[Block], dict[str, Any]]
) -> Score:
    worst = sorted(matching.pairs, key=value)[:MAX_LISTED]
    details = {
        "n_matched": len(matching.pairs),
        "pairs": [
            {
                "reference": {"text": _shorten(pair.reference.text), **describe(pair.reference)},
                "rendering": {"text": _shorten(pair.rendering.text), **describe(pair.rendering)},
                "similarity": value(pair),
            }
            for pair in worst
        ],
    }
    if not matching.pairs:
        return Score(float(matching.equally_empty), details)
    return Score(fmean(value(pair) for pair in matching.pairs), details)


def _list_largest(blocks: Sequence[Block]) -> list[str]:
    by_area = sorted(blocks, key=lambda block: block.area, reverse=True)
    return [_shorten(block.text) for block in by_area[:MAX_LISTED]]


def _shorten(text: str) -> str:
    if len(text) <= MAX_LISTED_CHARACTERS:
        return text
    return text[: MAX_LISTED_CHARACTERS - 1] + "…"


# ---------------------------------------------------------------------------------- the matching


def match_pages(target: PageRendering, page: PageRendering) -> Matching:
    """The one matching that the four scorers look at; the latest few are remembered."""
    return _match_recorded_pages(
        (target.blocks, target.width, target.height),
        (page.blocks, page.width, page.height),
        page.mode,
    )


def list_painted_boxes(target: PageRendering, page: PageRendering) -> tuple[Boxes, Boxes]:
    """The boxes that Design2Code paints over before it compares pictures, of target and page.

    The target's are its blocks, the page's are its blocks after merging.
    """
    matching = match_pages(target, page)
    page_blocks = (*(pair.rendering for pair in matching.pairs), *matching.extra_blocks)
    target_blocks = _to_shares(target.blocks, target.width, target.height)
    ours, theirs = (
        frozenset((block.x, block.y, block.width, block.height) for block in side)
        for side in (target_blocks, page_blocks)
    )
    return ours, theirs


Boxes = frozenset[tuple[float, float, float, float]]
"""Left, top, width and height of each, in shares of the page."""

RecordedPage = tuple[tuple[TextBlock, ...], int, int]


@lru_cache(maxsize=8)
def _match_recorded_pages(target: RecordedPage, page: RecordedPage, mode: Mode) -> Matching:
    if target == page and mode == "fixed":
        return Matching(_make_pairs([(block, block, 1.0) for block in _to_shares(*target)]), (), ())
    reference, reference_rest = _split_at_limits(_to_shares(*target))
    rendering, rendering_rest = _split_at_limits(_to_shares(*page))
    if not (reference and rendering):
        return Matching((), (*reference, *reference_rest), (*rendering, *rendering_rest), mode)
    matching = match_blocks(_join_by_place(reference), _join_by_place(rendering), mode)
    return replace(
        matching,
        missing_blocks=(*matching.missing_blocks, *reference_rest),
        extra_blocks=(*matching.extra_blocks, *rendering_rest),
    )


def match_blocks(
    reference: Sequence[Block], rendering: Sequence[Block], mode: Mode = "fixed"
) -> Matching:
    """Merge neighbours where that helps, match, and drop the pairs that read too differently.

    Rows of every table are the rendering's blocks and columns the reference's: similarity is not
    symmetric, and among equally good assignments the one found depends on the order.

    Args:
        reference: In the order of the document, not empty.
        rendering: The same.
        mode: What decides between equally similar texts: neighbours officially, else the place.
    """
    similarities = Similarities()
    rows, columns = list(rendering), list(reference)
    if max(len(rows), len(columns)) <= MAX_MERGED_BLOCKS:
        rows, columns = _merge_neighbours(rows, columns, similarities)
    table = similarities.table(rows, columns)
    costs = _add_context(-table) if mode == "official" else _add_distance(-table, rows, columns)
    best = zip(*solve_assignment(costs), strict=True)
    cells = [(i, j) for i, j in best if table[i, j] >= MIN_SIMILARITY]
    used_rows, used_columns = {i for i, _ in cells}, {j for _, j in cells}
    return Matching(
        _make_pairs([(columns[j], rows[i], float(table[i, j])) for i, j in cells]),
        tuple(block for j, block in enumerate(columns) if j not in used_columns),
        tuple(block for i, block in enumerate(rows) if i not in used_rows),
        mode,
    )


def _make_pairs(matches: Sequence[tuple[Block, Block, float]]) -> tuple[Pair, ...]:
    if not matches:
        return ()
    ours = np.array([reference.color for reference, _, _ in matches])
    theirs = np.array([rendering.color for _, rendering, _ in matches])
    colors = np.maximum(0.0, 1.0 - ciede2000(lab_of_rgb(theirs), lab_of_rgb(ours)) / 100.0)
    pairs: list[Pair] = []
    for (reference, rendering, similarity), color in zip(matches, colors, strict=True):
        (x, y), (other_x, other_y) = reference.center, rendering.center
        position = max(0.0, 1.0 - max(abs(x - other_x), abs(y - other_y)))
        pairs.append(Pair(reference, rendering, similarity, position, float(color)))
    return tuple(pairs)


# ------------------------------------------------------------------------------------- the blocks


def _to_shares(recorded: Sequence[TextBlock], width: int, height: int) -> list[Block]:
    blocks: list[Block] = []
    for block in recorded:
        box = block.x / width, block.y / height, block.width / width, block.height / height
        red, green, blue = bytes.fromhex(block.color[1:])
        blocks.append(Block(block.text.strip().lower(), *box, (red, green, blue)))
    return blocks


def _split_at_limits(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """The blocks to compare, and those left out; a text across the limit is cut."""
    compared_blocks: list[Block] = []
    n_left = MAX_CHARACTERS
    for block in blocks[:MAX_BLOCKS]:
        if n_left == 0:
            break
        compared_blocks.append(
            block if len(block.text) <= n_left else replace(block, text=block.text[:n_left])
        )
        n_left -= len(compared_blocks[-1].text)
    return compared_blocks, list(blocks[len(compared_blocks) :])


def _join_by_place(blocks: Sequence[Block]) -> list[Block]:
    """Blocks in the very same box are one: texts joined, the colour halfway at every step."""
    blocks_by_box: dict[tuple[float, float, float, float], Block] = {}
    for block in blocks:
        box = block.x, block.y, block.width, block.height
        if box not in blocks_by_box:
            blocks_by_box[box] = block
            continue
        first = blocks_by_box[box]
        color = _mix_colors(lambda a, b: (a + b) / 2, first, block)
        blocks_by_box[box] = replace(first, text=f"{first.text} {block.text}", color=color)
    return list(blocks_by_box.values())


def _join_blocks(first: Block, second: Block) -> Block:
    """Two neighbours as one block."""
    left, top = min(first.x, second.x), min(first.y, second.y)
    right = max(first.x + first.width, second.x + second.width)
    bottom = max(first.y + first.height, second.y + second.height)
    color = _mix_colors(lambda a, b: (a + b) // 2, first, second)
    return Block(_join_texts(first, second), left, top, right - left, bottom - top, color)


def _join_texts(first: Block, second: Block) -> str:
    return f"{first.text} {second.text}"


def _mix_colors(mix: Callable[[float, float], float], first: Block, second: Block) -> Rgb:
    red, green, blue = (mix(*pair) for pair in zip(first.color, second.color, strict=True))
    return red, green, blue


# ------------------------------------------------------------------------------ merging neighbours


def _merge_neighbours(
    rows: list[Block], columns: list[Block], similarities: Similarities
) -> tuple[list[Block], list[Block]]:
    """Merge until nothing improves: a sweep over the rows, one over the columns, and again."""
    while True:
        before = len(rows) + len(columns)
        rows = _apply_merges(rows, _find_merges(rows, columns, similarities, axis=0))
        columns = _apply_merges(columns, _find_merges(rows, columns, similarities, axis=1))
        if len(rows) + len(columns) == before:
            return rows, columns


def _apply_merges(blocks: list[Block], merges: Sequence[int]) -> list[Block]:
    """Merge each ``i`` with ``i + 1``, best first; a block takes part in one merge only."""
    merged_blocks: dict[int, Block] = {}
    absorbed_places: set[int] = set()
    for i in merges:
        if not {i, i + 1} & (absorbed_places | merged_blocks.keys()):
            merged_blocks[i] = _join_blocks(blocks[i], blocks[i + 1])
            absorbed_places.add(i + 1)
    return [
        merged_blocks.get(i, block) for i, block in enumerate(blocks) if i not in absorbed_places
    ]


def _find_merges(
    rows: Sequence[Block], columns: Sequence[Block], similarities: Similarities, axis: int
) -> list[int]:
    """The ``i`` whose merge with ``i + 1`` improves the assignment, best first.

    Args:
        rows: The rendering's blocks.
        columns: The reference's.
        similarities: What is known of their similarity.
        axis: 0 to merge rows, 1 to merge columns.
    """
    own_blocks, other_blocks = (rows, columns) if axis == 0 else (columns, rows)
    costs = -similarities.table(rows, columns)
    current = _list_best_costs(costs)
    gains: list[tuple[float, int]] = []
    bounds = _bound_merges(own_blocks, other_blocks)
    for i in range(len(own_blocks) - 1):
        if _is_hopeless(current, _list_best_costs(_merge_costs(costs, i, next(bounds), axis))):
            continue
        text = _join_texts(own_blocks[i], own_blocks[i + 1])
        line = [
            similarities(text, b.text) if axis == 0 else similarities(b.text, text)
            for b in other_blocks
        ]
        gain = _compute_gain(
            current, _list_best_costs(_merge_costs(costs, i, np.array(line), axis))
        )
        if gain > MIN_GAIN:
            gains.append((gain, i))
    return [i for _, i in sorted(gains, key=lambda gain: -gain[0])]


def _merge_costs(costs: Floats, i: int, similarities: Floats, axis: int) -> Floats:
    """Costs after lines ``i`` and ``i + 1`` became one with the given similarities."""
    new_costs = np.delete(costs, i + 1, axis)
    if axis == 0:
        new_costs[i] = -similarities
    else:
        new_costs[:, i] = -similarities
    return new_costs


def _compute_gain(before: Sequence[float], after: Sequence[float]) -> float:
    """How much the mean cost of the pairs that changed went down; 0 if the best did not."""
    common = Counter(before) & Counter(after)
    old_costs = list((Counter(before) - common).elements())
    new_costs = list((Counter(after) - common).elements())
    if not (old_costs and new_costs and min(new_costs) < min(old_costs)):
        return 0.0
    return sum(old_costs) / len(old_costs) - sum(new_costs) / len(new_costs)


def _is_hopeless(before: Sequence[float], at_best: Sequence[float]) -> bool:
    """Whether the gain cannot exceed ``MIN_GAIN`` even if the assignment came out ``at_best``.

    With u changed pairs after the merge and T the total similarity, as many pairs as before gain
    (T' - T) / u; one pair less gains (T' - T + mean of the changed ones before) / u.
    """
    growth = sum(before) - sum(at_best)
    if len(at_best) < len(before):
        growth -= min(before)
    return growth < MIN_GAIN - ROUNDING


def _bound_merges(own_blocks: Sequence[Block], other_blocks: Sequence[Block]) -> Iterator[Floats]:
    """For every two neighbours, the most that their joint text can be similar to each other text.

    No more characters can match than the two texts have in common, whatever their order.
    """
    alphabet = sorted(
        {" ", *(char for block in (*own_blocks, *other_blocks) for char in block.text)}
    )
    place = {char: k for k, char in enumerate(alphabet)}

    def count_characters(text: str) -> NDArray[np.intp]:
        return np.bincount([place[char] for char in text], minlength=len(alphabet))

    other_counts = np.array([count_characters(block.text) for block in other_blocks])
    lengths = other_counts.sum(axis=1)
    for first, second in pairwise(own_blocks):
        own_counts = count_characters(_join_texts(first, second))
        yield 2.0 * np.minimum(own_counts, other_counts).sum(axis=1) / (own_counts.sum() + lengths)


# ------------------------------------------------------------------------------- the assignment


def _list_best_costs(costs: Floats) -> list[float]:
    return costs[solve_assignment(costs)].tolist()


def _add_context(costs: Floats) -> Floats:
    """Good pairs get cheaper by a share of the two best pairs among their eight neighbours."""
    n, m = costs.shape
    padded_costs = np.pad(costs, 1)
    offsets = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    neighbours = np.stack([padded_costs[i : i + n, j : j + m] for i, j in offsets])
    bonus = CONTEXT_BONUS * np.partition(neighbours, 1, axis=0)[:2].sum(axis=0)
    return np.where(costs < -MIN_SIMILARITY, costs + bonus, costs)


def _add_distance(costs: Floats, rows: Sequence[Block], columns: Sequence[Block]) -> Floats:
    """Pairs get dearer by a trifle with the distance of their centres."""
    ours, theirs = (np.array([block.center for block in side]) for side in (rows, columns))
    distances = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    return costs + DISTANCE_COST * np.minimum(distances, 1.0)


# -------------------------------------------------------------------------- similarity of texts


class Similarities:
    """Similarity of two texts, each pair computed once: ``difflib``'s ratio, not symmetric."""

    def __init__(self) -> None:
        self._ratios: dict[str, tuple[dict[str, float], Callable[[str], float]]] = {}

    def __call__(self, first: str, second: str) -> float:
        """``difflib.SequenceMatcher(None, first, second).ratio()``."""
        if second not in self._ratios:
            self._ratios[second] = {}, ratio_to(second)
        ratios, compute = self._ratios[second]
        if first not in ratios:
            ratios[first] = 1.0 if first == second else compute(first)
        return ratios[first]

    def table(self, rows: Sequence[Block], columns: Sequence[Block]) -> Floats:
        """Of every block of ``rows`` with every one of ``columns``, in that order."""
        return np.array([[self(row.text, column.text) for column in columns] for row in rows])


def ratio_to(second: str) -> Callable[[str], float]:
    """``difflib``'s ratio to ``second``, as a function of the first text.

    ``difflib`` itself serves long texts, where it overlooks frequent characters. For shorter ones,
    which are nearly all, the same is found several times faster with sets of positions kept as the
    bits of an integer.
    """
    if len(second) >= AUTOJUNK_LENGTH:
        matcher = SequenceMatcher(None, "", second)

        def ratio_of_long(first: str) -> float:
            matcher.set_seq1(first)
            return matcher.ratio()

        return ratio_of_long

    places: dict[str, int] = {}
    for j, char in enumerate(second):
        places[char] = places.get(char, 0) | 1 << j

    def ratio(first: str) -> float:
        single = [places.get(char, 0) for char in first]
        return 2.0 * _count_matches(single, len(second)) / (len(first) + len(second))

    return ratio


Run = tuple[int, int]
"""Where a common run starts in the first text, and where it ends in the second, as bits."""


def _find_common_runs(single: Sequence[int]) -> list[list[Run]]:
    """Common runs of 2, 3, 4 ... characters, up to the longest there are."""
    runs: list[list[Run]] = []
    starts = [(i, ends) for i, ends in enumerate(single) if ends]
    while starts:
        size = len(runs) + 1
        if starts[-1][0] + size == len(single):
            starts = starts[:-1]
        starts = [(i, both) for i, ends in starts if (both := (ends << 1) & single[i + size])]
        runs.append(starts)
    return runs[:-1]


def _count_matches(single: Sequence[int], other: int) -> int:
    """How many characters match: those of the longest run, and of the texts left and right of it.

    Of several longest runs the one counts that starts first in the first text, then in the second.

    Args:
        single: For every character of the first text its places in the second, as bits.
        other: Length of the second text.
    """
    runs = _find_common_runs(single)
    total = 0
    stretches = [(0, len(single), 0, other, len(runs) + 1)]
    while stretches:
        start, end, low, high, most = stretches.pop()
        for size in range(min(most, end - start, high - low), 1, -1):
            last, window = end - size, (1 << high) - (1 << (low + size - 1))
            run = next((r for r in runs[size - 2] if r[1] & window and start <= r[0] <= last), None)
            if run is None:
                continue
            i, ends = run[0], run[1] & window
            j = (ends & -ends).bit_length() - size
            total += size
            stretches.append((start, i, low, j, size))
            stretches.append((i + size, end, j + size, high, size))
            break
        else:
            total += _count_single_matches(single[start:end], (1 << high) - (1 << low))
    return total


def _count_single_matches(single: Sequence[int], window: int) -> int:
    """Matches where no two characters in a row do: nothing is left of the first one found."""
    total = 0
    for places in single:
        here = places & window
        if here:
            total += 1
            window &= -((here & -here) << 1)
    return total
