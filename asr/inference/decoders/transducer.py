"""Decoders of transducers: greedy and beam search, and the alignment of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from asr.decoding.ctc.options import CTCBeamOptions
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.rows import search_rows
from asr.decoding.transducer import alignment, greedy
from asr.decoding.transducer.beam import TransducerBeamSearch
from asr.decoding.transducer.greedy import TransducerGreedySearch
from asr.errors import InputError
from asr.inference.decoders.aligner import Aligner
from asr.inference.decoders.base import BaseDecoder, RepeatedSearch, Search
from asr.inference.decoders.beam import BeamDecoder, FusionModels
from asr.inference.decoders.models import WordSource
from asr.inference.decoders.segments import (
    MAX_SEGMENT_FRAMES,
    MIN_PAUSE_FRAMES,
    MIN_SEGMENT_FRAMES,
    join_segments,
    shift_frames,
)
from asr.inference.decoders.word_aligner import Variants, WordAligner
from asr.modules.transducer_head import TransducerHead
from asr.text.lexicon import Lexicon
from asr.text.vocabulary import Vocabulary


def check_frames(frames: np.ndarray, head: TransducerHead) -> None:
    """Raise InputError unless frames (…, T, D) are such as a transducer's encoder puts out."""
    if frames.ndim < 2 or frames.shape[-1] != head.size + 1:
        raise InputError(f"frames have the shape {frames.shape}: use (…, frames, {head.size + 1})")
    if not np.isfinite(frames).all():
        raise InputError("frames hold values that are not numbers, or infinite")


