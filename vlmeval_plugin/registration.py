"""Adds our benchmarks and models to VLMEvalKit."""

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
        override: Take over VLMEvalKit's own ``ChartMimic_*`` and ``Design2Code`` as well, for the
            rest of the process.

    Raises:
        SetupError: VLMEvalKit is not here.
    """
    host_datasets = import_host("vlmeval.dataset")
    from vlmeval_plugin import datasets, models

    for dataset_class in datasets.CLASSES:
        _add(host_datasets, dataset_class)
        setattr(host_datasets, dataset_class.__name__, dataset_class)
    if override:
        for host_name, dataset_class in datasets.OVERRIDES.items():
            _add(host_datasets, dataset_class, first=True)
            # A --config names classes.
            setattr(host_datasets, host_name, dataset_class)
    # There a --config looks for data sets without parameters, and then everybody for ours.
    shortcuts = import_host("vlmeval.dataset.video_dataset_config").supported_video_datasets
    for dataset_class in datasets.ALL_CLASSES if override else datasets.CLASSES:
        shortcuts.update(
            {
                name: partial(_build_dataset, dataset_class, name)
                for name in dataset_class.supported_datasets()
            }
        )
    import_host("vlmeval.config").supported_VLM.update(models.by_name())
    import_host("vlmeval.vlm").RRVFModel = models.RRVFModel


def _build_dataset(kind: Any, name: str, **options: Any) -> Any:
    """A data set; VLMEvalKit hands its whole command line to whoever is found by a shortcut."""
    parameters = inspect.signature(kind).parameters
    return kind(dataset=name, **{key: value for key, value in options.items() if key in parameters})


def _add(host_datasets: Any, dataset_class: Any, *, first: bool = False) -> None:
    """The first class that knows a name is the one that is taken."""
    if dataset_class not in host_datasets.DATASET_CLASSES:
        host_datasets.DATASET_CLASSES.insert(
            0 if first else len(host_datasets.DATASET_CLASSES), dataset_class
        )
    for name in dataset_class.supported_datasets():
        if name not in host_datasets.SUPPORTED_DATASETS:
            host_datasets.SUPPORTED_DATASETS.append(name)
