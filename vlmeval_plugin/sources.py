"""The benchmarks under their names in VLMEvalKit, and the tables that it reads.

A table is in VLMEvalKit's data folder, ``$LMUData/<name>.tsv``, with its pictures under
``images/<name>``. It is made once from the benchmark's own samples. Its MD5 and its origin are in
``<name>.md5``; if one of them differs, the table is made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

import rrvf
from rrvf.bench import open_bench
from rrvf.benchmarks import find_benchmark, plot2code
from rrvf.benchmarks.benchmark import Benchmark, LoadOptions
from rrvf.benchmarks.chartmimic import ChartMimic, lmu_root
from rrvf.benchmarks.design2code import Design2Code, Design2CodeHard
from rrvf.benchmarks.own import load_samples
from rrvf.benchmarks.plot2code import Plot2Code
from rrvf.benchmarks.websight import WebSight
from rrvf.demo import PAGE_SCORERS
from rrvf.errors import SetupError, boundary
from rrvf.files import write_atomically
from rrvf.kinds import KINDS
from rrvf.kinds.kind import RendererOptions
from rrvf.runs import RunOptions
from rrvf.scorers.rubrics import read_prompt
from rrvf.types import Cleanup, Sample
from vlmeval_plugin import settings

PREFIX = "RRVF_"
_COLUMNS = ("index", "question", "image_path", "task", "category")
_PLOT2CODE = "TencentARC/Plot2Code"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the samples of one name come from, and how they are scored.

    Attributes:
        name: Of the benchmark, as ``rrvf score`` calls it.
        data: Finds the folder or file, fetching it where it is missing; what ``--data`` would name.
        task: Of the samples, where the data has several.
        scorers: ``None`` for the benchmark's own.
        timeout: Seconds a rendering may take; ``None`` for the benchmark's own.
        cleanup: How code is found in a reply; ``None`` for the benchmark's own rule.
    """

    name: str
    data: Callable[[], Path]
    task: Literal["direct", "conditional", "text_augmented"] | None = None
    scorers: tuple[str, ...] | None = None
    timeout: int | None = None
    cleanup: Cleanup | None = None

    def benchmark(self) -> Benchmark:
        """The benchmark itself."""
        return find_benchmark(self.name)

    def find_assets(self) -> Mapping[str, bytes]:
        """Files of the data set that its pages find beside them, by name."""
        return self.benchmark().find_assets(str(self.data()))

    def samples(self) -> Sequence[Sample]:
        """The samples, with the data set's own pictures where it has any."""
        options = LoadOptions(task=self.task, images=True)
        return load_samples(self.benchmark(), str(self.data()), options)

    def options(self, predictions: Path) -> RunOptions:
        """What ``rrvf score`` would be told."""
        our_settings = settings.current()
        return RunOptions(
            data=str(self.data()),
            predictions=predictions,
            task=self.task,
            workers=our_settings.workers,
            mode=our_settings.score_mode,
            cleanup=self.cleanup,
            scorers=self.scorers,
            timeout=self.timeout,
        )


def _bundled(name: str) -> Callable[[], Path]:
    return lambda: Path(rrvf.__file__).parent / "demo_data" / name / "references"


def _plot2code() -> Path:
    folder_name = settings.current().plot2code_data
    if folder_name is not None:
        return Path(folder_name)
    folder = lmu_root() / "images" / "Plot2Code"
    if not any(folder.glob("**/metadata.jsonl")):
        try:
            import huggingface_hub

            with boundary(f"downloading {_PLOT2CODE}"):
                cast("Any", huggingface_hub).snapshot_download(
                    _PLOT2CODE,
                    repo_type="dataset",
                    local_dir=folder,
                    allow_patterns=f"data/{plot2code.DRAWN}/*",
                )
        except Exception as error:
            raise SetupError(
                f"cannot fetch {_PLOT2CODE} ({error}); fetch it elsewhere and name its folder with "
                "--plot2code-data"
            ) from error
    return folder


def _websight(name: str) -> Callable[[], Path]:
    return lambda: Path(settings.current().websight_data or name)


def _design2code(name: str) -> Callable[[], Path]:
    return lambda: Path(settings.current().design2code_data or name)


