"""Recall, false alarms and time errors of word detection in one long recording.

    python benchmarks/detection.py MODEL data/fsdd/test.jsonl.gz --count 60

Utterances of the manifest, drawn at random, are joined with 0.3 to 1.5 s of faint noise (-65 dB) between them. A word
is detected if a detection of its class overlaps it by half of the shorter of the two. Prints recall, false alarms
(detections without a word) and the mean errors of starts and ends against those of the utterances, whose files have
some silence at their edges.
"""

from __future__ import annotations

import argparse

import numpy as np

from asr import audio
from asr.data import manifest
from asr.inference.classifier import THRESHOLD, Classifier
from asr.inference.detection import Detection


def concatenated(path: str, count: int, rate: int, seed: int) -> tuple[np.ndarray, list[Detection]]:
    """Return the waveform (S,) and its words with their times."""
    rng = np.random.default_rng(seed)
    cuts = manifest.read(path)
    parts, truth, position = [], [], 0
    for index in rng.choice(len(cuts), count, replace=False):
        cut = cuts[index]
        speech = audio.read(str(manifest.audio_path(cut)), rate, start=cut.start, duration=cut.duration)
        pause = rng.normal(0, 10 ** (-65 / 20), int(rng.uniform(0.3, 1.5) * rate)).astype(np.float32)
        parts += [pause, speech]
        start = position + len(pause)
        position = start + len(speech)
        truth.append(Detection(manifest.text(cut), start / rate, position / rate, 1.0))
    parts.append(rng.normal(0, 10 ** (-65 / 20), rate).astype(np.float32))
    return np.concatenate(parts), truth


def matches(one: Detection, true: Detection) -> bool:
    common = min(one.end, true.end) - max(one.start, true.start)
    return one.word == true.word and common >= 0.5 * min(one.end - one.start, true.end - true.start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("manifest")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window", type=float)
    parser.add_argument("--hop", type=float)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    options = parser.parse_args()
    loaded = Classifier.load(options.model)
    assert loaded.sample_rate is not None
    waveform, truth = concatenated(options.manifest, options.count, loaded.sample_rate, options.seed)
    settings = {"window": options.window, "hop": options.hop, "threshold": options.threshold}
    left = list(loaded.detect(waveform, **settings))
    total, errors = len(left), []
    for true in truth:
        if (one := next((one for one in left if matches(one, true)), None)) is not None:
            left.remove(one)
            errors.append((abs(one.start - true.start), abs(one.end - true.end)))
    starts, ends = np.mean(errors, axis=0) if errors else (np.nan, np.nan)
    print(
        f"{len(waveform) / loaded.sample_rate:.1f} s, {len(truth)} words: {len(errors)} detected (recall "
        f"{100 * len(errors) / len(truth):.1f} %), {total - len(errors)} false alarms; mean error of starts "
        f"{1000 * starts:.0f} ms, of ends {1000 * ends:.0f} ms"
    )


if __name__ == "__main__":
    main()
