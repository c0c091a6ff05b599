"""What the order of the embedded judge ``likeness`` is worth, on real charts and real answers.

``python benchmarks/likeness.py --kept FILE`` prints the tables of the manual. It needs the items of
``../shared/data/chartmimic_v1`` or of any folder made like it, and keeps what it has drawn in FILE.

* **No answers.** How often the model's answer beats pictures that are none: blank ones, noise,
  stripes, and the reference of another item of the same category.
* **Order.** Kendall's tau (b) between the judge's and the four official scores' order of the
  answers to one item, mean over the items: the model's answer, changed copies of it and of the
  reference, and five answers to other items. Beside it, the measure that likeness replaced. The
  weights were chosen on one half of the items (seed 0); the other half decides. What to compare
  was first looked at on the 27 items that come first in the data, of which both halves hold some.
* **Margins.** References drawn again with other margins, resolution and size.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from likeness_corpus import Item, draw_saved_otherwise, load_items, score_official
from likeness_pixel import compare_by_pixel
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import kendalltau

from rrvf.scorers.likeness import LikenessJudge

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "chartmimic_v1"
SEED = 0
DOT = 120
STRIPE = (31, 119, 180)

Measure = Callable[[bytes, bytes], float]
Pixels = NDArray[np.uint8]


def compare_by_likeness(reference: bytes, rendering: bytes) -> float:
    """The judge's score."""
    value = LikenessJudge()(reference, rendering).value
    assert value is not None
    return value


MEASURES: Mapping[str, Measure] = {"likeness": compare_by_likeness, "pixel": compare_by_pixel}


# ------------------------------------------------------------------------------ no answers


def make_no_answers(reference: bytes, seed: int) -> dict[str, bytes]:
    """Pictures of the reference's size that answer nothing."""
    with Image.open(io.BytesIO(reference)) as image:
        pixels = np.asarray(image.convert("RGB"))
    chance = np.random.default_rng(seed)
    shape = pixels.shape
    pictures = {
        "white": np.full(shape, 255),
        "white, 1 x 1": np.full((1, 1, 3), 255),
        "grey": np.full(shape, 128),
        "light grey": np.full(shape, 230),
        "mean colour": np.broadcast_to(pixels.mean((0, 1)).round(), shape),
    }
    for share in (0.005, 0.02, 0.1):
        is_dot = chance.random((*shape[:2], 1)) < share
        pictures[f"grey noise, {share:.1%}"] = np.where(is_dot, DOT, np.full(shape, 255))
        dots = chance.integers(0, 256, shape)
        pictures[f"coloured noise, {share:.1%}"] = np.where(is_dot, dots, 255)
    pictures["noise all over"] = chance.integers(0, 256, shape)
    pictures["stripes, black, 2 of 8"] = _stripe(shape, 0, 8, 2, (0, 0, 0))
    pictures["stripes, blue, 20 of 40"] = _stripe(shape, 1, 40, 20, STRIPE)
    return {name: _as_png(picture) for name, picture in pictures.items()}


def _stripe(
    shape: Sequence[int], axis: int, period: int, width: int, color: tuple[int, int, int]
) -> Pixels:
    picture = np.full(shape, 255, dtype=np.uint8)
    is_stripe = np.arange(shape[axis]) % period < width
    picture[(slice(None),) * axis + (is_stripe,)] = color
    return picture


def _as_png(pixels: NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def count_wins(items: Sequence[Item], measure: Measure) -> dict[str, float]:
    """Share of the items in which the model's answer beats each picture that is none.

    Every other reference of the same category counts by itself.
    """
    wins: dict[str, list[bool]] = defaultdict(list)
    for seed, item in enumerate(items):
        real = measure(item.png, item.real.png)
        for name, picture in make_no_answers(item.png, seed).items():
            wins[name].append(real > measure(item.png, picture))
        for other in items:
            if other is not item and other.category == item.category:
                wins["reference of another item"].append(real > measure(item.png, other.png))
    return {name: fmean(outcomes) for name, outcomes in wins.items()}


# ----------------------------------------------------------------------------------- order


def mean_tau(items: Iterable[Item], all_items: Sequence[Item], measure: Measure) -> float:
    """Mean over items of Kendall's tau between a measure's order of answers and the official."""
    taus: list[float] = []
    for item in items:
        pairs = [(answer.official, measure(item.png, answer.png)) for answer in item.answers]
        for other in _pick_others(item, all_items):
            official = score_official(item.drawing, other.real.drawing)
            pairs.append((official, measure(item.png, other.real.png)))
        tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
        if tau == tau:  # not a number where all are equal
            taus.append(tau)
    return fmean(taus)


def _pick_others(item: Item, all_items: Sequence[Item]) -> list[Item]:
    """Two items of the same category, if there are so many, and three of other ones."""
    chance = random.Random(item.name)
    same = [other for other in all_items if other.category == item.category and other != item]
    rest = [other for other in all_items if other.category != item.category]
    return chance.sample(same, min(2, len(same))) + chance.sample(rest, 3)


def split_items(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """The half on which weights were chosen, and the other."""
    order = sorted(items, key=lambda item: item.name)
    random.Random(SEED).shuffle(order)
    return order[: len(order) // 2], order[len(order) // 2 :]


# ------------------------------------------------------------------------------------- run


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--kept", type=Path, help="what was drawn by an earlier call, or is now")
    options = parser.parse_args()
    items = load_items(options.data, options.kept)
    tuning_items, held_out = split_items(items)
    n_answers = sum(len(item.answers) for item in items)
    print(f"{len(items)} items, {n_answers} answers and as many as 5 of other items for each")
    print_orders(items, tuning_items, held_out)
    print_wins(items)
    print_margins(options.data, items)


def print_orders(
    items: Sequence[Item], tuning_items: Sequence[Item], held_out: Sequence[Item]
) -> None:
    """Kendall's tau of both measures, and what a pair costs."""
    print(f"\n| measure | tau, {len(held_out)} held-out items | tau, the others | ms a pair |")
    print("| --- | --- | --- | --- |")
    for name, measure in MEASURES.items():
        start = time.process_time()
        for item in held_out:
            measure(item.png, item.real.png)
        cost = 1000 * (time.process_time() - start) / len(held_out)
        taus = [mean_tau(half, items, measure) for half in (held_out, tuning_items)]
        print(f"| {name} | {taus[0]:.3f} | {taus[1]:.3f} | {cost:.0f} |", flush=True)


def print_wins(items: Sequence[Item]) -> None:
    """How often the model's answer wins."""
    wins = {name: count_wins(items, measure) for name, measure in MEASURES.items()}
    print(f"\n| the model's answer beats | {' | '.join(wins)} |")
    print("| --- |" + " --- |" * len(wins))
    for name in wins["likeness"]:
        shares = " | ".join(f"{100 * table[name]:.0f} %" for table in wins.values())
        print(f"| {name} | {shares} |", flush=True)


def print_margins(data: Path, items: Sequence[Item]) -> None:
    """The scores of references that were saved otherwise, every ninth item."""
    print("\n| saved otherwise | likeness, lowest | mean |")
    print("| --- | --- | --- |")
    values: dict[str, list[float]] = defaultdict(list)
    for item in items[::9]:
        for name, picture in draw_saved_otherwise(data, item.name):
            values[name].append(compare_by_likeness(item.png, picture))
    for name, scores in values.items():
        print(f"| {name} | {min(scores):.3f} | {fmean(scores):.3f} |")


if __name__ == "__main__":
    main()
