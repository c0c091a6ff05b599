"""How the colours of drawn objects are read, at the time of the call and again at the end.

The rules are those of the official ChartMimic evaluator with matplotlib 3.9.4: which property of
which object, what is taken for no colour, and where reading raises.
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
Observed = Iterable[tuple[str, str, Any]]
"""(role, colour, object) for each colour seen at the time of the call."""
Observe = Callable[[Any, Args, Kwargs], Observed]
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


def known(color: Any) -> str:
    """As :func:`hex_color`, raising where the official evaluator does."""
    found = hex_color(color)
    if found is None:
        raise ColorError(f"no colour: {color!r}")
    return found


def each(colors: Iterable[Any]) -> list[str]:
    """The colours of a collection."""
    return [known(list(color)) for color in colors]


def colormap_name(kwargs: dict[str, Any]) -> str | None:
    """The name of the ``cmap`` argument, where one was given by keyword."""
    cmap = kwargs.get("cmap")
    if cmap is None:
        return None
    return cmap if isinstance(cmap, str) else cmap.name


def _collection(role: str, colors: Iterable[Any], item: Any) -> Observed:
    """All colours of one object, filed under the last of them."""
    found = each(colors)
    if not found:
        raise ColorError("the object has no colour")
    yield role, found[-1], item


# ------------------------------ at the time of the call: result -> (role, colour, object)


def _line_artists(role: str, lines: Iterable[Any]) -> Observed:
    for line in lines:
        yield role, known(line.get_color()), line


def _faces(role: str, patches: Iterable[Any]) -> Observed:
    for patch in patches:
        yield role, known(patch.get_facecolor()), patch


def _first_face(role: str, item: Any) -> Observed:
    yield role, known(list(item.get_facecolor()[0])), item


def wedges(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The wedges of a pie."""
    return _faces("pie", result[0])


