// Waveforms: the least and the greatest sample of short spans, which is all that drawing needs.

const DECODED_RATE = 8000; // samples a second
const PEAK_RATE = 400; // spans a second
const MAX_SECONDS = 2 * 3600; // a longer recording would take too much memory while it is decoded
const MAX_BYTES = 1 << 30;

/**
 * Decode a file by the browser.
 *
 * @param {Blob} file
 * @param {number} duration seconds as far as is known, or 0
 * @returns {Promise<{rate: number, low: Int8Array, high: Int8Array, duration: number}|null>} null: the browser does
 *   not know the format, or the recording is too long
 */
export async function peaksOf(file, duration) {
  if (duration > MAX_SECONDS || file.size > MAX_BYTES) return null;
  try {
    const context = new OfflineAudioContext(1, 1, DECODED_RATE);
    return peaks(await context.decodeAudioData(await file.arrayBuffer()));
  } catch {
    return null;
  }
}

function peaks(audio) {
  const size = DECODED_RATE / PEAK_RATE;
  const length = Math.ceil(audio.length / size);
  const [low, high] = [new Float32Array(length), new Float32Array(length)];
  for (let channel = 0; channel < audio.numberOfChannels; channel++) {
    const samples = audio.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) {
      const at = Math.floor(i / size);
      if (samples[i] < low[at]) low[at] = samples[i];
      if (samples[i] > high[at]) high[at] = samples[i];
    }
  }
  const loudest = Math.max(0.02, percentile(high, 0.999), -percentile(low, 0.001));
  const scaled = (values) => Int8Array.from(values, (v) => Math.round(127 * Math.max(-1, Math.min(1, v / loudest))));
  return { rate: PEAK_RATE, low: scaled(low), high: scaled(high), duration: audio.duration };
}

const percentile = (values, share) => Float32Array.from(values).sort()[Math.floor(share * (values.length - 1))] ?? 0;
