"""Decode m4a, mp4, webm and all else that FFmpeg reads, by PyAV (extra ``media``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from asr.audio.backend import ACCEPTED, damaged_error, truncated_error
from asr.errors import AudioError

# Edit lists may or may not be counted in a duration; this much missing audio is no damage.
MEDIA_TOLERANCE_SECONDS = 0.25

# Formats that hold their own audio. A playlist (hls, concat) would make FFmpeg open other files and addresses.
MEDIA_FORMATS = (
    "mov,matroska,aac,ac3,eac3,asf,amr,amrnb,amrwb,wv,ape,tta,avi,flv,mpegts,mpeg,mp3,ogg,wav,w64,flac,aiff,"
    "caf,nistsphere,dsf"
)
# Containers whose header gives the duration; for the others FFmpeg guesses it from the bit rate.
MEDIA_WITH_DURATION = frozenset({"mov", "matroska", "asf", "avi", "flv", "wv", "ape", "tta"})


def is_installed() -> bool:
    """Return whether PyAV can be imported."""
    try:
        import av  # noqa: F401  (0.1 s, and an extra)
    except ImportError:
        return False
    return True


class MediaDecoder:
    """An `AudioDecoder` for the first audio track of a media file.

    Args:
        file: a file that can seek.
        name: of the file, for messages.
        reason: why libsndfile did not read it, for messages.

    Raises:
        AudioError: PyAV is not installed, or the file holds no audio that can be decoded.
    """

    def __init__(self, file: BinaryIO, name: str, reason: str) -> None:
        if not is_installed():
            raise AudioError(f"{name}: libsndfile cannot read it ({reason}); {ACCEPTED}")
        self.name = name
        self._file = file
        self._container = self._open()
        try:
            self._frames = self._decode()
            self._first: Any = next(self._frames, None)
            if self._first is None:
                raise AudioError(f"{name}: holds no audio that can be decoded; {ACCEPTED}")
        except BaseException:
            self.close()
            raise
        # from the decoder, not the header: that of HE-AAC may name half the rate
        self.sample_rate: int = self._first.sample_rate
        self.channels: int = len(self._first.layout.channels)

    def _open(self) -> Any:
        import av

        self._file.seek(0)
        # Tags that are not UTF-8 are no reason to refuse a file; PyAV 19 no longer has the option.
        lenient: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
        try:
            container = av.open(self._file, options={"format_whitelist": MEDIA_FORMATS}, **lenient)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise AudioError(f"{self.name}: not audio, or damaged ({reason}); {ACCEPTED}") from None
        if not container.streams.audio:
            container.close()
            raise AudioError(f"{self.name}: holds no audio track; {ACCEPTED}")
        return container

    def _decode(self) -> Iterator[Any]:
        import av

        seconds = 0.0
        try:
            for frame in self._container.decode(self._container.streams.audio[0]):
                yield frame
                seconds += frame.samples / frame.sample_rate
        except av.FFmpegError as error:
            raise damaged_error(self.name, seconds, error.strerror) from None

    def _header_duration(self) -> float:
        """Return the audio's duration by the header, in seconds; 0 where that is missing, a guess, or the video's."""
        if self._container.format.name.split(",")[0] not in MEDIA_WITH_DURATION:
            return 0.0
        track = self._container.streams.audio[0]
        if track.duration:
            return float(track.duration * track.time_base)
        alone = len(self._container.streams) == 1
        return self._container.duration / 1e6 if alone and self._container.duration else 0.0

    def duration(self) -> float:
        """Return the duration in seconds: of the header, or the sum over all packets."""
        if seconds := self._header_duration():
            return seconds
        import av

        ticks = 0
        with self._open() as container:
            track = container.streams.audio[0]
            try:
                for packet in container.demux(track):
                    ticks += packet.duration or 0
            except av.FFmpegError as error:
                raise damaged_error(self.name, float(ticks * track.time_base), error.strerror) from None
            return float(ticks * track.time_base)

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from the beginning, whatever ``first`` is; see `AudioDecoder`."""
        import av

        resampler = av.AudioResampler(format="fltp", layout=self._first.layout, rate=self.sample_rate)
        position = 0
        frame = self._first
        while frame is not None and position < last:
            try:
                parts = resampler.resample(frame)
            except ValueError:
                raise AudioError(
                    f"{self.name}: its channels or sample rate change after "
                    f"{position / self.sample_rate:.3f} s; accepted are files that keep them"
                ) from None
            for part in parts:
                yield position, part.to_ndarray().T  # (channels, n) -> (n, channels)
                position += part.samples
            frame = next(self._frames, None)
        expected, decoded = self._header_duration(), position / self.sample_rate
        if frame is None and decoded < expected - max(MEDIA_TOLERANCE_SECONDS, 0.02 * expected):
            raise truncated_error(self.name, expected, decoded)

    def close(self) -> None:
        """Close the container, not the file."""
        self._container.close()
