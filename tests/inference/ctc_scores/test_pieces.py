"""Words over word pieces: the search equals a sum over all label sequences, and their models."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from ctc_paths import random_log_probs, sequence_probs

import asr
from asr.decoding.ctc import pieces
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney

SENTENCEPIECE = ["<pad>", "▁a", "▁ab", "b", "ba", "▁"]
WORDPIECE = ["a", "ab", "##b", "[PAD]", "##ba"]
CHARACTERS = ["a", "b", "ba", "|", "<blank>"]
WORDS = ["a", "ab", "aba", "b", "abab"]
TEXT = ["ab a", "aba ab", "a b", "ab ab aba"]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    arpa.write(kneser_ney(encode_sentences([line.split() for line in TEXT]), 2), path)
    return path


def by_definition(log_probs: np.ndarray, decoder: asr.Decoder, lm: Path, unknown: float | None) -> dict[str, float]:
    """Return the score of each text: all of its label sequences, each with the score of its words."""
    ngram = arpa.read(lm)
    alphabet = decoder.alphabet
    totals: dict[str, float] = defaultdict(float)
    for labels, p in sequence_probs(log_probs, alphabet.blank).items():
        if any(a == b == alphabet.space for a, b in pairwise(labels)):
            continue  # between words there is one space
        words = alphabet.text(labels).split()
        score = 0.7 * float(ngram.log_probs(words).sum()) + 0.3 * len(words)
        others = sum(word not in ngram.words for word in words)
        if others and unknown is None:
            continue
        totals[" ".join(words)] += p * np.exp(score + others * (unknown or 0.0))
    return {text: float(np.log(total)) for text, total in totals.items()}


@pytest.mark.parametrize("labels", [SENTENCEPIECE, WORDPIECE, CHARACTERS])
@pytest.mark.parametrize("unknown", [-1.0, None])
def test_all_texts_have_the_scores_of_the_definition(labels: list[str], unknown: float | None, lm: Path) -> None:
    decoder = asr.Decoder(labels, lm=lm, lm_weight=0.7, word_bonus=0.3, unknown_words=unknown, beam=4000)
    for seed in range(4):
        log_probs = random_log_probs(seed, 4, len(labels))
        found = decoder.decode(log_probs, nbest=1000)
        scores = {one.text: one.score for one in (found, *found.alternatives)}
        expected = by_definition(log_probs, decoder, lm, unknown)
        assert list(scores) == sorted(scores, key=lambda text: -scores[text])
        assert scores.keys() == expected.keys()
        for text, score in expected.items():
            assert scores[text] == pytest.approx(score, abs=1e-6), text
        for one in (found, *found.alternatives[:20]):
            ngram = arpa.read(lm)
            words = one.text.split()
            models = 0.7 * float(ngram.log_probs(words).sum()) + 0.3 * len(words)
            models += sum(word not in ngram.words for word in words) * (unknown or 0.0)
            assert one.lm_score == pytest.approx(models, abs=1e-6)
            assert one.acoustic_score + one.lm_score == pytest.approx(one.score)
            assert [word.text for word in one.words] == words


def test_a_word_has_all_spellings() -> None:
    texts = {1: "▁bun", 2: "ny", 3: "▁b", 4: "un", 5: "n", 6: "y", 7: "▁", 8: "bunny", 9: "x"}
    words = ["bunny", "bun", "nix"]
    trie, missing = pieces.build(words, texts, 10)
    assert missing == [2]

    def spellings(node: int) -> set[tuple[int, ...]]:
        found: set[tuple[int, ...]] = {()} if trie.node_word[node] == 0 else set()
        for arc in range(trie.arc_offsets[node], trie.arc_offsets[node + 1]):
            found |= {(int(trie.arc_label[arc]), *rest) for rest in spellings(int(trie.arc_target[arc]))}
        return found

    expected = {
        labels
        for length in range(1, 7)
        for labels in product(texts, repeat=length)
        if "".join(texts[label] for label in labels) == "▁bunny"
    }
    assert spellings(0) == expected
    assert (7, 8) in expected
    assert len(expected) == 5
