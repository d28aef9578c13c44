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
from asr.inference.inputs import Source, as_source, input_rate, read_blocks

# A long recording is cut where it is quietest, every MIN_CORE to MAX_CORE seconds, and the network sees CONTEXT seconds
# more on both sides. What is no longer than MIN_CORE and MAX_CORE together is never cut.
MIN_CORE_SECONDS = 30.0
MAX_CORE_SECONDS = 60.0
CONTEXT_SECONDS = 3.0
PAUSE_SECONDS = 0.3  # over which the level is averaged, so that a stop within a word is no pause


@dataclass
class Window:
    """A part of one source, as the network reads it.

    Attributes:
        source: index of the source.
        inputs: (S,) samples or (T, F) features, float32.
        skip: number of frames of scores to drop at the beginning.
        keep: number of frames of scores to keep after these; None: all.
        is_last: whether it is the last window of the source.
        end: samples (or feature frames) of the source up to the end of the window.
    """

    source: int
    inputs: Tensor
    skip: int = 0
    keep: int | None = None
    is_last: bool = True
    end: int = 0

    def kept(self, frames: np.ndarray) -> np.ndarray:
        """Return the frames (T', …) of the network's output (T, …) for this window that are kept."""
        return frames[self.skip : None if self.keep is None else self.skip + self.keep]


def cut_windows(index: int, source: Source, features: Extractor, frame_seconds: float) -> Iterator[Window]:
    """Read a source in windows, in order.

    Args:
        index: of the source, kept in its windows.
        source: what `asr.inference.inputs.read_blocks` reads.
        features: the model's feature extractor.
        frame_seconds: seconds from one frame of scores to the next.

    Raises:
        InputError: the source cannot be read.
    """
    unit = round(frame_seconds * input_rate(features))  # samples (or feature frames) per frame of scores
    shortest, longest, context, pause = (
        round(seconds / frame_seconds)
        for seconds in (MIN_CORE_SECONDS, MAX_CORE_SECONDS, CONTEXT_SECONDS, PAUSE_SECONDS)
    )
    waiting = np.zeros(0, dtype=np.float32)  # input from frame `begin` on
    begin = first = 0  # frames: of the window, of its core
    for block in read_blocks(as_source(source, features), features):
        waiting = np.concatenate([waiting, block]) if len(waiting) else block
        # the rest is never shorter than a core may be
        while len(waiting) > (first - begin + longest + max(shortest, context)) * unit:
            at = (first - begin) * unit
            core = quietest_frame(waiting[at : at + longest * unit], unit, shortest, pause)
            window = waiting[: at + (core + context) * unit]
            yield Window(index, torch.from_numpy(window.copy()), first - begin, core, False, begin * unit + len(window))
            first += core
            next_begin = max(first - context, 0)
            waiting = waiting[(next_begin - begin) * unit :]
            begin = next_begin
    yield Window(index, torch.from_numpy(waiting.copy()), first - begin, None, True, begin * unit + len(waiting))


def quietest_frame(inputs: np.ndarray, unit: int, first: int, width: int) -> int:
    """Return the end of the frame at which a recording is quietest, in frames; of equally quiet ones that of the last.

    Args:
        inputs: (S,) samples, or features (T, F), whose level is not known: then it is the end.
        unit: samples in a frame.
        first: the first frame that counts.
        width: frames over which the level is averaged.
    """
    frames = len(inputs) // unit
    if inputs.ndim != 1 or first >= frames:
        return frames
    power = inputs[: frames * unit].reshape(frames, unit).var(1, dtype=np.float64)
    level = np.convolve(power, np.ones(max(1, width)), "same")[first:]
    return frames - int(level[::-1].argmin())


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
