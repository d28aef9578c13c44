"""Error rate of a recognizer in silence, noise, narrow bands and at other gains, and its words where nobody speaks.

    python benchmarks/conditions.py MODEL MANIFEST [--noise FOLDER] [--only TEXT] [--every N] [--quick] [--json FILE]

Each utterance of the manifest is transcribed as it is, between zeros and between white noise at -60 and -40 dBFS (0.1,
0.5, 2 and 30 s before and after), with the whole recording at a gain of -40, -30, -20 and +6 dB, after which it is
rounded to 16 bits, with noise at 20 and 10 dB (white, and the recordings below ``--noise``, drawn anew for each
utterance), and as a telephone has it: sampled at 8 kHz, and from 300 to 3400 Hz. Targets, above the word error rate (of
a head of phones: phone error rate) of the utterances as they are: 1 point; in noise 8; in bands 4. Then follow ten
minutes each of silence, noise, a tone, a melody of chords and the recordings below ``--noise``. Target: at most one
word a minute. Last come the utterances reversed, as a language that nobody knows, and five at once. Target: a mean
confidence of the words of at most 0.3, as far as they are not left out. ``--only`` takes the cases whose name contains
a text, ``--every N`` every Nth utterance; ``--quick`` every tenth, 5 s in place of 30 and two minutes in place of ten.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from _common import arguments, machine_line
from lhotse import MonoCut

from asr import audio
from asr.audio.perturbation import Perturbation, amplify, limit_band
from asr.data import manifest
from asr.data.perturber import Perturber
from asr.data.speech_dataset import transcript
from asr.errors import InputError
from asr.inference.recognizer import Recognizer
from asr.metrics.error_rate import ErrorCounts, Kind, count_errors
from asr.output.transcript import Transcript

WER_TARGET, NOISE_TARGET, BAND_TARGET = 0.01, 0.08, 0.04  # more than without
WORDS_TARGET = 1.0  # a minute
CONFIDENCE_TARGET = 0.3
LEVELS: dict[str, float | None] = {"zeros": None, "noise at -60 dBFS": -60.0, "noise at -40 dBFS": -40.0}
GAINS = (-40.0, -30.0, -20.0, 6.0)
SNRS = (20.0, 10.0)
BANDS = {"sampled at 8 kHz": (0.0, 4000.0), "300 to 3400 Hz": (300.0, 3400.0)}


class Table:
    """Rows {"case", "value", "target"}, printed as they come; a value above its target is marked."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str | float]] = []
        print(machine_line())

    def add(self, case: str, value: float, target: float, text: str) -> None:
        """Add a row and print it with the value as ``text``."""
        self.rows.append({"case": case, "value": value, "target": target})
        print(f"{case:<44} {text}{'' if value <= target else '  (above the target)'}", flush=True)

    def write(self, path: Path | None) -> None:
        """Write the rows as JSON, if there is a path."""
        if path:
            path.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")


def noise(samples: int, level_db: float | None, rng: np.random.Generator) -> np.ndarray:
    """Return white noise (S,) of a level in dBFS; None: zeros."""
    if level_db is None:
        return np.zeros(samples, np.float32)
    return rng.standard_normal(samples, dtype=np.float32) * np.float32(10 ** (level_db / 20))


