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
    waveforms: Tensor,
    lengths: Tensor,
    sample_rate: int,
    num_frames: Tensor,
    frame_seconds: float,
    total: int | None = None,
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
        total: number T of columns of the result; None: the largest of ``num_frames``.

    Returns:
        ``(N, T)`` bool; False beyond a row's own frames.
    """
    device = waveforms.device
    chunk = _chunk_samples(sample_rate)
    is_signal = _signal_chunks(waveforms, lengths.to(device), chunk, round(NOISE_SECONDS * sample_rate / chunk))
    counts = torch.nn.functional.pad(is_signal.cumsum(1), (1, 0))  # (N, C + 1) chunks with signal before each
    frame = frame_seconds * sample_rate / chunk  # in chunks, as the margin
    margin = MARGIN_SECONDS * sample_rate / chunk
    index = torch.arange(int(num_frames.max()) if total is None else total, device=device)
    begin = index * frame
    near = _between(counts, (begin - margin).floor().long(), (begin + frame + margin).ceil().long())
    return (near == 0) & (index < num_frames.to(device)[:, None])


def has_signal(waveform: Tensor, sample_rate: int) -> bool:
    """Return whether anything in a waveform (S,), sampled at ``sample_rate`` Hz, is above about -80 dBFS."""
    length = torch.tensor([len(waveform)], device=waveform.device)
    return bool(_signal_chunks(waveform[None], length, _chunk_samples(sample_rate)).any())


def _chunk_samples(sample_rate: int) -> int:
    return max(round(CHUNK_SECONDS * sample_rate), 1)


def _signal_chunks(waveforms: Tensor, lengths: Tensor, chunk: int, noise_chunks: int | None = None) -> Tensor:
    """Find the chunks (N, C) of waveforms (N, S) of ``lengths`` (N,) that hold a signal.

    Of a waveform with ``noise_chunks`` loud ones or more, only those above the noise do.
    """
    levels = _chunk_levels(waveforms, lengths, chunk)  # 0 beyond a waveform's own chunks
    loud = levels > FLOOR
    if noise_chunks is not None:
        number = loud.sum(1, keepdim=True)
        rank = (NOISE_QUANTILE * number.double()).round().long().clamp(min=1) - 1
        quiet = torch.where(loud, levels, torch.inf).sort(1).values.gather(1, rank)
        above_noise = levels > (quiet * NOISE_MARGIN).clamp(min=FLOOR)
        loud = loud & (above_noise | (number < noise_chunks))
    counts = torch.nn.functional.pad(loud.cumsum(1), (1, 0))  # (N, C + 1) loud chunks before each
    index = torch.arange(loud.shape[1], device=loud.device)
    around = _between(counts, index - NEIGHBORHOOD // 2, index + NEIGHBORHOOD // 2)
    own = (lengths + chunk - 1) // chunk
    return loud & (around >= own.clamp(max=MIN_CHUNKS)[:, None])


def _chunk_levels(waveforms: Tensor, lengths: Tensor, chunk: int) -> Tensor:
    """Return the RMS about the mean, (N, C), of chunks of waveforms (N, S); 0 beyond ``lengths`` (N,).

    The last chunk of a waveform ends with it and may overlap the one before.
    """
    n, samples = waveforms.shape
    total = (samples + chunk - 1) // chunk
    padded = torch.nn.functional.pad(waveforms.float(), (0, total * chunk - samples))
    levels = padded.view(n, total, chunk).std(-1, correction=0)
    place = (lengths - chunk).clamp(min=0)[:, None] + torch.arange(chunk, device=lengths.device)  # (N, chunk)
    inside = place < lengths[:, None]
    last = padded.gather(1, place) * inside
    size = inside.sum(1, keepdim=True)
    deviation = (last - last.sum(1, keepdim=True) / size) * inside
    last_level = (deviation.square().sum(1, keepdim=True) / size).sqrt()  # (N, 1)
    index = torch.arange(total, device=lengths.device)
    whole, own = (lengths // chunk)[:, None], ((lengths + chunk - 1) // chunk)[:, None]
    return torch.where(index < whole, levels, torch.where(index < own, last_level, 0.0))


def _between(counts: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """Differences (N, K) of cumulative ``counts`` (N, C + 1) from ``first`` to ``end`` (K,), clamped to 0 to C."""
    last = counts.shape[1] - 1
    return counts[:, end.clamp(0, last)] - counts[:, first.clamp(0, last)]
