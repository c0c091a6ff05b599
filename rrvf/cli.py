"""The command line: every command reads its options, calls the library and prints."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import typer

import rrvf
from rrvf.commands import Command, Group, SeveralValues
from rrvf.errors import OtherRunError, RrvfError, SetupError, UserError
from rrvf.files import write_atomically
from rrvf.flags import Some, expand_options
from rrvf.options import (
    Browser,
    ChartPython,
    Confinement,
    JudgeOptions,
    LoopOptions,
    ReproduceOptions,
    RewardOptions,
    RuleOptions,
    RunOptions,
    ServiceOptions,
    Workers,
)

if TYPE_CHECKING:
    from rrvf.bench import Scoring
    from rrvf.evaluate import Executor
    from rrvf.scoring import Item
    from rrvf.types import SampleResult

T = TypeVar("T")
Options = TypeVar("Options", JudgeOptions, LoopOptions)

NOTHING_SCORED, INTERRUPTED, TERMINATED = 3, 130, 143
"""Exit statuses, besides 0, and 2 for a user's mistake."""

BENCHMARKS = (
    *("chartmimic", "plot2code", "websight", "design2code", "design2code_hard"),
    *("pictures", "figure_pictures", "page_pictures"),
)

TRAINING = (
    "Training is started by python -m training.grpo and python -m training.sft; "
    "rrvf recipes lists their configurations."
)