def melody(seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return chords and a tune of decaying harmonic notes over a drum, as music has them, peaking at -6 dBFS."""
    beat = round(0.4 * rate)
    beats = round(seconds / 0.4)
    result = np.zeros(beats * beat + 4 * beat)
    for number in range(beats):
        time = np.arange(4 * beat) / rate
        chord = (0, 5, 7, 3)[number // 4 % 4]
        notes = [chord + 12 + int(rng.choice([0, 3, 7, 10, 12]))]
        if number % 4 == 0:
            notes += [chord - 12, chord, chord + 4, chord + 7]
        for note in notes:
            hz = 220 * 2 ** (note / 12)
            partials = sum(np.sin(2 * np.pi * k * hz * time) / k**1.5 for k in range(1, 7) if k * hz < rate / 2)
            result[number * beat : (number + 4) * beat] += partials * np.exp(-3 * time) * np.minimum(1, time * 100)
        hit = rng.standard_normal(beat) * np.exp(-40 * np.arange(beat) / rate)
        result[number * beat : (number + 1) * beat] += 0.5 * hit
    result = result[: round(seconds * rate)]
    return (0.5 * result / np.abs(result).max()).astype(np.float32)


def transcribe(model: Recognizer, waveforms: Sequence[np.ndarray]) -> list[Transcript]:
    """Transcribe waveforms at the model's rate, in batches; raise what the recognizer refuses."""
    results: dict[int, Transcript] = {}
    for index, result in model.transcribe_all(waveforms):
        if isinstance(result, InputError):
            raise result
        results[index] = result
    return [results[index] for index in range(len(waveforms))]


class Conditions:
    """Changes of the utterances of a manifest, and other sounds, each of which makes a row of a table.

    Args:
        model: the recognizer.
        rate: its sample rate in Hz.
        cuts: the utterances.
        noises: kinds of noise by name: "white", or a folder of recordings.
        quick: 5 s in place of 30, and two minutes in place of ten.
        only: a text that the names of measured cases contain.
    """

    def __init__(
        self,
        model: Recognizer,
        rate: int,
        cuts: Sequence[MonoCut],
        noises: Mapping[str, str],
        quick: bool,
        only: str,
    ) -> None:
        self.model = model
        self.rate = rate
        self.noises = noises
        self.minutes, self.longest = (2, 5.0) if quick else (10, 30.0)
        self.only = only
        self.table = Table()
        self.rng = np.random.default_rng(0)
        self.vocabulary = model.decoder.scoring_vocabulary
        self.kind: Kind = "per" if self.vocabulary.kind == "phones" else "wer"
        normalize = self.vocabulary.normalize_for_scoring
        self.references = [normalize(transcript(cut, self.vocabulary) or "") for cut in cuts]
        self.speech = [
            audio.read(manifest.audio_path(cut), rate, start=cut.start, duration=cut.duration) for cut in cuts
        ]
        self.plain = self._error_rate(lambda waveform: waveform)
        name = f"{len(cuts)} utterances as they are"
        self.table.add(name, self.plain, 1.0, f"{self.kind.upper()} {self.plain:6.2%}")

    def _error_rate(self, change: Callable[[np.ndarray], np.ndarray]) -> float:
        total = ErrorCounts()
        hypotheses = transcribe(self.model, [change(waveform) for waveform in self.speech])
        for reference, hypothesis in zip(self.references, hypotheses, strict=True):
            total += count_errors(self.kind, reference, self.vocabulary.normalize_for_scoring(hypothesis.text))
        return total.rate

    def _measure(self, case: str, change: Callable[[np.ndarray], np.ndarray], target: float = WER_TARGET) -> None:
        if self.only in case:
            rate = self._error_rate(change)
            self.table.add(case, rate, self.plain + target, f"{self.kind.upper()} {rate:6.2%}")

    def _between(self, level: float | None, seconds: float) -> Callable[[np.ndarray], np.ndarray]:
        samples = round(seconds * self.rate)
        return lambda x: np.concatenate([noise(samples, level, self.rng), x, noise(samples, level, self.rng)])

    def measure_silence_and_gain(self) -> None:
        """Measure the utterances between zeros and noise, and at other gains."""
        for name, level in LEVELS.items():
            for seconds in (0.1, 0.5, 2.0, self.longest):
                self._measure(f"{seconds:g} s of {name}", self._between(level, seconds))
        for gain in GAINS:
            self._measure(f"gain {gain:+g} dB", lambda x, gain=gain: amplify(x, gain))
            for name, level in LEVELS.items():
                pad = self._between(level, 0.5)
                case = f"0.5 s of {name}, gain {gain:+g} dB"
                self._measure(case, lambda x, pad=pad, gain=gain: amplify(pad(x), gain))

    def measure_noise_and_bands(self) -> None:
        """Measure the utterances with noise, and in narrow bands."""
        for name, source in self.noises.items():
            for snr in SNRS:
                add = Perturber(Perturbation(noise=[source], noise_probability=1.0, snr=(snr, snr)), self.rate)
                self._measure(f"{name}, {snr:g} dB", lambda x, add=add: add(x, self.rng).samples, NOISE_TARGET)
        for name, (low, high) in BANDS.items():
            self._measure(name, lambda x, low=low, high=high: limit_band(x, self.rate, low, high), BAND_TARGET)

    def measure_sounds(self) -> None:
        """Measure the words found where nobody speaks, and the confidence in what is only like speech."""
        samples = 60 * self.minutes * self.rate
        tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(samples) / self.rate).astype(np.float32)
        sounds = {"silence": noise(samples, None, self.rng)}
        sounds |= {f"noise at {level:g} dBFS": noise(samples, level, self.rng) for level in (-60.0, -40.0, -20.0)}
        sounds |= {"tone of 440 Hz": tone, "melody": melody(60 * self.minutes, self.rate, self.rng)}
        for name, source in list(self.noises.items())[1:]:
            files = sorted(path for path in Path(source).rglob("*") if path.suffix.lower() in audio.INPUT_EXTENSIONS)
            sounds[name] = np.concatenate([audio.read(path, self.rate) for path in files])[:samples]
        voices = np.concatenate(self.speech)[:samples]
        speechlike = {"speech reversed": voices[::-1].copy()}
        speechlike["five voices at once"] = 0.4 * np.sum(np.split(voices[: len(voices) // 5 * 5], 5), 0)
        for name, waveform in (sounds | speechlike).items():
            if self.only not in name:
                continue
            (result,) = transcribe(self.model, [waveform])
            length, confidence = len(waveform) / self.rate / 60, result.confidence or 0.0
            words = len(result.words) / length
            value, target = (confidence, CONFIDENCE_TARGET) if name in speechlike else (words, WORDS_TARGET)
            text = f"{words:.1f} words a minute, confidence {confidence:.2f}"
            self.table.add(f"{length:.1f} minutes of {name}", value, target, text)


def main() -> None:
    options = arguments(__doc__, "model", "manifest", every=1, noise="", only="")
    model = Recognizer.load(options.model, plain=True)
    if model.sample_rate is None:
        raise SystemExit(f"{options.model} reads features, not audio")
    cuts = [
        cut for cut in manifest.read(options.manifest) if transcript(cut, model.decoder.scoring_vocabulary) is not None
    ]
    noises = {"white noise": "white"}
    if options.noise:
        noises |= {folder.name: str(folder) for folder in sorted(Path(options.noise).iterdir()) if folder.is_dir()}
    began = time.perf_counter()
    conditions = Conditions(
        model, model.sample_rate, cuts[:: 10 if options.quick else options.every], noises, options.quick, options.only
    )
    conditions.measure_silence_and_gain()
    conditions.measure_noise_and_bands()
    conditions.measure_sounds()
    conditions.table.write(options.json)
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
