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
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr.decoding.ctc.fusion import Graph, make_cache, make_graph, score_ends
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.options import BeamOptions
from asr.decoding.prefixes import Labels, TextOf, Words, find_words, merge_texts
from asr.decoding.transducer import _kernel as kernel
from asr.decoding.transducer._prefix_tree import PrefixTree
from asr.decoding.transducer.greedy import MAX_PER_FRAME, PAUSE_LOG_PROB
from asr.decoding.transducer.network import TransducerNetwork
from asr.errors import InputError
from asr.utils.threads import available_cores, torch_threads

BATCH = 32  # prefixes taken out of A at a time

# the labels of a path: the last one's frame and probability, and those before it
Trace = Any


def search(
    network: TransducerNetwork,
    frames: Tensor,
    lengths: np.ndarray,
    options: BeamOptions | None = None,
    graph: Graph | None = None,
    text: TextOf | None = None,
) -> list[list[Hypothesis]]:
    """Search the utterances of a batch, on all available cores.

    Args:
        network: the transducer.
        frames: (N, T, D), padded.
        lengths: (N,) integers up to T.
        options: see `BeamOptions`.
        graph: see `TransducerBeamSearch`.
        text: see `TransducerBeamSearch`.

    Returns:
        The n best hypotheses of each utterance, best first.
    """

    def search_one(row: int) -> list[Hypothesis]:
        run = TransducerBeamSearch(network, options, graph, text)
        run.feed(frames[row, : int(lengths[row])])
        return run.finish()

    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(search_one, range(len(frames))))


