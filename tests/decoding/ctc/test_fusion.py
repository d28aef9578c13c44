"""Search with a lexicon and n-gram models, against the enumeration of all paths and all their segmentations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ctc_paths import PHRASES, phrase_scores, plain_search, random_log_probs, sequence_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.ctc import beam, lexicon_trie
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.fusion import LabelModel, WordModel, make_graph
from asr.decoding.ctc.options import CTCBeamOptions
from asr.errors import InputError
from asr.lm.compact import compact
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import NGram

SPACE = 3
NAMES = [None, "a", "b", "|"]  # of labels
TEXT = ["a b ab", "ab a", "b b ab ba", "ba ab a", "a a"]


def model(order: int = 2) -> NGram:
    return kneser_ney(encode_sentences([line.split() for line in TEXT]), order)


def segmentations(labels: tuple[int, ...], entries: Sequence[tuple[int, Sequence[int]]]) -> list[tuple[int, ...]]:
    """All sequences of words whose pronunciations make up the labels."""
    if not labels:
        return [()]
    return [
        (word, *rest)
        for word, sounds in entries
        if labels[: len(sounds)] == tuple(sounds)
        for rest in segmentations(labels[len(sounds) :], entries)
    ]


def nbest(log_probs: np.ndarray, graph: Any, **options: Any) -> list[Any]:
    options = {"beam": 3000, "nbest": 3000} | options
    ((*hypotheses,),) = beam.search(log_probs[None], np.array([len(log_probs)]), 0, CTCBeamOptions(**options), graph)
    return hypotheses


class TestPronunciations:
    """No separator; homophones, several pronunciations, words that begin others."""

    words = ("a", "b", "ab", "ba", "bee")
    entries = ((0, (1,)), (1, (2,)), (2, (1, 2)), (3, (2, 1)), (3, (2, 2)), (4, (2,)))

    @settings(deadline=None, max_examples=25)
    @given(
        frames=st.integers(0, 5),
        seed=st.integers(0, 999),
        weight=st.sampled_from([0.0, 0.7, 2.0]),
        bonus=st.sampled_from([-1.0, 0.0, 1.5]),
        order=st.integers(1, 3),
        in_few_bytes=st.booleans(),
        phrases=st.sampled_from(PHRASES),
    )
    def test_equals_the_enumeration(
        self,
        frames: int,
        seed: int,
        weight: float,
        bonus: float,
        order: int,
        in_few_bytes: bool,
        phrases: dict[tuple[str, ...], float],
    ) -> None:
        ngram = compact(model(order)) if in_few_bytes else model(order)
        log_probs = random_log_probs(seed, frames, 3, deviation=1.5)
        trie = lexicon_trie.build(self.entries)
        graph = make_graph(3, WordModel(trie, self.words, ngram, weight, bonus, phrases=phrases))
        expected = {
            (labels, words): np.log(p)
            + weight * float(ngram.log_probs([self.words[w] for w in words]).sum())
            + bonus * len(words)
            + phrase_scores([self.words[w] for w in words], phrases)
            for labels, p in sequence_probs(log_probs).items()
            for words in segmentations(labels, self.entries)
        }
        hypotheses = nbest(log_probs, graph)
        assert {
            (h.labels, tuple(word for word, _, _ in h.words)): pytest.approx(h.score, abs=1e-4) for h in hypotheses
        } == expected
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        for h in hypotheses:
            assert all(h.labels[first:end] in pronunciations_of(self.entries)[word] for word, first, end in h.words)
            ends = [0, *(end for _, _, end in h.words)]
            assert [first for _, first, _ in h.words] == ends[:-1] and ends[-1] == len(h.labels)

    def test_hot_words(self) -> None:
        log_probs = np.log(np.array([[0.1, 0.1, 0.8]]))
        cold = make_graph(3, WordModel(lexicon_trie.build(self.entries), self.words))
        hot = make_graph(3, WordModel(lexicon_trie.build(self.entries), self.words, hotwords={"bee": 2.0}))
        assert {h.words[0][0]: round(h.score, 5) for h in nbest(log_probs, cold) if h.words} == {
            0: round(np.log(0.1), 5), 1: round(np.log(0.8), 5), 4: round(np.log(0.8), 5)
        }  # fmt: skip
        assert nbest(log_probs, hot)[0].words == ((4, 0, 1),)
        assert nbest(log_probs, hot)[0].score == pytest.approx(np.log(0.8) + 2)

    def test_an_unfinished_word_is_returned_only_if_there_is_nothing_else(self) -> None:
        graph = make_graph(3, WordModel(lexicon_trie.build([(0, (1, 2))]), ("ab",)))
        sure = np.log(np.array([[0.01, 0.98, 0.01]]))
        assert [h.labels for h in nbest(sure, graph)] == [()]  # the only one that ends where words end
        certain = np.log(np.array([[1e-300, 1 - 2e-300, 1e-300]]))
        (best, *_) = nbest(certain, graph, beam=1)
        assert (best.labels, best.words) == ((1,), ())


def pronunciations_of(entries: Sequence[tuple[int, Sequence[int]]]) -> dict[int, set[tuple[int, ...]]]:
    collected: dict[int, set[tuple[int, ...]]] = defaultdict(set)
    for word, labels in entries:
        collected[word].add(tuple(labels))
    return collected


def words_of(labels: tuple[int, ...]) -> list[str]:
    """The words of a labelling; an empty one where separators follow each other. One may begin it, and one end it."""
    text = "".join(NAMES[label] or "" for label in labels).removeprefix("|")
    return text.removesuffix("|").split("|") if text else []


class TestSpellings:
    """A separator between words."""

    words = ("a", "b", "ab", "ba")
    entries = tuple((number, tuple(NAMES.index(c) for c in word)) for number, word in enumerate(words))

    @settings(deadline=None, max_examples=25)
    @given(
        frames=st.integers(0, 5),
        seed=st.integers(0, 999),
        weight=st.sampled_from([0.0, 0.7]),
        unknown=st.sampled_from([None, -1.0, -3.0]),
        hot=st.sampled_from([{}, {"ab": 1.0}]),
        in_few_bytes=st.booleans(),
        phrases=st.sampled_from(PHRASES),
    )
    def test_equals_the_enumeration(
        self,
        frames: int,
        seed: int,
        weight: float,
        unknown: float | None,
        hot: dict[str, float],
        in_few_bytes: bool,
        phrases: dict[tuple[str, ...], float],
    ) -> None:
        ngram = compact(model()) if in_few_bytes else model()
        log_probs = random_log_probs(seed, frames, 4, deviation=1.5)
        graph = make_graph(
            4, WordModel(lexicon_trie.build(self.entries, SPACE), self.words, ngram, weight, 0.5, unknown, hot, phrases)
        )
        expected: dict[tuple[int, ...], float] = {}
        for labels, p in sequence_probs(log_probs).items():
            words = words_of(labels)
            unknown_words = [word for word in words if word not in self.words]
            if "" in words or (unknown_words and unknown is None):
                continue
            expected[labels] = (
                np.log(p)
                + weight * float(ngram.log_probs(words).sum())
                + 0.5 * len(words)
                + (unknown or 0.0) * len(unknown_words)
                + sum(hot.get(word, 0.0) for word in words)
                + phrase_scores(words, phrases)
            )
        hypotheses = nbest(log_probs, graph)
        assert {h.labels: pytest.approx(h.score, abs=1e-4) for h in hypotheses} == expected
        for h in hypotheses:
            names = [self.words[w] if w >= 0 else "?" for w, _, _ in h.words]
            spellings = ["".join(NAMES[v] or "" for v in h.labels[first:end]) for _, first, end in h.words]
            assert names == [word if word in self.words else "?" for word in spellings]
            assert spellings == [word for word in words_of(h.labels) if word]


class TestLabelModels:
    @settings(deadline=None, max_examples=25)
    @given(frames=st.integers(0, 5), seed=st.integers(0, 999), weight=st.sampled_from([0.3, 1.0]))
    def test_equals_the_enumeration(self, frames: int, seed: int, weight: float) -> None:
        ngram = kneser_ney(encode_sentences([list(line.replace(" ", "|")) for line in TEXT]), 3)
        log_probs = random_log_probs(seed, frames, 4, deviation=1.5)
        graph = make_graph(4, label_lm=LabelModel(ngram, NAMES, weight, 0.4))
        expected = {
            labels: np.log(p)
            + weight * float(ngram.log_probs([NAMES[v] or "" for v in labels]).sum())
            + 0.4 * len(labels)
            for labels, p in sequence_probs(log_probs).items()
        }
        assert {h.labels: pytest.approx(h.score, abs=1e-4) for h in nbest(log_probs, graph)} == expected

    @pytest.mark.parametrize(("labels", "frames", "beam"), [(4, 20, 5), (1500, 5, 5)])
    def test_a_narrow_beam_equals_the_plain_search(self, labels: int, frames: int, beam: int) -> None:
        # 1500 labels: more new prefixes than the scratch space holds
        names = [None, *(f"l{label}" for label in range(1, labels))]
        rng = np.random.default_rng(0)
        ngram = kneser_ney(encode_sentences([[f"l{label}" for label in rng.integers(1, labels, 30)]]), 2)
        log_probs = random_log_probs(2, frames, labels, deviation=0.2 if labels > 4 else 2.0)

        def factor(prefix: tuple[int, ...], label: int) -> float:
            return float(np.exp(0.5 * ngram.log_probs([str(names[v]) for v in (*prefix, label)], eos=False)[-1] + 0.3))

        expected = {
            prefix: score + 0.5 * float(ngram.log_probs([str(names[v]) for v in prefix])[-1])
            for prefix, score in plain_search(log_probs, beam, factor=factor)
        }
        hypotheses = nbest(log_probs, make_graph(labels, None, LabelModel(ngram, names, 0.5, 0.3)), beam=beam)
        assert {h.labels: pytest.approx(h.score, abs=1e-4) for h in hypotheses} == expected

    def test_words_and_labels_together(self) -> None:
        label_lm = kneser_ney(encode_sentences([list(line.replace(" ", "|")) for line in TEXT]), 3)
        log_probs = random_log_probs(1, 5, 4, deviation=1.5)
        spelling = TestSpellings()
        words = WordModel(lexicon_trie.build(spelling.entries, SPACE), spelling.words, model(), 0.7, 0.5)
        alone = {h.labels: h.score for h in nbest(log_probs, make_graph(4, words))}
        both = {h.labels: h.score for h in nbest(log_probs, make_graph(4, words, LabelModel(label_lm, NAMES, 0.3)))}
        assert both == {
            labels: pytest.approx(
                score + 0.3 * float(label_lm.log_probs([NAMES[v] or "" for v in labels]).sum()), abs=1e-4
            )
            for labels, score in alone.items()
        }


def test_pieces_and_batches_give_the_same() -> None:
    log_probs = random_log_probs(7, 80, 4, deviation=1.5)
    spelling = TestSpellings()
    graph = make_graph(
        4, WordModel(lexicon_trie.build(spelling.entries, SPACE), spelling.words, model(), 0.7, unknown=-4.0)
    )
    alone = nbest(log_probs, graph, beam=20, nbest=5)
    search = CTCBeamSearch(4, 0, CTCBeamOptions(beam=20, nbest=5), graph)
    for piece in np.split(log_probs, [1, 30, 31]):
        search.feed(piece)
    assert search.finish() == alone
    batch = beam.search(np.stack([log_probs] * 4), np.array([80, 80, 50, 80]), 0, CTCBeamOptions(20, 5), graph)
    assert batch[0] == batch[1] == batch[3] == alone


def test_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="words outside the lexicon need a separator"):
        make_graph(3, WordModel(lexicon_trie.build([(0, (1,))]), ("a",), unknown=-1.0))
    with pytest.raises(InputError, match="labels up to 2, the scores 2 labels"):
        make_graph(2, WordModel(lexicon_trie.build([(0, (2,))]), ("a",)))
    with pytest.raises(InputError, match="hot words that the lexicon does not have: zebra"):
        make_graph(3, WordModel(lexicon_trie.build([(0, (2,))]), ("a",), hotwords={"zebra": 1.0}))
    with pytest.raises(InputError, match="names 4 labels, the scores have 3"):
        make_graph(3, label_lm=LabelModel(model(), NAMES))
    with pytest.raises(InputError, match="at least one word"):
        lexicon_trie.build([])
    with pytest.raises(InputError, match="give at least one label, and not the separator"):
        lexicon_trie.build([(0, (1, 3))], 3)
    with pytest.raises(InputError, match="models are for 4 labels"):
        beam.search(np.zeros((1, 0, 3)), np.array([0]), graph=make_graph(4))
