"""Text blocks of a web page: are the same texts there, reading alike, in place and in colour.

Four scorers share one matching of the reference's blocks with the page's:

* ``block_match``: area of the matched blocks over the area of all blocks, of both sides.
* ``text``: mean similarity of the matched texts (``difflib``'s ratio).
* ``position``: mean of 1 - the larger of the horizontal and vertical distance of the centres, as
  shares of each page's width and height.
* ``color``: mean of ``max(0, 1 - CIEDE2000 / 100)`` of the matched texts' colours.

Source: Design2Code (https://github.com/NoviScl/Design2Code, ``metrics/visual_score.py``). The
algorithm is theirs and gives their numbers for the same blocks, with these exceptions:

* Theirs finds blocks by comparing recoloured screenshots; here they are what the browser laid out.
* Equal pages score 1. Theirs pairs repeated texts crosswise where that gives the first or last of
  them better neighbours, and says 0 for two pages without any text.
* Only the first ``MAX_BLOCKS`` blocks and ``MAX_CHARACTERS`` characters of a page are compared;
  the blocks after them count as unmatched.
* With more than ``MAX_MERGED_BLOCKS`` blocks on a side none are merged, except those in the very
  same place.
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

from rrvf.scorers.color import ciede2000, lab_of_rgb
from rrvf.types import PageRendering, Score, TextBlock

MIN_SIMILARITY = 0.5
MIN_GAIN = 0.05
CONTEXT_BONUS = 0.1
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
    missing: tuple[Block, ...]
    extra: tuple[Block, ...]

    @property
    def empty(self) -> bool:
        """No text on either page."""
        return not (self.pairs or self.missing or self.extra)


# ------------------------------------------------------------------------------- the four scorers


def score_block_match(target: PageRendering, page: PageRendering) -> Score:
    """Matched area over all area; details name the missing and the extra texts, largest first."""
    matching = match_pages(target, page)
    matched = sum(pair.reference.area + pair.rendering.area for pair in matching.pairs)
    missing = sum(block.area for block in matching.missing)
    extra = sum(block.area for block in matching.extra)
    details: dict[str, Any] = {
        "n_matched": len(matching.pairs),
        "n_missing": len(matching.missing),
        "n_extra": len(matching.extra),
        "missing": _largest(matching.missing),
        "extra": _largest(matching.extra),
        "matched_area": matched,
        "missing_area": missing,
        "extra_area": extra,
    }
    if matching.empty:
        return Score(1.0, details)
    return Score(matched / (matched + missing + extra), details)


def score_text(target: PageRendering, page: PageRendering) -> Score:
    """Mean similarity of the matched texts; details list the least similar pairs."""
    return _mean_of_pairs(match_pages(target, page), lambda pair: pair.text, lambda block: {})


def score_position(target: PageRendering, page: PageRendering) -> Score:
    """Mean nearness of the matched blocks' centres; details list the farthest pairs."""
    return _mean_of_pairs(
        match_pages(target, page),
        lambda pair: pair.position,
        lambda block: {"center": [round(share, 4) for share in block.center]},
    )


def score_color(target: PageRendering, page: PageRendering) -> Score:
    """Mean similarity of the matched texts' colours; details list the least similar pairs."""
    return _mean_of_pairs(
        match_pages(target, page),
        lambda pair: pair.color,
        lambda block: {"color": "#{:02X}{:02X}{:02X}".format(*map(round, block.color))},
    )


def _mean_of_pairs(
    matching: Matching, value: Callable[[Pair], float], shown: Callable[[Block], dict[str, Any]]
) -> Score:
    worst = sorted(matching.pairs, key=value)[:MAX_LISTED]
    details = {
        "n_matched": len(matching.pairs),
        "pairs": [
            {
                "reference": {"text": _short(pair.reference.text), **shown(pair.reference)},
                "rendering": {"text": _short(pair.rendering.text), **shown(pair.rendering)},
                "similarity": value(pair),
            }
            for pair in worst
        ],
    }
    if not matching.pairs:
        return Score(float(matching.empty), details)
    return Score(fmean(value(pair) for pair in matching.pairs), details)


def _largest(blocks: Sequence[Block]) -> list[str]:
    by_area = sorted(blocks, key=lambda block: block.area, reverse=True)
    return [_short(block.text) for block in by_area[:MAX_LISTED]]


