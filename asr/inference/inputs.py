"""Inputs of runners: files, streams and arrays, checked and brought to the form that a model reads."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from torch import Tensor

from asr import audio
from asr.audio.mix import polarities
from asr.errors import InputError
from asr.features import Extractor, Precomputed, read_sphinx

File = str | Path | BinaryIO

PRECOMPUTED_ONLY = "this model reads Sphinx feature files (features: precomputed), not audio"


@dataclass(frozen=True)
class Recording:
    """An audio file with what of it is read.

    Attributes:
        file: path or binary file.
        channel: number of the channel, from 1; ``"mix"``: the mean of all.
        track: number of the audio track of a media file, from 1; None: the first.
        strict: refuse a file that is damaged or cut short.
        start: of the segment that is read, in seconds.
        duration: of the segment, in seconds; None: to the end.
    """

    file: File
    channel: audio.Channel = "mix"
    track: int | None = None
    strict: bool = False
    start: float = 0.0
    duration: float | None = None

    @property
    def is_segment(self) -> bool:
        """Whether only a part of the file is read."""
        return self.start > 0 or self.duration is not None


CheckedSource = File | np.ndarray | Recording  # what `as_source` returns
Source = CheckedSource | bytes | bytearray | memoryview | Tensor | Sequence[Any]


def source_name(source: object) -> str:
    """Return the path of a file; an empty string for a stream or an array."""
    file = source.file if isinstance(source, Recording) else source
    return os.fsdecode(file) if isinstance(file, (str, os.PathLike)) else ""


def describe_source(source: object) -> str:
    """Return `source_name` for a message, with the times of a segment."""
    name = source_name(source)
    if not isinstance(source, Recording) or not source.is_segment:
        return name
    end = "end" if source.duration is None else f"{source.start + source.duration:.2f}"
    return f"{name}, {source.start:.2f}–{end} s"


def is_file(source: object) -> bool:
    """Return whether a source is a path or a file, rather than an array or a `Recording`."""
    return isinstance(source, (str, os.PathLike)) or hasattr(source, "read")


def as_source(source: object, features: Extractor, sample_rate: int | None = None) -> CheckedSource:
    """Check what a user gave as a recording, and bring it to a form that can be read more than once.

    Args:
        source: a path; a binary file, also one that cannot seek; ``bytes``, the content of a file; a `Recording`; or
            floats as in `as_model_input`: a numpy array, a torch tensor, a list, or anything that numpy makes an array.
        features: the model's feature extractor.
        sample_rate: of an array in Hz; None: the model's.

    Raises:
        InputError: anything else, and what `as_model_input` raises.
    """
    if isinstance(source, Recording):
        file = as_source(source.file, features)
        if isinstance(file, (np.ndarray, Recording)):
            raise InputError("a Recording holds a path or a binary file, not an array")
        return replace(source, file=file)
    if isinstance(source, (str, os.PathLike)):
        try:
            return os.fsdecode(source)
        except TypeError as error:
            raise InputError(f"a path that is none: {error}") from None
    if isinstance(source, (bytes, bytearray)) or (isinstance(source, memoryview) and source.format in "Bbc"):
        return io.BytesIO(bytes(source))  # a view may have gaps
    if hasattr(source, "read"):
        return _reopenable(source)
    return as_model_input(_as_array(source), features, sample_rate)


def _reopenable(file: Any) -> BinaryIO:
    """Return a binary file that can seek: the file itself, or a temporary copy."""
    if isinstance(file, io.TextIOBase):
        raise InputError("a file opened as text: open it in binary mode ('rb')")
    if getattr(file, "closed", False):
        raise InputError("a file that is closed: use one that is open, or its path")
    if callable(getattr(file, "seekable", None)) and file.seekable():
        return cast(BinaryIO, file)
    copy = tempfile.TemporaryFile()  # noqa: SIM115  (deleted with its last reference)
    while True:
        try:
            piece = file.read(1 << 20)
        except (OSError, TypeError) as error:  # the latter where read takes no size
            raise InputError(f"a stream that cannot be read: {error}") from error
        if not piece:
            return cast(BinaryIO, copy)
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise InputError("a stream of text: a stream of bytes is needed")
        copy.write(piece)


def _as_array(values: Any) -> np.ndarray:
    """Return an array of a tensor or a sequence of numbers."""
    if hasattr(values, "detach"):
        try:
            values = values.detach().cpu()
            values = (values.float() if values.is_floating_point() else values).resolve_neg().numpy()
        except (RuntimeError, TypeError, NotImplementedError) as error:  # sparse, quantized, nested, without content
            reason = str(error).partition("\n")[0]
            raise InputError(f"a tensor that cannot be read ({reason}); a dense one of floats is accepted") from None
    accepted = "accepted are a path, a binary file, bytes, and floats as an array, a tensor or a list"
    if not isinstance(values, (list, tuple, memoryview)) and not hasattr(values, "__array__"):
        try:
            values = memoryview(values)  # array.array and the like
        except TypeError:
            raise InputError(f"a recording of type {type(values).__name__}; {accepted}") from None
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"a {type(values).__name__} that is no array ({error}); {accepted}") from None
    if array.dtype.kind in "USO" and not isinstance(values, np.ndarray):
        raise InputError(
            f"a {type(values).__name__} that does not hold numbers; {accepted} (a list of files: transcribe_all)"
        )
    return array


def check_sources(sources: Any) -> list[Any]:
    """Return the sources of a runner as a list.

    Raises:
        InputError: one source was given in place of several.
    """
    one = isinstance(sources, (str, bytes, os.PathLike, np.ndarray, Recording))
    if one or hasattr(sources, "detach") or hasattr(sources, "read") or not hasattr(sources, "__iter__"):
        raise InputError(f"a list of recordings is needed, not one of type {type(sources).__name__}: put it in a list")
    return list(sources)


def check_batch_seconds(value: object) -> None:
    """Raise InputError unless a value is a number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise InputError(f"batch_seconds={value!r}: use a number of seconds above 0")


