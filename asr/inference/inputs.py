"""Inputs of runners: files, streams and arrays, checked and brought to the form that a model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asr import audio
from asr.errors import InputError
from asr.features import Extractor, Precomputed, read_sphinx

Source = str | Path | BinaryIO | np.ndarray


def source_name(source: Source) -> str:
    """Return the path of a file; an empty string for a stream or an array."""
    return str(source) if isinstance(source, (str, Path)) else ""


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
        InputError: the array is not of floats, is empty, or has another shape or numbers that are not finite.
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
        raise InputError(f"a waveform must have shape (samples,) or (channels, samples), not {array.shape}")
    if array.ndim == 2:
        array = array.mean(0)
    if sample_rate is not None and sample_rate != features.sample_rate:
        import soxr

        if not sample_rate > 0:
            raise InputError(f"sample_rate={sample_rate}: use a number of Hz above 0")
        array = soxr.resample(array, sample_rate, features.sample_rate)
    return array.astype(np.float32)


def read_blocks(source: Source, features: Extractor) -> Iterator[np.ndarray]:
    """Read one source in pieces, in the form that a model reads.

    Args:
        source: a file, a binary stream (of audio only), or an array as in `as_model_input`.
        features: the model's feature extractor.

    Yields:
        float32, (S,) samples or (T, F) features.

    Raises:
        InputError: the source cannot be read, or the model does not read such sources.
    """
    if isinstance(source, np.ndarray):
        yield as_model_input(source, features)
    elif features.sample_rate is not None:
        yield from audio.stream(source, features.sample_rate)
    elif isinstance(features, Precomputed) and isinstance(source, (str, Path)):
        yield read_sphinx(source, features.input_dim)
    else:
        raise InputError("this model reads feature files (.mfc), not streams")


def durations(sources: Sequence[str | Path | BinaryIO]) -> list[float | InputError]:
    """Return the seconds of each audio file by its header, or the error of one that cannot be read."""
    seconds: list[float | InputError] = []
    for source in sources:
        try:
            seconds.append(audio.info(source).duration)
        except InputError as error:
            seconds.append(error)
    return seconds
