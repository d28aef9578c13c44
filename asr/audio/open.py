"""Open audio files: by libsndfile, and by PyAV what libsndfile cannot read.

The content decides which of the two, never the file's name.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from asr.audio.backend import AudioDecoder, UseMediaError, accepted
from asr.audio.ffmpeg import MediaDecoder
from asr.audio.libsndfile import SoundFileDecoder
from asr.audio.repair import with_size, without_tag
from asr.errors import AudioError, InputError

# Files that a scan of a directory takes for audio: first those of libsndfile, then those of PyAV.
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
        ".voc",
    }
    | {".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".webm", ".mkv", ".mka", ".aac", ".ac3", ".wma", ".wmv"}
    | {".asf", ".amr", ".wv", ".ape", ".tta", ".avi", ".flv", ".mp2", ".mpg", ".mpeg", ".m4v", ".3g2", ".ogv"}
    | {".spx", ".eac3", ".dts", ".mts", ".m2ts", ".vob", ".mpc", ".tak"}
)
# Hz. Beyond these a header is damaged; 1 Hz would turn a small file into gigabytes at the model's rate.
SAMPLE_RATES = (1_000, 768_000)
MAX_CHANNELS = 256
NAMELESS = "audio stream"  # in messages, in place of a file's name


@contextmanager
def open_audio(
    source: str | Path | BinaryIO, *, track: int | None = None, strict: bool = False
) -> Iterator[AudioDecoder]:
    """Open a decoder and close it at the end.

    Args:
        source: path, content of a file as bytes, or binary file, which need not be able to seek and is left open.
        track: number of the audio track, from 1; None: the first.
        strict: refuse a file that is damaged or cut short, instead of reading what can be read, with a warning.

    Yields:
        The decoder.

    Raises:
        AudioError: the file is missing, may not be read, is empty, damaged or not audio.
        InputError: ``source`` or ``track`` is of another type.
    """
    if track is not None and (isinstance(track, bool) or not isinstance(track, int) or track < 1):
        raise InputError(f"track is {track!r}; accepted are a number from 1 on, and None")
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)):
        if not hasattr(source, "read") or isinstance(source, io.TextIOBase) or getattr(source, "closed", False):
            raise InputError(f"a source of type {type(source).__name__}; accepted are a path and an open binary file")
        name = source.name if isinstance(getattr(source, "name", None), str) else NAMELESS
        with _reading(name), _seekable(source) as seekable, _decoder(seekable, name, track, strict) as decoder:
            yield decoder
        return
    try:
        file = open(source, "rb")  # noqa: SIM115  (errors of the body are not those of opening)
    except FileNotFoundError:
        raise AudioError(f"{source}: no such file; {accepted()}") from None
    except IsADirectoryError:
        raise AudioError(f"{source}: is a directory; accepted is an audio file") from None
    except PermissionError:
        raise AudioError(f"{source}: no permission to read it; accepted is a readable audio file") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{str(source)!r}: cannot be opened ({error}); accepted is an audio file") from None
    name = str(source)
    with file, _reading(name), _seekable(file) as seekable, _decoder(seekable, name, track, strict) as decoder:
        yield decoder


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Raise AudioError for an error of the operating system in reading a file, such as that of a bad disk."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # of a temporary copy
            raise
        raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from error


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the file, or a temporary copy of one that cannot seek: on disk, so that memory stays bounded."""
    if hasattr(file, "seekable") and file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(file, copy)
        except TypeError:
            raise InputError("a stream of text; accepted are a path and an open binary file") from None
        yield copy


@contextmanager
def _decoder(file: BinaryIO, name: str, track: int | None, strict: bool) -> Iterator[AudioDecoder]:
    """Yield the decoder of a file that can seek, after checks of its header."""
    if file.seek(0, 2) == 0:
        raise AudioError(f"{name}: is empty (0 bytes); {accepted()}")
    file = with_size(without_tag(file))
    file.seek(0)
    decoder: AudioDecoder
    try:
        decoder = SoundFileDecoder(file, name, strict=strict)
        if track is not None and track != 1:
            decoder.close()
            raise UseMediaError("it reads the first track only")
    except UseMediaError as reason:
        decoder = MediaDecoder(file, name, str(reason), track=track, strict=strict)
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
