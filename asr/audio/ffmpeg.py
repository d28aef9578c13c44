"""Decode m4a, mp4, webm and all else that FFmpeg reads, by PyAV (extra ``media``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from asr.audio.backend import BLOCK_VALUES, accepted, damaged, log_once, report_damage, truncated
from asr.audio.headers import check_ogg, promised_bytes
from asr.audio.timeline import JITTER_SECONDS, Timeline
from asr.errors import AudioError

# Edit lists, padding and the length of the last frame may or may not be counted in a duration; this much missing audio
# is no damage: the greater of the two, and where the duration is a guess, that share of it.
MEDIA_TOLERANCE_SECONDS = 0.25
MEDIA_TOLERANCE_FRAMES = 4608
PCM_TOLERANCE_SECONDS = 0.05
GUESS_TOLERANCE = 0.02

# Formats that hold their own audio. A playlist (hls, concat) would make FFmpeg open other files and addresses.
MEDIA_FORMATS = (
    "mov,matroska,aac,ac3,eac3,asf,amr,amrnb,amrwb,wv,ape,tta,avi,flv,mpegts,mpeg,mp3,ogg,wav,w64,flac,aiff,"
    "caf,nistsphere,dsf,dts,dtshd,mlp,truehd,au,voc,sox,ircam,loas,rm,mpc,mpc8,tak,shn,mxf,nut,qcp,oma,wtv,xwma,rso"
)
# Containers whose header gives the duration; for the others FFmpeg guesses it from the bit rate.
MEDIA_WITH_DURATION = frozenset({"mov", "matroska", "asf", "avi", "flv", "wv", "ape", "tta", "caf"})
# Bytes by which a size may be too large: recorders count the header in, or padding.
HEADER_BYTES = 512
# Those of them whose header may hold a guess.
WITH_GUESSED_DURATION = frozenset({"asf", "avi", "flv"})
# Containers with timestamps of their own; for the others FFmpeg counts samples or bytes.
# Not "rm": all frames of RealAudio may have the same one.
WITH_TIMESTAMPS = frozenset({"mov", "matroska", "asf", "flv", "mpegts", "mpeg", "ogg", "flac", "mxf", "nut", "wtv"})
# Those whose clock may start anew (FFmpeg's flag AVFMT_TS_DISCONT).
WITH_RESETS = frozenset({"mpegts", "mpeg", "ogg", "nut"})
# Those whose clock starts at 0: a file of audio alone may start later. A part of a live stream starts anywhere.
FROM_ZERO = frozenset({"mov", "matroska"})
MAX_START_SECONDS = 60.0
MAX_PLANES = 2  # PyAV reads beyond its memory in planar frames of 8 or more channels


def is_installed() -> bool:
    """Return whether PyAV can be imported."""
    try:
        import av  # noqa: F401  (0.1 s, and an extra)
    except ImportError:
        return False
    return True


class MediaDecoder:
    """An `AudioDecoder` for an audio track of a media file.

    Samples are placed by the timestamps of their container, as by ffmpeg's ``aresample=async=1``: gaps and a late start
    are silence, and what overlaps is not repeated. Damaged packets are left out.

    Args:
        file: a file that can seek.
        name: of the file, for messages.
        reason: why libsndfile did not read it, for messages.
        track: number of the audio track, from 1; None: the first.
        rate: sample rate to convert to, in Hz; None: the track's.
        strict: refuse a damaged file.

    Raises:
        AudioError: PyAV is not installed, the file has no such track, or holds no audio that can be decoded.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        reason: str,
        *,
        track: int | None = None,
        rate: int | None = None,
        strict: bool = False,
    ) -> None:
        if not is_installed():
            raise AudioError(f"{name}: libsndfile cannot read it ({reason}); {accepted()}")
        self.name = name
        self._file = file
        self._reason = reason
        self._strict = strict
        self._damage: tuple[float, str] | None = None  # seconds and reason of the first
        self._glitch: tuple[float, str] | None = None  # one frame of MP3, as where files are joined
        self._last_failed: tuple[float, str] | None = None  # of a packet after which none was decoded
        self._timeline: Timeline | None = None
        self._container = self._open()
        try:
            self._index = self._track_index(track)
            self._frames = self._decode()
            self._first: Any = next(self._frames, None)
            if self._first is None:
                why = f"damaged ({self._last_failed[1]}): " if self._last_failed else ""
                raise AudioError(f"{name}: {why}holds no audio that can be decoded; {accepted()}")
        except BaseException:
            self.close()
            raise
        # from the decoder, not the header: that of HE-AAC may name half the rate
        self.sample_rate: int = rate or self._first.sample_rate
        self.channels: int = len(self._first.layout.channels)

    def _open(self) -> Any:
        import av

        self._file.seek(0)
        # Tags that are not UTF-8 are no reason to refuse a file; PyAV 19 no longer has the option.
        lenient: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
        try:
            container = av.open(self._file, "r", options={"format_whitelist": MEDIA_FORMATS}, **lenient)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise AudioError(
                f"{self.name}: not audio, or damaged or cut short (libsndfile: {self._reason}; FFmpeg: {reason}); "
                f"{accepted()}"
            ) from None
        if not container.streams.audio:
            container.close()
            raise AudioError(f"{self.name}: holds no audio track; {accepted()}")
        return container

    def _track_index(self, track: int | None) -> int:
        tracks = len(self._container.streams.audio)
        if track is None:
            if tracks > 1:
                log_once("tracks", f"{self.name}: {tracks} audio tracks, of which the first is read; --track chooses")
            return 0
        if not 1 <= track <= tracks:
            raise no_track_error(self.name, track, tracks)
        return track - 1

    @property
    def _format(self) -> str:
        return str(self._container.format.name).split(",")[0]

    def _decode(self) -> Iterator[Any]:
        """Yield the frames of all packets that can be decoded, and note the time of the first that cannot.

        One at the end is no damage: a part of a frame is lost there, not more.
        """
        import av

        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.EOFError:
                continue
            except av.FFmpegError as error:
                self._note_failure(error)
                continue
            if frames and self._last_failed is not None:
                if self._format == "mp3" and self._damage is None:
                    self._glitch = self._glitch or self._last_failed
                else:
                    self._damage = self._damage or self._last_failed
                self._last_failed = None
            yield from frames

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the track, up to an error of the container."""
        import av

        while True:
            try:
                yield from self._container.demux(self._container.streams.audio[self._index])
                return
            except IndexError:  # of PyAV, at a packet of a stream that the header does not name: go on behind it
                continue
            except (av.FFmpegError, OSError, ValueError) as error:  # also of seeking to a damaged offset
                self._damage = self._damage or (self._now(), getattr(error, "strerror", None) or str(error))
                return

    def _note_failure(self, error: Any) -> None:
        self._damage = self._damage or self._last_failed
        self._last_failed = self._now(), getattr(error, "strerror", None) or str(error)

    def _now(self) -> float:
        """Return the time up to which the file has been decoded, in seconds."""
        return self._timeline.position / self._timeline.rate if self._timeline else 0.0

    def _header_duration(self) -> float:
        """Return the audio's duration by the header, in seconds; 0 where that is missing, a guess, or the video's."""
        if self._format not in MEDIA_WITH_DURATION:
            return 0.0
        track = self._container.streams.audio[self._index]
        if self._format == "caf" and track.frames:  # samples; FFmpeg takes the duration from the size of the file
            return float(track.frames / track.rate)
        if track.duration:
            return float(track.duration * track.time_base)
        if len(self._container.streams) > 1 or not self._container.duration:
            return 0.0
        late = (self._container.start_time or 0) / 1e6  # the duration counts from 0
        return float(self._container.duration / 1e6 - (late if late > MAX_START_SECONDS else 0.0))

    def _new_timeline(self, first: float | None) -> Timeline:
        """Return the timeline on which the frame with timestamp ``first`` is the first one."""
        origin = first or 0.0
        if first is not None:
            begin = (self._container.start_time or 0) / 1e6  # of all tracks
            if self._format in FROM_ZERO and 0 < begin <= MAX_START_SECONDS:
                begin = 0.0
            if self._container.start_time is not None and first - begin > JITTER_SECONDS:
                origin = begin
        known = self._container.duration or 0
        end = (self._container.start_time or 0) / 1e6 + known / 1e6 if self._format in MEDIA_WITH_DURATION else 0.0
        return Timeline(self.sample_rate, origin, resets=self._format in WITH_RESETS, end=end + 1.0 if end else np.inf)

    def _timestamp(self, timed: Any) -> float | None:
        """Return the timestamp of a frame or packet in seconds, None where the container has none of its own."""
        if self._format not in WITH_TIMESTAMPS or timed.pts is None or timed.time_base is None:
            return None
        return float(timed.pts * timed.time_base)

    def duration(self) -> float:
        """Return the duration in seconds: of the header, or by the timestamps and durations of all packets."""
        if seconds := self._header_duration():
            return seconds
        import av

        timeline: Timeline | None = None
        with self._open() as container:
            track = container.streams.audio[self._index]
            try:
                for packet in container.demux(track):
                    if timeline is None:
                        timeline = self._new_timeline(self._timestamp(self._first))
                    silence, overlap = timeline.place(self._timestamp(packet))
                    length = round(float((packet.duration or 0) * track.time_base) * self.sample_rate)
                    timeline.position += silence + max(0, length - overlap)
            except (av.FFmpegError, OSError, ValueError, IndexError):  # reported when the file is read
                pass
        return timeline.position / self.sample_rate if timeline else 0.0

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from the beginning, whatever ``first`` is; see `AudioDecoder`."""
        position = 0
        for position, block in self.undamaged_blocks(last):
            if self._strict and self._damage is not None:
                break
            yield position, block
            position += len(block)
        if self._damage is not None:
            report_damage(damaged(self.name, *self._damage), self._strict)
        elif self._glitch is not None:
            report_damage(damaged(self.name, *self._glitch), strict=False)
        if position >= last:
            return
        expected, decoded = self._header_duration(), position / self.sample_rate
        tolerance = max(MEDIA_TOLERANCE_SECONDS, MEDIA_TOLERANCE_FRAMES / self.sample_rate)
        if self._container.streams.audio[self._index].codec_context.name.startswith("pcm_"):
            tolerance = PCM_TOLERANCE_SECONDS
        if self._format in WITH_GUESSED_DURATION:
            tolerance = max(tolerance, GUESS_TOLERANCE * expected)
        if decoded < expected - tolerance:
            report_damage(truncated(self.name, expected, decoded), self._strict)
        elif (promised := promised_bytes(self._file)) > (held := self._file.seek(0, 2)) + HEADER_BYTES:
            report_damage(
                f"{self.name}: cut short after {decoded:.3f} s: its header promises {promised} bytes, "
                f"the file holds {held}",
                self._strict,
            )
        elif self._format == "ogg":
            check_ogg(self._file, self.name, self.sample_rate, self._strict)

    def undamaged_blocks(self, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode what can be decoded before sample ``last``, without a report of damage; see `blocks`."""
        import av

        self._timeline = timeline = self._new_timeline(self._timestamp(self._first))
        size = max(1, BLOCK_VALUES // self.channels)
        resampler: Any = None
        form: object = None
        for frame in chain([self._first], self._frames):
            if timeline.position >= last:
                return
            if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):  # as in joined MP3s
                if resampler is not None:
                    yield from _placed(timeline, _flush(resampler), 0)
                target = "fltp" if self.channels <= MAX_PLANES else "flt"
                resampler = av.AudioResampler(format=target, layout=self._first.layout, rate=self.sample_rate)
            try:
                parts = resampler.resample(frame)
            except (av.FFmpegError, ValueError) as error:  # a damaged header of a frame
                self._note_failure(error)
                continue
            silence, overlap = timeline.place(self._timestamp(frame))
            if silence:
                begin = timeline.position / self.sample_rate
                log_once(
                    "gap", f"{self.name}: no audio from {begin:.3f} s for {silence / self.sample_rate:.3f} s: silence"
                )
            while silence and timeline.position < last:
                block = np.zeros((min(size, silence), self.channels), np.float32)
                yield timeline.position, block
                timeline.position += len(block)
                silence -= len(block)
            yield from _placed(timeline, parts, overlap)
        if resampler is not None:
            yield from _placed(timeline, _flush(resampler), 0)

    def close(self) -> None:
        """Close the container, not the file."""
        self._container.close()


def _flush(resampler: Any) -> Any:
    """Return the last frames of a resampler; none if it has never worked."""
    import av

    try:
        return resampler.resample(None)
    except (av.FFmpegError, ValueError):
        return []


def _placed(timeline: Timeline, frames: Any, overlap: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield positions and samples (n, channels) of frames without their first ``overlap`` samples."""
    for frame in frames:
        array = frame.to_ndarray()  # (channels, n), or packed (1, n * channels)
        samples = array.T if frame.format.is_planar else array.reshape(frame.samples, -1)  # (n, channels)
        kept = samples[overlap:]
        overlap = max(0, overlap - len(samples))
        if len(kept):
            yield timeline.position, kept
            timeline.position += len(kept)


def no_track_error(name: str, track: int, tracks: int) -> AudioError:
    """Return the error for a number of a track that a file does not have."""
    accepted = "track 1" if tracks == 1 else f"tracks 1 to {tracks}"
    return AudioError(f"{name}: has no audio track {track}; accepted: {accepted}")
