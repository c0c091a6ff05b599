"""What a script must not change, and how changes are undone.

A script runs in the same process as the recorder. This module defeats the cheap ways to cheat:
replacing ``savefig``, a getter, a recorder function, ``json`` or a builtin. It cannot stop a
program that searches the interpreter's memory. Such a program can only report a chart that it was
able to draw anyway, because it cannot reach any reference.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import builtins
import sys
from types import FunctionType, ModuleType
from typing import Any

MEASURING = ("gcf", "get_fignums", "savefig", "show")
"""Functions of ``pyplot`` that measuring calls; a script may wrap the others for itself."""


class Guard:
    """A picture of the functions that measuring relies on, taken before any script runs."""

    def __init__(self, own_modules: list[ModuleType]) -> None:
        from matplotlib import pyplot

        self._watch_list: list[tuple[Any, dict[str, Any]]] = []
        self._watch_list += [(owner, dict(vars(owner))) for owner in _list_measuring_classes()]
        self._watch_list += [
            (module, _list_functions(module)) for module in _list_measuring_modules()
        ]
        self._watch_list += [(pyplot, {name: getattr(pyplot, name) for name in MEASURING})]
        import io
        import json
        import json.encoder
        import os
        import struct

        modules = [builtins, json, json.encoder, os, io, struct, sys, *own_modules]
        self._snapshots = [(vars(module), dict(vars(module))) for module in modules]
        self._update = dict.update
        self._settrace, self._setprofile = sys.settrace, sys.setprofile

    def expect(self, owner: Any, name: str, function: Any) -> None:
        """From now on, ``owner.name`` is to be ``function``."""
        for candidate, originals in self._watch_list:
            if candidate is owner:
                originals[name] = function

    def restore(self) -> None:
        """Undo changes to builtins and to the modules that the answer is made with."""
        self._settrace(None)
        self._setprofile(None)
        for names, originals in self._snapshots:
            self._update(names, originals)

    def find_violation(self) -> str | None:
        """The first measuring function that is no longer what it was, as ``Owner.name``."""
        for owner, originals in self._watch_list:
            names = vars(owner)
            for name, value in originals.items():
                if names.get(name) is not value:
                    return f"{owner.__name__}.{name}"
        return None


def _list_functions(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}


def _list_measuring_modules() -> list[ModuleType]:
    import matplotlib.colors

    return [matplotlib.colors]


def _list_measuring_classes() -> list[type]:
    from matplotlib import (
        artist,
        axis,
        backend_bases,
        cm,
        collections,
        figure,
        gridspec,
        lines,
        patches,
        text,
    )
    from matplotlib.axes import Axes
    from matplotlib.axes import _base as axes_base
    from matplotlib.backends import backend_agg, backend_pdf
    from matplotlib.projections.polar import PolarAxes
    from mpl_toolkits.mplot3d import Axes3D

    return [
        *(
            figure.Figure,
            figure.FigureBase,
            artist.Artist,
            axis.Axis,
            Axes,
            vars(axes_base)["_AxesBase"],
        ),
        *(backend_bases.FigureCanvasBase, backend_bases.RendererBase),
        *(backend_agg.FigureCanvasAgg, backend_agg.RendererAgg),
        *(backend_pdf.FigureCanvasPdf, backend_pdf.RendererPdf, backend_pdf.PdfFile),
        *(collections.Collection, collections.PathCollection, collections.LineCollection),
        *(patches.Patch, patches.Rectangle, patches.Ellipse, patches.Circle, lines.Line2D),
        *(text.Text, cm.ScalarMappable, gridspec.SubplotSpec, gridspec.GridSpecBase),
        *(vars(axes_base)["_process_plot_var_args"], PolarAxes, Axes3D),
    ]
