// The words on the page: which one sounds, which are doubtful or found, and the text field of a paragraph that is edited.

import { clock, make } from "./dom.js";
import { textOf } from "./text.js";

const SCROLL_MILLISECONDS = 4000; // after the user has scrolled, for which the page does not follow the sound
const CLICK_MILLISECONDS = 700; // after a click: a second one shall find the word where it was

/**
 * Shows the words of a recording. Events: "hear" (detail: number of the word, and whether it alone), "focus" (number),
 * "edit" (a double click opens a text field), "rewrite" (paragraph and text).
 */
export class Transcript extends EventTarget {
  /** @param {HTMLElement} root */
  constructor(root) {
    super();
    this.root = root;
    this.spans = [];
    this.focused = 0; // number of the word that Tab leads to
    this._sounding = -1;
    this._threshold = 0.5;
    this._follows = 0; // time from which the page follows the sound
    root.addEventListener("click", (event) => this._click(event));
    root.addEventListener("dblclick", (event) => this._doubleClick(event));
    root.addEventListener("keydown", (event) => this._key(event));
    root.addEventListener("focusin", (event) => this._focusIn(event));
    for (const name of ["wheel", "touchmove"]) {
      addEventListener(name, () => this._rest(SCROLL_MILLISECONDS), { passive: true });
    }
  }

  /** Show the paragraphs of a recording. */
  show(recording) {
    this._recording = recording;
    this._field = null;
    this.spans = [];
    this._sounding = -1;
    const paragraphs = recording.paragraphs.map((words, number) => {
      const edit = make("button", { type: "button", className: "time", title: "Edit this paragraph (E)" });
      edit.append(make("span", { className: "unseen" }, "Edit paragraph at "), clock(words[0].start));
      edit.addEventListener("click", () => this.edit(number));
      const line = make("p", { className: "words" });
      for (const word of words) line.append(this._span(word), " ");
      return make("div", { className: "paragraph" }, edit, line);
    });
    if (!paragraphs.length && recording.state === "done") {
      paragraphs.push(make("p", { className: "quiet" }, "No words were found in this recording."));
    }
    this.root.replaceChildren(...paragraphs);
    this.focused = Math.max(0, Math.min(this.focused, this.spans.length - 1));
    if (this.spans.length) this.spans[this.focused].tabIndex = 0;
    this.mark(this._threshold);
  }

  /** Show words as they come from the microphone: those that stay, and those that may change. */
  showLive(committed, partial) {
    this.spans = [];
    let line = this.root.querySelector(".live");
    if (!line) {
      line = make("p", { className: "live" }, make("span", { role: "log" }), make("span", { className: "partial" }));
      this.root.replaceChildren(line);
    }
    const [sure, may] = line.children;
    if (sure.textContent !== committed) sure.textContent = committed;
    may.textContent = partial ? ` ${partial}` : "";
    line.dataset.empty = String(!committed && !partial);
  }

  _span(word) {
    const span = make("span", { className: "word", role: "button", tabIndex: -1 }, word.text);
    span.dataset.number = this.spans.length;
    if (word.edited) span.classList.add("edited");
    this.spans.push(span);
    return span;
  }

  /** Underline the words below a confidence; returns their numbers. */
  mark(threshold) {
    this._threshold = threshold;
    const doubtful = [];
    this._recording?.words.forEach((word, number) => {
      const span = this.spans[number];
      if (!span) return;
      const isDoubtful = word.confidence < threshold;
      if (isDoubtful) doubtful.push(number);
      if (span.classList.toggle("doubtful", isDoubtful)) {
        span.setAttribute("aria-description", `doubtful, confidence ${Math.round(100 * word.confidence)} %`);
      } else span.removeAttribute("aria-description");
    });
    return doubtful;
  }

  /** Show the matches of a search, [first, last] word each, and which of them is the current one. */
  showMatches(matches, current) {
    for (const span of this.root.querySelectorAll(".found")) span.classList.remove("found", "current");
    matches.forEach(([first, last], number) => {
      for (const span of this.spans.slice(first, last + 1)) {
        span.classList.add("found");
        span.classList.toggle("current", number === current);
      }
    });
  }

  /** Highlight the word that sounds, -1 for none; in view where the sound is followed. */
  sound(number, follow) {
    if (number === this._sounding) return;
    for (const span of [this.spans[this._sounding], this.spans[number]]) span?.classList.toggle("sounding");
    this.spans[this._sounding]?.removeAttribute("aria-current");
    this.spans[number]?.setAttribute("aria-current", "true");
    this._sounding = number;
    if (follow && number >= 0 && performance.now() >= this._follows && !this._field) this.reveal(number);
  }

  /** Leave the page where it is for a while. */
  _rest(milliseconds) {
    this._follows = Math.max(this._follows, performance.now() + milliseconds);
  }

  /** Scroll to a word where it is out of view. */
  reveal(number, tries = 4) {
    const span = this.spans[number];
    if (!span) return;
    const box = span.getBoundingClientRect();
    const head = document.getElementById("player").getBoundingClientRect();
    if (box.top > Math.max(0, head.bottom) + 8 && box.bottom < innerHeight - 24) return;
    const isFar = Math.abs(box.top) > 2 * innerHeight;
    const behavior = isFar || matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    span.scrollIntoView({ block: "center", behavior });
    // Paragraphs out of view have estimated heights; the word moves when those on the way are drawn.
    if (isFar && tries) requestAnimationFrame(() => requestAnimationFrame(() => this.reveal(number, tries - 1)));
  }

