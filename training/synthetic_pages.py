"""Synthetic web pages: one HTML file generated from a seed, at five levels of difficulty.

The same seed and level give the same file, byte for byte, on any machine. Pages need no other
file. Their pictures are named ``rick.jpg``, as in WebSight; the page renderer replaces them by an
even grey. The levels:

1. A header and one block of text.
2. A menu, and one more block.
3. Two or three blocks: cards, pictures, lists, figures; a footer.
4. Three or four blocks: a table, a form, quotes among them.
5. A menu at the side or on top, and five or six blocks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rrvf.types import Sample
from training.synthetic_charts import LEVELS
from training.synthetic_words import (
    BRAND_FIRST,
    BRAND_SECOND,
    BUTTONS,
    CARD_TITLES,
    FIELDS,
    HEADLINES,
    MENU,
    PEOPLE,
    SENTENCES,
    STATISTICS,
    TABLE_COLUMNS,
    TABLE_ROWS,
)

_FONTS = (
    *("Arial, sans-serif", "Georgia, serif", "Verdana, sans-serif", "'Times New Roman', serif"),
    *("'Trebuchet MS', sans-serif", "'Courier New', monospace"),
)


@dataclass(frozen=True, slots=True)
class _Theme:
    """Colours: of the page, a card on it, text, quiet text, and what stands out."""

    page: str
    card: str
    text: str
    quiet: str
    accent: str
    dark: str


_THEMES = (
    _Theme("#ffffff", "#f3f4f6", "#1f2937", "#6b7280", "#2563eb", "#111827"),
    _Theme("#fdf6ec", "#ffffff", "#3b2f2f", "#8a7968", "#c2410c", "#5b3a29"),
    _Theme("#f0fdf4", "#ffffff", "#14532d", "#4d7c5f", "#16a34a", "#14532d"),
    _Theme("#0f172a", "#1e293b", "#e2e8f0", "#94a3b8", "#38bdf8", "#020617"),
    _Theme("#fdf2f8", "#ffffff", "#500724", "#9d6b84", "#db2777", "#831843"),
    _Theme("#f5f3ff", "#ffffff", "#2e1065", "#7c6f9b", "#7c3aed", "#4c1d95"),
    _Theme("#fffbeb", "#fef3c7", "#451a03", "#92733f", "#d97706", "#78350f"),
    _Theme("#ecfeff", "#ffffff", "#164e63", "#5f8a96", "#0891b2", "#155e75"),
)

_N_BLOCKS: Mapping[int, tuple[int, int]] = {1: (1, 1), 2: (2, 2), 3: (2, 3), 4: (3, 4), 5: (5, 6)}


def synthetic_page(seed: int, level: int) -> Sample:
    """A web page.

    Args:
        seed: Any whole number.
        level: 1 to 5.

    Returns:
        The id is ``page-<level>-<seed>``, the reference the HTML. Tags: ``category``, the blocks
        in their order, and ``level``.

    Raises:
        ValueError: There is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level} is none of {LEVELS}")
    rng = random.Random(f"page:{level}:{seed}")
    brand = rng.choice(BRAND_FIRST) + rng.choice(BRAND_SECOND)
    site = _Site(rng, level, rng.choice(_THEMES), rng.choice(_FONTS), brand)
    names = _choose_blocks(site)
    blocks = [line for name in names for line in _BLOCKS[name](site)]
    body = _wrap_blocks(site, blocks)
    tags = {"category": " ".join(names), "level": str(level)}
    return Sample(f"page-{level}-{seed}", _document(site, body), tags=tags)


