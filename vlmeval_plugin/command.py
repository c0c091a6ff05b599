"""``python -m vlmeval_plugin ARGS...``: VLMEvalKit's run.py, which knows our names."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rrvf.errors import RrvfError
from vlmeval_plugin import settings
from vlmeval_plugin.host import import_host, load_run
from vlmeval_plugin.registration import register


def main(arguments: Sequence[str] | None = None) -> None:
    """Register, take our own flags off, and hand the rest to run.py."""
    try:
        override, rest = settings.parse(sys.argv[1:] if arguments is None else arguments)
        _note(rest)
        settings.current()
        register(override)
        run = load_run()
    except RrvfError as error:
        print(f"vlmeval_plugin: {error}", file=sys.stderr)
        sys.exit(2)
    _reroute(run)
    _preload()
    sys.argv = [run.__file__, *rest]
    run.load_env()
    run.main()


def _preload() -> None:
    """With ``--api-mode`` run.py forks for evaluation while inference goes on in threads.

    A module that a thread is just importing then would stay half imported in the child.
    """
    for name in ("openai", "playwright.async_api", "PIL.Image", "scipy.optimize"):
        with suppress(ImportError):
            importlib.import_module(name)


def _note(arguments: Sequence[str]) -> None:
    """What run.py is told but does not pass on: its folder, and how long an answer may be."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--work-dir", default="./outputs")
    parser.add_argument("--max-tokens")
    known, _ = parser.parse_known_args(arguments)
    folder = Path(os.environ.get("MMEVAL_ROOT") or known.work_dir)
    os.environ.setdefault("RRVF_TRAJECTORIES", str(folder.absolute()))
    if known.max_tokens is not None:
        os.environ["RRVF_MAX_TOKENS"] = known.max_tokens


def _reroute(run: Any) -> None:
    """Two functions of run.py know model and data set by name only; ours are answered here.

    With ``--base-url`` it would ask the server by a client of its own, whatever the model. And it
    names a judge by itself for whatever has ChartMimic in its name, who would have to be paid.
    """
    from vlmeval_plugin import datasets, models

    taken = import_host("vlmeval.dataset").DATASET_CLASSES
    host_client, host_judge = run.LMDeployAPI, run.get_judge_kwargs
    known = {name for one in datasets.EVERY if one in taken for name in one.supported_datasets()}

    def client(**said: Any) -> Any:
        return models.at_url(said) if said.get("model") in models.by_name() else host_client(**said)

    def judge(dataset_name: str, dataset_type: str, args: Any) -> dict[str, Any]:
        said: dict[str, Any] = host_judge(dataset_name, dataset_type, args)
        if args.judge is None and known & set(dataset_name.split()):
            said.pop("model", None)
            named = settings.current()
            if named.judge:
                said["model"] = named.judge
                said.setdefault("api_base", named.judge_base_url)
        return said

    run.LMDeployAPI = client
    run.get_judge_kwargs = judge
