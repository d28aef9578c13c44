"""Perturb training waveforms: speed and additive noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError

WHITE = "white"


@dataclass(frozen=True)
class Perturbation:
    """Perturbation of waveforms in training.

    Attributes:
        speed: factors, one of which is drawn for each utterance (tempo and pitch together); (1,): none.
        noise: manifest or folder of noise recordings, one of which is added to an utterance; ``"white"``: generated
            Gaussian noise; None: no noise.
        noise_probability: of an utterance to be given noise.
        snr: lowest and highest signal-to-noise ratio, in dB.
    """

    speed: Sequence[float] = (1.0,)
    noise: str | None = None
    noise_probability: float = 0.5
    snr: tuple[float, float] = (5.0, 25.0)


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