@dataclass
class _Site:
    """A page being written: its style, and the rules that its blocks need."""

    rng: random.Random
    level: int
    theme: _Theme
    font: str
    brand: str
    rules: dict[str, str] = field(default_factory=dict[str, str])

    def rule(self, selector: str, style: str) -> None:
        """A rule of the style sheet; the same selector is written once."""
        self.rules.setdefault(selector, style)

    def likely(self, chance: float) -> bool:
        """A coin."""
        return self.rng.random() < chance

    def prose(self, number: int) -> str:
        """Some sentences."""
        return " ".join(self.rng.sample(SENTENCES, number))

    def card_style(self) -> str:
        """How boxes look on this page."""
        radius = self.rng.choice((0, 4, 8, 14))
        padding = self.rng.choice((16, 20, 28))
        frame = f"border: 1px solid {self.theme.quiet}; " if self.likely(0.4) else ""
        ground = f"background: {self.theme.card}"
        return f"{frame}{ground}; border-radius: {radius}px; padding: {padding}px;"

    def button(self) -> str:
        """A link that looks like a button."""
        radius = self.rng.choice((0, 4, 20))
        self.rule(
            ".button",
            f"display: inline-block; background: {self.theme.accent}; color: #ffffff; "
            f"padding: 10px 22px; border-radius: {radius}px; text-decoration: none;",
        )
        return f'<a class="button" href="#">{self.rng.choice(BUTTONS)}</a>'


# ----------------------------------------------------------------------------------------- blocks


def _text(site: _Site) -> list[str]:
    align = site.rng.choice(("left", "center"))
    site.rule(".text", f"text-align: {align}; padding: 24px 0; max-width: 760px;")
    lines = ['<section class="text">', f"  <h2>{site.rng.choice(HEADLINES)}</h2>"]
    lines += [f"  <p>{site.prose(2)}</p>" for _ in range(1 if site.level < 3 else 2)]
    if site.likely(0.5):
        lines.append(f"  {site.button()}")
    return [*lines, "</section>"]


def _hero(site: _Site) -> list[str]:
    height = site.rng.choice((60, 80, 110))
    site.rule(
        ".hero",
        f"background: {site.theme.accent}; color: #ffffff; text-align: center; "
        f"padding: {height}px 30px;",
    )
    site.rule(".hero h2", f"font-size: {site.rng.choice((32, 40, 48))}px; margin: 0 0 12px;")
    site.rule(".hero .button", f"background: {site.theme.dark};")
    return [
        '<section class="hero">',
        f"  <h2>{site.rng.choice(HEADLINES)}</h2>",
        f"  <p>{site.prose(1)}</p>",
        f"  {site.button()}",
        "</section>",
    ]


def _cards(site: _Site) -> list[str]:
    number = site.rng.choice((2, 3) if site.level < 4 else (3, 4, 6))
    columns = 3 if number == 6 else number
    gap = site.rng.choice((16, 24))
    grid = f"display: grid; grid-template-columns: repeat({columns}, 1fr);"
    site.rule(".cards", f"{grid} gap: {gap}px; margin: 24px 0;")
    site.rule(".card", site.card_style())
    site.rule(".card h3", f"margin: 0 0 8px; color: {site.theme.accent};")
    picture = site.level > 2 and site.likely(0.4)
    lines = ['<section class="cards">']
    for title in site.rng.sample(CARD_TITLES, number):
        lines.append('  <div class="card">')
        if picture:
            site.rule(".card img", "width: 100%; height: 140px; display: block;")
            lines.append('    <img src="rick.jpg" alt="">')
        lines += [f"    <h3>{title}</h3>", f"    <p>{site.prose(1)}</p>", "  </div>"]
    return [*lines, "</section>"]


def _picture(site: _Site) -> list[str]:
    width, height = site.rng.choice(((320, 200), (400, 260), (280, 280)))
    side = site.rng.choice(("row", "row-reverse"))
    flex = f"display: flex; flex-direction: {side}; align-items: center;"
    site.rule(".picture", f"{flex} gap: 32px; margin: 24px 0;")
    return [
        '<section class="picture">',
        f'  <img src="rick.jpg" alt="" width="{width}" height="{height}">',
        "  <div>",
        f"    <h2>{site.rng.choice(HEADLINES)}</h2>",
        f"    <p>{site.prose(2)}</p>",
        "  </div>",
        "</section>",
    ]


def _list(site: _Site) -> list[str]:
    tag = site.rng.choice(("ul", "ol"))
    site.rule(".list li", "margin: 8px 0;")
    entries = site.rng.sample(CARD_TITLES, site.rng.randint(3, 6))
    lines = ['<section class="list">', f"  <h2>{site.rng.choice(HEADLINES)}</h2>", f"  <{tag}>"]
    return [*lines, *(f"    <li>{entry}</li>" for entry in entries), f"  </{tag}>", "</section>"]


