"""What the runs of ``learn_unseen.py`` showed, as a page with figures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.attribute_charts import UNSEEN, describe, parse
from benchmarks.unseen_measures import ARMS, Answer, Arm, Charts, Part, Split, to_sample
from rrvf.bench import Bench

# Okabe and Ito's colours, told apart by all common kinds of colour vision.
LOOKS: Mapping[Arm, tuple[str, str, str]] = {
    "grpo": ("#0072B2", "-", "o"),
    "lr0": ("#000000", "--", "s"),
    "shuffled": ("#D55E00", ":", "^"),
    "seen": ("#009E73", "-.", "D"),
}
LABELS: Mapping[Arm, str] = {
    "grpo": "GRPO on all values",
    "lr0": "learning rate 0",
    "shuffled": "rewards shuffled",
    "seen": "GRPO on seen values",
}
PANELS: Sequence[tuple[Part, str, str]] = (
    ("unseen", "accuracy", "Accuracy on unseen values"),
    ("seen", "accuracy", "Accuracy on seen values"),
    ("unseen", "paint", "Same paint, charts with unseen values"),
    ("unseen", "unseen color", "Unseen colours"),
    ("unseen", "unseen kind", "Unseen type"),
    ("unseen", "unseen number", "Unseen length"),
)


def draw_curves(results: Mapping[str, Any], folder: Path) -> None:
    """Held-out figures over steps, all seeds; as SVG and PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for panel, (part, name, title) in zip(panels.flat, PANELS, strict=True):
        for number, seed_report in enumerate(results["seeds"].values()):
            for arm in ARMS:
                color, line, marker = LOOKS[arm]
                points = {int(s): f[part][name] for s, f in seed_report["held_out"][arm].items()}
                panel.plot(
                    *zip(*sorted(points.items()), strict=True),
                    color=color,
                    linestyle=line,
                    marker=marker,
                    markersize=4,
                    alpha=0.8,
                    label=LABELS[arm] if number == 0 else None,
                )
        panel.set_title(title, fontsize=10)
        panel.set_ylim(-0.03, 1.03)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[1]:
        panel.set_xlabel("step of GRPO")
    panels[0][0].legend(frameon=False, fontsize=9)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"curves.{suffix}", dpi=150)


def choose_examples(charts: Charts, number: int = 3) -> list[str]:
    """The first charts that have nothing unseen but one attribute; as many of each."""
    chosen: list[str] = []
    for attribute in UNSEEN:
        names = [name for name, chart in charts.items() if chart.unseen() == (attribute,)]
        chosen += names[:number]
    return chosen


