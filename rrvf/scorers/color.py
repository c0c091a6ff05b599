"""Color: which colours each drawing function used.

The similarity of two colours is ``max(0, 1 - CIEDE2000 / 100)``. For two colour maps it is 1 if the
names are equal, and for a colour and a colour map it is 0. Within each function's colours the best
one-to-one matching counts. Source: ChartMimic's color evaluator in VLMEvalKit, which tries every
permutation; an optimal assignment has the same sum.

Formulas: sRGB to CIE XYZ (IEC 61966-2-1), XYZ to CIE L*a*b* (CIE 15), and CIEDE2000 as in Sharma,
Wu, Dalal, "The CIEDE2000 Color-Difference Formula" (2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rrvf.scorers.assignment import solve_assignment
from rrvf.scorers.matching import PERFECT, both_empty, f1_score
from rrvf.types import Color, Drawing, Mode, Score

MANY = 10
TOO_CLOSE = 0.7

Floats = NDArray[np.float64]

# The digits that the official scorer's colour library (colormath 3.0.0) carries.
_RGB_TO_XYZ = np.array(
    [
        [0.412424, 0.357579, 0.180464],
        [0.212656, 0.715158, 0.0721856],
        [0.0193324, 0.119193, 0.950444],
    ]
)
_D65 = np.array([0.95047, 1.0, 1.08883])
_EPSILON = 216.0 / 24389.0


def score_color(target: Drawing, drawing: Drawing, mode: Mode) -> Score:
    """F1 of the best matching of colours within each drawing function's group.

    With more than ten colours on a side, officially those closer than 0.7 to one already kept are
    dropped, in the order of a Python set, which is chance. Here the order is that of drawing.
    """
    reference = thin_colors(target.elements.colors)
    generated = thin_colors(drawing.elements.colors)
    pairs, missing_colors, extra_colors = match_colors(reference, generated)
    details: dict[str, Any] = {
        "pairs": pairs,
        "missing": [{"role": c.role, "value": c.value} for c in missing_colors],
        "extra": [{"role": c.role, "value": c.value} for c in extra_colors],
    }
    if both_empty(mode, len(generated), len(reference)):
        return Score(1.0, PERFECT | details)
    total = sum(pair["similarity"] for pair in pairs)
    return f1_score(total, len(generated), len(reference), details)


def match_colors(
    reference: Sequence[Color], generated: Sequence[Color]
) -> tuple[list[dict[str, Any]], list[Color], list[Color]]:
    """The best one-to-one matching, function by function.

    Returns:
        Pairs (role, reference, rendering, similarity), and the colours of either side that are
        left without a partner.
    """
    reference_groups, generated_groups = _group_by_role(reference), _group_by_role(generated)
    pairs: list[dict[str, Any]] = []
    missing_colors: list[Color] = []
    extra_colors: list[Color] = []
    for role in reference_groups | generated_groups:
        role_pairs, reference_rest, generated_rest = _match_role(
            reference_groups.get(role, []), generated_groups.get(role, [])
        )
        pairs += role_pairs
        missing_colors += reference_rest
        extra_colors += generated_rest
    return pairs, missing_colors, extra_colors


def _group_by_role(colors: Sequence[Color]) -> dict[str, list[Color]]:
    groups: dict[str, list[Color]] = {}
    for color in colors:
        groups.setdefault(color.role, []).append(color)
    return groups


def _match_role(
    reference: Sequence[Color], generated: Sequence[Color]
) -> tuple[list[dict[str, Any]], Sequence[Color], Sequence[Color]]:
    """As :func:`match_colors`, for the colours of one function."""
    if not reference or not generated:
        return [], reference, generated
    table = similarities([c.value for c in reference], [c.value for c in generated])
    rows, columns = solve_assignment(table, maximize=True)
    pairs: list[dict[str, Any]] = [
        {
            "role": reference[row].role,
            "reference": reference[row].value,
            "rendering": generated[column].value,
            "similarity": float(table[row, column]),
        }
        for row, column in zip(rows, columns, strict=True)
    ]
    return pairs, _drop_places(reference, rows), _drop_places(generated, columns)


def _drop_places(colors: Sequence[Color], places: Sequence[int]) -> list[Color]:
    is_free = np.ones(len(colors), dtype=bool)
    is_free[places] = False
    return [color for color, stays in zip(colors, is_free, strict=True) if stays]


def thin_colors(colors: Sequence[Color]) -> list[Color]:
    """Up to ten colours as they are; of more, those not too close to one kept before."""
    if len(colors) <= MANY:
        return list(colors)
    hex_places = [i for i, color in enumerate(colors) if is_hex(color.value)]
    names: dict[str, int] = {}
    for i, color in enumerate(colors):
        if not is_hex(color.value):
            names.setdefault(color.value, i)
    places = [*names.values()]
    if hex_places:
        places += [hex_places[i] for i in _find_apart(lab([colors[i].value for i in hex_places]))]
    return [colors[i] for i in sorted(places)]


def _find_apart(points: Floats) -> list[int]:
    """Places of the points that are not too close to one kept before."""
    places: list[int] = []
    rest = np.arange(len(points))
    while rest.size:
        first = int(rest[0])
        places.append(first)
        distances = ciede2000(points[rest], points[first : first + 1])
        far = np.maximum(0.0, 1.0 - distances / 100.0) <= TOO_CLOSE
        rest = rest[far & (rest != first)]
    return places


def is_hex(value: str) -> bool:
    """Whether a value is a colour; anything else is the name of a colour map."""
    return value.startswith("#")


def similarities(first: Sequence[str], second: Sequence[str]) -> Floats:
    """Similarity of every value of ``first`` (rows) with every value of ``second`` (columns).

    Values are ``#RRGGBB`` or names of colour maps.
    """
    table = np.zeros((len(first), len(second)))
    hex_rows = [i for i, value in enumerate(first) if is_hex(value)]
    hex_columns = [j for j, value in enumerate(second) if is_hex(value)]
    if hex_rows and hex_columns:
        rows = lab([first[i] for i in hex_rows])
        columns = lab([second[j] for j in hex_columns])
        distance = ciede2000(rows[:, None, :], columns[None, :, :])
        table[np.ix_(hex_rows, hex_columns)] = np.maximum(0.0, 1.0 - distance / 100.0)
    for i, value in enumerate(first):
        for j, other in enumerate(second):
            if not is_hex(value) and value == other:
                table[i, j] = 1.0
    return table


def lab(colors: Sequence[str]) -> Floats:
    """CIE L*a*b* (D65, 2 degrees) of ``#RRGGBB`` strings; shape (n, 3)."""
    rgb = [[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors]
    return lab_of_rgb(np.array(rgb))


def lab_of_rgb(colors: NDArray[Any]) -> Floats:
    """CIE L*a*b* (D65, 2 degrees) of sRGB channels in 0..255; shape (n, 3)."""
    rgb = colors / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    scaled = linear @ _RGB_TO_XYZ.T / _D65
    root = np.where(scaled > _EPSILON, np.cbrt(scaled), 7.787 * scaled + 16.0 / 116.0)
    x, y, z = root[:, 0], root[:, 1], root[:, 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=1)


def ciede2000(first: Floats, second: Floats) -> Floats:
    """Colour difference of L*a*b* arrays of shape (..., 3), which broadcast; all weights 1."""
    lightness_1, a_1, b_1 = np.moveaxis(first, -1, 0)
    lightness_2, a_2, b_2 = np.moveaxis(second, -1, 0)
    mean_chroma = (np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    chroma_1, hue_1 = _chroma_and_hue((1 + g) * a_1, b_1)
    chroma_2, hue_2 = _chroma_and_hue((1 + g) * a_2, b_2)

    lightness = (lightness_1 + lightness_2) / 2
    chroma = (chroma_1 + chroma_2) / 2
    turn = hue_2 - hue_1
    apart = np.abs(turn) > 180
    turn = np.where(apart, turn - 360 * np.sign(turn), turn)
    # Sharma et al. subtract a turn where the sum is above 360; colormath, whose figures are the
    # official ones, never does, which moves the rotation term in the fourth digit.
    hue = (hue_1 + hue_2 + 360 * apart) / 2

    t = (
        1
        - 0.17 * _cos(hue - 30)
        + 0.24 * _cos(2 * hue)
        + 0.32 * _cos(3 * hue + 6)
        - 0.20 * _cos(4 * hue - 63)
    )
    s_lightness = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)
    s_chroma = 1 + 0.045 * chroma
    s_hue = 1 + 0.015 * chroma * t
    rotation = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    r_chroma = 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))

    by_lightness = (lightness_2 - lightness_1) / s_lightness
    by_chroma = (chroma_2 - chroma_1) / s_chroma
    by_hue = 2 * np.sqrt(chroma_1 * chroma_2) * np.sin(np.radians(turn / 2)) / s_hue
    twist = -np.sin(np.radians(2 * rotation)) * r_chroma * by_chroma * by_hue
    return np.sqrt(np.maximum(0.0, by_lightness**2 + by_chroma**2 + by_hue**2 + twist))


def _chroma_and_hue(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360


def _cos(degrees: Floats) -> Floats:
    return np.cos(np.radians(degrees))
