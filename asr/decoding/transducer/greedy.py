"""Greedy search for transducers: in each frame the most probable labels, one after another, until it is the blank."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.transducer.network import TransducerNetwork

MAX_PER_FRAME = 10  # labels that one frame emits at most: an untrained network may never put out a blank
AHEAD = 8  # frames that are scored at a time: most have no label, so that their scores do not depend on one another

PAUSE_LOG_PROB = math.log(0.9)  # of blank, from which on a frame counts as a pause


class TransducerGreedySearch:
    """Greedy search over several utterances at once, whose frames may arrive in pieces.

    Args:
        network: the transducer.
        rows: number N of utterances.

    Attributes:
        pauses: (N,) number of frames in which the blank was almost certain, at the end of what was fed so far.
    """

    @torch.inference_mode()
    def __init__(self, network: TransducerNetwork, rows: int = 1) -> None:
        self.network = network
        self._predicted, self._states = (x.clone() for x in network.start(rows))
        self._offsets = np.zeros(rows, dtype=np.int64)  # frames fed before
        self._in_frame = np.zeros(rows, dtype=np.int64)  # labels that the next frame has emitted so far
        self._scores = np.zeros(rows)
        self._emitted: list[list[tuple[int, int, float]]] = [[] for _ in range(rows)]  # label, frame, probability
        self.pauses = np.zeros(rows, dtype=np.int64)

    @torch.inference_mode()
    def feed(self, frames: Tensor, lengths: np.ndarray) -> None:
        """Search the next frames (N, T, D), padded, of ``lengths`` (N,)."""
        frames = frames.to(self.network.device)
        position = np.zeros(len(lengths), dtype=np.int64)
        while len(rows := np.flatnonzero(position < lengths)):
            index = position[rows, None] + np.arange(AHEAD)  # (R, K)
            is_frame = index < lengths[rows, None]
            chosen = frames[self._on_device(rows)[:, None], self._on_device(np.minimum(index, frames.shape[1] - 1))]
            log_probs = self.network.log_probs(chosen, self._predicted[self._on_device(rows)][:, None])
            best, labels = (x.cpu().numpy() for x in log_probs.max(-1))
            blanks = log_probs[..., self.network.blank].cpu().numpy().astype(np.float64)
            has_label = (labels != self.network.blank) & is_frame
            has_label[:, 0] &= self._in_frame[rows] < MAX_PER_FRAME
            emits = has_label.any(1)
            passed = np.where(emits, has_label.argmax(1), is_frame.sum(1))  # frames that end in a blank
            is_passed = np.arange(AHEAD) < passed[:, None]
            self._scores[rows] += np.where(is_passed, blanks, 0).sum(1)
            is_speech = is_passed & (blanks < PAUSE_LOG_PROB)
            since = passed - np.where(is_speech.any(1), AHEAD - is_speech[:, ::-1].argmax(1), 0)
            self.pauses[rows] = np.where(is_speech.any(1), since, self.pauses[rows] + passed)
            position[rows] += passed
            self._in_frame[rows] = np.where(passed > 0, 0, self._in_frame[rows])
            if emits.any():
                at = passed[emits]
                self._emit(rows[emits], labels[emits, at], best[emits, at], position)
        self._offsets += lengths

    def _emit(self, rows: np.ndarray, labels: np.ndarray, log_probs: np.ndarray, position: np.ndarray) -> None:
        """Emit a label in each of ``rows`` (R,), at their positions."""
        self._scores[rows] += log_probs
        self._in_frame[rows] += 1
        self.pauses[rows] = 0
        for row, label, log_prob in zip(rows, labels, log_probs, strict=True):
            frame = int(self._offsets[row] + position[row])
            self._emitted[row].append((int(label), frame, float(np.exp(log_prob))))
        where = self._on_device(rows)
        self._predicted[where], self._states[where] = self.network.step(self._states[where], self._on_device(labels))

    def _on_device(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(indices.astype(np.int64)).to(self.network.device)

    def finish(self) -> list[Hypothesis]:
        """Return the hypothesis of each utterance; its score is the natural log of its path's probability."""
        return [
            Hypothesis(
                labels=tuple(label for label, _, _ in own),
                score=float(score),
                frames=tuple((frame, frame + 1) for _, frame, _ in own),
                confidence=tuple(prob for _, _, prob in own),
            )
            for own, score in zip(self._emitted, self._scores, strict=True)
        ]


def search(network: TransducerNetwork, frames: Tensor, lengths: np.ndarray) -> list[Hypothesis]:
    """Search the utterances of a batch: frames (N, T, D), padded, of ``lengths`` (N,), to a hypothesis each."""
    run = TransducerGreedySearch(network, len(frames))
    run.feed(frames, np.asarray(lengths))
    return run.finish()
