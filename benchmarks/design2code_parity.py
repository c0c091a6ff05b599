"""Design2Code's own scorer, VLMEvalKit's port of it and ours, on the same real pairs in one run.

``python benchmarks/design2code_parity.py --design2code CHECKOUT --pages FOLDER`` in the environment
that ``make parity`` makes, with a checkout of https://github.com/NoviScl/Design2Code. The folder
holds real pages and answers to them, as ``tests/parity/design2code_pairs.py`` reads them.

All three get the same files: answers as VLMEvalKit cleans them up, the placeholder beside both
sides. No page comes twice unless ``--every`` is given, because ours keeps references and the others
do not. Reported are the differences of the four scores, pages a second, and CPU seconds a pair of
all processes together, browsers included. What is not counted: starting Python and importing, on
all sides, and the pictures for CLIP, which the official code makes and these four scores do not
need. What is: starting and ending browsers, on all sides. What the official code takes falls into
screenshots, blocks (recolouring documents, finding their pixels) and matching; ours into
screenshots (the browser's processes), blocks (this process while it shows pages) and matching.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rrvf.renderers.browser import find_browser
from rrvf.renderers.page import PageLimits, PageRenderer
from rrvf.scorers import blocks
from tests.parity.design2code_official import (
    PLACEHOLDER,
    SCORES,
    SIDES,
    Clock,
    Official,
    find_port,
    load_port_cleanup,
    wait_for_orphans,
)
from tests.parity.design2code_pairs import (
    Pair,
    find_placeholder,
    one_a_page,
    read_pairs,
    write,
)

STAGES = ("screenshots", "blocks", "matching")
STAGE_OF = {"preprocess": "blocks", "screenshots": "screenshots", "blocks": "blocks"}
STAGE_OF |= {"matching": "matching"}  # what is not named is not counted

Scores = dict[str, float]


@dataclass
class Side:
    """What one of the three said of each pair, and what that took in all.

    Attributes:
        scores: By pair; ``None`` where it failed itself.
        failures: By pair, in a line.
        cpu: CPU seconds by stage.
        wall: Seconds in all.
    """

    scores: list[Scores | None] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    cpu: Counter[str] = field(default_factory=Counter)
    wall: float = 0.0


# ------------------------------------------------------------------------------ the official code


def add_official(
    side: Side, official: Official, pair: Pair, work: Path, placeholder: Path | None
) -> None:
    """Score one pair with the authors' code or the port."""
    folder = work / official.kind / pair.name
    folder.mkdir(parents=True)
    pages = [write(folder / f"{name}.html", getattr(pair, name)) for name in SIDES]
    record = official.score(*pages, folder, placeholder)
    for name, stage in STAGE_OF.items():
        side.cpu[stage] += record["cpu"].get(name, 0.0)
        side.wall += record["wall"].get(name, 0.0)
    if "error" in record:
        side.failures[pair.name] = record["error"].splitlines()[-1]
    elif record["blank"]:
        side.failures[pair.name] = "white in place of " + ", ".join(record["blank"])
    side.scores.append(None if pair.name in side.failures else record["scores"])


# ---------------------------------------------------------------------------------------- our side


def run_ours(pairs: Sequence[Pair], browser: Path, placeholder: Path | None) -> Side:
    """Score all pairs with one browser."""
    side = Side()
    Clock()  # what a browser leaves behind is waited for here
    assets = {PLACEHOLDER: placeholder.read_bytes()} if placeholder else {}
    start, browsers, before = time.perf_counter(), children_cpu(), time.process_time()
    with PageRenderer(
        browser, workers=1, limits=PageLimits(seconds=60), mode="official", assets=assets
    ) as renderer:
        for pair in pairs:
            target = renderer.render_reference(pair.reference)
            page = renderer.render(pair.prediction)
            if target.status != "ok" or page.status != "ok":
                side.failures[pair.name] = f"{target.error or ''} {page.error or ''}".strip()
                side.scores.append(None)
                continue
            matching = time.process_time()
            side.scores.append(
                {name: getattr(blocks, f"score_{name}")(target, page).value for name in SCORES}
            )
            side.cpu["matching"] += time.process_time() - matching
    wait_for_orphans()
    side.wall = time.perf_counter() - start
    side.cpu["screenshots"] = children_cpu() - browsers
    side.cpu["blocks"] = time.process_time() - before - side.cpu["matching"]
    return side


