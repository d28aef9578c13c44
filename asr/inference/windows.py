"""Recordings in windows that a network reads, and windows of several recordings in batches.

Windows bound the memory that a long recording takes. The network sees more of the recording on both sides of the part
of a window whose scores are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asr.data.batch import pad
from asr.errors import InputError
from asr.features import Extractor
from asr.features.cmvn import Statistics
from asr.inference.inputs import Source, as_source, input_rate, read_blocks

# A long recording is cut into windows of CORE seconds whose scores are kept, with CONTEXT seconds more on both sides
# that only the network sees. What is no longer than a window with both contexts is never cut.
# Measured on 3 minutes: with networks trained on utterances of 2 s, 5 s of context changed 3 to 6 % of the characters
# that the whole file gives, 15 s 1 to 3 %; with one of LibriSpeech 15 s changed 0.005 % (benchmarks/windows.py).
CORE_SECONDS = 60.0
CONTEXT_SECONDS = 15.0


@dataclass
class Window:
    """A part of one source, as the network reads it.

    Attributes:
        source: index of the source.
        inputs: (S,) samples or (T, F) features, float32.
        skip: number of frames of scores to drop at the beginning.
        keep: number of frames of scores to keep after these; None: all.
        is_last: whether it is the last window of the source.
        statistics: of the whole source, by which its features are normalized; None: the window's own.
        end: samples (or feature frames) of the source up to the end of the window.
    """

    source: int
    inputs: Tensor
    skip: int = 0
    keep: int | None = None
    is_last: bool = True
    statistics: Statistics | None = None
    end: int = 0

    def kept(self, frames: np.ndarray) -> np.ndarray:
        """Return the frames (T', …) of the network's output (T, …) for this window that are kept."""
        return frames[self.skip : None if self.keep is None else self.skip + self.keep]


def cut_windows(
    index: int, source: Source, features: Extractor, frame_seconds: float, device: torch.device
) -> Iterator[Window]:
    """Read a source in windows, in order.

    Args:
        index: of the source, kept in its windows.
        source: what `asr.inference.inputs.read_blocks` reads.
        features: the model's feature extractor.
        frame_seconds: seconds from one frame of scores to the next.
        device: where the extractor is.

    Raises:
        InputError: the source cannot be read.
    """
    unit = round(frame_seconds * input_rate(features))  # samples (or feature frames) per frame of scores
    core = round(CORE_SECONDS / frame_seconds)
    context = round(CONTEXT_SECONDS / frame_seconds)
    statistics: Statistics | None = None  # of the whole source, once it turns out to be long
    waiting = np.zeros(0, dtype=np.float32)  # input from frame `begin` on
    begin = first = 0  # frames: of the window, of its core
    source = as_source(source, features)
    for block in read_blocks(source, features):
        waiting = np.concatenate([waiting, block]) if len(waiting) else block
        while len(waiting) > (first - begin + core + 2 * context) * unit:
            if first == 0:
                statistics = features.recording_statistics(_as_batches(source, features, device))
            # the context after the core, and as much again waits: the last window is not a stub
            window = waiting[: (first - begin + core + context) * unit]
            end = begin * unit + len(window)
            yield Window(index, torch.from_numpy(window.copy()), first - begin, core, False, statistics, end)
            first += core
            next_begin = max(first - context, 0)
            waiting = waiting[(next_begin - begin) * unit :]
            begin = next_begin
    end = begin * unit + len(waiting)
    yield Window(index, torch.from_numpy(waiting.copy()), first - begin, None, True, statistics, end)


def _as_batches(source: Source, features: Extractor, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of a source as batches of one: (1, S, …) and lengths (1,)."""
    for block in read_blocks(source, features):
        yield torch.from_numpy(block)[None].to(device), torch.tensor([len(block)])


def make_batches(
    sources: Sequence[Source], windows_of: Callable[[int, Source], Iterator[Window]], max_inputs: float
) -> Iterator[list[Window] | tuple[int, InputError]]:
    """Collect the windows of many sources in batches.

    Args:
        sources: the sources; those of similar length next to each other make full batches.
        windows_of: yields the windows of a source, given its index and the source.
        max_inputs: samples (or feature frames) in a batch, padding included; a longer window is a batch of its own.

    Yields:
        Batches in order, and (index, error) of a source that cannot be read, when the error occurs.
    """
    batch: list[Window] = []
    longest = 0
    for index, source in enumerate(sources):
        try:
            for window in windows_of(index, source):
                longest = max(longest, len(window.inputs))
                if batch and (len(batch) + 1) * longest > max_inputs:
                    yield batch
                    batch, longest = [], len(window.inputs)
                batch.append(window)
        except InputError as error:
            batch = [window for window in batch if window.source != index]
            yield index, error
    if batch:
        yield batch


def pad_windows(windows: Sequence[Window], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the inputs of windows, padded (N, S, …), and their lengths (N,), on a device."""
    inputs, lengths = pad([window.inputs for window in windows])
    return inputs.to(device), lengths.to(device)
