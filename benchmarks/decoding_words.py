"""CTC beam search with a lexicon and a word n-gram, beside flashlight-text (C++) and pyctcdecode (Python, C++ KenLM).

    python benchmarks/decoding_words.py ARPA TEXT [--quick] [--json FILE]

ARPA is a word model of lower-case words, TEXT sentences that it was not estimated from, one a line (README.md has the
commands). Its words are spelled in 29 labels over 500 frames, in peaky scores and in diffuse ones. Beam 100, the
model's weight 0.7 and no bonus for all; milliseconds an utterance on one thread, medians, and word error rates. Each
prunes as the other does: beside pyctcdecode ours too leaves out labels below e^-5 and drops prefixes 10 nats behind the
best, beside flashlight those 50 nats behind, which is torchaudio's default. pyctcdecode may write words that the model
does not have, the other two may not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from _common import Report, arguments, medians, scores_saying
from rapidfuzz.distance import Levenshtein

from asr.decoding import lexicon
from asr.decoding.ctc_beam import CTCBeamSearch, Options
from asr.decoding.fusion import WordModel, make_graph
from asr.lm import arpa
from asr.lm.ngram import BOS, EOS, UNK, NGram

FRAMES, BEAM, WEIGHT = 500, 100, 0.7
BLANK, SPACE, LETTERS = 0, 1, "_ abcdefghijklmnopqrstuvwxyz'"
Said = list[tuple[np.ndarray, list[str]]]
Decode = Callable[[np.ndarray], list[str]]


def utterances(path: str, model: NGram, count: int, boost: float) -> Said:
    """Log-probabilities (FRAMES, 29) float32, and the words of them: a letter in four frames, else blank."""
    rng = np.random.default_rng(0)
    text = iter(Path(path).read_text(encoding="utf-8").lower().split())
    made: Said = []
    while len(made) < count:
        words: list[str] = []
        while len(" ".join(words)) < FRAMES // 4 - 12:
            word = next(text)
            words += [word] if word in model.index and set(word) <= set(LETTERS[2:]) else []
        labels = [LETTERS.index(letter) for letter in " ".join(words)][: FRAMES // 4]
        spoken = np.zeros(FRAMES, dtype=int)
        spoken[np.arange(len(labels)) * 4 + rng.integers(0, 3, len(labels))] = labels
        made.append((scores_saying(spoken, len(LETTERS), boost, rng), words))
    return made


def spelled(model: NGram) -> list[str]:
    """Words of a model that the labels can write."""
    return [word for word in model.words if word not in (UNK, BOS, EOS) and set(word) <= set(LETTERS[2:])]


def ours(model: NGram, options: Options) -> Decode:
    words = spelled(model)
    trie = lexicon.build([(number, [LETTERS.index(c) for c in word]) for number, word in enumerate(words)], SPACE)
    graph = make_graph(len(LETTERS), WordModel(trie, words, model, WEIGHT))
    search = CTCBeamSearch(len(LETTERS), BLANK, options, graph)

    def decode(log_probs: np.ndarray) -> list[str]:
        search.start()
        search.feed(log_probs)
        return [words[number] for number, _, _ in search.finish()[0].words]

    return decode


def flashlight(path: str, model: NGram) -> Decode:
    from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    words = spelled(model)
    dictionary = Dictionary([*words, "<unk>"])
    lm = KenLM(path, dictionary)
    trie = Trie(len(LETTERS), SPACE)
    begin = lm.start(False)
    for number, word in enumerate(words):
        _, score = lm.score(begin, number)
        trie.insert([*(LETTERS.index(letter) for letter in word), SPACE], number, score)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=BEAM,
        beam_size_token=len(LETTERS),
        beam_threshold=50,
        lm_weight=WEIGHT * np.log(10),
        word_score=0.0,
        unk_score=-np.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    decoder = LexiconDecoder(options, trie, lm, SPACE, BLANK, len(words), [], False)

    def decode(log_probs: np.ndarray) -> list[str]:
        # a last word is one only when a space has come behind it
        closing = np.full((2, len(LETTERS)), -30.0, dtype=np.float32)
        closing[0, BLANK] = closing[1, SPACE] = 0.0
        scores = np.concatenate([log_probs, closing])
        found = decoder.decode(scores.ctypes.data, *scores.shape)[0]
        return [words[number] for number in found.words if 0 <= number < len(words)]

    return decode


def pyctcdecode(path: str, model: NGram) -> Decode:
    from pyctcdecode import build_ctcdecoder

    decoder = build_ctcdecoder(["", *LETTERS[1:]], path, spelled(model), alpha=WEIGHT, beta=0.0)

    def decode(log_probs: np.ndarray) -> list[str]:
        return str(decoder.decode(log_probs, beam_width=BEAM)).split()

    return decode


# with how ours searches beside them
PEERS: dict[str, tuple[Callable[[str, NGram], Decode], Options]] = {
    "flashlight-text": (flashlight, Options(BEAM, behind=50)),
    "pyctcdecode": (pyctcdecode, Options(BEAM, least=float(np.exp(-5)), behind=10)),
}


def word_error_rate(decode: Decode, said: Said) -> float:
    """Percent."""
    wrong = sum(Levenshtein.distance(decode(log_probs), words) for log_probs, words in said)
    return 100 * wrong / sum(len(words) for _, words in said)


def main() -> None:
    options = arguments(__doc__, "arpa", "text")
    report = Report()
    model = arpa.read(options.arpa)
    print(f"{len(spelled(model))} words, order {model.order}")
    for name, (make, same) in PEERS.items():
        try:
            theirs = make(options.arpa, model)
        except ImportError as error:
            print(f"{name} left out: {error}")
            continue
        mine = ours(model, same)
        for case, boost in ("peaky", 9.0), ("diffuse", 4.0):
            said = utterances(options.text, model, 3 if options.quick else 20, boost)
            measure(report, case, said, mine, theirs, name)
    report.write(options.json)


def measure(report: Report, case: str, said: Said, mine: Decode, theirs: Decode, name: str) -> None:
    """Time ours beside a peer."""
    seconds = medians(
        lambda: [mine(log_probs) for log_probs, _ in said],
        lambda: [theirs(log_probs) for log_probs, _ in said],
        repeats=3,
    )
    report.add(case, *(1000 * s / len(said) for s in seconds), name, "ms")
    # the row's ratio would divide by zero where nothing is wrong, so it tells of the words that are right
    right = [100 - word_error_rate(decode, said) for decode in (mine, theirs)]
    report.add(f"{case}: words right", *right, name, "%", higher_is_better=True)


if __name__ == "__main__":
    main()
