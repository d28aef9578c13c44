"""What decoders of audio files have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from asr.errors import AudioError

ACCEPTED = (
    "accepted are wav, flac, ogg, opus, mp3, aiff and NIST sphere, "
    'and with `pip install "asr-recurrent[media]"` m4a, mp4, webm, mkv, aac, wma, amr and more'
)
BLOCK_VALUES = 2**17


class Decoder(Protocol):
    """One open file; ``name`` is for messages, ``sample_rate`` (Hz) and ``channels`` are as stored."""

    name: str
    sample_rate: int
    channels: int

    def duration(self) -> float:
        """Seconds, without decoding."""

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of position and float32 samples ``(n, channels)`` that cover ``first`` to ``last`` or more.

        For one iteration. Raises AudioError where the file is damaged, or ends before its header says.
        """

    def close(self) -> None:
        """Lets go of the decoder, not of the file."""


class UseMediaError(Exception):
    """libsndfile cannot read the file, or not all of it; the message says why."""


def cut_short(name: str, promised: float, held: float) -> AudioError:
    return AudioError(
        f"{name}: cut short or damaged: its header promises {promised:.3f} s, "
        f"but only {held:.3f} s can be read; accepted are complete files"
    )


def gave_up(name: str, seconds: float, reason: str | None) -> AudioError:
    return AudioError(
        f"{name}: damaged or cut short after {seconds:.3f} s ({reason or 'the decoder gave up'}); "
        "accepted are complete files"
    )
