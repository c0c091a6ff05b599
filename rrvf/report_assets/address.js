// What a reader sees, as a fragment of the page's address, and back: "#run=NAME&item=ID", with
// "&at=episode" for the item's episode. Anybody can write a fragment: it is read as texts that are
// looked for, and nothing else.
"use strict";
const makeAddress = () => {
  const WAIT = 250; // browsers refuse an address that changes many times a second
  const KEYS = ["run", "with", "by", "show", "q", "sort", "down", "view", "item", "at"];
  let waiting = null;

  // As a text is once it has been in an address: without halves of characters.
  const heard = (text) => new URLSearchParams([["", text]]).get("");
  const find = (things, name, text) => things.find((thing) => heard(name(thing)) === text);

  function read(fragment) {
    const values = new URLSearchParams(fragment);
    if (fragment !== "" && !KEYS.some((key) => values.has(key))) return null;
    return Object.fromEntries(KEYS.map((key) =>
      [key, key === "show" ? values.getAll(key) : values.get(key)]));
  }

  // What is null, false or "" is left out.
  function write(view) {
    const values = new URLSearchParams();
    for (const key of KEYS) {
      const value = view[key] ?? "";
      if (Array.isArray(value)) for (const one of value) values.append(key, one);
      else if (value !== "" && value !== false) values.append(key, value);
    }
    return values.toString();
  }

  // A step is one that the browser's way back goes through; all else takes the last one's place.
  function set(fragment, isStep) {
    if (isStep) {
      settle();
      change("pushState", fragment);
    } else {
      forget();
      waiting = { fragment, timer: setTimeout(settle, WAIT) };
    }
  }

  function settle() {
    const fragment = waiting?.fragment;
    forget();
    if (fragment !== undefined) change("replaceState", fragment);
  }

  function forget() {
    clearTimeout(waiting?.timer);
    waiting = null;
  }

  function change(act, fragment) {
    const page = location.href.split("#")[0];
    if (location.hash.slice(1) === fragment) return;
    try {
      history[act](null, "", fragment ? `${page}#${fragment}` : page);
    } catch {
      // Some browsers and frames allow no such thing: the page works without.
    }
  }

  return { find, read, write, set, forget };
};