def children_cpu() -> float:
    """Of all processes that have ended and been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# -------------------------------------------------------------------------------------- the report


def difference_rows(title: str, official: Side, own_side: Side) -> list[str]:
    """Mean and largest absolute difference of each score, over the pairs that both scored."""
    both = [
        (theirs, own)
        for theirs, own in zip(official.scores, own_side.scores, strict=True)
        if theirs is not None and own is not None
    ]
    rows: list[str] = []
    for figure_name, figure in (("mean", fmean), ("largest", max)):
        cells = ""
        for name in SCORES:
            values = [abs(theirs[name] - own[name]) for theirs, own in both]
            cells += f"{figure(values) if values else float('nan'):>13.2g}"
        rows.append(f"{f'{title}, {len(both)} pairs: {figure_name}':<44}{cells}")
    return rows


def speed_row(title: str, side: Side) -> str:
    """Pages a second, and CPU seconds a pair by stage."""
    number = len(side.scores)
    cpu = [side.cpu[stage] / number for stage in STAGES]
    figures = [2 * number / side.wall, sum(cpu), *cpu]
    return f"{title:<20}" + "".join(f"{figure:>14.3g}" for figure in figures)


def print_report(sides: dict[str, Side]) -> None:
    """Two tables, how many times less ours takes, and who failed on what."""
    own_side = sides["ours"]
    others = {title: side for title, side in sides.items() if title != "ours"}
    print(f"{'differences from ours':<44}" + "".join(f"{name:>13}" for name in SCORES))
    for title, side in others.items():
        print(*difference_rows(title, side, own_side), sep="\n")
    print()
    print(f"{'':<20}" + "".join(f"{name:>14}" for name in ("pages/s", "CPU s a pair", *STAGES)))
    for title, side in sides.items():
        print(speed_row(title, side))
    for title, side in others.items():
        ratio = side.cpu.total() / own_side.cpu.total()
        print(f"ours takes {ratio:.1f} times less CPU a pair than {title}")
    for title, side in sides.items():
        for name, failure in side.failures.items():
            print(f"not compared: {name}, {title}: {failure}")


def main() -> None:
    """Measure and print; ``--out`` keeps the figures of every pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--design2code", type=Path, required=True, help="the authors' checkout")
    parser.add_argument("--pages", type=Path, required=True, help="real pages and answers")
    parser.add_argument("--limit", type=int, help="only so many pairs")
    parser.add_argument("--every", action="store_true", help="all answers to every page")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures of every pair")
    options = parser.parse_args()
    browser, port = find_browser(), find_port()
    if port is None:
        parser.error("no VLMEvalKit with Design2Code here: make parity installs it")
    clean = load_port_cleanup(port)
    pairs = read_pairs(options.pages)
    pairs = (pairs if options.every else one_a_page(pairs))[: options.limit]
    pairs = [replace(pair, prediction=clean(pair.prediction)) for pair in pairs]
    placeholder = find_placeholder(options.pages.absolute())
    officials = {
        "authors' code": Official("authors", options.design2code.absolute(), browser),
        "VLMEvalKit's port": Official("port", port, browser),
    }
    with tempfile.TemporaryDirectory(prefix="rrvf-design2code-") as name:
        os.environ["RRVF_CACHE_DIR"] = str(Path(name) / "cache")
        sides = measure(officials, pairs, browser, Path(name), placeholder)
    print_report(sides)
    if options.out:
        figures: dict[str, Any] = {title: vars(side) for title, side in sides.items()}
        figures["pairs"] = [pair.name for pair in pairs]
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(
    officials: dict[str, Official],
    pairs: Sequence[Pair],
    browser: Path,
    work: Path,
    placeholder: Path | None,
) -> dict[str, Side]:
    """All three on all pairs: the official ones in turn, then ours."""
    sides = {title: Side() for title in officials}
    for place, pair in enumerate(pairs, 1):
        for title, official in officials.items():
            add_official(sides[title], official, pair, work, placeholder)
        print(f"{place} of {len(pairs)}: {pair.name}", file=sys.stderr)
    return sides | {"ours": run_ours(pairs, browser, placeholder)}


if __name__ == "__main__":
    main()