def _statistics(site: _Site) -> list[str]:
    names = site.rng.sample(STATISTICS, site.rng.randint(3, 4))
    site.rule(".numbers", "display: flex; gap: 20px; margin: 24px 0;")
    site.rule(".number", f"flex: 1; text-align: center; {site.card_style()}")
    size = site.rng.choice((28, 34))
    site.rule(".number b", f"display: block; font-size: {size}px; color: {site.theme.accent};")
    site.rule(".number span", f"color: {site.theme.quiet};")
    numbers = [f"{site.rng.randint(1, 99)},{site.rng.randint(100, 999)}" for _ in names]
    boxes = [
        f'  <div class="number"><b>{number}</b><span>{name}</span></div>'
        for name, number in zip(names, numbers, strict=True)
    ]
    return ['<section class="numbers">', *boxes, "</section>"]


def _table(site: _Site) -> list[str]:
    columns = site.rng.sample(TABLE_COLUMNS, site.rng.randint(2, 4))
    rows = site.rng.sample(TABLE_ROWS, site.rng.randint(3, 6))
    site.rule("table", "width: 100%; border-collapse: collapse; margin: 24px 0;")
    line = f"border-bottom: 1px solid {site.theme.quiet};"
    site.rule("th, td", f"text-align: left; padding: 10px 14px; {line}")
    site.rule("th", f"background: {site.theme.dark}; color: #ffffff;")
    if site.likely(0.5):
        site.rule("tr:nth-child(even) td", f"background: {site.theme.card};")
    head = "".join(f"<th>{name}</th>" for name in ("Article", *columns))
    lines = ["<table>", f"  <tr>{head}</tr>"]
    for row in rows:
        cells = "".join(f"<td>{site.rng.randint(1, 400)}</td>" for _ in columns)
        lines.append(f"  <tr><td>{row}</td>{cells}</tr>")
    return [*lines, "</table>"]


def _form(site: _Site) -> list[str]:
    site.rule("form", f"max-width: {site.rng.choice((360, 460))}px; {site.card_style()}")
    site.rule("label", "display: block; margin: 12px 0 4px;")
    edge = f"border: 1px solid {site.theme.quiet}; border-radius: 4px;"
    site.rule("input", f"width: 100%; box-sizing: border-box; padding: 8px; {edge}")
    site.rule("form .button", "margin-top: 16px;")
    lines = ["<form>"]
    for name, kind, hint in site.rng.sample(FIELDS, site.rng.randint(2, 4)):
        field_ = f'<input type="{kind}" placeholder="{hint}">'
        lines.append(f"  <label>{name}</label>{field_}")
    return [*lines, f"  {site.button()}", "</form>"]


def _quotes(site: _Site) -> list[str]:
    number = site.rng.choice((1, 2))
    site.rule(".quotes", "display: flex; gap: 24px; margin: 24px 0;")
    edge = f"border-left: 4px solid {site.theme.accent};"
    site.rule("blockquote", f"flex: 1; margin: 0; padding: 12px 20px; {edge} font-style: italic;")
    site.rule("cite", f"display: block; margin-top: 8px; color: {site.theme.quiet};")
    quotes = [
        f"  <blockquote>{sentence}<cite>{person}</cite></blockquote>"
        for sentence, person in zip(
            site.rng.sample(SENTENCES, number), site.rng.sample(PEOPLE, number), strict=True
        )
    ]
    return ['<section class="quotes">', *quotes, "</section>"]


_BLOCKS: Mapping[str, Callable[[_Site], list[str]]] = {
    "text": _text,
    "hero": _hero,
    "cards": _cards,
    "picture": _picture,
    "list": _list,
    "statistics": _statistics,
    "table": _table,
    "form": _form,
    "quotes": _quotes,
}
_SIMPLE = ("text", "hero", "list")
_MEDIUM = ("cards", "picture", "statistics", "text", "list", "quotes")
_BY_LEVEL: Mapping[int, tuple[str, ...]] = {
    1: _SIMPLE,
    2: (*_SIMPLE, "cards", "picture"),
    3: ("hero", *_MEDIUM),
    4: ("table", "form", *_MEDIUM),
    5: ("table", "form", *_MEDIUM),
}