app = typer.Typer(
    name="rrvf",
    help="Score and train models that turn images of charts and web pages back into code.",
    epilog=TRAINING,
    no_args_is_help=True,
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _command(task: str, name: str | None = None, cls: type[Command] = Command) -> Any:
    """A command, under the heading of its task."""
    return app.command(name, cls=cls, rich_help_panel=task)


Out = Annotated[Path, typer.Option(help="Folder of the run; a run begun there goes on.")]
Where = Annotated[
    Literal["local", "ray"], typer.Option(help="Score on this machine, or on a Ray cluster.")
]
RayAddress = Annotated[
    str | None, typer.Option(help="host:port of the cluster; else the one this machine is in.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Ask judge and teacher anew, whatever is kept.")
]
Changes = Annotated[
    dict[str, Any],
    Some(
        RunOptions,
        (
            *("data", "subset", "task", "mode", "cleanup", "scorers", "reference", "timeout"),
            *("chart_python", "browser", "clip_model", "clip_weights", "pictures"),
        ),
    ),
]
Answers = "JSONL; VLMEvalKit's xlsx, tsv, csv, json or pkl; these as .gz; a folder of <id>.py|html."


def _complete_benchmark() -> list[str]:
    return list(BENCHMARKS)


def _complete_recipe() -> list[str]:
    from rrvf.reproduce import list_recipes

    return list_recipes()


Benchmark = Annotated[
    str,
    typer.Argument(
        metavar="BENCHMARK",
        help=f"{', '.join(BENCHMARKS)}, or my.module:MyBenchmark.",
        autocompletion=_complete_benchmark,
    ),
]
FinishedRun = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options before any command."""
    if version:
        typer.echo(rrvf.__version__)
        raise typer.Exit


@_command("Start here")
@expand_options
def demo(
    out: Out = Path("rrvf-demo"),
    workers: Workers = 2,
    chart_python: ChartPython = None,
    browser: Browser = None,
    confinement: Confinement = "auto",
) -> None:
    """Score small bundled sets of answers, print the tables, write OUT/report.html."""
    from rrvf.demo import demo_runs, describe_end, play_episode
    from rrvf.report import write_report

    runs: list[Path] = []
    for run in demo_runs(workers, chart_python, browser, confinement):
        try:
            with run.open() as (items, scoring):
                _run(items, scoring, out / run.folder, workers)
                runs.append(out / run.folder)
                if run.episode is not None:
                    episode = out / f"episode-{run.episode}"
                    typer.echo(play_episode(run.episode, items, scoring, episode))
                    runs.append(episode)
        except SetupError as error:
            if not runs:
                raise
            typer.echo(f"{run.title} left out: {error}", err=True)
    typer.echo(describe_end(runs))
    typer.echo(f"report: {write_report(runs, out)}")


@_command("Evaluate")
@expand_options
def score(
    benchmark: Benchmark,
    predictions: Annotated[Path, typer.Option(help=Answers)],
    out: Out,
    run: RunOptions,
    judge: JudgeOptions,
    fresh: Fresh = False,
    executor: Where = "local",
    ray_address: RayAddress = None,
) -> None:
    """Score existing predictions; goes on where an earlier run into OUT stopped.

    Ends with status 3 where nothing at all could be scored.
    """
    from rrvf.run_folder import require_apart
    from rrvf.runs import open_run
    from rrvf.scoring import tell_thoughts

    require_apart(out, run.data, predictions)

    options = replace(run, predictions=predictions, judge=_since(judge, out, fresh))
    on_ray = None if executor == "local" else _build_executor(benchmark, options, None, ray_address)
    with open_run(benchmark, options) as (items, scoring):
        _tell_unanswered(items, scoring)
        _tell(tell_thoughts(items))
        results = _run(items, scoring, out, run.workers, on_ray, options.to_json())
    _report(out, results)


@_command("Evaluate", "eval")
@expand_options
def evaluate(
    benchmark: Benchmark,
    out: Out,
    loop: LoopOptions,
    run: RunOptions,
    judge: JudgeOptions,
    fresh: Fresh = False,
    executor: Where = "local",
    ray_address: RayAddress = None,
) -> None:
    """Let a model play the loop, score its answers; goes on where an earlier run stopped.

    Ends with status 3 where nothing at all could be scored.
    """
    from rrvf.episodes import list_remarks
    from rrvf.run_folder import require_apart
    from rrvf.runs import open_episodes

    require_apart(out, run.data)

    loop = _since(loop, out, fresh)
    options = replace(run, judge=_since(judge, out, fresh))
    on_ray = (
        None if executor == "local" else _build_executor(benchmark, options, loop, ray_address, out)
    )
    with open_episodes(benchmark, options, loop, out) as (items, scoring):
        _tell_unanswered(items, scoring)
        results = _run(items, scoring, out, run.workers, on_ray, options.to_json())
    _tell(*list_remarks(out))
    _report(out, results)


@_command("Train")
@expand_options
def serve(
    benchmark: Benchmark,
    service: ServiceOptions,
    run: RunOptions,
    rules: RuleOptions,
    judge: JudgeOptions,
    reward: RewardOptions,
    executor: Where = "local",
    ray_address: RayAddress = None,
) -> None:
    """Let trainers elsewhere play episodes over HTTP: pictures, rewards with their parts, scores.

    SIGTERM ends it: what is being drawn is finished, who waits is told to come again.
    """
    from rrvf.environment import open_environment

    try:
        from rrvf.serving.server import read_token, serve_http
    except ImportError as error:
        raise SetupError(f"rrvf serve needs pip install 'rrvf[serve]' ({error})") from error

    serve_it = serve_http
    if service.interface == "openenv":
        from rrvf.trainers.openenv.server import serve_openenv as serve_it

    read_token(service)  # what is missing is told before anything is started
    options = replace(run, judge=judge)
    with ExitStack() as stack:
        environment = stack.enter_context(open_environment(benchmark, options, rules, reward))
        bench = environment.bench
        if executor == "ray":
            from rrvf.ray_drawer import open_ray_drawer

            drawer = open_ray_drawer(benchmark, options, bench, ray_address)
            environment = environment.with_drawer(stack.enter_context(drawer))
        _tell(*bench.lacks(), f"{len(environment.samples)} samples of {bench.benchmark.name}")
        serve_it(environment, service, run.workers, typer.echo)


@_command("Evaluate")
@expand_options
def rescore(
    run: FinishedRun,
    out: Out,
    changes: Changes,
    judge: JudgeOptions,
    workers: Workers = 2,
    confinement: Confinement = "auto",
    fresh: Fresh = False,
) -> None:
    """Score a run again, by another judge, other scorers or another mode; no model answers again.

    Ends with status 3 where nothing at all could be scored.
    """
    from rrvf.episodes import list_remarks
    from rrvf.rescore import open_rescored, read_run
    from rrvf.run_folder import require_apart
    from rrvf.scoring import tell_thoughts

    _require_apart_from_run(out, run)
    old_run = read_run(run)
    if not old_run.finished:
        _tell(f"{run} is unfinished: only the {len(old_run.ids())} samples in it are scored again")
    this_machine: dict[str, Any] = {"workers": workers, "confinement": confinement}
    changes |= this_machine | {"judge": _since(judge, out, fresh)}
    options = replace(old_run.options, **changes)
    require_apart(out, options.data)
    with open_rescored(old_run, options, out) as (items, scoring):
        _tell(tell_thoughts(items))
        results = _run(items, scoring, out, workers, options=options.to_json())
    _tell(*list_remarks(out))
    _report(out, results)


@_command("Results and tables")
@expand_options
def submit(
    run: FinishedRun,
    out: Annotated[Path, typer.Option(help="Folder where it is scored again; it goes on there.")],
    changes: Annotated[
        dict[str, Any], Some(RunOptions, ("data", "chart_python", "browser", "clip_weights"))
    ],
    results: Annotated[
        Path | None, typer.Option(help="The results folder; without it the run is only checked.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Who answered.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the run, in the results folder.")] = None,
    made: Annotated[str | None, typer.Option(help="A sentence: data, answers, command.")] = None,
    workers: Workers = 2,
    confinement: Confinement = "auto",
) -> None:
    """Score a run again and compare; enter it into the results folder if it is what it says.

    Nobody is asked again: a judge's scores enter as they are.
    """
    from rrvf.rescore import open_rescored
    from rrvf.submission import AGAIN, compare, enter, read_submission
    from rrvf.tables.records import require_new

    facts = (policy, name, made)
    if results is not None and not all(facts):
        raise UserError("--results needs --policy, --name and --made, for the record of the run")
    if "data" not in changes:
        raise UserError("name the samples by --data: where the run says they are may be anything")
    _require_apart_from_run(out, run)
    if results is not None:
        _require_apart_from_run(results, run, "--results")
        _require_apart_from_run(results, out, "--results")
        require_new(results, run, policy or "", name or "")
    record, options = read_submission(run)
    changes |= {"workers": workers, "confinement": confinement, "pictures": "none"}
    options = replace(options, **changes)
    with open_rescored(record, options, out) as (items, scoring):
        _run(items, scoring, out, workers, options=options.to_json())
    verdict = compare(run, out)
    differing = {difference.place for difference in verdict.differences} & record.ids()
    if differing:
        _tell(f"{len(differing)} differ, and are executed once more")
        with open_rescored(record, options, out / AGAIN) as (items, scoring):
            again = [item for item in items if item[0].id in differing]
            _run(again, scoring, out / AGAIN, workers, options=options.to_json())
        verdict = compare(run, out, out / AGAIN)
    verdict.require_acceptable(run)
    for line in verdict.describe():
        typer.echo(_one_line(line))
    if results is not None and policy and name and made:
        typer.echo(f"entered: {enter(run, results, verdict, policy, name, made)}")


@_command("Reproduce the paper")
@expand_options
def reproduce(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Name of a recipe, as in rrvf-chartmimic, or a YAML file.",
            autocompletion=_complete_recipe,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the row; one begun there goes on.")],
    options: ReproduceOptions,
    plan: Annotated[
        bool, typer.Option("--plan", help="Tell what is needed and costs; start nothing.")
    ] = False,
) -> None:
    """Do all that a row of the paper's tables needs, and print it beside the paper's.

    Ends with status 3 where nothing at all could be scored.
    """
    from rrvf.reproduce import Job, MissingError, describe_plan, read_recipe
    from rrvf.reproduce import reproduce as reproduce_row

    job = Job(recipe, read_recipe(recipe), options, out)
    if plan:
        for line in describe_plan(job):
            typer.echo(_one_line(line))
        return
    try:
        with _stop_on_sigterm():
            row, results = reproduce_row(job, _run, _tell)
    except MissingError as error:
        for line in error.lines:
            typer.echo(f"rrvf: {_one_line(line)}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as stop:
        typer.echo(f"stopped; what is done stands in {out}, the same command goes on", err=True)
        raise typer.Exit(TERMINATED if isinstance(stop, _Termination) else INTERRUPTED) from None
    typer.echo(row, nl=False)
    _report(job.judged, results)


@_command("Reproduce the paper")
def recipes(
    copy_to: Annotated[
        Path | None, typer.Option(help="A new folder: copy all of them there, to change them.")
    ] = None,
) -> None:
    """List the recipes, training's configurations and launch scripts, and where they are."""
    from rrvf.project_files import copy_shelves, list_shelves, summarize

    if copy_to is not None:
        typer.echo(copy_shelves(copy_to))
        return
    for shelf in list_shelves():
        typer.echo(f"{shelf.title}: {shelf.use}\n{shelf.folder}/")
        width = max(map(len, shelf.files))
        for name, path in shelf.files.items():
            typer.echo(f"  {name:<{width}}  {summarize(path)}")
        typer.echo()


@_command("Evaluate")
@expand_options
def render(
    kind: Annotated[Literal["chart", "web"], typer.Argument(metavar="KIND", help="chart or web")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The script or page.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    chart_python: ChartPython = None,
    browser: Browser = None,
    javascript: Annotated[bool, typer.Option(help="Let the page run its scripts.")] = False,
    confinement: Confinement = "auto",
) -> None:
    """Draw one script or page, confined; a chart as a judge would see it."""
    from rrvf.renderers import single

    if kind == "web":
        typer.echo(single.show_file(file, out, browser, confinement, javascript=javascript))
    else:
        typer.echo(single.draw_file(file, out, chart_python, confinement))


@_command("Results and tables")
@expand_options
def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Folders of runs, finished or not.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the page.")] = None,
    leaderboard: Annotated[
        bool,
        typer.Option(
            "--leaderboard",
            help="Write leaderboard.html of a results folder; without RUN of the project's own, "
            "into the working folder.",
        ),
    ] = False,
    draw: Annotated[bool, typer.Option(help="Draw the pictures that a run left out.")] = True,
    workers: Workers = 2,
) -> None:
    """Write report.html from runs; by default into the first one."""
    from rrvf.report import write_report
    from rrvf.tables.leaderboard import write_leaderboard

    if leaderboard and runs and len(runs) > 1:
        raise UserError("--leaderboard takes one results folder; name the one above the others")
    if leaderboard:
        page = write_leaderboard(runs[0], out) if runs else _write_own_leaderboard(out)
        typer.echo(page)
        return
    if not runs:
        raise UserError("no run is named; name the folder of one, or --leaderboard")
    if draw:
        for folder in runs:
            _draw_left_out(folder, workers)
    typer.echo(write_report(runs, out or runs[0]))


@_command("Results and tables", cls=SeveralValues)
def tables(
    benchmark: Annotated[
        str | None,
        typer.Argument(
            metavar="BENCHMARK",
            help=f"{', '.join(BENCHMARKS)}; all without it.",
            autocompletion=_complete_benchmark,
        ),
    ] = None,
    form: Annotated[
        Literal["text", "markdown", "latex", "csv", "html", "hub"] | None,
        typer.Option(
            "--format",
            help="Without it: text on a terminal, else markdown. hub: a model's evaluation "
            "results, YAML.",
        ),
    ] = None,
    runs: Annotated[
        list[Path] | None, typer.Option(help="Folders of runs to set beside the paper's rows.")
    ] = None,
    compare: Annotated[
        list[Path] | None, typer.Option(help="Instead: two runs or more, sample by sample.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Of a comparison: samples also by a tag of theirs, e.g. category."),
    ] = None,
    others: Annotated[
        bool,
        typer.Option("--others", help="Instead: what other systems' authors print, by source."),
    ] = False,
    figures: Annotated[
        Path | None, typer.Option(help="Also: a folder for figures of the runs, SVG and PNG.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file instead of stdout.")] = None,
) -> None:
    """The paper's tables, and measured runs beside them."""
    from rrvf.run_folder import RUN_FILES
    from rrvf.tables import render_comparison, render_others, render_tables

    if by is not None and not compare:
        raise UserError("--by groups the samples of a comparison; add --compare RUN RUN...")
    if (others and (compare or runs)) or (compare and runs):
        raise UserError("--others, --compare and --runs show different things; name one of them")
    if form == "hub" and not runs:
        raise UserError("--format hub writes runs; name them by --runs RUN...")
    if out is not None and out.name in RUN_FILES and out.exists():
        raise UserError(f"--out {out} is a file of a run; name another one")
    form = form or ("text" if out is None and sys.stdout.isatty() else "markdown")
    if others:
        text = render_others(benchmark, form)
    elif compare:
        text = render_comparison(*compare, form=form, tag=by)
    else:
        text = render_tables(benchmark, form, runs or ())
    if figures is not None:
        from rrvf.figures import write_figures

        for path in write_figures(runs or (), figures):
            typer.echo(path, err=True)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())


