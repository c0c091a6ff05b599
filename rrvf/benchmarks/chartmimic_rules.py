"""ChartMimic's own rules: what is executed, what it is compared with, what is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rrvf import replies
from rrvf.benchmarks.means import mean, others
from rrvf.errors import HarnessError
from rrvf.renderers.chart import ChartScript
from rrvf.scorers.layout import GRAPH_PREFIX, graph_rule
from rrvf.types import Drawing, Mode, Rendering, Sample, SampleResult

LOW_LEVEL = ("text", "layout", "type", "color")
SCORERS = ("execution", *LOW_LEVEL)


def script_for(sample: Sample, completion: str | None) -> ChartScript | None:
    """The script that an answer amounts to under both modes' rules; ``None`` without code.

    Raises:
        HarnessError: The sample is customized, and its reference holds no data to put first.
    """
    data = None
    if sample.task == "customized":
        data = replies.customized_preamble(sample.reference_code or "")
        if data is None:
            raise HarnessError(f'the reference {sample.id} has no "Part 2: Data Preparation"')
    if completion is None:
        return None
    official = replies.prepare_official(completion, data)
    if official is None:
        return None
    return ChartScript(official, replies.prepare_fixed(completion, data))


def target_for(sample: Sample, reference: Rendering, mode: Mode) -> Drawing:
    """What an answer is compared with.

    Officially, the layout of a reference whose file name begins with ``graph`` is read by a rule
    of its own, while that of the answer to it, whose name is a number, is not.
    """
    drawing = reference.drawing(mode)
    name = sample.tags.get("reference_name", sample.id)
    if mode == "official" and name.startswith(GRAPH_PREFIX):
        layout = graph_rule(drawing.elements)
        return replace(drawing, elements=replace(drawing.elements, layout=layout))
    return drawing


def metrics(results: Sequence[SampleResult]) -> dict[str, float | None]:
    """The columns of the table, 0 to 100: means over the scored items, all failures counting as 0.

    ``average`` is the mean of the four low-level metrics, ``overall`` that of ``average`` and
    ``gpt``; a metric that was not measured is ``None``. Scores beyond these follow, of an embedded
    judge or of the user's own.
    """
    table = {"exec_rate": mean(results, "execution")}
    table |= {name: mean(results, name) for name in LOW_LEVEL}
    table["average"] = _mean_of([table[name] for name in LOW_LEVEL])
    table["gpt"] = mean(results, "gpt")
    table["overall"] = _mean_of([table["average"], table["gpt"]])
    return table | others(results, table)


def _mean_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
