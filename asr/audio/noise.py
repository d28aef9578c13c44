"""Generate noise for training: white, colored, and tones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LOWEST_HZ, HIGHEST_HZ = 50.0, 3500.0  # of the fundamental of a tone


def white(samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian white noise, ``(samples,)`` of standard deviation 1; the ``sample_rate`` in Hz has no effect."""
    return rng.normal(size=samples)


def colored(samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise whose power falls by 0 to 9 dB an octave (pink: 3, brown: 6), and half the time comes in bursts.

    Args:
        samples: S.
        sample_rate: in Hz.
        rng: draws slope, noise and bursts.

    Returns:
        ``(S,)`` of standard deviation about 1.
    """
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hz = np.fft.rfftfreq(samples, 1 / sample_rate)
    noise = np.fft.irfft(spectrum * np.maximum(hz, LOWEST_HZ) ** -rng.uniform(0, 1.5), samples)
    if rng.random() < 0.5:
        noise = noise * _levels(samples, sample_rate, rng)
    return noise / max(float(noise.std()), 1e-12)


def tones(samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return harmonic tones: steady ones, chords or sequences of notes that ring or decay.

    Args:
        samples: S.
        sample_rate: in Hz.
        rng: draws number, pitch, timbre and duration of the notes.

    Returns:
        ``(S,)`` of standard deviation about 1.
    """
    result = np.zeros(samples)
    is_steady = rng.random() < 0.3
    for _ in range(int(rng.integers(1, 4))):  # voices
        begin = 0
        while begin < samples:
            length = samples if is_steady else int(rng.uniform(0.08, 1.0) * sample_rate)
            seconds = np.arange(min(length, samples - begin)) / sample_rate
            fundamental = LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** rng.random()
            partials = np.arange(1, 1 + int(rng.integers(1, 9)))
            partials = partials[partials * fundamental < sample_rate / 2]
            strengths = rng.uniform(0.2, 1.0, len(partials)) * partials ** -rng.uniform(0, 2)
            phases = rng.uniform(0, 2 * np.pi, len(partials))
            note = strengths @ np.sin(2 * np.pi * fundamental * partials[:, None] * seconds + phases[:, None])
            decay = 0.0 if is_steady or rng.random() < 0.3 else rng.uniform(1, 12)  # nats per second
            result[begin : begin + len(seconds)] += note * np.exp(-decay * seconds)
            begin += length
    return result / max(float(result.std()), 1e-12)


def _levels(samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Levels (samples,) between -40 and 0 dB that change 1 to 8 times a second."""
    count = 2 + int(samples / sample_rate * rng.uniform(1, 8))
    decibels = np.interp(np.linspace(0, count - 1, samples), np.arange(count), rng.uniform(-40, 0, count))
    return 10 ** (decibels / 20)


# by name: (samples, sample rate, random numbers) to noise (samples,)
GENERATORS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "white": white,
    "colored": colored,
    "tones": tones,
}
