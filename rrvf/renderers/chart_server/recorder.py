"""Wrappers around drawing functions that note what a script draws.

What is noted follows the official ChartMimic evaluators (VLMEvalKit's port, run with matplotlib
3.9.4): which functions count for the chart type, which for the colour, that calls nested in a
counted call do not count, and that each list has a nesting flag of its own which an exception
leaves set for good. One execution serves all lists at once. Names are canonical instead of
installation paths; two functions share a name where their official names are equal.

The colours of an object are read again when the script is done, since scripts recolour what they
have drawn: only the last object of each (function, first colour) is asked.
"""

# The plotting packages ship partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Function = Callable[..., Any]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Observed = Iterable[tuple[str, str, Any]]
"""(role, colour, object) for each colour seen at the time of the call."""
Observe = Callable[[Any, Args, Kwargs], Observed]
"""(result, args, kwargs) of a call -> what it drew."""


class ColorError(Exception):
    """The official evaluator would have raised while reading a colour."""


@dataclass(eq=False)
class Nesting:
    """Whether a call is the outermost one of its list.

    ``stuck`` is the official flag after an exception: nothing counts any more. The mended mode
    looks at ``depth`` alone.
    """

    depth: int = 0
    stuck: bool = False


@dataclass
class Colors:
    """Objects by (role, first colour), in the order of their first drawing."""

    objects: dict[tuple[str, str], Any] = field(default_factory=dict)
    dead: bool = False


@dataclass
class Recorder:
    """Everything noted during one execution; twice where the two modes can differ."""

    types: Nesting = field(default_factory=Nesting)
    colors: Nesting = field(default_factory=Nesting)
    official_types: dict[str, int] = field(default_factory=dict)
    official_types_dead: bool = False
    fixed_types: dict[str, int] = field(default_factory=dict)
    official_colors: Colors = field(default_factory=Colors)
    fixed_colors: Colors = field(default_factory=Colors)
    texts: list[str] = field(default_factory=list)
    sink: list[str] | None = None
    """Where drawn texts are noted now."""

    # ------------------------------------------------------------------------ noting

    def note_type(self, name: str) -> None:
        """Count one call of a chart type."""
        self.fixed_types[name] = self.fixed_types.get(name, 0) + 1
        if not self.types.stuck:
            self.official_types[name] = self.official_types.get(name, 0) + 1

    def note_colors(self, observe: Callable[[], Observed]) -> None:
        """Note the colours of one call's result."""
        targets = [self.fixed_colors]
        if not self.colors.stuck:
            targets.append(self.official_colors)
        try:
            for role, color, item in observe():
                for target in targets:
                    target.objects[role, color] = item
        except Exception:
            for target in targets:
                target.dead = True

    # ----------------------------------------------------------------------- reading

    def read_official_types(self) -> dict[str, int]:
        """Counts by name; empty where the official run that counts would have ended early."""
        return {} if self.official_types_dead else self.official_types

    def read_colors(self, colors: Colors) -> list[list[str]]:
        """Distinct [role, colour] pairs, every object asked again.

        Empty where the official evaluator would have raised on the way.
        """
        if colors.dead:
            return []
        found: dict[tuple[str, str], None] = {}
        try:
            for (role, color), item in colors.objects.items():
                for again in reread(role, color, item):
                    found[role, again] = None
        except Exception:
            return []
        return [[role, color] for role, color in found]

    @contextmanager
    def texts_into(self, sink: list[str] | None) -> Generator[None]:
        """Note texts elsewhere, or nowhere."""
        before, self.sink = self.sink, sink
        try:
            yield
        finally:
            self.sink = before


# ---------------------------------------------------------------------- colours of objects


def hex_color(color: Any) -> str | None:
    """``#RRGGBB`` in capitals, without alpha; ``None`` where it is no colour.

    A hex string of 7 or 9 characters is taken as it is; a name through matplotlib; a sequence of
    3 or 4 numbers through matplotlib. Anything else is no colour.
    """
    import numpy as np
    from matplotlib import colors

    try:
        if isinstance(color, str):
            if color.startswith("#") and len(color) in (7, 9):
                return color.upper()
            return colors.to_hex(colors.to_rgba(color)).upper()
        if isinstance(color, (list, tuple, np.ndarray)) and len(color) in (3, 4):
            return colors.to_hex(tuple(color)).upper()
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