  /** Move the focus to a word. */
  focus(number) {
    const span = this.spans[Math.max(0, Math.min(this.spans.length - 1, number))];
    span?.focus({ preventScroll: true });
    if (span) this.reveal(Number(span.dataset.number));
  }

  /** Number of the word that keys work on: the one with the focus, else the one that sounds, else the last focused. */
  get current() {
    const own = document.activeElement?.dataset?.number;
    if (own !== undefined && this.root.contains(document.activeElement)) return Number(own);
    return this._sounding >= 0 ? this._sounding : this.focused;
  }

  _focusIn(event) {
    const number = event.target.dataset.number;
    if (number === undefined) return;
    if (this.spans[this.focused]) this.spans[this.focused].tabIndex = -1;
    this.focused = Number(number);
    event.target.tabIndex = 0;
    this.dispatchEvent(new CustomEvent("focus", { detail: this.focused }));
  }

  _hear(number, alone = false) {
    this.dispatchEvent(new CustomEvent("hear", { detail: { number, alone } }));
  }

  _click(event) {
    const number = event.target.dataset.number;
    // a text that was selected is left alone; a second click edits
    if (number === undefined || event.detail > 1 || !getSelection().isCollapsed) return;
    this._rest(CLICK_MILLISECONDS);
    this._hear(Number(number), event.altKey);
  }

  _doubleClick(event) {
    const number = event.target.dataset.number;
    if (number === undefined) return;
    getSelection().removeAllRanges();
    this.dispatchEvent(new CustomEvent("edit")); // the first click has made the word sound
    this.editAt(Number(number));
  }

  _key(event) {
    const number = event.target.dataset.number;
    if (number === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Number(number);
    const moves = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: this._besides(at, 1),
      ArrowUp: this._besides(at, -1),
      Home: 0,
      End: this.spans.length - 1,
    };
    if (event.key in moves) this.focus(moves[event.key]);
    else if (event.key === "Enter") this._hear(at, event.shiftKey);
    else if (event.key === "F2") this.editAt(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Return the word below (1) or above (-1) another one. */
  _besides(number, direction) {
    const here = this.spans[number].getBoundingClientRect();
    let best = number;
    let least = Infinity;
    let line = null; // top of the next line
    for (let at = number + direction; at >= 0 && at < this.spans.length; at += direction) {
      const box = this.spans[at].getBoundingClientRect();
      if (Math.abs(box.top - here.top) < 2) continue;
      line ??= box.top;
      if (Math.abs(box.top - line) > 2) break;
      const distance = Math.abs(box.left + box.width / 2 - here.left - here.width / 2);
      if (distance < least) [best, least] = [at, distance];
    }
    return best;
  }

  /** Edit the paragraph of a word, which is selected. */
  editAt(number) {
    let first = 0;
    const paragraph = this._recording.paragraphs.findIndex((words) => number < (first += words.length));
    if (paragraph < 0) return;
    const words = this._recording.paragraphs[paragraph];
    this.edit(paragraph, number - (first - words.length));
  }

  /** Put a text field in the place of a paragraph, with a word selected. */
  edit(paragraph, selected = -1) {
    if (this._field) this._field.commit();
    const words = this._recording.paragraphs[paragraph];
    const place = this.root.children[paragraph];
    if (!words || !place) return;
    const field = make("textarea", { className: "field", value: textOf(words), spellcheck: true, rows: 1 });
    field.setAttribute("aria-label", `Text at ${clock(words[0].start)}. Ctrl+Enter keeps it, Escape does not.`);
    const keep = make("button", { type: "button", className: "primary" }, "Keep");
    const drop = make("button", { type: "button" }, "Cancel");
    const hint = make("span", { className: "quiet" }, "Times of the words stay. Enter divides the paragraph.");
    const form = make("div", { className: "editing" }, field, make("div", { className: "choice" }, keep, drop, hint));
    const finish = (isKept) => {
      if (!this._field) return;
      this._field = null;
      this.root.classList.remove("is-editing");
      if (isKept) this.dispatchEvent(new CustomEvent("rewrite", { detail: { paragraph, text: field.value } }));
      else place.replaceChildren(...shown);
    };
    const shown = [...place.childNodes];
    place.replaceChildren(shown[0], form);
    this.root.classList.add("is-editing");
    this._field = { commit: () => finish(true) };
    const grow = () => {
      field.style.height = "auto";
      field.style.height = `${field.scrollHeight + 2}px`;
    };
    field.addEventListener("input", grow);
    field.addEventListener("keydown", (event) => {
      const isEnd = event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey));
      if (!isEnd) return;
      event.preventDefault();
      event.stopPropagation();
      finish(event.key === "Enter");
      this.focus(this.focused);
    });
    keep.addEventListener("click", () => finish(true));
    drop.addEventListener("click", () => finish(false));
    field.focus();
    grow();
    if (selected >= 0) {
      const start = textOf(words.slice(0, selected)).length + (selected ? 1 : 0);
      field.setSelectionRange(start, start + words[selected].text.length);
    } else field.setSelectionRange(0, 0);
  }

  /** Keep what is in the text field, if one is open. */
  commit() {
    this._field?.commit();
  }
}
