"""Features that another program has computed, and the files that hold them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
from torch import Tensor

from asr.errors import InputError
from asr.features.extractor import Extractor


class Precomputed(Extractor):
    """Features from files (Sphinx cepstra, Kaldi archives), with derivatives and normalization.

    ``forward(features (N, T, input_dim), lengths (N,) in frames)`` → features (N, T, dim), lengths (N,).

    Args:
        input_dim: features per frame as stored.
        frame_seconds: from one frame to the next, in seconds.
        deltas: number of time derivatives to append, 0 to 2.
        normalization: mode of :class:`~asr.features.FeatureNormalizer`.
        mean_fraction: see there.
        scale: see there.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self,
        input_dim: int,
        frame_seconds: float = 0.01,
        deltas: int = 2,
        normalization: str = "global",
        mean_fraction: float = 1.0,
        scale: bool = True,
    ) -> None:
        super().__init__(input_dim, frame_seconds, deltas, normalization, mean_fraction, scale)
        self.sample_rate = None
        self.input_dim = input_dim

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the lengths (N,) themselves, as int64."""
        return lengths.long()

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the inputs (N, T, input_dim)."""
        return inputs

    def _check(self, inputs: Tensor, lengths: Tensor) -> None:
        if inputs.dim() != 3 or inputs.shape[2] != self.input_dim:
            raise InputError(f"features of shape {tuple(inputs.shape)}; (N, T, {self.input_dim}) is expected")
        super()._check(inputs, lengths)


def read_sphinx(path: str | Path, dim: int = 13) -> np.ndarray:
    """Read cepstra from a Sphinx ``.mfc`` file: an int32 count of numbers, then as many float32.

    Both byte orders are read (Sphinx writes big-endian).

    Args:
        path: of the file.
        dim: features per frame.

    Returns:
        ``(T, dim)`` float32.

    Raises:
        InputError: the file is missing, truncated, not of this kind, empty, or not made of frames of ``dim``.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    stored = len(data) // 4 - 1
    for order in ">", "<":
        if len(data) >= 4 and len(data) % 4 == 0 and int(np.frombuffer(data, f"{order}i4", 1)[0]) == stored:
            break
    else:
        count = int(np.frombuffer(data, ">i4", 1)[0]) if len(data) >= 4 else 0
        raise InputError(
            f"{path}: not a Sphinx feature file, or truncated: {len(data)} bytes, but its header announces "
            f"{count} numbers ({4 + 4 * count} bytes)"
        )
    values = np.frombuffer(data, f"{order}f4", offset=4)
    if not stored or stored % dim:
        raise InputError(f"{path}: {stored} numbers do not make frames of {dim}; is it another dimension?")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds values that are not finite numbers")
    return values.astype(np.float32).reshape(-1, dim)


def read_kaldi(spec: str) -> np.ndarray:
    """Read features from a Kaldi archive.

    Matrices in binary form are read, compressed or not. Commands (``… |``) are not run, and nothing is unpickled.

    Args:
        spec: ``file.ark:offset``, or a line of an ``.scp`` file, ``utterance file.ark:offset``.

    Returns:
        ``(T, D)`` float32.

    Raises:
        InputError: the file is missing or damaged, or no matrix begins at the offset.
    """
    from kaldiio.matio import read_kaldi as read_matrix  # imported only where there are such files

    text = spec.strip()
    place = text if Path(_split_offset(text)[0]).exists() else text.split(maxsplit=1)[-1]
    path, offset = _split_offset(place)
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            is_matrix = re.match(rb"\0B[FDC]M", file.read(4))
            file.seek(offset)
            matrix = read_matrix(file) if is_matrix else None
    except OSError as error:
        raise InputError(f"{spec}: cannot be read ({error.strerror})") from error
    except (ValueError, AssertionError, struct.error) as error:
        raise InputError(f"{spec}: damaged or truncated Kaldi matrix ({error})") from error
    if matrix is None:
        raise InputError(f"{spec}: no binary Kaldi matrix begins there; give file.ark:offset, as .scp files do")
    return np.asarray(matrix, dtype=np.float32)


def _split_offset(place: str) -> tuple[str, int]:
    """Split ``path:offset`` into path and byte offset; the offset is 0 if not given."""
    path, colon, offset = place.rpartition(":")
    return (path, int(offset)) if colon and offset.isdigit() else (place, 0)
