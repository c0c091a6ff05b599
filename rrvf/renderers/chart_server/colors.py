"""How the colours of drawn objects are read, at the time of the call and again at the end.

The rules are those of the official ChartMimic evaluator with matplotlib 3.9.4: which property of
which object is read, what counts as no colour, and where reading raises.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from matplotlib import colors as colors_of_matplotlib
from matplotlib.cbook import silent_list
from matplotlib.patches import PathPatch
from matplotlib.projections.polar import PolarAxes

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Observations = Iterable[tuple[str, str, Any]]
"""(role, colour, object) for each colour seen at the time of the call."""
Observe = Callable[[Any, Args, Kwargs], Observations]
"""(result, args, kwargs) of a call -> what it drew."""


class ColorError(Exception):
    """The official evaluator would have raised while reading a colour."""


# ---------------------------------------------------------------------- colours of objects


def hex_color(color: Any) -> str | None:
    """``#RRGGBB`` in capitals, without alpha; ``None`` where it is no colour.

    A hex string of 7 or 9 characters is taken as it is; a name through matplotlib; a sequence of
    3 or 4 numbers through matplotlib. Anything else is no colour.
    """
    to_hex, to_rgba = colors_of_matplotlib.to_hex, colors_of_matplotlib.to_rgba
    try:
        if isinstance(color, str):
            if color.startswith("#") and len(color) in (7, 9):
                return color.upper()
            return to_hex(to_rgba(color)).upper()
        if isinstance(color, (list, tuple, np.ndarray)) and len(color) in (3, 4):
            return to_hex(tuple(color)).upper()
    except ValueError:
        pass
    return None


def require_color(color: Any) -> str:
    """As :func:`hex_color`, raising where the official evaluator does."""
    value = hex_color(color)
    if value is None:
        raise ColorError(f"no colour: {color!r}")
    return value


def require_colors(colors: Iterable[Any]) -> list[str]:
    """The colours of a collection."""
    return [require_color(list(color)) for color in colors]


def colormap_name(kwargs: dict[str, Any]) -> str | None:
    """The name of the ``cmap`` argument, where one was given by keyword."""
    cmap = kwargs.get("cmap")
    if cmap is None:
        return None
    return cmap if isinstance(cmap, str) else cmap.name


def _observe_collection(role: str, colors: Iterable[Any], item: Any) -> Observations:
    """All colours of one object, filed under the last of them."""
    values = require_colors(colors)
    if not values:
        raise ColorError("the object has no colour")
    yield role, values[-1], item


# ------------------------------ at the time of the call: result -> (role, colour, object)


def _observe_lines(role: str, lines: Iterable[Any]) -> Observations:
    for line in lines:
        yield role, require_color(line.get_color()), line


def _observe_faces(role: str, patches: Iterable[Any]) -> Observations:
    for patch in patches:
        yield role, require_color(patch.get_facecolor()), patch


def _observe_first_face(role: str, item: Any) -> Observations:
    yield role, require_color(list(item.get_facecolor()[0])), item


def observe_wedges(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The wedges of a pie."""
    return _observe_faces("pie", result[0])


