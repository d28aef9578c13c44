// The list of recordings at the side.

import { byId, clock, count, icon, make } from "./dom.js";

/** Shows the recordings and which one is open. Events: "open" and "remove" (detail: recording). */
export class List extends EventTarget {
  constructor() {
    super();
    this._root = byId("recordings");
    this._rows = new Map(); // recording to elements
  }

  /** Show recordings. */
  show(recordings) {
    for (const [recording, row] of this._rows) {
      if (recordings.includes(recording)) continue;
      row.item.remove();
      this._rows.delete(recording);
    }
    for (const recording of recordings) {
      if (this._rows.has(recording)) continue;
      this._rows.set(recording, this._row(recording));
      this.update(recording);
    }
    byId("list-title").hidden = !recordings.length;
    const done = recordings.filter((recording) => recording.state === "done").length;
    byId("list-count").textContent = recordings.length > 1 ? `${done} of ${recordings.length} done` : "";
  }

  _row(recording) {
    const folders = recording.name.split("/");
    const name = make("span", { className: "name", title: recording.name }, folders.pop());
    if (folders.length) name.prepend(make("span", { className: "quiet" }, `${folders.join("/")}/`));
    const state = make("span", { className: "row-state" });
    const progress = make("progress", { max: 1, hidden: true, "aria-label": `Progress of ${recording.name}` });
    const open = make("button", { type: "button", className: "open" }, name, state, progress);
    const remove = make("button", { type: "button", className: "icon", "aria-label": `Remove ${recording.name}`, title: "Remove" }, icon("close"));
    open.addEventListener("click", () => this.dispatchEvent(new CustomEvent("open", { detail: recording })));
    remove.addEventListener("click", () => this.dispatchEvent(new CustomEvent("remove", { detail: recording })));
    const item = make("li", {}, open, remove);
    this._root.append(item);
    return { item, open, state, progress, remove, hits: 0 };
  }

  /** Mark the recording that is open. */
  select(recording) {
    for (const [other, row] of this._rows) {
      if (other === recording) row.open.setAttribute("aria-current", "true");
      else row.open.removeAttribute("aria-current");
    }
  }

  /** Show the state of a recording, and how often a search finds something in it. */
  update(recording, hits = this._rows.get(recording)?.hits) {
    const row = this._rows.get(recording);
    if (!row) return;
    row.hits = hits;
    row.item.dataset.state = recording.state;
    row.remove.hidden = recording.isLive;
    const text = stateOf(recording) + (hits ? ` · found ${hits}` : "");
    if (row.state.textContent !== text) row.state.textContent = text;
    showProgress(row.progress, recording);
  }
}

/** Show the progress of a recording: its share that is sent, and then that it is worked on. */
export function showProgress(element, recording) {
  element.hidden = !["sending", "recognizing"].includes(recording.state);
  if (recording.state === "sending") element.value = recording.sent;
  else element.removeAttribute("value");
}

/** Return the state of a recording in words. */
export function stateOf(recording) {
  switch (recording.state) {
    case "waiting":
      return recording.message || "Waiting";
    case "sending":
      return `Sending, ${Math.round(100 * recording.sent)} %`;
    case "recognizing":
      return "Recognizing…";
    case "listening":
      return "Listening…";
    case "finishing":
      return "Waiting for the last words…";
    case "failed":
      return "Failed";
    default:
      return `${clock(recording.duration)} · ${count(recording.words.length, "word")}${recording.isSaved ? "" : " · edited"}`;
  }
}

/** Return why a recording failed, with its name. */
export function failureOf({ name, message }) {
  return message.startsWith(name) ? message : `${name}: ${message}`;
}
