"""Decode wav, flac, ogg, opus, mp3, aiff, NIST sphere and similar files, by libsndfile (soundfile)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from asr.audio import ffmpeg
from asr.audio.backend import BLOCK_VALUES, UseMediaError, damaged, report_damage, truncated
from asr.audio.headers import check_ogg, has_other_ogg_stream, is_unknown_size, looks_like_mp3, mp3_has_length
from asr.errors import AudioError

log = logging.getLogger("asr")

# Samples that may be missing without damage. Padding may or may not be counted in a length, by frames of the codec: two
# frames of MP3, one of FLAC as most encoders write it, blocks of ADPCM and GSM.
CODEC_TOLERANCE_FRAMES = 2 * 1152
FLAC_TOLERANCE_FRAMES = 4608
# Bytes by which a size may be too large: recorders count the header in, or padding.
HEADER_BYTES = 64
NIST_HEADER_BYTES = 1024

# libsndfile gives this length, or more, to a FLAC that was written to a pipe.
UNKNOWN_LENGTH = 2**62
# A header that promises more is damaged: FLAC and Opus do not reach it even with silence.
MAX_SAMPLES_PER_BYTE = 10_000
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
        strict: refuse a damaged file.

    Raises:
        AudioError: ``strict`` is set, and the file is damaged or shorter than its header says.
        UseMediaError: libsndfile cannot read the file, or would read only a part of it.
    """

    def __init__(self, file: BinaryIO, name: str, *, strict: bool = False) -> None:
        self.name = name
        self._file = file
        self._strict = strict
        # before libsndfile opens it, which warns of a length on standard error itself
        if ffmpeg.is_installed() and looks_like_mp3(file) and not mp3_has_length(file):
            raise UseMediaError("an MP3 without its length")
        file.seek(0)
        try:
            self._sound = _Sequential(_NamelessFile(file))
        except soundfile.LibsndfileError as error:
            raise UseMediaError(error.error_string.rstrip(".")) from None
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
        """Report a file that is shorter than its header says; raise UseMediaError for one that is read in part."""
        container = self._sound.format
        if self._expected > MAX_SAMPLES_PER_BYTE * file.seek(0, 2) and self._expected < UNKNOWN_LENGTH:
            report_damage(
                f"{self.name}: damaged header: it promises {self.duration():.0f} s in {file.tell()} bytes", self._strict
            )
            raise UseMediaError("its header gives a wrong length")
        if container == "MP3" and not mp3_has_length(file):
            log.warning(
                "%s: an MP3 without its length; its end is lost if its bit rate varies; "
                'with `pip install "asr-recurrent[media]"` all of it is read',
                self.name,
            )
            self._expected = 0
        elif self._sound.subtype.startswith("MPEG") and container != "MP3" and ffmpeg.is_installed():
            raise UseMediaError("MP3 in another container, of which it may read a part if its bit rate varies")
        elif container == "OGG":
            if has_other_ogg_stream(file):
                raise UseMediaError("several streams in one Ogg file")
            if not check_ogg(file, self.name, self.sample_rate, self._strict) and ffmpeg.is_installed():
                raise UseMediaError("damaged pages, or several streams in one Ogg file")
        if self._expected >= UNKNOWN_LENGTH:
            raise UseMediaError("its header does not give its length")
        if container == "NIST":
            file.seek(0)
            count = re.search(rb"^sample_count +-i +(\d+)", file.read(1024), re.MULTILINE)
            self._check_bytes(
                int(count[1]) if count else 0, self._sound.frames, NIST_HEADER_BYTES // self.channels, "samples"
            )
        elif match := SHORTER.search(self._sound.extra_info):
            expected, stored = int(match[1]), int(match[2])
            file.seek(0)
            # the header in front of the samples, one sample of each channel, one byte of padding
            tolerance = max(HEADER_BYTES, file.read(2**16).find(b"data") + 8) + 8 * self.channels + 1
            if not is_unknown_size(expected):
                self._check_bytes(expected, stored, tolerance, "bytes of samples")

    def _check_bytes(self, expected: int, stored: int, tolerance: int, unit: str) -> None:
        if expected > stored + tolerance:
            report_damage(
                f"{self.name}: cut short after {self.duration():.3f} s: its header promises {expected} {unit}, "
                f"the file holds {stored}",
                self._strict,
            )

    def duration(self) -> float:
        """Return the duration by libsndfile, in seconds."""
        return self._sound.frames / self.sample_rate

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from ``first`` on, or from the beginning where seeking is not exact; see `AudioDecoder`."""
        size = max(1, BLOCK_VALUES // self.channels)
        end = min(last, self._sound.frames)
        position = sought = 0
        damage: tuple[float, str] | None = None
        try:
            # Elsewhere libsndfile lands beside the sample (Vorbis) or in another state of the decoder (MP3).
            if first > 0 and self._lossless and self._sound.format in EXACT_SEEK:
                sought = min(first, self._sound.frames)
                position = self._sound.seek(sought)
                sought = 0
            while position < end:
                block = self._sound.read(min(size, end - position), dtype="float32", always_2d=True)
                if not len(block):
                    break
                yield position, block
                position += len(block)
        except soundfile.LibsndfileError as error:
            # one that cannot be sought in is decoded from the beginning
            damage = (sought or position) / self.sample_rate, error.error_string.rstrip(".")
            if self._strict:
                report_damage(damaged(self.name, *damage), strict=True)
            for start, block in self._blocks_behind_damage(position, last, damage[1]):
                yield start, block
                position = start + len(block)
        missing = min(last, self._expected) - position
        if missing > self._tolerance:
            report_damage(
                truncated(self.name, self._expected / self.sample_rate, position / self.sample_rate), self._strict
            )
        if damage is not None and not sought and position > damage[0] * self.sample_rate:
            report_damage(damaged(self.name, *damage), self._strict)

    @property
    def _tolerance(self) -> int:
        """Number of samples that may be missing at the end without damage."""
        if self._sound.format == "FLAC":
            return FLAC_TOLERANCE_FRAMES
        return 0 if self._lossless else CODEC_TOLERANCE_FRAMES

    def _blocks_behind_damage(self, position: int, last: int, reason: str) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from ``position`` on by FFmpeg, which resumes behind damage; nothing without PyAV."""
        if not ffmpeg.is_installed():
            return
        try:
            media = ffmpeg.MediaDecoder(self._file, self.name, reason, rate=self.sample_rate)
        except AudioError:
            return
        try:
            if media.channels == self.channels:
                for start, block in media.undamaged_blocks(last):
                    if start + len(block) > position:
                        yield max(start, position), block[max(0, position - start) :]
        finally:
            media.close()

    def close(self) -> None:
        """Close the decoder, not the file."""
        self._sound.close()