def observe_line(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """One line, from the maker that every kind of line goes through."""
    yield "line", require_color(result[1]["color"]), result[0]


def observe_bars(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """Bars, by the colour they were given, not the one they show."""
    for patch in result:
        yield "bar", require_color(list(patch._original_facecolor)), patch


def _observe_scatter_as(role: str) -> Observe:
    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observations:
        name = colormap_name(kwargs)
        if name is not None:
            yield role, name, result
        elif len(result.get_facecolor()) != 0:
            yield from _observe_first_face(role, result)

    return observe


def observe_scatter(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """Points: the colour map's name where one was given, else the first point's colour."""
    role = "scatter_polar" if isinstance(args[0], PolarAxes) else "scatter"
    return _observe_scatter_as(role)(result, args, kwargs)


def observe_scatter_3d(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """As flat points, but every point counts."""
    name = colormap_name(kwargs)
    if name is not None:
        return [("scatter_3d", name, result)]
    return _observe_collection("scatter_3d", result.get_facecolors().tolist(), result)


def observe_surface(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """A surface: the colour map's name, else its first facet."""
    name = colormap_name(kwargs)
    color = name if name is not None else require_color(result.get_facecolors().tolist()[0])
    yield "plot_surface", color, result


def observe_boxes(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """Filled boxes; boxes that are mere lines have none."""
    return _observe_faces("boxplot", (box for box in result["boxes"] if isinstance(box, PathPatch)))


def observe_bodies(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The bodies of violins."""
    for body in result["bodies"]:
        yield from _observe_first_face("violinplot", body)


def observe_histogram(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The bars or outlines of one histogram or several."""
    patches = result[2]
    containers = patches if isinstance(patches, silent_list) else [patches]
    for container in containers:
        yield from _observe_faces("hist", container)


def observe_tiles(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The tiles of a tree map."""
    for container in result.containers:
        yield from _observe_faces("squarify", container)


def colormap(role: str) -> Observe:
    """Anything whose colours come from a colour map: its name."""

    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observations:
        yield role, result.get_cmap().name, result

    return observe


def observe_image(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """An image on uneven pixels, by its colour map."""
    yield "nonuniform_image", args[0].get_cmap().name, args[0]


def observe_patch(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """A circle or an ellipse, as it is made."""
    return _observe_faces("ellipse", [args[0]])


def observe_venn(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The patches of a Venn diagram."""
    faces = [patch.get_facecolor() for patch in args[0].patches]
    return _observe_collection("venn", faces, args[0])


def edge_list(role: str) -> Observe:
    """All edge colours of a collection."""

    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observations:
        return _observe_collection(role, result.get_edgecolors(), result)

    return observe


def face_list(role: str) -> Observe:
    """All face colours of a collection."""

    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observations:
        return _observe_collection(role, result.get_facecolors().tolist(), result)

    return observe


def face_of_result(role: str) -> Observe:
    """The face of the one object returned."""
    return lambda result, args, kwargs: _observe_faces(role, [result])


def faces_of_result(role: str) -> Observe:
    """The faces of the objects returned."""
    return lambda result, args, kwargs: _observe_faces(role, result)


def lines_of_result(role: str) -> Observe:
    """The lines returned."""
    return lambda result, args, kwargs: _observe_lines(role, result)


def line_of_result(role: str) -> Observe:
    """The one line returned."""
    return lambda result, args, kwargs: _observe_lines(role, [result])


def observe_filling(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """An area between curves, by its first face."""
    yield "fill_between", require_color(list(result.get_facecolors()[0])), result


def observe_bar_3d(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """Solid bars, by their first face."""
    yield "bar3d", require_color(result.get_facecolors().tolist()[0]), result


def observe_network_edges(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The edges of a graph; none is no error."""
    colors = read_network_edges(result)
    return [("network_edges", colors[-1], result)] if colors else []


def read_network_edges(result: Any) -> list[str]:
    """Colours of drawn graph edges: arrows by face, plain lines by edge."""
    if isinstance(result, list):
        return [require_color(arrow.get_facecolor()) for arrow in result]
    return require_colors(result.get_edgecolors().tolist())


def observe_network_labels(result: Any, args: Args, kwargs: Kwargs) -> Observations:
    """The labels of a graph's nodes."""
    return _observe_lines("network_labels", result.values())


# ----------------------------------------------- when the script is done: object -> colours


def reread(role: str, color: str, item: Any) -> list[str]:
    """The colours that ``item`` has now; a colour map's name stays what it was.

    Raises:
        Exception: Whatever reading raises; the official evaluator then logs no colour at all.
    """
    if role == "bar":
        value = hex_color(list(item._original_facecolor))
        return [] if value is None else [value]
    if role.startswith("scatter") or role == "plot_surface":
        return _reread_mappable(role, color, item)
    return _REREAD[role](item)


def _reread_mappable(role: str, color: str, item: Any) -> list[str]:
    if not color.startswith("#"):
        return [color]
    if role == "scatter_3d":
        return require_colors(item.get_facecolors().tolist())
    if role == "plot_surface":
        return [require_color(item.get_facecolors().tolist()[0])]
    faces = item.get_facecolor()
    return [require_color(list(faces[0]))] if len(faces) != 0 else []


def _read_line_color(item: Any) -> list[str]:
    return [require_color(item.get_color())]


def _read_face_color(item: Any) -> list[str]:
    return [require_color(item.get_facecolor())]


def _read_first_face_color(item: Any) -> list[str]:
    return [require_color(list(item.get_facecolor()[0]))]


def _read_face_colors(item: Any) -> list[str]:
    return require_colors(item.get_facecolors().tolist())


def _read_edge_colors(item: Any) -> list[str]:
    return require_colors(item.get_edgecolors())


def _read_map_name(item: Any) -> list[str]:
    return [item.get_cmap().name]


_REREAD: dict[str, Callable[[Any], list[str]]] = {
    "line": _read_line_color,
    "axhline": _read_line_color,
    "axvline": _read_line_color,
    "plot_polar": _read_line_color,
    "plot_3d": _read_line_color,
    "network_labels": _read_line_color,
    "pie": _read_face_color,
    "axvspan": _read_face_color,
    "axhspan": _read_face_color,
    "boxplot": _read_face_color,
    "hist": _read_face_color,
    "squarify": _read_face_color,
    "fill": _read_face_color,
    "ellipse": _read_face_color,
    "bar_3d": _read_face_color,
    "fill_between": lambda item: [require_color(list(item.get_facecolors()[0]))],
    "violinplot": _read_first_face_color,
    "bar3d": lambda item: [require_color(item.get_facecolors().tolist()[0])],
    "quiver": _read_face_colors,
    "broken_barh": _read_face_colors,
    "add_collection3d": _read_face_colors,
    "network_nodes": _read_face_colors,
    "network_edges": read_network_edges,
    "hlines": _read_edge_colors,
    "vlines": _read_edge_colors,
    "imshow": _read_map_name,
    "pcolor": _read_map_name,
    "contour": _read_map_name,
    "contourf": _read_map_name,
    "tripcolor": _read_map_name,
    "nonuniform_image": _read_map_name,
    "venn": lambda item: [require_color(patch.get_facecolor()) for patch in item.patches],
}
