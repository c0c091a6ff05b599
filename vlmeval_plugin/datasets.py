"""The benchmarks as VLMEvalKit's classes. Importing this imports VLMEvalKit; ``register`` does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from rrvf.benchmarks.chartmimic import ChartMimic, lmu_root
from rrvf.benchmarks.chartmimic_download import Version, download
from rrvf.benchmarks.design2code import Design2Code
from rrvf.benchmarks.predictions import PICTURE_NAME
from rrvf.errors import DataError, SetupError
from rrvf.files import file_inside
from rrvf.types import Sample
from vlmeval_plugin.evaluation import Scored, evaluate, judge_options, write_host_scores
from vlmeval_plugin.host import import_host
from vlmeval_plugin.sources import (
    DEMO_CHARTS,
    DESIGNS,
    PAGES,
    PLOTS,
    PREFIX,
    OwnSources,
    Source,
    md5,
    table,
)

_Base: Any = import_host("vlmeval.dataset.image_base").ImageBaseDataset
_HostCharts: Any = import_host("vlmeval.dataset.chartmimic").ChartMimic
try:
    _HostDesigns: Any = import_host("vlmeval.dataset.design2code").Design2Code
except SetupError:  # a VLMEvalKit from before it
    _HostDesigns = None
_HOST_NAMES: tuple[str, ...] = tuple(_HostCharts.DATASET_URL)

log = logging.getLogger("vlmeval.rrvf")


class RRVFDataset(_Base):
    """What all have in common: a table of questions and pictures, and our scoring."""

    TYPE = "VQA"
    SOURCES: ClassVar[Mapping[str, Source]] = {}
    COLUMNS: ClassVar[Mapping[str, str]] = {}
    """Our metric -> the column it has in VLMEvalKit's table, where that is another."""

    PRIMARY: ClassVar[tuple[str, ...]] = ()
    """Columns of which the first that was measured stands in VLMEvalKit's summary.

    A rate of execution is none of them: it says nothing of how alike the pictures are.
    """

    ALIASES: ClassVar[dict[str, str]] = {}
    """Name that a ``--config`` gives -> ours."""

    @classmethod
    def supported_datasets(cls) -> list[str]:
        """Names that go after ``--data``."""
        return list(cls.SOURCES)

    def rename(self, name: str) -> None:
        """Take the name that a ``--config`` gives: run.py looks for files of that name."""
        if name != self.dataset_name:
            self.ALIASES[name] = self.dataset_name
            self.dataset_name = name

    def load_data(self, dataset: str) -> Any:
        """The table, made where it is missing."""
        return import_host("vlmeval.smp").load(str(table(dataset, self.SOURCES[dataset])))

    def build_prompt(self, line: Any) -> list[dict[str, str]]:
        """The question, then the picture, as ChartMimic asks."""
        row = self.data.iloc[line] if isinstance(line, int) else line
        (picture,) = self.dump_image(row)
        return [
            {"type": "text", "value": row["question"]},
            {"type": "image", "value": picture},
        ]

    @classmethod
    def keyed_samples(cls, dataset: str) -> dict[tuple[str, str], Sample]:
        """The samples of a data set by the question and the picture's path in a row's message."""
        rows: Any = cls(dataset=dataset)
        samples = {sample.id: sample for sample in cls.SOURCES[dataset].samples()}
        samples_by_key: dict[tuple[str, str], Sample] = {}
        for number in range(len(rows)):
            text, picture = (part["value"] for part in rows.build_prompt(number))
            sample = samples.get(cls.sample_id(rows.data.iloc[number]))
            if sample is not None:
                samples_by_key[text, picture] = sample
        return samples_by_key

    @classmethod
    def sample_id(cls, row: Mapping[str, Any]) -> str:
        """The id of the sample that a row is about."""
        return str(row["index"])

    def write_more(self, eval_file: Path, outcome: Scored) -> None:
        """Write what VLMEvalKit's own class leaves beside the predictions, if it is anything."""

    def evaluate(self, eval_file: str, **judge_kwargs: Any) -> Any:
        """Score a prediction file.

        Args:
            eval_file: As VLMEvalKit wrote it.
            judge_kwargs: ``model`` names the judge, ``api_base``, ``key`` and ``nproc`` say how to
                ask it; without a model nobody judges.

        Returns:
            A DataFrame with a row for all samples, and one a task where there are several. It is
            written beside the predictions, too, as is the run with its ``report.html``.
        """
        import pandas as pd

        smp = import_host("vlmeval.smp")
        frame: Any = pd.DataFrame(smp.load(eval_file))
        judge = judge_options(judge_kwargs)
        outcome = evaluate(
            self.SOURCES[self.ALIASES.get(self.dataset_name, self.dataset_name)],
            Path(eval_file),
            [self.sample_id(row) for row in frame.to_dict("records")],
            judge,
        )
        rows = [
            {self.COLUMNS.get(name, name): value for name, value in row.items()}
            for row in outcome.rows
        ]
        result: Any = pd.DataFrame(rows, dtype=object)
        suffix = "" if judge is None else "_" + str(judge.model).replace("/", "--")
        smp.dump(result, smp.get_intermediate_file_path(eval_file, f"{suffix}_score", "csv"))
        self.write_more(Path(eval_file), outcome)
        return result

    @classmethod
    def report_primary_metric(cls, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
        """The figure for VLMEvalKit's summary of a run, ``column -> value``."""
        values = metrics or {}
        names = [f"{start}{column}" for column in cls.PRIMARY for start in ("", "split=all|")]
        figures: list[dict[str, Any]] = [{name: values[name]} for name in names if name in values]
        return figures[0] if figures else {}


def _fetch_table(host_class: Any, name: str) -> Path:
    """A table of VLMEvalKit's, fetched where it is not here.

    Raises:
        DataError: What was fetched is another file.
    """
    path = lmu_root() / f"{name}.tsv"
    digest = host_class.DATASET_MD5[name]
    if not path.is_file():
        import_host("vlmeval.smp").download_file(host_class.DATASET_URL[name], str(path))
        if md5(path) != digest:
            path.unlink()
            raise DataError(f"{path}: what was downloaded is another file (MD5); try again")
    elif md5(path) != digest:
        log.warning("%s is not the published table (MD5); it is used as it stands", path)
    return path


def _host_table(name: str) -> Path:
    """VLMEvalKit's own table of ChartMimic, with the scripts and pictures that it names.

    Raises:
        UserError: They are not here and cannot be fetched.
    """
    path = _fetch_table(_HostCharts, name)
    files = lmu_root() / "images" / "ChartMimic"
    version: Version = "v1" if "_v1_" in name else "v2"
    if not (files / version).is_dir():
        download(files, version=version)
    return path


def _make_source(name: str) -> Source:
    return Source(ChartMimic.name, lambda: _host_table(name))


class RRVFChartMimic(RRVFDataset):
    """ChartMimic with VLMEvalKit's own tables, questions and column names."""

    SOURCES: ClassVar[Mapping[str, Source]] = {
        **{PREFIX + name: _make_source(name) for name in _HOST_NAMES},
        **DEMO_CHARTS,
    }
    COLUMNS: ClassVar[Mapping[str, str]] = {
        "text": "text_score",
        "layout": "layout_score",
        "type": "chart_type_score",
        "color": "color_score",
        "gpt": "gpt_score",
    }
    PRIMARY = ("overall", "average")

    def load_data(self, dataset: str) -> Any:
        """The published table as it is; that of the demo is made."""
        if dataset in DEMO_CHARTS:
            return super().load_data(dataset)
        return import_host("vlmeval.smp").load(str(self.SOURCES[dataset].data()))

    def dump_image(self, line: Any) -> list[str]:
        """Paths of a row's pictures."""
        if "input_figure" not in line:
            parent: Any = super()
            return parent.dump_image(line)
        files = lmu_root() / "images" / "ChartMimic"
        picture = file_inside(files, str(line["input_figure"]))
        if picture is None:
            raise DataError(f'no picture "{line["input_figure"]}" below {files}; fetch it again')
        return [str(picture)]


class RRVFChartMimicOverride(RRVFChartMimic):
    """The same under VLMEvalKit's own names."""

    SOURCES: ClassVar[Mapping[str, Source]] = {name: _make_source(name) for name in _HOST_NAMES}


class RRVFPlot2Code(RRVFDataset):
    """Plot2Code's matplotlib part."""

    SOURCES = PLOTS
    PRIMARY = ("text",)


class RRVFWebSight(RRVFDataset):
    """WebSight."""

    SOURCES = PAGES
    PRIMARY = ("clip", "gpt")


class RRVFDesign2Code(RRVFDataset):
    """Design2Code, under the column names that VLMEvalKit prints."""

    SOURCES = DESIGNS
    COLUMNS: ClassVar[Mapping[str, str]] = {
        "block_match": "Block-Match",
        "text": "Text",
        "position": "Position",
        "color": "Color",
        "clip_design2code": "CLIP",
    }
    PRIMARY = ("Block-Match",)


def _host_designs() -> Path:
    return _fetch_table(_HostDesigns, "Design2Code")


class RRVFDesign2CodeOverride(RRVFDesign2Code):
    """The same under VLMEvalKit's own name: its table, its clean-up of replies, its files."""

    SOURCES: ClassVar[Mapping[str, Source]] = {
        "Design2Code": Source(Design2Code.name, _host_designs, cleanup="official")
    }

    def load_data(self, dataset: str) -> Any:
        """The published table as it is."""
        return import_host("vlmeval.smp").load(str(self.SOURCES[dataset].data()))

    @classmethod
    def sample_id(cls, row: Mapping[str, Any]) -> str:
        """What the page's picture is called; ``index`` only counts the rows."""
        return Path(str(row[PICTURE_NAME])).stem

    def write_more(self, eval_file: Path, outcome: Scored) -> None:
        """VLMEvalKit's folder ``Design2Code`` beside the predictions."""
        pages = {
            sample.id: sample.reference_code or ""
            for sample in self.SOURCES["Design2Code"].samples()
        }
        write_host_scores(eval_file.with_name("Design2Code"), outcome.folder, pages)


class RRVFOwn(RRVFDataset):
    """Benchmarks of the user's own, ``--data my.module:MyBenchmark``."""

    SOURCES = OwnSources()

    @classmethod
    def report_primary_metric(cls, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
        """The first column that is no rate of execution."""
        values = metrics or {}
        columns = (
            column for source in cls.SOURCES.values() for column in source.benchmark().columns
        )
        keys = (column.key for column in columns if column.scorer != "execution")
        names = (f"{start}{key}" for key in keys for start in ("", "split=all|"))
        figures = [{name: values[name]} for name in names if name in values]
        return figures[0] if figures else {}


CLASSES: tuple[type[RRVFDataset], ...] = (
    RRVFChartMimic,
    RRVFPlot2Code,
    RRVFWebSight,
    RRVFDesign2Code,
    RRVFOwn,
)
OVERRIDES: Mapping[str, type[RRVFDataset]] = {
    "ChartMimic": RRVFChartMimicOverride,
    **({} if _HostDesigns is None else {"Design2Code": RRVFDesign2CodeOverride}),
}
"""Class of VLMEvalKit's -> ours that can stand in its place."""

ALL_CLASSES = (*CLASSES, *OVERRIDES.values())
