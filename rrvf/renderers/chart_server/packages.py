"""The packages that scripts use, imported before the first fork and before what draws with them.

While a module is executed, :mod:`.modules` looks again and again whether it has changed a registry,
and matplotlib holds the large ones. So what does without matplotlib is imported before it: the
outcome is the same, since a module sees only what it has imported itself.
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
