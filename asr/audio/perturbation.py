"""Perturb training waveforms: speed, reverberation, silence, additive noise, band limits, gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asr.errors import InputError

PROBABILITY = {"min": 0, "max": 1}

# The limits of a telephone's band in Hz: nominally 300 and 3400 (ITU-T G.712)
TELEPHONE_LOW = (200.0, 400.0)
TELEPHONE_HIGH = (3200.0, 4000.0)


@dataclass(frozen=True)
class Perturbation:
    """Perturbation of waveforms in training, in the order of the attributes; by default there is none.

    Attributes:
        nonspeech_probability: of an utterance to be replaced by noise alone, of the same level, with an empty
            transcript; it needs ``noise``.
        speed: factors, one of which is drawn for each utterance (tempo and pitch together); (1,): none.
        impulse_responses: manifest or folder of room impulse responses, with one of which an utterance is convolved;
            the reverberation is between none and as strong as recorded. None: no reverberation.
        reverb_probability: of an utterance to be reverberated.
        silence_seconds: longest silence put before and after an utterance, in seconds, each drawn uniformly.
        silence_probability: of an utterance to be surrounded by silence: half the time zeros, else white noise.
        silence_db: lowest and highest level of that noise relative to the utterance, in dB.
        noise: manifest or folder of noise recordings, one of which is added to an utterance, or a kind of generated
            noise (`asr.audio.noise.GENERATORS`: ``"white"``, ``"colored"``, ``"tones"``); of a list, one source is
            drawn first. None: no noise.
        noise_probability: of an utterance to be given noise.
        snr: lowest and highest signal-to-noise ratio, in dB.
        high_cut: lowest and highest upper limit of an utterance's band, in Hz; None: the band is not limited.
        low_cut: highest lower limit of the band, in Hz.
        band_probability: of an utterance's band to be limited.
        telephone_probability: of an utterance to have the band of a telephone instead, `TELEPHONE_LOW` to
            `TELEPHONE_HIGH`.
        gain: lowest and highest gain of an utterance in dB, after which it is rounded to 16 bits as a recording of that
            level is; None: neither.

    Raises:
        InputError: limits in the wrong order, or non-speech without noise.
    """

    nonspeech_probability: float = field(default=0.0, metadata=PROBABILITY)
    speed: Sequence[float] = (1.0,)
    impulse_responses: str | None = None
    reverb_probability: float = field(default=0.5, metadata=PROBABILITY)
    silence_seconds: float = field(default=0.0, metadata={"min": 0})
    silence_probability: float = field(default=0.5, metadata=PROBABILITY)
    silence_db: tuple[float, float] = (-70.0, -20.0)
    noise: str | Sequence[str] | None = None
    noise_probability: float = field(default=0.5, metadata=PROBABILITY)
    snr: tuple[float, float] = (5.0, 25.0)
    high_cut: tuple[float, float] | None = None
    low_cut: float = field(default=0.0, metadata={"min": 0})
    band_probability: float = field(default=0.5, metadata=PROBABILITY)
    telephone_probability: float = field(default=0.0, metadata=PROBABILITY)
    gain: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("silence_db", "snr", "high_cut", "gain"):
            limits = getattr(self, name)
            if limits is not None and limits[0] > limits[1]:
                raise InputError(f"perturbation.{name}={list(limits)}: the lowest comes first: [lowest, highest]")
        if self.nonspeech_probability and not self.noise:
            raise InputError("perturbation.nonspeech_probability needs perturbation.noise: name sources of noise")


def speed_perturb(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play a waveform faster or slower, tempo and pitch together (Ko et al. 2015, who use 0.9, 1.0 and 1.1).

    Resampled by soxr, as by the audio reader: band-limited for any factor. torchaudio's ``SpeedPerturbation`` draws its
    factor from torch's global random numbers, and its resampler is slower, as its filters grow with the terms of the
    ratio.

    Args:
        waveform: ``(S,)``.
        factor: speed, 0.1 to 10.

    Returns:
        About S / factor samples, float32.

    Raises:
        InputError: a factor outside 0.1 to 10.
    """
    import soxr

    if not 0.1 <= factor <= 10:
        raise InputError(f"speed factor {factor}: use a number from 0.1 to 10")
    waveform = np.asarray(waveform, dtype=np.float32)
    return waveform.copy() if factor == 1 else soxr.resample(waveform, factor, 1.0)


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add a random segment of noise at a signal-to-noise ratio.

    The ratio is that of the mean squares over the whole waveform, computed in float64. Noise that is shorter than the
    speech is repeated. Silent speech, and a silent segment of noise, have no ratio: the waveform is returned unchanged.
    The result is not clipped. (torchaudio's ``functional.add_noise`` needs noise of the same length and gives
    NaN for silent noise.)

    Args:
        waveform: speech, ``(S,)``.
        noise: ``(M,)``, at least one sample.
        snr_db: signal-to-noise ratio in dB.
        rng: draws the segment.

    Returns:
        ``(S,)`` float32.

    Raises:
        InputError: the noise is empty, or an array is not one-dimensional.
    """
    if np.ndim(waveform) != 1 or np.ndim(noise) != 1 or not len(noise):
        raise InputError(
            f"add_noise: speech of shape {np.shape(waveform)}, noise of shape {np.shape(noise)}; "
            "mono waveforms are needed, and noise of at least one sample"
        )
    spare = len(noise) - len(waveform)
    if spare >= 0:
        start = int(rng.integers(spare + 1))
        segment = noise[start : start + len(waveform)].astype(np.float64)
    else:
        start = int(rng.integers(len(noise)))
        segment = np.resize(np.roll(noise, -start), len(waveform)).astype(np.float64)
    speech = np.asarray(waveform, dtype=np.float64)
    energy, noise_energy = np.sum(speech**2), np.sum(segment**2)
    if energy == 0 or noise_energy == 0:
        return speech.astype(np.float32)
    # snr_db = 10 log10(energy / (gain² noise_energy))
    gain = np.sqrt(energy / (noise_energy * 10 ** (snr_db / 10)))
    return (speech + gain * segment).astype(np.float32)


def reverberate(
    waveform: np.ndarray, response: np.ndarray, strength: float = 1.0, direct_samples: int = 40
) -> np.ndarray:
    """Convolve a waveform with a room impulse response.

    Speech is not delayed: what precedes the response's peak is dropped. The level (mean square) stays the same.

    Args:
        waveform: ``(S,)``.
        response: impulse response, ``(R,)``.
        strength: factor of what arrives ``direct_samples`` or more after the peak; 0 is a room without walls.
        direct_samples: samples of the direct sound; 40 are 2.5 ms at 16 kHz.

    Returns:
        ``(S,)`` float32.

    Raises:
        InputError: the response is empty or silent.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    response = np.asarray(response, dtype=np.float32)
    if not response.any():
        raise InputError("reverberate: the impulse response is empty or silent")
    response = response[int(np.argmax(np.abs(response))) :].copy()
    response[direct_samples:] *= strength
    size = fast_fft_length(len(waveform) + len(response) - 1)
    spectrum = np.fft.rfft(waveform, size) * np.fft.rfft(response, size)
    result = np.fft.irfft(spectrum, size)[: len(waveform)]
    before, after = np.sqrt(np.mean(waveform**2)), np.sqrt(np.mean(result**2))
    return waveform if after == 0 else (result * (before / after)).astype(np.float32)


