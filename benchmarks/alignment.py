"""Forced alignment: error of word boundaries, and speed beside ctc-segmentation.

    python benchmarks/alignment.py MODEL MANIFEST [--quick] [--json FILE]

MANIFEST comes from ``asr prepare synthetic``, or is recipes/digits/data/test.jsonl.gz: its words have times. MODEL was
trained on that corpus (``make demo`` writes runs/demo). A word has two errors, of its begin and of its end; the row
"boundary error" compares the mean of their absolute values with the target of 60 ms.

Speed is measured by aligning 12 labels a second to random scores of 30-ms frames, on one thread. The peer is skipped if
it is not installed (``pip install ctc-segmentation``). Ours is exact; ctc-segmentation searches within a window around
the diagonal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import Report, arguments, medians
from _scores import generate_scores

from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.ctc.alignment import align, spans
from asr.inference.recognizer import Recognizer

TARGET_MS = 60.0
FRAMES_A_SECOND, LABELS_A_SECOND, LABELS = 33, 12, 29


def boundary_errors(model: str, path: str, max_utterances: int | None) -> np.ndarray:
    """Return the seconds (words, 2) by which begin and end of each word are late."""
    loaded = Recognizer.load(model, decoder={"type": "greedy"})
    cuts = manifest.read(path)[:max_utterances]
    dataset = SpeechDataset(cuts, {}, loaded.sample_rate)
    late = []
    for number, cut in enumerate(cuts):
        reference = cut.supervisions[0].custom["word_times"]
        text = " ".join(words for words, _, _ in reference)
        aligned = iter(loaded.align(dataset[number].inputs.numpy(), text).words)
        for words, begin, end in reference:  # two words may share their times: "of the"
            group = [next(aligned) for _ in words.split()]
            late.append((group[0].start - begin, group[-1].end - end))
    return np.array(late)


def recording(seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities (T, V) float32 of a generated recording, and its labels."""
    rng = np.random.default_rng(seconds)
    labels = rng.integers(1, LABELS, seconds * LABELS_A_SECOND)
    frames = seconds * FRAMES_A_SECOND
    path = np.zeros(frames, dtype=int)
    path[np.linspace(1, frames - 2, len(labels)).astype(int)] = labels
    return generate_scores(path, LABELS, 6.0, rng), labels


def speed(report: Report, seconds: int) -> None:
    """Time ours and ctc-segmentation on one recording."""
    log_probs, labels = recording(seconds)
    try:
        import ctc_segmentation
    except ImportError as error:
        print(f"ctc-segmentation skipped: {error}")
        return
    config = ctc_segmentation.CtcSegmentationParameters(index_duration=1 / FRAMES_A_SECOND)
    config.char_list = [chr(0x4E00 + label) for label in range(LABELS)]
    tokens = [labels[at : at + 60] for at in range(0, len(labels), 60)]  # utterances of 5 s

    def theirs() -> Any:
        truth, _ = ctc_segmentation.prepare_token_list(config, tokens)
        return ctc_segmentation.ctc_segmentation(config, log_probs, truth)

    def ours() -> Any:
        return spans(align(log_probs, labels)[0], len(labels))

    mine, peer = medians(ours, theirs, repeats=3)
    report.add(f"{seconds} s of speech", 1000 * mine, 1000 * peer, "ctc-segmentation", "ms")


def main() -> None:
    options = arguments(__doc__, "model", "manifest")
    report = Report()
    late = boundary_errors(options.model, options.manifest, 50 if options.quick else None)
    error = 1000 * float(np.mean(np.abs(late)))
    report.add(f"boundary error, {len(late)} words", error, TARGET_MS, "target", "ms")
    for what, column in zip(("begins", "ends"), late.T, strict=True):
        print(f"  {what}: {1000 * np.mean(column):+.0f} ms late, {1000 * np.mean(np.abs(column)):.0f} ms off")
    for seconds in (60,) if options.quick else (10, 60, 600):
        speed(report, seconds)
    report.write(options.json)


if __name__ == "__main__":
    main()
