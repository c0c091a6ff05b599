"""``python -m vlmeval_plugin ARGS...``: VLMEvalKit's run.py with our names added."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rrvf.errors import RrvfError
from vlmeval_plugin import settings
from vlmeval_plugin.host import load_run
from vlmeval_plugin.names import (
    HostArguments,
    find_own_benchmarks,
    our_datasets,
    read_arguments,
    refuse_unknown,
)
from vlmeval_plugin.registration import register


def main(arguments: Sequence[str] | None = None) -> None:
    """Register, take our own flags off, and hand the rest to run.py."""
    try:
        override, other_arguments = settings.parse(sys.argv[1:] if arguments is None else arguments)
        host_arguments = read_arguments(other_arguments)
        _note_arguments(host_arguments)
        settings.note_benchmarks(find_own_benchmarks(host_arguments))
        settings.current()
        register(override)
        refuse_unknown(host_arguments)
        run = load_run()
        _reroute(run, our_datasets(host_arguments))
        _preload()
        sys.argv = [run.__file__, *other_arguments]
        run.load_env()
        run.main()
    except RrvfError as error:
        print(f"vlmeval_plugin: {error}", file=sys.stderr)
        sys.exit(2)


def _preload() -> None:
    """With ``--api-mode`` run.py forks for evaluation while inference goes on in threads.

    A module that a thread is just importing then would stay half imported in the child.
    """
    for name in ("openai", "playwright.async_api", "PIL.Image", "scipy.optimize"):
        with suppress(ImportError):
            importlib.import_module(name)


def _note_arguments(arguments: HostArguments) -> None:
    """What run.py is told but does not pass on: its folder, and how long an answer may be."""
    folder = Path(os.environ.get("MMEVAL_ROOT") or arguments.work_dir)
    os.environ.setdefault("RRVF_TRAJECTORIES", str(folder.absolute()))
    if arguments.max_tokens is not None:
        os.environ["RRVF_MAX_TOKENS"] = arguments.max_tokens


def _reroute(run: Any, our_names: frozenset[str]) -> None:
    """Three functions of run.py know model and data set by name only; ours are answered here.

    With ``--base-url`` it would ask the server by a client of its own, whatever the model. And it
    names a judge by itself for whatever has ChartMimic in its name, who would have to be paid. Of a
    data set from a ``--config`` it writes the answers under the data set's own name, and looks for
    them under the name in the file.

    Args:
        run: VLMEvalKit's ``run.py``.
        our_names: Data sets that our classes score, by the names that run.py calls them.
    """
    from vlmeval_plugin import datasets, models

    host_client, host_judge = run.LMDeployAPI, run.get_judge_kwargs
    host_build = run.build_dataset_from_config

    def client(**options: Any) -> Any:
        return (
            models.at_url(options)
            if options.get("model") in models.by_name()
            else host_client(**options)
        )

    def judge(dataset_name: str, dataset_type: str, args: Any) -> dict[str, Any]:
        options: dict[str, Any] = host_judge(dataset_name, dataset_type, args)
        if args.judge is None and dataset_name in our_names:
            options.pop("model", None)
            our_settings = settings.current()
            if our_settings.judge:
                options["model"] = our_settings.judge
                options.setdefault("api_base", our_settings.judge_base_url)
        return options

    def build(config: Any, name: str) -> Any:
        dataset = host_build(config, name)
        if isinstance(dataset, datasets.RRVFDataset):
            dataset.rename(name)
        return dataset

    run.build_dataset_from_config = build
    run.LMDeployAPI = client
    run.get_judge_kwargs = judge