def _short(text: str) -> str:
    if len(text) <= MAX_LISTED_CHARACTERS:
        return text
    return text[: MAX_LISTED_CHARACTERS - 1] + "…"


# ---------------------------------------------------------------------------------- the matching


def match_pages(target: PageRendering, page: PageRendering) -> Matching:
    """The one matching that the four scorers look at; the latest few are remembered."""
    return _match_recorded(
        (target.blocks, target.width, target.height), (page.blocks, page.width, page.height)
    )


Recorded = tuple[tuple[TextBlock, ...], int, int]


@lru_cache(maxsize=8)
def _match_recorded(target: Recorded, page: Recorded) -> Matching:
    if target == page:
        return Matching(_as_pairs([(block, block, 1.0) for block in _relative(*target)]), (), ())
    reference, missing = _within_limits(_relative(*target))
    rendering, extra = _within_limits(_relative(*page))
    if not (reference and rendering):
        return Matching((), (*reference, *missing), (*rendering, *extra))
    found = match_blocks(_joined_by_place(reference), _joined_by_place(rendering))
    return replace(found, missing=(*found.missing, *missing), extra=(*found.extra, *extra))


def match_blocks(reference: Sequence[Block], rendering: Sequence[Block]) -> Matching:
    """Merge neighbours where that helps, match, and drop the pairs that read too differently.

    Rows of every table are the rendering's blocks and columns the reference's: similarity is not
    symmetric, and among equally good assignments the one found depends on the order.

    Args:
        reference: In the order of the document, not empty.
        rendering: The same.
    """
    similar = Similarities()
    rows, columns = list(rendering), list(reference)
    if max(len(rows), len(columns)) <= MAX_MERGED_BLOCKS:
        rows, columns = _merge_neighbours(rows, columns, similar)
    table = similar.table(rows, columns)
    best = zip(*_assign(_with_context(-table)), strict=True)
    kept = [(i, j) for i, j in best if table[i, j] >= MIN_SIMILARITY]
    used_rows, used_columns = {i for i, _ in kept}, {j for _, j in kept}
    return Matching(
        _as_pairs([(columns[j], rows[i], float(table[i, j])) for i, j in kept]),
        tuple(block for j, block in enumerate(columns) if j not in used_columns),
        tuple(block for i, block in enumerate(rows) if i not in used_rows),
    )


def _as_pairs(matched: Sequence[tuple[Block, Block, float]]) -> tuple[Pair, ...]:
    if not matched:
        return ()
    ours = np.array([reference.color for reference, _, _ in matched])
    theirs = np.array([rendering.color for _, rendering, _ in matched])
    colors = np.maximum(0.0, 1.0 - ciede2000(lab_of_rgb(theirs), lab_of_rgb(ours)) / 100.0)
    pairs: list[Pair] = []
    for (reference, rendering, similarity), color in zip(matched, colors, strict=True):
        (x, y), (other_x, other_y) = reference.center, rendering.center
        position = max(0.0, 1.0 - max(abs(x - other_x), abs(y - other_y)))
        pairs.append(Pair(reference, rendering, similarity, position, float(color)))
    return tuple(pairs)


# ------------------------------------------------------------------------------------- the blocks


def _relative(recorded: Sequence[TextBlock], width: int, height: int) -> list[Block]:
    blocks: list[Block] = []
    for block in recorded:
        box = block.x / width, block.y / height, block.width / width, block.height / height
        red, green, blue = bytes.fromhex(block.color[1:])
        blocks.append(Block(block.text.strip().lower(), *box, (red, green, blue)))
    return blocks


