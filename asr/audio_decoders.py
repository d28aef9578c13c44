"""Audio files to blocks of float32 samples as stored: libsndfile first, PyAV for what it cannot read.

libsndfile (soundfile) reads wav, flac, ogg, opus, mp3, aiff, NIST sphere and their like; PyAV (extra
``media``) reads m4a, mp4, webm and the rest. The content decides which of the two, never the file's name.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile

from asr.errors import AudioError

log = logging.getLogger("asr")

# What a scan of a directory picks up: first libsndfile's, then PyAV's.
INPUT_EXTENSIONS = frozenset(
    {
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".caf",
        ".sph",
        ".w64",
    }
    | {".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".webm", ".mkv", ".mka", ".aac", ".ac3", ".wma", ".wmv"}
    | {".asf", ".amr", ".wv", ".ape", ".tta", ".avi", ".flv", ".mp2", ".mpg"}
)
ACCEPTED = (
    "accepted are wav, flac, ogg, opus, mp3, aiff and NIST sphere, "
    'and with `pip install "asr[media]"` m4a, mp4, webm, mkv, aac, wma, amr and more'
)
# Beyond these a header is damaged; 1 Hz would blow a small file up to gigabytes at the model's rate.
SAMPLE_RATES = (1_000, 768_000)
MAX_CHANNELS = 256
BLOCK_VALUES = 2**17

# Padding and edit lists may or may not be counted in a length; this much missing sound is no damage.
MP3_TOLERANCE_FRAMES = 2 * 1152
MEDIA_TOLERANCE_SECONDS = 0.25

# A playlist (hls, concat) would make FFmpeg open other files and addresses; these hold their own sound.
MEDIA_FORMATS = (
    "mov,matroska,aac,ac3,eac3,asf,amr,amrnb,amrwb,wv,ape,tta,avi,flv,mpegts,mpeg,mp3,ogg,wav,w64,flac,aiff,"
    "caf,nistsphere,dsf"
)
# Containers whose header tells the duration; for the others FFmpeg guesses it from the bit rate.
MEDIA_WITH_DURATION = frozenset({"mov", "matroska", "asf", "avi", "flv", "wv", "ape", "tta"})

# libsndfile's length of a FLAC that was written to a pipe; more than FLAC and Opus of silence reach
UNKNOWN_LENGTH = 2**62
MAX_SAMPLES_PER_BYTE = 10_000
# libsndfile's numbers for "Format not recognised", "File contains data in an unimplemented format", and what
# it says of data that look like the beginning of an MP3, "File does not exist or is not a regular file"
UNKNOWN_FORMAT = frozenset({1, 7, 18})
EXACT_SEEK = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC"})
LOSSLESS = re.compile(r"PCM_|FLOAT|DOUBLE|ULAW|ALAW")
# libsndfile quietly reads what there is of a file shorter than its header says, but notes it in its log.
SHORTER = re.compile(r"^ *(?:data|SSND|Data Size|Riff size|riff) *: (\d+) \(should be (\d+)\)$", re.MULTILINE)


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


@contextmanager
def opened(source: str | Path | BinaryIO) -> Iterator[Decoder]:
    """The decoder of a path or of a binary file, which need not be able to seek. Raises AudioError."""
    if not isinstance(source, (str, Path)):
        name = str(getattr(source, "name", "audio stream"))
        with _seekable(source) as seekable, _decoder(seekable, name) as decoder:
            yield decoder
        return
    try:
        file = open(source, "rb")  # noqa: SIM115  (errors of the body are not those of opening)
    except FileNotFoundError:
        raise AudioError(f"{source}: no such file; {ACCEPTED}") from None
    except IsADirectoryError:
        raise AudioError(f"{source}: is a directory; an audio file is wanted") from None
    except PermissionError:
        raise AudioError(f"{source}: no permission to read it; a file that may be read is wanted") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{str(source)!r}: cannot be opened ({error}); an audio file is wanted") from None
    with file, _seekable(file) as seekable, _decoder(seekable, str(source)) as decoder:
        yield decoder


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file, or a temporary copy of one that cannot seek: on disk, so that the memory stays bounded."""
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        yield copy


@contextmanager
def _decoder(file: BinaryIO, name: str) -> Iterator[Decoder]:
    if file.seek(0, 2) == 0:
        raise AudioError(f"{name}: is empty (0 bytes); {ACCEPTED}")
    file.seek(0)
    decoder: Decoder
    try:
        decoder = _SoundFileDecoder(file, name)
    except _UseMediaError as reason:
        decoder = _MediaDecoder(file, name, str(reason))
    try:
        if not SAMPLE_RATES[0] <= decoder.sample_rate <= SAMPLE_RATES[1]:
            raise AudioError(
                f"{name}: damaged header: sample rate {decoder.sample_rate} Hz; "
                f"accepted are {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz"
            )
        if not 1 <= decoder.channels <= MAX_CHANNELS:
            raise AudioError(f"{name}: damaged header: {decoder.channels} channels; accepted are 1 to {MAX_CHANNELS}")
        yield decoder
    finally:
        decoder.close()


class _UseMediaError(Exception):
    """libsndfile cannot read the file, or not all of it; the message says why."""


def _cut_short(name: str, promised: float, held: float) -> AudioError:
    return AudioError(
        f"{name}: cut short or damaged: its header promises {promised:.3f} s, "
        f"but only {held:.3f} s can be read; accepted are complete files"
    )


def _gave_up(name: str, seconds: float, reason: str | None) -> AudioError:
    return AudioError(
        f"{name}: damaged or cut short after {seconds:.3f} s ({reason or 'the decoder gave up'}); "
        "accepted are complete files"
    )


