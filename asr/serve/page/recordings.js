// The recordings of the page: their words with the history of edits, and the queue that sends them to the server.

import { transcribe } from "./api.js";
import { retime } from "./retime.js";
import { meanConfidence, paragraphsOf, textOf, wordsOf } from "./text.js";

const PARALLEL = 2; // requests at a time: the server computes them together
const BUSY_SECONDS = 2; // to wait for a server that is busy, if it does not say how long

let number = 0;

/**
 * A recording. `state` is "waiting", "sending", "recognizing", "done" or "failed"; of one from the microphone first
 * "listening", then "finishing" while its last words are awaited.
 */
export class Recording {
  /** @param {string} name as shown @param {File|null} file null while the microphone is on */
  constructor(name, file) {
    this.id = ++number;
    this.name = name;
    this.file = file;
    this.state = file ? "waiting" : "listening";
    this.message = ""; // of the state
    this.sent = 0; // share of the file
    this.duration = 0; // seconds
    this.peaks = undefined; // of the waveform; null: none can be drawn
    this.isSaved = true; // whether all edits are in a file of the user's
    this.microphone = null; // where it comes from, until it is complete
    this.cancel = new AbortController();
    this._url = "";
    this._clear([]);
  }

  _clear(paragraphs) {
    this._past = [];
    this._future = [];
    this._set(paragraphs);
  }

  _set(paragraphs) {
    this.paragraphs = paragraphs;
    this.words = paragraphs.flat();
  }

  /** Whether it comes from the microphone and is not complete. */
  get isLive() {
    return ["listening", "finishing"].includes(this.state);
  }

  /** Address at which the browser has the audio. */
  get url() {
    if (!this._url && this.file) this._url = URL.createObjectURL(this.file);
    return this._url;
  }

  /** Name without folders and ending. */
  get stem() {
    return this.name.split("/").at(-1).replace(/\.[^.]+$/, "") || "transcript";
  }

  /** The text, a paragraph a line. */
  get text() {
    return this.paragraphs.map((words) => `${textOf(words)}\n`).join("");
  }

  /** The fields of `asr transcribe --format json`. */
  get transcript() {
    const words = this.words.map(({ text, start, end, confidence }) => ({ text, start, end, confidence }));
    const { name: source, duration } = this;
    return { text: textOf(words), words, duration, confidence: meanConfidence(words), source };
  }

  /** Take new words, without history. */
  fill(words, duration) {
    this._clear(paragraphsOf(words));
    this.duration = Math.max(duration || this.duration, words.at(-1)?.end ?? 0);
    this.isSaved = true;
  }

  /** Replace the text of a paragraph; line feeds divide it. Returns whether it is another text. */
  rewrite(paragraph, text) {
    const old = this.paragraphs[paragraph];
    const lines = text
      .split("\n")
      .map((line) => line.split(/\s+/).filter(Boolean))
      .filter((line) => line.length);
    const texts = lines.flat();
    if (lines.length === 1 && texts.join(" ") === textOf(old)) return false;
    const fresh = retime(old, texts, {
      start: this.paragraphs[paragraph - 1]?.at(-1).end ?? 0,
      end: this.paragraphs[paragraph + 1]?.[0].start ?? this.duration,
    });
    let at = 0;
    const divided = lines.map((line) => fresh.slice(at, (at += line.length)));
    this._past.push(this.paragraphs);
    this._future = [];
    this._set(this.paragraphs.toSpliced(paragraph, 1, ...divided));
    this.isSaved = false;
    return true;
  }

  get canUndo() {
    return this._past.length > 0;
  }

  get canRedo() {
    return this._future.length > 0;
  }

  undo() {
    if (!this.canUndo) return;
    this._future.push(this.paragraphs);
    this._set(this._past.pop());
    this.isSaved = false;
  }

  redo() {
    if (!this.canRedo) return;
    this._past.push(this.paragraphs);
    this._set(this._future.pop());
    this.isSaved = false;
  }
}

/** The list of recordings, which transcribes what waits. Event "list": one came or went; "change": see `detail`. */
export class Recordings extends EventTarget {
  /** @param {() => {model: string, prompt: string}} settings of the requests */
  constructor(settings) {
    super();
    this.items = [];
    this._settings = settings;
  }

  /** Add files, which are sent in turn; returns the recordings. */
  add(files) {
    const added = files.map((file) => new Recording(file.webkitRelativePath || file.path || file.name, file));
    this.items.push(...added);
    this.dispatchEvent(new Event("list"));
    this._next();
    return added;
  }

  /** Add a recording of the microphone, which is sent once it has a file and waits. */
  addLive(name) {
    const recording = new Recording(name, null);
    this.items.push(recording);
    this.dispatchEvent(new Event("list"));
    return recording;
  }

  /** Send a recording, again if it was sent before. */
  send(recording) {
    recording.cancel = new AbortController();
    this.update(recording, { state: "waiting", message: "", sent: 0 });
    this._next();
  }

  remove(recording) {
    recording.cancel.abort();
    if (recording._url) URL.revokeObjectURL(recording._url);
    this.items = this.items.filter((item) => item !== recording);
    this.dispatchEvent(new Event("list"));
    this._next();
  }

  /** Set fields of a recording and tell about it. */
  update(recording, fields = {}) {
    const isNews = "state" in fields && fields.state !== recording.state;
    Object.assign(recording, fields);
    this.dispatchEvent(new CustomEvent("change", { detail: { recording, isNews } }));
  }

  get isBusy() {
    return this.items.some((item) => !["done", "failed"].includes(item.state));
  }

  _next() {
    const running = this.items.filter((item) => ["sending", "recognizing"].includes(item.state)).length;
    const waiting = this.items.filter((item) => item.state === "waiting" && !item.message);
    for (const recording of waiting.slice(0, Math.max(0, PARALLEL - running))) this._send(recording);
  }

  async _send(recording) {
    const signal = recording.cancel.signal;
    this.update(recording, { state: "sending", sent: 0 });
    try {
      const answer = await transcribe(recording.file, {
        ...this._settings(),
        signal,
        onSent: (sent) => this.update(recording, { sent, state: sent < 1 ? "sending" : "recognizing" }),
      });
      recording.fill(wordsOf(answer), answer.duration);
      this.update(recording, { state: "done", message: "" });
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 429) {
        const seconds = error.retryAfter ?? BUSY_SECONDS;
        this.update(recording, { state: "waiting", message: `The server is busy; again in ${seconds} s.` });
        setTimeout(() => {
          if (!signal.aborted) this.update(recording, { message: "" });
          this._next();
        }, 1000 * seconds);
        return;
      }

      this.update(recording, { state: "failed", message: error.message });
    }
    this._next();
  }
}
