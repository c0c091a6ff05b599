"""Start the server: ``PYTHON __main__.py FD``.

The package is loaded from its file under its own name. No folder of the host is on the import path,
so a script cannot import the host's modules. The modules that a fresh interpreter has already
imported are noted before anything else is imported.
"""

import sys

FRESH = frozenset(sys.modules)
NAME = "rrvf_chart_server"


def load_package() -> None:
    """Make this folder importable as ``rrvf_chart_server``, whatever it is called on disk."""
    import importlib.util

    folder = __file__.rpartition("/")[0] or "."
    spec = importlib.util.spec_from_file_location(
        NAME, f"{folder}/__init__.py", submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


def start() -> None:
    """Load what scripts use, noting what loads what, and serve."""
    modules = __import__("modules")  # of this folder, which is still on the import path
    del sys.path[0]
    sys.modules[f"{NAME}.modules"] = sys.modules.pop("modules")
    shelf = modules.Shelf(FRESH)
    shelf.record()
    load_package()
    import importlib
    import os

    server = importlib.import_module(f"{NAME}.server")
    code = server.main(sys.argv[1:], shelf)
    os._exit(code)  # nothing is left to do, and to take all packages apart takes long


if __name__ == "__main__":
    start()
