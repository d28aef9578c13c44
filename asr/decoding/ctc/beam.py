"""CTC prefix beam search: the most probable label sequence, not the most probable path."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from asr.decoding.ctc import _kernel as kernel
from asr.decoding.ctc import _state as state
from asr.decoding.ctc._batch import check_batch
from asr.decoding.ctc._scores import to_log_probs, to_probs
from asr.decoding.ctc.alignment import align_hypothesis
from asr.decoding.ctc.fusion import Graph, make_graph
from asr.decoding.ctc.lexicon_trie import NONE
from asr.decoding.ctc.model_scores import make_cache, score_ends
from asr.decoding.ctc.options import CTCBeamOptions
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.prefixes import Labels, TextOf, Words, find_words, merge_texts
from asr.decoding.rows import search_rows
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.decoding.ctc.neural_lm import NeuralLMBeam, NeuralModel

INITIAL_NODES = 4096  # capacity of the tree, besides the beam
MAX_SCORES = 1 << 20  # scores converted at a time
NO_LOG_PROBS = np.zeros((1, 1), dtype=np.float32)  # in place of a neural model's


def search(
    scores: np.ndarray,
    lengths: np.ndarray,
    blank: int = 0,
    options: CTCBeamOptions | None = None,
    graph: Graph | None = None,
    neural: NeuralModel | None = None,
    text: TextOf | None = None,
) -> list[list[Hypothesis]]:
    """Search the utterances of a batch, on all available cores.

    The result of an utterance does not depend on the batch.

    Args:
        scores: (N, T, V) of the kind in the options.
        lengths: (N,) integers up to T.
        blank: index of blank.
        options: see `CTCBeamOptions`.
        graph: see `CTCBeamSearch`.
        neural: see `CTCBeamSearch`.
        text: see `CTCBeamSearch`.

    Returns:
        The n best hypotheses of each utterance, best first.

    Raises:
        InputError: shapes, lengths, blank, scores or models do not fit; of scores the message names the utterance.
    """
    scores, lengths = check_batch(scores, lengths, blank)
    labels = scores.shape[2]
    return search_rows(lambda: CTCBeamSearch(labels, blank, options, graph, neural, text), scores, lengths)


class CTCBeamSearch:
    """Prefix beam search over one utterance, as its frames arrive.

    The probability of a prefix is the sum over all paths that collapse to it (Graves et al. 2006, section 3): those
    that end in blank, and those that end in its last label (Hannun et al. 2014, arXiv 1408.2873). With a beam that
    holds all prefixes the n-best list is exact. Feeding frames in pieces gives the same result as feeding them at once.

    Args:
        labels: size of the vocabulary, blank included.
        blank: index of blank.
        options: see `CTCBeamOptions`.
        graph: lexicon, n-gram models and hot words, from `asr.decoding.ctc.fusion.make_graph`.
        neural: the neural model that the graph was made with, if any.
        text: the text of labels and words. Label sequences of the beam that are spelled differently and have one text,
            as with a space more or less at its edge, are one hypothesis then: the best of them with the sum of their
            probabilities. None: each label sequence is a hypothesis.

    Raises:
        InputError: the blank or the models do not fit the labels.
    """

    def __init__(
        self,
        labels: int,
        blank: int = 0,
        options: CTCBeamOptions | None = None,
        graph: Graph | None = None,
        neural: NeuralModel | None = None,
        text: TextOf | None = None,
    ) -> None:
        if not 0 <= blank < labels:
            raise InputError(f"blank {blank} is outside the {labels} labels")
        self.labels = labels
        self.blank = blank
        self.options = options or CTCBeamOptions()
        self.graph = graph or make_graph(labels)
        if len(self.graph.label_lm_id) != labels:
            raise InputError(f"the models are for {len(self.graph.label_lm_id)} labels, the scores have {labels}")
        if self.graph.has_neural_lm != (neural is not None):
            raise InputError("graph and search must be made with the same neural model")
        self.neural = neural
        self.text = text
        self._cache = make_cache()
        self.start()

    def start(self) -> None:
        """Begin a new utterance."""
        self._tree = state.make_tree(INITIAL_NODES + self.options.beam, self.graph)
        self._beam = state.make_beam(self.options.beam)
        self._work = state.make_work(self.options.beam, self.labels, self.graph)
        self._neural_beam: NeuralLMBeam | None = None
        if self.neural:
            from asr.decoding.ctc.neural_lm import NeuralLMBeam  # imports torch

            self._neural_beam = NeuralLMBeam(self.neural, self.labels)
        self._scores: list[np.ndarray] = []  # for the times of labels

    def feed(self, scores: np.ndarray) -> None:
        """Search the next frames.

        Args:
            scores: (T, V) of the kind in the options.

        Raises:
            InputError: the shape does not fit, scores are not of that kind, or a frame leaves no label sequence with a
                probability above zero.
        """
        scores = np.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != self.labels:
            raise InputError(f"scores have the shape {scores.shape}: use (frames, {self.labels})")
        self._scores.append(scores)
        beam = self._beam
        step = max(1, MAX_SCORES // self.labels)
        for begin in range(0, len(scores), step):
            p, log_unit = to_probs(scores[begin : begin + step], self.options.scores, beam.counts[state.FRAMES])
            done = 0
            while done < len(p):
                advanced = self._advance(p[done:], log_unit[done:])
                done += advanced
                if not beam.counts[state.ENTRIES]:
                    frame = beam.counts[state.FRAMES]
                    raise InputError(f"frame {frame}: no label sequence has a probability above zero from here on")
                if not advanced:  # the tree is full
                    state.compact(self._tree, beam)
                    if 2 * beam.counts[state.NODES] > len(self._tree.rows) - self.options.beam:
                        self._tree = state.grow(self._tree)

    def _advance(self, p: np.ndarray, log_unit: np.ndarray) -> int:
        """Search frames, up to one with a neural model, else as many as the tree has room for; their number."""
        beam, tree, neural_beam, options = self._beam, self._tree, self._neural_beam, self.options
        neural_log_probs = NO_LOG_PROBS
        if neural_beam:
            p, log_unit, neural_log_probs = p[:1], log_unit[:1], neural_beam.log_probs
            before = beam.node[: beam.counts[state.ENTRIES]].copy()
        advanced: int = kernel.advance(
            p,
            log_unit,
            self.blank,
            state.SearchData(tree, beam, self._work, self.graph, self._cache, neural_log_probs),
            self.labels if options.max_labels is None else options.max_labels,
            options.min_label_prob,
            0.0 if options.beam_threshold is None else math.exp(-options.beam_threshold),
        )
        if neural_beam and advanced and beam.counts[state.ENTRIES]:
            rows = tree.rows[: beam.counts[state.NODES]]
            after = beam.node[: beam.counts[state.ENTRIES]].copy()
            neural_beam.update(before, after, rows[:, state.PARENT], rows[:, state.LABEL])
        return advanced

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first, with the frames and confidence of each label on its best path.

        The confidence sees what the models passed over, see `asr.decoding.ctc.alignment.align_hypothesis`. Hypotheses
        that end within a word of the lexicon are left out, unless all do.
        """
        rows = self._tree.rows[self._beam.node[: self._beam.counts[state.ENTRIES]]]
        columns = (state.NODE, state.NGRAM_STATE, state.PHRASE_STATE, state.LABEL_STATE)
        words, ends = score_ends(self.graph, self._cache, *(np.ascontiguousarray(rows[:, c]) for c in columns))
        if self._neural_beam:
            ends += self.graph.neural_lm_weight * self._neural_beam.end_log_probs()
        if (ends == -np.inf).all():
            words[:], ends[:] = NONE, 0.0
        scores = self._prefix_scores() + ends
        best = [rank for rank in np.argsort(-scores, kind="stable") if scores[rank] > -np.inf]
        fed = np.concatenate(self._scores) if self._scores else np.zeros((0, self.labels))
        log_probs = to_log_probs(fed, self.options.scores)
        free = log_probs.max(1)
        if self.text is None:
            chosen = [(rank, float(scores[rank])) for rank in best[: self.options.nbest]]
        else:
            entries = ((rank, *self._prefix(rank, int(words[rank])), float(scores[rank])) for rank in best)
            chosen = merge_texts(entries, self.text, self.options.nbest)[: self.options.nbest]
        hypotheses = []
        for rank, score in chosen:
            labels, prefix_words = self._prefix(rank, int(words[rank]))
            hypothesis = align_hypothesis(log_probs, labels, self.blank, score, prefix_words, free)
            model_score = float(np.log(self._tree.factor[self._chain(rank)]).sum() + ends[rank])
            hypotheses.append(replace(hypothesis, model_score=model_score))
        return hypotheses

    def best_prefix(self) -> tuple[Labels, Words]:
        """Return the labels of the best prefix so far, and its words as in `Hypothesis`, but for one that may go on."""
        return self._prefix(0, NONE)

    def _prefix_scores(self) -> np.ndarray:
        """Return the natural-log scores of the beam's entries."""
        entries = slice(self._beam.counts[state.ENTRIES])
        return np.log(self._beam.in_blank[entries] + self._beam.in_label[entries]) + self._beam.log_scale[0]

    def _chain(self, rank: int) -> np.ndarray:
        """Return the nodes (L,) of an entry's labels."""
        node, parents = int(self._beam.node[rank]), self._tree.rows[:, state.PARENT]
        chain = []
        while node != state.ROOT:
            chain.append(node)
            node = int(parents[node])
        return np.array(chain[::-1], dtype=np.int64)

    def _prefix(self, rank: int, last_word: int) -> tuple[Labels, Words]:
        """Return the labels of an entry, and its words as in `Hypothesis`, ``last_word`` at the end included."""
        rows = self._tree.rows[self._chain(rank)]
        labels = tuple(rows[:, state.LABEL].tolist())
        return labels, find_words(labels, rows[:, state.WORD].tolist(), last_word, self.graph)
