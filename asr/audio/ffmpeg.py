"""m4a, mp4, webm and whatever else FFmpeg reads, by PyAV (extra ``media``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from asr.audio.backend import ACCEPTED, cut_short, gave_up
from asr.errors import AudioError

# Edit lists may or may not be counted in a length; this much missing sound is no damage.
MEDIA_TOLERANCE_SECONDS = 0.25

# A playlist (hls, concat) would make FFmpeg open other files and addresses; these hold their own sound.
MEDIA_FORMATS = (
    "mov,matroska,aac,ac3,eac3,asf,amr,amrnb,amrwb,wv,ape,tta,avi,flv,mpegts,mpeg,mp3,ogg,wav,w64,flac,aiff,"
    "caf,nistsphere,dsf"
)
# Containers whose header tells the duration; for the others FFmpeg guesses it from the bit rate.
MEDIA_WITH_DURATION = frozenset({"mov", "matroska", "asf", "avi", "flv", "wv", "ape", "tta"})


def is_here() -> bool:
    try:
        import av  # noqa: F401  (0.1 s, and an extra)
    except ImportError:
        return False
    return True


class MediaDecoder:
    def __init__(self, file: BinaryIO, name: str, reason: str) -> None:
        if not is_here():
            raise AudioError(f"{name}: libsndfile cannot read it ({reason}); {ACCEPTED}")
        self.name = name
        self._file = file
        self._container = self._open()
        try:
            self._frames = self._decode()
            self._first: Any = next(self._frames, None)
            if self._first is None:
                raise AudioError(f"{name}: holds no sound that can be decoded; {ACCEPTED}")
        except BaseException:
            self.close()
            raise
        # The decoder's word, not the header's: that of HE-AAC may name half the rate.
        self.sample_rate: int = self._first.sample_rate
        self.channels: int = len(self._first.layout.channels)

    def _open(self) -> Any:
        import av

        self._file.seek(0)
        # tags that are not UTF-8 are no reason to refuse sound; PyAV 19 does not ask any more
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
            raise gave_up(self.name, seconds, error.strerror) from None

    def _header_duration(self) -> float:
        """Seconds that the header gives the sound; 0 where it gives none, a guess, or a whole film's."""
        if self._container.format.name.split(",")[0] not in MEDIA_WITH_DURATION:
            return 0.0
        track = self._container.streams.audio[0]
        if track.duration:
            return float(track.duration * track.time_base)
        alone = len(self._container.streams) == 1
        return self._container.duration / 1e6 if alone and self._container.duration else 0.0

    def duration(self) -> float:
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
                raise gave_up(self.name, float(ticks * track.time_base), error.strerror) from None
            return float(ticks * track.time_base)

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
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
        promised, held = self._header_duration(), position / self.sample_rate
        if frame is None and held < promised - max(MEDIA_TOLERANCE_SECONDS, 0.02 * promised):
            raise cut_short(self.name, promised, held)

    def close(self) -> None:
        self._container.close()
