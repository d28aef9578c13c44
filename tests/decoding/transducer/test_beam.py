"""Beam search for transducers against the paper's algorithm, and the enumeration of all alignments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ctc_paths import PHRASES, phrase_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from transducer_paths import (
    ScoredNetwork,
    alignments,
    all_sequences,
    graves_search,
    numbered,
    path_score,
    random_scores,
    sequence_score,
)

from asr.decoding.ctc import lexicon_trie, pieces
from asr.decoding.ctc.fusion import Graph, LabelModel, WordModel, make_graph
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.options import BeamOptions
from asr.decoding.rows import search_rows
from asr.decoding.transducer import _prefix_tree, beam
from asr.decoding.transducer.beam import TransducerBeamSearch
from asr.errors import InputError
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import NGram


def nbest(network: ScoredNetwork, frames: int, graph: Graph | None = None, **options: object) -> list[Hypothesis]:
    search = TransducerBeamSearch(network, BeamOptions(**options), graph)  # type: ignore[arg-type]
    search.feed(numbered(frames))
    return search.finish()


class TestExactness:
    @settings(deadline=None, max_examples=60)
    @given(
        frames=st.integers(0, 6),
        labels=st.integers(2, 4),
        width=st.integers(1, 8),
        batch=st.sampled_from([1, 3, 32]),
        seed=st.integers(0, 9999),
        data=st.data(),
    )
    def test_equals_the_algorithm_of_the_paper(
        self, frames: int, labels: int, width: int, batch: int, seed: int, data: st.DataObject
    ) -> None:
        blank = data.draw(st.integers(0, labels - 1))
        scores = random_scores(seed, frames, labels)
        expected = graves_search(scores, frames, labels, width, blank)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(beam, "BATCH", batch)
            patch.setattr(beam, "MAX_PER_FRAME", 30)  # which the paper does not limit
            found = nbest(ScoredNetwork(scores, labels, blank), frames, beam=width, nbest=width)
        assert {h.labels: h.score for h in found} == pytest.approx(expected, abs=1e-4)
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)

    @settings(deadline=None, max_examples=10)
    @given(frames=st.integers(1, 3), seed=st.integers(0, 9999))
    def test_a_wide_beam_equals_the_enumeration(self, frames: int, seed: int) -> None:
        scores = random_scores(seed, frames, 3, deviation=1.0)
        found = {h.labels: h.score for h in nbest(ScoredNetwork(scores, 3), frames, beam=400, nbest=400)}
        expected = {labels: sequence_score(scores, frames, labels) for labels in all_sequences(3, 4)}
        best = sorted(expected, key=lambda labels: -expected[labels])[:8]
        assert {labels: found[labels] for labels in best} == pytest.approx(
            {labels: expected[labels] for labels in best}, abs=5e-3
        )

    @settings(deadline=None, max_examples=20)
    @given(frames=st.integers(1, 4), seed=st.integers(0, 9999))
    def test_frames_and_confidences_are_those_of_the_best_path(self, frames: int, seed: int) -> None:
        scores = random_scores(seed, frames, 3)
        for h in nbest(ScoredNetwork(scores, 3), frames, beam=300, nbest=3):
            paths = {p: path_score(scores, frames, h.labels, p) for p in alignments(frames, len(h.labels))}
            places = tuple(first for first, _ in h.frames)
            assert paths[places] == pytest.approx(max(paths.values()), abs=1e-4)
            assert all(end == first + 1 for first, end in h.frames)
            probs = [
                np.exp(scores(t, h.labels[:u])[label])
                for u, (t, label) in enumerate(zip(places, h.labels, strict=True))
            ]
            assert h.confidence == pytest.approx(probs, rel=1e-4)


def test_pieces_and_batches_give_the_same() -> None:
    network = ScoredNetwork(random_scores(3, 30, 4), 4)
    options = BeamOptions(beam=6, nbest=3)
    search = TransducerBeamSearch(network, options)
    search.feed(numbered(30))
    whole = search.finish()
    search.start()
    for part in numbered(30).split([1, 12, 0, 17]):
        search.feed(part)
    assert search.finish() == whole
    frames, lengths = torch.stack([numbered(30)] * 3), np.array([30, 7, 30])
    batch = search_rows(lambda: TransducerBeamSearch(network, options), frames, lengths)
    assert batch[0] == batch[2] == whole
    assert batch[1] == nbest(network, 7, beam=6, nbest=3)


def test_prefixes_that_are_not_needed_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ScoredNetwork(random_scores(4, 25, 4), 4)
    whole = nbest(network, 25, beam=5, nbest=5)
    monkeypatch.setattr(_prefix_tree, "CAPACITY", 16)
    search = TransducerBeamSearch(network, BeamOptions(beam=5, nbest=5))
    search.feed(numbered(25))
    assert search.finish() == whole
    assert search._tree.size < 200


def test_pruning() -> None:
    scores = random_scores(5, 12, 6)
    wide, narrow = ScoredNetwork(scores, 6), ScoredNetwork(scores, 6)
    best = nbest(wide, 12, beam=20)[0]
    pruned = nbest(narrow, 12, beam=20, beam_threshold=4.0)[0]
    assert pruned.labels == best.labels and narrow.steps < wide.steps
    for options in ({"max_labels": 2}, {"min_label_prob": 0.1}, {"max_labels": 5}):
        assert nbest(ScoredNetwork(scores, 6), 12, beam=20, **options)[0].labels


def test_a_frame_that_leaves_nothing() -> None:
    with pytest.raises(InputError, match="frame 0: no label sequence has a probability above zero"):
        nbest(ScoredNetwork(lambda t, y: np.full(3, -np.inf), 3), 1, beam=4)


def test_models_for_other_labels() -> None:
    with pytest.raises(InputError, match="models are for 4 labels, not for 3"):
        nbest(ScoredNetwork(random_scores(0, 1, 3), 3), 1, make_graph(4))


NAMES = [None, "a", "b", "|"]
TEXT = ["a b ab", "ab a", "b b ba", "ba a ab"]


def ngram(lines: list[list[str]]) -> NGram:
    return kneser_ney(encode_sentences(lines), 3)


class TestModels:
    words = ("a", "b", "ab", "ba")
    entries = tuple((number, tuple("?ab|".index(c) for c in word)) for number, word in enumerate(words))

    @settings(deadline=None, max_examples=20)
    @given(frames=st.integers(1, 4), width=st.integers(1, 6), seed=st.integers(0, 999))
    def test_a_label_model_equals_the_algorithm_of_the_paper(self, frames: int, width: int, seed: int) -> None:
        model = ngram([list(line.replace(" ", "|")) for line in TEXT])
        scores = random_scores(seed, frames, 4)

        def factor(prefix: tuple[int, ...], label: int) -> float:
            names = [str(NAMES[v]) for v in (*prefix, label)]
            return 0.7 * float(model.log_probs(names, eos=False)[-1]) + 0.3

        kept = graves_search(scores, frames, 4, width, factor=factor)
        expected = {
            y: score + 0.7 * float(model.log_probs([str(NAMES[v]) for v in y])[-1]) for y, score in kept.items()
        }
        graph = make_graph(4, label_lm=LabelModel(model, NAMES, 0.7, 0.3))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(beam, "MAX_PER_FRAME", 30)
            found = nbest(ScoredNetwork(scores, 4), frames, graph, beam=width, nbest=width)
        assert {h.labels: h.score for h in found} == pytest.approx(expected, abs=1e-3)

    def test_bonuses_above_zero_have_an_end(self) -> None:
        """Each label adds more than it costs, so that without a limit a frame would add labels for ever."""
        model = ngram([list(line.replace(" ", "|")) for line in TEXT])
        graph = make_graph(4, label_lm=LabelModel(model, NAMES, 0.1, 9.0))
        (best, *_) = nbest(ScoredNetwork(random_scores(1, 2, 4), 4), 2, graph, beam=4)
        assert len(best.labels) == 2 * beam.MAX_PER_FRAME

    @settings(deadline=None, max_examples=12)
    @given(
        frames=st.integers(1, 3),
        seed=st.integers(0, 999),
        unknown=st.sampled_from([None, -1.0]),
        hot=st.sampled_from([{}, {"ab": 1.0}]),
        phrases=st.sampled_from(PHRASES),
    )
    def test_words_equal_the_enumeration(
        self,
        frames: int,
        seed: int,
        unknown: float | None,
        hot: dict[str, float],
        phrases: dict[tuple[str, ...], float],
    ) -> None:
        model = ngram([line.split() for line in TEXT])
        scores = random_scores(seed, frames, 4)
        trie = lexicon_trie.build(self.entries, 3)
        graph = make_graph(4, WordModel(trie, self.words, model, 0.7, 0.5, unknown, hot, phrases))
        found = nbest(ScoredNetwork(scores, 4), frames, graph, beam=500, nbest=500)
        expected: dict[tuple[int, ...], float] = {}
        for y in all_sequences(4, 4):
            text = "".join(str(NAMES[v]) for v in y).removeprefix("|")
            words = text.removesuffix("|").split("|") if text else []
            strange = [word for word in words if word not in self.words]
            if "" in words or (strange and unknown is None):
                continue
            expected[y] = (
                sequence_score(scores, frames, y)
                + 0.7 * float(model.log_probs(words).sum())
                + 0.5 * len(words)
                + (unknown or 0.0) * len(strange)
                + sum(hot.get(word, 0.0) for word in words)
                + phrase_scores(words, phrases)
            )
        best = sorted(expected, key=lambda y: -expected[y])[:6]
        by_labels = {h.labels: h for h in found}
        assert {y: by_labels[y].score for y in best} == pytest.approx({y: expected[y] for y in best}, abs=2e-2)
        for y in best:
            spelled = ["".join(str(NAMES[v]) for v in y[first:end]) for _, first, end in by_labels[y].words]
            assert "|".join(spelled) == "".join(str(NAMES[v]) for v in y).strip("|")

    @settings(deadline=None, max_examples=12)
    @given(frames=st.integers(1, 3), seed=st.integers(0, 999), phrases=st.sampled_from(PHRASES))
    def test_words_of_pieces_equal_the_enumeration(
        self, frames: int, seed: int, phrases: dict[tuple[str, ...], float]
    ) -> None:
        texts = {1: "▁a", 2: "b", 3: "▁ab"}
        model = ngram([line.split() for line in TEXT])
        trie, missing = pieces.build(self.words, texts, 4)
        assert missing == [3]  # b can only begin a text, and begins none there
        graph = make_graph(4, WordModel(trie, self.words, model, 0.7, 0.5, phrases=phrases))
        scores = random_scores(seed, frames, 4)
        by_labels = {h.labels: h for h in nbest(ScoredNetwork(scores, 4), frames, graph, beam=500, nbest=500)}
        expected: dict[tuple[int, ...], float] = {}
        for y in all_sequences(4, 4):
            words = "".join(texts[v] for v in y).replace("▁", " ").split()
            if all(word in self.words for word in words):
                models = 0.7 * float(model.log_probs(words).sum()) + 0.5 * len(words) + phrase_scores(words, phrases)
                expected[y] = sequence_score(scores, frames, y) + models
        best = sorted(expected, key=lambda y: -expected[y])[:5]
        assert {y: by_labels[y].score for y in best} == pytest.approx({y: expected[y] for y in best}, abs=2e-2)
        for y in best:
            spelled = ["".join(texts[v] for v in y[first:end]).strip("▁") for _, first, end in by_labels[y].words]
            assert spelled == "".join(texts[v] for v in y).replace("▁", " ").split()
