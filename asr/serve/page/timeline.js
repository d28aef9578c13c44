// The waveform with the words under it, and above it an overview of the whole recording where it is longer.

import { clock } from "./dom.js";

const ROW = 19; // pixels of a row of words
const ROWS = 2; // words that are too close to each other alternate
const SCALE = 14; // pixels of the times at the top
const ZOOMS = [4, 8, 16, 32, 64, 110, 160, 240, 360]; // pixels a second
const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600]; // seconds between times

/** Draws a recording on two canvases and follows the pointer. */
export class Timeline {
  /**
   * @param {HTMLElement} element the slider that holds both
   * @param {HTMLCanvasElement} overview
   * @param {HTMLCanvasElement} detail
   * @param {(seconds: number) => void} onSeek
   */
  constructor(element, overview, detail, onSeek) {
    Object.assign(this, { element, overview, detail, onSeek });
    this.threshold = 0.5;
    this.time = 0;
    this._zoom = ZOOMS.indexOf(160);
    this._start = 0; // seconds at the left edge
    this._recording = null;
    this._follow(detail, (x) => this._start + x / this._scale);
    this._follow(overview, (x) => (x / overview.clientWidth) * this._length);
    detail.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    new ResizeObserver(() => this.draw()).observe(element);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.draw());
    }
  }

  /** Show a recording, null for none. */
  show(recording) {
    if (recording !== this._recording) this._start = 0;
    this._recording = recording;
    this.draw();
  }

  /** Show loudness, 0 to 1, as it comes from the microphone; the newest at the right. */
  showLevels(levels) {
    const names = ["wave-played", "line"];
    const style = getComputedStyle(this.element);
    const [color, line] = names.map((name) => style.getPropertyValue(`--${name}`).trim());
    this.overview.hidden = true;
    const [context, width, height] = this._context(this.detail);
    const bar = 5; // pixels, with the space after it
    const shown = levels.slice(-Math.floor(width / bar));
    context.fillStyle = line;
    context.fillRect(0, height / 2, width, 1);
    context.fillStyle = color;
    shown.forEach((level, i) => {
      const half = Math.max(1, (height / 2 - 4) * Math.min(1, Math.sqrt(level)));
      context.fillRect(width - (shown.length - i) * bar, height / 2 - half, bar - 2, 2 * half);
    });
  }

  /** Show a time; the view moves with it. */
  setTime(time) {
    this.time = time;
    const span = this.detail.clientWidth / this._scale;
    if (time < this._start || time > this._start + span * 0.92) this._start = time - span * 0.08;
    this.draw();
  }

  /** Make seconds wider (1) or narrower (-1), around the time. */
  zoom(step) {
    const before = this._scale;
    this._zoom = Math.max(0, Math.min(ZOOMS.length - 1, this._zoom + step));
    this._start = this.time - ((this.time - this._start) * before) / this._scale;
    this.draw();
  }

  get _length() {
    return Math.max(0.1, this._recording?.duration ?? 0);
  }

  get _scale() {
    // never less than fills the width
    return Math.max(ZOOMS[this._zoom], this.detail.clientWidth / this._length);
  }

  _follow(canvas, timeOf) {
    const seek = (event) => {
      const time = timeOf(event.clientX - canvas.getBoundingClientRect().left);
      this.onSeek(Math.max(0, Math.min(this._length, time)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && seek(event));
  }

  _wheel(event) {
    if (event.ctrlKey) {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1 : -1);
    } else if (event.deltaX || event.shiftKey) {
      event.preventDefault();
      this._start += (event.deltaX || event.deltaY) / this._scale;
      this.draw();
    }
  }

  /** Draw in the next frame. */
  draw() {
    this._frame ??= requestAnimationFrame(() => {
      this._frame = undefined;
      this._draw();
    });
  }

  _draw() {
    const width = this.detail.clientWidth;
    if (!width || !this._recording || this._recording.isLive) return;
    const style = getComputedStyle(this.element);
    const names = ["wave", "wave-played", "line", "text", "muted", "surface", "accent", "accent-soft", "doubt"];
    this._colors = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this._font = style.fontFamily;
    const span = width / this._scale;
    this._start = Math.max(0, Math.min(this._length - span, this._start));
    this.overview.hidden = this._length <= span + 0.01;
    if (!this.overview.hidden) this._drawOverview(span);
    this._drawDetail();
  }

  _context(canvas) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return [context, width, height];
  }

  _drawOverview(span) {
    const [context, width, height] = this._context(this.overview);
    const scale = width / this._length;
    this._drawWave(context, 0, scale, width, 2, height - 4);
    context.strokeStyle = this._colors.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(this._start * scale + 0.75, 0.75, Math.max(6, span * scale - 1.5), height - 1.5, 4);
    context.stroke();
  }

  _drawDetail() {
    const [context, width, height] = this._context(this.detail);
    const bottom = height - ROWS * ROW - 2; // of the waveform
    this._drawScale(context, width, bottom);
    const words = this._recording.words;
    const [from, to] = [this._start, this._start + width / this._scale];
    const sounding = words.find((word) => word.start <= this.time && this.time < word.end);
    if (sounding) {
      context.fillStyle = this._colors["accent-soft"];
      context.fillRect(this._x(sounding.start), SCALE, (sounding.end - sounding.start) * this._scale, bottom - SCALE);
    }
    this._drawWave(context, this._start, this._scale, width, SCALE, bottom - SCALE);
    this._drawWords(context, words.filter((word) => word.end > from - 2 && word.start < to), bottom, sounding);
    const x = Math.round(this._x(this.time)) + 0.5;
    context.strokeStyle = this._colors.accent;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, 2);
    context.lineTo(x, bottom + 2);
    context.stroke();
  }

  _x(seconds) {
    return (seconds - this._start) * this._scale;
  }

  _drawScale(context, width, bottom) {
    const step = STEPS.find((seconds) => seconds * this._scale > 64) ?? 1200;
    context.font = `10.5px ${this._font}`;
    context.textBaseline = "top";
    context.fillStyle = this._colors.muted;
    context.strokeStyle = this._colors.line;
    context.lineWidth = 1;
    context.beginPath();
    for (let time = Math.ceil(this._start / step) * step; this._x(time) < width; time += step) {
      const x = Math.round(this._x(time)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, bottom);
      context.fillText(clock(time, step < 1 ? 1 : 0), x + 4, 1);
    }
    context.stroke();
  }

  _drawWave(context, start, scale, width, top, height) {
    const peaks = this._recording.peaks;
    const middle = top + height / 2;
    if (!peaks) {
      // the browser cannot read the audio: blocks where words are
      context.fillStyle = this._colors.wave;
      for (const word of this._recording.words) {
        const x = (word.start - start) * scale;
        if (x > width) break;
        context.fillRect(x, middle - height / 8, Math.max(1, (word.end - word.start) * scale - 1), height / 4);
      }
      return;
    }
    const split = (this.time - start) * scale;
    const bar = 3; // pixels, with the space after it
    for (let x = 0; x < width; x += bar) {
      const first = Math.floor((start + x / scale) * peaks.rate);
      const last = Math.max(first + 1, Math.floor((start + (x + bar) / scale) * peaks.rate));
      const stride = Math.max(1, Math.floor((last - first) / 64));
      let [low, high] = [0, 0];
      for (let at = first; at < last && at < peaks.low.length; at += stride) {
        low = Math.min(low, peaks.low[at]);
        high = Math.max(high, peaks.high[at]);
      }
      const half = Math.max(0.75, (height / 2 - 1) * Math.max(high, -low) / 127);
      context.fillStyle = x + bar / 2 < split ? this._colors["wave-played"] : this._colors.wave;
      context.fillRect(x, middle - half, bar - 1, 2 * half);
    }
  }

  _drawWords(context, words, bottom, sounding) {
    context.font = `13px ${this._font}`;
    context.textBaseline = "middle";
    const free = new Array(ROWS).fill(-Infinity); // x from which a row is free
    for (const word of words) {
      const x = this._x(word.start);
      const wide = context.measureText(word.text).width;
      const row = free.findIndex((edge) => edge <= x);
      if (row < 0) continue;
      free[row] = x + wide + 8;
      const y = bottom + 4 + row * ROW;
      if (word === sounding) {
        context.fillStyle = this._colors["accent-soft"];
        context.beginPath();
        context.roundRect(x - 3, y - 1, wide + 6, ROW - 2, 4);
        context.fill();
      }
      context.fillStyle = this._colors.text;
      context.fillText(word.text, x, y + ROW / 2 - 2);
      if (word.confidence < this.threshold) {
        context.strokeStyle = this._colors.doubt;
        context.lineWidth = 1.5;
        context.setLineDash([3, 2]);
        context.beginPath();
        context.moveTo(x, y + ROW - 4);
        context.lineTo(x + wide, y + ROW - 4);
        context.stroke();
        context.setLineDash([]);
      }
    }
  }
}