def made_line(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """One line, from the maker that every kind of line goes through."""
    yield "line", known(result[1]["color"]), result[0]


def bars(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """Bars, by the colour they were given, not the one they show."""
    for patch in result:
        yield "bar", known(list(patch._original_facecolor)), patch


def _scatter(role: str) -> Observe:
    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        name = colormap_name(kwargs)
        if name is not None:
            yield role, name, result
        elif len(result.get_facecolor()) != 0:
            yield from _first_face(role, result)

    return observe


def scatter(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """Points: the colour map's name where one was given, else the first point's colour."""
    role = "scatter_polar" if isinstance(args[0], PolarAxes) else "scatter"
    return _scatter(role)(result, args, kwargs)


def scatter_3d(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """As flat points, but every point counts."""
    name = colormap_name(kwargs)
    if name is not None:
        return [("scatter_3d", name, result)]
    return _collection("scatter_3d", result.get_facecolors().tolist(), result)


def surface(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """A surface: the colour map's name, else its first facet."""
    name = colormap_name(kwargs)
    color = name if name is not None else known(result.get_facecolors().tolist()[0])
    yield "plot_surface", color, result


def boxes(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """Filled boxes; boxes that are mere lines have none."""
    return _faces("boxplot", (box for box in result["boxes"] if isinstance(box, PathPatch)))


def bodies(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The bodies of violins."""
    for body in result["bodies"]:
        yield from _first_face("violinplot", body)


def histogram(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The bars or outlines of one histogram or several."""
    patches = result[2]
    containers = patches if isinstance(patches, silent_list) else [patches]
    for container in containers:
        yield from _faces("hist", container)


def tiles(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The tiles of a tree map."""
    for container in result.containers:
        yield from _faces("squarify", container)


def colormap(role: str) -> Observe:
    """Anything whose colours come from a colour map: its name."""

    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        yield role, result.get_cmap().name, result

    return observe


def image_made(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """An image on uneven pixels, by its colour map."""
    yield "nonuniform_image", args[0].get_cmap().name, args[0]


def patch_made(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """A circle or an ellipse, as it is made."""
    return _faces("ellipse", [args[0]])


def venn_made(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The patches of a Venn diagram."""
    faces = [patch.get_facecolor() for patch in args[0].patches]
    return _collection("venn", faces, args[0])


def edge_list(role: str) -> Observe:
    """All edge colours of a collection."""

    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        return _collection(role, result.get_edgecolors(), result)

    return observe


def face_list(role: str) -> Observe:
    """All face colours of a collection."""

    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        return _collection(role, result.get_facecolors().tolist(), result)

    return observe


def face_of_result(role: str) -> Observe:
    """The face of the one object returned."""
    return lambda result, args, kwargs: _faces(role, [result])


def faces_of_result(role: str) -> Observe:
    """The faces of the objects returned."""
    return lambda result, args, kwargs: _faces(role, result)


def lines_of_result(role: str) -> Observe:
    """The lines returned."""
    return lambda result, args, kwargs: _line_artists(role, result)


def line_of_result(role: str) -> Observe:
    """The one line returned."""
    return lambda result, args, kwargs: _line_artists(role, [result])


def filled_between(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """An area between curves, by its first face."""
    yield "fill_between", known(list(result.get_facecolors()[0])), result


def bar_3d(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """Solid bars, by their first face."""
    yield "bar3d", known(result.get_facecolors().tolist()[0]), result


def network_edges(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The edges of a graph; none is no error."""
    found = edge_colors(result)
    return [("network_edges", found[-1], result)] if found else []


def edge_colors(result: Any) -> list[str]:
    """Colours of drawn graph edges: arrows by face, plain lines by edge."""
    if isinstance(result, list):
        return [known(arrow.get_facecolor()) for arrow in result]
    return each(result.get_edgecolors().tolist())


def network_labels(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    """The labels of a graph's nodes."""
    return _line_artists("network_labels", result.values())


# ----------------------------------------------- when the script is done: object -> colours


def reread(role: str, color: str, item: Any) -> list[str]:
    """The colours that ``item`` has now; a colour map's name stays what it was.

    Raises:
        Exception: Whatever reading raises; the official evaluator then logs no colour at all.
    """
    if role == "bar":
        again = hex_color(list(item._original_facecolor))
        return [] if again is None else [again]
    if role.startswith("scatter") or role == "plot_surface":
        return _reread_mappable(role, color, item)
    return _REREAD[role](item)


def _reread_mappable(role: str, color: str, item: Any) -> list[str]:
    if not color.startswith("#"):
        return [color]
    if role == "scatter_3d":
        return each(item.get_facecolors().tolist())
    if role == "plot_surface":
        return [known(item.get_facecolors().tolist()[0])]
    faces = item.get_facecolor()
    return [known(list(faces[0]))] if len(faces) != 0 else []


def _line_color(item: Any) -> list[str]:
    return [known(item.get_color())]


def _face_color(item: Any) -> list[str]:
    return [known(item.get_facecolor())]


def _first_face_color(item: Any) -> list[str]:
    return [known(list(item.get_facecolor()[0]))]


def _face_colors(item: Any) -> list[str]:
    return each(item.get_facecolors().tolist())


def _edge_colors(item: Any) -> list[str]:
    return each(item.get_edgecolors())


def _map_name(item: Any) -> list[str]:
    return [item.get_cmap().name]


_REREAD: dict[str, Callable[[Any], list[str]]] = {
    "line": _line_color,
    "axhline": _line_color,
    "axvline": _line_color,
    "plot_polar": _line_color,
    "plot_3d": _line_color,
    "network_labels": _line_color,
    "pie": _face_color,
    "axvspan": _face_color,
    "axhspan": _face_color,
    "boxplot": _face_color,
    "hist": _face_color,
    "squarify": _face_color,
    "fill": _face_color,
    "ellipse": _face_color,
    "bar_3d": _face_color,
    "fill_between": lambda item: [known(list(item.get_facecolors()[0]))],
    "violinplot": _first_face_color,
    "bar3d": lambda item: [known(item.get_facecolors().tolist()[0])],
    "quiver": _face_colors,
    "broken_barh": _face_colors,
    "add_collection3d": _face_colors,
    "network_nodes": _face_colors,
    "network_edges": edge_colors,
    "hlines": _edge_colors,
    "vlines": _edge_colors,
    "imshow": _map_name,
    "pcolor": _map_name,
    "contour": _map_name,
    "contourf": _map_name,
    "tripcolor": _map_name,
    "nonuniform_image": _map_name,
    "venn": lambda item: [known(patch.get_facecolor()) for patch in item.patches],
}
