"""CTC beam search without a language model, beside fast-ctc-decode (Rust), flashlight-text (C++) and pyctcdecode.

    python benchmarks/decoding.py [--quick] [--json FILE] [--model MODEL --manifest MANIFEST]

500 frames, beam 100, on scores that know what is said: peaky ones, as a trained network's, and diffuse ones.
Milliseconds an utterance on one thread, medians; and the share of labels that each gets right in the same utterances.
Ours gives times and confidences too. Each prunes as the other does: beside fast-ctc-decode ours too leaves out labels
below 1e-3, beside pyctcdecode those below e^-5 and prefixes 10 nats behind the best; flashlight reads all. Peers that
are not installed are left out and named: `pip install ".[peers]"`, and `pip install --no-deps pyctcdecode` (with
pygtrie and hypothesis), whose pin on numpy is out of date.

Without --quick the vocabulary has 29, 500 and 5000 labels: ten utterances for the first, one for the others.
With a MODEL the scores are those of its first head on the utterances of the MANIFEST, of whatever length.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _common import Report, arguments, medians
from _scores import real, scores_saying
from rapidfuzz.distance import Levenshtein

from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.options import CTCBeamOptions

FRAMES, BEAM = 500, 100
LEAST = 1e-3  # fast-ctc-decode leaves out labels less probable than this
Decode = Callable[[np.ndarray], list[int]]
Said = list[tuple[np.ndarray, list[int]]]


def utterances(count: int, labels: int, boost: float, frames: int = FRAMES) -> Said:
    """Log-probabilities (frames, labels) float32, and what they say: a label every four frames, else blank."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        said = rng.integers(1, labels, frames // 4)
        path = np.zeros(frames, dtype=int)
        path[np.arange(len(said)) * 4 + rng.integers(0, 4, len(said))] = said
        made.append((scores_saying(path, labels, boost, rng), said.tolist()))
    return made


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
        text, _ = beam_search(np.exp(log_probs), alphabet, beam_size=BEAM, beam_cut_threshold=LEAST)
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


# with how ours searches beside them
PEERS: dict[str, tuple[Callable[[int], Decode], CTCBeamOptions]] = {
    "fast-ctc-decode": (fast_ctc_decode, CTCBeamOptions(BEAM, min_label_prob=LEAST)),
    "flashlight-text": (flashlight, CTCBeamOptions(BEAM)),
    "pyctcdecode": (pyctcdecode, CTCBeamOptions(BEAM, min_label_prob=float(np.exp(-5)), beam_threshold=10)),
}


def accuracy(found: list[list[int]], said: Said) -> float:
    """Percent of labels that are right, insertions counted against them."""
    pairs = [(labels, reference) for labels, (_, reference) in zip(found, said, strict=True)]
    wrong = sum(Levenshtein.distance(labels, reference) for labels, reference in pairs)
    return 100 - 100 * wrong / sum(len(reference) for _, reference in pairs)


def main() -> None:
    options = arguments(__doc__, model="", manifest="")
    report = Report()
    if options.model:
        vocabulary, texts = real(options.model, options.manifest, 20 if options.quick else None)
        said = [(log_probs, list(vocabulary.encode(text))) for log_probs, text in texts]
        measure(report, Path(options.manifest).name, said, len(vocabulary))
        return report.write(options.json)
    for labels in (29,) if options.quick else (29, 500, 5000):
        for name, boost in ("peaky", 9.0), ("diffuse", 4.0):
            count = 10 if labels == 29 and not options.quick else 3 if labels == 29 else 1
            measure(report, f"{labels} labels, {name}", utterances(count, labels, boost), labels)
    report.write(options.json)


def measure(report: Report, case: str, said: Said, labels: int) -> None:
    """Time ours beside each peer."""
    for name, (make, same) in PEERS.items():
        try:
            theirs: Any = make(labels)
            theirs(said[0][0][:10])
        except Exception as error:  # not installed; or not made for so many labels
            print(f"{case}: {name} left out: {error}")
            continue
        found: dict[bool, list[list[int]]] = {}

        def run(is_ours: bool, decode: Decode, found: dict[bool, list[list[int]]] = found) -> None:
            found[is_ours] = [decode(log_probs) for log_probs, _ in said]

        seconds = medians(
            partial(run, True, ours(labels, same)), partial(run, False, theirs), repeats=3 if labels < 100 else 1
        )
        report.add(case, *(1000 * s / len(said) for s in seconds), name, "ms")
        right = [accuracy(found[is_ours], said) for is_ours in (True, False)]
        report.add(f"{case}: labels right", *right, name, "%", higher_is_better=True)


if __name__ == "__main__":
    main()
