"""The command line: every command reads its options, calls the library and prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import rrvf
from rrvf.errors import RrvfError

if TYPE_CHECKING:
    from rrvf.scoring import Item, Scoring
    from rrvf.types import SampleResult

BENCHMARKS = ("chartmimic", "plot2code", "websight")

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


Browser = Annotated[
    Path | None, typer.Option(envvar="RRVF_CHROMIUM", help="Chromium that shows web pages.")
]


class ClipFailure(StrEnum):
    """Values of ``--clip-failure``."""

    zero = "zero"
    black = "black"


class Unanswered(StrEnum):
    """Values of ``--unanswered``."""

    nothing = "nothing"
    last_rendered = "last_rendered"


class Reference(StrEnum):
    """Values of ``--reference``."""

    html = "html"
    image = "image"


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
    browser: Browser = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Score small bundled sets of answers, print the tables, write OUT/report.html."""
    from rrvf.demo import demo_runs
    from rrvf.errors import SetupError
    from rrvf.report import write_report

    runs: list[Path] = []
    for run in demo_runs(workers, chart_python, browser, confinement.value):
        try:
            with run.prepared() as (items, scoring):
                runs.append(_run(items, scoring, out / run.folder, workers))
        except SetupError as error:
            if not runs:
                raise
            typer.echo(f"{run.title} left out: {error}", err=True)
    typer.echo(f"report: {write_report(runs, out)}")


