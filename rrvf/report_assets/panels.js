// The scores of an item: a bar and what stands behind it, for charts and for web pages. As in
// report.js, strings reach the page as text nodes only. `tools` are the building blocks.
"use strict";
const makePanels = (tools) => {
  const { DASH, h, svg, isNumber, isObject, asList, asObject, asText, percent, plural, label } = tools;
  const { isolate, countBy, factTable, highlighted, MAX_HIGHLIGHT } = tools;
  const FIRST_CHIPS = 40;
  const FIRST_BLOCKS = 8;
  const FIRST_PAIRS = 5;
  const ALIKE = 0.9995; // shown as 100.0
  const MAX_GRID = 24;

  const rounded = (value) => (isNumber(value) && !Number.isInteger(value)
    ? Number(value.toPrecision(4)) : value);
  const otherMode = (mode) => ({ official: "fixed", fixed: "official" })[mode] ?? "other mode";
  const remarksIn = (score) => ["reference", "rendering"].flatMap((side) =>
    asList(asObject(score.remarks)[side]).map((remark) => [side, asText(remark)]));

  // --- one score of an item -----------------------------------------------------------------

  const DETAILS = {
    text: [textDetails, ["matched", "missing", "extra"]],
    layout: [layoutDetails, ["reference", "rendering"]],
    type: [typeDetails, ["reference", "rendering"]],
    color: [colorDetails, ["pairs", "missing", "extra"]],
  };
  const PAIRS = ["n_matched", "pairs"];
  // Scorers of web pages; two share their names with those of charts.
  const PAGE_DETAILS = {
    clip: [clipDetails, ["cosine", "failure"]],
    clip_design2code: [clipDetails, ["cosine", "failure"]],
    block_match: [blockDetails, ["n_matched", "n_missing", "n_extra", "missing", "extra",
      "matched_area", "missing_area", "extra_area", "remarks"]],
    text: [pairedTexts, PAIRS],
    position: [pairedPlaces, PAIRS],
    color: [pairedColors, PAIRS],
  };
  const COMMON = ["value", "reason", "precision", "recall", "f1"];

  // Told apart by their form: a page's pairs hold texts.
  function detailsOf(name, score) {
    const charts = Object.hasOwn(DETAILS, name) ? DETAILS[name] : null;
    const isOfPage = isNumber(score.n_matched) ||
      asList(score.pairs).some((pair) => isObject(asObject(pair).reference));
    if (Object.hasOwn(PAGE_DETAILS, name) && (isOfPage || !charts)) return PAGE_DETAILS[name];
    return charts ?? [() => [], []];
  }

  function panel(run, item, name) {
    const score = item.scores[name];
    const [details, used] = detailsOf(name, score);
    const rest = Object.entries(score)
      .filter(([key]) => !COMMON.includes(key) && !used.includes(key))
      .map(([key, value]) => [key, rounded(value)]);
    const other = Object.hasOwn(item.other, name) ? item.other[name] : null;
    return h("section", { class: "panel", "data-scorer": name },
      h("h4", {}, isolate(label(name)), " ",
        h("span", { class: "value" }, percent(isNumber(score.value) ? score.value : null))),
      bar(score.value, other),
      !isNumber(score.value) && h("p", { class: "reason" }, "Not scored: ",
        isolate(score.reason ?? "no reason on file")),
      other !== null && modesLine(run, score, other),
      h("div", { class: "details" }, item.status === "ok" && precisionLine(score), details(score),
        rest.length > 0 && factTable(Object.fromEntries(rest))));
  }

  function bar(value, other) {
    if (!isNumber(value)) return h("div", { class: "bar unscored", "aria-hidden": "true" });
    const inside = h("i");
    inside.style.width = `${100 * Math.max(0, Math.min(1, value))}%`;
    const mark = isNumber(other) && h("b");
    if (mark) mark.style.left = `${100 * Math.max(0, Math.min(1, other))}%`;
    return h("div", { class: "bar", "aria-hidden": "true" }, inside, mark);
  }

  function modesLine(run, score, other) {
    const own = run.mode === "official" || run.mode === "fixed" ? run.mode : "this mode";
    return h("p", { class: "modes" }, `≠ ${own} `, h("b", {}, percent(score.value)),
      ` · ${otherMode(run.mode)} `, h("b", {}, percent(other)));
  }

  function precisionLine(score) {
    if (!isNumber(score.precision) || !isNumber(score.recall)) return null;
    return h("p", { class: "muted small" },
      `precision ${percent(score.precision)} · recall ${percent(score.recall)}`);
  }

  function textDetails(score) {
    return [chips("missing", "Missing", "−", score.missing),
      chips("extra", "Extra", "+", score.extra), chips("matched", "Matched", "", score.matched)];
  }

  function chips(kind, title, sign, values, first = FIRST_CHIPS) {
    const counts = [...countBy(asList(values).map(asText))];
    if (!counts.length) return null;
    const chip = ([text, count]) => h("li", { class: `chip ${kind}` },
      sign && h("span", { "aria-hidden": "true" }, `${sign} `),
      text === "" ? h("em", {}, "empty") : isolate(text),
      count > 1 && h("span", { class: "muted" }, ` ×${count}`));
    const list = h("ul", { class: "chips" }, counts.slice(0, first).map(chip));
    const rest = counts.slice(first);
    if (rest.length) {
      const entry = h("li", {}, moreButton(`${rest.length} more`, () => {
        entry.remove();
        list.append(...rest.map(chip));
      }));
      list.append(entry);
    }
    return h("div", { class: "group" }, h("h5", {}, `${title} ${asList(values).length}`), list);
  }

  function moreButton(text, show) {
    const button = h("button", { type: "button", class: "button small" }, text);
    button.addEventListener("click", show);
    return button;
  }

  function typeDetails(score) {
    const [reference, rendering] = [asObject(score.reference), asObject(score.rendering)];
    const names = [...new Set([...Object.keys(reference), ...Object.keys(rendering)])];
    if (!names.length) return null;
    const count = (side, name) => (Object.hasOwn(side, name) ? asText(side[name]) : "0");
    const rows = names.map((name) => {
      const [left, right] = [count(reference, name), count(rendering, name)];
      const differs = left !== right;
      return h("tr", { class: differs && "differs" }, h("th", { scope: "row" }, isolate(name)),
        h("td", {}, left), h("td", {}, right), h("td", {}, differs ? "≠" : ""));
    });
    return h("table", { class: "types" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Type"),
        h("th", { scope: "col" }, "Ref."), h("th", { scope: "col" }, "Rend."), h("td"))),
      h("tbody", {}, rows));
  }

  // A colour is shown as a swatch only if it is #RRGGBB; anything else is a colormap's name.
  function swatch(value) {
    const text = asText(value);
    if (!/^#[0-9a-f]{6}$/i.test(text)) {
      return h("span", { class: "color" }, h("i", { class: "swatch map" }), isolate(text));
    }
    const patch = h("i", { class: "swatch" });
    patch.style.backgroundColor = text;
    return h("span", { class: "color" }, patch, h("code", {}, text));
  }

  function colorDetails(score) {
    const pairs = asList(score.pairs).map(asObject).map((pair) => h("tr", {},
      h("td", {}, isolate(pair.role)), h("td", {}, swatch(pair.reference)),
      h("td", {}, swatch(pair.rendering)),
      h("td", { class: pair.similarity === 1 && "muted" }, percent(pair.similarity))));
    const lone = (values, title) => asList(values).map(asObject).map((color) => h("tr", {},
      h("td", {}, isolate(color.role)),
      title === "missing" ? h("td", {}, swatch(color.value)) : h("td", { class: "muted" }, DASH),
      title === "extra" ? h("td", {}, swatch(color.value)) : h("td", { class: "muted" }, DASH),
      h("td", { class: `lone ${title}` }, title === "missing" ? "− missing" : "+ extra")));
    const rows = [...pairs, ...lone(score.missing, "missing"), ...lone(score.extra, "extra")];
    if (!rows.length) return null;
    const heads = ["Part", "Reference", "Rendering", "Similarity"];
    return h("table", { class: "colors" },
      h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows));
  }

  function layoutDetails(score) {
    const [reference, rendering] = [asList(score.reference), asList(score.rendering)];
    if (!Array.isArray(score.reference) && !Array.isArray(score.rendering)) return null;
    return h("div", { class: "layouts" },
      layoutSide("Reference", reference, rendering), layoutSide("Rendering", rendering, reference));
  }

  function layoutSide(title, cells, others) {
    const available = countBy(others.map(String));
    const grids = new Map();
    for (const cell of cells.filter((entry) => asList(entry).length === 6)) {
      const shape = `${cell[0]} × ${cell[1]}`;
      const left = available.get(String(cell)) ?? 0;
      available.set(String(cell), left - 1);
      grids.set(shape, [...(grids.get(shape) ?? []), { cell, matched: left > 0 }]);
    }
    const drawn = [...grids].map(([shape, entries]) => h("div", { class: "grid" },
      gridPicture(entries), h("span", { class: "muted small" },
        entries.length > 1 ? `${shape} grid, ${entries.length} axes` : `${shape} grid`)));
    return h("div", {}, h("h5", {}, title),
      drawn.length ? drawn : h("p", { class: "muted small" }, "no axes in a grid"));
  }

  function gridPicture(entries) {
    const [rows, columns] = entries[0].cell;
    const whole = (value, most) => Number.isInteger(value) && value >= 0 && value < most;
    if (!whole(rows - 1, MAX_GRID) || !whole(columns - 1, MAX_GRID)) return null;
    const [w, g] = [Math.min(30, 120 / columns), 2];
    const t = Math.min(22, 88 / rows);
    const rect = (kind, r0, r1, c0, c1) => svg("rect", { class: kind, x: c0 * w + g / 2,
      y: r0 * t + g / 2, width: (c1 - c0 + 1) * w - g, height: (r1 - r0 + 1) * t - g, rx: 1.5 });
    const empty = Array.from({ length: rows * columns }, (_, index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      return rect("cell", row, row, column, column);
    });
    const inside = entries.filter(({ cell: [, , r0, r1, c0, c1] }) =>
      whole(r0, rows) && whole(r1, rows) && whole(c0, columns) && whole(c1, columns) &&
      r0 <= r1 && c0 <= c1);
    const axes = inside.map(({ cell: [, , r0, r1, c0, c1], matched }) =>
      rect(matched ? "axes" : "axes unmatched", r0, r1, c0, c1));
    return svg("svg", { width: columns * w, height: rows * t, role: "img", "aria-label":
      `${entries.filter(({ matched }) => matched).length} of ${entries.length} axes matched` },
    empty, axes, twins(inside, w, t));
  }

  // Axes on the same cell, as twins are: one figure says how many.
  function twins(entries, w, t) {
    return [...countBy(entries.map(({ cell }) => cell.join()))].filter(([, count]) => count > 1)
      .map(([key, count]) => {
        const [, , r0, r1, c0, c1] = key.split(",").map(Number);
        return svg("text", { x: ((c0 + c1 + 1) / 2) * w, y: ((r0 + r1 + 1) / 2) * t + 3.5,
          "text-anchor": "middle" }, `×${count}`);
      });
  }

  // --- one score of a web page --------------------------------------------------------------

  function clipDetails(score) {
    const black = score.failure === "black";
    return [
      isNumber(score.cosine) &&
        h("p", { class: "muted small" }, `cosine ${score.cosine.toFixed(4)}`),
      score.failure !== undefined && h("p", { class: "muted small" },
        black ? "counted as a black picture" : "counted as 0"),
    ];
  }

  function blockDetails(score) {
    const kinds = ["matched", "missing", "extra"];
    if (!kinds.every((kind) => isNumber(score[`n_${kind}`]))) return null;
    const areas = kinds.map((kind) => score[`${kind}_area`]);
    const all = areas.every(isNumber) ? areas.reduce((a, b) => a + b, 0) : 0;
    const shares = kinds.map((kind, index) => `${kind} ${percent(areas[index] / all)} %`);
    const group = (kind, title, sign) => {
      const more = score[`n_${kind}`] > asList(score[kind]).length;
      return chips(kind, more ? `${title} ${score[`n_${kind}`]}, the largest` : title, sign,
        score[kind], FIRST_BLOCKS);
    };
    return [
      h("p", { class: "muted small" }, `${plural(score.n_matched, "text block")} matched`),
      score.value > 0 && score.value < 1 && all > 0 &&
        h("p", { class: "muted small" }, `by area: ${shares.join(", ")}`),
      group("missing", "Missing", "−"), group("extra", "Extra", "+"),
      remarksIn(score).map(([side, remark]) => h("p", { class: "small remark" },
        h("b", {}, `≠ ${side}: `), isolate(remark))),
    ];
  }

  function pairedTexts(score) {
    return pairTable(score, ["Reference", "Rendering"], (reference, rendering) =>
      marked(asText(reference.text), asText(rendering.text))
        .map((parts) => h("td", {}, h("bdi", {}, parts))));
  }

  function pairedColors(score) {
    return pairTable(score, ["Text", "Ref.", "Rend."], (reference, rendering) =>
      [nameCell(reference), h("td", {}, swatch(reference.color)),
        h("td", {}, swatch(rendering.color))]);
  }

  function pairedPlaces(score) {
    return pairTable(score, ["Text", "Moved by"], (reference, rendering) =>
      [nameCell(reference), h("td", { class: "moved" },
        moved(reference.center, rendering.center))]);
  }

  const nameCell = (block) => h("td", {}, h("bdi", { class: "name" }, asText(block.text)));

  // The pairs come least alike first: what is alike is there on demand.
  function pairTable(score, heads, cells) {
    if (!Array.isArray(score.pairs)) return null;
    const pairs = score.pairs.map(asObject);
    const total = isNumber(score.n_matched) ? score.n_matched : pairs.length;
    if (!pairs.length) return h("p", { class: "muted small" }, "no matched texts");
    const row = (pair) => h("tr", {}, cells(asObject(pair.reference), asObject(pair.rendering)),
      h("td", { class: pair.similarity >= ALIKE && "muted" }, percent(pair.similarity)));
    const unlike = pairs.filter(({ similarity }) => !(similarity >= ALIKE)).length;
    const first = Math.min(unlike, FIRST_PAIRS);
    const body = h("tbody", {}, pairs.slice(0, first).map(row));
    const table = h("table", { class: "pairs", hidden: first === 0 }, h("thead", {}, h("tr", {},
      [...heads, "Similarity"].map((text) => h("th", { scope: "col" }, text)))), body);
    const rest = pairs.slice(first);
    const more = rest.length > 0 && moreButton(first ? `${rest.length} more` : "Show them", () => {
      more.remove();
      table.hidden = false;
      body.append(...rest.map(row));
    });
    const how = pairs.length < total ? `the ${pairs.length} least alike here`
      : unlike ? `${unlike} not the same` : "all the same";
    return h("div", { class: "group" }, h("h5", {}, `${total} matched, ${how}`), table, more);
  }

  // What stands between the common beginning and the common end of two texts is marked in both.
  function marked(left, right) {
    const [a, b] = [[...left], [...right]];
    const most = Math.min(a.length, b.length);
    let start = 0;
    while (start < most && a[start] === b[start]) start += 1;
    let end = 0;
    while (end < most - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
    return [a, b].map((text) => [text.slice(0, start).join(""),
      h("mark", {}, text.slice(start, text.length - end).join("")),
      text.slice(text.length - end).join("")]);
  }

  // In percent of the page's width and height.
  function moved(from, to) {
    const shift = [0, 1].map((axis) => 100 * (asList(to)[axis] - asList(from)[axis]));
    if (!shift.every(isNumber)) return DASH;
    const parts = shift.map((value, axis) => {
      const arrow = ["←→", "↑↓"][axis][value > 0 ? 1 : 0];
      return Math.abs(value) < 0.05 ? "" : `${arrow} ${Math.abs(value).toFixed(1)} %`;
    });
    return parts.filter(Boolean).join(" ") || "in place";
  }

  // --- code ---------------------------------------------------------------------------------

  function codeBlock(title, text, isCode) {
    const isPython = isCode && !/^\s*</.test(text);
    const block = h("details", { class: "code" },
      h("summary", {}, title, h("span", { class: "muted small" },
        ` ${plural(text.split("\n").length, "line")}`)));
    block.addEventListener("toggle", () => {
      if (block.open && !block.querySelector("pre")) block.append(h("pre", {}, h("code", {},
        isPython && text.length <= MAX_HIGHLIGHT ? highlighted(text) : text)));
    });
    return block;
  }

  return { panel, bar, remarksIn, codeBlock };
};
