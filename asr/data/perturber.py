"""Apply the perturbations of a configuration to training waveforms."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr import audio
from asr.audio import perturbation as effects
from asr.audio.noise import GENERATORS
from asr.audio.perturbation import Perturbation
from asr.data import manifest
from asr.errors import InputError
from asr.utils.folders import list_files

CACHE_HOURS = 2.0  # of noise that is kept in memory (0.23 GB an hour); the rest is read each time
RESPONSE_SECONDS = 1.0  # of an impulse response that are used: the rest is 60 dB below, or a concert hall
DIRECT_SECONDS = 0.0025  # of a response after its peak that count as the direct sound


class Perturbed(NamedTuple):
    """A perturbed waveform.

    Attributes:
        samples: ``(S,)`` float32.
        before: number of samples of silence or noise put before the utterance.
        after: number of those put after it.
        clean: ``(S,)``, the utterance with its speed and silence alone, for a teacher.
    """

    samples: np.ndarray
    before: int
    after: int
    clean: np.ndarray


class Perturber:
    """Draws and applies a `Perturbation`. Noise and impulse responses stay in memory.

    Args:
        options: the perturbation.
        sample_rate: of the waveforms, in Hz.

    Raises:
        InputError: a manifest or folder of noise or impulse responses that cannot be read or has no audio.
    """

    def __init__(self, options: Perturbation, sample_rate: int) -> None:
        self.options = options
        self.sample_rate = sample_rate
        noise = options.noise or ()
        self._noise = [_recordings(source) for source in ([noise] if isinstance(noise, str) else noise)]
        self._responses = _recordings(options.impulse_responses) if options.impulse_responses else []
        self._cache: dict[str, np.ndarray] = {}
        self._cached_samples = 0

    def draw_nonspeech(self, rng: np.random.Generator) -> bool:
        """Draw whether an utterance is replaced by noise alone."""
        probability = self.options.nonspeech_probability
        return probability > 0 and rng.random() < probability

    def nonspeech(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return noise in place of a waveform: as long, of the same level, with the gain of the options.

        Args:
            samples: speech, ``(S,)``.
            rng: draws the noise.

        Returns:
            ``(S,)`` float32; in one of ten cases zeros.
        """
        if rng.random() < 0.1:
            return np.zeros(len(samples), dtype=np.float32)
        noise = effects.add_noise(samples, self._draw_noise(len(samples), rng), 0.0, rng) - samples
        return self._amplify(noise, rng)

    def __call__(self, samples: np.ndarray, rng: np.random.Generator) -> Perturbed:
        """Perturb a waveform.

        Args:
            samples: ``(S,)`` float32.
            rng: draws all that is random.

        Returns:
            The waveform, whose length is another one where the speed or the silence around it changes.
        """
        options, rate = self.options, self.sample_rate
        before = after = 0
        factor = float(rng.choice(np.asarray(options.speed)))
        if factor != 1.0:
            samples = effects.speed_perturb(samples, factor)
        clean = samples
        if self._responses and rng.random() < options.reverb_probability:
            response = self._read(self._responses[rng.integers(len(self._responses))])
            response = response[: round(RESPONSE_SECONDS * rate)]
            samples = effects.reverberate(samples, response, rng.random(), round(DIRECT_SECONDS * rate))
        if options.silence_seconds and rng.random() < options.silence_probability:
            before, after = (round(seconds * rate) for seconds in rng.uniform(0, options.silence_seconds, 2))
            level = None if rng.random() < 0.5 else rng.uniform(*options.silence_db)
            samples = effects.pad_silence(samples, before, after, level, rng)
            clean = effects.pad_silence(clean, before, after, None, rng)
        if self._noise and rng.random() < options.noise_probability:
            noise = self._draw_noise(len(samples), rng)
            samples = effects.add_noise(samples, noise, rng.uniform(*options.snr), rng)
        if (band := self._draw_band(rng)) is not None:
            samples = effects.limit_band(samples, rate, *band)
        return Perturbed(self._amplify(samples, rng), before, after, clean)

    def _amplify(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return samples if self.options.gain is None else effects.amplify(samples, rng.uniform(*self.options.gain))

    def _draw_band(self, rng: np.random.Generator) -> tuple[float, float] | None:
        """Draw the limits of the band in Hz; None: the band is not limited."""
        options = self.options
        if options.telephone_probability and rng.random() < options.telephone_probability:
            return rng.uniform(*effects.TELEPHONE_LOW), rng.uniform(*effects.TELEPHONE_HIGH)
        if options.high_cut is not None and rng.random() < options.band_probability:
            return rng.uniform(0, options.low_cut), rng.uniform(*options.high_cut)
        return None

    def _draw_noise(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        source = self._noise[rng.integers(len(self._noise)) if len(self._noise) > 1 else 0]
        chosen = source[rng.integers(len(source))]
        return GENERATORS[chosen](samples, self.sample_rate, rng) if chosen in GENERATORS else self._read(chosen)

    def _read(self, path: str) -> np.ndarray:
        if path in self._cache:
            return self._cache[path]
        samples = audio.read(path, self.sample_rate)
        if self._cached_samples + len(samples) <= CACHE_HOURS * 3600 * self.sample_rate:
            self._cache[path] = samples
            self._cached_samples += len(samples)
        return samples


def _recordings(source: str) -> list[str]:
    """Audio files of a manifest or in a folder (no transcripts needed), or the name of a generated noise."""
    if source in GENERATORS:
        return [source]
    folder = Path(source)
    if not folder.is_dir():
        return [str(manifest.audio_path(cut)) for cut in manifest.read(source)]
    files = [str(file) for file in list_files(folder, audio.INPUT_EXTENSIONS)]
    if not files:
        raise InputError(
            f"{source}: no audio files in this folder; expected {', '.join(sorted(audio.INPUT_EXTENSIONS))}"
        )
    return files
