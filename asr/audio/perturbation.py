"""Perturb training waveforms: speed and additive noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asr.errors import InputError

if TYPE_CHECKING:
    pass


def speed_perturb(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play ``waveform`` (S,) ``factor`` times as fast, tempo and pitch together: about S / factor samples,
    float32.

    Resampled by soxr, which the audio reader uses too: band-limited for any factor, and faster than
    torchaudio's resampler, whose filters grow with the terms of the ratio (Ko et al. 2015 use 0.9, 1.0 and
    1.1).
    """
    import soxr

    if not 0.1 <= factor <= 10:
        raise InputError(f"speed factor {factor}: use a number from 0.1 to 10")
    waveform = np.asarray(waveform, dtype=np.float32)
    return waveform.copy() if factor == 1 else soxr.resample(waveform, factor, 1.0)


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add a random stretch of ``noise`` to ``waveform`` (S,) so that speech is ``snr_db`` dB stronger;
    float32.

    Noise that is shorter than the speech is repeated. The ratio is that of the mean squares over the whole
    waveform. Silent speech, and a silent stretch of noise, have no such ratio: the waveform is returned as it
    is. The result is not clipped.

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
        stretch = noise[start : start + len(waveform)].astype(np.float64)
    else:
        start = int(rng.integers(len(noise)))
        stretch = np.resize(np.roll(noise, -start), len(waveform)).astype(np.float64)
    speech = np.asarray(waveform, dtype=np.float64)
    energy, noise_energy = np.sum(speech**2), np.sum(stretch**2)
    if energy == 0 or noise_energy == 0:
        return speech.astype(np.float32)
    gain = np.sqrt(energy / (noise_energy * 10 ** (snr_db / 10)))
    return (speech + gain * stretch).astype(np.float32)


WHITE = "white"


@dataclass(frozen=True)
class Perturbation:
    """What is done to waveforms in training: speed (tempo and pitch) factors, noise at a signal-to-noise ratio.

    ``noise`` is a manifest or folder of noise recordings, one of which is added to an utterance with probability
    ``noise_probability`` at ``snr`` = (lowest, highest) dB; or "white" for noise that is made up.
    """

    speed: Sequence[float] = (1.0,)
    noise: str | None = None
    noise_probability: float = 0.5
    snr: tuple[float, float] = (5.0, 25.0)
