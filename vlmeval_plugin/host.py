"""VLMEvalKit itself: imported without the import's side effects, and its ``run.py``."""

from __future__ import annotations

import importlib
import importlib.util
import ssl
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rrvf.errors import SetupError

_DEFAULT = "_create_default_https_context"
_UNVERIFIED = "_create_unverified_context"


def import_host(name: str = "vlmeval") -> Any:
    """A module of VLMEvalKit.

    Importing the package has HTTPS connections of the whole process go unverified, to fetch its
    files; that is undone here, also where somebody else has imported it before.

    Raises:
        SetupError: It is not installed, or not whole.
    """
    try:
        _import_package()
        return importlib.import_module(name)
    except ImportError as error:
        if error.name in ("vlmeval", name):
            raise SetupError(
                "VLMEvalKit is not installed: pip install 'rrvf[vlmeval]', or put a checkout on "
                "PYTHONPATH"
            ) from error
        raise SetupError(f"VLMEvalKit cannot be imported: {error}") from error


@cache
def _import_package() -> None:
    """Once: what is set later is somebody's own wish."""
    old_context = getattr(ssl, _DEFAULT)
    is_unverified = "vlmeval" in sys.modules and old_context is getattr(ssl, _UNVERIFIED)
    try:
        importlib.import_module("vlmeval")
    finally:
        setattr(ssl, _DEFAULT, ssl.create_default_context if is_unverified else old_context)


def load_run() -> Any:
    """VLMEvalKit's ``run.py`` as a module: inside the package, or beside it in a checkout.

    Raises:
        SetupError: There is none.
    """
    package = Path(import_host().__file__).parent
    for path in (package / "run.py", package.parent / "run.py"):
        spec = importlib.util.spec_from_file_location("vlmeval.run", path)
        if path.is_file() and spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            return module
    raise SetupError(f"no run.py in {package} or beside it; install ms-vlmeval or take a checkout")
