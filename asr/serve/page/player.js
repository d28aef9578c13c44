// Playing a recording: position, speed, single words.

import { wordAt } from "./text.js";

const HAIR = 0.002; // seconds before the end of a word that is heard alone: there it is still the one that sounds

/** Plays the recording that is shown. Events: "time" (in every frame while it plays), "state", "unplayable". */
export class Player extends EventTarget {
  /** @param {HTMLAudioElement} audio */
  constructor(audio) {
    super();
    this._audio = audio;
    this._stopAt = Infinity; // seconds, where a single word is heard
    this._wasPlaying = false; // before the last word was played
    this.isPlayable = false;
    const tell = (name) => () => this.dispatchEvent(new Event(name));
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, tell("state"));
    for (const name of ["seeking", "seeked", "timeupdate"]) audio.addEventListener(name, tell("time"));
    audio.addEventListener("play", () => this._frame());
    audio.addEventListener("timeupdate", () => this._stopInTime()); // there are no frames while the page is hidden
    audio.addEventListener("loadedmetadata", () => {
      this.isPlayable = true;
      tell("state")();
    });
    audio.addEventListener("error", () => {
      if (!audio.getAttribute("src")) return;
      this.isPlayable = false;
      tell("unplayable")();
    });
  }

  /** Take another recording; an empty address for none. */
  load(url) {
    this.isPlayable = false;
    this._stopAt = Infinity;
    const speed = this._audio.playbackRate;
    if (url) this._audio.src = url;
    else {
      this._audio.pause();
      this._audio.removeAttribute("src");
    }
    this._audio.defaultPlaybackRate = this._audio.playbackRate = speed;
    this.dispatchEvent(new Event("state"));
  }

  get time() {
    return this._audio.currentTime;
  }

  /** Length in seconds as the browser knows it, else 0. */
  get duration() {
    return Number.isFinite(this._audio.duration) ? this._audio.duration : 0;
  }

  get isPlaying() {
    return !this._audio.paused && !this._audio.ended;
  }

  set speed(rate) {
    this._audio.playbackRate = rate;
  }

  toggle() {
    if (this.isPlaying) this._audio.pause();
    else this.play();
  }

  play() {
    this._stopAt = Infinity;
    // refused until the user has touched the page, or aborted by the next recording
    this._audio.play().catch(() => {});
  }

  pause() {
    this._audio.pause();
  }

  seek(seconds) {
    this._stopAt = Infinity;
    this._audio.currentTime = Math.max(0, seconds);
  }

  /** Play from a word on, or the word alone. */
  playWord(word, alone = false) {
    this._wasPlaying = this.isPlaying;
    this.seek(word.start);
    this.play();
    if (alone) this._stopAt = word.end;
  }

  /** Stop, unless the sound went on already when the last word was chosen. */
  takeBack() {
    if (!this._wasPlaying) this.pause();
  }

  /** Return the number of the word that sounds, or -1. */
  sounding(words) {
    return wordAt(words, this.time + 0.001); // a position is rounded down
  }

  /** Stop where a single word ends, which is noticed a little later. */
  _stopInTime() {
    if (this.time < this._stopAt) return;
    this._audio.pause();
    this.seek(this._stopAt - HAIR);
  }

  _frame() {
    if (!this.isPlaying) return;
    this._stopInTime();
    this.dispatchEvent(new Event("time"));
    requestAnimationFrame(() => this._frame());
  }
}