def pad_silence(
    waveform: np.ndarray, before: int, after: int, level_db: float | None, rng: np.random.Generator
) -> np.ndarray:
    """Put zeros or white noise before and after a waveform.

    Args:
        waveform: ``(S,)``.
        before: samples to put before it.
        after: samples to put after it.
        level_db: level of the noise (mean square) relative to that of the waveform, in dB; None: zeros.
        rng: draws the noise.

    Returns:
        ``(before + S + after,)`` float32.
    """
    result = np.zeros(before + len(waveform) + after, dtype=np.float32)
    result[before : before + len(waveform)] = waveform
    if level_db is not None and len(waveform):
        deviation = np.sqrt(np.mean(np.square(waveform, dtype=np.float64))) * 10 ** (level_db / 20)
        result[:before] = rng.standard_normal(before, dtype=np.float32) * deviation
        result[before + len(waveform) :] = rng.standard_normal(after, dtype=np.float32) * deviation
    return result


def limit_band(waveform: np.ndarray, sample_rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Remove what is below or above a band, such as that of a telephone or a codec.

    The edges are steep, as those of MP3 and of resampling: they fall over a twentieth of their frequency.

    Args:
        waveform: ``(S,)``.
        sample_rate: in Hz.
        low_hz: lower limit; 0: none.
        high_hz: upper limit; half the sample rate or more: none.

    Returns:
        ``(S,)`` float32.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    size = fast_fft_length(len(waveform))
    spectrum = np.fft.rfft(waveform, size)
    hz = np.arange(len(spectrum), dtype=np.float32) * (sample_rate / size)
    if high_hz < sample_rate / 2:
        spectrum *= np.clip((high_hz - hz) / (0.05 * high_hz), 0, 1)
    if low_hz > 0:
        spectrum *= np.clip((hz - low_hz) / (0.05 * low_hz) + 1, 0, 1)
    return np.fft.irfft(spectrum, size)[: len(waveform)].astype(np.float32)


def amplify(waveform: np.ndarray, gain_db: float) -> np.ndarray:
    """Apply a gain in dB to a waveform ``(S,)``, then clip and round it to 16 bits; ``(S,)`` float32."""
    scaled = np.asarray(waveform, dtype=np.float32) * np.float32(32768 * 10 ** (gain_db / 20))
    return np.clip(np.rint(scaled), -32768, 32767) / np.float32(32768)


def fast_fft_length(length: int) -> int:
    """Return the least 2^k, 3 · 2^k or 5 · 2^k of at least ``length``, a length whose Fourier transform is fast."""
    power = 1 << max(length - 1, 1).bit_length()
    return min(size for size in (power, power * 3 // 4, power * 5 // 8) if size >= length)
