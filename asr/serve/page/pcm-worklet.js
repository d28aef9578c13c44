// The microphone's samples as 16-bit PCM, mono, in pieces of a tenth of a second.

class PCM extends AudioWorkletProcessor {
  constructor() {
    super();
    this._piece = new Int16Array(Math.round(sampleRate / 10));
    this._size = 0;
    this._isOn = true;
    this.port.onmessage = () => {
      this._send(); // the rest
      this._isOn = false;
      this.port.postMessage(null);
    };
  }

  process([channels]) {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      const sample = Math.max(-1, Math.min(1, sum / channels.length));
      this._piece[this._size++] = Math.round(sample * (sample < 0 ? 32768 : 32767));
      if (this._size === this._piece.length) this._send();
    }
    return this._isOn;
  }

  _send() {
    const piece = this._piece.slice(0, this._size);
    this._size = 0;
    if (piece.length) this.port.postMessage(piece, [piece.buffer]);
  }
}

registerProcessor("pcm", PCM);
