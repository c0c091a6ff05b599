// Two runs of one benchmark, item by item: what both made of it, and what changed from the first to
// the second. As in report.js, strings reach the page as text nodes only.
"use strict";
const makeCompare = (DATA, tools) => {
  const { DASH, h, svg, isNumber, asObject, asText, percent, plural, label, isolate } = tools;
  const { statusLabel, statusTitle, scoreOf, scorersOf, inPanelOrder, episodes, picture } = tools;
  const { widestOf, addDifferenceButton, bar, codeBlock } = tools;
  const SAME = 0.0005; // less is neither better nor worse
  const ALL = "*";
  const NOT_MEASURED = "unmeasured";
  const MOST_CELLS = 4e6;

  // --- which runs, and which items of them --------------------------------------------------

  const idsOf = (run) => new Set(run.items.map(({ id }) => id));
  const isAlike = (run, other) => run.pages === other.pages &&
    (run.table === other.table || !run.has_summary || !other.has_summary);

  // The runs that share items with one, and the benchmark, as far as it is known.
  function partners(run) {
    const ids = idsOf(run);
    return DATA.runs.filter((other) => other !== run && isAlike(run, other) &&
      other.items.some(({ id }) => ids.has(id)));
  }

  function match(first, second) {
    const [ids, others] = [idsOf(first), new Map()];
    for (const item of second.items) if (!others.has(item.id)) others.set(item.id, item);
    return {
      first,
      second,
      measures: measuresOf(first, second),
      entries: first.items.filter(({ id }) => others.has(id))
        .map((item, position) => ({ item, other: others.get(item.id), position })),
      onlyFirst: first.items.filter(({ id }) => !others.has(id)),
      onlySecond: second.items.filter(({ id }) => !ids.has(id)),
    };
  }

  // --- what changed -------------------------------------------------------------------------

  // The first one is what items are compared by unless the reader says otherwise.
  function measuresOf(first, second) {
    const known = scorersOf(second);
    const shared = scorersOf(first).filter((name) => known.includes(name));
    const main = shared.includes("average") ? ["average"]
      : partsOf(shared).length > 1 ? [ALL] : [];
    const runs = [first, second].every((run) => run.items.some(({ scores }) => scores.execution));
    return [...new Set([...main, ...shared, ...(runs ? ["execution"] : [])])];
  }

  const partsOf = (names) =>
    names.filter((name) => !["average", "execution", "gpt", ALL].includes(name));
  const nameOf = (measure) => (measure === ALL ? "Mean of scores" : label(measure));

  function valueOf(item, measure, measures) {
    if (measure !== ALL) return scoreOf(item, measure);
    const values = partsOf(measures).map((name) => scoreOf(item, name));
    return values.every(isNumber) ? values.reduce((a, b) => a + b, 0) / values.length : null;
  }

  function valuesOf(pairs, { item, other }, measure) {
    return [item, other].map((one) => valueOf(one, measure, pairs.measures));
  }

  function changeOf(pairs, entry, measure) {
    const [before, after] = valuesOf(pairs, entry, measure);
    return before === null || after === null ? null : after - before;
  }

  function outcomeOf(pairs, entry, measure) {
    const change = changeOf(pairs, entry, measure);
    if (change === null) return NOT_MEASURED;
    return Math.abs(change) < SAME ? "same" : change > 0 ? "better" : "worse";
  }

  const works = ({ status }) => status === "ok";
  const statusDiffers = ({ item, other }) => item.status !== other.status;

  // What the list can be narrowed down to: of each group whatever is pressed.
  function filters(pairs, measure) {
    const outcome = (key, text) => ({ key, group: "outcome", content: text,
      test: (entry) => outcomeOf(pairs, entry, measure) === key });
    const status = (key, content, test) => ({ key, group: "status", content, test });
    const only = (run) => ["only ", isolate(run.name), " works"];
    const all = [
      outcome("worse", "worse"), outcome("better", "better"), outcome("same", "same"),
      outcome(NOT_MEASURED, "not measured"),
      status("status-differs", "status differs", statusDiffers),
      status("only-first", only(pairs.first), ({ item, other }) => works(item) && !works(other)),
      status("only-second", only(pairs.second), ({ item, other }) => !works(item) && works(other)),
    ];
    return all.filter(({ key, test }) => key !== NOT_MEASURED || pairs.entries.some(test));
  }

  const sorts = (pairs, measure) => [
    ["order", "Order of the run", ({ position }) => position],
    ["id", "Id", ({ item }) => item.id],
    ["loss", "Largest loss first", (entry) => changeOf(pairs, entry, measure)],
    ["gain", "Largest gain first", (entry) => negated(changeOf(pairs, entry, measure))],
  ];
  const negated = (value) => (value === null ? null : -value);

  // --- one item of both ---------------------------------------------------------------------

  const badge = (status) => h("span", { class: "badge", title: statusTitle(status) },
    h("i", { class: "dot", "data-status": status }), isolate(statusLabel(status)));

  const badges = ({ item, other }) => (item.status === other.status ? badge(item.status)
    : [badge(item.status), h("span", { class: "to" }, "→"), badge(other.status)]);

  function course(pairs, entry, measure) {
    const [before, after] = valuesOf(pairs, entry, measure);
    return [h("span", { class: "muted small" }, nameOf(measure)), " ", percent(before),
      h("span", { class: "to" }, "→"), h("b", {}, percent(after)), " ", changeCell(before, after)];
  }

  const changeCell = (before, after) =>
    (before === null || after === null ? h("span", { class: "change" }, DASH)
      : episodes.arrow(after - before));

  const otherReference = ({ item, other }) =>
    item.reference !== null && other.reference !== null && item.reference !== other.reference;

  function header(entry) {
    return [badges(entry), otherReference(entry) && h("span", { class: "badge differ",
      title: "the two runs were given different references" }, "≠ references")];
  }

  // All at one scale.
  function pictures(pairs, { item, other }, open) {
    const { first, second } = pairs;
    const widest = Math.max(widestOf(item), widestOf(other));
    const [own, asked] = item.reference === null ? [second, other] : [first, item];
    const box = h("div", { class: first.pages ? "pictures pages versus" : "pictures versus" },
      picture(own, asked, "reference", "Reference", open, widest),
      picture(first, item, "rendering", first.name, open, widest),
      picture(second, other, "rendering", second.name, open, widest));
    addDifferenceButton(box, first, asDifference(pairs, { item, other }), open);
    return box;
  }

  // What the difference of both renderings is that of, for the tools that take one item.
  const asDifference = ({ first, second }, { item, other }) => ({ ...other,
    reference: item.rendering, rendering: other.rendering,
    between: ` of ${first.name} and ${second.name}` });

  function scoreTable(pairs, { item, other }) {
    const names = inPanelOrder([...new Set([item, other].flatMap(({ scores }) =>
      Object.keys(scores)))], ["average"]);
    if (!names.length) return null;
    const reason = (one, name) => asText(asObject(one.scores[name]).reason ?? "not scored");
    const cell = (one, name) => {
      const value = scoreOf(one, name);
      return h("td", {}, value === null ? h("abbr", { title: reason(one, name) }, DASH)
        : percent(value));
    };
    const row = (name) => {
      const [before, after] = [item, other].map((one) => scoreOf(one, name));
      return h("tr", { "data-scorer": name }, h("th", { scope: "row" }, isolate(label(name))),
        cell(item, name), h("td", { class: "course" }, bar(after, before)), cell(other, name),
        h("td", {}, changeCell(before, after)));
    };
    return h("table", { class: "versus-scores" }, h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, "Score"), h("th", { scope: "col" }, isolate(pairs.first.name)),
      h("td"), h("th", { scope: "col" }, isolate(pairs.second.name)),
      h("th", { scope: "col" }, "Change"))), h("tbody", {}, names.map(row)));
  }

  function errors({ first, second }, { item, other }) {
    return [[first, item], [second, other]].filter(([, { error }]) => error !== null)
      .map(([run, { error, status }]) => h("div", { class: "failure", "data-status": status },
        h("h4", {}, isolate(run.name)), h("pre", { class: "error" }, isolate(error))));
  }

  // `open` enlarges the pictures, `view` those of a turn; `linkTo` gives the address of an item.
  function body(pairs, entry, { open, view, linkTo }) {
    const both = [[pairs.first, entry.item], [pairs.second, entry.other]];
    return [
      errors(pairs, entry), pictures(pairs, entry, open), scoreTable(pairs, entry), code(both),
      both.map(([run, item]) => folded(episodes.section(run, item, view,
        `Episode of ${run.name}`))),
      h("p", { class: "small" }, h("span", { class: "muted" }, "Everything about it in "),
        both.map(([run, item], place) => [place > 0 && " · ",
          h("a", { href: linkTo(run, item) }, isolate(run.name))])),
    ];
  }

  function folded(section) {
    if (section !== null) section.open = false;
    return section;
  }

  // --- the code of both ---------------------------------------------------------------------

  function code(both) {
    const written = both.filter(([, item]) => item.code !== null);
    if (!written.length) return null;
    const [[run, { code: before }], [, { code: after }] = [null, {}]] = written;
    if (written.length === 1) return codeBlock(`Code of ${run.name}`, before, !run.pages);
    if (before === after) return h("p", { class: "muted small" }, "The code is the same in both.");
    const block = h("details", { class: "code changes" },
      h("summary", {}, "What changed in the code"));
    block.addEventListener("toggle", () => {
      if (block.open && block.children.length === 1) {
        block.append(...codeChanges(asText(before), asText(after)));
      }
    });
    return block;
  }

  function codeChanges(before, after) {
    const diff = lineDiff(before.split("\n"), after.split("\n"));
    if (diff === null) return [h("p", { class: "muted small" }, "Too long to be compared here.")];
    return [...episodes.changes(diff.join("\n"), "").children].slice(1);
  }

  // All lines of both, each behind its mark: the longest common subsequence stays.
  function lineDiff(before, after) {
    let [start, end] = [0, 0];
    const most = Math.min(before.length, after.length);
    while (start < most && before[start] === after[start]) start += 1;
    while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
    const [old, young] = [before, after].map((lines) => lines.slice(start, lines.length - end));
    if (old.length * young.length > MOST_CELLS) return null;
    const mark = (sign, lines) => lines.map((line) => sign + line);
    return [...mark(" ", before.slice(0, start)), ...middleDiff(old, young),
      ...mark(" ", before.slice(before.length - end))];
  }

  function middleDiff(old, young) {
    const width = young.length + 1;
    const common = new Uint16Array((old.length + 1) * width); // of what is left of both
    for (let i = old.length - 1; i >= 0; i -= 1) {
      for (let k = young.length - 1; k >= 0; k -= 1) {
        common[i * width + k] = old[i] === young[k] ? common[(i + 1) * width + k + 1] + 1
          : Math.max(common[(i + 1) * width + k], common[i * width + k + 1]);
      }
    }
    const lines = [];
    let [i, k] = [0, 0];
    while (i < old.length || k < young.length) {
      if (i < old.length && k < young.length && old[i] === young[k]) {
        lines.push(` ${old[i]}`);
        [i, k] = [i + 1, k + 1];
      } else if (k === young.length ||
          (i < old.length && common[(i + 1) * width + k] >= common[i * width + k + 1])) {
        lines.push(`-${old[i]}`);
        i += 1;
      } else {
        lines.push(`+${young[k]}`);
        k += 1;
      }
    }
    return lines;
  }

  // --- all items of both --------------------------------------------------------------------

  function summary(pairs, measure, { open, linkTo }) {
    return [
      h("div", { class: "versus-summary" }, meansTable(pairs), changesFigure(pairs, measure, open)),
      h("ul", { class: "notes" },
        warnings(pairs).map((text) => h("li", { class: "warning" }, text))),
      lone(pairs.first, pairs.onlyFirst, linkTo), lone(pairs.second, pairs.onlySecond, linkTo),
    ];
  }

  function meansTable(pairs) {
    const row = (measure) => {
      const both = pairs.entries.map((entry) => valuesOf(pairs, entry, measure))
        .filter((values) => values.every(isNumber));
      const means = [0, 1].map((side) => (both.length === 0 ? null
        : both.reduce((sum, values) => sum + values[side], 0) / both.length));
      return h("tr", { "data-scorer": measure },
        h("th", { scope: "row" }, isolate(nameOf(measure)), both.length < pairs.entries.length &&
          h("span", { class: "muted small" }, ` of ${plural(both.length, "item")}`)),
        means.map((mean) => h("td", {}, percent(mean))), h("td", {}, changeCell(...means)));
    };
    return h("table", { class: "versus-means" },
      h("caption", {}, `Means over ${plural(pairs.entries.length, "shared item")}`),
      h("thead", {}, h("tr", {}, h("td"),
        [pairs.first, pairs.second].map(({ name }) => h("th", { scope: "col" }, isolate(name))),
        h("th", { scope: "col" }, "Change"))),
      h("tbody", {}, pairs.measures.map(row)));
  }

  // A bar an item, from the largest loss to the largest gain.
  function changesFigure(pairs, measure, open) {
    const changes = pairs.entries
      .map((entry) => ({ entry, change: changeOf(pairs, entry, measure) }))
      .filter(({ change }) => change !== null).sort((a, b) => a.change - b.change);
    const count = (key) =>
      pairs.entries.filter((entry) => outcomeOf(pairs, entry, measure) === key).length;
    const told = ["worse", "better", "same"].map((key) => `${count(key)} ${key}`);
    if (count(NOT_MEASURED)) told.push(`${count(NOT_MEASURED)} not measured`);
    return h("figure", { class: "versus-changes" },
      h("figcaption", {}, h("b", {}, "Change by item"), " ",
        h("span", { class: "muted" }, isolate(nameOf(measure)), " · ", told.join(", "))),
      changes.length > 0 && changesPlot(pairs, measure, changes, told, open));
  }

  function changesPlot(pairs, measure, changes, told, open) {
    const [width, height, middle] = [480, 168, 84];
    const most = Math.max(0.05, ...changes.map(({ change }) => Math.abs(change)));
    const step = Math.min(width / changes.length, 40);
    const left = (width - step * changes.length) / 2;
    const gap = step > 4 ? 1.5 : 0;
    const bars = changes.map(({ entry, change }, index) => {
      const length = Math.max(2, ((middle - 16) * Math.abs(change)) / most);
      const kind = outcomeOf(pairs, entry, measure);
      const rect = svg("rect", { class: kind, x: left + index * step + gap / 2, width: step - gap,
        y: { better: middle - length, same: middle - 1 }[kind] ?? middle, height: length },
      svg("title", {}, `${entry.item.id}: ${change < 0 ? "−" : "+"}${percent(Math.abs(change))}`));
      rect.addEventListener("click", () => open(entry));
      return rect;
    });
    const text = (y, value) => svg("text", { x: 2, y }, value);
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Change by item: ${told.join(", ")}` },
    bars, svg("line", { class: "axis", x1: 0, x2: width, y1: middle, y2: middle }),
    text(11, `+${percent(most)}`), text(height - 4, `−${percent(most)}`));
  }

  function warnings({ first, second, entries }) {
    const modes = [first.mode, second.mode].map(asText);
    const unlike = entries.filter(otherReference).length;
    return [
      modes[0] !== modes[1] && [isolate(first.name), " was scored in ", isolate(modes[0] || "no"),
        " mode, ", isolate(second.name), " in ", isolate(modes[1] || "no"), " mode."],
      unlike > 0 && `${plural(unlike, "item")} with another reference in each run.`,
    ].filter(Boolean);
  }

  function lone(run, items, linkTo) {
    if (!items.length) return null;
    return h("details", { class: "lone-items" },
      h("summary", {}, `${plural(items.length, "item")} only in `, isolate(run.name)),
      h("ul", { class: "chips" }, items.map((item) => h("li", { class: "chip" },
        h("a", { href: linkTo(run, item) }, isolate(item.id))))));
  }

  return { partners, match, nameOf, filters, sorts, header, course, body, pictures, asDifference,
    summary, works };
};
