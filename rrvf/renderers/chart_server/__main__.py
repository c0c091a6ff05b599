"""Start the server: ``PYTHON __main__.py FD``.

The package is loaded by its file, under a name of its own: no folder of the host is put on the
import path, so a script cannot import the host's modules.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "rrvf_chart_server"


def load_package() -> None:
    """Make this folder importable as ``rrvf_chart_server``, whatever it is called on disk."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    sys.path[:1] = []
    load_package()
    server = importlib.import_module(f"{NAME}.server")
    sys.exit(server.main(sys.argv[1:]))