@_command("This machine")
@expand_options
def doctor(
    chart_python: ChartPython = None,
    browser: Browser = None,
    confinement: Confinement = "auto",
) -> None:
    """Tell what this machine offers: confinement, packages, fonts, browser, CLIP weights."""
    from rrvf.doctor import examine

    has_fault = False
    for finding in examine(chart_python, browser, confinement):
        mark = {True: "ok", False: "!!", None: "  "}[finding.ok]
        typer.echo(f"{mark} {finding.subject + ':':<20} {finding.answer}")
        has_fault = has_fault or finding.ok is False
    raise typer.Exit(1 if has_fault else 0)


@_command("This machine", "setup-browser")
def setup_browser() -> None:
    """Get what web pages need: a Chromium if there is none, and Tailwind's stylesheet."""
    from rrvf.renderers.browser_setup import set_up

    for line in set_up():
        typer.echo(line)


# ---------------------------------------------------------------------------- shared parts


def _since(options: Options, out: Path, fresh: bool) -> Options:
    """Who is asked, with the time from when on answers count that were kept.

    They always count, but in a fresh run: there since it began.
    """
    from rrvf.run_folder import read_fresh_start

    return replace(options, since=read_fresh_start(out) if fresh else 0.0)


def _require_apart_from_run(out: Path, run: Path, option: str = "--out") -> None:
    new_folder, old_folder = out.resolve(), run.resolve()
    if new_folder == old_folder:
        fault = f"is the same folder as {run}"
    elif new_folder.is_relative_to(old_folder):
        fault = f"lies inside {run}"
    elif old_folder.is_relative_to(new_folder):
        fault = f"holds {run}"
    else:
        return
    raise UserError(f"{option} {out} {fault}, which stays as it is: name another {option}")


