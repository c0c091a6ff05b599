"""The packages that scripts use, imported before the first fork; those without matplotlib first.

While a module is executed, :mod:`.modules` checks repeatedly whether it has changed a registry, and
matplotlib's registries are large. So packages that do not need matplotlib are imported before it.
The result is the same, because a module sees only what it has imported itself.
"""

from __future__ import annotations

import importlib

REQUIRED = ("matplotlib", "numpy")
PRELOADED = (
    "numpy",
    "pandas",
    "scipy",
    "scipy.stats",
    "scipy.interpolate",
    "scipy.ndimage",
    "scipy.signal",
    "scipy.cluster.hierarchy",
    "networkx",
    "pypdfium2",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.gridspec",
    "matplotlib.tri",
    "matplotlib.sankey",
    "matplotlib.table",
    "mpl_toolkits.mplot3d",
    "squarify",
    "matplotlib_venn",
    "seaborn",
)


def load() -> list[str]:
    """Import the packages.

    Returns:
        Names of those that are missing.

    Raises:
        ImportError: One is missing that nothing can be drawn without.
    """
    return [name for name in PRELOADED if not _can_import(name)]


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        if name in REQUIRED:
            raise
        return False
    return True
