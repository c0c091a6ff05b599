"""The command line: every command reads its options, calls the library and prints."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import rrvf
from rrvf.errors import RrvfError, UserError

if TYPE_CHECKING:
    from rrvf.scoring import Item, Scoring
    from rrvf.types import SampleResult

app = typer.Typer(
    name="rrvf",
    help="Score and train models that turn images of charts and web pages back into code.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


class ModeName(StrEnum):
    """Values of ``--mode``."""

    official = "official"
    fixed = "fixed"


class Confinement(StrEnum):
    """Values of ``--confinement``."""

    auto = "auto"
    namespaces = "namespaces"
    landlock = "landlock"
    seccomp = "seccomp"
    rlimits = "rlimits"


class Kind(StrEnum):
    """What ``rrvf render`` draws."""

    chart = "chart"
    web = "web"


Out = Annotated[Path, typer.Option(help="Folder of the run; a run begun there goes on.")]
Workers = Annotated[int, typer.Option(min=1, help="Executions at the same time.")]
ChartPython = Annotated[
    Path | None,
    typer.Option(
        envvar="RRVF_CHART_PYTHON", help="Interpreter that draws, with the plotting packages."
    ),
]
Level = Annotated[
    Confinement,
    typer.Option(envvar="RRVF_CONFINEMENT", help="Level to use; below landlock only if named."),
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options before any command."""
    if version:
        typer.echo(rrvf.__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Out = Path("rrvf-demo"),
    workers: Workers = 2,
    chart_python: ChartPython = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Score a small bundled set of answers, print the table, write OUT/report.html."""
    from rrvf.demo import LIMITS, demo_items
    from rrvf.renderers.chart import ChartRenderer
    from rrvf.scoring.charts import ChartScoring

    with ChartRenderer(chart_python, workers, LIMITS, confinement.value) as renderer:
        _run(demo_items(), ChartScoring(renderer), out, workers)


@app.command()
def score(
    benchmark: Annotated[str, typer.Argument(help="chartmimic")],
    data: Annotated[str, typer.Option(help="Dataset folder, VLMEvalKit TSV, or its name.")],
    predictions: Annotated[Path, typer.Option(help="JSONL, or a VLMEvalKit prediction file.")],
    out: Out,
    workers: Workers = 2,
    mode: Annotated[ModeName, typer.Option(help="Official scores, or with bugs mended.")] = (
        ModeName.official
    ),
    scorers: Annotated[
        str, typer.Option(help="Comma-separated names or my.module:object.")
    ] = "execution,text,layout,type,color",
    subset: Annotated[str | None, typer.Option(help="Subset of the folder, direct_600.")] = None,
    task: Annotated[str | None, typer.Option(help="direct or customized.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N samples.")] = None,
    timeout: Annotated[int, typer.Option(min=1, help="CPU seconds an execution may use.")] = 60,
    chart_python: ChartPython = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Score existing predictions; goes on where an earlier run into OUT stopped."""
    from rrvf.renderers.chart import ChartRenderer, Limits
    from rrvf.scoring.charts import ChartScoring

    _known_benchmark(benchmark)
    items = _items(data, predictions, subset, task, limit)
    limits = Limits(cpu_seconds=timeout, wall_seconds=3 * timeout)
    names = tuple(name.strip() for name in scorers.split(",") if name.strip())
    with ChartRenderer(chart_python, workers, limits, confinement.value) as renderer:
        _run(items, ChartScoring(renderer, mode.value, names), out, workers)


@app.command()
def render(
    kind: Annotated[Kind, typer.Argument(help="chart or web")],
    file: Annotated[Path, typer.Argument(help="The script.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    chart_python: ChartPython = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Draw one script, confined, as a judge would see it."""
    from rrvf.renderers.chart import ChartRenderer
    from rrvf.renderers.single import draw_file

    if kind is Kind.web:
        raise UserError("web pages cannot be drawn by this version; charts can")
    with ChartRenderer(chart_python, 1, None, confinement.value) as renderer:
        typer.echo(draw_file(renderer, file, out))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, finished or not.")],
    out: Annotated[Path | None, typer.Option(help="Folder for report.html.")] = None,
) -> None:
    """Write report.html from runs; by default into the first one."""
    from rrvf.report import write_report

    typer.echo(write_report(runs, out or runs[0]))


@app.command()
def doctor(chart_python: ChartPython = None, confinement: Level = Confinement.auto) -> None:
    """Tell what this machine offers: confinement, packages, fonts, browser."""
    from rrvf.doctor import examine

    wrong = False
    for finding in examine(chart_python, confinement.value):
        mark = {True: "ok", False: "!!", None: "  "}[finding.ok]
        typer.echo(f"{mark} {finding.what + ':':<20} {finding.found}")
        wrong = wrong or finding.ok is False
    raise typer.Exit(1 if wrong else 0)


# ---------------------------------------------------------------------------- shared parts


def _known_benchmark(name: str) -> None:
    if name != "chartmimic":
        raise UserError(f"unknown benchmark {name!r}; available: chartmimic")


def _items(
    data: str, predictions: Path, subset: str | None, task: str | None, limit: int | None
) -> Sequence[Item]:
    from rrvf.benchmarks.chartmimic import load_samples
    from rrvf.benchmarks.predictions import load_predictions, match

    samples = load_samples(Path(data), subset=subset, task=task)
    items = match(samples, load_predictions(predictions))[:limit]
    missing = [sample.id for sample, completion in items if completion is None]
    if missing:
        some = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        typer.echo(
            f"no prediction for {len(missing)} of {len(items)} samples, counted as no_code: {some}",
            err=True,
        )
    return items


def _run(items: Sequence[Item], scoring: Scoring, out: Path, workers: int) -> None:
    """Score with a progress bar, then print the table and write the report."""
    from rrvf.evaluate import score_predictions
    from rrvf.report import format_table, write_report
    from rrvf.run_folder import read_summary

    try:
        with closing(score_predictions(items, scoring, out, workers)) as results:
            for _ in _progress(results, len(items)):
                pass
    except KeyboardInterrupt:
        typer.echo(f"stopped; what is done stands in {out}, the same command goes on", err=True)
        raise typer.Exit(130) from None
    typer.echo(format_table(read_summary(out)))
    typer.echo(f"report: {write_report([out], out)}")


def _progress(results: Iterator[SampleResult], total: int) -> Iterator[SampleResult]:
    """A bar on stderr with the rate and the time left; nothing where no terminal shows it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from results
        return
    columns: list[Any] = [
        *(TextColumn("scoring"), BarColumn(), MofNCompleteColumn()),
        *(TextColumn("{task.fields[rate]}"), TimeRemainingColumn()),
    ]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, rate="")
        for result in results:
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, rate=f"{speed:.1f}/s" if speed else "")
            yield result


@contextmanager
def _told_in_one_line() -> Generator[None]:
    """A user's mistake is a line, not a traceback."""
    try:
        yield
    except RrvfError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    else:
        return
    # What a script or a file says may hold line breaks and worse.
    typer.echo("rrvf: " + "".join(c if c.isprintable() else " " for c in message), err=True)
    sys.exit(2)


def main() -> NoReturn:
    """The ``rrvf`` command."""
    with _told_in_one_line():
        app()
    sys.exit(0)
