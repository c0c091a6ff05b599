// Everything shown here comes from a stranger's model. Strings reach the page as text nodes or as
// attributes whose names stand in this file; nothing is ever parsed as HTML, CSS or code.
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const blocks = makeBlocks(DATA);
  const {
    h, svg, byId, isNumber, asObject, asText, percent, plural, label, statusLabel, statusTitle,
    isolate, countBy, scoreOf, worthOf, hasAverage, inPanelOrder, episodes, pictures, showDifference,
    isComparable,
  } = blocks;
  const collator = new Intl.Collator("en", { numeric: true });
  const MOST_TOLD = 80;
  const PASSING = 6000;
  const EPISODE = "episode"; // a part of an item that an address can name

  const { scorersOf, inOrder, renderTables, renderEpisodeLinks, renderRun } =
    makeOverview(DATA, blocks);
  const { panel, remarksIn, ...panels } = makePanels(blocks);
  const { codeBlock } = panels;
  const compare = makeCompare(DATA, { ...blocks, ...panels, scorersOf });
  const address = makeAddress();

  const modesDiffer = (item) => Object.keys(item.other).length > 0 || remarksOf(item).length > 0;
  // Pages: where the official rules see other texts than a reader.
  const remarksOf = (item) => remarksIn(asObject(item.scores.block_match));
  const differLabel = (item) => remarksOf(item).length ? "≠ known accident" : "≠ modes differ";
  const isUnscored = (item) =>
    Object.values(item.scores).some((score) => !isNumber(score.value));

  // --- one item -----------------------------------------------------------------------------

  function makeCard(item, index) {
    const seconds = isNumber(item.seconds) ? `${item.seconds.toFixed(2)} s` : "";
    return emptyCard(state.run, item, index, [
      h("span", { class: "badge", title: statusTitle(item.status) },
        h("i", { class: "dot", "data-status": item.status }), isolate(statusLabel(item.status))),
      modesDiffer(item) && h("span", { class: "badge differ",
        title: "official and fixed rules see different things" }, differLabel(item)),
      isUnscored(item) && h("span", { class: "badge unscored" }, "unscored"),
      episodes.badge(item),
      item.episode && h("a", { class: "button small to-episode",
        href: linkTo(state.run, item, EPISODE) }, "Episode"),
      Object.entries(item.tags).filter(([, value]) => value !== item.id).map(([key, value]) =>
        h("span", { class: "tag" }, isolate(key), " ", isolate(value))),
      h("span", { class: "figures" }, h("span", { class: "muted small" }, seconds), " ",
        averageOf(item))]);
  }

  function emptyCard(run, item, position, head) {
    const anchor = `card-${position + 1}`;
    const link = h("a", { href: linkTo(run, item) }, isolate(item.id));
    return h("article", { class: "card", id: anchor, "data-id": item.id,
      "data-status": item.status, "aria-labelledby": `${anchor}-title` },
    h("header", {}, h("h3", { id: `${anchor}-title` }, link), head), h("div", { class: "body" }));
  }

  // The same in every view of the page.
  const linkTo = (run, item, at = "") =>
    `#${address.write({ run: run.name, item: item.id, at })}`;

  function averageOf(item) {
    if (!hasAverage(Object.keys(item.scores))) return null;
    return [h("span", { class: "muted small" }, "Average"), " ",
      h("b", {}, percent(scoreOf(item, "average")))];
  }

  function fillCard({ card, item }) {
    const { run } = state;
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

  // --- the list -----------------------------------------------------------------------------

  // What the list shows: a run, or two of them item by item (then `pairs` are theirs).
  const state = {};
  const entryOf = new WeakMap();
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      fillEntry(entryOf.get(target));
    }
  }, { rootMargin: "1200px 0px" });

  function fillEntry(entry) {
    const { card } = entry;
    if (card.dataset.filled) return;
    card.dataset.filled = "yes";
    card.querySelector("header").append(copyButton(entry));
    if (state.pairs) fillPair(entry);
    else fillCard(entry);
  }

  function fillPair(entry) {
    entry.card.querySelector(".body").append(...compare.body(state.pairs, entry, {
      open: () => openViewer(entry.card), view: (pair) => openViewer(entry.card, pair), linkTo,
    }).flat().filter(Boolean));
  }

  function selectRuns(run, second = null, query = "") {
    observer.disconnect();
    const pairs = second === null ? null : compare.match(run, second);
    Object.assign(state, { run, second, pairs, by: pairs?.measures[0], pressed: new Set(),
      query, sort: null, descending: false, shown: [], current: null, at: null });
    state.entries = pairs ? pairs.entries
      : run.items.map((item, position) => ({ item, position }));
    for (const entry of state.entries) {
      entry.card = pairs ? makePairCard(entry) : makeCard(entry.item, entry.position);
      entryOf.set(entry.card, entry);
      observer.observe(entry.card);
    }
    byId("items").dataset.list = pairs ? "pairs" : "items";
    renderRun(run);
    renderPartners();
    renderPairs();
    byId("search").placeholder = run.items[0]?.id ?? "";
    refresh();
  }

  function makePairCard(entry) {
    entry.figures = h("span", { class: "figures" });
    return emptyCard(state.run, entry.item, entry.position,
      [compare.header(entry), entry.figures]);
  }

  // --- the other run ------------------------------------------------------------------------

  function renderPartners() {
    const partners = compare.partners(state.run);
    byId("second-field").hidden = partners.length === 0;
    fillSelect("second", [["", "No other run"], ...partners.map(({ name }) => [name, name])],
      state.second?.name ?? "");
  }

  function fillSelect(name, options, chosen) {
    byId(name).replaceChildren(
      ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  }

  // All that follows from the pairs and from what they are compared by.
  function renderPairs() {
    const { pairs, by } = state;
    byId("by-field").hidden = pairs === null;
    byId("comparison").hidden = pairs === null;
    byId("comparison").replaceChildren();
    if (pairs) {
      fillSelect("by", pairs.measures.map((name) => [name, compare.nameOf(name)]), by);
      byId("comparison").append(...compare.summary(pairs, by, { open: showEntry, linkTo })
        .filter(Boolean));
      for (const entry of pairs.entries) {
        entry.figures.replaceChildren(...compare.course(pairs, entry, by));
      }
    }
    state.sorts = pairs ? compare.sorts(pairs, by) : sortsOf(state.run);
    if (!state.sorts.some(([key]) => key === state.sort)) state.sort = defaultSort();
    state.filters = pairs ? compare.filters(pairs, by) : filtersOf(state.run);
    renderSorts();
    renderFilters();
  }

  // The reader stays at the item that lies before him.
  function compareWith(second) {
    const id = entryHere()?.item.id;
    if (second) state.last = second;
    selectRuns(state.run, second, state.query);
    const entry = state.entries.find(({ item }) => item.id === id);
    if (entry) goTo(entry);
    remember(true);
  }

  function toggleComparison() {
    const partners = compare.partners(state.run);
    if (state.second) compareWith(null);
    else if (partners.length) compareWith(partners.includes(state.last) ? state.last : partners[0]);
    else tell("No other run in this report shares items with this one.");
  }

  // --- sorting and filtering ----------------------------------------------------------------

  // A reader sees first what works, unless the address says otherwise.
  const sortsOf = (run) => [
    ["best", "Best first", ({ item }) => negated(worthOf(item))],
    ["order", "Order of the run", ({ position }) => position],
    ["id", "Id", ({ item }) => item.id],
    ["seconds", "Seconds", ({ item }) => item.seconds],
    ...scorersOf(run).map((scorer) =>
      [`score:${scorer}`, label(scorer), ({ item }) => scoreOf(item, scorer)]),
    ...(run.items.some(({ loop }) => loop) ? episodes.SORTS : []),
  ];

  const defaultSort = () => state.sorts[0][0];
  const negated = (value) => (value === null ? null : -value);

  // Of each group whatever is pressed.
  function filtersOf(run) {
    const statuses = inOrder(countBy(run.items.map((item) => item.status))).map((status) => ({
      key: `status:${status}`, group: "status",
      content: [h("i", { class: "dot", "data-status": status }), isolate(statusLabel(status))],
      attributes: { "data-filter": "status", "data-status": status },
      test: ({ item }) => item.status === status,
    }));
    const others = [
      { key: "differ", content: run.pages ? "≠ known accidents" : "≠ modes differ",
        test: ({ item }) => modesDiffer(item) },
      { key: "unscored", content: "unscored", test: ({ item }) => isUnscored(item) },
    ];
    return [...statuses, ...others.filter(({ test }) => state.entries.some(test))];
  }

  function renderSorts() {
    fillSelect("sort", state.sorts, state.sort);
  }

  function renderFilters() {
    byId("filters").replaceChildren(...state.filters.map((filter) => {
      const button = h("button", { type: "button", class: "toggle",
        "data-filter": filter.key, ...filter.attributes }, filter.content, " ",
      h("span", { class: "muted" }, state.entries.filter(filter.test).length));
      button.addEventListener("click", () => {
        state.pressed[state.pressed.has(filter.key) ? "delete" : "add"](filter.key);
        refresh();
        remember(true);
      });
      filter.button = button;
      return button;
    }));
  }

  function matchingEntries() {
    const groups = new Map();
    for (const { key, group = key, test } of state.filters) {
      if (state.pressed.has(key)) groups.set(group, [...(groups.get(group) ?? []), test]);
    }
    const query = state.query.trim().toLowerCase();
    return state.entries.filter((entry) => entry.item.id.toLowerCase().includes(query) &&
      [...groups.values()].every((tests) => tests.some((test) => test(entry))));
  }

  function inSortOrder(keyOf) {
    const sign = state.descending ? -1 : 1;
    return (left, right) => {
      const [a, b] = [keyOf(left), keyOf(right)];
      if (a === null || b === null) return (a === null) - (b === null); // unscored always last
      return sign * (typeof a === "string" ? collator.compare(a, b) : a - b);
    };
  }

  function refresh() {
    const [, title, keyOf] = state.sorts.find(([key]) => key === state.sort);
    const order = inSortOrder(keyOf);
    state.shown = matchingEntries()
      .sort((a, b) => order(a, b) || a.position - b.position);
    byId("items").replaceChildren(...state.shown.map(({ card }) => card));
    const noun = state.pairs ? "shared item" : "item";
    byId("count").textContent = `${state.shown.length} of ${plural(state.entries.length, noun)}`;
    byId("nothing").hidden = state.shown.length > 0 || state.entries.length === 0;
    byId("direction").textContent = title.endsWith(" first")
      ? (state.descending ? "⇅ Reversed" : "⇅ Reverse")
      : state.descending ? "↓ Descending" : "↑ Ascending";
    byId("search").value = state.query;
    byId("sort").value = state.sort;
    for (const { key, button } of state.filters) {
      button.setAttribute("aria-pressed", String(state.pressed.has(key)));
    }
  }

  function resetFilters() {
    Object.assign(state, { pressed: new Set(), query: "" });
    refresh();
  }

  // --- the viewer ---------------------------------------------------------------------------

  // `turn` is what an item was at an earlier turn.
  function openViewer(card, turn = null) {
    state.difference = card.querySelector(".difference") !== null;
    view(entryOf.get(card), turn);
    byId("viewer").showModal();
    if (state.run.pages) byId("viewer-pictures").focus(); // the arrow keys scroll
  }

  function view(entry, turn = null) {
    const isItem = turn === null || turn === entry.item;
    const isPair = isItem && state.pairs !== null;
    const pair = isPair ? compare.asDifference(state.pairs, entry) : turn ?? entry.item;
    Object.assign(state, { viewed: entry, pair, isItem });
    const place = state.shown.indexOf(entry);
    byId("viewer-title").replaceChildren(isolate(pair.id));
    byId("viewer-place").textContent = `${place + 1} of ${state.shown.length}`;
    const box = byId("viewer-pictures");
    const shown = isPair ? compare.pictures(state.pairs, entry, null)
      : pictures(state.run, pair, null);
    box.className = shown.className;
    box.replaceChildren(...shown.children);
    box.scrollTop = 0;
    compareInViewer();
    byId("viewer-previous").disabled = place <= 0;
    byId("viewer-next").disabled = place + 1 >= state.shown.length;
    if (document.activeElement?.disabled) byId("viewer-close").focus(); // else keys are lost
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
    if (!state.isItem) return; // the browser goes back to the turn
    goTo(state.viewed);
    remember(false);
  }

  // --- one item among them ------------------------------------------------------------------

  function goTo(entry, at = null) {
    state.current?.card.removeAttribute("aria-current");
    state.current = entry;
    entry.card.setAttribute("aria-current", "true");
    fillEntry(entry);
    const episode = at === EPISODE ? openEpisode(entry.card) : null;
    state.at = episode && at;
    entry.card.querySelector(episode ? ".episode > summary" : "h3 a")
      .focus({ preventScroll: true });
    stayAt(episode ?? entry.card);
  }

  // The gallery shows none.
  function openEpisode(card) {
    const episode = byId("items").dataset.view === "gallery" ? null
      : card.querySelector(".episode");
    if (episode) episode.open = true;
    return episode;
  }

  // What lies above takes its real height only when it is near: stay with the card, or a part of
  // it, until then, or until the reader moves.
  function stayAt(element) {
    state.stop?.();
    const follow = new ResizeObserver(() => element.scrollIntoView());
    follow.observe(byId("items"));
    const moved = new AbortController();
    const stop = state.stop = () => {
      follow.disconnect();
      moved.abort();
    };
    for (const sign of ["wheel", "keydown", "pointerdown", "touchstart"]) {
      window.addEventListener(sign, stop, { passive: true, capture: true, signal: moved.signal });
    }
    setTimeout(stop, 10000);
    element.scrollIntoView();
  }

  // Even one that the filters hide.
  function showEntry(entry) {
    const isHidden = !state.shown.includes(entry);
    if (isHidden) resetFilters();
    goTo(entry);
    remember(true);
    if (isHidden) tell("The filters are cleared: they hid this item.");
  }

  // The one that is chosen and in sight, else the first in sight; none above the list.
  function entryHere() {
    const top = byId("toolbar").getBoundingClientRect().bottom;
    const isInSight = ({ card }) => {
      const box = card.getBoundingClientRect();
      return box.bottom > Math.max(top, 0) + 8 && box.top < innerHeight;
    };
    if (state.shown.includes(state.current) && isInSight(state.current)) return state.current;
    if (byId("items").getBoundingClientRect().top > innerHeight / 2) return null;
    return state.shown.find(isInSight) ?? null;
  }

  function move(distance, test = () => true) {
    const here = entryHere();
    const isChosen = here !== null && here === state.current;
    const place = here === null ? (distance > 0 ? -1 : state.shown.length)
      : state.shown.indexOf(here) - (isChosen || distance < 0 ? 0 : 1);
    const others = distance > 0 ? state.shown.slice(place + 1)
      : state.shown.slice(0, place).reverse();
    const next = others.find(test);
    if (!next) return;
    goTo(next);
    remember(false);
  }

  const fails = ({ item, other = item }) => !compare.works(item) || !compare.works(other);

  function copyButton(entry) {
    const name = `Copy a link to ${entry.item.id}`;
    const button = h("button", { type: "button", class: "copy", title: "Copy a link",
      "aria-label": name }, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
      svg("path", { d: "M7 9a3 3 0 0 0 4.2.1l2.2-2.2a3 3 0 0 0-4.2-4.2L8.3 3.6" }),
      svg("path", { d: "M9 7a3 3 0 0 0-4.2-.1L2.6 9.1a3 3 0 0 0 4.2 4.2l.9-.9" })));
    button.addEventListener("click", () => copyLink(entry));
    return button;
  }

  async function copyLink({ item }) {
    const fragment = address.write({ run: state.run.name, with: state.second?.name,
      item: item.id });
    try {
      await navigator.clipboard.writeText(`${location.href.split("#")[0]}#${fragment}`);
      tellInPassing("The link is copied.");
    } catch {
      address.set(fragment, true);
      tell("This browser copies nothing from here: the link stands in its address bar.");
    }
  }

  // --- the address --------------------------------------------------------------------------

  function remember(isStep) {
    const { run, second, by, pairs, pressed, query, sort, descending, current, at } = state;
    const view = byId("view").value;
    const item = state.shown.includes(current) && current.item.id;
    const told = { with: second?.name, by: by === pairs?.measures[0] ? "" : by,
      show: [...pressed], q: query, sort: sort === defaultSort() ? "" : sort, down: descending && 1,
      view: view === "full" ? "" : view, item, at: item !== false && at };
    const isPlain = run === DATA.runs[0] && address.write(told) === "";
    byId("told").replaceChildren();
    address.set(isPlain ? "" : address.write({ ...told, run: run.name }), isStep);
  }

  const shorten = (text) =>
    isolate(text.length > MOST_TOLD ? `${text.slice(0, MOST_TOLD)}…` : text);

  // What is not here is told, and nothing else happens.
  function follow(fragment) {
    address.forget();
    byId("told").replaceChildren();
    const wanted = address.read(fragment);
    if (wanted === null) {
      followAnchor(fragment);
      return;
    }
    const run = wanted.run === null ? DATA.runs[0]
      : address.find(DATA.runs, ({ name }) => name, wanted.run);
    if (!run) {
      tell("The run ", shorten(wanted.run), " is not in this report.");
      return;
    }
    const second = wanted.with === null ? null
      : address.find(compare.partners(run), ({ name }) => name, wanted.with);
    if (second === undefined) {
      tell("There is no run ", shorten(wanted.with), " here to compare ", isolate(run.name), " with.");
    }
    if (run !== state.run || (second ?? null) !== state.second) selectRuns(run, second ?? null);
    if (second) state.last = second;
    adopt(wanted);
    if (wanted.item !== null) followItem(wanted.item, wanted.at);
  }

  function adopt({ by, show, q, sort, down, view }) {
    const { pairs } = state;
    const measure = pairs?.measures.includes(by) ? by : pairs?.measures[0];
    if (measure !== state.by) {
      state.by = measure;
      renderPairs();
    }
    state.pressed = new Set(show.filter((key) => state.filters.some((one) => one.key === key)));
    state.query = q ?? "";
    state.sort = state.sorts.some(([key]) => key === sort) ? sort : defaultSort();
    state.descending = down !== null;
    showView(view === "gallery" ? view : "full");
    refresh();
  }

  function followItem(id, at) {
    const entry = address.find(state.entries, ({ item }) => item.id, id);
    if (!entry) {
      tell("The item ", shorten(id), state.pairs ? " is not in both of these runs."
        : " is not in this run.");
      return;
    }
    const isHidden = !state.shown.includes(entry);
    if (isHidden) resetFilters();
    goTo(entry, at);
    if (isHidden) tell("The filters are cleared: they hid this item.");
  }

  // Older links name the place of an item in the first run; others lead to a part of the page.
  function followAnchor(fragment) {
    const place = /^item-(\d+)$/.exec(fragment);
    if (place || !state.run) selectRuns(DATA.runs[0]);
    const entry = place && state.entries[Number(place[1]) - 1];
    if (entry) goTo(entry);
    else if (!byId(fragment)) tell(shorten(fragment), " is not in this report.");
  }

  function tell(...content) {
    byId("told").replaceChildren(h("span", {}, content));
  }

  function tellInPassing(...content) {
    tell(...content);
    const [said] = byId("told").children;
    setTimeout(() => said.remove(), PASSING);
  }

  // --- start --------------------------------------------------------------------------------

  function showView(view) {
    byId("view").value = view;
    byId("items").dataset.view = view;
  }

  function listenToToolbar() {
    byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
    const listen = (name, sign, isStep, act) => byId(name).addEventListener(sign, ({ target }) => {
      act(target.value);
      refresh();
      remember(isStep);
    });
    listen("search", "input", false, (value) => { state.query = value; });
    listen("sort", "change", true, (value) => { state.sort = value; });
    listen("direction", "click", true, () => { state.descending = !state.descending; });
    listen("view", "change", true, showView);
    listen("reset", "click", true, resetFilters);
    listen("by", "change", true, (value) => {
      state.by = value;
      renderPairs();
    });
    byId("second").addEventListener("change", ({ target }) =>
      compareWith(compare.partners(state.run).find(({ name }) => name === target.value) ?? null));
  }

  // A link to an item of the list keeps the filters, unless it is opened elsewhere.
  function listenToItems() {
    byId("items").addEventListener("click", (event) => {
      const link = event.target.closest("h3 a, .to-episode");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      goTo(entryOf.get(link.closest(".card")), link.matches(".to-episode") ? EPISODE : null);
      remember(true);
    });
  }

  // Within the page, and what the address says stays.
  function listenToJumps() {
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      byId("items").focus({ preventScroll: true });
      byId("items").scrollIntoView();
    });
    byId("to-runs").addEventListener("click", () => {
      scrollTo(0, 0);
      document.querySelector(".run-name[aria-pressed=true]").focus({ preventScroll: true });
    });
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
      if (["ArrowLeft", "k"].includes(event.key)) step(-1);
      if (["ArrowRight", "j"].includes(event.key)) step(1);
    });
  }

  const keys = makeKeys(blocks, [
    [["j"], "next item", () => move(1)],
    [["k"], "previous item", () => move(-1)],
    [["n"], "next item whose code does not work", () => move(1, fails)],
    [["p"], "previous item whose code does not work", () => move(-1, fails)],
    [["/"], "search", () => byId("search").focus()],
    [["c"], "compare with another run, or no longer", toggleComparison],
    [["?"], "these keys", () => keys.show()],
    [["Escape"], "close what is open", () => byId("told").replaceChildren()],
    [["←", "→"], "in the enlarged view: previous, next item", null],
  ]);

  function fillForPrint() {
    state.shown.forEach(fillEntry);
    for (const image of document.querySelectorAll("#items img")) image.loading = "eager";
  }

  renderTables((run) => {
    selectRuns(run);
    remember(true);
    byId("run").scrollIntoView();
  });
  renderEpisodeLinks((run, item) => linkTo(run, item, EPISODE), (run) =>
    `#${address.write({ run: run.name, sort: "loop:gain", down: 1 })}`);
  listenToJumps();
  listenToToolbar();
  listenToItems();
  listenToViewer();
  keys.listen();
  window.addEventListener("beforeprint", fillForPrint);
  window.addEventListener("hashchange", () => follow(location.hash.slice(1)));
  if (location.hash) follow(location.hash.slice(1));
  if (!state.run) selectRuns(DATA.runs[0]);
  byId("colophon").textContent = `rrvf ${DATA.version}`;
})();
