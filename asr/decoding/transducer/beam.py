"""Beam search for transducers with merged prefixes (Graves 2012, arXiv 1211.3711, algorithm 1).

In the form of the paper, for each frame::

    A = beam                                           # prefixes and their probabilities
    for y in A:  Pr(y) += sum over the prefixes z of y in A of Pr(z) Pr(rest of y | z)       # merge_prefixes
    B = {}
    while B has less than W prefixes that are more probable than the best of A:
        take the best y out of A, and put it into B with Pr(y) Pr(blank | y)
        for each label k:  put y + k into A with Pr(y) Pr(k | y)           # unless it was there: it is counted already
    beam = the W best of B

Here the best prefixes are taken out of A several at a time, so that the networks run on batches. As a prefix is at
least as probable as what it is extended to, this looks at some more prefixes and finds the same W best. The paper then
returns the sequence with the highest log-probability per label; this search returns the most probable one. A frame
extends a prefix by at most `MAX_PER_FRAME` labels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr.decoding.ctc.fusion import Graph, make_graph
from asr.decoding.ctc.model_scores import make_cache, score_ends
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.options import BeamOptions
from asr.decoding.prefixes import Labels, TextOf, Words, find_words, merge_texts
from asr.decoding.transducer import _kernel as kernel
from asr.decoding.transducer._prefix_tree import PrefixTree
from asr.decoding.transducer.greedy import MAX_PER_FRAME, PAUSE_LOG_PROB
from asr.decoding.transducer.network import TransducerNetwork
from asr.errors import InputError
from asr.utils.threads import torch_threads

BATCH = 32  # prefixes taken out of A at a time

# the labels of a path: the last one's frame and probability, and those before it
Trace = Any


class _Entries(NamedTuple):
    """Prefixes of a frame with their scores, natural logs of probabilities."""

    node: np.ndarray  # (E,) the prefixes, as rows of the tree
    score: np.ndarray  # (E,) sum over all paths
    best: np.ndarray  # (E,) score of the best path
    blank: np.ndarray  # (E,) of the blank after each prefix
    emitted: np.ndarray  # (E,) number of labels that the frame has added
    traces: list[Trace]  # labels of the best path of each

    def plus(self, other: _Entries) -> _Entries:
        """Return these entries followed by others."""
        arrays = (np.concatenate(pair) for pair in zip(self[:-1], other[:-1], strict=True))
        return _Entries._make([*arrays, [*self.traces, *other.traces]])


class _Extensions(NamedTuple):
    """What entries can be extended to, as `asr.decoding.transducer._kernel.extend` lists it."""

    score: np.ndarray  # (n,)
    info: np.ndarray  # (n, COLUMNS); ORIGIN is the number of an entry
    factor: np.ndarray  # (n,) what models add
    log_prob: np.ndarray  # (n,) of the label

    def take(self, rows: np.ndarray) -> _Extensions:
        """Return those of some rows, indices or a mask."""
        return _Extensions(*(column[rows] for column in self))

    def plus(self, other: _Extensions) -> _Extensions:
        """Return these followed by others."""
        return _Extensions(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


class TransducerBeamSearch:
    """Beam search over one utterance, as its frames arrive; see the module.

    Feeding frames in pieces gives the same result as feeding them at once.

    Args:
        network: the transducer.
        options: see `BeamOptions`.
        graph: lexicon, n-gram models and hot words, from `asr.decoding.ctc.fusion.make_graph`.
        text: as in `asr.decoding.ctc.beam.CTCBeamSearch`.

    Raises:
        InputError: the models do not fit the labels.

    Attributes:
        pause: number of frames at the end of what was fed so far in which the best prefix was almost certainly
            followed by the blank.
    """

    def __init__(
        self,
        network: TransducerNetwork,
        options: BeamOptions | None = None,
        graph: Graph | None = None,
        text: TextOf | None = None,
    ) -> None:
        self.network = network
        self.options = options or BeamOptions()
        self.graph = graph or make_graph(network.labels)
        if len(self.graph.label_lm_id) != network.labels:
            raise InputError(f"the models are for {len(self.graph.label_lm_id)} labels, not for {network.labels}")
        if self.graph.has_neural_lm:
            raise InputError("a neural language model cannot take part in the search of a transducer")
        self.text = text
        self._cache = make_cache()
        with np.errstate(divide="ignore"):
            self._log_bound = np.log(self.graph.arc_bound)
        most_arcs = int(np.diff(self.graph.arc_offsets).max(initial=0))
        self._extensions = network.labels + most_arcs  # that a prefix has at most
        self.start()

    @torch.inference_mode()
    def start(self) -> None:
        """Begin a new utterance."""
        self._tree = PrefixTree(self.network, self.graph)
        self._beam = _make_beam(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1), [None])
        self.frames = 0  # fed so far
        self.pause = 0

    @torch.inference_mode()
    def feed(self, frames: Tensor) -> None:
        """Search the next frames (T, D)."""
        frames = frames.to(self.network.device)
        with torch_threads(1):  # the steps are too small for more; further utterances have threads of their own
            for frame in frames:
                self._advance(frame)

    def _advance(self, frame: Tensor) -> None:
        """Search a frame (D,)."""
        tree = self._tree
        log_probs = self._merge_prefixes(frame)
        entries = self._beam._replace(blank=log_probs[:, self.network.blank].astype(np.float64))
        tree.seen[entries.node] = self.frames
        threshold = self._threshold(entries.score + entries.blank)
        pending = self._extend(log_probs, entries.score, entries.node, 0, threshold)
        while len(pending.score):
            threshold = self._threshold(entries.score + entries.blank)
            pending = pending.take(pending.score > threshold)
            order = np.argsort(-pending.score, kind="stable")
            taken, pending = pending.take(order[:BATCH]), pending.take(order[BATCH:])
            nodes, is_new = tree.children(taken.info, taken.factor, entries.node, self.frames)
            if len(nodes):
                new, log_probs = self._make_entries(frame, nodes, taken.take(is_new), entries)
                pending = pending.plus(self._extend(log_probs, new.score, nodes, len(entries.node), threshold))
                entries = entries.plus(new)
        self._keep_best(entries)
        self.frames += 1

    def _make_entries(
        self, frame: Tensor, nodes: np.ndarray, extensions: _Extensions, entries: _Entries
    ) -> tuple[_Entries, np.ndarray]:
        """Return entries of new prefixes (n,), and the natural logs (n, V) of the labels that may follow them."""
        log_probs = self.network.log_probs(frame, self._tree.predicted[self._tree.on_device(nodes)]).cpu().numpy()
        origin = extensions.info[:, kernel.ORIGIN]
        probs = np.exp(extensions.log_prob).tolist()
        new = _Entries(
            node=nodes,
            score=extensions.score,
            best=entries.best[origin] + extensions.log_prob + extensions.factor,
            blank=log_probs[:, self.network.blank].astype(np.float64),
            emitted=entries.emitted[origin] + 1,
            traces=[(self.frames, p, entries.traces[o]) for o, p in zip(origin.tolist(), probs, strict=True)],
        )
        log_probs[new.emitted >= MAX_PER_FRAME] = -np.inf  # with bonuses above 0 there would be no end
        return new, log_probs

    def _keep_best(self, entries: _Entries) -> None:
        """Make the best entries the beam of the next frame. Raises InputError if there is none."""
        score = entries.score + entries.blank
        order = np.argsort(-score, kind="stable")[: self.options.beam]
        order = order[score[order] > max(-np.inf, self._limit(score))]
        if not len(order):
            raise InputError(f"frame {self.frames}: no label sequence has a probability above zero from here on")
        is_pause = not entries.emitted[order[0]] and entries.blank[order[0]] > PAUSE_LOG_PROB
        self.pause = self.pause + 1 if is_pause else 0
        node = entries.node[order]
        if self._tree.is_full:
            node = self._tree.compact(node)
        best = (entries.best + entries.blank)[order]
        self._beam = _make_beam(node, score[order], best, [entries.traces[i] for i in order])

    def _limit(self, scores: np.ndarray) -> float:
        """Return the score that the option ``beam_threshold`` demands."""
        threshold = self.options.beam_threshold
        return -math.inf if threshold is None else float(scores.max()) - threshold

    def _threshold(self, scores: np.ndarray) -> float:
        """Return the score that a prefix must exceed to be among the best, given those of prefixes that are done."""
        limit, width = self._limit(scores), self.options.beam
        return limit if len(scores) < width else max(limit, float(np.partition(scores, -width)[-width]))

    def _merge_prefixes(self, frame: Tensor) -> np.ndarray:
        """Add the probability of prefixes in the beam to that of what they can become in a frame (D,).

        Returns:
            Natural logs (E, V) of the labels after each entry.
        """
        tree, beam = self._tree, self._beam
        count = len(beam.node)
        tree.slot[beam.node] = np.arange(count)
        ancestors, between = np.empty(count, dtype=np.int64), np.empty(tree.size, dtype=np.int64)
        between = between[: kernel.find_ancestors(tree.rows, tree.slot, beam.node, ancestors, between)]
        nodes = tree.on_device(np.concatenate([beam.node, between]))
        log_probs = self.network.log_probs(frame, tree.predicted[nodes]).cpu().numpy()
        if (ancestors != kernel.NONE).any():
            via = np.zeros(count, dtype=np.bool_)
            by_depth = np.argsort(tree.rows[beam.node, kernel.DEPTH], kind="stable")
            kernel.merge_prefixes(
                tree.rows, tree.factor, tree.slot, log_probs, beam.node, by_depth, ancestors, beam.score, beam.best, via
            )
            for i in by_depth[via[by_depth]].tolist():
                beam.traces[i] = self._trace_from(int(ancestors[i]), int(beam.node[i]), log_probs)
        tree.slot[beam.node] = tree.slot[between] = kernel.NONE
        return log_probs[:count]

    def _trace_from(self, ancestor: int, node: int, log_probs: np.ndarray) -> Trace:
        """Return the trace of a prefix whose labels after those of the entry ``ancestor`` are emitted in this frame."""
        tree, top, probs = self._tree, int(self._beam.node[ancestor]), []
        while node != top:
            parent = int(tree.rows[node, kernel.PARENT])
            probs.append(math.exp(log_probs[tree.slot[parent], tree.rows[node, kernel.LABEL]]))
            node = parent
        trace = self._beam.traces[ancestor]
        for prob in reversed(probs):
            trace = (self.frames, prob, trace)
        return trace

    def _extend(
        self, log_probs: np.ndarray, scores: np.ndarray, nodes: np.ndarray, first: int, threshold: float
    ) -> _Extensions:
        """List the extensions of prefixes (E,), numbered from ``first``, whose scores exceed a threshold."""
        options = self.options
        allowed = log_probs
        if options.min_label_prob > 0:
            allowed = np.where(allowed < math.log(options.min_label_prob), -np.inf, allowed).astype(np.float32)
        if options.max_labels is not None and options.max_labels < log_probs.shape[1] - 1:
            allowed = allowed.copy()
            allowed[:, self.network.blank] = -np.inf
            cut = np.partition(allowed, -options.max_labels, axis=1)[:, -options.max_labels, None]
            allowed[allowed < cut] = -np.inf
        most = len(nodes) * self._extensions
        info, factor, score = np.empty((most, kernel.COLUMNS), dtype=np.int32), np.empty(most), np.empty(most)
        count = kernel.extend(
            allowed, allowed, scores, nodes, first, self.network.blank, threshold, self._tree.rows, self._log_bound,
            self.graph, self._cache, info, factor, score,
        )  # fmt: skip
        info = info[:count]
        chosen = log_probs[info[:, kernel.ORIGIN] - first, info[:, kernel.LABEL]]
        return _Extensions(score[:count], info, factor[:count], chosen)

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first, with the frame and the probability of each label on its best path.

        Hypotheses that end within a word of the lexicon are left out, unless all do.
        """
        rows = self._tree.rows[self._beam.node]
        columns = (kernel.NODE, kernel.NGRAM_STATE, kernel.PHRASE_STATE, kernel.LABEL_STATE)
        words, ends = score_ends(self.graph, self._cache, *(np.ascontiguousarray(rows[:, c]) for c in columns))
        if (ends == -np.inf).all():
            words[:], ends[:] = kernel.NONE, 0.0
        scores = self._beam.score + ends
        ranks = [rank for rank in np.argsort(-scores, kind="stable").tolist() if scores[rank] > -np.inf]
        prefixes = {rank: self._prefix(int(self._beam.node[rank]), int(words[rank])) for rank in ranks}
        if self.text is None:
            chosen = [(rank, float(scores[rank])) for rank in ranks]
        else:
            entries = ((rank, *prefixes[rank], float(scores[rank])) for rank in ranks)
            chosen = merge_texts(entries, self.text, self.options.nbest)
        found = []
        for rank, score in chosen[: self.options.nbest]:
            added = float(self._tree.factor[self._tree.path(int(self._beam.node[rank]))].sum() + ends[rank])
            found.append(_hypothesis(*prefixes[rank], score, added, self._beam.traces[rank]))
        return found

    def _prefix(self, node: int, last_word: int) -> tuple[Labels, Words]:
        """Return the labels of a prefix, and its words as in `Hypothesis`, ``last_word`` at the end included."""
        rows = self._tree.rows[self._tree.path(node)]
        labels = tuple(rows[:, kernel.LABEL].tolist())
        return labels, find_words(labels, rows[:, kernel.WORD].tolist(), last_word, self.graph)


def _make_beam(node: np.ndarray, score: np.ndarray, best: np.ndarray, traces: list[Trace]) -> _Entries:
    """Return the entries between two frames."""
    return _Entries(node, score, best, np.zeros(len(node)), np.zeros(len(node), dtype=np.int64), traces)


def _hypothesis(labels: Labels, words: Words, score: float, model_score: float, trace: Trace) -> Hypothesis:
    emitted = []
    while trace is not None:
        frame, prob, trace = trace
        emitted.append((frame, prob))
    emitted.reverse()
    frames = tuple((frame, frame + 1) for frame, _ in emitted)
    return Hypothesis(labels, score, frames, tuple(prob for _, prob in emitted), words, model_score)