def draw_examples(
    answers_by_step: Mapping[str, Mapping[Part, Sequence[Answer]]],
    split: Split,
    bench: Bench,
    folder: Path,
) -> None:
    """Charts with what the greedy answers of one run showed, by step; as SVG and PNG."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    names = choose_examples(split.unseen)
    figure = Figure(figsize=(1.1 * (len(answers_by_step) + 1), 1.15 * len(names)))
    panels = figure.subplots(len(names), len(answers_by_step) + 1, squeeze=False)
    titles = ["chart", *(f"step {step}" for step in answers_by_step)]
    for row, name in enumerate(names):
        answers = [
            next(answer for answer in answers["unseen"] if answer["id"] == name)
            for answers in answers_by_step.values()
        ]
        shown = [describe(split.unseen[name]), *(answer["shows"] for answer in answers)]
        for column, text in enumerate(shown):
            panel = panels[row][column]
            panel.axis("off")
            if row == 0:
                panel.set_title(titles[column], fontsize=9)
            if text is None:
                panel.text(0.5, 0.5, "does not run", ha="center", va="center", fontsize=7)
                continue
            png = bench.target(to_sample(text, parse(text)))
            panel.imshow(imread(io.BytesIO(png)))
    figure.tight_layout(pad=0.3)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"examples.{suffix}", dpi=150)


def format_percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f}"


def format_lift(entry: Mapping[str, float] | None) -> str:
    """A difference in points with its interval."""
    if entry is None:
        return "–"
    low, high = entry["low"], entry["high"]
    return f"{100 * entry['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def make_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def make_page(results: Mapping[str, Any]) -> str:
    """The result as Markdown: what was measured, and whether it is shown."""
    step = str(results["plan"]["steps"])
    values = [str(value) for entries in UNSEEN.values() for value in entries]
    reach, ends, gains, by_value = [], [], [], []
    for seed, seed_report in results["seeds"].items():
        entry = seed_report["reach"]
        shares = [
            f"{format_percent(entry['shown'][value])} / {format_percent(entry['others'][value])}"
            for value in entry["shown"]
        ]
        is_met = "yes" if entry["holds"] else "NO"
        tries = str(seed_report["n_starts"])
        reach.append([seed, *shares, format_lift(entry["difference"]), is_met, tries])
        points = {"start": seed_report["held_out"]["grpo"]["0"]}
        points |= {LABELS[arm]: seed_report["held_out"][arm][step] for arm in ARMS}
        for label, figures in points.items():
            shares = [
                *(figures["unseen"][name] for name in ("accuracy", *UNSEEN_NAMES, "paint")),
                *(figures["seen"][name] for name in ("accuracy", "paint", "runnable")),
            ]
            ends.append([seed, label, *map(format_percent, shares)])
        starts, last = points["start"]["unseen"], points[LABELS["grpo"]]["unseen"]
        changes = [f"{format_percent(starts[v])} → {format_percent(last[v])}" for v in values]
        by_value.append([seed, *changes])
        lifts = [format_lift(seed_report["gains"][name]) for name in ("start", *ARMS[1:])]
        seen = format_lift(seed_report["seen"])
        gains.append([seed, *lifts, seen, "yes" if seed_report["shown"] else "NO"])
    verdict = "Shown for every seed." if results["shown"] else "NOT shown for every seed."
    return "\n\n".join(
        [
            "# Does it learn from images alone what nobody told it?",
            f"{verdict} Made by `{COMMAND}`; the protocol stands at the head of that script. "
            "All figures are percentages; in brackets 95 % intervals, bootstrap over charts.",
            "![Held-out accuracy by step](curves.png)",
            "## Before GRPO: how often an unseen value is written",
            "Share of samples for charts that show it / for the others, sampled as in training. "
            "Each must be 0.5 to 20 %, and the interval of the difference, paired by chart, must "
            "include 0.",
            make_table(["seed", *values, "difference, points", "holds", "starts taught"], reach),
            f"## Held out, after {step} steps",
            "Accuracy on charts with unseen values counts their unseen attributes alone.",
            make_table(ENDS, ends),
            "GRPO on all values: of the charts that show a value the share that is answered with "
            "it, at the start and at the end.",
            make_table(["seed", *values], by_value),
            "## Gain of accuracy on unseen values, in points",
            make_table(GAINS, gains),
            "## Examples",
            "Greedy answers of the first seed to held-out charts, drawn: three with an unseen "
            "colour, three with the unseen type, three with the unseen length.",
            "![Examples by step](examples.png)",
        ]
    )


COMMAND = "python benchmarks/learn_unseen.py --out results/training/learn_unseen"
UNSEEN_NAMES = ("unseen color", "unseen kind", "unseen number")
ENDS = (
    *("seed", "run", "unseen values", "unseen colours", "unseen type", "unseen length"),
    *("paint, unseen", "seen values", "paint, seen", "runnable, seen"),
)
GAINS = (
    *("seed", "over the start", "over learning rate 0", "over shuffled rewards"),
    *("over seen values only", "seen values, over the start", "shown"),
)


def write_page(
    results: Mapping[str, Any],
    answers_by_step: Mapping[str, Mapping[Part, Sequence[Answer]]],
    split: Split,
    bench: Bench,
    folder: Path,
) -> str:
    """Figures and ``README.md``; returns its text.

    Args:
        results: Of all seeds.
        answers_by_step: Of the first seed's GRPO; examples come from them.
        split: The charts.
        bench: Draws the examples.
        folder: Where all of it goes.
    """
    draw_curves(results, folder)
    draw_examples(answers_by_step, split, bench, folder)
    page = make_page(results)
    (folder / "README.md").write_text(page + "\n")
    return page
