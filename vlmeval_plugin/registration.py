"""Making our benchmarks and models known to VLMEvalKit."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from vlmeval_plugin.host import import_host


def register(override: bool = False) -> None:
    """Make the benchmarks ``RRVF_*`` and the models ``RRVF-*`` known to VLMEvalKit here.

    Only the lists it keeps in memory grow; nothing of it is changed on disk, and HTTPS stays
    verified. Calling it again changes nothing.

    Args:
        override: Take over VLMEvalKit's own ``ChartMimic_*`` as well, for the rest of the process.

    Raises:
        SetupError: VLMEvalKit is not here.
    """
    hosted = import_host("vlmeval.dataset")
    from vlmeval_plugin import datasets, models

    for one in datasets.CLASSES:
        _add(hosted, one)
        setattr(hosted, one.__name__, one)
    if override:
        _add(hosted, datasets.RRVFChartMimicOverride, first=True)
        # A --config names classes.
        hosted.ChartMimic = datasets.RRVFChartMimicOverride
    # There a --config looks for data sets without parameters, and then everybody for ours.
    shortcuts = import_host("vlmeval.dataset.video_dataset_config").supported_video_datasets
    for one in datasets.EVERY if override else datasets.CLASSES:
        shortcuts.update({name: partial(_built, one, name) for name in one.supported_datasets()})
    import_host("vlmeval.config").supported_VLM.update(models.by_name())
    import_host("vlmeval.vlm").RRVFModel = models.RRVFModel


def _built(kind: Any, name: str, **options: Any) -> Any:
    """A data set; VLMEvalKit hands its whole command line to whoever is found by a shortcut."""
    known = inspect.signature(kind).parameters
    return kind(dataset=name, **{key: value for key, value in options.items() if key in known})


def _add(hosted: Any, one: Any, *, first: bool = False) -> None:
    """The first class that knows a name is the one that is taken."""
    if one not in hosted.DATASET_CLASSES:
        hosted.DATASET_CLASSES.insert(0 if first else len(hosted.DATASET_CLASSES), one)
    for name in one.supported_datasets():
        if name not in hosted.SUPPORTED_DATASETS:
            hosted.SUPPORTED_DATASETS.append(name)