def _choose_blocks(site: _Site) -> list[str]:
    """Names of blocks, each once; what stands out comes first."""
    names = site.rng.sample(_BY_LEVEL[site.level], site.rng.randint(*_N_BLOCKS[site.level]))
    if site.level == 4 and not {"table", "form"} & set(names):
        names[-1] = site.rng.choice(("table", "form"))
    if site.level > 3 and site.likely(0.5):
        names.insert(0, "hero")
    return sorted(names, key=lambda name: name != "hero")


# ---------------------------------------------------------------------------------- around them


def _wrap_blocks(site: _Site, blocks: list[str]) -> list[str]:
    """Header, menu and footer around the blocks."""
    width = site.rng.choice((860, 960, 1100))
    site.rule("main", f"max-width: {width}px; margin: 0 auto; padding: 20px 30px;")
    main = ["<main>", *(f"  {line}" for line in blocks), "</main>"]
    if site.level == max(LEVELS) and site.likely(0.5):
        return [*_side_menu(site, main), *_footer(site)]
    footer = _footer(site) if site.level > 2 else []
    return [*_header(site), *main, *footer]


def _menu(site: _Site) -> list[str]:
    entries = site.rng.sample(MENU, site.rng.randint(3, 5))
    return [f'<a href="#">{entry}</a>' for entry in entries]


def _header(site: _Site) -> list[str]:
    dark = site.likely(0.6)
    ground, color = (site.theme.dark, "#ffffff") if dark else (site.theme.card, site.theme.text)
    bar = "display: flex; justify-content: space-between; align-items: center;"
    height = site.rng.choice((12, 18, 26))
    site.rule("header", f"{bar} background: {ground}; color: {color}; padding: {height}px 30px;")
    site.rule("header h1", f"margin: 0; font-size: {site.rng.choice((22, 26, 32))}px;")
    lines = ["<header>", f"  <h1>{site.brand}</h1>"]
    if site.level > 1:
        site.rule("nav a", f"color: {color}; margin-left: 22px; text-decoration: none;")
        lines += ["  <nav>", *(f"    {entry}" for entry in _menu(site)), "  </nav>"]
    return [*lines, "</header>"]


def _side_menu(site: _Site, main: list[str]) -> list[str]:
    site.rule(".columns", "display: flex;")
    width = site.rng.choice((180, 220))
    site.rule(
        "aside",
        f"width: {width}px; background: {site.theme.dark}; color: #ffffff; padding: 24px;",
    )
    site.rule("aside h1", "font-size: 22px; margin: 0 0 20px;")
    site.rule("aside a", "display: block; color: #ffffff; padding: 8px 0; text-decoration: none;")
    site.rule(".columns main", "flex: 1;")
    aside = [
        "<aside>",
        f"  <h1>{site.brand}</h1>",
        *(f"  {entry}" for entry in _menu(site)),
        "</aside>",
    ]
    return ['<div class="columns">', *(f"  {line}" for line in [*aside, *main]), "</div>"]


def _footer(site: _Site) -> list[str]:
    site.rule(
        "footer",
        f"background: {site.theme.dark}; color: #ffffff; text-align: center; "
        f"padding: {site.rng.choice((16, 28))}px;",
    )
    line = f"{site.brand} - {site.rng.choice(SENTENCES)}"
    return ["<footer>", f"  <p>{line}</p>", "</footer>"]


def _document(site: _Site, body: list[str]) -> str:
    theme = site.theme
    base = f"margin: 0; font-family: {site.font}; background: {theme.page}; color: {theme.text};"
    rules = {"body": f"{base} line-height: 1.5;", **site.rules}
    lines = [
        *("<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">'),
        f"<title>{site.brand}</title>",
        "<style>",
        *(f"  {selector} {{ {style} }}" for selector, style in rules.items()),
        *("</style>", "</head>", "<body>", *body, "</body>", "</html>"),
    ]
    return "\n".join(lines) + "\n"
