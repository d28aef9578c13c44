"""CTC beam search with a lexicon and a word n-gram, beside flashlight-text (C++) and pyctcdecode (Python, C++ KenLM).

    python benchmarks/decoding_words.py ARPA TEXT [--quick] [--json FILE] [--weight 0.7] [--bonus 0]
    python benchmarks/decoding_words.py ARPA MANIFEST --model MODEL [--quick] …

ARPA is a model of lower-case words, TEXT has sentences that it was not estimated from, one a line (README.md has the
commands). Its words are spelled in 29 labels over 500 frames, in peaky scores and in diffuse ones. With a MODEL the
scores are those of its first head, of characters, on the utterances of the MANIFEST, of any length. Beam 100, the same
weight and word bonus for all; median milliseconds an utterance on one thread, and percentages of correct words. Ours
prunes as the peer does: beside pyctcdecode it omits labels below e^-5 and prefixes 10 nats behind the best, beside
flashlight prefixes 50 nats behind, which is torchaudio's default. pyctcdecode may output words that the model does not
have, the other two may not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from _common import Report, arguments, medians
from _scores import Utterances, generate_scores, model_scores
from rapidfuzz.distance import Levenshtein

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.fusion import WordModel, make_graph
from asr.decoding.ctc.options import CTCBeamOptions
from asr.lm import arpa
from asr.lm.ngram import BOS, EOS, UNK, NGram

FRAMES, BEAM = 500, 100
BLANK, LETTERS = 0, "_ abcdefghijklmnopqrstuvwxyz'"
Decode = Callable[[np.ndarray], list[str]]


@dataclass(frozen=True)
class Setting:
    """Input of all decoders: the model and its file, labels (0 is the blank), language model weight and word bonus."""

    path: str
    model: NGram
    labels: Sequence[str]
    weight: float
    bonus: float

    @property
    def space(self) -> int:
        return self.labels.index(" ")

    @property
    def words(self) -> list[str]:
        """Words of the model that the labels can spell."""
        letters = set(self.labels[1:]) - {" "}
        return [word for word in self.model.words if word not in (UNK, BOS, EOS) and set(word) <= letters]

    def spell(self, word: str) -> list[int]:
        """Return the labels of a word."""
        return [self.labels.index(letter) for letter in word]


def utterances(text_file: str, model: NGram, count: int, boost: float) -> Utterances:
    """Return log-probabilities (FRAMES, 29) float32 with their words: one letter in four frames, else blank."""
    rng = np.random.default_rng(0)
    text = iter(Path(text_file).read_text(encoding="utf-8").lower().split())
    result: Utterances = []
    while len(result) < count:
        words: list[str] = []
        while len(" ".join(words)) < FRAMES // 4 - 12:
            word = next(text)
            words += [word] if word in model.index and set(word) <= set(LETTERS[2:]) else []
        labels = [LETTERS.index(letter) for letter in " ".join(words)][: FRAMES // 4]
        path = np.zeros(FRAMES, dtype=int)
        path[np.arange(len(labels)) * 4 + rng.integers(0, 3, len(labels))] = labels
        result.append((generate_scores(path, len(LETTERS), boost, rng), " ".join(words)))
    return result


def ours(setting: Setting, options: CTCBeamOptions) -> Decode:
    words = setting.words
    trie = lexicon_trie.build([(number, setting.spell(word)) for number, word in enumerate(words)], setting.space)
    graph = make_graph(len(setting.labels), WordModel(trie, words, setting.model, setting.weight, setting.bonus))
    search = CTCBeamSearch(len(setting.labels), BLANK, options, graph)

    def decode(log_probs: np.ndarray) -> list[str]:
        search.start()
        search.feed(log_probs)
        return [words[number] for number, _, _ in search.finish()[0].words]

    return decode


def flashlight(setting: Setting) -> Decode:
    from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    words, space, labels = setting.words, setting.space, len(setting.labels)
    dictionary = Dictionary([*words, "<unk>"])
    lm = KenLM(setting.path, dictionary)
    trie = Trie(labels, space)
    begin = lm.start(False)
    for number, word in enumerate(words):
        _, score = lm.score(begin, number)
        trie.insert([*setting.spell(word), space], number, score)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=BEAM,
        beam_size_token=labels,
        beam_threshold=50,
        lm_weight=setting.weight * np.log(10),
        word_score=setting.bonus,
        unk_score=-np.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    decoder = LexiconDecoder(options, trie, lm, space, BLANK, len(words), [], False)

    def decode(log_probs: np.ndarray) -> list[str]:
        # the last word counts only once a space follows it
        closing = np.full((2, labels), -30.0, dtype=np.float32)
        closing[0, BLANK] = closing[1, space] = 0.0
        scores = np.concatenate([log_probs, closing])
        best = decoder.decode(scores.ctypes.data, *scores.shape)[0]
        return [words[number] for number in best.words if 0 <= number < len(words)]

    return decode


def pyctcdecode(setting: Setting) -> Decode:
    from pyctcdecode import build_ctcdecoder

    labels = ["", *setting.labels[1:]]
    decoder = build_ctcdecoder(labels, setting.path, setting.words, alpha=setting.weight, beta=setting.bonus)

    def decode(log_probs: np.ndarray) -> list[str]:
        return str(decoder.decode(log_probs, beam_width=BEAM)).split()

    return decode


# with the options of our search beside them
PEERS: dict[str, tuple[Callable[[Setting], Decode], CTCBeamOptions]] = {
    "flashlight-text": (flashlight, CTCBeamOptions(BEAM, beam_threshold=50)),
    "pyctcdecode": (pyctcdecode, CTCBeamOptions(BEAM, min_label_prob=float(np.exp(-5)), beam_threshold=10)),
}


def word_error_rate(hypotheses: list[list[str]], data: Utterances) -> float:
    """Return the word error rate in percent."""
    wrong = sum(Levenshtein.distance(words, text.split()) for words, (_, text) in zip(hypotheses, data, strict=True))
    return 100 * wrong / sum(len(text.split()) for _, text in data)


def main() -> None:
    options = arguments(__doc__, "arpa", "text", model="", weight=0.7, bonus=0.0)
    report = Report()
    model = arpa.read(options.arpa)
    if options.model:
        vocabulary, data = model_scores(options.model, options.text, 20 if options.quick else None)
        labels, cases = vocabulary.tokens, {Path(options.text).name: data}
    else:
        boosts = {"peaky": 9.0, "diffuse": 4.0}
        count = 3 if options.quick else 20
        labels = tuple(LETTERS)
        cases = {case: utterances(options.text, model, count, boost) for case, boost in boosts.items()}
    setting = Setting(options.arpa, model, labels, options.weight, options.bonus)
    print(f"{len(setting.words)} words, order {model.order}")
    for name, (make, same) in PEERS.items():
        try:
            theirs = make(setting)
        except ImportError as error:
            print(f"{name} skipped: {error}")
            continue
        mine = ours(setting, same)
        for case, data in cases.items():
            measure(report, case, data, mine, theirs, name)
    report.write(options.json)


def measure(report: Report, case: str, data: Utterances, mine: Decode, theirs: Decode, name: str) -> None:
    """Time ours beside a peer."""
    hypotheses: dict[Decode, list[list[str]]] = {}

    def run(decode: Decode) -> None:
        hypotheses[decode] = [decode(log_probs) for log_probs, _ in data]

    seconds = medians(partial(run, mine), partial(run, theirs), repeats=3)
    report.add(case, *(1000 * s / len(data) for s in seconds), name, "ms")
    # percent of correct words: the ratio of error rates would divide by zero where there are no errors
    correct = [100 - word_error_rate(hypotheses[decode], data) for decode in (mine, theirs)]
    report.add(f"{case}: correct words", *correct, name, "%", higher_is_better=True)


if __name__ == "__main__":
    main()
