// What pages of the report are made of: elements, names, pictures, tables of facts. As everywhere
// in it, strings reach the page as text nodes or as attributes whose names stand in these files.
"use strict";
const makeBlocks = (DATA) => {
  const DASH = "–";
  const LOW_LEVEL = ["text", "layout", "type", "color"];
  const MAX_HIGHLIGHT = 30000;
  const MAX_SIDE = 32000;
  const MAX_AREA = 120e6;
  const STATUS = {
    ok: ["ok", "the code worked and left a picture"],
    no_code: ["no code", "no code was found in the answer"],
    code_error: ["code error", "the code failed or left no picture"],
    timeout: ["timeout", "the code did not end in time"],
    out_of_memory: ["out of memory", "the code asked for more memory than allowed"],
    harness_error: ["harness error", "a failure of the harness, not of the model: not scored"],
  };
  const byId = (id) => document.getElementById(id);

  // --- building blocks ----------------------------------------------------------------------

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, String(value));
    }
    element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
    return element;
  }

  const h = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
  const isObject = (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const asList = (value) => (Array.isArray(value) ? value : []);
  const asObject = (value) => (isObject(value) ? value : {});
  const asText = (value) =>
    typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  const percent = (value, digits = 1) => (isNumber(value) ? (100 * value).toFixed(digits) : DASH);
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const label = (scorer) =>
    Object.hasOwn(DATA.labels, scorer) ? DATA.labels[scorer] : scorer;
  const statusLabel = (status) => (Object.hasOwn(STATUS, status) ? STATUS[status][0] : status);
  const statusTitle = (status) => (Object.hasOwn(STATUS, status) ? STATUS[status][1] : "");
  const isolate = (text) => h("bdi", {}, asText(text));

  function countBy(values) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    return counts;
  }

  // --- scores of an item --------------------------------------------------------------------

  function scoreOf(item, scorer) {
    if (scorer === "average") {
      const values = LOW_LEVEL.map((name) => scoreOf(item, name));
      return values.every(isNumber) ? values.reduce((a, b) => a + b, 0) / values.length : null;
    }
    const score = Object.hasOwn(item.scores, scorer) ? item.scores[scorer] : {};
    return isNumber(score.value) ? score.value : null;
  }

  // The mean of what was scored.
  function worthOf(item) {
    const values = Object.keys(item.scores).filter((name) => name !== "execution")
      .map((name) => scoreOf(item, name)).filter(isNumber);
    return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
  }

  // Web pages have a Text and a Color, too: only all four together are a chart's.
  const hasAverage = (names) => LOW_LEVEL.every((name) => names.includes(name));

  function inPanelOrder(names, average) {
    const shown = names.filter((name) => name !== "execution");
    if (!hasAverage(shown)) return shown;
    return [...LOW_LEVEL, ...average, ...shown.filter((name) => !LOW_LEVEL.includes(name))];
  }

  const source = (name) =>
    name !== null && Object.hasOwn(DATA.pictures, name) ? DATA.pictures[name] : null;
  const episodes = makeEpisodes({ h, svg, isolate, isNumber, percent, plural, label, asObject,
    asList, asText, scoreOf, worthOf, inPanelOrder, hasAverage, statusLabel, statusTitle,
    highlighted: (text) => highlighted(text),
    frame: (...parts) => frame(...parts),
    sizeOf: (name) => (Object.hasOwn(DATA.sizes, name) ? DATA.sizes[name] : null),
    source,
  });

  // --- tables of facts ----------------------------------------------------------------------

  function factTable(value) {
    return h("table", { class: "facts" }, h("tbody", {}, factRows(value, 0)));
  }

  function factRows(value, depth) {
    return Object.entries(value).flatMap(([key, entry]) => {
      const head = h("th", { scope: "row" }, isolate(key));
      head.style.paddingInlineStart = `${depth}rem`;
      if (isObject(entry) && Object.keys(entry).length) {
        return [h("tr", {}, head, h("td")), ...factRows(entry, depth + 1)];
      }
      const text = asList(entry).length && entry.every((part) => typeof part !== "object")
        ? entry.join(", ") : entry;
      return [h("tr", {}, head, h("td", {}, isolate(text)))];
    });
  }

  // --- pictures -----------------------------------------------------------------------------

  // Pictures stand side by side; of web pages both at one scale, from the top.
  function pictures(run, item, open) {
    const box = h("div", { class: run.pages ? "pictures pages" : "pictures" },
      picture(run, item, "reference", "Reference", open),
      picture(run, item, "rendering", "Rendering", open));
    addDifferenceButton(box, run, item, open);
    return box;
  }

  function addDifferenceButton(box, run, item, open) {
    if (!open || !isComparable(item)) return;
    box.querySelector("figure:last-of-type figcaption")
      .append(differenceButton(box, run, item, open));
  }

  function whyMissing(item, side) {
    if (item[`${side}_lost`]) return "picture file not found";
    if (side === "reference") return "no reference picture";
    return item.status === "ok" ? "no picture on file" : `no picture: ${statusLabel(item.status)}`;
  }

  function picture(run, item, side, title, open, widest = widestOf(item)) {
    const source = item[side] === null ? null : DATA.pictures[item[side]];
    // A script that fails after savefig leaves a picture all the same.
    const half = source && side === "rendering" && item.status !== "ok";
    const size = run.pages && source ? sizeOf(item, side) : null;
    const content = source
      ? h("img", { src: source, alt: `${title} of ${item.id}`, loading: "lazy",
        decoding: "async", width: size?.[0], height: size?.[1] })
      : h("p", { class: "no-picture" }, whyMissing(item, side));
    if (size) content.style.width = `${(100 * size[0]) / widest}%`;
    const name = `Enlarge the ${title.toLowerCase()} of ${item.id}`;
    return h("figure", { class: side },
      h("figcaption", {}, h("span", {}, isolate(title), half && ", unfinished",
        size && ` · ${size.join(" × ")}`)),
      frame(content, name, source ? open : null, size ? size[1] / widest : 0));
  }

  // In a card a page is cut at some height; "tallness" (height by width) tells CSS which are.
  function frame(content, name, open, tallness) {
    if (!open) return h("div", { class: "frame" }, content);
    const fade = tallness > 0 && h("span", { class: "fade" }, h("span", {}, "Show the whole page"));
    if (fade) fade.style.setProperty("--tallness", tallness);
    const button = h("button", { type: "button", class: "frame", "aria-label": name },
      content, fade);
    button.addEventListener("click", open);
    return button;
  }

  const sizeOf = (item, side) =>
    item[side] !== null && Object.hasOwn(DATA.sizes, item[side]) ? DATA.sizes[item[side]] : null;
  const sizesOf = (item) => ["reference", "rendering"].map((side) => sizeOf(item, side));
  const widestOf = (item) => Math.max(...sizesOf(item).map((size) => (size ? size[0] : 0)));
  const unionOf = (sizes) => [0, 1].map((axis) => Math.max(...sizes.map((size) => size[axis])));

  // Browsers leave a canvas empty that is too large for them.
  function isComparable(item) {
    const sizes = sizesOf(item);
    if (sizes.includes(null)) return false;
    const [width, height] = unionOf(sizes);
    return Math.max(width, height) <= MAX_SIDE && width * height <= MAX_AREA;
  }

  // --- the difference of two pictures -------------------------------------------------------

  function differenceButton(box, run, item, open) {
    const button = h("button", { type: "button", class: "toggle small", "aria-pressed": "false" },
      "Difference");
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      showDifference(box, run, item, on, open);
    });
    return button;
  }

  function showDifference(box, run, item, on, open) {
    box.querySelector(".difference")?.remove();
    if (on) box.append(difference(run, item, open));
  }

  function difference(run, item, open) {
    const sizes = sizesOf(item);
    const [width, height] = unionOf(sizes);
    const canvas = h("canvas", { width, height, role: "img", "aria-busy": "true",
      "aria-label": `Difference of the pictures of ${item.id}` });
    drawDifference(canvas, item).catch(() =>
      canvas.replaceWith(h("p", { class: "no-picture" }, "cannot be drawn")));
    return h("figure", { class: "difference" },
      h("figcaption", {}, h("span", {}, isolate(differenceTitle(run, item, sizes)))),
      frame(canvas, `Enlarge the difference of ${item.id}`, open,
        run.pages ? height / width : 0));
  }

  // Laid over each other from the upper left, pixel on pixel, before anything is scaled: pictures
  // of unlike heights that CSS scales and blends are rounded apart, and equal lines show.
  async function drawDifference(canvas, item) {
    const images = await Promise.all(["reference", "rendering"].map(async (side) => {
      const image = h("img", { src: DATA.pictures[item[side]] });
      await image.decode();
      return image;
    }));
    const context = canvas.getContext("2d", { alpha: false }); // black to begin with
    context.globalCompositeOperation = "difference";
    for (const image of images) context.drawImage(image, 0, 0);
    canvas.removeAttribute("aria-busy");
  }

  function differenceTitle(run, item, [reference, rendering]) {
    const name = `Difference${item.between ?? ""}`;
    if (item.reference === item.rendering) return `${name}: none, the pictures are identical`;
    const told = run.pages || String(reference) === String(rendering) ? ""
      : ` · ${reference.join(" × ")} and ${rendering.join(" × ")}`;
    return `${name}, black where equal${told}`;
  }

  // --- code ---------------------------------------------------------------------------------

  const KEYWORDS = ("and as assert break class continue def del elif else except False finally " +
    "for from global if import in is lambda None not or pass raise return True try while with " +
    "yield").replaceAll(" ", "|");
  // Colours Python roughly. Every alternative consumes what it has looked at, so this is linear.
  const TOKENS = new RegExp([
    /(?<comment>#[^\n]*)/,
    /(?<string>"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:[^"\\\n]|\\[^])*"?|'(?:[^'\\\n]|\\[^])*'?)/,
    /(?<number>\b\d[\w.]*)/,
  ].map((part) => part.source).join("|") + `|(?<keyword>\\b(?:${KEYWORDS})\\b)`, "g");

  function highlighted(text) {
    const parts = [];
    let end = 0;
    for (const match of text.matchAll(TOKENS)) {
      const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
      parts.push(text.slice(end, match.index), h("span", { class: kind }, match[0]));
      end = match.index + match[0].length;
    }
    return [...parts, text.slice(end)];
  }

  return {
    DASH, MAX_HIGHLIGHT, h, svg, byId, isNumber, isObject, asList, asObject, asText, percent,
    plural, label, statusLabel, statusTitle, isolate, countBy, scoreOf, worthOf, hasAverage,
    inPanelOrder, episodes, factTable, picture, pictures, widestOf, addDifferenceButton, showDifference,
    isComparable, highlighted, frame, source,
  };
};