class _Sequential(soundfile.SoundFile):
    """soundfile seeks after each read of a file that can seek, which alters samples and hides damage."""

    def seekable(self) -> bool:
        return False


class _NamelessFile:
    """A file as libsndfile calls it: no name to guess a format from, no traceback at a damaged offset."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()


class _SoundFileDecoder:
    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        try:
            self._sound = _Sequential(_NamelessFile(file))
        except soundfile.LibsndfileError as error:
            if error.code in UNKNOWN_FORMAT:
                raise _UseMediaError("not a format that it knows") from None
            reason = error.error_string.rstrip(".")
            raise AudioError(f"{name}: damaged or cut short ({reason}); {ACCEPTED}") from None
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self._promised: int = self._sound.frames
        self._lossless = LOSSLESS.match(self._sound.subtype) is not None
        try:
            position = file.tell()
            self._check_length(file)
            file.seek(position)
        except BaseException:
            self.close()
            raise

    def _check_length(self, file: BinaryIO) -> None:
        """Refuses a file shorter than its header says; hands on those that libsndfile reads only in part."""
        container = self._sound.format
        if self._promised > MAX_SAMPLES_PER_BYTE * file.seek(0, 2) and self._promised < UNKNOWN_LENGTH:
            raise AudioError(
                f"{self.name}: damaged header: it promises {self.duration():.0f} s in {file.tell()} bytes; "
                "accepted are complete files"
            )
        if container == "MP3" and not _mp3_tells_length(file):
            if _media_is_here():
                raise _UseMediaError("an MP3 that does not tell its length")
            log.warning(
                "%s: an MP3 that does not tell its length; its end is lost if its bit rate varies; "
                'with `pip install "asr[media]"` all of it is read',
                self.name,
            )
            self._promised = 0
        elif container == "OGG":
            _check_ogg_end(file, self.name)
        if self._promised >= UNKNOWN_LENGTH:
            raise _UseMediaError("it does not tell its length")
        if container == "NIST":
            file.seek(0)
            count = re.search(rb"^sample_count +-i +(\d+)", file.read(1024), re.MULTILINE)
            if count and int(count[1]) > self._promised:
                raise _cut_short(self.name, int(count[1]) / self.sample_rate, self.duration())
        elif found := SHORTER.search(self._sound.extra_info):
            promised, held = int(found[1]), int(found[2])
            # Programs that write to a pipe cannot go back to fill in a length and write the largest one.
            if not (promised >= 0xFFFF0000 or 0x7FFF0000 <= promised <= 0x7FFFFFFF):
                raise AudioError(
                    f"{self.name}: cut short: its header promises {promised} bytes of samples, "
                    f"the file holds {held}; accepted are complete files"
                )

    def duration(self) -> float:
        return self._sound.frames / self.sample_rate

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        size = max(1, BLOCK_VALUES // self.channels)
        end = min(last, self._sound.frames)
        position = 0
        try:
            # Elsewhere libsndfile lands beside the sample (Vorbis) or with another decoder state (MP3).
            if first > 0 and self._lossless and self._sound.format in EXACT_SEEK:
                position = self._sound.seek(min(first, self._sound.frames))
            while position < end:
                block = self._sound.read(min(size, end - position), dtype="float32", always_2d=True)
                if not len(block):
                    break
                yield position, block
                position += len(block)
        except soundfile.LibsndfileError as error:
            raise _gave_up(self.name, position / self.sample_rate, error.error_string.rstrip(".")) from None
        tolerance = MP3_TOLERANCE_FRAMES if self._sound.format == "MP3" else 0
        if position + tolerance < min(last, self._promised):
            raise _cut_short(self.name, self._promised / self.sample_rate, position / self.sample_rate)

    def close(self) -> None:
        self._sound.close()


def _mp3_tells_length(file: BinaryIO) -> bool:
    """Whether a Xing, Info or VBRI tag tells the length of all the sound.

    Without it libsndfile takes the first frame's bit rate for that of the file and may stop at a quarter of
    it; of files joined together it reads the first.
    """
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3":  # its length: four times seven bits
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    file.seek(start)
    frame = file.read(1024)
    tag = re.search(b"Xing|Info", frame)
    if tag is None:
        return b"VBRI" in frame
    fields = frame[tag.end() : tag.end() + 12].ljust(12, b"\0")  # flags, frames, bytes: 32 bits each
    has_frames, has_bytes = fields[3] & 1, fields[3] & 2
    told = int.from_bytes(fields[8:12], "big")
    return bool(has_frames) and not (has_bytes and told < 0.98 * (file.seek(0, 2) - start))


def _check_ogg_end(file: BinaryIO, name: str) -> None:
    """Warns where the last page does not end the stream; hands on several streams: libsndfile reads one."""
    file.seek(0)
    serial = file.read(18)[14:]
    file.seek(max(0, file.seek(0, 2) - 2**16 - 256))  # a page has 65,307 bytes or less
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :][:18] if b"OggS" in tail else b""
    if len(page) == 18 and page[14:] != serial:
        raise _UseMediaError("several streams in one Ogg file")
    if len(page) < 18 or not page[5] & 4:
        log.warning("%s: no end-of-stream mark: cut off, or recorded live; read as far as it goes", name)


def _media_is_here() -> bool:
    try:
        import av  # noqa: F401  (0.1 s, and an extra)
    except ImportError:
        return False
    return True


class _MediaDecoder:
    def __init__(self, file: BinaryIO, name: str, reason: str) -> None:
        if not _media_is_here():
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
            raise _gave_up(self.name, seconds, error.strerror) from None

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
                raise _gave_up(self.name, float(ticks * track.time_base), error.strerror) from None
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
            raise _cut_short(self.name, promised, held)

    def close(self) -> None:
        self._container.close()
