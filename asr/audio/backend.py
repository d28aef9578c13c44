"""The interface of the decoders of audio files, and their reports of damage."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from asr.errors import AudioError

log = logging.getLogger("asr")

MEDIA = "m4a, mp4, webm, mkv, aac, wma, amr and more"  # what FFmpeg reads, by PyAV
BLOCK_VALUES = 2**17  # samples of all channels that are decoded at once


def accepted() -> str:
    """Say which formats can be read, and which could with PyAV where it is absent."""
    formats = "accepted are wav, flac, ogg, opus, mp3, aiff, NIST sphere"
    if importlib.util.find_spec("av"):
        return f"{formats}, {MEDIA}"
    return f'{formats}, and with `pip install "asr-recurrent[media]"` {MEDIA}'


class AudioDecoder(Protocol):
    """One open file.

    Attributes:
        name: of the file, for messages.
        sample_rate: as stored, in Hz.
        channels: as stored.
    """

    name: str
    sample_rate: int
    channels: int

    def duration(self) -> float:
        """Return the duration in seconds, without decoding."""

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode; can be called once.

        Args:
            first: number of the first sample, counted at the stored rate.
            last: number of the sample after the last one.

        Yields:
            Pairs of a position and float32 samples ``(n, channels)`` from there on, each where the one before it ends,
            which together cover ``first`` to ``last`` or more, as far as the file can be decoded.

        Raises:
            AudioError: a decoder that is strict met damage, or an end before the one that the header gives.
        """

    def close(self) -> None:
        """Close the decoder, not the file."""


class UseMediaError(Exception):
    """libsndfile cannot read the file, or only a part of it; the message gives the reason."""


def report_damage(message: str, strict: bool) -> None:
    """Warn of damage, once per message, or refuse the file.

    Args:
        message: begins with the file's name and says where the damage is.
        strict: refuse.

    Raises:
        AudioError: ``strict`` is set.
    """
    if strict:
        raise AudioError(f"{message}; accepted are complete files")
    if message not in logged:
        logged.add(message)
        log.warning("%s; all that can be decoded is read", message)


def log_once(kind: str, message: str) -> None:
    """Log a message unless one of its kind has been logged."""
    if kind not in logged:
        logged.add(kind)
        log.info("%s (logged once; it may hold for other files too)", message)


logged: set[str] = set()  # kinds and messages that have been logged


def truncated(name: str, header_seconds: float, read_seconds: float) -> str:
    """Return the message about a file that holds less audio than its header says."""
    return (
        f"{name}: cut short or damaged: its header promises {header_seconds:.3f} s, "
        f"but only {read_seconds:.3f} s can be read"
    )


def damaged(name: str, seconds: float, reason: str | None) -> str:
    """Return the message about a file that cannot be decoded at ``seconds``."""
    return f"{name}: damaged or cut short after {seconds:.3f} s ({reason or 'no reason given'})"