DEMO_CHARTS: Mapping[str, Source] = {
    "RRVF_Demo_ChartMimic": Source(ChartMimic.name, _bundled("charts"), timeout=5),
}
PLOTS: Mapping[str, Source] = {
    "RRVF_Plot2Code": Source(Plot2Code.name, _plot2code),
    "RRVF_Plot2Code_conditional": Source(Plot2Code.name, _plot2code, "conditional"),
    "RRVF_Demo_Plot2Code": Source(Plot2Code.name, _bundled("plots"), timeout=5),
}
PAGES: Mapping[str, Source] = {
    "RRVF_WebSight": Source(WebSight.name, _websight("websight")),
    "RRVF_WebSight_v01": Source(WebSight.name, _websight("websight:v0.1")),
    "RRVF_Demo_WebSight": Source(WebSight.name, _bundled("pages"), scorers=PAGE_SCORERS),
}
DESIGNS: Mapping[str, Source] = {
    "RRVF_Design2Code": Source(Design2Code.name, _design2code("design2code")),
    "RRVF_Design2Code_text_augmented": Source(
        Design2Code.name, _design2code("design2code"), "text_augmented"
    ),
    "RRVF_Design2Code_hard": Source(Design2CodeHard.name, _design2code("design2code_hard")),
    "RRVF_Demo_Design2Code": Source(
        Design2Code.name, _bundled("design2code"), scorers=PAGE_SCORERS
    ),
}
"""Name -> source. ChartMimic's own names follow from VLMEvalKit's, see ``datasets``."""


class OwnSources(Mapping[str, Source]):
    """The benchmarks of the user's own that a run is about, by the names that find them."""

    def __getitem__(self, name: str) -> Source:
        if name not in settings.own_benchmarks():
            raise KeyError(name)
        return Source(name, _own_data)

    def __iter__(self) -> Iterator[str]:
        return iter(settings.own_benchmarks())

    def __len__(self) -> int:
        return len(settings.own_benchmarks())


def _own_data() -> Path:
    data = settings.current().benchmark_data
    if data is None:
        raise SetupError("a benchmark of your own needs --benchmark-data: what it reads")
    return Path(data)


# ------------------------------------------------------------------------------ tables


def table(name: str, source: Source) -> Path:
    """The table of a source in VLMEvalKit's data folder, made where it is missing or not its own.

    Raises:
        UserError: The samples cannot be had.
        HarnessError: A reference cannot be drawn.
    """
    path, note = lmu_root() / f"{name}.tsv", lmu_root() / f"{name}.md5"
    samples = source.samples()
    origin = _origin(samples)
    if path.is_file() and note.is_file():
        words = note.read_text(encoding="utf-8").split()
        if words == [md5(path), origin]:
            return path
    pictures = lmu_root() / "images" / name
    workers = settings.current().workers
    options = RendererOptions(workers=workers)
    with (
        open_bench(source.benchmark(), options, scorers=("execution",)) as bench,
        ThreadPoolExecutor(workers) as pool,
    ):
        for sample, png in zip(samples, pool.map(bench.target, samples), strict=True):
            write_atomically(pictures / _picture(sample), png)
    write_atomically(path, _tsv(_row(sample, source) for sample in samples))
    write_atomically(note, f"{md5(path)} {origin}\n".encode())
    return path


def md5(path: Path) -> str:
    """As VLMEvalKit notes its tables."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _origin(samples: Iterable[Sample]) -> str:
    """Changes with whatever a table is made from."""
    parts = [
        (sample.id, sample.reference_code, sample.prompt, sample.task, str(sample.image or ""))
        for sample in samples
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _picture(sample: Sample) -> str:
    """A file name; ids of outside data may hold anything."""
    if re.fullmatch(r"\w[\w.-]{0,99}", sample.id, re.ASCII):
        return f"{sample.id}.png"
    return hashlib.sha256(sample.id.encode("utf-8", "replace")).hexdigest()[:24] + ".png"


def _row(sample: Sample, source: Source) -> list[str]:
    question = sample.prompt or _prompt(source)
    return [sample.id, question, _picture(sample), sample.task, sample.tags.get("category", "")]


def _prompt(source: Source) -> str:
    """For data without prompts of its own."""
    kind = "web" if KINDS[source.benchmark().kind].medium == "page" else "chart"
    file = resources.files("rrvf") / "prompts" / f"{kind}_policy.md"
    return read_prompt(file.read_text(encoding="utf-8")).user


def _tsv(rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8")
