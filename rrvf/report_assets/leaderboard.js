// The leaderboard: a table for each benchmark, in it a body for each protocol. Rows are sorted and
// ranked within their body, never across. As everywhere, strings reach the page as text nodes only.
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const { DASH, h, byId, isNumber, plural, isolate, countBy, factTable } = makeBlocks(DATA);
  const NAME = "name"; // the column of names
  const KINDS = { open: "Open", closed: "Closed", measured: "Measured" };
  const PRINTED = "printed"; // the kind of other systems' rows
  const VIEWS = { paper: "The paper and measured runs", printed: "Other systems",
    conflicts: "Conflicts" };
  const state = { view: "paper", query: "", benchmark: "", protocol: "",
    kinds: new Set(Object.keys(KINDS)), sorts: new Map() };

  const labelOf = (column) => (column.sub ? `${column.label} (${column.sub})` : column.label);
  const headOf = (column) => [column.label, column.sub && h("sub", {}, column.sub)];
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const tablesIn = (view) => DATA.tables.filter((table) => table.view === view);
  const rowsIn = (view) => tablesIn(view).flatMap((table) => table.rows);
  const kindOf = (row) => KINDS[row.kind] ?? VIEWS.printed;

  // --- which rows, in which order -----------------------------------------------------------

  // What can be searched for: everything that the card tells.
  const texts = new Map(DATA.tables.flatMap((table) => table.rows.map((row) => [row,
    JSON.stringify([table.title, row.name, kindOf(row), row.group, row.told, row.facts,
      row.unlike, row.parts]).toLowerCase()])));

  const isAsked = (text) => state.query.split(/\s+/).every((word) => text.includes(word));

  function isShown(table, row) {
    return table.view === state.view && (!state.benchmark || table.benchmark === state.benchmark) &&
      (!state.protocol || row.group === state.protocol) &&
      (row.kind === PRINTED || state.kinds.has(row.kind)) && isAsked(texts.get(row));
  }

  const valueIn = (row, place) => (place < 0 ? null : row.cells[place].value);
  const placeOf = (table, key) => table.columns.findIndex((column) => column.key === key);

  // A source that does not say how it came to a figure gives no rank.
  const isRanked = (table, group, key) =>
    table.groups.find(({ name }) => name === group).ranked?.includes(key) ?? true;

  // Rows without a figure stand last, whatever the direction; those that cannot be ranked stand as
  // printed.
  function inOrder(table, rows) {
    const { key, down } = state.sorts.get(table);
    const place = placeOf(table, key);
    const sign = down ? -1 : 1;
    if (place >= 0 && rows.some((row) => !isRanked(table, row.group, key))) return rows;
    if (place < 0) return [...rows].sort((a, b) => sign * a.name.localeCompare(b.name));
    return [...rows].sort((a, b) => {
      const [left, right] = [valueIn(a, place), valueIn(b, place)];
      if (left === null || right === null) return (left === null) - (right === null);
      return sign * (left - right);
    });
  }

  // Among all rows of its protocol, also those that a filter hides: equal figures share a rank, a
  // lone one has none.
  function rankOf(table, row, place) {
    if (place < 0 || !isRanked(table, row.group, table.columns[place].key)) return null;
    const own = valueIn(row, place);
    const peers = table.rows.filter((other) => other.group === row.group)
      .map((other) => valueIn(other, place)).filter(isNumber);
    return own === null || peers.length < 2 ? null : { rank: 1 + peers.filter((value) => value > own).length, of: peers.length };
  }

  // --- the tables ---------------------------------------------------------------------------

  function renderTable(table) {
    const section = byId(`table-${table.id}`);
    const rows = table.rows.filter((row) => isShown(table, row));
    section.hidden = rows.length === 0;
    for (const head of section.querySelectorAll("th[data-key]")) {
      const { key, down } = state.sorts.get(table);
      const own = head.dataset.key === key;
      head.setAttribute("aria-sort", own ? (down ? "descending" : "ascending") : "none");
    }
    section.querySelectorAll("tbody").forEach((body) => body.remove());
    section.querySelector("table").append(...table.groups
      .map((group) => [group, rows.filter((row) => row.group === group.name)])
      .filter(([, own]) => own.length).map(([group, own]) => h("tbody", {},
        groupRow(table, group), inOrder(table, own).map((row) => rowOf(table, row)))));
    return rows.length;
  }

  function groupRow(table, group) {
    return h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: table.columns.length + 2 },
      h("div", {}, isolate(group.name),
        group.told && h("span", { class: "muted" }, " ", isolate(group.told)))));
  }

  function rowOf(table, row) {
    const sorted = placeOf(table, state.sorts.get(table).key);
    const rank = rankOf(table, row, sorted);
    return h("tr", { "data-kind": row.kind, "data-id": row.id },
      h("td", { class: "rank" }, rank?.rank),
      h("th", { scope: "row" }, h("div", {},
        h("a", { href: `#${row.id}` }, isolate(row.name)), dagger(row),
        h("span", { class: "told muted" }, KINDS[row.kind] && h("i", { class: "kind" }),
          [KINDS[row.kind]?.toLowerCase(), row.told].filter(Boolean).join(" · ")))),
      row.cells.map((cell, place) => figureCell(table, row, place, place === sorted)));
  }

  const dagger = (row) => row.unlike.length + row.warnings.length > 0 && row.kind === "measured" &&
    h("abbr", { class: "dagger", title: [...row.unlike, ...row.warnings].join("; ") }, " †");

  function figureCell(table, row, place, sorted) {
    const [cell, column] = [row.cells[place], table.columns[place]];
    const label = cell.mark ? `${cell.text}, ${markName(row, cell.mark)}`
      : cell.why && `not measured: ${cell.why}`;
    return h("td", { class: [!column.primary && "second", sorted && "sorted"].filter(Boolean).join(" ") },
      h("a", { href: `#${row.id}/${column.key}`, tabindex: -1, "aria-label": label,
        title: cell.mark ? markName(row, cell.mark) : cell.why }, figure(cell),
      cell.bounds && h("span", { class: "bounds" }, bounds(cell, 1)),
      sorted && bar(cell, cell.most ?? column.most)));
  }

  const figure = (cell) => h(cell.mark === "best" ? "b" : cell.mark === "second" ? "u" : "span",
    { class: cell.value === null && "muted" }, cell.text);
  const bounds = (cell, digits) => cell.bounds.map((end) => end.toFixed(digits)).join(" – ");

  function markName(row, mark) {
    const among = row.kind === "measured" ? "in this setting"
      : row.kind === PRINTED ? "of this source's table" : "among open models below 10 B";
    return `${mark === "best" ? "best" : "second best"} ${among}`;
  }

  function bar(cell, most) {
    if (cell.value === null) return null;
    const share = (value) => `${100 * Math.max(0, Math.min(1, value / most))}%`;
    const inside = h("i");
    inside.style.width = share(cell.value);
    const span = cell.bounds && h("b");
    if (span) {
      span.style.left = share(cell.bounds[0]);
      span.style.width = share(cell.bounds[1] - cell.bounds[0]);
    }
    return h("span", { class: "course", "aria-hidden": "true" }, inside, span);
  }

  function sectionOf(table) {
    const title = `title-${table.id}`;
    return h("section", { id: `table-${table.id}`, "aria-labelledby": title },
      h("h2", { id: title }, table.title),
      h("div", { class: "scroller", tabindex: 0, role: "group", "aria-labelledby": title },
        h("table", { class: "board", "aria-labelledby": title }, h("thead", {}, h("tr", {},
          h("th", { scope: "col", class: "rank" },
            h("abbr", { title: "Rank by the sorted column, within its protocol" }, "#")),
          sortHead(table, { key: NAME, label: "Model", sub: "", primary: true }),
          table.columns.map((column) => sortHead(table, column)))))));
  }

  function sortHead(table, column) {
    const button = h("button", { type: "button" }, h("span", {}, headOf(column)),
      h("i", { class: "arrow", "aria-hidden": "true" }));
    button.addEventListener("click", () => sortBy(table, column));
    return h("th", { scope: "col", "data-key": column.key, class: !column.primary && "second" },
      button);
  }

  // Figures begin with the highest, names with A; again: the other way round.
  function sortBy(table, column) {
    const { key, down } = state.sorts.get(table);
    const next = key === column.key ? !down : column.key !== NAME;
    state.sorts.set(table, { key: column.key, down: next });
    renderTable(table);
    const order = column.key === NAME ? (next ? "Z to A" : "A to Z")
      : next ? "highest first" : "lowest first";
    tellCount(`${table.title} by ${labelOf(column)}, ${order}`);
  }

  // --- conflicts ----------------------------------------------------------------------------

  const conflictTexts = new Map(DATA.conflicts.map((conflict) =>
    [conflict, JSON.stringify(Object.values(conflict)).toLowerCase()]));

  function renderConflicts() {
    const shown = DATA.conflicts.filter((conflict) => isAsked(conflictTexts.get(conflict)) &&
      (!state.benchmark || conflict.benchmark === state.benchmark));
    byId("several").replaceChildren(
      h("p", { class: "muted" }, "Several sources, several values of one figure of one model; the ",
        "widest apart first. None of them is the right one: what the sources state of version, ",
        "samples, judge and matplotlib differs, and most of it is not stated."),
      h("div", { class: "scroller", tabindex: 0, role: "group", "aria-label": "Conflicts" },
        h("table", { class: "board conflicts" }, h("thead", {}, h("tr", {},
          ["Model", "Figure", "Apart", "Values in print"].map((text) =>
            h("th", { scope: "col" }, text)))),
        h("tbody", {}, shown.map(conflictRow)))));
    return shown.length;
  }

  function conflictRow(conflict) {
    const { model, benchmark, label, spread, values } = conflict;
    return h("tr", {},
      h("th", { scope: "row" }, isolate(model), h("span", { class: "told muted" }, benchmark)),
      h("td", {}, label), h("td", {}, spread.toFixed(1)),
      h("td", {}, strip(values), h("ul", {}, values.map(valueLine))));
  }

  // Where the values lie between nothing and the highest there can be.
  function strip(values) {
    const dots = values.map((value) => {
      const dot = h("i");
      dot.style.left = `${Math.max(0, Math.min(100, value.share))}%`;
      return dot;
    });
    return h("span", { class: "strip", "aria-hidden": "true" }, dots);
  }

  function valueLine({ text, system, source, told, derived }) {
    return h("li", {}, h("b", {}, text), h("span", {}, isolate(source),
      derived && h("span", { class: "muted" }, ` (${derived})`),
      h("span", { class: "told muted" }, isolate(system), ". ", isolate(capital(told)), ".")));
  }

  // --- filters ------------------------------------------------------------------------------

  function render() {
    const isConflicts = state.view === "conflicts";
    const rows = DATA.tables.map(renderTable).reduce((a, b) => a + b, 0);
    const shown = isConflicts ? renderConflicts() : rows;
    byId("several").hidden = !isConflicts;
    byId("tables").hidden = isConflicts;
    byId("kinds").hidden = state.view !== "paper";
    byId("protocol").closest("label").hidden = isConflicts;
    byId("nothing").hidden = shown > 0;
    for (const button of byId("views").children) {
      button.setAttribute("aria-pressed", String(state.view === button.dataset.view));
    }
    for (const button of byId("kinds").children) {
      button.setAttribute("aria-pressed", String(state.kinds.has(button.dataset.kind)));
    }
    tellCount(isConflicts ? `${shown} of ${plural(DATA.conflicts.length, "figure")}`
      : `${shown} of ${plural(rowsIn(state.view).length, "row")}`);
  }

  const tellCount = (text) => { byId("count").textContent = text; };

  function renderKinds() {
    const counts = countBy(rowsIn("paper").map((row) => row.kind));
    byId("kinds").append(...Object.entries(KINDS).map(([kind, name]) => {
      const button = h("button", { type: "button", class: "toggle", "data-kind": kind },
        h("i", { class: "kind" }), name, h("span", { class: "muted" }, ` ${counts.get(kind) ?? 0}`));
      button.addEventListener("click", () => {
        if (!state.kinds.delete(kind)) state.kinds.add(kind);
        render();
      });
      return button;
    }));
  }

  function renderViews() {
    byId("views").append(...Object.entries(VIEWS).map(([view, name]) => {
      const count = view === "conflicts" ? DATA.conflicts.length : rowsIn(view).length;
      const button = h("button", { type: "button", class: "toggle", "data-view": view }, name,
        h("span", { class: "muted" }, ` ${count}`));
      button.addEventListener("click", () => {
        location.hash = view === "paper" ? "" : view;
        showView(view);
      });
      return button;
    }));
  }

  // The choices are those of the view; what was chosen in another one is dropped.
  function showView(view) {
    Object.assign(state, { view, benchmark: "", protocol: "" });
    const tables = tablesIn(view);
    const benchmarks = view === "conflicts" ? DATA.conflicts.map(({ benchmark }) => benchmark)
      : tables.map(({ benchmark }) => benchmark);
    offer("benchmark", benchmarks, (name) =>
      tables.find((table) => table.benchmark === name)?.title ?? name);
    offer("protocol", tables.flatMap((table) => table.groups.map(({ name }) => name)));
    render();
    document.querySelectorAll("#tables > section:not([hidden]) .scroller").forEach(showSorted);
  }

  const offer = (id, names, titleOf = (name) => name) => byId(id).replaceChildren(
    h("option", { value: "" }, "All"),
    ...[...new Set(names)].map((name) => h("option", { value: name }, titleOf(name))));

  function reset() {
    Object.assign(state, { query: "", benchmark: "", protocol: "",
      kinds: new Set(Object.keys(KINDS)) });
    byId("toolbar").reset();
    render();
    byId("search").focus();
  }

  function listen() {
    byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
    byId("search").addEventListener("input", (event) => {
      state.query = event.target.value.trim().toLowerCase();
      render();
    });
    for (const name of ["benchmark", "protocol"]) {
      byId(name).addEventListener("change", (event) => {
        state[name] = event.target.value;
        render();
      });
    }
    byId("reset").addEventListener("click", reset);
    byId("viewer-close").addEventListener("click", () => byId("viewer").close());
    byId("viewer").addEventListener("close", () => history.replaceState(null, "",
      location.href.split("#")[0] + (state.view === "paper" ? "" : `#${state.view}`)));
    window.addEventListener("hashchange", showPlace);
  }

  // --- the card of a row --------------------------------------------------------------------

  // "#printed" and "#conflicts" are views; "#row" or "#row/metric" is a card: all can be linked to.
  function showPlace() {
    const place = location.hash.slice(1);
    const view = Object.hasOwn(VIEWS, place) ? place
      : DATA.tables.find((table) => table.rows.some((row) => row.id === place.split("/")[0]))?.view
        ?? "paper";
    if (view !== state.view) showView(view);
    showCard();
  }

  function showCard() {
    const [id, key] = location.hash.slice(1).split("/");
    const table = DATA.tables.find((one) => one.rows.some((row) => row.id === id));
    if (!table) {
      byId("viewer").close();
      return;
    }
    const row = table.rows.find((one) => one.id === id);
    byId("viewer-place").textContent = `${table.title} · ${kindOf(row).toLowerCase()}`;
    byId("viewer-title").replaceChildren(isolate(row.name));
    byId("viewer-body").replaceChildren(...[warnings(row), figures(table, row, key), facts(row),
      parts(row)].filter(Boolean));
    if (!byId("viewer").open) byId("viewer").showModal();
    byId("viewer-body").scrollTop = 0;
    byId("viewer-body").focus();
  }

  function warnings(row) {
    const unlike = row.unlike.length > 0 &&
      `Not to be compared with the published rows: ${row.unlike.join("; ")}.`;
    const told = [unlike, ...row.warnings].filter(Boolean);
    return told.length > 0 &&
      h("ul", { class: "notes" }, told.map((text) => h("li", { class: "warning" }, isolate(text))));
  }

  function figures(table, row, key) {
    const heads = ["Metric", row.kind === "measured" ? "Figure" : "As printed"];
    const measured = row.kind === "measured";
    const body = table.columns.map((column, place) => {
      const cell = row.cells[place];
      const rank = rankOf(table, row, place);
      return h("tr", { class: column.key === key && "chosen" },
        h("th", { scope: "row" }, headOf(column)),
        h("td", {}, figure(cell), cell.why && h("span", { class: "bounds" }, isolate(cell.why))),
        measured && h("td", {}, cell.bounds ? bounds(cell, 2) : DASH),
        row.deltas.map((delta) => h("td", {}, delta.cells[place].replace("-", "−"))),
        h("td", { class: "muted" }, rank ? `${rank.rank} of ${rank.of}` : DASH));
    });
    return h("div", { class: "scroller" }, h("table", { class: "board card-figures" },
      h("thead", {}, h("tr", {}, [...heads, measured && "95% interval",
        ...row.deltas.map((delta) => delta.name), "Rank"].filter(Boolean)
        .map((text) => h("th", { scope: "col" }, isolate(text))))),
      h("tbody", {}, body)));
  }

  // Where nothing is ranked, the card does not speak of ranks.
  function placeName(row) {
    const table = DATA.tables.find((one) => one.rows.includes(row));
    const { ranked } = table.groups.find(({ name }) => name === row.group);
    return ranked === null || ranked.length > 0 ? "ranked in" : "printed in";
  }

  function facts(row) {
    return h("dl", { class: "how" }, [[placeName(row), row.group], ...row.facts].map(([name, text]) =>
      h("div", {}, h("dt", {}, isolate(capital(name))), h("dd", {}, isolate(text)))));
  }

  function parts(row) {
    const told = Object.entries(row.parts);
    return told.length > 0 && h("div", { class: "run-card" }, told.map(([name, part]) =>
      h("section", {}, h("h3", {}, name), factTable(part))));
  }

  // --- start --------------------------------------------------------------------------------

  function renderHead() {
    const rows = rowsIn("paper");
    const measured = rows.filter((row) => row.kind === "measured").length;
    byId("subtitle").textContent = `${plural(rows.length - measured, "published row")}, ` +
      `${plural(measured, "measured run")}, ${plural(rowsIn(PRINTED).length, "row")} of other ` +
      `systems, ${plural(DATA.conflicts.length, "figure")} with several values in print. Ranks hold within one protocol only; ` +
      "a click on any figure opens its run card.";
    byId("notes").append(...DATA.notes.map((text) => h("li", { class: "warning" }, isolate(text))));
    byId("legend").append(...[
      "#: rank by the sorted column among the rows of the same protocol, hidden ones included.",
      [h("b", {}, "Bold"), " and ", h("u", {}, "underlined"), ": best and second best among open " +
        "models below 10 B (WebSight: the best only); of measured runs, within one setting."],
      "†: not made as the published rows were, or unfinished; the run card says in what.",
      `Small figures, and the line on a bar: ${DATA.how}.`,
      "Other systems: every figure as printed; ranked only where the source says on which samples, " +
        "and for a judge's figure by which judge. The others stand in the order of print.",
      `${DASH}: not measured, or not printed. It is never a 0.`,
    ].map((text) => h("li", {}, text)));
    byId("colophon").textContent = `rrvf ${DATA.version}`;
  }

  function start() {
    for (const table of DATA.tables) {
      const primary = table.columns.filter((column) => column.primary);
      const main = table.view === PRINTED ? primary[0] : primary.at(-1);
      state.sorts.set(table, { key: main.key, down: true });
      byId("tables").append(sectionOf(table));
    }
    renderHead();
    renderKinds();
    renderViews();
    listen();
    showView(state.view);
    showPlace();
  }

  // On a narrow screen the sorted column is the last one, out of sight.
  function showSorted(scroller) {
    const head = scroller.querySelector('[aria-sort$="ending"]');
    scroller.scrollLeft = head.offsetLeft + head.offsetWidth - scroller.clientWidth;
  }

  start();
})();