@app.command()
def score(
    benchmark: Annotated[str, typer.Argument(help=", ".join(BENCHMARKS))],
    data: Annotated[str, typer.Option(help="Dataset folder or file, or its name.")],
    predictions: Annotated[Path, typer.Option(help="JSONL, or a VLMEvalKit prediction file.")],
    out: Out,
    workers: Workers = 2,
    mode: Annotated[ModeName, typer.Option(help="Official scores, or with bugs mended.")] = (
        ModeName.official
    ),
    scorers: Annotated[
        str | None, typer.Option(help="Comma-separated names or my.module:object.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Subset of the folder, direct_600.")] = None,
    task: Annotated[str | None, typer.Option(help="direct or customized.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N samples.")] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds a rendering may take: 60 of CPU, 10 a page.")
    ] = None,
    chart_python: ChartPython = None,
    browser: Browser = None,
    reference: Annotated[
        Reference, typer.Option(help="Compare pages with the HTML's rendering, or the image.")
    ] = Reference.html,
    javascript: Annotated[bool, typer.Option(help="Let pages run their scripts.")] = False,
    reuse_pages: Annotated[
        bool, typer.Option(help="One page for all, not a context each.")
    ] = False,
    clip_model: Annotated[str | None, typer.Option(help="open_clip model.")] = None,
    clip_weights: Annotated[
        str | None,
        typer.Option(envvar="RRVF_CLIP_WEIGHTS", help="open_clip tag, or a local file."),
    ] = None,
    clip_failure: Annotated[
        ClipFailure, typer.Option(help="A failed page scores zero, or as a black picture.")
    ] = ClipFailure.zero,
    judge: Annotated[
        str | None, typer.Option(help="Model that fills the GPT column, or pixel.")
    ] = None,
    judge_base_url: Annotated[
        str | None, typer.Option(help="Any OpenAI-compatible server; without it, OpenAI.")
    ] = None,
    judge_rubric: Annotated[str | None, typer.Option(help="Another than the benchmark's.")] = None,
    judge_prompt: Annotated[Path | None, typer.Option(help="Text for the rubric's own.")] = None,
    judge_repeats: Annotated[int, typer.Option(min=1, help="Answers a pair; gives a mean.")] = 1,
    judge_concurrency: Annotated[int, typer.Option(min=1, help="Questions at a time.")] = 16,
    judge_key: Annotated[
        str, typer.Option(help="Environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    max_cost: Annotated[float | None, typer.Option(help="USD the judge may cost.")] = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Score existing predictions; goes on where an earlier run into OUT stopped."""
    from rrvf.runs import JudgeOptions, RunOptions, prepared

    names = _names(scorers)
    options = RunOptions(
        data=data,
        predictions=predictions,
        workers=workers,
        mode=mode.value,
        scorers=names,
        subset=subset,
        task=task,
        limit=limit,
        timeout=timeout,
        chart_python=chart_python,
        browser=browser,
        reference=reference.value,
        javascript=javascript,
        reuse_pages=reuse_pages,
        clip_model=clip_model,
        clip_weights=clip_weights,
        clip_failure=clip_failure.value,
        confinement=confinement.value,
        judge=None
        if judge is None
        else JudgeOptions(
            model=judge,
            base_url=judge_base_url,
            rubric=judge_rubric,
            prompt=judge_prompt,
            repeats=judge_repeats,
            concurrency=judge_concurrency,
            max_cost=max_cost,
            key_variable=judge_key,
        ),
    )
    with prepared(benchmark, options) as (items, scoring):
        _tell_missing(items)
        _run(items, scoring, out, workers)
        from rrvf.report import write_report

        typer.echo(f"report: {write_report([out], out)}")


@app.command("eval")
def evaluate(
    benchmark: Annotated[str, typer.Argument(help=", ".join(BENCHMARKS))],
    data: Annotated[str, typer.Option(help="Dataset folder or file, or its name.")],
    policy: Annotated[str, typer.Option(help="Model at the server, or a file of its answers.")],
    out: Out,
    base_url: Annotated[
        str | None, typer.Option(help="Any OpenAI-compatible server; without it, OpenAI.")
    ] = None,
    max_turns: Annotated[int, typer.Option(min=1, help="Completions an episode.")] = 5,
    teacher: Annotated[str | None, typer.Option(help="Model that comments.")] = None,
    teacher_base_url: Annotated[str | None, typer.Option(help="Its server.")] = None,
    attach_rendering: Annotated[
        bool, typer.Option(help="Show the policy its renderings beside the comments.")
    ] = True,
    unanswered: Annotated[
        Unanswered, typer.Option(help="What is scored of an episode without an answer.")
    ] = Unanswered.nothing,
    temperature: Annotated[float, typer.Option(min=0, help="Of the policy.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens a completion.")] = 4096,
    concurrency: Annotated[int, typer.Option(min=1, help="Episodes that wait at a time.")] = 16,
    key: Annotated[
        str, typer.Option(help="Environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    workers: Workers = 2,
    scorers: Annotated[
        str | None, typer.Option(help="Comma-separated names or my.module:object.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Subset of the folder, direct_600.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N samples.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="Model that fills the GPT column, or pixel.")
    ] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="The judge's server.")] = None,
    chart_python: ChartPython = None,
    browser: Browser = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Let a model play the loop, score its answers; goes on where an earlier run stopped."""
    from rrvf.report import write_report
    from rrvf.runs import JudgeOptions, LoopOptions, RunOptions, episodes

    options = RunOptions(
        data=data,
        predictions=None,
        workers=workers,
        scorers=_names(scorers),
        subset=subset,
        limit=limit,
        chart_python=chart_python,
        browser=browser,
        confinement=confinement.value,
        judge=None if judge is None else JudgeOptions(model=judge, base_url=judge_base_url),
    )
    loop = LoopOptions(
        policy=policy,
        base_url=base_url,
        teacher=teacher,
        teacher_base_url=teacher_base_url,
        max_turns=max_turns,
        attach_rendering=attach_rendering,
        unanswered=unanswered.value,
        temperature=temperature,
        max_tokens=max_tokens,
        concurrency=concurrency,
        key_variable=key,
    )
    with episodes(benchmark, options, loop, out) as (items, scoring):
        _run(items, scoring, out, workers)
        typer.echo(f"report: {write_report([out], out)}")


@app.command()
def render(
    kind: Annotated[Kind, typer.Argument(help="chart or web")],
    file: Annotated[Path, typer.Argument(help="The script or page.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    chart_python: ChartPython = None,
    browser: Browser = None,
    javascript: Annotated[bool, typer.Option(help="Let the page run its scripts.")] = False,
    confinement: Level = Confinement.auto,
) -> None:
    """Draw one script or page, confined; a chart as a judge would see it."""
    from rrvf.renderers import single

    if kind is Kind.web:
        typer.echo(single.show_file(file, out, browser, confinement.value, javascript=javascript))
    else:
        typer.echo(single.draw_file(file, out, chart_python, confinement.value))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, finished or not.")],
    out: Annotated[Path | None, typer.Option(help="Folder for report.html.")] = None,
) -> None:
    """Write report.html from runs; by default into the first one."""
    from rrvf.report import write_report

    typer.echo(write_report(runs, out or runs[0]))


@app.command()
def doctor(
    chart_python: ChartPython = None,
    browser: Browser = None,
    confinement: Level = Confinement.auto,
) -> None:
    """Tell what this machine offers: confinement, packages, fonts, browser, CLIP weights."""
    from rrvf.doctor import examine

    wrong = False
    for finding in examine(chart_python, browser, confinement.value):
        mark = {True: "ok", False: "!!", None: "  "}[finding.ok]
        typer.echo(f"{mark} {finding.what + ':':<20} {finding.found}")
        wrong = wrong or finding.ok is False
    raise typer.Exit(1 if wrong else 0)


@app.command("setup-browser")
def setup_browser() -> None:
    """Get what web pages need: a Chromium if there is none, and Tailwind's stylesheet."""
    from rrvf.renderers.browser_setup import set_up

    for line in set_up():
        typer.echo(line)


# ---------------------------------------------------------------------------- shared parts


def _names(scorers: str | None) -> tuple[str, ...] | None:
    """The names in a list with commas; ``None`` for the benchmark's own."""
    if scorers is None:
        return None
    return tuple(name.strip() for name in scorers.split(",") if name.strip())


def _tell_missing(items: Sequence[Item]) -> None:
    missing = [sample.id for sample, completion in items if completion is None]
    if missing:
        some = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        typer.echo(
            f"no prediction for {len(missing)} of {len(items)} samples, counted as no_code: {some}",
            err=True,
        )


def _run(items: Sequence[Item], scoring: Scoring, out: Path, workers: int) -> Path:
    """Score with a progress bar, then print the table."""
    from rrvf.evaluate import score_predictions
    from rrvf.report import format_table
    from rrvf.run_folder import read_summary

    judge = scoring.judge
    for line in (*scoring.lacks(), judge.expected(len(items)) if judge else None):
        _tell(line)
    try:
        with closing(score_predictions(items, scoring, out, workers)) as results:
            for _ in _progress(results, len(items)):
                pass
    except KeyboardInterrupt:
        _tell(judge.spent() if judge else None)
        typer.echo(f"stopped; what is done stands in {out}, the same command goes on", err=True)
        raise typer.Exit(130) from None
    _tell(judge.spent() if judge else None)
    typer.echo(format_table(read_summary(out)))
    return out


def _tell(line: str | None) -> None:
    if line:
        typer.echo(line, err=True)


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
    # Threads of torch that spin while they wait take many times as long on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _told_in_one_line():
        app()
    sys.exit(0)
