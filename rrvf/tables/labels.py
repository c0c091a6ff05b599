"""Groups of samples by one of their tags, such as the category."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rrvf.errors import DataError
from rrvf.repeats import REPEAT, SAMPLE
from rrvf.report.values import mapping
from rrvf.tables.measured import Measured

_OF_EPISODES = frozenset({SAMPLE, REPEAT})
"""They say which episode it is, and group no samples."""

_MOST = 20
"""Tags that are listed."""


def read_labels(runs: Sequence[Measured], tag: str) -> dict[str, str]:
    """Sample -> its label; that of the first run that tells it.

    Raises:
        DataError: None does; the message lists the tags that there are.
    """
    labels: dict[str, str] = {}
    names: set[str] = set()
    for run in runs:
        for line in run.run.lines:
            tags = read_tags(line)
            names |= tags.keys()
            if tag in tags:
                labels.setdefault(line["sample_id"], tags[tag])
    if not labels:
        known = ", ".join(map(repr, sorted(names)[:_MOST]))
        known = f"the tags there are: {known}" if known else "they have no tags"
        raise DataError(f"no sample of these runs has the tag {tag!r}; {known}")
    return labels


def read_tags(line: Mapping[str, object]) -> dict[str, str]:
    """The tags of a line of ``results.jsonl`` that are labels; numbers are, too."""
    return {
        name: str(label)
        for name, label in mapping(line.get("tags")).items()
        if isinstance(label, str | int | float) and name not in _OF_EPISODES
    }


def group_samples(names: Sequence[str], labels: Mapping[str, str]) -> dict[str, list[int]]:
    """Label -> places of its samples, the labels in natural order.

    Samples without a label are left out.

    Args:
        names: Of the samples.
        labels: By the name of a sample.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name in labels:
            places.setdefault(labels[name], []).append(place)
    return dict(sorted(places.items(), key=lambda group: natural_key(group[0])))


def natural_key(label: str) -> list[tuple[bool, int, str]]:
    """Sorts ``2`` before ``10``."""
    parts = re.split(r"(\d+)", label.casefold())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
