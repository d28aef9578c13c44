"""Any audio file to a mono float32 waveform at the sample rate that a model wants.

Samples pass through in blocks, so that a header's claim never decides how much memory is taken.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr

from asr.audio.backend import Decoder
from asr.audio.open import INPUT_EXTENSIONS, SAMPLE_RATES, opened
from asr.errors import AudioError, InputError

__all__ = ["INPUT_EXTENSIONS", "AudioInfo", "info", "read", "stream"]

log = logging.getLogger("asr")

END = sys.maxsize


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds: ``sample_rate`` in Hz and ``channels`` as stored, ``duration`` in seconds."""

    sample_rate: int
    channels: int
    duration: float


def info(source: str | Path | BinaryIO) -> AudioInfo:
    """Sample rate, channels and duration, without decoding the sound.

    They come from the header, for Ogg from the last page, for formats without a length from every packet.
    Raises AudioError for whatever ``read`` would refuse and the headers show.
    """
    with opened(source) as decoder:
        duration = decoder.duration()
        if duration <= 0:
            raise _nothing(decoder, 0.0, None)
        return AudioInfo(decoder.sample_rate, decoder.channels, duration)


def read(
    source: str | Path | BinaryIO, sample_rate: int, *, start: float = 0.0, duration: float | None = None
) -> np.ndarray:
    """The waveform, float32 ``(samples,)``: the mean of the channels, resampled to ``sample_rate`` Hz.

    ``source`` is a path or a binary file; one that can seek is read from its beginning and left open.
    ``start`` and ``duration`` in seconds choose a part, exact to the sample, also where the file ends sooner:
    ``read(f, r, start=a, duration=d)`` is ``read(f, r)[round(a * r) : round((a + d) * r)]``.

    Raises AudioError, naming the file, where it is missing, empty, damaged, cut short, not audio, where the
    part holds no samples, or samples that are NaN or infinite; InputError for a sample rate, start or
    duration that makes no sense. Formats that do not tell their length (Ogg, some MP3) are read as far as
    they go if cut off in the middle; of Ogg this is noticed and logged as a warning.
    """
    with opened(source) as decoder:
        blocks = list(_segment(decoder, sample_rate, start, duration))
        if not blocks:
            raise _nothing(decoder, start, duration)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def stream(source: str | Path | BinaryIO, sample_rate: int, block_seconds: float = 30.0) -> Iterator[np.ndarray]:
    """The samples of ``read`` in blocks of ``block_seconds`` (the last may be shorter), in bounded memory.

    Errors are those of ``read``, raised when the first block is asked for or where the damage is met.
    """
    size = round(block_seconds * sample_rate) if math.isfinite(block_seconds) else 0
    if size < 1:
        raise InputError(f"block_seconds is {block_seconds}; accepted are seconds that hold a sample or more")
    with opened(source) as decoder:
        waiting: list[np.ndarray] = []
        filled, empty = 0, True
        for block in _segment(decoder, sample_rate, 0.0, None):
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
            raise _nothing(decoder, 0.0, None)


def _nothing(decoder: Decoder, start: float, duration: float | None) -> AudioError:
    if not start and duration is None:
        return AudioError(f"{decoder.name}: holds no audio samples; accepted are files with sound in them")
    part = f"the part from {start} s" + ("" if duration is None else f" of {duration} s")
    return AudioError(f"{decoder.name}: {part} holds no samples; the audio lasts {decoder.duration():.3f} s")


def _segment(decoder: Decoder, rate: int, start: float, duration: float | None) -> Iterator[np.ndarray]:
    """Blocks, none empty, of the waveform at ``rate`` from ``start`` for ``duration`` seconds."""
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
        raise InputError(f"sample_rate is {rate!r}; accepted are {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz")
    if not (math.isfinite(start) and start >= 0):
        raise InputError(f"{decoder.name}: start is {start}; accepted are seconds from 0")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise InputError(f"{decoder.name}: duration is {duration}; accepted are seconds above 0, or None")
    first = round(start * rate)
    last = END if duration is None else round((start + duration) * rate)
    native = decoder.sample_rate
    if native == rate:
        yield from _mono(decoder, first, last)
        return
    _say_once("resample", f"{decoder.name}: resampled from {native} to {rate} Hz")
    # Resampling starts where a native and an output sample coincide, early enough that the filter is filled.
    common = math.gcd(native, rate)
    margin = 1024 * max(1, math.ceil(native / rate))
    periods = max(0, first * native // rate - margin) // (native // common)
    native_last = END if last == END else -(-last * native // rate) + margin
    position = periods * (rate // common)
    for block in _resample(_mono(decoder, periods * (native // common), native_last), native, rate):
        piece = block[max(0, first - position) : max(0, last - position)]
        position += len(block)
        if len(piece):
            yield piece


def _resample(blocks: Iterator[np.ndarray], native: int, rate: int) -> Iterator[np.ndarray]:
    # VHQ computes in double precision: a part equals the slice of the whole bit by bit; HQ differs by 1e-6.
    resampler = soxr.ResampleStream(native, rate, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _mono(decoder: Decoder, first: int, last: int) -> Iterator[np.ndarray]:
    """Native samples ``first`` to ``last`` as checked float32 mono blocks, none empty."""
    if decoder.channels > 1:
        _say_once("downmix", f"{decoder.name}: {decoder.channels} channels mixed to one (their mean)")
    for position, block in decoder.blocks(first, last):
        part = block[max(0, first - position) : max(0, last - position)]
        if not len(part):
            continue
        mono = part.mean(axis=1, dtype=np.float32) if decoder.channels > 1 else part[:, 0]
        finite = np.isfinite(mono)
        if not finite.all():
            seconds = (max(first, position) + int(np.argmin(finite))) / decoder.sample_rate
            raise AudioError(
                f"{decoder.name}: the sample at {seconds:.3f} s is NaN or infinite; "
                "accepted are finite numbers, usually between -1 and 1"
            )
        yield np.ascontiguousarray(mono)


_said: set[str] = set()


def _say_once(kind: str, message: str) -> None:
    if kind not in _said:
        _said.add(kind)
        log.info("%s (said once; other files may be too)", message)
