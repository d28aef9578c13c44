"""The prefixes of a transducer's beam search, as the nodes of a tree, with the prediction network's outputs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.fusion import Graph
from asr.decoding.ctc.model_scores import STATE_BITS
from asr.decoding.transducer import _kernel as kernel
from asr.decoding.transducer.network import TransducerNetwork

CAPACITY = 2048  # prefixes at first, and the least number above which those that are not needed are removed


class PrefixTree:
    """All prefixes that were looked at; node 0 is the empty one.

    Args:
        network: the transducer, whose prediction network runs once for each prefix.
        graph: the models of the search.

    Attributes:
        size: number of prefixes.
        rows: (capacity, COLUMNS) int32, see `asr.decoding.transducer._kernel`.
        factor: (capacity,) what models add to the score of the last label, natural log.
        predicted: (capacity, O) output of the prediction network after each prefix.
        states: (capacity, S) its states.
        seen: (capacity,) the last frame in which a prefix was looked at.
        slot: (capacity,) scratch space of the search, NONE.
    """

    def __init__(self, network: TransducerNetwork, graph: Graph) -> None:
        self.network = network
        predicted, states = network.start(1)
        self.size = 1
        self.rows = np.full((CAPACITY, kernel.COLUMNS), kernel.NONE, dtype=np.int32)
        self.rows[kernel.ROOT, kernel.NODE] = lexicon_trie.ROOT
        self.rows[kernel.ROOT, kernel.NGRAM_STATE] = graph.word_start & STATE_BITS
        self.rows[kernel.ROOT, kernel.PHRASE_STATE] = graph.word_start >> 32
        self.rows[kernel.ROOT, kernel.LABEL_STATE] = graph.label_lm_start
        self.rows[kernel.ROOT, kernel.DEPTH] = 0
        self.factor = np.zeros(CAPACITY)
        self.seen = np.full(CAPACITY, kernel.NONE, dtype=np.int64)
        self.slot = np.full(CAPACITY, kernel.NONE, dtype=np.int64)
        self.predicted = predicted.new_empty(CAPACITY, predicted.shape[1])
        self.states = states.new_empty(CAPACITY, states.shape[1])
        self.predicted[0], self.states[0] = predicted[0], states[0]
        self._child: dict[tuple[int, int, int], int] = {}
        self._limit = CAPACITY  # of the size, above which it pays to remove prefixes

    @property
    def is_full(self) -> bool:
        """Whether to call `compact`."""
        return self.size > self._limit

    def on_device(self, nodes: np.ndarray) -> Tensor:
        """Return indices as a tensor."""
        return torch.from_numpy(nodes.astype(np.int64)).to(self.predicted.device)

    def children(
        self, info: np.ndarray, factor: np.ndarray, origins: np.ndarray, frame: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find or make the prefixes that candidates are, and run the prediction network for those that are made.

        Args:
            info: (n, COLUMNS) of the candidates.
            factor: (n,) what models add.
            origins: (E,) the prefixes that ORIGIN numbers.
            frame: the frame; prefixes that were seen in it are left out.

        Returns:
            The prefixes, and which of the candidates they are, a mask (n,).
        """
        parents = origins[info[:, kernel.ORIGIN]]
        nodes, is_new = np.empty(len(info), dtype=np.int64), np.ones(len(info), dtype=np.bool_)
        made: list[int] = []
        keys = zip(parents.tolist(), info[:, kernel.LABEL].tolist(), info[:, kernel.ARC].tolist(), strict=True)
        for i, key in enumerate(keys):
            if (node := self._child.get(key)) is None:
                node = self._child[key] = self.size + len(made)
                made.append(i)
            elif self.seen[node] == frame:
                is_new[i] = False
            nodes[i] = node
        if made:
            self._add(info[made], factor[made], parents[made])
        self.seen[nodes] = frame
        return nodes[is_new], is_new

    def _add(self, info: np.ndarray, factor: np.ndarray, parents: np.ndarray) -> None:
        first, end = self.size, self.size + len(info)
        while end > len(self.rows):
            self._grow()
        self.rows[first:end] = info
        self.rows[first:end, kernel.PARENT] = parents
        self.factor[first:end] = factor
        self.seen[first:end] = kernel.NONE
        self.slot[first:end] = kernel.NONE
        labels = self.on_device(info[:, kernel.LABEL])
        self.predicted[first:end], self.states[first:end] = self.network.step(
            self.states[self.on_device(parents)], labels
        )
        self.size = end

    def _grow(self) -> None:
        for name in ("rows", "factor", "seen", "slot"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, array]))  # new rows are written before they are read
        self.predicted = torch.cat([self.predicted, self.predicted])
        self.states = torch.cat([self.states, self.states])

    def path(self, node: int) -> np.ndarray:
        """Return the prefixes (U,) that lead to a node, the root left out."""
        chain = []
        while node != kernel.ROOT:
            chain.append(node)
            node = int(self.rows[node, kernel.PARENT])
        return np.array(chain[::-1], dtype=np.int64)

    def compact(self, beam: np.ndarray) -> np.ndarray:
        """Remove the prefixes that no prefix in ``beam`` (E,) begins with; return the beam's new nodes."""
        is_kept = np.zeros(self.size, dtype=np.bool_)
        is_kept[kernel.ROOT] = True
        for node in beam.tolist():
            while not is_kept[node]:
                is_kept[node] = True
                node = int(self.rows[node, kernel.PARENT])
        kept = np.flatnonzero(is_kept)
        number = np.full(self.size, kernel.NONE, dtype=np.int64)
        number[kept] = np.arange(len(kept))
        count = len(kept)
        self.rows[:count] = self.rows[kept]
        self.rows[1:count, kernel.PARENT] = number[self.rows[1:count, kernel.PARENT]]
        for array in (self.factor, self.seen, self.slot):
            array[:count] = array[kept]
        where = self.on_device(kept)
        self.predicted[:count], self.states[:count] = self.predicted[where], self.states[where]
        self.size = count
        columns = (self.rows[1:count, column].tolist() for column in (kernel.PARENT, kernel.LABEL, kernel.ARC))
        self._child = {key: node for node, key in enumerate(zip(*columns, strict=True), start=1)}
        self._limit = max(CAPACITY, 2 * count)
        moved: np.ndarray = number[beam]
        return moved
