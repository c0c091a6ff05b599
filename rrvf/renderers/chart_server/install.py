"""The functions of the plotting packages that are wrapped, and the name recorded for each.

Names are canonical instead of installation paths. Two functions share a name if their official
names are equal. An official name consists of the file of the outermost decorator and the function's
name.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from matplotlib.projections.polar import PolarAxes

from . import colors
from .colors import Observe
from .recorder import Function, Recorder, wrap


def _make_namer(name: str) -> Callable[[tuple[Any, ...]], str]:
    return lambda args: name


def _name_plot(args: tuple[Any, ...]) -> str:
    return "plot_polar" if args and isinstance(args[0], PolarAxes) else "plot"


def _list_axes_methods() -> dict[str, tuple[bool, Observe | None]]:
    """Method of ``Axes`` -> (calls count for the type, how its colours are read)."""
    return {
        "bar": (True, colors.observe_bars),
        "barh": (True, None),
        "axhline": (True, colors.line_of_result("axhline")),
        "axvline": (True, colors.line_of_result("axvline")),
        "axvspan": (True, colors.face_of_result("axvspan")),
        "axhspan": (True, colors.face_of_result("axhspan")),
        "hlines": (True, colors.edge_list("hlines")),
        "vlines": (True, colors.edge_list("vlines")),
        "errorbar": (True, None),
        "boxplot": (True, colors.observe_boxes),
        "violinplot": (True, colors.observe_bodies),
        "violin": (True, None),
        "hist": (True, colors.observe_histogram),
        "fill_between": (True, None),
        "fill_betweenx": (True, None),
        "_fill_between_x_or_y": (False, colors.observe_filling),
        "scatter": (True, colors.observe_scatter),
        "quiver": (True, colors.face_list("quiver")),
        "pie": (True, colors.observe_wedges),
        "fill": (True, colors.faces_of_result("fill")),
        "imshow": (True, colors.colormap("imshow")),
        "pcolor": (True, colors.colormap("pcolor")),
        "contour": (True, colors.colormap("contour")),
        "contourf": (True, colors.colormap("contourf")),
        "broken_barh": (True, colors.face_list("broken_barh")),
        "tripcolor": (True, colors.colormap("tripcolor")),
    }


def _list_axes_3d_methods() -> dict[str, tuple[str, Observe]]:
    """Method of ``Axes3D`` -> (chart type, how its colours are read).

    ``bar`` and ``scatter`` share the type of their flat namesakes: the official name is made of
    the file that holds the function's outermost decorator, and theirs is the same.
    """
    return {
        "scatter": ("scatter", colors.observe_scatter_3d),
        "plot": ("plot_3d", colors.lines_of_result("plot_3d")),
        "plot_surface": ("plot_surface", colors.observe_surface),
        "bar3d": ("bar3d", colors.observe_bar_3d),
        "bar": ("bar", colors.faces_of_result("bar_3d")),
        "add_collection3d": ("add_collection3d", colors.face_list("add_collection3d")),
    }


def install(recorder: Recorder) -> None:
    """Wrap the drawing functions of matplotlib, networkx, squarify and matplotlib_venn."""
    _install_axes(recorder)
    _install_constructors(recorder)
    _install_networks(recorder)
    _install_texts(recorder)


def _install_axes(recorder: Recorder) -> None:
    import squarify
    from matplotlib.axes import Axes
    from matplotlib.axes import _base as axes_base
    from mpl_toolkits.mplot3d import Axes3D

    line_maker: Any = vars(axes_base)["_process_plot_var_args"]
    plain_plot = Axes.plot
    for name, (is_counted, observe) in _list_axes_methods().items():
        chart_type = _make_namer(name) if is_counted else None
        setattr(Axes, name, wrap(recorder, getattr(Axes, name), chart_type, observe))
    Axes.plot = wrap(recorder, plain_plot, _name_plot, None)
    PolarAxes.plot = wrap(recorder, plain_plot, _name_plot, colors.lines_of_result("plot_polar"))
    # Renamed in matplotlib 3.10, which is why the official scorer loses line colours there.
    maker = "_makeline" if hasattr(line_maker, "_makeline") else "_make_line"
    wrapped = wrap(recorder, getattr(line_maker, maker), None, colors.observe_line)
    setattr(line_maker, maker, wrapped)
    for name, (chart_type_3d, observe_3d) in _list_axes_3d_methods().items():
        wrapped = wrap(recorder, getattr(Axes3D, name), _make_namer(chart_type_3d), observe_3d)
        setattr(Axes3D, name, wrapped)
    squarify.plot = wrap(recorder, squarify.plot, _make_namer("squarify"), colors.observe_tiles)


def _install_constructors(recorder: Recorder) -> None:
    from matplotlib.image import NonUniformImage
    from matplotlib.patches import Circle, Ellipse
    from matplotlib_venn._common import VennDiagram

    for owner, name, observe in [
        (NonUniformImage, "nonuniform_image", colors.observe_image),
        (Ellipse, "ellipse", colors.observe_patch),
        (VennDiagram, "venn", colors.observe_venn),
        (Circle, "ellipse", colors.observe_patch),
    ]:
        owner.__init__ = wrap(recorder, owner.__init__, _make_namer(name), observe)


def _install_networks(recorder: Recorder) -> None:
    import networkx
    from networkx.drawing import nx_pylab

    for name, role, observe in [
        ("draw_networkx_nodes", "network_nodes", colors.face_list("network_nodes")),
        ("draw_networkx_edges", "network_edges", colors.observe_network_edges),
        ("draw_networkx_labels", "network_labels", colors.observe_network_labels),
    ]:
        function = getattr(nx_pylab, name)
        noting = wrap(recorder, function, _make_namer(role), observe)
        wrapped: Any = _watch_hide_ticks(recorder, noting)
        wrapped.__signature__ = _cut_signature(function)
        setattr(nx_pylab, name, wrapped)
        setattr(networkx, name, wrapped)


def _watch_hide_ticks(recorder: Recorder, function: Function) -> Function:
    """The official wrappers raise on ``hide_ticks``: no type and no colour is logged then."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if "hide_ticks" in kwargs:
            recorder.official_colors.dead = True
            recorder.official_types_dead = True
        return function(*args, **kwargs)

    return wrapper


def _cut_signature(function: Function) -> inspect.Signature:
    """What ``nx.draw`` sees: the official wrappers know no ``hide_ticks``, added in 3.3."""
    signature = inspect.signature(function)
    parameters = [
        parameter for parameter in signature.parameters.values() if parameter.name != "hide_ticks"
    ]
    return signature.replace(parameters=parameters)


def _install_texts(recorder: Recorder) -> None:
    from matplotlib.backends.backend_pdf import RendererPdf

    draw_text = RendererPdf.draw_text

    @functools.wraps(draw_text)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if recorder.sink is not None:
            recorder.sink.append(args[4])
        return draw_text(*args, **kwargs) if recorder.draws_texts else None

    RendererPdf.draw_text = wrapper
