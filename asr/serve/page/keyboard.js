// Keys: what they do, and the list of them.

import { byId, make } from "./dom.js";

const SINGLE_KEYS = "asr.single-keys"; // key of localStorage

/** The groups of the help: keys as shown, and what they do. Keys with an action are handled here. */
const GROUPS = [
  ["Listen", [
    ["Space", "play or pause", "toggle", [" ", "k"]],
    ["J  L", "back, ahead 5 seconds"],
    ["Enter", "in the words: hear from this word on"],
    ["R", "hear the word alone, again", "repeat", ["r"]],
    ["[  ]", "slower, faster"],
  ]],
  ["Words", [
    ["← →", "word before, after"],
    ["↑ ↓", "line above, below"],
    ["N  Shift+N", "next, previous doubtful word"],
    ["/", "search; Enter and Shift+Enter go on", "search", ["/"]],
  ]],
  ["Edit", [
    ["E", "edit the paragraph", "edit", ["e", "F2"]],
    ["Ctrl+Enter", "keep the text"],
    ["Escape", "leave it as it was"],
    ["Ctrl+Z  Ctrl+Shift+Z", "undo, redo"],
  ]],
  ["Recordings", [
    ["O", "choose files", "choose", ["o"]],
    ["M", "microphone on, off", "microphone", ["m"]],
    ["Alt+↑  Alt+↓", "recording before, after"],
    ["X", "save as", "export", ["x"]],
    ["C", "copy the text", "copy", ["c"]],
    ["+  −", "zoom"],
    ["?", "these keys", "help", ["?"]],
  ]],
];

const OTHERS = {
  j: "back", l: "ahead", n: "doubtAfter", N: "doubtBefore", "[": "slower", "]": "faster", "+": "zoomIn", "=": "zoomIn", "-": "zoomOut",
};

/** Connect keys with actions, functions by name. */
export function bindKeys(actions) {
  const byKey = { ...OTHERS };
  for (const [, rows] of GROUPS) for (const [, , action, keys] of rows) for (const key of keys ?? []) byKey[key] = action;
  const single = byId("single-keys");
  single.checked = localStorage.getItem(SINGLE_KEYS) !== "off";
  single.addEventListener("change", () => localStorage.setItem(SINGLE_KEYS, single.checked ? "on" : "off"));

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const target = event.target;
    const isText = target.matches("textarea, input:not([type=range], [type=checkbox])");
    if ((event.ctrlKey || event.metaKey) && !isText && event.key.toLowerCase() === "z") {
      event.preventDefault();
      actions[event.shiftKey ? "redo" : "undo"]();
      return;
    }
    if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      actions.go(event.key === "ArrowUp" ? -1 : 1);
      return;
    }
    if (isText || event.ctrlKey || event.metaKey || event.altKey || !single.checked) return;
    const action = byKey[event.key] ?? byKey[event.key.toLowerCase()];
    if (!action) return;
    // the space bar presses a button, opens a list and moves a slider
    if (event.key === " " && target.matches("button, select, summary, a, input")) return;
    event.preventDefault();
    actions[action]();
  });
}

/** Write the list of keys. */
export function showKeys() {
  const groups = GROUPS.map(([title, rows]) => {
    const list = make("dl");
    for (const [keys, text] of rows) {
      const names = keys.split("  ").map((key) => make("kbd", {}, key));
      list.append(make("div", {}, make("dt", {}, ...names.flatMap((name) => [name, " "])), make("dd", {}, text)));
    }
    return make("section", {}, make("h3", {}, title), list);
  });
  byId("keys").replaceChildren(...groups);
}
