"""Decode wav, flac, ogg, opus, mp3, aiff, NIST sphere and similar files, by libsndfile (soundfile)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from asr.audio import ffmpeg
from asr.audio.backend import ACCEPTED, BLOCK_VALUES, UseMediaError, damaged_error, truncated_error
from asr.errors import AudioError

log = logging.getLogger("asr")

# Padding may or may not be counted in a length; this much missing audio is no damage.
MP3_TOLERANCE_FRAMES = 2 * 1152

# libsndfile gives this length, or more, to a FLAC that was written to a pipe.
UNKNOWN_LENGTH = 2**62
# A header that promises more is damaged: FLAC and Opus do not reach it even with silence.
MAX_SAMPLES_PER_BYTE = 10_000
# libsndfile's error numbers for "Format not recognised", "File contains data in an unimplemented format", and (of
# data that look like the beginning of an MP3) "File does not exist or is not a regular file"
UNKNOWN_FORMAT = frozenset({1, 7, 18})
# Containers and codecs in which seeking lands on the exact sample.
EXACT_SEEK = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC"})
LOSSLESS = re.compile(r"PCM_|FLOAT|DOUBLE|ULAW|ALAW")
# libsndfile reads what there is of a file shorter than its header says, and notes it only in its log.
SHORTER = re.compile(r"^ *(?:data|SSND|Data Size|Riff size|riff) *: (\d+) \(should be (\d+)\)$", re.MULTILINE)


class _Sequential(soundfile.SoundFile):
    """A file that cannot seek, for soundfile: it seeks after each read else, which alters samples and hides damage."""

    def seekable(self) -> bool:
        return False


class _NamelessFile:
    """A file for libsndfile's calls: no name to guess the format from, no exception at a damaged offset."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()


class SoundFileDecoder:
    """An `AudioDecoder` for what libsndfile reads.

    Args:
        file: a file that can seek.
        name: of the file, for messages.

    Raises:
        AudioError: the file is damaged or shorter than its header says.
        UseMediaError: libsndfile does not know the format, or would read only a part of the file.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        try:
            self._sound = _Sequential(_NamelessFile(file))
        except soundfile.LibsndfileError as error:
            if error.code in UNKNOWN_FORMAT:
                raise UseMediaError("unknown format") from None
            reason = error.error_string.rstrip(".")
            raise AudioError(f"{name}: damaged or cut short ({reason}); {ACCEPTED}") from None
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self._expected: int = self._sound.frames
        self._lossless = LOSSLESS.match(self._sound.subtype) is not None
        try:
            position = file.tell()
            self._check_length(file)
            file.seek(position)
        except BaseException:
            self.close()
            raise

    def _check_length(self, file: BinaryIO) -> None:
        """Raise AudioError for a file shorter than its header says, UseMediaError for one that is read in part."""
        container = self._sound.format
        if self._expected > MAX_SAMPLES_PER_BYTE * file.seek(0, 2) and self._expected < UNKNOWN_LENGTH:
            raise AudioError(
                f"{self.name}: damaged header: it promises {self.duration():.0f} s in {file.tell()} bytes; "
                "accepted are complete files"
            )
        if container == "MP3" and not _mp3_has_length(file):
            if ffmpeg.is_installed():
                raise UseMediaError("an MP3 without its length")
            log.warning(
                "%s: an MP3 without its length; its end is lost if its bit rate varies; "
                'with `pip install "asr-recurrent[media]"` all of it is read',
                self.name,
            )
            self._expected = 0
        elif container == "OGG":
            _check_ogg_end(file, self.name)
        if self._expected >= UNKNOWN_LENGTH:
            raise UseMediaError("its header does not give its length")
        if container == "NIST":
            file.seek(0)
            count = re.search(rb"^sample_count +-i +(\d+)", file.read(1024), re.MULTILINE)
            if count and int(count[1]) > self._expected:
                raise truncated_error(self.name, int(count[1]) / self.sample_rate, self.duration())
        elif match := SHORTER.search(self._sound.extra_info):
            expected, stored = int(match[1]), int(match[2])
            # Programs that write to a pipe cannot go back to fill in a length and write the largest one.
            if not (expected >= 0xFFFF0000 or 0x7FFF0000 <= expected <= 0x7FFFFFFF):
                raise AudioError(
                    f"{self.name}: cut short: its header promises {expected} bytes of samples, "
                    f"the file holds {stored}; accepted are complete files"
                )

    def duration(self) -> float:
        """Return the duration by libsndfile, in seconds."""
        return self._sound.frames / self.sample_rate

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from ``first`` on, or from the beginning where seeking is not exact; see `AudioDecoder`."""
        size = max(1, BLOCK_VALUES // self.channels)
        end = min(last, self._sound.frames)
        position = 0
        try:
            # Elsewhere libsndfile lands beside the sample (Vorbis) or in another state of the decoder (MP3).
            if first > 0 and self._lossless and self._sound.format in EXACT_SEEK:
                position = self._sound.seek(min(first, self._sound.frames))
            while position < end:
                block = self._sound.read(min(size, end - position), dtype="float32", always_2d=True)
                if not len(block):
                    break
                yield position, block
                position += len(block)
        except soundfile.LibsndfileError as error:
            raise damaged_error(self.name, position / self.sample_rate, error.error_string.rstrip(".")) from None
        tolerance = MP3_TOLERANCE_FRAMES if self._sound.format == "MP3" else 0
        if position + tolerance < min(last, self._expected):
            raise truncated_error(self.name, self._expected / self.sample_rate, position / self.sample_rate)

    def close(self) -> None:
        """Close the decoder, not the file."""
        self._sound.close()


def _mp3_has_length(file: BinaryIO) -> bool:
    """Return whether a Xing, Info or VBRI tag gives the length of the whole file.

    Without one libsndfile takes the first frame's bit rate for that of the file and may stop at a quarter of
    it; of concatenated files it reads the first.
    """
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3":  # the tag's length: four bytes of seven bits
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    file.seek(start)
    frame = file.read(1024)
    tag = re.search(b"Xing|Info", frame)
    if tag is None:
        return b"VBRI" in frame
    fields = frame[tag.end() : tag.end() + 12].ljust(12, b"\0")  # flags, frames, bytes: 32 bits each
    has_frames, has_bytes = fields[3] & 1, fields[3] & 2
    num_bytes = int.from_bytes(fields[8:12], "big")
    # a tag that counts fewer bytes than there are belongs to the first of several files
    return bool(has_frames) and not (has_bytes and num_bytes < 0.98 * (file.seek(0, 2) - start))


def _check_ogg_end(file: BinaryIO, name: str) -> None:
    """Warn if the last page does not end the stream; UseMediaError for several streams: libsndfile reads one."""
    file.seek(0)
    serial = file.read(18)[14:]
    file.seek(max(0, file.seek(0, 2) - 2**16 - 256))  # a page has at most 65,307 bytes
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :][:18] if b"OggS" in tail else b""
    if len(page) == 18 and page[14:] != serial:
        raise UseMediaError("several streams in one Ogg file")
    if len(page) < 18 or not page[5] & 4:
        log.warning("%s: no end-of-stream mark: cut short, or recorded live; read as far as it goes", name)