def _tell_unanswered(items: Sequence[Item], scoring: Scoring) -> None:
    from rrvf.runs import find_unanswered

    ids = find_unanswered(items, scoring)
    if ids:
        examples = ", ".join(ids[:10]) + (", ..." if len(ids) > 10 else "")
        _tell(
            f"no prediction for {len(ids)} of {len(items)} samples, counted as no_code: {examples}"
        )


def _build_executor(
    benchmark: str,
    options: RunOptions,
    loop: LoopOptions | None,
    address: str | None,
    out: Path | None = None,
) -> Executor:
    from rrvf.ray_executor import build_executor

    return build_executor(benchmark, options, loop, address, out)


def _run(
    items: Sequence[Item],
    scoring: Scoring,
    out: Path,
    workers: int,
    executor: Executor | None = None,
    options: Mapping[str, Any] | None = None,
) -> Sequence[SampleResult]:
    """Score with a progress bar, then print the table and what there is to say about it."""
    from rrvf.evaluate import score_predictions
    from rrvf.renderers.official_packages import count_missing_packages
    from rrvf.report import explain_unscored, format_table
    from rrvf.run_folder import read_summary
    from rrvf.runs import list_costs
    from rrvf.scoring import tell_broken, tell_glyphs

    def read_costs() -> Iterator[str]:
        # On a cluster every slot asks for itself, and nothing was asked from here.
        return iter(()) if executor else list_costs(scoring)

    judge = scoring.judge
    _tell(*scoring.lacks(), judge.expected(len(items)) if judge else None)
    try:
        with (
            _stop_on_sigterm(),
            # Ray tells of lost nodes on stdout, which is for the table.
            redirect_stdout(sys.stderr if executor else sys.stdout),
            closing(score_predictions(items, scoring, out, workers, executor, options)) as stream,
        ):
            results = list(_progress(stream, len(items)))
    except KeyboardInterrupt as stop:
        _tell(*read_costs())
        typer.echo(f"stopped; what is done stands in {out}, the same command goes on", err=True)
        raise typer.Exit(TERMINATED if isinstance(stop, _Termination) else INTERRUPTED) from None
    _tell(*read_costs())
    typer.echo(format_table(read_summary(out)))
    for line in filter(
        None,
        (
            *explain_unscored(results),
            tell_broken(results),
            *count_missing_packages(results),
            tell_glyphs(result.tags for result in results),
        ),
    ):
        typer.echo(_one_line(line))
    return results