def input_rate(features: Extractor) -> float:
    """Return the number of samples (or feature frames) in a second of a model's input."""
    return features.sample_rate or 1 / features.frame_seconds


def as_model_input(array: np.ndarray, features: Extractor, sample_rate: int | None = None) -> np.ndarray:
    """Bring a user's array to the form that a model reads.

    Args:
        array: floats: a waveform (S,) or (channels, S) within ±1, of which the channels are averaged; or feature frames
            (T, F) for a model that reads features.
        features: the model's feature extractor.
        sample_rate: of the array in Hz; None: the model's. Another rate is converted.

    Returns:
        float32, (S,) samples or (T, F) features.

    Raises:
        InputError: the array is not of floats, is empty, or has another shape, numbers that are not finite or far
            beyond ±1, or the sample rate is not one of `asr.audio.SAMPLE_RATES`.
    """
    if array.dtype.kind != "f":
        raise InputError(f"an array must be of floats, audio within ±1, not {array.dtype} (divide 16-bit by 32768)")
    if not array.size or not np.isfinite(array).all():
        raise InputError(f"an array must not be empty and must hold finite numbers; this one has shape {array.shape}")
    if isinstance(features, Precomputed):
        if array.ndim != 2 or array.shape[1] != features.input_dim:
            raise InputError(f"features must have shape (frames, {features.input_dim}), not {array.shape}")
        return array.astype(np.float32)
    if array.ndim > 2 or array.ndim == 0 or (array.ndim == 2 and array.shape[0] > array.shape[1]):
        hint = " (of soundfile's arrays, give the transpose: array.T)" if array.ndim == 2 else ""
        raise InputError(f"a waveform must have shape (samples,) or (channels, samples), not {array.shape}{hint}")
    if max(array.max(), -array.min()) > audio.MAX_AMPLITUDE:
        raise InputError(
            f"a waveform must be within ±1, not {array.min():g} to {array.max():g} (divide samples of 16 bits by 32768)"
        )
    array = array.astype(np.promote_types(np.float32, min(array.dtype, np.dtype(np.float64))), copy=False)
    if array.ndim == 2:
        signs = polarities(array.T)
        array = (array * signs[:, None] if (signs < 0).any() else array).mean(0)
    if sample_rate is not None and sample_rate != features.sample_rate:
        import soxr

        least, most = audio.SAMPLE_RATES
        if isinstance(sample_rate, bool) or not isinstance(sample_rate, Real) or not least <= sample_rate <= most:
            raise InputError(f"sample_rate={sample_rate!r}: use a number of Hz from {least} to {most}")
        array = soxr.resample(array, sample_rate, features.sample_rate)
    return array.astype(np.float32)


def read_blocks(source: Source, features: Extractor) -> Iterator[np.ndarray]:
    """Read one source in pieces, in the form that a model reads.

    Args:
        source: a file, a binary stream (of audio only), an array, or what else `as_source` accepts.
        features: the model's feature extractor.

    Yields:
        float32, (S,) samples or (T, F) features.

    Raises:
        InputError: the source cannot be read, or the model does not read such sources.
    """
    checked = as_source(source, features)
    if isinstance(checked, np.ndarray):
        yield checked
    elif features.sample_rate is not None and isinstance(checked, Recording):
        options: Any = {"channel": checked.channel, "track": checked.track, "strict": checked.strict}
        if checked.is_segment:
            options |= {"start": checked.start, "duration": checked.duration}
            yield audio.read(checked.file, features.sample_rate, **options)
        else:
            yield from audio.stream(checked.file, features.sample_rate, **options)
    elif features.sample_rate is not None:
        yield from audio.stream(cast(File, checked), features.sample_rate)
    elif isinstance(features, Precomputed) and (name := source_name(checked)):
        if Path(name).suffix.lower() in audio.INPUT_EXTENSIONS:
            raise InputError(f"{name}: {PRECOMPUTED_ONLY}")
        yield read_sphinx(name, features.input_dim)
    else:
        raise InputError(f"{PRECOMPUTED_ONLY}; give the path of a feature file")


def audio_infos(sources: Sequence[File | Recording]) -> list[audio.AudioInfo | InputError]:
    """Return what the header of each audio file says, or the error of one that cannot be read."""
    infos: list[audio.AudioInfo | InputError] = []
    for source in sources:
        recording = source if isinstance(source, Recording) else Recording(source)
        try:
            infos.append(audio.info(recording.file, track=recording.track, strict=recording.strict))
        except InputError as error:
            infos.append(error)
    return infos
