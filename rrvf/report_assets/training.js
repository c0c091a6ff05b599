// A training run: its curves, and the rollouts it kept. As in report.js, strings reach the page as
// text nodes only.
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const {
    DASH, h, svg, byId, isNumber, isObject, asText, plural, label, statusLabel, statusTitle,
    isolate, episodes, factTable, pictures, showDifference, isComparable, source,
  } = makeBlocks(DATA);
  const SMOOTH_FROM = 40; // points from which a line is smoothed
  const MOST_BARS = 120;
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BASE] = [320, 150, 38, 6, 8, 126];
  const MINUS = "−";

  // What is drawn: a measure, its name, what it is, and how. "share" is 0 to 1, shown in percent;
  // "zero" has 0 on its axis.
  const SECTIONS = [
    ["Reward", [
      ["reward", "Reward", "mean of the episodes", {}],
      ["reward/vision", "R_vision", "likeness of the answer", { zero: true }],
      ["reward/format", "R_format", "0 at best, −1 at worst", { zero: true }],
      ["reward/tool", "R_tool", "tool calls that worked", { zero: true }],
    ]],
    ["Signal", [
      ["reward_std_in_groups", "Advantage spread", "std within a group",
        { zero: true, grouped: true }],
      ["reward_std", "Spread of rewards", "std over a batch", { zero: true }],
      ["frac_reward_zero_std", "Groups without spread", "of all groups",
        { share: true, grouped: true }],
      ["unscored", "Without a reward", "of episodes", { share: true }],
    ]],
    ["Answers", [
      ["runnable", "Runnable", "of episodes", { share: true }],
      ["likeness_of_runnable", "Likeness of runnable answers", "R_vision",
        { zero: true }],
      ["score/*", "", "", { zero: true }],
    ]],
    ["Episodes", [
      ["turns", "Turns", "an episode", { zero: true }],
      ["tool_calls", "Tool calls", "an episode", { zero: true }],
      ["tool_failures", "Tool failures", "an episode", { zero: true }],
      ["completions/mean_length", "Length", "tokens an episode", { zero: true }],
      ["completions/clipped_ratio", "Without an end", "of episodes, cut",
        { share: true }],
    ]],
    ["Optimisation", [
      ["loss", "Loss", "", {}],
      ["kl", "KL", "from the reference model", { zero: true }],
      ["entropy", "Entropy", "nats a token", { zero: true }],
      ["grad_norm", "Gradient norm", "before clipping", { zero: true }],
      ["learning_rate", "Learning rate", "", { zero: true }],
      ["mean_token_accuracy", "Token accuracy", "", { share: true }],
    ]],
  ];
  const SPEED = ["tokens_per_second", "Tokens per second", "generated",
    { zero: true }];
  const PHASES = ["generate", "render", "judge", "prompts", "wait"];
  const FAILURES = ["judge", "teacher", "harness"];
  const STOPS = ["answered", "max_turns", "token_budget", "no_action", "time_budget",
    "policy_error", "harness_error"];
  const words = (name) => asText(name).replaceAll("_", " ");

  // --- numbers ------------------------------------------------------------------------------

  function figure(value, share) {
    if (!isNumber(value)) return DASH;
    const text = share ? `${trimmed(100 * value)} %` : trimmed(value);
    return text.replace("-", MINUS);
  }

  function trimmed(value) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e6 || size < 1e-3) return value.toExponential(1);
    if (size >= 1000) return Math.round(value).toLocaleString("en");
    return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  }

  // About so many round figures inside; a step is 1, 2 or 5 times a power of ten.
  function ticks([least, most], wanted) {
    const raw = (most - least) / wanted;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= raw * 0.999);
    const first = Math.ceil(least / step - 1e-9);
    const last = Math.floor(most / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, index) =>
      Number(((first + index) * step).toPrecision(12)));
  }

  function quantile(sorted, part) {
    return sorted[Math.round(part * (sorted.length - 1))];
  }

  // Mean of the points around each one, nearer ones counting more; where nothing was measured
  // there is none.
  const reachOf = (n) => Math.max(2, Math.round(n / 30));
  function smoothed(values) {
    const reach = reachOf(values.length);
    return values.map((value, index) => {
      if (!isNumber(value)) return null;
      let [sum, weights] = [0, 0];
      for (let way = -reach; way <= reach; way += 1) {
        const near = values[index + way];
        if (!isNumber(near)) continue;
        const weight = reach + 1 - Math.abs(way);
        sum += weight * near;
        weights += weight;
      }
      return sum / weights;
    });
  }

  // --- one measure --------------------------------------------------------------------------

  const valuesOf = (part, name) => (Object.hasOwn(part.values, name) ? part.values[name] : null);

  function course(part, name) {
    const values = valuesOf(part, name);
    if (values === null || !values.some(isNumber)) return null;
    const smooth = values.length >= SMOOTH_FROM;
    return { steps: part.steps, values, smooth, line: smooth ? smoothed(values) : values };
  }

  function range(courses, { share, zero }) {
    if (share) return [0, 1];
    const extents = courses.flatMap(({ values, line }) => {
      // Single steps far off would press all others flat: they are drawn at the edge.
      const sorted = values.filter(isNumber).sort((a, b) => a - b);
      const [low, high] = sorted.length >= SMOOTH_FROM ? [0.01, 0.99] : [0, 1];
      return [quantile(sorted, low), quantile(sorted, high), ...line.filter(isNumber)];
    });
    if (zero) extents.push(0);
    const least = extents.reduce((a, b) => Math.min(a, b));
    const most = extents.reduce((a, b) => Math.max(a, b));
    if (least === most) {
      const room = Math.abs(most) * 0.1 || 1;
      return [zero ? least : least - room, most + room];
    }
    const room = (most - least) * 0.06;
    return [zero && least === 0 ? 0 : least - room, zero && most === 0 ? 0 : most + room];
  }

  const scaleX = ([first, last]) => (step) => (first === last ? (LEFT + WIDTH - RIGHT) / 2
    : LEFT + ((WIDTH - LEFT - RIGHT) * (step - first)) / (last - first));
  const scaleY = ([least, most]) => (value) => {
    const share = (value - least) / (most - least);
    return BASE - (BASE - TOP) * Math.max(0, Math.min(1, share));
  };
  const at = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

  function linePath({ steps, line }, x, y) {
    let open = false;
    const parts = line.map((value, index) => {
      const command = open ? "L" : "M";
      open = isNumber(value);
      return open ? `${command}${at(x(steps[index]), y(value))}` : "";
    });
    return parts.join("");
  }

  // Points are strokes of no length with round ends: one element, however many.
  function pointPath({ steps, values }, x, y, wanted) {
    return values.map((value, index) => (isNumber(value) && wanted(value, index)
      ? `M${at(x(steps[index]), y(value))}h0` : "")).join("");
  }

  // A point between two gaps has no line: it must be seen all the same.
  const lone = ({ values }) => (_, index) =>
    !isNumber(values[index - 1]) && !isNumber(values[index + 1]);

  function drawn(one, kind, x, y, [least, most]) {
    const inside = (value) => value >= least && value <= most;
    const few = one.values.length <= SMOOTH_FROM;
    return [
      one.smooth && svg("path", { class: `points ${kind}`, d: pointPath(one, x, y, inside) }),
      svg("path", { class: `off ${kind}`, d: pointPath(one, x, y, (value) => !inside(value)) }),
      svg("path", { class: `course ${kind}`, d: linePath(one, x, y) }),
      svg("path", { class: `dots ${kind}`,
        d: pointPath(one, x, y, few && !one.smooth ? () => true : lone(one)) }),
    ];
  }

  // All with as many digits as tell them apart.
  function tickText(value, marks, share) {
    const scale = share ? 100 : 1;
    const step = (marks.length > 1 ? marks[1] - marks[0] : Math.abs(value)) * scale;
    const size = Math.max(...marks.map(Math.abs)) * scale;
    if (value === 0) return share ? "0 %" : "0";
    if (size >= 1e5 || step < 1e-4) return figure(value, share);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const text = (value * scale).toLocaleString("en", { minimumFractionDigits: digits,
      maximumFractionDigits: digits });
    return (share ? `${text} %` : text).replace("-", MINUS);
  }

  function axes(domain, x, span, y, share) {
    const marks = ticks(domain, 4);
    return [
      marks.map((value) => [
        svg("line", { class: "grid-line", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value),
          y2: y(value) }),
        svg("text", { x: LEFT - 5, y: y(value) + 3.5, "text-anchor": "end" },
        tickText(value, marks, share)),
      ]),
      svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: BASE, y2: BASE }),
      stepTicks(span).map((step) => svg("text", { x: x(step), y: BASE + 15,
        "text-anchor": x(step) > WIDTH - RIGHT - 12 ? "end" : "middle" },
      step.toLocaleString("en"))),
    ];
  }

  function stepTicks([first, last]) {
    if (first === last) return [first];
    return ticks([first, last], 4).filter(Number.isInteger);
  }

  // --- panels -------------------------------------------------------------------------------

  // All panels stand on the same steps, and one cursor goes through all of them.
  const cursor = { panels: [], steps: [], index: null };

  function panel(name, title, about, options, run, span) {
    const { train, held_out: heldOut } = run.curves;
    const own = course(train, name);
    const other = options.grouped && run.lone_held_out ? null : course(heldOut, name);
    const courses = [own, other].filter(Boolean);
    if (!courses.length) return null;
    const domain = range(courses, options);
    const [x, y] = [scaleX(span), scaleY(domain)];
    const readout = h("p", { class: "readout lines small" });
    const mark = svg("line", { class: "cursor", y1: TOP, y2: BASE, x1: -9, x2: -9 });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0",
      "aria-label": spoken(title, own ?? other, options.share) },
    axes(domain, x, span, y, options.share),
    own && drawn(own, "train", x, y, domain),
    other && drawn(other, "held-out", x, y, domain), mark);
    return finished(picture, mark, readout, x, { title, about, name }, (step) => [
      own && side("train", isNumber(step) ? told(own, step, options.share) : last(own, options)),
      other && side("held-out",
        isNumber(step) ? toldBefore(other, step, options.share) : last(other, options)),
    ]);
  }

  function finished(picture, mark, readout, x, { title, about, name }, say) {
    const show = (step) => {
      mark.setAttribute("x1", step === null ? -9 : x(step));
      mark.setAttribute("x2", step === null ? -9 : x(step));
      readout.replaceChildren(...say(step).flat().filter(Boolean));
    };
    show(null);
    cursor.panels.push(show);
    listenTo(picture, x);
    return h("figure", { class: "curve", "data-measure": name },
      h("figcaption", {}, h("b", {}, isolate(title)), " ",
        h("span", { class: "muted small" }, about), readout), picture);
  }

  const entry = (kind, ...content) => h("span", { class: "entry" },
    h("i", { class: `key ${kind}`, "aria-hidden": "true" }), content);
  const side = (kind, content) =>
    entry(kind, h("span", { class: "hidden" }, `${kind} `), content);

  function last({ line, steps }, { share }) {
    const index = line.findLastIndex(isNumber);
    const first = figure(line.find(isNumber), share);
    const from = first !== figure(line[index], share)
      && h("span", { class: "muted" }, ` from ${first}`);
    const gone = steps.length - 1 > index
      && h("span", { class: "muted" }, ` at ${steps[index].toLocaleString("en")}`);
    return [h("b", {}, figure(line[index], share)), from, gone];
  }

  function told({ steps, values, line, smooth }, step, share) {
    const index = steps.indexOf(step);
    const value = index < 0 ? null : values[index];
    return [h("b", {}, figure(value, share)), smooth && isNumber(value)
      && h("span", { class: "muted" }, ` mean ${figure(line[index], share)}`)];
  }

  function toldBefore({ steps, values }, step, share) {
    const index = steps.findLastIndex((one) => one <= step);
    if (index < 0) return h("b", {}, DASH);
    return [h("b", {}, figure(values[index], share)), steps[index] !== step
      && h("span", { class: "muted" }, ` at ${steps[index].toLocaleString("en")}`)];
  }

  function spoken(title, { steps, line }, share) {
    const known = line.map((value, index) => ({ value, step: steps[index] }))
      .filter(({ value }) => isNumber(value));
    const [first, end] = [known[0], known.at(-1)];
    return `${title} by step: ${figure(first.value, share)} at step ${first.step}, ` +
      `${figure(end.value, share)} at step ${end.step}`;
  }

  function listenTo(picture, x) {
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const place = ((event.clientX - box.left) / box.width) * WIDTH;
      point(nearest(cursor.steps.map(x), place));
    });
    picture.addEventListener("pointerleave", () => point(null));
    picture.addEventListener("blur", () => point(null));
    picture.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way === undefined) return;
      event.preventDefault();
      const from = cursor.index ?? (way < 0 ? cursor.steps.length : -1);
      point(Math.max(0, Math.min(cursor.steps.length - 1, from + way)));
    });
  }

  // The places stand in their order.
  function nearest(places, wanted) {
    let [low, high] = [0, places.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (places[middle] <= wanted) low = middle;
      else high = middle;
    }
    return wanted - places[low] <= places[high] - wanted ? low : high;
  }

  function point(index) {
    if (index === cursor.index) return;
    cursor.index = index;
    const step = index === null ? null : cursor.steps[index];
    for (const show of cursor.panels) show(step);
    byId("curves-note").textContent = step === null ? cursor.note
      : `Step ${step.toLocaleString("en")}`;
  }

  // --- stacks -------------------------------------------------------------------------------

  // Parts of a whole, step by step; a step of which nothing is known stays empty.
  function stack(key, title, about, names, run, span, { unit = "", share = false, total } = {}) {
    const { steps } = run.curves.train;
    const rows = steps.map((_, index) => names.map(({ values }) => values[index]));
    const sums = rows.map((row) => (row.some(isNumber)
      ? row.reduce((sum, value) => sum + Math.max(0, value ?? 0), 0) : null));
    if (!sums.some(isNumber)) return null;
    const bars = binned(steps, rows);
    const most = share ? 1 : bars.map(({ row }) => row.reduce((a, b) => a + Math.max(0, b ?? 0), 0))
      .reduce((a, b) => Math.max(a, b)) * 1.05 || 1;
    const [x, y] = [scaleX(span), scaleY([0, most])];
    const mark = svg("line", { class: "cursor", y1: TOP, y2: BASE, x1: -9, x2: -9 });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0",
      "aria-label": `${title} by step: ${names.map(({ name }) => name).join(", ")}` },
    axes([0, most], x, span, y, share),
    names.map(({ kind }, place) => svg("path", { class: `bars ${kind}`,
      d: barPath(bars, place, x, y) })), mark);
    return finished(picture, mark, h("p", { class: "readout small" }), x,
      { title, about, name: key }, (step) => {
        const index = step === null ? steps.length - 1 : steps.indexOf(step);
        return names.map(({ name, kind, values, sum }) => entry(kind, h("span", {}, `${name} `),
          h("b", {}, step === null && total ? figure(sum, false)
            : figure(index < 0 ? null : values[index], share)), unit));
      });
  }

  function binned(steps, rows) {
    const size = Math.ceil(steps.length / MOST_BARS);
    const bars = [];
    for (let start = 0; start < steps.length; start += size) {
      const part = rows.slice(start, start + size);
      const means = rows[0].map((_, place) => {
        const known = part.map((row) => row[place]).filter(isNumber);
        return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
      });
      bars.push({ from: steps[start], to: steps[Math.min(start + size, steps.length) - 1],
        row: means });
    }
    return bars;
  }

  function barPath(bars, place, x, y) {
    const room = (WIDTH - LEFT - RIGHT) / bars.length;
    const width = Math.min(room * (bars.length > 40 ? 1 : 0.8), 22);
    return bars.map(({ from, to, row }) => {
      const below = row.slice(0, place).reduce((sum, value) => sum + Math.max(0, value ?? 0), 0);
      const value = Math.max(0, row[place] ?? 0);
      if (value === 0) return "";
      const middle = (x(from) + x(to)) / 2;
      const left = Math.max(LEFT, Math.min(WIDTH - RIGHT - width, middle - width / 2));
      return `M${at(left, y(below))}V${y(below + value).toFixed(1)}h${width.toFixed(2)}` +
        `V${y(below).toFixed(1)}z`;
    }).join("");
  }

  const inOrder = (values, prefix, order) => {
    const found = Object.keys(values).filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
    return [...order.filter((name) => found.includes(name)),
      ...found.filter((name) => !order.includes(name))];
  };

  function stopPanel(run, span) {
    const { values } = run.curves.train;
    const names = inOrder(values, "stop/", STOPS).filter((name) =>
      values[`stop/${name}`].some((value) => value > 0))
      .map((name) => ({ name: words(name), kind: `stop-${STOPS.indexOf(name)}`,
        values: values[`stop/${name}`] }));
    return names.length ? stack("stop/*", "How episodes ended", "share", names, run, span,
      { share: true }) : null;
  }

  function failurePanel(run, span) {
    const { train: { values }, batch, totals } = run.curves;
    const names = FAILURES.filter((name) => Object.hasOwn(values, `${name}_failures`))
      .map((name) => ({ name: words(name), kind: `failure-${name}`, sum: totals[`${name}_failures`],
        values: values[`${name}_failures`].map((value) =>
          (isNumber(value) && batch ? Number((value * batch).toPrecision(4)) : value)) }));
    return names.length ? stack("*_failures", "Failures of ours",
      batch ? `per ${batch} rollouts, and in all` : "an episode", names, run, span,
      { total: batch !== null }) : null;
  }

  // What a step's phases leave over is the update, with whatever else there is.
  function phasePanel(run, span) {
    const { values } = run.curves.train;
    const phases = inOrder(values, "seconds/", PHASES);
    if (!phases.length) return null;
    const names = phases.map((name) => ({ name: words(name),
      kind: `phase-${PHASES.indexOf(name)}`, values: values[`seconds/${name}`] }));
    const whole = valuesOf(run.curves.train, "step_time");
    if (whole) {
      const rest = whole.map((value, index) => {
        const known = names.map((one) => one.values[index]).filter(isNumber);
        return isNumber(value) && known.length
          ? Math.max(0, value - known.reduce((a, b) => a + b, 0)) : null;
      });
      names.push({ name: "update", kind: "phase-update", values: rest });
    }
    return stack("seconds/*", "Seconds by phase", "a step", names, run, span, { unit: " s" });
  }

  // --- the figure ---------------------------------------------------------------------------

  function renderCurves(run) {
    const { train, held_out: heldOut } = run.curves;
    const steps = [...new Set([...train.steps, ...heldOut.steps])].sort((a, b) => a - b);
    byId("curves").hidden = steps.length === 0;
    Object.assign(cursor, { panels: [], steps, index: null, note: curveNote(run) });
    if (!steps.length) return;
    const span = [steps[0], steps.at(-1)];
    const absent = [];
    const parts = SECTIONS.map(([title, list]) => [title, list.flatMap((spec) => {
      const made = (spec[0] === "score/*" ? scoreSpecs(run) : [spec])
        .map((one) => [one, panel(...one, run, span)]);
      absent.push(...made.filter(([, shown]) => shown === null).map(([one]) => one));
      return made.map(([, shown]) => shown).filter(Boolean);
    })]);
    const partOf = (title) => parts.find(([name]) => name === title)[1];
    partOf("Episodes").push(stopPanel(run, span));
    parts.splice(4, 0, ["Failures and speed", [failurePanel(run, span),
      panel(...SPEED, run, span), phasePanel(run, span)]]);
    byId("panels").replaceChildren(...parts.map(([title, list]) => [title, list.filter(Boolean)])
      .filter(([, list]) => list.length)
      .map(([title, list]) => h("section", { class: "part" }, h("h3", {}, title),
        h("div", { class: "curve-grid" }, list))));
    byId("curves-note").textContent = cursor.note;
    byId("absent").textContent = absentNote(run, absent);
  }

  function scoreSpecs(run) {
    const names = new Set([run.curves.train, run.curves.held_out].flatMap(({ values }) =>
      inOrder(values, "score/", [])));
    names.delete("execution"); // runnable says it
    return [...names].map((name) => [`score/${name}`, label(name), "score",
      { zero: true }]);
  }

  function curveNote(run) {
    const { train, held_out: heldOut } = run.curves;
    const parts = [];
    if (train.stretch > 1) parts.push(`each point is the mean of ${train.stretch} logged steps`);
    if (Math.max(train.steps.length, heldOut.steps.length) >= SMOOTH_FROM) {
      parts.push("dots are single steps, lines a mean over the " +
        `${2 * reachOf(train.steps.length) + 1} around`, "larger dots at an edge lie beyond it");
    }
    parts.push("what was not measured is a gap");
    const text = parts.join("; ");
    return `${text[0].toUpperCase()}${text.slice(1)}.`;
  }

  // Only what one would look for.
  function absentNote(run, absent) {
    const wanted = absent.filter(([name]) => ["kl", "likeness_of_runnable", "runnable", "reward",
      "entropy"].includes(name) && !(name !== "entropy" && !run.reward));
    if (!wanted.length) return "";
    const names = wanted.map(([name, title]) =>
      (name === "kl" && run.no_kl ? "KL (its weight is 0)" : title));
    return `Not measured in this run: ${names.join(", ")}.`;
  }

  // --- what the run is ----------------------------------------------------------------------

  function renderHead(run) {
    byId("title").textContent = run.title;
    const parts = [run.step === null ? "no step on record"
      : `step ${run.step}${isNumber(run.max_steps) ? ` of ${run.max_steps}` : ""}`,
    run.finished ? "finished" : "unfinished"];
    byId("subtitle").replaceChildren(isolate(run.name), ` · ${parts.join(" · ")}`);
    byId("notes").replaceChildren(...[...run.notes, ...DATA.notes].map((note) =>
      h("li", { class: "warning" }, isolate(note))));
    byId("facts").replaceChildren(...run.facts.map(({ name, text, warn }) =>
      h("div", { class: warn && "warn" }, h("dt", {}, name), h("dd", {}, isolate(text)))));
    byId("facts").hidden = run.facts.length === 0;
    byId("reward").textContent = run.reward ?? "";
    byId("reward").hidden = run.reward === null;
    const card = byId("run-card");
    card.hidden = Object.keys(run.card).length === 0;
    card.querySelector("div").replaceChildren(...Object.entries(run.card)
      .filter(([, value]) => isObject(value) && Object.keys(value).length)
      .map(([title, value]) => h("section", {}, h("h3", {}, isolate(words(title))),
        factTable(value))));
  }

  // --- rollouts -----------------------------------------------------------------------------

  const state = {};
  const nameOf = ({ mode, step }) =>
    `${mode === "held_out" ? "Held out" : "Training"}, step ${step.toLocaleString("en")}`;

  function renderSteps(run) {
    byId("kept").hidden = run.kept.length === 0;
    if (!run.kept.length) return;
    byId("step").replaceChildren(...[["train", "Training"], ["held_out", "Held out"]]
      .map(([mode, title]) => h("optgroup", { label: title },
        run.kept.map((one, index) => [one, index]).filter(([one]) => one.mode === mode)
          .map(([one, index]) => h("option", { value: index }, nameOf(one)))))
      .filter((group) => group.childElementCount));
    const end = run.kept.findLastIndex(({ mode }) => mode === "train");
    showStep(end < 0 ? run.kept.length - 1 : end);
  }

  // The steps of training and of evaluation are apart: one goes on among its own.
  function neighbour(way) {
    const { mode } = state.run.kept[state.step];
    const next = state.step + way;
    return state.run.kept[next]?.mode === mode ? next : null;
  }

  function showStep(index) {
    state.step = index;
    const kept = state.run.kept[index];
    byId("step").value = index;
    byId("step-back").disabled = neighbour(-1) === null;
    byId("step-on").disabled = neighbour(1) === null;
    const shown = kept.groups.reduce((sum, { rollouts }) => sum + rollouts.length, 0);
    byId("kept-count").textContent = [
      plural(kept.groups.length, kept.groups.length === shown ? "sample" : "group"),
      shown < kept.n_rollouts ? `${shown} of ${plural(kept.n_rollouts, "rollout")}`
        : plural(shown, "rollout"),
    ].join(" · ");
    const single = kept.groups.every(({ rollouts }) => rollouts.length === 1);
    byId("groups").className = single ? "groups single" : "groups";
    byId("groups").replaceChildren(...kept.groups.map(group));
  }

  function group({ id, rollouts }) {
    const rewards = rollouts.map(({ reward }) => reward.total).filter(isNumber);
    const mean = rewards.length ? rewards.reduce((a, b) => a + b, 0) / rewards.length : null;
    const detail = h("div", { class: "detail", hidden: true });
    const known = rollouts.find(({ reference }) => reference !== null) ?? rollouts[0];
    const ordered = rollouts.map((one, index) => ({ one, index })).sort((a, b) =>
      (b.one.reward.total ?? -Infinity) - (a.one.reward.total ?? -Infinity) || a.index - b.index);
    const card = h("article", { class: "card group", "data-id": id },
      h("header", {}, h("h3", {}, isolate(id)), spreadBadges(rollouts, rewards),
        rewards.length > 1 && h("span", { class: "figures small" },
          h("span", { class: "muted" }, "reward "), figure(Math.min(...rewards)), " to ",
          figure(Math.max(...rewards)), h("span", { class: "muted" }, " · mean "), figure(mean))));
    card.append(h("div", { class: "side-by-side" },
      h("figure", { class: "target" },
        thumb(known.reference, `target of ${id}`, "no picture of the target"),
        h("figcaption", { class: "muted small" }, "Target")),
      h("ul", { class: "tiles" }, ordered.map(({ one }) =>
        h("li", {}, tile(card, detail, one, rewards.length > 1 ? mean : null))))), detail);
    return card;
  }

  function spreadBadges(rollouts, rewards) {
    const lost = rollouts.length - rewards.length;
    const flat = rewards.length > 1 && Math.max(...rewards) - Math.min(...rewards) < 1e-6;
    return [
      flat && h("span", { class: "badge",
        title: "all rewards are equal: no advantage, nothing to learn" }, "no spread"),
      lost > 0 && rollouts.length > 1 && h("span", { class: "badge unscored" },
        `${lost} without a reward`),
    ];
  }

  function thumb(name, alt, why) {
    const address = source(name);
    return h("div", { class: "thumb" }, address === null ? h("span", { class: "muted small" }, why)
      : h("img", { src: address, alt, loading: "lazy", decoding: "async" }));
  }

  function tile(card, detail, one, mean) {
    const { total } = one.reward;
    const why = one.rendering_lost ? "picture file not found" : statusLabel(one.status);
    const button = h("button", { type: "button", class: "tile", "aria-expanded": "false",
      "data-status": one.status },
    thumb(one.rendering, "rendering of the answer", why),
    h("span", { class: "earned" }, isNumber(total) ? h("b", {}, figure(total))
      : h("abbr", { title: "no reward: takes no part in its group" }, DASH),
    isNumber(total) && mean !== null && h("span", {
      class: total > mean + 1e-6 ? "over small" : "muted small",
      title: "against the mean of the group" },
    `${total > mean + 1e-6 ? "▲ +" : total < mean - 1e-6 ? `▼ ${MINUS}` : "= "}` +
      figure(Math.abs(total - mean)))),
    h("span", { class: "muted small", title: statusTitle(one.status) },
      h("i", { class: "dot", "data-status": one.status }), isolate(statusLabel(one.status)),
      ` · ${plural(one.episode.n_turns, "turn")}`));
    button.addEventListener("click", () => toggleTile(card, detail, button, one));
    return button;
  }

  function toggleTile(card, detail, button, one) {
    const open = button.getAttribute("aria-expanded") !== "true";
    for (const other of card.querySelectorAll(".tile")) {
      other.setAttribute("aria-expanded", "false");
    }
    button.setAttribute("aria-expanded", String(open));
    card.classList.toggle("open", open);
    detail.hidden = !open;
    detail.replaceChildren(...(open ? details(one) : []));
  }

  function details(one) {
    const view = (pair) => openViewer(pair);
    // Scores by turn need a list of scores; rollouts bring those of the answer.
    const item = { ...one, scores: {} };
    return [rewardLine(one), episodes.section(state.run, item, view)].filter(Boolean);
  }

  function rewardLine({ reward, reason }) {
    if (!isNumber(reward.total)) return h("p", { class: "earning" }, h("b", {}, "No reward"),
      h("span", { class: "muted" }, ": it takes no part in its group. "), isolate(reason ?? ""));
    const parts = ["vision", "format", "tool"].filter((name) => isNumber(reward[name]));
    return h("p", { class: "earning" }, h("b", {}, `Reward ${figure(reward.total)}`), " = ",
      parts.map((name, index) => [index > 0 && " + ",
        isNumber(state.run.weights[name]) && `${state.run.weights[name]} × `,
        h("span", { class: "muted" }, `R_${name} `), figure(reward[name])]));
  }

  // --- the viewer ---------------------------------------------------------------------------

  function openViewer(pair) {
    Object.assign(state, { pair, difference: false });
    byId("viewer-title").replaceChildren(isolate(pair.id));
    const shown = pictures(state.run, pair, null);
    const box = byId("viewer-pictures");
    box.className = shown.className;
    box.replaceChildren(...shown.children);
    byId("viewer-difference").disabled = !isComparable(pair);
    byId("viewer-difference").setAttribute("aria-pressed", "false");
    byId("viewer").showModal();
    if (state.run.pages) box.focus(); // the arrow keys scroll
  }

  function toggleDifference() {
    state.difference = !state.difference;
    byId("viewer-difference").setAttribute("aria-pressed", String(state.difference));
    showDifference(byId("viewer-pictures"), state.run, state.pair, state.difference, null);
  }

  // --- start --------------------------------------------------------------------------------

  function selectRun(run) {
    state.run = run;
    [...byId("runs").children].forEach((button, place) =>
      button.setAttribute("aria-pressed", String(DATA.runs[place] === run)));
    renderHead(run);
    renderCurves(run);
    renderSteps(run);
  }

  function renderRuns() {
    byId("runs").hidden = DATA.runs.length < 2;
    byId("runs").replaceChildren(...DATA.runs.map((run) => {
      const button = h("button", { type: "button", class: "toggle" }, isolate(run.name));
      button.addEventListener("click", () => selectRun(run));
      return button;
    }));
  }

  function listen() {
    byId("steps").addEventListener("submit", (event) => event.preventDefault());
    byId("step").addEventListener("change", (event) => showStep(Number(event.target.value)));
    byId("step-back").addEventListener("click", () => showStep(neighbour(-1)));
    byId("step-on").addEventListener("click", () => showStep(neighbour(1)));
    byId("viewer-close").addEventListener("click", () => byId("viewer").close());
    byId("viewer-difference").addEventListener("click", toggleDifference);
  }

  listen();
  renderRuns();
  selectRun(DATA.runs[0]);
  byId("colophon").textContent = `rrvf ${DATA.version}`;
})();
