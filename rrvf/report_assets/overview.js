// What stands above the items: the tables, the run card, the distributions, the means by turn. As in
// report.js, strings reach the page as text nodes only. `tools` are the building blocks.
"use strict";
const makeOverview = (DATA, tools) => {
  const { DASH, h, svg, byId, isNumber, percent, plural, label, statusLabel, statusTitle } = tools;
  const { isolate, countBy, scoreOf, hasAverage, inPanelOrder, episodes, factTable } = tools;
  const runButtons = new Map();
  const isOfSeveral = DATA.runs.length > 1;
  const MOST_LINKS = 6;

  const scorersOf = (run) =>
    inPanelOrder([...new Set(run.items.flatMap((item) => Object.keys(item.scores)))], ["average"]);

  // --- the tables and the run card -----------------------------------------------------------

  // `select` chooses the run whose name is pressed.
  function renderTables(select) {
    renderTitle();
    byId("metrics").replaceChildren(...DATA.tables.map((table, index) =>
      h("div", { class: "scroller" }, resultTable(table, index, select))));
  }

  // One run gives the page its title; several have a heading of their own below the tables.
  function renderTitle() {
    byId("run-head").hidden = !isOfSeveral;
    if (!isOfSeveral) return;
    const [{ title }] = DATA.tables;
    const runs = plural(DATA.runs.length, "run");
    byId("title").textContent = DATA.tables.length === 1 ? title
      : `${runs}, ${DATA.tables.length} benchmarks`;
    byId("subtitle").replaceChildren(...(DATA.tables.length === 1 ? [runs]
      : DATA.tables.flatMap((table, place) => [place > 0 ? " · " : "", isolate(table.title)])));
  }

  function resultTable({ title, columns }, place, select) {
    const head = h("tr", {}, isOfSeveral && h("th", { scope: "col" }, "Run"),
      columns.map((key) => h("th", { scope: "col" }, isolate(label(key)))));
    const rows = DATA.runs.filter(({ table }) => table === place).map((run) => {
      const name = h("button", { type: "button", class: "run-name" }, isolate(run.name));
      name.addEventListener("click", () => select(run));
      runButtons.set(run, name);
      return h("tr", {}, isOfSeveral && h("th", { scope: "row" }, name),
        columns.map((key) => metricCell(run, key)));
    });
    return h("table", { class: isOfSeveral ? "metrics" : "metrics single" },
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
      notes.push(`Not scored and left out of the means: ${listed}.`);
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

  // --- links to episodes ---------------------------------------------------------------------

  // Of every run those that the loop improved most. `linkTo` gives the address of an item,
  // `linkToAll` that of all episodes of a run.
  function renderEpisodeLinks(linkTo, linkToAll) {
    const told = DATA.runs.map((run) => ({ run, items: episodes.largestGainFirst(run) }))
      .filter(({ items }) => items.length);
    const most = Math.max(1, Math.floor(MOST_LINKS / told.length));
    byId("episode-links").hidden = told.length === 0;
    if (!isOfSeveral) byId("run").after(byId("episode-links"));
    byId("episode-list").replaceChildren(...told.flatMap(({ run, items }) =>
      items.slice(0, most).map((item) =>
        episodes.link(run, item, linkTo(run, item), isOfSeveral))));
    byId("all-episodes").replaceChildren(...told.filter(({ items }) => items.length > most)
      .map(({ run, items }) => h("a", { class: "button", href: linkToAll(run) },
        `All ${items.length} episodes`, isOfSeveral && [" of ", isolate(run.name)])));
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

  // --- one run ------------------------------------------------------------------------------

  function renderRun(run) {
    byId(isOfSeveral ? "run-title" : "title").textContent = run.title;
    byId(isOfSeveral ? "run-subtitle" : "subtitle")
      .replaceChildren(isolate(run.name), ` · ${subtitle(run)}`);
    for (const [other, button] of runButtons) {
      button.setAttribute("aria-pressed", String(other === run));
    }
    renderNotes(run);
    renderCard(run);
    renderStatuses(run);
    renderHistograms(run);
    renderByTurn(run);
  }

  function subtitle(run) {
    const parts = [run.n_samples === null ? `${plural(run.items.length, "item")} on file`
      : plural(run.n_samples, "sample")];
    if (run.n_scored !== null) parts.push(`${run.n_scored} scored`);
    if (typeof run.mode === "string") parts.push(`${run.mode} mode`);
    if (!run.finished) parts.push("unfinished");
    return parts.join(" · ");
  }

  return { scorersOf, inOrder, renderTables, renderEpisodeLinks, renderRun };
};
