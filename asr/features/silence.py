"""Find the frames of waveforms without any signal: digital silence and steady noise."""

from __future__ import annotations

import torch
from torch import Tensor

# RMS of a chunk about its own mean, from which on it holds signal: -80 dBFS. Rounding to 16 bits and its dither are at
# -101 to -93 dBFS, speech that peaks at -60 dBFS is above in its vowels.
FLOOR = 1e-4
CHUNK_SECONDS = 0.025
# A signal that is shorter is no speech: the edges of a resampled constant, a click. MIN_CHUNKS of NEIGHBORHOOD chunks.
MIN_CHUNKS = 3
NEIGHBORHOOD = 10
# Steady noise is no signal either: chunks less than 2 dB above the noise floor, which is the level that 10 % of the
# chunks above FLOOR, if these are NOISE_SECONDS or more, do not exceed. Speech is louder, at least in its vowels.
NOISE_MARGIN = 10 ** (2 / 20)
NOISE_QUANTILE = 0.1
NOISE_SECONDS = 3.0
# Frames closer to a signal are not silent: networks emit labels with some delay, and words end softly.
MARGIN_SECONDS = 0.5


def silent_frames(
    waveforms: Tensor, lengths: Tensor, sample_rate: int, num_frames: Tensor, frame_seconds: float
) -> Tensor:
    """Find the output frames further than `MARGIN_SECONDS` from any signal.

    There is no signal in digital zeros, in a constant, in noise below about -80 dBFS, and in steady noise, which is
    nowhere louder than the noise floor of the waveform.

    Args:
        waveforms: ``(N, S)`` within ±1, padded with any values.
        lengths: samples of each, ``(N,)``.
        sample_rate: in Hz.
        num_frames: output frames of each, ``(N,)``.
        frame_seconds: from one output frame to the next, in seconds.

    Returns:
        ``(N, T)`` bool, T the largest of ``num_frames``; False beyond a row's own frames.
    """
    chunk = _chunk_samples(sample_rate)
    result = torch.zeros(len(waveforms), int(num_frames.max()), dtype=torch.bool, device=waveforms.device)
    noise_chunks = round(NOISE_SECONDS * sample_rate / chunk)
    frame = frame_seconds * sample_rate / chunk  # in chunks, as the margin
    margin = MARGIN_SECONDS * sample_rate / chunk
    for row, (length, frames) in enumerate(zip(lengths.tolist(), num_frames.tolist(), strict=True)):
        is_signal = _signal_chunks(waveforms[row, :length], chunk, noise_chunks)
        if is_signal.all():
            continue
        counts = torch.nn.functional.pad(is_signal.cumsum(0), (1, 0))  # (C + 1,) chunks with signal before each
        begin = torch.arange(frames, device=is_signal.device) * frame
        near = _between(counts, (begin - margin).floor().long(), (begin + frame + margin).ceil().long())
        result[row, :frames] = near == 0
    return result


def has_signal(waveform: Tensor, sample_rate: int) -> bool:
    """Return whether anything in a waveform (S,), sampled at ``sample_rate`` Hz, is above about -80 dBFS."""
    return bool(_signal_chunks(waveform, _chunk_samples(sample_rate)).any())


def _chunk_samples(sample_rate: int) -> int:
    return max(round(CHUNK_SECONDS * sample_rate), 1)


def _signal_chunks(waveform: Tensor, chunk: int, noise_chunks: int | None = None) -> Tensor:
    """Which chunks (C,) of a waveform (S,) hold a signal; of ``noise_chunks`` or more, only those above the noise."""
    levels = _chunk_levels(waveform, chunk)
    loud = levels > FLOOR
    if noise_chunks is not None and (count := int(loud.sum())) >= noise_chunks:
        quiet = levels[loud].kthvalue(max(1, round(NOISE_QUANTILE * count))).values
        loud = levels > (quiet * NOISE_MARGIN).clamp(min=FLOOR)
    counts = torch.nn.functional.pad(loud.cumsum(0), (1, 0))  # (C + 1,) loud chunks before each
    index = torch.arange(len(loud), device=loud.device)
    around = _between(counts, index - NEIGHBORHOOD // 2, index + NEIGHBORHOOD // 2)
    return loud & (around >= min(MIN_CHUNKS, len(loud)))


def _chunk_levels(waveform: Tensor, chunk: int) -> Tensor:
    """RMS about the mean, (C,), of chunks of a waveform (S,); the last one ends with it and may overlap."""
    whole = waveform[: len(waveform) // chunk * chunk].float()
    levels = [whole.view(-1, chunk).std(1, correction=0)] if len(whole) else []
    if len(whole) < len(waveform):
        levels.append(waveform[-chunk:].float().std(0, correction=0, keepdim=True))
    return torch.cat(levels)


def _between(counts: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """Differences of cumulative ``counts`` (C + 1,) from ``first`` to ``end``, both clamped to 0 to C."""
    last = len(counts) - 1
    return counts[end.clamp(0, last)] - counts[first.clamp(0, last)]