class _Entries:
    """Prefixes of one frame with their scores, natural logs of probabilities.

    Attributes:
        node: (E,) the prefixes, as rows of the tree.
        score: (E,) sum over all paths.
        best: (E,) score of the best path.
        traces: the labels of the best path of each.
    """

    def __init__(self, node: np.ndarray, score: np.ndarray, best: np.ndarray, traces: list[Trace]) -> None:
        self.node, self.score, self.best, self.traces = node, score, best, traces


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
        self._beam = _Entries(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1), [None])
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
        width, tree, blank = self.options.beam, self._tree, self.network.blank
        entries = self._beam
        log_probs, between = self._score_with_prefixes(frame)
        self._merge(log_probs, between)
        log_probs = log_probs[: len(entries.node)]
        blanks = log_probs[:, blank].astype(np.float64)
        tree.seen[entries.node] = self.frames
        done = [(entries.node, entries.score + blanks, entries.best + blanks)]
        before = [(entries.score, entries.best)]  # of the same prefixes, before the blank
        emitted = np.zeros(len(entries.node), dtype=np.int64)  # labels of the same prefixes that this frame has added
        traces = list(entries.traces)
        pending = self._extend(log_probs, entries.score, entries.node, 0, self._threshold(done[0][1]))
        count = len(traces)
        while len(pending[0]):
            threshold = self._threshold(np.concatenate([scores for _, scores, _ in done]))
            score, info, factor, prob = (x[pending[0] > threshold] for x in pending)
            if not len(score):
                break
            order = np.argsort(-score, kind="stable")
            taken, left = order[:BATCH], order[BATCH:]
            nodes, is_new = tree.children(
                info[taken], factor[taken], np.concatenate([n for n, _, _ in done]), self.frames
            )
            chosen = taken[is_new]
            pending = (score[left], info[left], factor[left], prob[left])
            if not len(chosen):
                continue
            new = self.network.log_probs(frame, tree.predicted[tree.on_device(nodes)]).cpu().numpy()
            origin = info[chosen, kernel.ORIGIN]
            all_best = np.concatenate([best for _, best in before])
            own_best = all_best[origin] + prob[chosen] + factor[chosen]
            blanks = new[:, blank].astype(np.float64)
            done.append((nodes, score[chosen] + blanks, own_best + blanks))
            before.append((score[chosen], own_best))
            emitted = np.concatenate([emitted, emitted[origin] + 1])
            traces += [
                (self.frames, p, traces[o]) for o, p in zip(origin.tolist(), np.exp(prob[chosen]).tolist(), strict=True)
            ]
            new[emitted[count:] >= MAX_PER_FRAME] = -np.inf  # with bonuses above 0 there would be no end
            further = self._extend(new, score[chosen], nodes, count, threshold)
            pending = tuple(np.concatenate(pair) for pair in zip(pending, further, strict=True))  # type: ignore[assignment]
            count += len(chosen)
        node, score, best = (np.concatenate(column) for column in zip(*done, strict=True))
        order = np.argsort(-score, kind="stable")[:width]
        order = order[score[order] > max(-np.inf, self._limit(score))]
        if not len(order):
            raise InputError(f"frame {self.frames}: no label sequence has a probability above zero from here on")
        self._note_pause(order, blanks_of=log_probs[:, blank], entries=len(entries.node))
        self._beam = _Entries(node[order], score[order], best[order], [traces[i] for i in order])
        self.frames += 1
        if tree.is_full:
            self._beam.node = tree.compact(self._beam.node)

    def _note_pause(self, order: np.ndarray, blanks_of: np.ndarray, entries: int) -> None:
        first = int(order[0])
        is_pause = first < entries and blanks_of[first] > PAUSE_LOG_PROB
        self.pause = self.pause + 1 if is_pause else 0

    def _limit(self, scores: np.ndarray) -> float:
        """Return the score that the option ``beam_threshold`` demands."""
        threshold = self.options.beam_threshold
        return -math.inf if threshold is None else float(scores.max()) - threshold

    def _threshold(self, scores: np.ndarray) -> float:
        """Return the score that a prefix must exceed to be among the best, given those of prefixes that are done."""
        limit, width = self._limit(scores), self.options.beam
        return limit if len(scores) < width else max(limit, float(np.partition(scores, -width)[-width]))

    def _score_with_prefixes(self, frame: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Score the labels after each entry of the beam and after the prefixes between two of them.

        Returns:
            Natural logs (E + B, V), and the prefixes between (B,).
        """
        tree, node = self._tree, self._beam.node
        tree.slot[node] = np.arange(len(node))
        self._ancestors = np.empty(len(node), dtype=np.int64)
        between = np.empty(tree.size, dtype=np.int64)
        count = kernel.find_ancestors(tree.rows, tree.slot, node, self._ancestors, between)
        nodes = np.concatenate([node, between[:count]])
        log_probs = self.network.log_probs(frame, tree.predicted[tree.on_device(nodes)]).cpu().numpy()
        return log_probs, between[:count]

    def _merge(self, log_probs: np.ndarray, between: np.ndarray) -> None:
        """Add the probability of prefixes in the beam to that of what they can become in this frame."""
        tree, beam = self._tree, self._beam
        via = np.zeros(len(beam.node), dtype=np.bool_)
        by_depth = np.argsort(tree.rows[beam.node, kernel.DEPTH], kind="stable")
        if (self._ancestors != kernel.NONE).any():
            kernel.merge_prefixes(
                tree.rows, tree.factor, tree.slot, log_probs, beam.node, by_depth, self._ancestors, beam.score,
                beam.best, via,
            )  # fmt: skip
            for i in by_depth[via[by_depth]].tolist():
                beam.traces[i] = self._trace_from(int(self._ancestors[i]), int(beam.node[i]), log_probs)
        tree.slot[beam.node] = kernel.NONE
        tree.slot[between] = kernel.NONE

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
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """List the extensions of prefixes whose scores exceed a threshold.

        Returns:
            Scores (n,), rows (n, columns), what the models add (n,), and natural logs of the labels (n,).
        """
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
        info, score = info[:count], score[:count]
        return score, info, factor[:count], log_probs[info[:, kernel.ORIGIN] - first, info[:, kernel.LABEL]]

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first, with the frame and the probability of each label on its best path.

        Hypotheses that end within a word of the lexicon are left out, unless all do.
        """
        rows = self._tree.rows[self._beam.node]
        columns = (kernel.NODE, kernel.WORD_STATE, kernel.LABEL_STATE)
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


def _hypothesis(labels: Labels, words: Words, score: float, model_score: float, trace: Trace) -> Hypothesis:
    emitted = []
    while trace is not None:
        frame, prob, trace = trace
        emitted.append((frame, prob))
    emitted.reverse()
    frames = tuple((frame, frame + 1) for frame, _ in emitted)
    return Hypothesis(labels, score, frames, tuple(prob for _, prob in emitted), words, model_score)
