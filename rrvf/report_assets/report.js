// Everything shown here comes from a stranger's model. Strings reach the page as text nodes or as
// attributes whose names stand in this file; nothing is ever parsed as HTML, CSS or code.
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const {
    DASH, MAX_HIGHLIGHT, h, svg, byId, isNumber, isObject, asList, asObject, asText, percent,
    plural, label, statusLabel, statusTitle, isolate, countBy, scoreOf, hasAverage, inPanelOrder,
    episodes, factTable, pictures, showDifference, isComparable, highlighted,
  } = makeBlocks(DATA);
  const FIRST_CHIPS = 40;
  const FIRST_BLOCKS = 8;
  const FIRST_PAIRS = 5;
  const ALIKE = 0.9995; // shown as 100.0
  const MAX_GRID = 24;
  const collator = new Intl.Collator("en", { numeric: true });

  const scorersOf = (run) =>
    inPanelOrder([...new Set(run.items.flatMap((item) => Object.keys(item.scores)))], ["average"]);

  const modesDiffer = (item) => Object.keys(item.other).length > 0 || remarksOf(item).length > 0;
  // Pages: where the official rules see other texts than a reader.
  const remarksOf = (item) => remarksIn(asObject(item.scores.block_match));
  const differLabel = (item) => remarksOf(item).length ? "≠ known accident" : "≠ modes differ";
  const remarksIn = (score) => ["reference", "rendering"].flatMap((side) =>
    asList(asObject(score.remarks)[side]).map((remark) => [side, asText(remark)]));
  const isUnscored = (item) =>
    Object.values(item.scores).some((score) => !isNumber(score.value));
  const otherMode = (mode) => ({ official: "fixed", fixed: "official" })[mode] ?? "other mode";

  const runButtons = new Map();

  // --- the tables and the run card -----------------------------------------------------------

  function renderTables() {
    byId("metrics").replaceChildren(...DATA.tables.map((table, index) =>
      h("div", { class: "scroller" }, resultTable(table, index))));
  }

  function resultTable({ title, columns }, place) {
    const several = DATA.runs.length > 1;
    const head = h("tr", {}, several && h("th", { scope: "col" }, "Run"),
      columns.map((key) => h("th", { scope: "col" }, isolate(label(key)))));
    const rows = DATA.runs.filter(({ table }) => table === place).map((run) => {
      const name = h("button", { type: "button", class: "run-name" }, isolate(run.name));
      name.addEventListener("click", () => selectRun(run));
      runButtons.set(run, name);
      return h("tr", {}, several && h("th", { scope: "row" }, name),
        columns.map((key) => metricCell(run, key)));
    });
    return h("table", { class: several ? "metrics" : "metrics single" },
      h("caption", { class: DATA.tables.length === 1 && "hidden" }, isolate(title)),
      h("thead", {}, head), h("tbody", {}, rows));
  }

  function metricCell(run, key) {
    const value = run.metrics[key];
    const text = label(key);
    if (isNumber(value)) return h("td", { "data-label": text }, value.toFixed(2));
    return h("td", { class: "null", "data-label": text }, h("abbr", { title: run.why[key] }, DASH));
  }

  function renderNotes(run) {
    const notes = whyNotes(run);
    const unscored = Object.entries(run.n_unscored).filter(([, count]) => count);
    if (unscored.length) {
      const listed = unscored.map(([scorer, count]) => `${label(scorer)} ${count}`).join(", ");
      notes.push(`Not scored, and in no mean: ${listed}.`);
    }
    byId("table-notes").replaceChildren(
      ...run.notes.map((note) => h("li", { class: "warning" }, note)),
      ...DATA.notes.map((note) => h("li", { class: "warning" }, note)),
      ...run.repeats.map((line) => h("li", {}, line)),
      ...notes.map((note) => h("li", {}, note)));
  }

  function whyNotes(run) {
    const reasons = DATA.tables[run.table].columns.filter((key) => Object.hasOwn(run.why, key))
      .map((key) => `${label(key)} (${run.why[key]})`);
    return run.has_summary && reasons.length ? [`${DASH} not measured: ${reasons.join(", ")}.`] : [];
  }

  function renderCard(run) {
    const facts = [
      typeof run.mode === "string" && `${run.mode} mode`,
      run.confinement !== null && `confinement: ${run.confinement}`,
    ].filter(Boolean);
    const card = byId("run-card");
    card.hidden = !run.has_summary;
    card.querySelector("summary").replaceChildren(
      h("b", {}, "Run card"), " ", h("span", { class: "muted" }, facts.join(" · ")));
    card.querySelector("div").replaceChildren(
      ...[["Protocol", run.protocol], ["Environment", run.environment]]
        .filter(([, value]) => Object.keys(value).length)
        .map(([title, value]) => h("section", {}, h("h3", {}, title), factTable(value))));
  }

  // --- distributions ------------------------------------------------------------------------

  function inOrder(counts) {
    const known = DATA.statuses.filter((status) => counts.has(status));
    return [...known, ...[...counts.keys()].filter((status) => !known.includes(status))];
  }

  function renderStatuses(run) {
    const counts = countBy(run.items.map((item) => item.status));
    const order = inOrder(counts);
    const segments = order.map((status) => {
      const segment = h("span", { class: "segment", "data-status": status });
      segment.style.flexGrow = counts.get(status);
      return segment;
    });
    const legend = order.map((status) => h("li", { title: statusTitle(status) },
      h("i", { class: "dot", "data-status": status }), isolate(statusLabel(status)),
      " ", h("b", {}, counts.get(status)), " ",
      h("span", { class: "muted" }, `${percent(counts.get(status) / run.items.length)} %`)));
    byId("statuses").replaceChildren(
      h("div", { class: "status-bar", "aria-hidden": "true" }, segments),
      h("ul", { class: "legend" }, legend));
  }

  function renderHistograms(run) {
    byId("distributions").hidden = run.items.length === 0;
    const scorers = scorersOf(run);
    showPlots(byId("histograms"), scorers.map((scorer) => histogram(scorer, run.items)));
    byId("histogram-note").textContent =
      "Number of items by score, 0 to 100. Grey: items whose code did not work. " +
      "The line marks the mean over the scored items" + (hasAverage(scorers)
        ? "; Average is the mean of an item's Text, Layout, Type and Color." : ".");
  }

  // Cards keep a size at which their figures read well, however few they are.
  function showPlots(box, plots) {
    box.style.setProperty("--count", plots.length);
    box.replaceChildren(...plots);
  }

  function renderByTurn(run) {
    const { counts, plots, note } = episodes.figure(run);
    byId("by-turn").hidden = run.episodes === null;
    byId("by-turn-counts").replaceChildren(isolate(counts));
    showPlots(byId("by-turn-plots"), plots);
    byId("by-turn-note").textContent = plots.length ? note : "";
  }

  function histogram(scorer, items) {
    const bins = Array.from({ length: 10 }, () => ({ ran: 0, failed: 0 }));
    const scored = items.filter((item) => scoreOf(item, scorer) !== null);
    let sum = 0;
    for (const item of scored) {
      const value = scoreOf(item, scorer);
      sum += value;
      const bin = bins[Math.max(0, Math.min(9, Math.floor(value * 10 + 1e-9)))];
      bin[item.status === "ok" ? "ran" : "failed"] += 1;
    }
    const mean = scored.length ? sum / scored.length : null;
    const unscored = items.length - scored.length;
    return h("figure", { class: "histogram" },
      h("figcaption", {}, h("b", {}, label(scorer)), " ",
        h("span", { class: "mean", title: `mean of ${plural(scored.length, "item")}` },
          percent(mean)),
        unscored > 0 && h("span", { class: "muted small" }, `${unscored} not scored`)),
      histogramPlot(label(scorer), bins, mean));
  }

  function histogramPlot(name, bins, mean) {
    const [width, height, base] = [200, 92, 76];
    const most = Math.max(1, ...bins.map((bin) => bin.ran + bin.failed));
    const bars = bins.flatMap((bin, index) => {
      const x = index * 20 + 1.5;
      const [failed, ran] = [bin.failed, bin.ran].map((count) => ((base - 4) * count) / most);
      const title = () => svg("title", {}, `${index * 10} to ${index * 10 + 10}: ` +
        `${plural(bin.ran + bin.failed, "item")}, ${bin.failed} whose code did not work`);
      return [
        failed > 0 && svg("rect", { class: "failed", x, y: base - failed, width: 17,
          height: failed }, title()),
        ran > 0 && svg("rect", { class: "ran", x, y: base - failed - ran, width: 17, height: ran },
          title()),
      ];
    });
    const text = (x, anchor, value) =>
      svg("text", { x, y: height - 3, "text-anchor": anchor }, value);
    const summary = bins.map((bin, index) => `${index * 10}: ${bin.ran + bin.failed}`).join(", ");
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${name}, items by score: ${summary}` },
    bars, svg("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }),
    mean !== null && svg("line", { class: "mean-line", x1: mean * width, x2: mean * width, y1: 0,
      y2: base }),
    text(1, "start", "0"), text(width / 2, "middle", "50"), text(width - 1, "end", "100"));
  }

  // --- one item -----------------------------------------------------------------------------

  function makeCard(item, index) {
    const seconds = isNumber(item.seconds) ? `${item.seconds.toFixed(2)} s` : "";
    const anchor = `item-${index + 1}`;
    const header = h("header", {},
      h("h3", { id: `${anchor}-title` }, h("a", { href: `#${anchor}` }, isolate(item.id))),
      h("span", { class: "badge", title: statusTitle(item.status) },
        h("i", { class: "dot", "data-status": item.status }), isolate(statusLabel(item.status))),
      modesDiffer(item) && h("span", { class: "badge differ",
        title: "official and fixed rules see different things" }, differLabel(item)),
      isUnscored(item) && h("span", { class: "badge unscored" }, "unscored"),
      episodes.badge(item),
      Object.entries(item.tags).filter(([, value]) => value !== item.id).map(([key, value]) =>
        h("span", { class: "tag" }, isolate(key), " ", isolate(value))),
      h("span", { class: "figures" }, h("span", { class: "muted small" }, seconds), " ",
        averageOf(item)));
    const body = h("div", { class: "body" });
    return h("article", { class: "card", id: anchor, "data-id": item.id,
      "data-status": item.status, "aria-labelledby": `${anchor}-title` }, header, body);
  }

  function averageOf(item) {
    if (!hasAverage(Object.keys(item.scores))) return null;
    return [h("span", { class: "muted small" }, "Average"), " ",
      h("b", {}, percent(scoreOf(item, "average")))];
  }

  function fillCard(card, run, item) {
    if (card.dataset.filled) return;
    card.dataset.filled = "yes";
    const order = inPanelOrder(Object.keys(item.scores), []);
    const execution = asObject(item.scores.execution);
    card.querySelector(".body").append(
      item.error !== null ? h("pre", { class: "error" }, isolate(item.error)) : "",
      !isNumber(execution.value) && execution.reason
        ? h("p", { class: "reason" }, "Execution not scored: ", isolate(execution.reason)) : "",
      pictures(run, item, () => openViewer(card)),
      h("div", { class: "panels" }, order.map((name) => panel(run, item, name))),
      item.code === null ? "" : codeBlock("Code as executed", asText(item.code), true),
      item.reply === null ? "" : codeBlock("The model's reply", asText(item.reply), false),
      episodes.section(run, item, (pair) => openViewer(card, pair)) ?? "",
      item.shortened ? h("p", { class: "muted small" },
        "Shortened here; results.jsonl holds everything.") : "");
  }

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
      .filter(([key]) => !COMMON.includes(key) && !used.includes(key));
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

  // --- the list -----------------------------------------------------------------------------

  const state = {};
  const entryOf = new WeakMap();
  const fillEntry = (entry) => fillCard(entry.card, state.run, entry.item);
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      fillEntry(entryOf.get(target));
    }
  }, { rootMargin: "1200px 0px" });

  function selectRun(run) {
    observer.disconnect();
    Object.assign(state, { run, statuses: new Set(), differ: false, unscored: false, query: "",
      sort: "order", descending: false, shown: [] });
    state.entries = run.items.map((item, position) => {
      const entry = { item, position, card: makeCard(item, position) };
      entryOf.set(entry.card, entry);
      observer.observe(entry.card);
      return entry;
    });
    byId("title").textContent = run.title;
    byId("subtitle").replaceChildren(isolate(run.name), ` · ${subtitle(run)}`);
    for (const [other, button] of runButtons) {
      button.setAttribute("aria-pressed", String(other === run));
    }
    renderNotes(run);
    renderCard(run);
    renderStatuses(run);
    renderHistograms(run);
    renderByTurn(run);
    renderSorts(run);
    renderFilters(run);
    Object.assign(byId("search"), { value: "", placeholder: run.items[0]?.id ?? "" });
    refresh();
  }

  function subtitle(run) {
    const parts = [run.n_samples === null ? `${plural(run.items.length, "item")} on file`
      : plural(run.n_samples, "sample")];
    if (run.n_scored !== null) parts.push(`${run.n_scored} scored`);
    if (typeof run.mode === "string") parts.push(`${run.mode} mode`);
    if (!run.finished) parts.push("unfinished");
    return parts.join(" · ");
  }

  function renderSorts(run) {
    const options = [["order", "Order of the run"], ["id", "Id"], ["seconds", "Seconds"],
      ...scorersOf(run).map((scorer) => [`score:${scorer}`, label(scorer)]),
      ...(run.items.some(({ loop }) => loop) ? episodes.SORTS : [])];
    byId("sort").replaceChildren(
      ...options.map(([value, text]) => h("option", { value }, text)));
  }

  function renderFilters(run) {
    const counts = countBy(run.items.map((item) => item.status));
    const toggles = inOrder(counts).map((status) => toggle(
      [h("i", { class: "dot", "data-status": status }), isolate(statusLabel(status))],
      counts.get(status), { "data-filter": "status", "data-status": status }, (on) => {
        state.statuses[on ? "add" : "delete"](status);
      }));
    const differing = run.items.filter(modesDiffer).length;
    const unscored = run.items.filter(isUnscored).length;
    const label = run.pages ? "≠ known accidents" : "≠ modes differ";
    if (differing) toggles.push(toggle([label], differing,
      { "data-filter": "differ" }, (on) => { state.differ = on; }));
    if (unscored) toggles.push(toggle(["unscored"], unscored,
      { "data-filter": "unscored" }, (on) => { state.unscored = on; }));
    byId("filters").replaceChildren(...toggles);
  }

  function toggle(content, count, attributes, change) {
    const button = h("button", { type: "button", class: "toggle", "aria-pressed": "false",
      ...attributes }, content, " ", h("span", { class: "muted" }, count));
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      change(on);
      refresh();
    });
    return button;
  }

  function matches({ item }) {
    return (state.statuses.size === 0 || state.statuses.has(item.status)) &&
      (!state.differ || modesDiffer(item)) && (!state.unscored || isUnscored(item)) &&
      item.id.toLowerCase().includes(state.query);
  }

  function sortKey({ item }) {
    const [kind, name] = state.sort.split(/:(.*)/);
    if (kind === "seconds") return item.seconds;
    return kind === "loop" ? item.loop?.[name] ?? null : scoreOf(item, name);
  }

  function compare(left, right) {
    const sign = state.descending ? -1 : 1;
    if (state.sort === "order") return sign * (left.position - right.position);
    if (state.sort === "id") return sign * collator.compare(left.item.id, right.item.id);
    const [a, b] = [sortKey(left), sortKey(right)];
    if (a === null || b === null) return (a === null) - (b === null); // unscored always last
    return sign * (a - b);
  }

  function refresh() {
    state.shown = state.entries.filter(matches)
      .sort((a, b) => compare(a, b) || a.position - b.position);
    byId("items").replaceChildren(...state.shown.map(({ card }) => card));
    byId("count").textContent = `${state.shown.length} of ${plural(state.entries.length, "item")}`;
    byId("nothing").hidden = state.shown.length > 0 || state.entries.length === 0;
    byId("direction").textContent = state.descending ? "↓ Descending" : "↑ Ascending";
  }

  function resetFilters() {
    Object.assign(state, { statuses: new Set(), differ: false, unscored: false, query: "" });
    byId("search").value = "";
    for (const button of byId("filters").children) button.setAttribute("aria-pressed", "false");
    refresh();
  }

  // --- the viewer ---------------------------------------------------------------------------

  // `pair` is what is compared: the item, or what it was at an earlier turn.
  function openViewer(card, pair) {
    state.difference = card.querySelector(".difference") !== null;
    view(entryOf.get(card), pair);
    byId("viewer").showModal();
    if (state.run.pages) byId("viewer-pictures").focus(); // the arrow keys scroll
  }

  function view(entry, pair = entry.item) {
    Object.assign(state, { viewed: entry, pair });
    const place = state.shown.indexOf(entry);
    byId("viewer-title").replaceChildren(isolate(pair.id));
    byId("viewer-place").textContent = `${place + 1} of ${state.shown.length}`;
    const box = byId("viewer-pictures");
    const shown = pictures(state.run, pair, null);
    box.className = shown.className;
    box.replaceChildren(...shown.children);
    box.scrollTop = 0;
    compareInViewer();
    byId("viewer-previous").disabled = place <= 0;
    byId("viewer-next").disabled = place + 1 >= state.shown.length;
  }

  function compareInViewer() {
    const possible = isComparable(state.pair);
    showDifference(byId("viewer-pictures"), state.run, state.pair, possible && state.difference,
      null);
    byId("viewer-difference").disabled = !possible;
    byId("viewer-difference").setAttribute("aria-pressed", String(possible && state.difference));
  }

  function step(distance) {
    const next = state.shown[state.shown.indexOf(state.viewed) + distance];
    if (next) view(next);
  }

  // The list follows the viewer: closing it leaves the reader at the item last seen.
  function closeViewer() {
    if (state.pair !== state.viewed.item) return; // the browser goes back to the turn
    fillEntry(state.viewed);
    state.viewed.card.scrollIntoView({ block: "start" });
    state.viewed.card.querySelector("h3 a").focus({ preventScroll: true });
  }

  // --- start --------------------------------------------------------------------------------

  function listenToToolbar() {
    byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
    byId("search").addEventListener("input", (event) => {
      state.query = event.target.value.trim().toLowerCase();
      refresh();
    });
    byId("sort").addEventListener("change", (event) => {
      state.sort = event.target.value;
      refresh();
    });
    byId("direction").addEventListener("click", () => {
      state.descending = !state.descending;
      refresh();
    });
    byId("view").addEventListener("change", (event) => {
      byId("items").dataset.view = event.target.value;
    });
    byId("reset").addEventListener("click", resetFilters);
  }

  function listenToViewer() {
    const viewer = byId("viewer");
    byId("viewer-previous").addEventListener("click", () => step(-1));
    byId("viewer-next").addEventListener("click", () => step(1));
    byId("viewer-difference").addEventListener("click", () => {
      state.difference = !state.difference;
      compareInViewer();
    });
    byId("viewer-close").addEventListener("click", () => viewer.close());
    viewer.addEventListener("close", closeViewer);
    viewer.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") step(-1);
      if (event.key === "ArrowRight") step(1);
    });
  }

  function fillForPrint() {
    state.shown.forEach(fillEntry);
    for (const image of document.querySelectorAll("#items img")) image.loading = "eager";
  }

  function followHash() {
    const target = state.entries.find(({ card }) => `#${card.id}` === location.hash);
    if (!target) return;
    fillEntry(target);
    // What lies above takes its real height only when it is near: stay with the target until then,
    // or until the reader moves.
    const follow = new ResizeObserver(() => target.card.scrollIntoView());
    follow.observe(byId("items"));
    const stop = () => follow.disconnect();
    for (const sign of ["wheel", "keydown", "pointerdown", "touchstart"]) {
      window.addEventListener(sign, stop, { once: true, passive: true });
    }
    setTimeout(stop, 10000);
    target.card.scrollIntoView();
  }

  renderTables();
  listenToToolbar();
  listenToViewer();
  window.addEventListener("beforeprint", fillForPrint);
  selectRun(DATA.runs[0]);
  followHash();
  byId("colophon").textContent = `rrvf ${DATA.version}`;
})();
