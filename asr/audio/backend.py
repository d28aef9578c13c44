"""What the decoders of audio files share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from asr.errors import AudioError

ACCEPTED = (
    "accepted are wav, flac, ogg, opus, mp3, aiff and NIST sphere, "
    'and with `pip install "asr-recurrent[media]"` m4a, mp4, webm, mkv, aac, wma, amr and more'
)
BLOCK_VALUES = 2**17  # samples of all channels that are decoded at once


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
            Pairs of a position and float32 samples ``(n, channels)`` from there on, which together cover ``first`` to
            ``last`` or more.

        Raises:
            AudioError: the file is damaged, or ends before its header says.
        """

    def close(self) -> None:
        """Close the decoder, not the file."""


class UseMediaError(Exception):
    """libsndfile cannot read the file, or only a part of it; the message gives the reason."""


def truncated_error(name: str, header_seconds: float, read_seconds: float) -> AudioError:
    """Return the error for a file that holds less audio than its header says."""
    return AudioError(
        f"{name}: cut short or damaged: its header promises {header_seconds:.3f} s, "
        f"but only {read_seconds:.3f} s can be read; accepted are complete files"
    )


def damaged_error(name: str, seconds: float, reason: str | None) -> AudioError:
    """Return the error for a file that cannot be decoded beyond ``seconds``."""
    return AudioError(
        f"{name}: damaged or cut short after {seconds:.3f} s ({reason or 'no reason given'}); "
        "accepted are complete files"
    )
