"""Audio that arrives as time goes by: a file played in real time, raw samples of a stream, a microphone."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from asr.audio.backend import log_once
from asr.audio.open import SAMPLE_RATES
from asr.audio.reader import Channel, stream
from asr.errors import AudioError, InputError

BLOCK_SECONDS = 0.1
POLL_SECONDS = 0.1  # after which a source that is waited for is asked whether it has been stopped
PCM_SCALE = 32768  # of 16-bit samples
MAX_AHEAD = 1 << 17  # samples that a source which can wait is ahead by at most: 8 s at 16 kHz
MAX_WAITING = 1 << 20  # samples that wait to be taken at most; those of a source that cannot wait are lost then


class Resampler:
    """Converts samples that arrive in pieces to another rate.

    Args:
        native: their sample rate in Hz.
        rate: that of the result.
    """

    def __init__(self, native: int, rate: int) -> None:
        import soxr

        self._stream = soxr.ResampleStream(native, rate, 1, dtype="float32")

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Convert the next samples (S,) float32."""
        converted: np.ndarray = self._stream.resample_chunk(samples)
        return converted

    def end(self) -> np.ndarray:
        """Return the last samples."""
        converted: np.ndarray = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return converted


def make_resampler(native: int, rate: int) -> Resampler | None:
    """Return what converts samples of one rate to another; None where the rates are the same."""
    return None if native == rate else Resampler(native, rate)


class ArrivingAudio:
    """Samples that one thread puts in and another one takes out.

    Args:
        name: of the source, for messages.
        convert: to the sample rate in which they are taken out; None: that in which they are put in.
        silent_seconds: without samples, after which the source is taken to be gone; None: it may pause.
    """

    def __init__(self, name: str, convert: Resampler | None = None, silent_seconds: float | None = None) -> None:
        self.name = name
        self.silent_seconds = silent_seconds
        self._convert = convert
        self._queue: queue.SimpleQueue[np.ndarray | Exception | None] = queue.SimpleQueue()
        self._is_stopped = False
        self._put, self._taken = 0, 0  # samples so far; each is counted by one thread

    def put(self, samples: np.ndarray) -> None:
        """Add samples (S,) float32. They are lost after `stop`, and where `MAX_WAITING` others wait already."""
        if self._is_stopped:
            return
        if self._put - self._taken > MAX_WAITING:
            log_once("behind", f"{self.name}: samples are lost, as they arrive faster than they are recognized")
            return
        self._put += len(samples)
        self._queue.put(samples)

    def wait_for_room(self) -> None:
        """Wait until less than `MAX_AHEAD` samples wait to be taken, or the audio is stopped."""
        while self._put - self._taken > MAX_AHEAD and not self._is_stopped:
            time.sleep(POLL_SECONDS / 10)

    def end(self, error: Exception | None = None) -> None:
        """End the audio, by an error or without one. What was put in before is still taken out."""
        self._queue.put(error)

    def stop(self) -> None:
        """Have `blocks` end with what has arrived; may be called by a signal handler."""
        self._is_stopped = True

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopped

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield samples (S,) float32: all that have arrived since the last time, at least one.

        Raises:
            AudioError: the source failed, or is gone; after all samples.
        """
        last = time.monotonic()
        is_open = True
        end: Exception | None = None
        while is_open:
            arrived: list[np.ndarray] = []
            is_stopped = self._is_stopped  # before what is left is taken
            try:
                item = self._queue.get(timeout=None if is_stopped else POLL_SECONDS, block=not is_stopped)
                there = self._queue.qsize()  # not more: a source may be faster than they are taken
                while isinstance(item, np.ndarray):
                    arrived.append(item)
                    if there == 0:
                        break
                    there -= 1
                    item = self._queue.get_nowait()
                else:
                    is_open, end = False, item
            except queue.Empty:
                is_open = not is_stopped
            if arrived:
                last = time.monotonic()
                yield from self._converted(arrived)
            elif is_open and self.silent_seconds is not None and time.monotonic() - last > self.silent_seconds:
                end, is_open = AudioError(f"{self.name}: no samples for {self.silent_seconds:g} s: is it gone?"), False
        if self._convert is not None and len(rest := self._convert.end()):
            yield rest
        if end is not None and not self._is_stopped:
            raise end

    def _converted(self, arrived: list[np.ndarray]) -> Iterator[np.ndarray]:
        samples = np.concatenate(arrived)
        self._taken += len(samples)
        if self._convert is not None:
            samples = self._convert(samples)
        if len(samples):
            yield samples


def start(audio: ArrivingAudio, samples: Iterator[np.ndarray]) -> ArrivingAudio:
    """Put samples in from a thread of their own, until the audio is stopped."""

    def run() -> None:
        try:
            for block in samples:
                audio.wait_for_room()
                if audio.is_stopped:
                    return
                audio.put(block)
            audio.end()
        except (InputError, OSError) as error:
            audio.end(error)

    threading.Thread(target=run, name="asr-audio", daemon=True).start()
    return audio


def wait(seconds: float) -> None:
    """Wait for a part of a file to have sounded."""
    time.sleep(max(0.0, seconds))


def play_file(path: str | Path, rate: int, *, channel: Channel = "mix", track: int | None = None) -> ArrivingAudio:
    """Play a file in real time.

    Args:
        path: of any audio file.
        rate: of the samples in Hz; others are resampled.
        channel: see `asr.audio.read`.
        track: see `asr.audio.read`.

    Raises:
        AudioError: of `ArrivingAudio.blocks`, where the file cannot be read.
    """

    def samples() -> Iterator[np.ndarray]:
        begin, played = time.monotonic(), 0
        for block in stream(path, rate, BLOCK_SECONDS, channel=channel, track=track):
            played += len(block)
            wait(begin + played / rate - time.monotonic())  # a block arrives when its last sample has sounded
            yield block

    return start(ArrivingAudio(str(path)), samples())


def read_pcm(read: Callable[[int], bytes], name: str, rate: int, native: int) -> ArrivingAudio:
    """Read raw samples, 16-bit little-endian mono, as they come.

    Args:
        read: returns at most as many bytes as it is given, as soon as there are any; none at the end.
        name: of the source, for messages.
        rate: of the samples in Hz.
        native: sample rate of what is read, in Hz.

    Raises:
        InputError: ``native`` is out of range.
    """
    check_rate(native)

    def samples() -> Iterator[np.ndarray]:
        rest = b""
        while data := read(round(BLOCK_SECONDS * native) * 2):
            data = rest + data
            whole = len(data) // 2 * 2
            rest = data[whole:]
            yield pcm_samples(data[:whole])

    return start(ArrivingAudio(name, make_resampler(native, rate)), samples())


def check_rate(rate: int) -> None:
    """Raise InputError unless a sample rate in Hz is one that audio may have."""
    least, most = SAMPLE_RATES
    if not least <= rate <= most:
        raise InputError(f"a sample rate of {rate} Hz; use {least} to {most}")


def pcm_samples(data: bytes) -> np.ndarray:
    """Return samples (S,) float32 within ±1 of 16-bit little-endian ones."""
    return np.frombuffer(data, "<i2").astype(np.float32) / PCM_SCALE
