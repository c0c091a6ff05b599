"""The examples on the page of scores: drawn and scored by the project's own renderers and scorers.

::

    python -m docs.site.examples    # draws docs/pictures, writes the tables of docs/scores.md anew

A test computes the tables again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from PIL import Image

from rrvf.bench import open_bench
from rrvf.scorers.likeness import LikenessJudge
from rrvf.scoring import Outcome
from rrvf.types import Code, Sample, Score

DOCS = Path(__file__).resolve().parent.parent
WIDTH = 360
"""Of a picture on the page, in pixels."""


@dataclass(frozen=True)
class Family:
    """A target and some answers to it, each of which is wrong in one thing.

    Attributes:
        name: The folder below ``docs/examples``.
        benchmark: By whose rules they are scored.
        suffix: Of the files.
        answers: File -> what is wrong with it.
        scorers: Name -> heading of its column.
        counts: Answer -> what its own scorer counted.
        has_likeness: The embedded judge looks as well; pages hold a font of the machine's.
    """

    name: str
    benchmark: str
    suffix: str
    answers: Mapping[str, str]
    scorers: Mapping[str, str]
    counts: Mapping[str, Callable[[Score], str]]
    has_likeness: bool = True


def _count_texts(score: Score) -> str:
    counts = [len(score.details[key]) for key in ("matched", "missing", "extra")]
    return "{} strings match, {} missing, {} extra".format(*counts)


def _count_figure_texts(score: Score) -> str:
    counts = [score.details[key] for key in ("n_matched", "n_missing", "n_extra")]
    return "{} texts match, {} missing, {} extra".format(*counts)


def _show_sides(score: Score) -> str:
    sides = (str(score.details[side]) for side in ("reference", "rendering"))
    return "target `{}`, answer `{}`".format(*sides)


def _show_colors(score: Score) -> str:
    pairs = (
        f"`{pair['reference']}` with `{pair['rendering']}`: {pair['similarity']:.4f}"
        for pair in score.details["pairs"]
    )
    return "; ".join(pairs)


def _show_worst(score: Score) -> str:
    return f"least similar pair: {score.details['pairs'][0]['similarity']:.4f}"


def _count_blocks(score: Score) -> str:
    counts = [score.details[key] for key in ("n_matched", "n_missing", "n_extra")]
    return "{} blocks match, {} missing, {} extra".format(*counts)


FAMILIES = (
    Family(
        "charts",
        "chartmimic",
        ".py",
        {
            "text": "another title",
            "layout": "two panels",
            "type": "a line instead of bars",
            "color": "green instead of orange",
            "crash": "stops with a `NameError`",
        },
        {"execution": "Exec", "text": "Text", "layout": "Layout", "type": "Type", "color": "Color"},
        {
            "text": _count_texts,
            "layout": _show_sides,
            "type": _show_sides,
            "color": _show_colors,
        },
    ),
    Family(
        "figures",
        "plot2code",
        ".py",
        {"text": "another axis label", "place": "a note in another place"},
        {"execution": "Exec", "text": "Text"},
        {"text": _count_figure_texts, "place": _count_figure_texts},
    ),
    Family(
        "pages",
        "websight",
        ".html",
        {
            "block_match": "one line missing",
            "text": "a word changed",
            "position": "one line moved by 640 px",
            "color": "one line red",
        },
        {
            "execution": "Render",
            "block_match": "Block-Match",
            "text": "Text",
            "position": "Position",
            "color": "Color",
        },
        {
            "block_match": _count_blocks,
            "text": _show_worst,
            "position": _show_worst,
            "color": _show_worst,
        },
        has_likeness=False,
    ),
)

AVERAGED = ("text", "layout", "type", "color")
"""Scores of charts whose mean is the column Average."""


def score_family(family: Family) -> dict[str, Outcome]:
    """File -> what it scores, with its pictures; the target as an answer to itself comes first."""
    folder = DOCS / "examples" / family.name
    code = {
        name: (folder / f"{name}{family.suffix}").read_text(encoding="utf-8")
        for name in ("target", *family.answers)
    }
    sample = Sample("target", code["target"])
    judge = LikenessJudge() if family.has_likeness else None
    with open_bench(family.benchmark, scorers=list(family.scorers), judge=judge) as bench:
        return {name: bench.score((sample, Code(text))) for name, text in code.items()}


def list_rows(family: Family, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """The table of a family, line by line, and what each scorer counted."""
    rows = {name: dict(_list_figures(family, outcome)) for name, outcome in outcomes.items()}
    headings = list(rows["target"])
    yield f"| Answer | {' | '.join(headings)} |"
    yield f"|---|{'---:|' * len(headings)}"
    for name, figures in rows.items():
        cells = " | ".join(f"{figure:.4f}" for figure in figures.values())
        yield f"| {family.answers.get(name, 'the target itself')} | {cells} |"
    yield ""
    for name, describe in family.counts.items():
        scorer = name if name in family.scorers else "text"
        yield f"* {family.answers[name]}: {describe(outcomes[name].result.scores[scorer])}"


def _list_figures(family: Family, outcome: Outcome) -> Iterator[tuple[str, float]]:
    """Heading -> figure."""
    values = {name: score.value or 0.0 for name, score in outcome.result.scores.items()}
    for name, heading in family.scorers.items():
        yield heading, values[name]
    if family.name == "charts":
        yield "Average", fmean(values[name] for name in AVERAGED)
    if family.has_likeness:
        yield "Likeness", values["likeness"]


def replace_tables(page: str, tables: Mapping[str, Sequence[str]]) -> str:
    """The page with its computed parts written anew."""
    for name, rows in tables.items():
        head, tail = f"<!-- computed: {name} -->", f"<!-- end: {name} -->"
        block = "\n".join((head, "", *rows, "", tail))
        page = re.sub(f"{head}.*?{tail}", lambda _, block=block: block, page, flags=re.DOTALL)
    return page


def make_small(png: bytes) -> bytes:
    """A picture of the width that the page shows, in few colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    out = io.BytesIO()
    picture.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def write_pictures(family: Family, outcomes: Mapping[str, Outcome]) -> None:
    """One picture for each file that runs."""
    for name, outcome in outcomes.items():
        png = outcome.pictures.get("rendering")
        if png is not None and outcome.result.status == "ok":
            path = DOCS / "pictures" / f"{family.name}-{name}.png"
            path.write_bytes(make_small(png))


def main() -> None:
    """The command."""
    page = DOCS / "scores.md"
    tables: dict[str, list[str]] = {}
    for family in FAMILIES:
        outcomes = score_family(family)
        write_pictures(family, outcomes)
        tables[family.name] = list(list_rows(family, outcomes))
    page.write_text(replace_tables(page.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main()
