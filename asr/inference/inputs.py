"""What a loaded model is given to read: files, streams and arrays, checked and brought to the model's input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from asr import audio
from asr.errors import InputError
from asr.features import Extractor, Precomputed, read_sphinx

Source = str | Path | BinaryIO | np.ndarray


def prepared(array: np.ndarray, features: Extractor, sample_rate: int | None = None) -> np.ndarray:
    """A model's input, (samples,) or (frames, features) float32, of an array that a user gave.

    ``sample_rate``: the array's, if it is not the one that ``features`` are made from. Raises InputError for an array
    that is neither a waveform nor, where the model reads such, features.
    """
    if array.dtype.kind != "f":
        raise InputError(f"an array must be of floats, audio within ±1, not {array.dtype} (divide 16-bit by 32768)")
    if not array.size or not np.isfinite(array).all():
        raise InputError(f"an array must hold finite numbers, and some: this one is of shape {array.shape}")
    if isinstance(features, Precomputed):
        if array.ndim != 2 or array.shape[1] != features.input_dim:
            raise InputError(f"features must be (frames, {features.input_dim}), not {array.shape}")
        return array.astype(np.float32)
    if array.ndim > 2 or array.ndim == 0 or (array.ndim == 2 and array.shape[0] > array.shape[1]):
        raise InputError(f"a waveform must be (samples,) or (channels, samples), not {array.shape}")
    if array.ndim == 2:
        array = array.mean(0)
    if sample_rate is not None and sample_rate != features.sample_rate:
        import soxr

        if not sample_rate > 0:
            raise InputError(f"sample_rate={sample_rate}: a number above 0 is wanted")
        array = soxr.resample(array, sample_rate, features.sample_rate)
    return array.astype(np.float32)


def blocks(source: Source, features: Extractor) -> Iterator[np.ndarray]:
    """What a model with these ``features`` reads of one source, in pieces."""
    if isinstance(source, np.ndarray):
        yield prepared(source, features)
    elif features.sample_rate is not None:
        yield from audio.stream(source, features.sample_rate)
    elif isinstance(features, Precomputed) and isinstance(source, (str, Path)):
        yield read_sphinx(source, features.input_dim)
    else:
        raise InputError("this model reads feature files (.mfc), not streams")


def durations(sources: Sequence[Any]) -> list[float | InputError]:
    """Seconds of each audio file by its header; the error where that cannot be read."""
    found: list[float | InputError] = []
    for source in sources:
        try:
            found.append(audio.info(source).duration)
        except InputError as error:
            found.append(error)
    return found
