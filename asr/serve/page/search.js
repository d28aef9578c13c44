// Search in the words of the recordings.

import { byId } from "./dom.js";
import { matches } from "./text.js";

/** The search field: shows matches in the open recording, and how many the others have. */
export class Search {
  /** @param {Transcript} transcript */
  constructor(transcript) {
    this._transcript = transcript;
    this._found = [];
    this._current = -1;
    const field = byId("query");
    field.addEventListener("input", () => this._again());
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.go(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") {
        field.value = "";
        this._again();
        transcript.focus(transcript.focused);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    byId("hit-before").addEventListener("click", () => this.go(-1));
    byId("hit-after").addEventListener("click", () => this.go(1));
  }

  /** Search the open recording, and the others for the list. */
  run(open, recordings, list) {
    this._again = () => this.run(open, recordings, list);
    const query = byId("query").value;
    for (const recording of recordings) list.update(recording, matches(recording.words, query).length);
    this._found = open.state === "done" ? matches(open.words, query) : [];
    const from = this._transcript.current;
    this._current = this._found.findIndex(([first]) => first >= from);
    if (this._current < 0 && this._found.length) this._current = 0;
    this._show(query);
  }

  _again() {} // before there is a recording

  /** Go to the next (1) or previous (-1) match. */
  go(step) {
    const { length } = this._found;
    if (!length) return;
    if (this._isShown) this._current = (this._current + step + length) % length;
    this._isShown = true;
    this._show(byId("query").value);
    const [first] = this._found[this._current];
    this._transcript.focused = first;
    this._transcript.reveal(first);
  }

  _show(query) {
    const { length } = this._found;
    if (!query.trim()) this._isShown = false;
    byId("hits").textContent = query.trim() ? (length ? `${this._current + 1} of ${length}` : "none") : "";
    for (const id of ["hit-before", "hit-after"]) byId(id).hidden = !length;
    this._transcript.showMatches(this._found, this._current);
  }
}