def _wedges(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    return _faces("pie", result[0])


def _made_line(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    yield "line", known(result[1]["color"]), result[0]


def _bars(result: Any, args: Args, kwargs: Kwargs) -> Observed:
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


def _any_scatter(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    from matplotlib.projections.polar import PolarAxes

    role = "scatter_polar" if isinstance(args[0], PolarAxes) else "scatter"
    return _scatter(role)(result, args, kwargs)


def _scatter_3d(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    name = colormap_name(kwargs)
    if name is not None:
        return [("scatter_3d", name, result)]
    return _collection("scatter_3d", result.get_facecolors().tolist(), result)


def _surface(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    name = colormap_name(kwargs)
    color = name if name is not None else known(result.get_facecolors().tolist()[0])
    yield "plot_surface", color, result


def _boxes(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    from matplotlib.patches import PathPatch

    return _faces("boxplot", (box for box in result["boxes"] if isinstance(box, PathPatch)))


def _bodies(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    for body in result["bodies"]:
        yield from _first_face("violinplot", body)


def _histogram(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    from matplotlib.cbook import silent_list

    patches = result[2]
    containers = patches if isinstance(patches, silent_list) else [patches]
    for container in containers:
        yield from _faces("hist", container)


def _tiles(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    for container in result.containers:
        yield from _faces("squarify", container)


def _mapped(role: str) -> Observe:
    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        yield role, result.get_cmap().name, result

    return observe


def _image_made(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    yield "nonuniform_image", args[0].get_cmap().name, args[0]


def _patch_made(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    return _faces("ellipse", [args[0]])


def _venn_made(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    faces = [patch.get_facecolor() for patch in args[0].patches]
    return _collection("venn", faces, args[0])


def _edges(role: str) -> Observe:
    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        return _collection(role, result.get_edgecolors(), result)

    return observe


def _face_list(role: str) -> Observe:
    def observe(result: Any, args: Args, kwargs: Kwargs) -> Observed:
        return _collection(role, result.get_facecolors().tolist(), result)

    return observe


def _face_of_result(role: str) -> Observe:
    return lambda result, args, kwargs: _faces(role, [result])


def _faces_of_result(role: str) -> Observe:
    return lambda result, args, kwargs: _faces(role, result)


def _lines_of_result(role: str) -> Observe:
    return lambda result, args, kwargs: _line_artists(role, result)


def _line_of_result(role: str) -> Observe:
    return lambda result, args, kwargs: _line_artists(role, [result])


def _filled_between(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    yield "fill_between", known(list(result.get_facecolors()[0])), result


def _bar_3d(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    yield "bar3d", known(result.get_facecolors().tolist()[0]), result


def _network_edges(result: Any, args: Args, kwargs: Kwargs) -> Observed:
    found = edge_colors(result)
    return [("network_edges", found[-1], result)] if found else []


def edge_colors(result: Any) -> list[str]:
    """Colours of drawn graph edges: arrows by face, plain lines by edge."""
    if isinstance(result, list):
        return [known(arrow.get_facecolor()) for arrow in result]
    return each(result.get_edgecolors().tolist())


def _network_labels(result: Any, args: Args, kwargs: Kwargs) -> Observed:
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


# -------------------------------------------------------------------------------- wrapping


def wrap(
    recorder: Recorder,
    function: Function,
    chart_type: Callable[[tuple[Any, ...]], str] | None,
    observe: Observe | None,
) -> Function:
    """A function that does what ``function`` does and is noted in ``recorder``.

    Args:
        recorder: Where to note.
        function: What is called.
        chart_type: Positional arguments -> name to count, ``None`` where calls are not counted.
        observe: (result, args, kwargs) -> colours, ``None`` where colours are not read.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        lists = [recorder.types] if chart_type is not None else []
        lists += [recorder.colors] if observe is not None else []
        outer = [nesting for nesting in lists if nesting.depth == 0]
        if chart_type is not None and recorder.types in outer:  # by identity
            recorder.note_type(chart_type(args))
        for nesting in lists:
            nesting.depth += 1
        try:
            result = function(*args, **kwargs)
            if observe is not None and recorder.colors in outer:
                recorder.note_colors(functools.partial(observe, result, args, kwargs))
        except BaseException:
            for nesting in outer:
                nesting.stuck = True
            raise
        finally:
            for nesting in lists:
                nesting.depth -= 1
        return result

    return wrapper


def _named(name: str) -> Callable[[tuple[Any, ...]], str]:
    return lambda args: name


def _plot_name(args: tuple[Any, ...]) -> str:
    from matplotlib.projections.polar import PolarAxes

    return "plot_polar" if args and isinstance(args[0], PolarAxes) else "plot"


def _axes_methods() -> dict[str, tuple[bool, Observe | None]]:
    """Method of ``Axes`` -> (calls count for the type, how its colours are read)."""
    return {
        "bar": (True, _bars),
        "barh": (True, None),
        "axhline": (True, _line_of_result("axhline")),
        "axvline": (True, _line_of_result("axvline")),
        "axvspan": (True, _face_of_result("axvspan")),
        "axhspan": (True, _face_of_result("axhspan")),
        "hlines": (True, _edges("hlines")),
        "vlines": (True, _edges("vlines")),
        "errorbar": (True, None),
        "boxplot": (True, _boxes),
        "violinplot": (True, _bodies),
        "violin": (True, None),
        "hist": (True, _histogram),
        "fill_between": (True, None),
        "fill_betweenx": (True, None),
        "_fill_between_x_or_y": (False, _filled_between),
        "scatter": (True, _any_scatter),
        "quiver": (True, _face_list("quiver")),
        "pie": (True, _wedges),
        "fill": (True, _faces_of_result("fill")),
        "imshow": (True, _mapped("imshow")),
        "pcolor": (True, _mapped("pcolor")),
        "contour": (True, _mapped("contour")),
        "contourf": (True, _mapped("contourf")),
        "broken_barh": (True, _face_list("broken_barh")),
        "tripcolor": (True, _mapped("tripcolor")),
    }


def _axes_3d_methods() -> dict[str, tuple[str, Observe]]:
    """Method of ``Axes3D`` -> (chart type, how its colours are read).

    ``bar`` and ``scatter`` share the type of their flat namesakes: the official name is made of
    the file that holds the function's outermost decorator, and theirs is the same.
    """
    return {
        "scatter": ("scatter", _scatter_3d),
        "plot": ("plot_3d", _lines_of_result("plot_3d")),
        "plot_surface": ("plot_surface", _surface),
        "bar3d": ("bar3d", _bar_3d),
        "bar": ("bar", _faces_of_result("bar_3d")),
        "add_collection3d": ("add_collection3d", _face_list("add_collection3d")),
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
    from matplotlib.projections.polar import PolarAxes
    from mpl_toolkits.mplot3d import Axes3D

    line_maker: Any = vars(axes_base)["_process_plot_var_args"]
    plain_plot = Axes.plot
    for name, (counted, observe) in _axes_methods().items():
        chart_type = _named(name) if counted else None
        setattr(Axes, name, wrap(recorder, getattr(Axes, name), chart_type, observe))
    Axes.plot = wrap(recorder, plain_plot, _plot_name, None)
    PolarAxes.plot = wrap(recorder, plain_plot, _plot_name, _lines_of_result("plot_polar"))
    # Renamed in matplotlib 3.10, which is why the official scorer loses line colours there.
    maker = "_makeline" if hasattr(line_maker, "_makeline") else "_make_line"
    made = wrap(recorder, getattr(line_maker, maker), None, _made_line)
    setattr(line_maker, maker, made)
    for name, (chart_type_3d, observe_3d) in _axes_3d_methods().items():
        wrapped = wrap(recorder, getattr(Axes3D, name), _named(chart_type_3d), observe_3d)
        setattr(Axes3D, name, wrapped)
    squarify.plot = wrap(recorder, squarify.plot, _named("squarify"), _tiles)


def _install_constructors(recorder: Recorder) -> None:
    from matplotlib.image import NonUniformImage
    from matplotlib.patches import Circle, Ellipse
    from matplotlib_venn._common import VennDiagram

    for made, name, observe in [
        (NonUniformImage, "nonuniform_image", _image_made),
        (Ellipse, "ellipse", _patch_made),
        (VennDiagram, "venn", _venn_made),
        (Circle, "ellipse", _patch_made),
    ]:
        made.__init__ = wrap(recorder, made.__init__, _named(name), observe)


def _install_networks(recorder: Recorder) -> None:
    import networkx
    from networkx.drawing import nx_pylab

    for name, role, observe in [
        ("draw_networkx_nodes", "network_nodes", _face_list("network_nodes")),
        ("draw_networkx_edges", "network_edges", _network_edges),
        ("draw_networkx_labels", "network_labels", _network_labels),
    ]:
        function = getattr(nx_pylab, name)
        noted = wrap(recorder, function, _named(role), observe)
        wrapped: Any = _knowing_no_hide_ticks(recorder, noted)
        wrapped.__signature__ = _official_signature(function)
        setattr(nx_pylab, name, wrapped)
        setattr(networkx, name, wrapped)


def _knowing_no_hide_ticks(recorder: Recorder, function: Function) -> Function:
    """The official wrappers raise on ``hide_ticks``, which ends the runs that log type and colour."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if "hide_ticks" in kwargs:
            recorder.official_colors.dead = True
            recorder.official_types_dead = True
        return function(*args, **kwargs)

    return wrapper


def _official_signature(function: Function) -> inspect.Signature:
    """What ``nx.draw`` sees: the official wrappers know no ``hide_ticks``, added in 3.3."""
    signature = inspect.signature(function)
    kept = [p for p in signature.parameters.values() if p.name != "hide_ticks"]
    return signature.replace(parameters=kept)


def _install_texts(recorder: Recorder) -> None:
    from matplotlib.backends.backend_pdf import RendererPdf

    draw_text = RendererPdf.draw_text

    @functools.wraps(draw_text)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if recorder.sink is not None:
            recorder.sink.append(args[4])
        return draw_text(*args, **kwargs)

    RendererPdf.draw_text = wrapper
