"""CTC beam search without a language model, beside fast-ctc-decode (Rust), flashlight-text (C++) and pyctcdecode.

    python benchmarks/decoding.py [--quick] [--json FILE] [--model MODEL --manifest MANIFEST]

500 frames, beam 100, on generated scores with a known text: peaky ones, as of a trained network, and diffuse ones.
Median milliseconds an utterance on one thread, and the percentage of correct labels of both in the same utterances.
Ours returns times and confidences too. Ours prunes as the peer does: beside fast-ctc-decode it omits labels below 1e-3,
beside pyctcdecode those below e^-5 and prefixes 10 nats behind the best; flashlight reads all. Peers that are not
installed are named and skipped: `pip install ".[peers]"`, and `pip install --no-deps pyctcdecode` (with pygtrie and
hypothesis), whose pin on numpy is out of date.

Without --quick the vocabulary has 29, 500 and 5000 labels: ten utterances for the first, one for the others.
With a MODEL the scores are those of its first head on the utterances of the MANIFEST, of any length.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _common import Report, arguments, medians
from _scores import generate_scores, model_scores
from rapidfuzz.distance import Levenshtein

from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.options import CTCBeamOptions

FRAMES, BEAM = 500, 100
MIN_LABEL_PROB = 1e-3  # fast-ctc-decode omits labels less probable than this
Decode = Callable[[np.ndarray], list[int]]
Utterances = list[tuple[np.ndarray, list[int]]]


def utterances(count: int, labels: int, boost: float, frames: int = FRAMES) -> Utterances:
    """Return log-probabilities (frames, labels) float32 with their labels: one every four frames, else blank."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(count):
        reference = rng.integers(1, labels, frames // 4)
        path = np.zeros(frames, dtype=int)
        path[np.arange(len(reference)) * 4 + rng.integers(0, 4, len(reference))] = reference
        result.append((generate_scores(path, labels, boost, rng), reference.tolist()))
    return result


def ours(labels: int, options: CTCBeamOptions) -> Decode:
    search = CTCBeamSearch(labels, 0, options)

    def decode(log_probs: np.ndarray) -> list[int]:
        search.start()
        search.feed(log_probs)
        return list(search.finish()[0].labels)

    return decode


def fast_ctc_decode(labels: int) -> Decode:
    from fast_ctc_decode import beam_search

    alphabet = ["", *(chr(0x4E00 + number) for number in range(labels - 1))]

    def decode(log_probs: np.ndarray) -> list[int]:
        text, _ = beam_search(np.exp(log_probs), alphabet, beam_size=BEAM, beam_cut_threshold=MIN_LABEL_PROB)
        return [ord(character) - 0x4E00 + 1 for character in text]

    return decode


def flashlight(labels: int) -> Decode:
    from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM

    options = LexiconFreeDecoderOptions(
        beam_size=BEAM,
        beam_size_token=labels,
        beam_threshold=1e9,
        lm_weight=0.0,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    decoder = LexiconFreeDecoder(options, ZeroLM(), -1, 0, [])

    def decode(log_probs: np.ndarray) -> list[int]:
        path = np.array(decoder.decode(log_probs.ctypes.data, *log_probs.shape)[0].tokens)
        path = path[path >= 0]
        changes = path[np.r_[True, path[1:] != path[:-1]]] if len(path) else path
        return [int(label) for label in changes if label]

    return decode


def pyctcdecode(labels: int) -> Decode:
    from pyctcdecode import build_ctcdecoder

    names = [chr(0x4E00 + number) for number in range(labels - 1)]
    decoder = build_ctcdecoder(["", *names])

    def decode(log_probs: np.ndarray) -> list[int]:
        return [ord(character) - 0x4E00 + 1 for character in decoder.decode(log_probs, beam_width=BEAM)]

    return decode


# with the options of our search beside them
PEERS: dict[str, tuple[Callable[[int], Decode], CTCBeamOptions]] = {
    "fast-ctc-decode": (fast_ctc_decode, CTCBeamOptions(BEAM, min_label_prob=MIN_LABEL_PROB)),
    "flashlight-text": (flashlight, CTCBeamOptions(BEAM)),
    "pyctcdecode": (pyctcdecode, CTCBeamOptions(BEAM, min_label_prob=float(np.exp(-5)), beam_threshold=10)),
}


def accuracy(hypotheses: list[list[int]], data: Utterances) -> float:
    """Return the percentage of correct labels, less insertions."""
    pairs = [(labels, reference) for labels, (_, reference) in zip(hypotheses, data, strict=True)]
    wrong = sum(Levenshtein.distance(labels, reference) for labels, reference in pairs)
    return 100 - 100 * wrong / sum(len(reference) for _, reference in pairs)


def main() -> None:
    options = arguments(__doc__, model="", manifest="")
    report = Report()
    if options.model:
        vocabulary, texts = model_scores(options.model, options.manifest, 20 if options.quick else None)
        data = [(log_probs, list(vocabulary.encode(text))) for log_probs, text in texts]
        measure(report, Path(options.manifest).name, data, len(vocabulary))
        return report.write(options.json)
    for labels in (29,) if options.quick else (29, 500, 5000):
        for name, boost in ("peaky", 9.0), ("diffuse", 4.0):
            count = 10 if labels == 29 and not options.quick else 3 if labels == 29 else 1
            measure(report, f"{labels} labels, {name}", utterances(count, labels, boost), labels)
    report.write(options.json)


def measure(report: Report, case: str, data: Utterances, labels: int) -> None:
    """Time ours beside each peer."""
    for name, (make, same) in PEERS.items():
        try:
            theirs: Any = make(labels)
            theirs(data[0][0][:10])
        except Exception as error:  # not installed, or not able to handle that number of labels
            print(f"{case}: {name} skipped: {error}")
            continue
        hypotheses: dict[bool, list[list[int]]] = {}

        def run(is_ours: bool, decode: Decode, hypotheses: dict[bool, list[list[int]]] = hypotheses) -> None:
            hypotheses[is_ours] = [decode(log_probs) for log_probs, _ in data]

        seconds = medians(
            partial(run, True, ours(labels, same)), partial(run, False, theirs), repeats=3 if labels < 100 else 1
        )
        report.add(case, *(1000 * s / len(data) for s in seconds), name, "ms")
        correct = [accuracy(hypotheses[is_ours], data) for is_ours in (True, False)]
        report.add(f"{case}: correct labels", *correct, name, "%", higher_is_better=True)


if __name__ == "__main__":
    main()
