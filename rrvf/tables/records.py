"""The ``results`` folder of the project: kept runs, and the page that lists them.

::

    python -m rrvf.tables.records results    # writes results/README.md anew

``rrvf submit`` enters a run. A kept run is in ``results/<benchmark>/<policy>/<name>/``:

* ``config.json``: the policy, how the run was made, and the result of scoring it again;
* ``summary.json``: as the run wrote it, with figures, protocol and environment;
* ``results.jsonl``: scores, status and tags of each sample; no code, answers or pictures;
* ``official.jsonl``, if present: the official scorer's F1 of the same answers, one line per sample;
  ``config.json`` describes its origin under ``official``.

It is a run folder: ``rrvf tables --runs`` accepts it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rrvf.errors import DataError
from rrvf.files import write_atomically
from rrvf.report.reading import read_run
from rrvf.report.values import Json, mapping
from rrvf.run_folder import RESULTS, SUMMARY
from rrvf.tables.checks import check, check_marks
from rrvf.tables.conflicts import list_conflicts
from rrvf.tables.formats import markdown
from rrvf.tables.measured import CONFIG, Measured, read_runs
from rrvf.tables.printed import make_printed_sheets, read_protocols
from rrvf.tables.published import BENCHMARKS, PublishedTable, read_published
from rrvf.tables.sheet import make_sheet

OFFICIAL = "official.jsonl"
README = "README.md"
_LOW_LEVEL = ("text", "layout", "type", "color")
_PARTS = ("value", "precision", "recall", "f1")
_TOLERANCE = 1e-9


def add_run(
    run: Path,
    results: Path,
    policy: str,
    name: str,
    origin: str,
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Keep the scores of a finished run.

    Args:
        run: Its folder.
        results: The results folder.
        policy: Who answered.
        name: Of the run.
        origin: A sentence: data, answers, command.
        facts: What else ``config.json`` says of it.

    Returns:
        Where it lies now.

    Raises:
        DataError: No run, or one that is not finished.
    """
    record = read_run(run)
    if record.summary is None or record.summary.get("finished") is False:
        raise DataError(f"{run} is unfinished; run the same command again to finish it")
    folder = require_new(results, run, policy, name)
    lines = sorted((_scores_only(line) for line in record.lines), key=lambda x: x["sample_id"])
    config = {"policy": policy, "name": name, "made": origin, **(facts or {})}
    _write_json(folder / CONFIG, config)
    _write_json(folder / SUMMARY, record.summary)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(folder / RESULTS, text.encode())
    return folder


def require_new(results: Path, run: Path, policy: str, name: str) -> Path:
    """Where a run would lie.

    Raises:
        DataError: Another one lies there, or the run does not say of which benchmark it is.
    """
    benchmark = str(mapping(read_run(run).summary).get("benchmark", ""))
    if not re.fullmatch(r"\w+", benchmark):
        raise DataError(f"{run} is a run of {benchmark!r}, which has no place in the results")
    for text in (policy, name):
        if not text.isprintable():
            raise DataError(f"{text!r} is no name; give one line of letters")
    folder = results / benchmark / _folder_name(policy) / _folder_name(name)
    if folder.exists():
        raise DataError(f"{folder} holds a run already; give another --name, or remove that one")
    return folder


def kept_runs(results: Path) -> list[Path]:
    """Folders of kept runs, in a fixed order."""
    return sorted(path.parent for path in results.glob(f"*/*/*/{CONFIG}"))


def readme(results: Path) -> str:
    """The page of the folder.

    Raises:
        DataError: A kept run cannot be read.
    """
    runs = read_runs(kept_runs(results))
    return (
        "\n".join(
            [
                *_head(),
                *_checks(),
                *_tables(runs),
                *_others(),
                *_conflicts(),
                *_official(runs, results),
            ]
        )
        + "\n"
    )


def _scores_only(line: Json) -> Json:
    scores = mapping(line.get("scores"))
    error = line.get("error")
    kind = re.match(r"\w+(?=:|$)", error) if isinstance(error, str) else None
    return {
        "sample_id": line["sample_id"],
        "status": line.get("status"),
        "error": kind[0] if kind else None,
        "scores": {
            name: {part: value for part, value in mapping(score).items() if part in _PARTS}
            for name, score in scores.items()
        },
        "tags": mapping(line.get("tags")),
    }