def _write_own_leaderboard(out: Path | None) -> Path:
    from rrvf.project_files import find_results
    from rrvf.tables.leaderboard import write_leaderboard

    return write_leaderboard(find_results(), out or Path())


def _draw_left_out(folder: Path, workers: int) -> None:
    """Draw what a run was told to leave out; without them the report is still one."""
    from rrvf.redraw import draw_left_out, find_left_out

    left_out = find_left_out(folder)
    if left_out is None:
        return
    run, names = left_out
    try:
        for _ in _progress(draw_left_out(run, names, workers), len(names), "drawing"):
            pass
    except RrvfError as error:
        _tell(f"pictures left out of {folder} cannot be drawn: {error}")


def _report(out: Path, results: Sequence[SampleResult]) -> None:
    """Write the report; a run that could score nothing at all is no success."""
    from rrvf.report import is_unscored, write_report

    typer.echo(f"report: {write_report([out], out)}")
    if is_unscored(results):
        typer.echo("nothing could be scored", err=True)
        raise typer.Exit(NOTHING_SCORED)


class _Termination(KeyboardInterrupt):
    """The system, or a scheduler, ends the process: as if its user had interrupted it."""


@contextmanager
def _stop_on_sigterm() -> Generator[None]:
    """SIGTERM stops a run as Ctrl-C does, so that its summary is written."""

    def stop(*_: object) -> NoReturn:
        raise _Termination

    handler = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _tell(*lines: str | None) -> None:
    for line in filter(None, lines):
        typer.echo(_one_line(line), err=True)


