// Episodes: what a model thought, drew and was told, turn by turn, and the means by turn. As in
// report.js, strings reach the page as text nodes only. `tools` are the building blocks made there.
"use strict";
const makeEpisodes = (tools) => {
  const { h, svg, isolate, isNumber, percent, plural, label, asObject, asList, asText } = tools;
  const { scoreOf, worthOf, inPanelOrder, hasAverage, highlighted, frame, sizeOf, source } = tools;
  const { statusLabel, statusTitle } = tools;
  const DASH = "–";
  const LONG_THOUGHT = 420;
  const CONTEXT = 3; // unchanged lines shown around a change
  const SAME = 0.0005; // less is no rise and no fall
  const MOST_LABELS = 6;
  const STOPS = {
    answered: ["answered", "The model gave its answer."],
    max_turns: ["out of turns", "The last turn allowed was over without an answer."],
    token_budget: ["out of tokens", "The tokens allowed were used up without an answer."],
    time_budget: ["out of time", "The time allowed was over without an answer."],
    no_action: ["no action", "The model neither called its tool nor answered."],
    policy_error: ["policy failed", "The model could not be asked: not its failure, not scored."],
    harness_error: ["harness failed", "Drawing failed through no fault of the model: not scored."],
  };
  const TEACHER = {
    asked: "Comments of the teacher",
    failed: "The teacher failed; the model was told",
    not_asked: "Told without a teacher",
  };
  const known = (names, key, place) =>
    Object.hasOwn(names, key) ? names[key][place] : asText(key);

  // --- scores -------------------------------------------------------------------------------

  const asItem = (scores) => ({ scores: Object.fromEntries(
    Object.entries(asObject(scores)).map(([name, value]) => [name, { value }])) });
  const namesOf = (scores) => inPanelOrder(Object.keys(asObject(scores)), ["average"]);

  function main(scores) {
    const names = Object.keys(asObject(scores));
    return hasAverage(names) ? "average" : namesOf(scores)[0] ?? names[0];
  }

  function arrow(change) {
    if (Math.abs(change) < SAME) return h("span", { class: "change" }, "= same");
    const rises = change > 0;
    return h("span", { class: `change ${rises ? "rises" : "falls"}` },
      h("span", { "aria-hidden": "true" }, rises ? "▲ " : "▼ "),
      h("span", { class: "hidden" }, rises ? "rises by " : "falls by "),
      percent(Math.abs(change)));
  }

  // `last` holds the value that each score had before, and is brought up to date.
  function scoreList(scores, last) {
    if (scores === null) return null;
    const item = asItem(scores);
    const shown = namesOf(scores);
    const entries = (shown.length ? shown : Object.keys(item.scores)).map((name) => {
      const value = scoreOf(item, name);
      const before = last.get(name);
      if (value !== null) last.set(name, value);
      return h("li", { "data-scorer": name, class: name === main(scores) && "main" },
        h("span", { class: "name" }, isolate(label(name))),
        value === null ? h("abbr", { class: "value", title: "could not be scored" }, DASH)
          : h("b", { class: "value" }, percent(value)),
        value !== null && before !== undefined ? arrow(value - before) : h("span"));
    });
    return h("ul", { class: "worth" }, entries);
  }

  // --- code ---------------------------------------------------------------------------------

  function codeOf(step, isPython, title) {
    if (step.diff !== null) return changes(step.diff, title);
    if (step.code === null) return null;
    const text = asText(step.code);
    const content = isPython && text.length <= 30000 ? highlighted(text) : text;
    return h("details", { class: "code", open: true },
      h("summary", {}, title, h("span", { class: "muted small" },
        ` ${plural(text.split("\n").length, "line")}`)),
      h("pre", {}, h("code", {}, content)));
  }

  function changes(diff, title) {
    const lines = diff.split("\n").map((line) => ({ mark: line[0] ?? " ", text: line.slice(1) }));
    const [added, removed] = ["+", "-"].map((mark) =>
      lines.filter((line) => line.mark === mark).length);
    const told = added + removed === 0 ? "the same code as before"
      : [h("span", { class: "added" }, `+${added}`), " ",
        h("span", { class: "removed" }, `−${removed}`)];
    return h("details", { class: "code changes", open: added + removed > 0 },
      h("summary", {}, title, " ", h("span", { class: "small" }, told)),
      h("pre", {}, h("code", {}, folded(lines))));
  }

  // Long stretches without a change are folded away, to be opened.
  function folded(lines) {
    const near = new Set(lines.flatMap(({ mark }, index) => (mark === " " ? []
      : Array.from({ length: 2 * CONTEXT + 1 }, (_, step) => index + step - CONTEXT))));
    const parts = [];
    for (let start = 0; start < lines.length;) {
      let end = start;
      while (end < lines.length && near.has(end) === near.has(start)) end += 1;
      const run = lines.slice(start, end).map(diffLine);
      parts.push(near.has(start) || run.length < 3 ? run : foldedRun(run));
      start = end;
    }
    return parts;
  }

  function foldedRun(run) {
    const button = h("button", { type: "button", class: "fold" },
      `⋯ ${run.length} unchanged lines`);
    button.addEventListener("click", () => button.replaceWith(...run));
    return button;
  }

  function diffLine({ mark, text }) {
    const tag = { "+": "ins", "-": "del" }[mark] ?? "span";
    return h(tag, { class: "line" }, h("span", { class: "mark" },
      { "+": "+", "-": "−" }[mark] ?? " "), text, "\n");
  }

  // --- one turn -----------------------------------------------------------------------------

  function thought(text) {
    if (text === null || asText(text).trim() === "") return null;
    const whole = asText(text).trim();
    const paragraph = h("p", { class: "thought" });
    if (whole.length <= LONG_THOUGHT) return fillThought(paragraph, whole);
    const button = h("button", { type: "button", class: "button small" }, "Show all");
    button.addEventListener("click", () => fillThought(paragraph, whole));
    const start = whole.slice(0, LONG_THOUGHT).replace(/\s+\S*$/, "");
    return fillThought(paragraph, `${start} … `, button);
  }

  function fillThought(paragraph, ...content) {
    paragraph.replaceChildren(h("span", { class: "overline" }, "Thought"),
      ...content.map((part) => (typeof part === "string" ? isolate(part) : part)));
    return paragraph;
  }

  function comments(call) {
    if (!call.comments.length) return null;
    return h("section", { class: "comments" },
      h("h5", {}, Object.hasOwn(TEACHER, call.teacher) ? TEACHER[call.teacher] : "Told"),
      h("dl", {}, call.comments.map(({ head, text }) => h("div", {},
        head !== null && h("dt", {}, isolate(head)), h("dd", {}, isolate(text))))));
  }

  function drawing(run, item, name, alt, why, open) {
    const address = name === null ? null : source(name);
    if (address === null) return h("p", { class: "no-picture" }, why);
    const size = sizeOf(name);
    const image = h("img", { src: address, alt, loading: "lazy", decoding: "async",
      width: size?.[0], height: size?.[1] });
    if (run.pages) image.style.width = "100%";
    return h("div", { class: run.pages ? "drawing pages" : "drawing" },
      frame(image, `Enlarge the ${alt}`, open, run.pages && size ? size[1] / size[0] : 0));
  }

  function callRow(run, item, call, place, first, last, view) {
    const alt = `rendering of turn ${place} of ${item.id}`;
    const why = call.picture_lost ? "picture file not found" : "no picture";
    const failed = call.status !== "ok";
    return h("div", { class: "step", "data-status": call.status },
      h("div", { class: "wrote" }, first, codeOf(call, !run.pages, "Code")),
      h("div", { class: "got" },
        failed && h("p", { class: "badge", title: statusTitle(call.status) },
          h("i", { class: "dot", "data-status": call.status }), isolate(statusLabel(call.status))),
        failed && call.error !== null && h("pre", { class: "error" }, isolate(call.error)),
        (!failed || call.picture !== null) && drawing(run, item, call.picture, alt, why,
          () => view({ ...item, id: `${item.id} · turn ${place}`, rendering: call.picture,
            rendering_lost: call.picture_lost, status: call.status })),
        scoreList(call.scores, last), comments(call)));
  }

  function answerRow(run, item, answer, first, last, view) {
    const failed = item.status !== "ok";
    return h("div", { class: "step" },
      h("div", { class: "wrote" }, first, codeOf(answer, !run.pages, "Answer")),
      h("div", { class: "got" },
        failed && h("p", { class: "badge", title: statusTitle(item.status) },
          h("i", { class: "dot", "data-status": item.status }), isolate(statusLabel(item.status))),
        item.rendering !== null && drawing(run, item, item.rendering,
          `rendering of the answer of ${item.id}`, "", () => view(item)),
        scoreList(answer.scores, last)));
  }

  function turnSection(run, item, turn, place, last, view) {
    let first = [thought(turn.thought), turn.written !== null && h("div", {},
      h("h5", {}, "As written"), h("pre", { class: "written" }, isolate(turn.written)))];
    const rows = turn.calls.map((call) => {
      const row = callRow(run, item, call, place, first, last, view);
      first = [];
      return row;
    });
    if (turn.answer !== null) rows.push(answerRow(run, item, turn.answer, first, last, view));
    if (!rows.length) rows.push(h("div", { class: "step" }, h("div", { class: "wrote" }, first)));
    const title = turn.answer === null ? `Turn ${place}` : `Turn ${place} · Answer`;
    return h("li", { class: turn.answer === null ? "turn" : "turn answer" },
      h("h4", {}, title, turn.seconds >= 0.05 &&
        h("span", { class: "muted small" }, `${turn.seconds.toFixed(1)} s`)), rows);
  }

  // --- one episode --------------------------------------------------------------------------

  function path(turns) {
    const worths = turns.flatMap((turn) => [...turn.calls, ...(turn.answer ? [turn.answer] : [])])
      .map(({ scores }) => scores).filter((scores) => scores !== null);
    const values = worths.map((scores) => scoreOf(asItem(scores), main(scores)));
    return values.length ? course(label(main(worths[0])), values) : null;
  }

  function course(name, values) {
    return h("span", { class: "path" }, h("span", { class: "muted" }, name), " ",
      values.map((value, index) => [index > 0 && h("span", { class: "muted" }, " → "),
        index === values.length - 1 ? h("b", {}, percent(value)) : percent(value)]));
  }

  const teacherCalls = (episode) => episode.turns.flatMap(({ calls }) => calls)
    .filter(({ teacher }) => teacher === "asked").length;

  function ending(episode, item) {
    const reason = episode.stop_reason;
    const scored = reason !== "answered" && item.code !== null && item.status !== "harness_error"
      ? " The last code that rendered is scored."
      : ["answered", "policy_error", "harness_error"].includes(reason) ? ""
        : " It counts as a failure.";
    return h("p", { class: "ending" }, h("b", {}, "Stopped: ", isolate(known(STOPS, reason, 0))),
      " ", h("span", { class: "muted" },
        Object.hasOwn(STOPS, reason) ? STOPS[reason][1] : "", scored),
      episode.error !== null && h("pre", { class: "error" }, isolate(episode.error)));
  }

  function section(run, item, view, title = "Episode") {
    const { episode } = item;
    if (episode === null) return null;
    const last = new Map();
    const asked = teacherCalls(episode);
    const facts = [plural(episode.n_turns, "turn"), known(STOPS, episode.stop_reason, 0),
      asked > 0 && `teacher asked ${asked === 1 ? "once" : `${asked} times`}`,
      isNumber(episode.seconds) && `${episode.seconds.toFixed(1)} s`].filter(Boolean);
    const target = h("li", { class: "turn target" }, h("h4", {}, "Target"),
      drawing(run, item, item.reference, `target of ${item.id}`, "no picture of the target",
        () => view(item)));
    const cut = episode.n_turns - episode.turns.length;
    return h("details", { class: "episode", open: true },
      h("summary", {}, h("b", {}, isolate(title)), " ",
        h("span", { class: "muted small" }, isolate(facts.join(" · "))), path(episode.turns)),
      h("ol", {}, target,
        episode.turns.map((turn, index) => turnSection(run, item, turn, index + 1, last, view)),
        h("li", { class: "turn end" },
          cut > 0 && h("p", { class: "muted small" }, `${plural(cut, "turn")} not shown here`),
          ending(episode, item))));
  }

  // --- links to episodes --------------------------------------------------------------------

  function largestGainFirst(run) {
    const gainOf = ({ loop }) => loop?.gain ?? -Infinity;
    return run.items.filter(({ episode }) => episode !== null)
      .sort((a, b) => (gainOf(a) === gainOf(b) ? 0 : gainOf(b) - gainOf(a)));
  }

  function link(run, item, href, withRun) {
    const { episode } = item;
    const draft = episode.turns.flatMap(({ calls }) => calls)
      .find(({ picture }) => picture !== null);
    const values = [draft ? worthOf(asItem(draft.scores)) : null, worthOf(item)].filter(isNumber);
    return h("a", { class: run.pages ? "episode-link pages" : "episode-link", href },
      h("span", { class: "thumbnails" }, thumbnail(item.reference, "Target"),
        thumbnail(draft?.picture ?? null, "First drawing"), thumbnail(item.rendering, "Answer")),
      h("span", { class: "episode-name" }, h("b", {}, isolate(item.id)),
        withRun && h("span", { class: "muted small" }, isolate(run.name))),
      h("span", { class: "small" }, isolate(plural(episode.n_turns, "turn")), " ",
        values.length > 0 && course("Mean score", values)));
  }

  function thumbnail(name, title) {
    const address = name === null ? null : source(name);
    const size = name === null ? null : sizeOf(name);
    return h("span", { class: "thumbnail" }, h("span", { class: "muted" }, title),
      h("span", { class: "frame" }, address === null ? h("span", { class: "no-picture" }, DASH)
        : h("img", { src: address, alt: "", loading: "lazy", decoding: "async",
          width: size?.[0], height: size?.[1] })));
  }

  const SORTS = [
    ["loop:gain", "Gain of the loop", ({ item }) => item.loop?.gain ?? null],
    ["loop:collapse", "Collapse of the loop", ({ item }) => item.loop?.collapse ?? null],
  ];

  function badge({ episode, loop }) {
    if (episode === null) return null;
    const reason = episode.stop_reason;
    return h("span", { class: "tag" }, isolate(plural(episode.n_turns, "turn")),
      reason !== "answered" && [", ", isolate(known(STOPS, reason, 0))],
      isNumber(loop?.gain) && `, ${signed(loop.gain)}`,
      isNumber(loop?.collapse) && loop.collapse > 0 && `, ${signed(-loop.collapse)} from its best`);
  }

  function signed(points) {
    return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)} points`;
  }

  // --- the figure ---------------------------------------------------------------------------

  function figure(run) {
    const told = asObject(run.episodes);
    const rows = asList(told.by_turn).map(asObject).filter(({ carried }) => carried);
    const columns = [...new Set(rows.flatMap(({ carried }) => Object.keys(asObject(carried))))]
      .filter((name) => rows.some(({ carried }) => isNumber(carried[name])));
    return { counts: counts(told), plots: columns.map((name) => plot(name, rows)),
      note: note(told, rows) };
  }

  function counts(told) {
    const list = (values, say) => Object.entries(asObject(values)).filter(([, n]) => n)
      .map(([key, n]) => say(key, n)).join(", ");
    return [
      isNumber(told.n) && plural(told.n, "episode") + lengths(asObject(told.turns), told.n),
      list(told.stop_reasons, (reason, n) => `${n} ${known(STOPS, reason, 0)}`),
      list(told.teacher, (part, n) => ({ asked: `teacher asked ${plural(n, "time")}`,
        failed: `failed ${plural(n, "time")}`,
        not_asked: `not asked ${plural(n, "time")}` })[part] ?? ""),
    ].filter(Boolean).join(" · ");
  }

  function lengths(turns, n) {
    const known = Object.entries(turns).map(([length, count]) => [Number(length), count])
      .filter((pair) => pair.every(isNumber));
    if (!known.length) return "";
    const [least, most] = [Math.min, Math.max].map((of) => of(...known.map(([length]) => length)));
    if (least === most) return ` of ${plural(least, "turn")}`;
    const mean = known.reduce((sum, [length, count]) => sum + length * count, 0) / n;
    return ` of ${least} to ${most} turns, ${mean.toFixed(1)} on average`;
  }

  function note(told, rows) {
    const unanswered = Object.keys(asObject(told.stop_reasons)).some((key) => key !== "answered");
    const all = rows[0]?.n_carried;
    return `Mean over all ${isNumber(all) ? `${plural(all, "episode")}` : "episodes"}, each with ` +
      "the last code it had shown by then: an episode that stopped keeps its last scores, one " +
      "without any code so far counts as 0. So every point is of the same episodes. " +
      "n: episodes with code in that very turn." + (unanswered
        ? " The table counts answers: an episode that ended without one may count as 0 there." : "");
  }

  function plot(name, rows) {
    const values = rows.map(({ carried }) => carried[name]);
    const measured = values.filter(isNumber);
    const [first, end] = [measured[0], measured.at(-1)];
    return h("figure", { class: "histogram by-turn" },
      h("figcaption", {}, h("b", {}, isolate(label(name))), " ",
        h("span", { class: "mean" }, isNumber(end) ? end.toFixed(1) : DASH),
        measured.length > 1 && h("span", { class: "muted small since" },
          arrow((end - first) / 100), ` since turn ${asText(rows[0].turn)}`)),
      plotted(name, rows, values));
  }

  function plotted(name, rows, values) {
    const [width, top, base] = [200, 16, 78];
    const x = (index) => (rows.length === 1 ? width / 2
      : 14 + ((width - 28) * index) / (rows.length - 1));
    const y = (value) => base - ((base - top) * Math.max(0, Math.min(100, value))) / 100;
    const points = values.map((value, index) => ({ value, index })).filter((p) => isNumber(p.value));
    const every = Math.ceil(rows.length / MOST_LABELS);
    const labelled = (index) => index % every === 0 || index === rows.length - 1;
    const text = (index, height, words, kind) => svg("text", { x: x(index), y: height,
      "text-anchor": "middle", class: kind }, words);
    const line = points.map(({ value, index }) => `${x(index)},${y(value)}`).join(" ");
    const told = points.map(({ value, index }) => `turn ${asText(rows[index].turn)}: ${value.toFixed(1)}`);
    return svg("svg", { viewBox: `0 0 ${width} 106`, role: "img",
      "aria-label": `${label(name)}, mean by turn: ${told.join(", ")}` },
    svg("line", { class: "grid-line", x1: 0, x2: width, y1: y(100), y2: y(100) }),
    svg("line", { class: "grid-line", x1: 0, x2: width, y1: y(50), y2: y(50) }),
    svg("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }),
    svg("polyline", { class: "course", points: line }),
    points.map(({ value, index }) => svg("circle", { cx: x(index), cy: y(value), r: 3.5 },
      svg("title", {}, pointTitle(name, rows[index])))),
    points.filter(({ index }) => labelled(index)).map(({ value, index }) =>
      text(index, y(value) - 7, value.toFixed(0), "figure")),
    rows.map((row, index) => labelled(index) && [text(index, base + 13, asText(row.turn)),
      text(index, base + 25, `n ${asText(row.n)}`, "count")]));
  }

  function pointTitle(name, row) {
    const own = asObject(row.metrics)[name];
    return `turn ${asText(row.turn)}: ${row.carried[name].toFixed(2)} over all episodes` +
      (isNumber(own) ? `, ${own.toFixed(2)} over the ${asText(row.n)} with code in this turn` : "");
  }

  return { section, badge, figure, arrow, changes, link, largestGainFirst, SORTS };
};
