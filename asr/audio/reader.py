"""Read any audio file as a mono float32 waveform at a model's sample rate.

Samples are processed in blocks, so that what a header promises never decides how much memory is taken.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import soxr

from asr.audio.backend import AudioDecoder, log_once
from asr.audio.mix import mixed_blocks
from asr.audio.open import INPUT_EXTENSIONS, SAMPLE_RATES, open_audio
from asr.errors import AudioError, InputError

__all__ = ["INPUT_EXTENSIONS", "MAX_AMPLITUDE", "AudioInfo", "Channel", "info", "read", "stream"]

MAX_AMPLITUDE = 100.0  # beyond, samples are integers that were stored as floats, which a model would take for noise
END = sys.maxsize  # sample number for "to the end of the file"


@dataclass(frozen=True)
class AudioInfo:
    """Properties of an audio file.

    Attributes:
        sample_rate: as stored, in Hz.
        channels: as stored.
        duration: in seconds.
    """

    sample_rate: int
    channels: int
    duration: float


Channel = int | Literal["mix"]


def info(source: str | Path | BinaryIO, *, track: int | None = None, strict: bool = False) -> AudioInfo:
    """Return sample rate, channels and duration, without decoding.

    They come from the header, for Ogg from the last page, for formats without a length from every packet.

    Args:
        source: path or binary file.
        track: see `read`.
        strict: see `read`.

    Raises:
        AudioError: ``read`` would refuse the file for a reason that the headers show.
    """
    with open_audio(source, track=track, strict=strict) as decoder:
        duration = decoder.duration()
        if duration <= 0:
            raise _no_samples_error(decoder, 0.0, None)
        return AudioInfo(decoder.sample_rate, decoder.channels, duration)


def read(
    source: str | Path | BinaryIO,
    sample_rate: int,
    *,
    start: float = 0.0,
    duration: float | None = None,
    channel: Channel = "mix",
    track: int | None = None,
    strict: bool = False,
) -> np.ndarray:
    """Read a waveform: one channel or the mean of all, resampled by soxr.

    A part is exact to the sample, also where the file ends sooner: ``read(f, r, start=a, duration=d)`` is
    ``read(f, r)[round(a * r) : round((a + d) * r)]``.

    What can be decoded of a damaged file, or of one that was cut short, is read, with a warning that names the second.
    Samples of a container with timestamps stand at their times: where it has no audio, there are zeros.

    Args:
        source: path, or binary file; one that can seek is read from its beginning and left open.
        sample_rate: of the waveform, in Hz.
        start: of the part to read, in seconds.
        duration: of the part to read, in seconds; None: to the end.
        channel: number of the channel, from 1; ``"mix"``: the mean of all. A channel whose polarity is opposite to that
            of the first loud one is inverted before, so that it does not cancel it.
        track: number of the audio track of a media file, from 1; None: the first.
        strict: refuse a file that is damaged or cut short.

    Returns:
        Samples ``(S,)`` float32, usually between -1 and 1.

    Raises:
        AudioError: the file is missing, empty or not audio, has no such channel or track, or the part holds no samples,
            or samples that are NaN, infinite or far beyond ±1; with ``strict`` also: it is damaged or cut short. The
            message names the file.
        InputError: a sample rate, start, duration or channel out of range.
    """
    with open_audio(source, track=track, strict=strict) as decoder:
        blocks = list(_segment(decoder, sample_rate, start, duration, channel))
        if not blocks:
            raise _no_samples_error(decoder, start, duration)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def stream(
    source: str | Path | BinaryIO,
    sample_rate: int,
    block_seconds: float = 30.0,
    *,
    channel: Channel = "mix",
    track: int | None = None,
    strict: bool = False,
) -> Iterator[np.ndarray]:
    """Read a waveform in blocks, in bounded memory.

    Args:
        source: path or binary file.
        sample_rate: of the waveform, in Hz.
        block_seconds: duration of a block in seconds.
        channel: see `read`.
        track: see `read`.
        strict: see `read`.

    Yields:
        Samples ``(n,)`` float32, together those of ``read``; the last block may be shorter.

    Raises:
        AudioError: as ``read``, when the first block is read or where the damage is.
        InputError: a sample rate or channel out of range, or blocks without a sample.
    """
    size = round(block_seconds * sample_rate) if math.isfinite(block_seconds) else 0
    if size < 1:
        raise InputError(f"block_seconds is {block_seconds}; accepted are durations of at least one sample")
    with open_audio(source, track=track, strict=strict) as decoder:
        waiting: list[np.ndarray] = []
        filled, empty = 0, True
        for block in _segment(decoder, sample_rate, 0.0, None, channel):
            empty = False
            while filled + len(block) >= size:
                head, block = block[: size - filled], block[size - filled :]
                yield np.concatenate([*waiting, head])
                waiting, filled = [], 0
            if len(block):
                waiting.append(block)
                filled += len(block)
        if waiting:
            yield np.concatenate(waiting)
        if empty:
            raise _no_samples_error(decoder, 0.0, None)


def _no_samples_error(decoder: AudioDecoder, start: float, duration: float | None) -> AudioError:
    """Return the error for a file, or a part of one, without samples."""
    if not start and duration is None:
        return AudioError(f"{decoder.name}: holds no audio samples; accepted are files with at least one sample")
    part = f"the part from {start} s" + ("" if duration is None else f" of {duration} s")
    return AudioError(f"{decoder.name}: {part} holds no samples; the audio lasts {decoder.duration():.3f} s")


def _segment(
    decoder: AudioDecoder, rate: int, start: float, duration: float | None, channel: Channel
) -> Iterator[np.ndarray]:
    """Yield blocks (n,), none empty, of the waveform at ``rate`` Hz from ``start`` for ``duration`` seconds."""
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
        raise InputError(f"sample_rate is {rate!r}; accepted are {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz")
    if not (math.isfinite(start) and start >= 0):
        raise InputError(f"{decoder.name}: start is {start}; accepted are seconds from 0 on")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise InputError(f"{decoder.name}: duration is {duration}; accepted are seconds above 0, or None")
    if channel != "mix" and not (isinstance(channel, int) and channel >= 1):
        raise InputError(f"channel is {channel!r}; accepted are a number from 1 on, and 'mix'")
    if channel != "mix" and channel > decoder.channels:
        accepted = "1" if decoder.channels == 1 else f"1 to {decoder.channels}"
        raise AudioError(f"{decoder.name}: has no channel {channel}; accepted: {accepted}")
    first = round(start * rate)
    last = END if duration is None else round((start + duration) * rate)
    native = decoder.sample_rate
    if native == rate:
        yield from _mono(decoder, first, last, channel)
        return
    log_once("resample", f"{decoder.name}: resampled from {native} to {rate} Hz")
    # Resampling starts where a stored and an output sample coincide, early enough that the filter is filled.
    common = math.gcd(native, rate)
    margin = 1024 * max(1, math.ceil(native / rate))
    periods = max(0, first * native // rate - margin) // (native // common)
    native_last = END if last == END else -(-last * native // rate) + margin
    position = periods * (rate // common)
    blocks = _mono(decoder, periods * (native // common), native_last, channel)
    for block in _resample(blocks, native, rate):
        piece = block[max(0, first - position) : max(0, last - position)]
        position += len(block)
        if len(piece):
            yield piece


def _resample(blocks: Iterator[np.ndarray], native: int, rate: int) -> Iterator[np.ndarray]:
    """Yield mono blocks (n,) at ``rate`` Hz of blocks at ``native`` Hz."""
    # VHQ computes in double precision: a part equals the slice of the whole bit by bit; HQ differs by 1e-6.
    resampler = soxr.ResampleStream(native, rate, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _mono(decoder: AudioDecoder, first: int, last: int, channel: Channel) -> Iterator[np.ndarray]:
    """Yield stored samples ``first`` to ``last`` as checked float32 mono blocks (n,), none empty."""
    if decoder.channels > 1 and channel == "mix":
        log_once(
            "downmix",
            f"{decoder.name}: {decoder.channels} channels mixed to one (their mean); --channel N reads one of them",
        )
        blocks = mixed_blocks(decoder, first, last)
    else:
        index = 0 if channel == "mix" else channel - 1
        blocks = ((position, block[:, index]) for position, block in decoder.blocks(first, last))
    for position, block in blocks:
        mono = block[max(0, first - position) : max(0, last - position)]
        if not len(mono):
            continue
        usable = np.abs(mono) <= MAX_AMPLITUDE
        if not usable.all():
            index = int(np.argmin(usable))
            seconds = (max(first, position) + index) / decoder.sample_rate
            value = f"{mono[index]:g}" if np.isfinite(mono[index]) else "NaN or infinite"
            raise AudioError(
                f"{decoder.name}: the sample at {seconds:.3f} s is {value}; "
                "accepted are finite numbers, usually between -1 and 1 (samples of 16 bits divided by 32768)"
            )
        yield np.ascontiguousarray(mono)