def _one_line(text: str) -> str:
    """What a script or a file says may hold line breaks and worse."""
    return "".join(c if c.isprintable() else " " for c in text)


def _progress(results: Iterator[T], total: int, label: str = "scoring") -> Iterator[T]:
    """A bar on stderr with the rate and the time left; nothing where no terminal shows it."""
    if not _may_be_terminal():
        yield from results
        return
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
        *(TextColumn(label), BarColumn(), MofNCompleteColumn()),
        *(TextColumn("{task.fields[rate]}"), TimeRemainingColumn()),
    ]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, rate="")
        for result in results:
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, rate=f"{speed:.1f}/s" if speed else "")
            yield result


def _may_be_terminal() -> bool:
    """Whether rich could take stderr for a terminal; loading it to be told no takes a while."""
    names = ("FORCE_COLOR", "TTY_COMPATIBLE")
    return sys.stderr.isatty() or any(os.environ.get(name) for name in names)


@contextmanager
def _report_errors() -> Generator[None]:
    """A user's mistake is a line, not a traceback."""
    try:
        yield
    except OtherRunError as error:
        lines = [error.head, *(f"  {line}" for line in error.lines)]
    except RrvfError as error:
        lines = [str(error)]
    except OSError as error:
        lines = [f"{error.filename}: {error.strerror}" if error.filename else str(error)]
    else:
        return
    typer.echo("rrvf: " + "\n".join(map(_one_line, lines)), err=True)
    sys.exit(2)


def main() -> NoReturn:
    """The ``rrvf`` command."""
    # Threads of torch that spin while they wait take many times as long on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _report_errors():
        app()
    sys.exit(0)
