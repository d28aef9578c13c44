"""Prefix beam search against the enumeration of all paths, torch's CTC loss, and a search over dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ctc_paths import plain_search, random_log_probs, sequence_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.ctc import beam as ctc_beam
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.options import CTCBeamOptions
from asr.errors import InputError


def nbest(log_probs: np.ndarray, blank: int = 0, **options: object) -> list[tuple[tuple[int, ...], float]]:
    (hypotheses,) = ctc_beam.search(log_probs[None], np.array([len(log_probs)]), blank, CTCBeamOptions(**options))  # type: ignore[arg-type]
    return [(hypothesis.labels, hypothesis.score) for hypothesis in hypotheses]


class TestExactness:
    @settings(deadline=None, max_examples=40)
    @given(frames=st.integers(0, 5), labels=st.integers(1, 4), seed=st.integers(0, 9999), data=st.data())
    def test_a_beam_that_holds_all_prefixes_equals_the_enumeration(
        self, frames: int, labels: int, seed: int, data: st.DataObject
    ) -> None:
        blank = data.draw(st.integers(0, labels - 1))
        log_probs = random_log_probs(seed, frames, labels)
        expected = sequence_probs(log_probs, blank)
        hypotheses = nbest(log_probs, blank, beam=2000, nbest=2000)
        assert [score for _, score in hypotheses] == sorted((score for _, score in hypotheses), reverse=True)
        assert {labels: np.exp(score) for labels, score in hypotheses} == pytest.approx(expected)

    def test_scores_equal_the_ctc_forward_score(self) -> None:
        log_probs = random_log_probs(1, 10, 3)
        for labels, score in nbest(log_probs, beam=2**11, nbest=50):
            loss = torch.nn.functional.ctc_loss(
                torch.tensor(log_probs)[:, None],
                torch.tensor([labels], dtype=torch.int64),
                torch.tensor([10]),
                torch.tensor([len(labels)]),
                reduction="sum",
            )
            assert score == pytest.approx(-loss.item())

    @settings(deadline=None, max_examples=40)
    @given(
        frames=st.integers(1, 30),
        labels=st.integers(2, 6),
        beam=st.integers(1, 12),
        sharpness=st.sampled_from([0.3, 1, 3]),
        threshold=st.sampled_from([0.1, 1.0, 5.0, None]),
        seed=st.integers(0, 9999),
    )
    def test_a_narrow_beam_equals_the_plain_search(
        self, frames: int, labels: int, beam: int, sharpness: float, threshold: float | None, seed: int
    ) -> None:
        # prefixes are dropped and come back here, and their children must not occur twice
        logits = np.random.default_rng(seed).normal(0, sharpness, (frames, labels))
        log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        expected = plain_search(log_probs, beam, threshold=np.inf if threshold is None else threshold)
        hypotheses = nbest(log_probs, beam=beam, nbest=beam, beam_threshold=threshold)
        assert [prefix for prefix, _ in hypotheses] == [prefix for prefix, _ in expected]
        assert [score for _, score in hypotheses] == pytest.approx([score for _, score in expected])

    def test_more_new_prefixes_than_the_beam_and_the_scratch_space_hold(self) -> None:
        log_probs = random_log_probs(3, 12, 1500) / 8  # flat: nearly all labels extend nearly all prefixes
        log_probs -= np.log(np.exp(log_probs).sum(-1, keepdims=True))
        expected = plain_search(log_probs, 7)
        assert nbest(log_probs, beam=7, nbest=7) == [(labels, pytest.approx(score)) for labels, score in expected]

    def test_labels_of_equal_probability_fill_the_beam(self) -> None:
        log_probs = np.full((2, 3000), -np.log(3000))
        assert len(nbest(log_probs, beam=9, nbest=9)) == 9

    def test_an_hour_of_frames_does_not_underflow(self) -> None:
        log_probs = np.tile(np.log([[0.5, 0.3, 0.2]]), (60_000, 1))
        (labels, score), *_ = nbest(log_probs, beam=4)
        assert -60_000 * np.log(2) - 1e-6 <= score < 0 and np.isfinite(score)
        assert set(labels) <= {1, 2}

    def test_a_path_300_orders_of_magnitude_down_is_found(self) -> None:
        log_probs = np.array([[-800.0, 0.0], [0.0, -800.0]])
        assert nbest(log_probs, blank=0)[0] == ((1,), pytest.approx(0.0))


class TestPruning:
    def test_by_count_and_by_probability(self) -> None:
        log_probs = np.log([[0.1, 0.5, 0.3, 0.1]])
        probs = {(): 0.1, (1,): 0.5, (2,): 0.3, (3,): 0.1}
        for options, remaining in (
            ({}, [(), (1,), (2,), (3,)]),
            ({"max_labels": 1}, [(), (1,)]),
            ({"max_labels": 2}, [(), (1,), (2,)]),
            ({"min_label_prob": 0.29}, [(), (1,), (2,)]),
            ({"min_label_prob": 0.31}, [(), (1,)]),
            ({"min_label_prob": 0.9}, [()]),
        ):
            hypotheses = dict(nbest(log_probs, beam=10, nbest=10, **options))
            assert hypotheses == {labels: pytest.approx(np.log(probs[labels])) for labels in remaining}


class TestTimes:
    def test_spans_and_confidences_of_labels(self) -> None:
        probs = np.array([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05], [0.1, 0.6, 0.3], [0.1, 0.1, 0.8]])
        ((hypothesis,),) = ctc_beam.search(probs[None], np.array([5]), options=CTCBeamOptions(scores="probs"))
        assert hypothesis.labels == (1, 1, 2)
        assert hypothesis.frames == ((0, 2), (3, 4), (4, 5))
        assert hypothesis.confidence == pytest.approx((0.8, 0.6, 0.8))
        assert all(type(label) is int for label in hypothesis.labels)

    def test_no_frames(self) -> None:
        ((hypothesis,),) = ctc_beam.search(np.zeros((1, 0, 3)), np.array([0]))
        assert (hypothesis.labels, hypothesis.score, hypothesis.frames) == ((), 0.0, ())


class TestPieces:
    @settings(deadline=None, max_examples=20)
    @given(cuts=st.lists(st.integers(0, 60), max_size=5), seed=st.integers(0, 99))
    def test_pieces_of_any_length_give_the_same(self, cuts: list[int], seed: int) -> None:
        log_probs = random_log_probs(seed, 60, 5)
        (whole,) = ctc_beam.search(log_probs[None], np.array([60]), options=CTCBeamOptions(beam=20, nbest=3))
        search = CTCBeamSearch(5, options=CTCBeamOptions(beam=20, nbest=3))
        for piece in np.split(log_probs, sorted(cuts)):
            search.feed(piece)
        assert search.finish() == whole
        search.start()
        assert [hypothesis.labels for hypothesis in search.finish()] == [()]

    def test_an_utterance_does_not_depend_on_its_batch(self) -> None:
        log_probs, lengths = random_log_probs(5, 7, 50, 8), np.array([50, 0, 3, 41, 50, 17, 1])
        options = CTCBeamOptions(beam=10, nbest=4)
        together = ctc_beam.search(log_probs, lengths, options=options)
        for row, length in enumerate(lengths):
            alone = ctc_beam.search(
                log_probs[row : row + 1, :length], np.array([length]), options=CTCBeamOptions(beam=10, nbest=4)
            )
            assert together[row] == alone[0]

    def test_the_tree_is_compacted_and_grown_without_effect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        log_probs = random_log_probs(6, 300, 5)
        expected = nbest(log_probs, beam=8, nbest=8)
        monkeypatch.setattr(ctc_beam, "INITIAL_NODES", 16)
        assert nbest(log_probs, beam=8, nbest=8) == expected


class TestScores:
    def test_all_kinds_of_scores_give_the_same(self) -> None:
        log_probs = random_log_probs(2, 20, 5)
        expected = nbest(log_probs)
        assert nbest(np.exp(log_probs), scores="probs") == [(expected[0][0], pytest.approx(expected[0][1]))]
        shifted = log_probs + np.arange(20)[:, None]
        assert nbest(shifted, scores="logits") == [(expected[0][0], pytest.approx(expected[0][1]))]

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_precisions(self, dtype: str) -> None:
        log_probs = random_log_probs(2, 20, 5)
        assert nbest(log_probs.astype(dtype))[0][0] == nbest(log_probs)[0][0]

    def test_wrong_scores_and_shapes_are_refused(self) -> None:
        good = random_log_probs(4, 10, 4)
        lengths = np.array([10])
        with_nan = good.copy()
        with_nan[6, 2] = np.nan
        impossible = np.array([[-np.inf, 0.0], [-np.inf, 0.0], [0.0, -np.inf]])
        for scores, message in (
            (2 * good, "utterance 0: the probabilities of frame 0 sum to .*other kinds are 'probs' and 'logits'"),
            (with_nan, "frame 6 holds a score that is not a number"),
            (np.full((3, 4), -np.inf), "frame 0 sum to 0"),
        ):
            with pytest.raises(InputError, match=message):
                ctc_beam.search(scores[None], np.array([len(scores)]))
        with pytest.raises(InputError, match="must not be negative"):
            ctc_beam.search(good[None], lengths, options=CTCBeamOptions(scores="probs"))
        with pytest.raises(InputError, match="lengths 11 to 11 do not fit 10 frames"):
            ctc_beam.search(good[None], np.array([11]))
        with pytest.raises(InputError, match="integers"):
            ctc_beam.search(good[None], np.array([1.0]))
        with pytest.raises(InputError, match="blank 4 is outside"):
            ctc_beam.search(good[None], lengths, blank=4)
        assert ctc_beam.search(impossible[None], np.array([3]))[0][0].labels == (1,)
