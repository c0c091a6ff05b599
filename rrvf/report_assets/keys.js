// Keys of the page. `actions` are lists of keys, what they do, and how: [["j"], "next item", act].
"use strict";
const makeKeys = ({ h, byId }, actions) => {
  const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
  const byKey = new Map(actions.flatMap(([keys, , act]) => keys.map((key) => [key, act])));

  function listen() {
    document.addEventListener("keydown", (event) => {
      const act = byKey.get(event.key);
      if (!act || !isForUs(event)) return;
      event.preventDefault();
      act();
    });
    byId("keys-list").replaceChildren(...actions.map(([keys, text]) => h("div", {},
      h("dt", {}, keys.map((key) => [h("kbd", {}, key), " "])), h("dd", {}, text))));
    byId("show-keys").addEventListener("click", show);
    byId("keys-close").addEventListener("click", () => byId("keys").close());
  }

  function isForUs(event) {
    return byId("keys-on").checked && !event.ctrlKey && !event.metaKey && !event.altKey &&
      !event.isComposing && !event.defaultPrevented && !event.target.closest(TYPING) &&
      !document.querySelector("dialog[open]");
  }

  const show = () => byId("keys").showModal();

  return { listen, show };
};
