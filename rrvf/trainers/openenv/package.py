"""The import of the package ``openenv``, which is an extra."""

from __future__ import annotations

import importlib
from typing import Any

from rrvf.errors import SetupError


def import_openenv(name: str) -> Any:
    """A module of OpenEnv.

    Args:
        name: Below ``openenv.core``.

    Raises:
        SetupError: It is not installed.
    """
    try:
        return importlib.import_module(f"openenv.core.{name}")
    except ImportError as error:
        raise SetupError(
            f"OpenEnv is missing or incomplete: pip install 'rrvf[openenv]' ({error})"
        ) from error