def _within_limits(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """The blocks to compare, and those left out; a text across the limit is cut."""
    compared: list[Block] = []
    left = MAX_CHARACTERS
    for block in blocks[:MAX_BLOCKS]:
        if left == 0:
            break
        compared.append(
            block if len(block.text) <= left else replace(block, text=block.text[:left])
        )
        left -= len(compared[-1].text)
    return compared, list(blocks[len(compared) :])


def _joined_by_place(blocks: Sequence[Block]) -> list[Block]:
    """Blocks in the very same box are one: texts joined, the colour halfway at every step."""
    joined: dict[tuple[float, float, float, float], Block] = {}
    for block in blocks:
        box = block.x, block.y, block.width, block.height
        if box not in joined:
            joined[box] = block
            continue
        first = joined[box]
        color = _by_channel(lambda one, other: (one + other) / 2, first, block)
        joined[box] = replace(first, text=f"{first.text} {block.text}", color=color)
    return list(joined.values())


def _joined(first: Block, second: Block) -> Block:
    """Two neighbours as one block."""
    left, top = min(first.x, second.x), min(first.y, second.y)
    right = max(first.x + first.width, second.x + second.width)
    bottom = max(first.y + first.height, second.y + second.height)
    color = _by_channel(lambda one, other: (one + other) // 2, first, second)
    return Block(_joined_text(first, second), left, top, right - left, bottom - top, color)


def _joined_text(first: Block, second: Block) -> str:
    return f"{first.text} {second.text}"


def _by_channel(mix: Callable[[float, float], float], first: Block, second: Block) -> Rgb:
    red, green, blue = (mix(*pair) for pair in zip(first.color, second.color, strict=True))
    return red, green, blue


# ------------------------------------------------------------------------------ merging neighbours


def _merge_neighbours(
    rows: list[Block], columns: list[Block], similar: Similarities
) -> tuple[list[Block], list[Block]]:
    """Merge until nothing improves: a sweep over the rows, one over the columns, and again."""
    while True:
        before = len(rows) + len(columns)
        rows = _apply(rows, _improving_merges(rows, columns, similar, axis=0))
        columns = _apply(columns, _improving_merges(rows, columns, similar, axis=1))
        if len(rows) + len(columns) == before:
            return rows, columns


def _apply(blocks: list[Block], merges: Sequence[int]) -> list[Block]:
    """Merge each ``i`` with ``i + 1``, best first; a block takes part in one merge only."""
    merged: dict[int, Block] = {}
    gone: set[int] = set()
    for i in merges:
        if not {i, i + 1} & (gone | merged.keys()):
            merged[i] = _joined(blocks[i], blocks[i + 1])
            gone.add(i + 1)
    return [merged.get(i, block) for i, block in enumerate(blocks) if i not in gone]


def _improving_merges(
    rows: Sequence[Block], columns: Sequence[Block], similar: Similarities, axis: int
) -> list[int]:
    """The ``i`` whose merge with ``i + 1`` improves the assignment, best first.

    Args:
        rows: The rendering's blocks.
        columns: The reference's.
        similar: What is known of their similarity.
        axis: 0 to merge rows, 1 to merge columns.
    """
    own, other = (rows, columns) if axis == 0 else (columns, rows)
    costs = -similar.table(rows, columns)
    current = _costs_of_best(costs)
    gains: list[tuple[float, int]] = []
    bounds = _bounds_of_merges(own, other)
    for i in range(len(own) - 1):
        if _is_hopeless(current, _costs_of_best(_with_merge(costs, i, next(bounds), axis))):
            continue
        text = _joined_text(own[i], own[i + 1])
        line = [similar(text, b.text) if axis == 0 else similar(b.text, text) for b in other]
        gain = _gain(current, _costs_of_best(_with_merge(costs, i, np.array(line), axis)))
        if gain > MIN_GAIN:
            gains.append((gain, i))
    return [i for _, i in sorted(gains, key=lambda gain: -gain[0])]


def _with_merge(costs: Floats, i: int, similarities: Floats, axis: int) -> Floats:
    """Costs after lines ``i`` and ``i + 1`` became one with the given similarities."""
    changed = np.delete(costs, i + 1, axis)
    if axis == 0:
        changed[i] = -similarities
    else:
        changed[:, i] = -similarities
    return changed


def _gain(before: Sequence[float], after: Sequence[float]) -> float:
    """How much the mean cost of the pairs that changed went down; 0 if the best did not."""
    common = Counter(before) & Counter(after)
    gone = list((Counter(before) - common).elements())
    new = list((Counter(after) - common).elements())
    if not (gone and new and min(new) < min(gone)):
        return 0.0
    return sum(gone) / len(gone) - sum(new) / len(new)


def _is_hopeless(before: Sequence[float], at_best: Sequence[float]) -> bool:
    """Whether the gain cannot exceed ``MIN_GAIN`` even if the assignment came out ``at_best``.

    With u changed pairs after the merge and T the total similarity, as many pairs as before gain
    (T' - T) / u; one pair less gains (T' - T + mean of the changed ones before) / u.
    """
    grown = sum(before) - sum(at_best)
    if len(at_best) < len(before):
        grown -= min(before)
    return grown < MIN_GAIN - ROUNDING


def _bounds_of_merges(own: Sequence[Block], other: Sequence[Block]) -> Iterator[Floats]:
    """For every two neighbours, the most that their joint text can be similar to each other text.

    No more characters can match than the two texts have in common, whatever their order.
    """
    alphabet = sorted({" ", *(char for block in (*own, *other) for char in block.text)})
    place = {char: k for k, char in enumerate(alphabet)}

    def counted(text: str) -> NDArray[np.intp]:
        return np.bincount([place[char] for char in text], minlength=len(alphabet))

    others = np.array([counted(block.text) for block in other])
    lengths = others.sum(axis=1)
    for first, second in pairwise(own):
        mine = counted(_joined_text(first, second))
        yield 2.0 * np.minimum(mine, others).sum(axis=1) / (mine.sum() + lengths)


# ------------------------------------------------------------------------------- the assignment


def _assign(costs: Floats) -> tuple[list[int], list[int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(costs)
    return rows.tolist(), columns.tolist()


def _costs_of_best(costs: Floats) -> list[float]:
    return costs[_assign(costs)].tolist()


def _with_context(costs: Floats) -> Floats:
    """Good pairs get cheaper by a share of the two best pairs among their eight neighbours."""
    n, m = costs.shape
    padded = np.pad(costs, 1)
    around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    neighbours = np.stack([padded[i : i + n, j : j + m] for i, j in around])
    bonus = CONTEXT_BONUS * np.partition(neighbours, 1, axis=0)[:2].sum(axis=0)
    return np.where(costs < -MIN_SIMILARITY, costs + bonus, costs)


# -------------------------------------------------------------------------- similarity of texts


class Similarities:
    """Similarity of two texts, each pair computed once: ``difflib``'s ratio, not symmetric."""

    def __init__(self) -> None:
        self._to: dict[str, tuple[dict[str, float], Callable[[str], float]]] = {}

    def __call__(self, first: str, second: str) -> float:
        """``difflib.SequenceMatcher(None, first, second).ratio()``."""
        if second not in self._to:
            self._to[second] = {}, ratio_to(second)
        known, ratio = self._to[second]
        if first not in known:
            known[first] = 1.0 if first == second else ratio(first)
        return known[first]

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
        return 2.0 * _matching(single, len(second)) / (len(first) + len(second))

    return ratio


Run = tuple[int, int]
"""Where a common run starts in the first text, and where it ends in the second, as bits."""


def _common_runs(single: Sequence[int]) -> list[list[Run]]:
    """Common runs of 2, 3, 4 ... characters, up to the longest there are."""
    runs: list[list[Run]] = []
    found = [(i, ends) for i, ends in enumerate(single) if ends]
    while found:
        size = len(runs) + 1
        if found[-1][0] + size == len(single):
            found = found[:-1]
        found = [(i, both) for i, ends in found if (both := (ends << 1) & single[i + size])]
        runs.append(found)
    return runs[:-1]


def _matching(single: Sequence[int], other: int) -> int:
    """How many characters match: those of the longest run, and of the texts left and right of it.

    Of several longest runs the one counts that starts first in the first text, then in the second.

    Args:
        single: For every character of the first text its places in the second, as bits.
        other: Length of the second text.
    """
    runs = _common_runs(single)
    total = 0
    todo = [(0, len(single), 0, other, len(runs) + 1)]
    while todo:
        start, end, low, high, most = todo.pop()
        for size in range(min(most, end - start, high - low), 1, -1):
            last, window = end - size, (1 << high) - (1 << (low + size - 1))
            run = next((r for r in runs[size - 2] if r[1] & window and start <= r[0] <= last), None)
            if run is None:
                continue
            i, ends = run[0], run[1] & window
            j = (ends & -ends).bit_length() - size
            total += size
            todo.append((start, i, low, j, size))
            todo.append((i + size, end, j + size, high, size))
            break
        else:
            total += _matching_singly(single[start:end], (1 << high) - (1 << low))
    return total


def _matching_singly(single: Sequence[int], window: int) -> int:
    """Matches where no two characters in a row do: nothing is left of the first one found."""
    total = 0
    for places in single:
        here = places & window
        if here:
            total += 1
            window &= -((here & -here) << 1)
    return total