class TransducerGreedyDecoder(BaseDecoder):
    """Greedy search (`asr.decoding.transducer.greedy`).

    Args:
        vocabulary: of the labels.
        network: prediction and output network.
        calibration: see `BaseDecoder`.
    """

    def __init__(
        self, vocabulary: Vocabulary, network: TransducerHead, *, calibration: Sequence[float] | None = None
    ) -> None:
        super().__init__(vocabulary, calibration=calibration)
        self.network = network

    def search(self, frames: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Return the one hypothesis of each utterance: frames (N, T, D), lengths (N,) to lists of one."""
        check_frames(frames, self.network)
        return [[found] for found in greedy.search(self.network, torch.from_numpy(frames), lengths)]

    def start(self, pool: Executor | None = None) -> Search:
        """Begin a search over one recording, which is searched in segments between pauses if it is long."""
        return PausingSearch(_GreedyRun(self.network), self.network)


class TransducerBeamDecoder(BeamDecoder):
    """Beam search (`asr.decoding.transducer.beam`), with the language models of `BeamDecoder`.

    Args:
        vocabulary: of the labels.
        network: prediction and output network.
        options: width and pruning of the search; None: the defaults.
        models: as in `BeamDecoder`.
        calibration: see `BaseDecoder`.
        source: as in `BeamDecoder`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        network: TransducerHead,
        options: CTCBeamOptions | None = None,
        models: FusionModels | None = None,
        *,
        calibration: Sequence[float] | None = None,
        source: WordSource | None = None,
    ) -> None:
        super().__init__(vocabulary, options, models, calibration=calibration, source=source)
        self.network = network

    def search(self, frames: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Return the n best hypotheses, best first, of each utterance: frames (N, T, D), lengths (N,).

        They are those that `start` finds, on all available cores.
        """
        check_frames(frames, self.network)
        return search_rows(self.start, frames, lengths)

    def start(self, pool: Executor | None = None) -> RepeatedSearch:
        """Begin a search over one recording, which is searched in segments between pauses if it is long."""
        search = TransducerBeamSearch(self.network, self._wide, self.graph, self._text_of)
        return PausingSearch(search, self.network, self._revise)


class _Run(Protocol):
    """A search over a segment that notices pauses."""

    pause: int

    def start(self) -> None:
        """Begin anew."""

    def feed(self, frames: Tensor) -> None:
        """Take in the next frames (T, D)."""

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first."""


class _GreedyRun:
    """Greedy search over one utterance."""

    def __init__(self, network: TransducerHead) -> None:
        self.network = network
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self.search = TransducerGreedySearch(self.network)
        self.pause = 0

    def feed(self, frames: Tensor) -> None:
        """Take in the next frames (T, D)."""
        self.search.feed(frames[None], np.array([len(frames)]))
        self.pause = int(self.search.pauses[0])

    def finish(self) -> list[Hypothesis]:
        """Return a list of the one hypothesis."""
        return self.search.finish()


class PausingSearch:
    """A search over a recording of any length, which begins anew in pauses.

    A prediction network has seen utterances only, and a language model may assume the end of a sentence there; memory
    stays bounded. The lengths are those of `asr.inference.decoders.segments`.

    Args:
        run: the search over a segment.
        network: whose frames are searched.
        revise: what is done to the hypotheses of a segment.
    """

    def __init__(
        self,
        run: _Run,
        network: TransducerHead,
        revise: Callable[[Sequence[Hypothesis]], Sequence[Hypothesis]] = lambda hypotheses: hypotheses,
    ) -> None:
        self.run = run
        self.network = network
        self._revise = revise
        self.start()

    def start(self) -> None:
        """Begin a new recording."""
        self.run.start()
        self.frames = 0  # fed so far
        self._waiting = torch.zeros(0, self.network.size + 1)
        self._finished: list[list[Hypothesis]] = []  # of the first segments, n best each
        self._begin = 0  # frame of the recording at which the current segment begins
        self._searched = 0  # frames of the current segment

    def feed(self, frames: np.ndarray) -> None:
        """Take in the next frames (T, D). Raises InputError for frames of another shape."""
        check_frames(frames, self.network)
        self.frames += len(frames)
        self._waiting = torch.cat([self._waiting, torch.from_numpy(frames)])
        # in steps of one length, so that segments do not depend on the pieces
        while len(self._waiting) >= MIN_PAUSE_FRAMES:
            self._search(MIN_PAUSE_FRAMES)
            is_pause = self.run.pause >= MIN_PAUSE_FRAMES and self._searched >= MIN_SEGMENT_FRAMES
            if is_pause or self._searched >= MAX_SEGMENT_FRAMES:
                self._end_segment()
                self.run.start()

    def _search(self, frames: int) -> None:
        self.run.feed(self._waiting[:frames])
        self._waiting = self._waiting[frames:]
        self._searched += frames

    def _end_segment(self) -> None:
        self._finished.append([shift_frames(hypothesis, self._begin) for hypothesis in self._revise(self.run.finish())])
        self._begin += self._searched
        self._searched = 0

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first."""
        self._search(len(self._waiting))
        self._end_segment()
        return join_segments(self._finished)


class TransducerAligner(Aligner):
    """`Aligner` on the best path through a transducer's frames.

    Args:
        vocabulary: of the labels.
        text: the text that is spoken.
        network: prediction and output network.
        lexicon: pronunciations of the text's words, required for phones.

    Raises:
        InputError: as `Aligner`.
    """

    def __init__(
        self, vocabulary: Vocabulary, text: str, network: TransducerHead, lexicon: Lexicon | None = None
    ) -> None:
        super().__init__(vocabulary, text, lexicon, partial(_FrameAligner, network))
        self.network = network

    def check_batch(self, frames: np.ndarray, lengths: np.ndarray) -> None:
        """Raise InputError unless frames (N, T, D) are such as the encoder puts out."""
        check_frames(frames, self.network)

    def check(self, frames: np.ndarray, first_frame: int) -> None:
        """Raise InputError unless frames (T, D) are such as the encoder puts out."""
        check_frames(frames, self.network)


class _FrameAligner(WordAligner):
    """`WordAligner` to a transducer's frames (T, D), in place of scores; for its arguments see there."""

    def __init__(self, network: TransducerHead, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.network = network

    def _with_wildcard(self, frames: np.ndarray) -> np.ndarray:
        return frames

    def _align(self, frames: np.ndarray, spellings: Variants) -> Hypothesis:
        labels, words = self._labels(spellings)
        x = torch.from_numpy(frames)
        recognized = self._recognized(frames) if len(frames) * (len(labels) + 1) > alignment.MAX_PAIRS else None
        places, score = alignment.align(self.network, x, labels, recognized=recognized)
        confidence = np.exp(self._at(x, labels, places)[0])
        times = tuple((place, place + 1) for place in places.tolist())
        return Hypothesis(tuple(labels), score, times, tuple(confidence.tolist()), tuple(words))

    @torch.inference_mode()
    def _at(self, frames: Tensor, labels: Sequence[int], places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the natural logs (U,) of labels, and of the most probable label, where they are emitted."""
        sequence = np.asarray(labels, dtype=np.int64)
        predicted = alignment.predict(self.network, sequence)[:-1]
        log_probs = self.network.log_probs(frames[torch.from_numpy(places)].to(self.network.device), predicted)
        log_probs = log_probs.cpu()
        known = torch.from_numpy(np.minimum(sequence, self.num_labels - 1))
        own = log_probs.gather(1, known[:, None])[:, 0].numpy()
        return own, log_probs.max(1).values.numpy()

    @torch.inference_mode()
    def _best_variants(self, frames: np.ndarray, hypothesis: Hypothesis) -> list[tuple[int, ...]]:
        """Choose between the pronunciations of each word, after those of the words before it."""
        chosen: list[tuple[int, ...]] = []
        outputs, state = self.network.start(1)
        for variants, (begin, end) in zip(self.variants, self._surroundings(hypothesis, len(frames)), strict=True):
            found = []
            for labels in variants:
                predicted, after = [outputs], state
                for label in labels:
                    if label != self.wildcard:
                        output, after = self.network.step(after, torch.tensor([label], device=self.network.device))
                        predicted.append(output)
                    else:
                        predicted.append(predicted[-1])
                score = -np.inf
                if len(variants) > 1 and end > begin:
                    part = torch.from_numpy(frames[begin:end])
                    score = alignment.align(self.network, part, labels, predicted=torch.cat(predicted))[1]
                found.append((score, labels, predicted[-1], after))
            _, best, outputs, state = max(found, key=lambda each: each[0])
            chosen.append(best)
        return chosen

    def _recognized(self, frames: np.ndarray) -> Hypothesis:
        search = PausingSearch(_GreedyRun(self.network), self.network)
        search.feed(frames)
        return search.finish()[0]

    def _compare(self, frames: np.ndarray, hypothesis: Hypothesis) -> tuple[float, float]:
        """Return by how many nats a label the text is less probable than what is recognized, and how it differs."""
        free = self._recognized(frames)
        spread = self._between_neighbors(hypothesis)
        is_wild = [span for label, span in zip(spread.labels, spread.frames, strict=True) if label == self.wildcard]
        recognized = [
            label
            for label, (first, _) in zip(free.labels, free.frames, strict=True)
            if not any(begin <= first < stop for begin, stop in is_wild)
        ]
        expected = [label for label in hypothesis.labels if label != self.wildcard]
        longest = max(len(recognized), len(expected), 1)
        return (free.score - hypothesis.score) / longest, Levenshtein.distance(expected, recognized) / longest

    def _label_gaps(self, frames: np.ndarray, hypothesis: Hypothesis) -> np.ndarray:
        places = np.array([first for first, _ in hypothesis.frames], dtype=np.int64)
        own, best = self._at(torch.from_numpy(frames), hypothesis.labels, places)
        return own - best
