"""CTC prefix beam search: the most probable label sequence, not the most probable path."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from asr.decoding.ctc import _kernel as kernel
from asr.decoding.ctc import _state as state
from asr.decoding.ctc.alignment import align_hypothesis
from asr.decoding.ctc.fusion import NONE, Graph, end_scores, make_graph, make_memory
from asr.decoding.ctc.options import SCORES, CTCBeamOptions
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.utils.threads import available_cores

if TYPE_CHECKING:
    from asr.decoding.ctc.neural_lm import Beliefs, NeuralModel

NODES = 4096  # room for so many prefixes to begin with
BLOCK = 1 << 20  # scores that are made linear at a time
NO_TABLE = np.zeros((1, 1), dtype=np.float32)
TOLERANCE = 0.02  # by how much the log of a frame's sum may differ from 0: half-precision scores do by 0.01


def search(
    scores: np.ndarray,
    lengths: np.ndarray,
    blank: int = 0,
    options: CTCBeamOptions | None = None,
    graph: Graph | None = None,
    neural: NeuralModel | None = None,
) -> list[list[Hypothesis]]:
    """The n best hypotheses of each utterance of a batch, on all cores; see `CTCBeamSearch`.

    ``scores`` is (N, T, V), ``lengths`` (N,) integers up to T. An utterance gives what it gives alone.
    """
    scores, lengths = np.asarray(scores), np.asarray(lengths)
    if scores.ndim != 3 or lengths.shape != scores.shape[:1] or lengths.dtype.kind not in "iu":
        raise InputError(
            f"scores must be (N, T, V) and lengths (N,) integers: got {scores.shape}, {lengths.shape} {lengths.dtype}"
        )
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= scores.shape[1]:
        raise InputError(f"lengths {lengths.min()} to {lengths.max()} do not fit {scores.shape[1]} frames")

    own = threading.local()  # a search for each thread: it remembers answers of the language model

    def one(row: int) -> list[Hypothesis]:
        if not hasattr(own, "search"):
            own.search = CTCBeamSearch(scores.shape[2], blank, options, graph, neural)
        decoder: CTCBeamSearch = own.search
        decoder.start()
        try:
            decoder.feed(scores[row, : lengths[row]])
        except InputError as error:
            raise InputError(f"utterance {row}: {error}") from error
        return decoder.finish()

    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(one, range(len(scores))))


class CTCBeamSearch:
    """Prefix beam search over one utterance, as its frames arrive.

    A prefix's probability is the sum over all paths that collapse to it (Graves et al. 2006, section 3), of those that
    end in blank and those that end in its last label (Hannun et al. 2014, arXiv 1408.2873), so that prefixes which
    merge are one. With a beam that holds all prefixes the n-best list is exact. Feeding frames in pieces gives what
    feeding them at once gives.

    Args:
        labels: size of the vocabulary, blank included.
        blank: its index.
        options: see `CTCBeamOptions`.
        graph: of `asr.decoding.ctc.fusion.make_graph`: lexicon, n-gram models, hot words.
        neural: the neural model that the graph was made with.
    """

    def __init__(
        self,
        labels: int,
        blank: int = 0,
        options: CTCBeamOptions | None = None,
        graph: Graph | None = None,
        neural: NeuralModel | None = None,
    ) -> None:
        if not 0 <= blank < labels:
            raise InputError(f"blank {blank} is outside the {labels} labels")
        self.labels = labels
        self.blank = blank
        self.options = options or CTCBeamOptions()
        self.graph = graph or make_graph(labels)
        if len(self.graph.letter_number) != labels:
            raise InputError(f"the models are for {len(self.graph.letter_number)} labels, the scores have {labels}")
        if self.graph.has_table != (neural is not None):
            raise InputError("graph and search must be made with the same neural model")
        self.neural = neural
        self._memory = make_memory()
        self.start()

    def start(self) -> None:
        """Begin a new utterance."""
        self._tree = state.make_tree(NODES + self.options.beam, self.graph)
        self._beam = state.make_beam(self.options.beam)
        self._work = state.make_work(self.options.beam, self.labels, self.graph)
        self._beliefs: Beliefs | None = None
        if self.neural:
            from asr.decoding.ctc.neural_lm import Beliefs

            self._beliefs = Beliefs(self.neural, self.labels)
        self._heard: list[np.ndarray] = []  # for the times of what is found

    def feed(self, scores: np.ndarray) -> None:
        """Take in the next frames (T, V). Raises InputError for scores that are not of the kind in the options."""
        scores = np.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != self.labels:
            raise InputError(f"scores of shape {scores.shape}; (frames, {self.labels}) is needed")
        self._heard.append(scores)
        beam = self._beam
        most = self.labels if self.options.max_labels is None else self.options.max_labels
        step = max(1, BLOCK // self.labels)
        for begin in range(0, len(scores), step):
            p, log_unit = self._linear(scores[begin : begin + step])
            done = 0
            while done < len(p):
                taken = self._advance(p[done:], log_unit[done:], most)
                done += taken
                if not beam.counts[state.ENTRIES]:
                    frame = beam.counts[state.FRAMES]
                    raise InputError(f"frame {frame}: no label sequence has a probability above zero from here on")
                if not taken:
                    state.compact(self._tree, beam)
                    if 2 * beam.counts[state.NODES] > len(self._tree.rows) - self.options.beam:
                        self._tree = state.grown(self._tree)

    def _advance(self, p: np.ndarray, log_unit: np.ndarray, most: int) -> int:
        """Take in frames, with a neural model one, as many as the tree has room for; how many there were."""
        beam, tree, beliefs, options = self._beam, self._tree, self._beliefs, self.options
        share = 0.0 if options.beam_threshold is None else math.exp(-options.beam_threshold)
        table = NO_TABLE
        if beliefs:
            p, log_unit, table = p[:1], log_unit[:1], beliefs.table
            before = beam.node[: beam.counts[state.ENTRIES]].copy()
        taken: int = kernel.advance(
            p,
            log_unit,
            self.blank,
            tree,
            beam,
            self._work,
            self.graph,
            self._memory,
            table,
            most,
            options.min_label_prob,
            share,
        )
        if beliefs and taken and beam.counts[state.ENTRIES]:
            rows = tree.rows[: beam.counts[state.NODES]]
            after = beam.node[: beam.counts[state.ENTRIES]].copy()
            beliefs.follow(before, after, rows[:, state.PARENT], rows[:, state.LABEL])
        return taken

    def _linear(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (T, V) in units of each frame's largest, and the natural log of that (T,)."""
        kind = self.options.scores
        peak = scores.max(1).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):  # the sums will tell
            p = scores / peak[:, None] if kind == "probs" else np.exp(scores - peak[:, None])
            log_totals = np.log(p.sum(1))
            log_unit = -log_totals if kind == "logits" else np.log(peak) if kind == "probs" else peak
            off = np.abs(log_totals + log_unit)
        if kind == "probs" and (scores < 0).any():
            raise InputError('scores="probs" are never negative ("log_probs" and "logits" are known too)')
        if not (off <= TOLERANCE).all():
            row = int(np.flatnonzero(~(off <= TOLERANCE))[0])
            number = self._beam.counts[state.FRAMES] + row
            if not (scores[row] < np.inf).all():
                raise InputError(f"frame {number} holds a score that is not a number, or infinite")
            others = " and ".join(repr(other) for other in SCORES if other != kind)
            total = (scores[row] if kind == "probs" else np.exp(scores[row])).sum()
            raise InputError(
                f"the probabilities of frame {number} sum to {total:.4g}, not 1, but were said to be "
                f"scores={kind!r} ({others} are known too)"
            )
        return p, log_unit

    def partial(self) -> tuple[int, ...]:
        """The best labels so far."""
        return self._prefix(0)[0]

    def finish(self) -> list[Hypothesis]:
        """The n best hypotheses, with the frames and confidence of each label on its best path.

        Those that end within a word which the lexicon does not let end are left out, unless all do.
        """
        rows = self._tree.rows[self._beam.node[: self._beam.counts[state.ENTRIES]]]
        states = (np.ascontiguousarray(rows[:, column]) for column in (state.NODE, state.HISTORY, state.LETTERS))
        words, ends = end_scores(self.graph, self._memory, *states)
        if self._beliefs:
            ends += self.graph.table_weight * self._beliefs.ends()
        if (ends == -np.inf).all():
            words[:], ends[:] = NONE, 0.0
        scores = self._scores() + ends
        best = [rank for rank in np.argsort(-scores, kind="stable") if scores[rank] > -np.inf]
        heard = np.concatenate(self._heard) if self._heard else np.zeros((0, self.labels))
        log_probs = log_probabilities(heard, self.options.scores)
        found = []
        for rank in best[: self.options.nbest]:
            labels, said = self._prefix(rank, int(words[rank]))
            found.append(align_hypothesis(log_probs, labels, self.blank, float(scores[rank]), said))
        return found

    def _scores(self) -> np.ndarray:
        """Natural-log scores of the beam's entries."""
        entries = slice(self._beam.counts[state.ENTRIES])
        return np.log(self._beam.in_blank[entries] + self._beam.in_label[entries]) + self._beam.log_scale[0]

    def _prefix(self, rank: int, last_word: int = NONE) -> tuple[tuple[int, ...], tuple[tuple[int, int, int], ...]]:
        """Labels and words (number, first label, last + 1) of an entry of the beam, with the word that ends there."""
        node, parents = int(self._beam.node[rank]), self._tree.rows[:, state.PARENT]
        chain = []
        while node != state.ROOT:
            chain.append(node)
            node = int(parents[node])
        rows = self._tree.rows[np.array(chain[::-1], dtype=np.int64)]
        labels = rows[:, state.LABEL].tolist()
        ends = [(word, at) for at, word in enumerate(rows[:, state.WORD].tolist(), start=1) if word != NONE]
        if last_word != NONE:
            ends.append((last_word, len(labels)))
        words, first = [], 0
        for word, end in ends:
            first += labels[first] == self.graph.separator  # which an utterance may begin with
            last = end - (labels[end - 1] == self.graph.separator)
            words.append((word if word < len(self.graph.add) - 1 else NONE, first, last))
            first = end
        return tuple(labels), tuple(words)


def log_probabilities(scores: np.ndarray, kind: str) -> np.ndarray:
    """Natural-log probabilities (T, V) of scores of a ``kind`` of `SCORES`."""
    if kind == "probs":
        with np.errstate(divide="ignore"):
            return np.log(scores)
    if kind == "logits":
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return scores if scores.dtype in (np.float32, np.float64) else scores.astype(np.float32)