def _folder_name(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-.").lower() or "run"


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


# --------------------------------------------------------------------------------- the page


def _head() -> Iterator[str]:
    yield "# Results"
    yield ""
    yield "`python -m rrvf.tables.records results` writes this page; do not edit it."
    yield ""
    yield "This folder has three kinds of numbers. They are never mixed or ranked together:"
    yield ""
    yield (
        "* `paper/*.csv`: every row of the three tables of the RRVF README (arXiv 2507.20766), "
        "each cell as printed, with its source. `size_b` is the size in billions of parameters; "
        "it decides which models are ranked. `printed_bold` and `printed_underline` are the marks "
        "of the original; they are only compared with the computed marks."
    )
    yield (
        "* `published/*.csv`: the figures that authors of other systems print for their own runs, "
        "each cell as printed. `protocols.toml` names the source and the conditions that it "
        "states. A figure is ranked only inside its own table, and only if the source states the "
        "samples and, for a judge's figure, the judge. `models.toml` lists the spellings of one "
        "model's name."
    )
    yield (
        "* `<benchmark>/<policy>/<run>/`: measured runs. `config.json` says how the run was made. "
        "`summary.json` holds figures, protocol and environment. `results.jsonl` holds the scores "
        "of each sample, without code, answers or pictures."
    )
    yield ""
    yield (
        "`recipes/*.yaml` describe what each row of the paper needs; `rrvf reproduce` runs them "
        "([one command a row](../docs/reproduce.md))."
    )
    yield ""
    yield (
        "`rrvf tables` prints the tables. `--runs DIR...` adds measured runs below them, and "
        "`--compare A B` compares two runs sample by sample."
    )
    yield ""


def _checks() -> Iterator[str]:
    yield "## Do the published figures add up?"
    yield ""
    yield (
        "These rules are checked: Overall = (mean of the four + GPT) / 2; a Plot2Code column = the "
        "value over answers that ran x exec rate; an exec rate = k of 600 or k of 132; a "
        "difference = row - row. Values are compared at the printed number of decimals, and no "
        "value is corrected."
    )
    yield ""
    for table in map(read_published, BENCHMARKS):
        yield from _check_lines(table)
    yield ""


def _check_lines(table: PublishedTable) -> Iterator[str]:
    checks = check(table)
    failures = [result for result in checks if not result.ok]
    name = table.title.removeprefix("Results on ")
    counts = (
        f"{len(checks) - len(failures)} of {len(checks)} hold" if checks else "nothing to derive"
    )
    wrong_marks = check_marks(table)
    marks = (
        "bold and underline as computed" if not wrong_marks else f"{len(wrong_marks)} marks differ"
    )
    remark = "" if table.marks_second else " (only the best is marked there)"
    yield f"* {name}: {counts}; {marks}{remark}."
    yield from (f"  * {result}." for result in failures)
    yield from (f"  * {result}." for result in wrong_marks)


def _tables(runs: Sequence[Measured]) -> Iterator[str]:
    yield "## Tables"
    yield ""
    for table in map(read_published, BENCHMARKS):
        yield markdown([make_sheet(table, [r for r in runs if r.benchmark == table.benchmark])])


def _others() -> Iterator[str]:
    yield "## Other systems"
    yield ""
    yield markdown(make_printed_sheets())


def _conflicts() -> Iterator[str]:
    yield "## Figures printed with several values"
    yield ""
    yield (
        "Several sources print different values for these figures of the same model. The largest "
        "differences come first. No value is taken as the right one; the conditions that each "
        "source states are above."
    )
    yield ""
    yield "| Benchmark | Model | Figure | Apart | Values |"
    yield "| :--- | :--- | :--- | ---: | :--- |"
    for conflict in list_conflicts(read_protocols(), [read_published(name) for name in BENCHMARKS]):
        values = "; ".join(
            f"{value.text} {value.source}" + (f" ({value.derived})" if value.derived else "")
            for value in conflict.values
        )
        parts = (conflict.benchmark, conflict.model, conflict.label, f"{conflict.spread:.1f}")
        yield f"| {' | '.join(parts)} | {values} |".replace("*", r"\*")
    yield ""


def _official(runs: Sequence[Measured], results: Path) -> Iterator[str]:
    yield "## Measured runs"
    for run in runs:
        folder = run.run.folder
        config = mapping(json.loads((folder / CONFIG).read_bytes()))
        place = folder.relative_to(results).as_posix()
        yield ""
        yield f"### {_one_line(config['policy'])}: [{place}]({place})"
        yield ""
        yield _one_line(config["made"])
        if (folder / OFFICIAL).is_file():
            yield ""
            yield from _beside_official(run, folder, mapping(config.get("official")))


def _one_line(text: object) -> str:
    """As a sentence of the page: neither markup of HTML nor lines of its own."""
    return " ".join(str(text).split()).replace("<", r"\<")


def _beside_official(run: Measured, folder: Path, record: Json) -> Iterator[str]:
    """The official scorer's means beside ours, and every sample where the two differ."""
    lines = [json.loads(line) for line in (folder / OFFICIAL).read_text("utf-8").splitlines()]
    official = {str(line["sample_id"]): mapping(line) for line in lines}
    if set(official) != set(run.samples.ids):
        raise DataError(f"{folder / OFFICIAL}: not the samples of {RESULTS}; record it again")
    yield str(record.get("made"))
    yield ""
    yield "| Metric | this project | official scorer | samples that differ |"
    yield "| :--- | ---: | ---: | :--- |"
    n = len(official)
    for name in ("execution", *_LOW_LEVEL):
        own_values = dict(zip(run.samples.ids, run.samples.values[name], strict=True))
        official_values = {key: float(line[name]) for key, line in official.items()}
        differences = [
            f"{key} ({official_values[key]:.4f} officially, {own_values[key]:.4f} here)"
            for key in sorted(official)
            if not abs(own_values[key] - official_values[key]) <= _TOLERANCE
        ]
        means = [100 * sum(side.values()) / n for side in (own_values, official_values)]
        yield f"| {name} | {means[0]:.2f} | {means[1]:.2f} | {', '.join(differences) or 'none'} |"
    if note := record.get("note"):
        yield ""
        yield str(note)


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m rrvf.tables.records``."""
    parser = argparse.ArgumentParser(prog="python -m rrvf.tables.records")
    parser.add_argument("results", type=Path, help="the results folder of the checkout")
    options = parser.parse_args(arguments)
    write_atomically(options.results / README, readme(options.results).encode())


if __name__ == "__main__":
    main()
