// The microphone: 16-bit PCM by an AudioWorklet, to the server's WebSocket for live words, and kept as a recording.

import { token } from "./api.js";
import { wav } from "./files.js";

const RATE = 16_000; // samples a second, where the browser resamples
const ANSWER_MILLISECONDS = 20_000; // that the server has for the last words
const END_MILLISECONDS = 3000; // that the browser has for the last samples
const LEVELS_PER_SECOND = 10;

/** One recording from the microphone. Events: "level" (0 to 1), "words" (committed, partial), "problem" (message). */
export class Microphone extends EventTarget {
  /** @param {string} prompt names and terms to expect */
  constructor(prompt) {
    super();
    this._prompt = prompt;
    this.committed = []; // words that stay
    this.partial = []; // words that may change
    this.levels = []; // loudness, LEVELS_PER_SECOND
    this._pieces = [];
    this._isLive = false; // whether the server sends words
  }

  /**
   * Ask for the microphone and begin.
   *
   * @throws {Error} with a message for the user
   */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
      throw new Error("The browser gives the microphone to pages of https:// and of localhost only.");
    }
    try {
      this._stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      throw new Error(reasonOf(error));
    }
    try {
      this._context = new AudioContext({ sampleRate: RATE });
      this._source = this._context.createMediaStreamSource(this._stream);
    } catch {
      this._context = new AudioContext(); // Firefox takes a microphone at its own rate only
      this._source = this._context.createMediaStreamSource(this._stream);
    }
    await this._context.audioWorklet.addModule("pcm-worklet.js");
    this._node = new AudioWorkletNode(this._context, "pcm", { numberOfOutputs: 0 });
    this._ended = new Promise((resolve) => (this._end = resolve));
    this._node.port.onmessage = ({ data }) => (data ? this._take(data) : this._end());
    this._stream.getAudioTracks()[0].addEventListener("ended", () => this._tell("problem", "The microphone is gone."));
    this._connect();
    this._source.connect(this._node);
    await this._context.resume();
  }

  get rate() {
    return this._context.sampleRate;
  }

  /** Seconds recorded. */
  get duration() {
    return this._pieces.reduce((sum, piece) => sum + piece.length, 0) / this.rate;
  }

  /**
   * End the recording.
   *
   * @returns {Promise<{file: File, words: Word[]|null}>} `words`: null where the server sent none to the end
   */
  async stop(name) {
    this._node.port.postMessage("stop");
    await Promise.race([this._ended, wait(END_MILLISECONDS)]);
    for (const track of this._stream.getTracks()) track.stop();
    const file = wav(this._pieces, this.rate, name);
    await this._context.close();
    return { file, words: await this._lastWords() };
  }

  /** Give back what there is of the microphone; nothing is kept. */
  abandon() {
    for (const track of this._stream?.getTracks() ?? []) track.stop();
    this._context?.close();
    this._socket?.close();
  }

  _tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  _take(piece) {
    this._pieces.push(piece);
    let peak = 0;
    for (const sample of piece) peak = Math.max(peak, Math.abs(sample));
    this.levels.push(peak / 32768);
    this._tell("level", peak / 32768);
    if (this._socket?.readyState === WebSocket.OPEN) this._socket.send(piece);
  }

  _connect() {
    const address = new URL("/v1/listen", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    this._finished = new Promise((resolve) => (this._finish = resolve));
    socket.addEventListener("open", () => {
      this._isLive = true;
      socket.send(JSON.stringify({ type: "start", sample_rate: this.rate, prompt: this._prompt, token: token() }));
      for (const piece of this._pieces) socket.send(piece); // what was said before
    });
    socket.addEventListener("message", ({ data }) => this._hear(JSON.parse(data)));
    socket.addEventListener("close", () => {
      this._isLive = false;
      this._finish(false);
    });
  }

  _hear(message) {
    const words = (list) =>
      (list ?? []).map(({ word, text, start, end, confidence }) => ({ text: word ?? text, start, end, confidence: confidence ?? 1 }));
    if (message.type === "error") this._tell("problem", message.error?.message ?? message.message);
    if (message.type === "final") this.committed.push(...words(message.words));
    this.partial = message.type === "partial" ? words(message.words) : [];
    this._tell("words");
    if (message.type === "done") this._finish(true);
  }

  async _lastWords() {
    if (!this._isLive) {
      this._socket.close(); // it may be about to open
      return null;
    }
    this._socket.send(JSON.stringify({ type: "end" }));
    const isComplete = await Promise.race([this._finished, wait(ANSWER_MILLISECONDS)]);
    this._socket.close();
    return isComplete ? this.committed : null;
  }
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds, false));

function reasonOf(error) {
  if (error.name === "NotAllowedError") return "The browser may not use the microphone: allow it for this page.";
  if (error.name === "NotFoundError") return "There is no microphone.";
  if (error.name === "NotReadableError") return "The microphone cannot be read: another program may have it.";
  return `The microphone cannot be used: ${error.message}`;
}
