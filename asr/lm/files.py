"""Files of n-gram models: ARPA files and binary ones."""

from __future__ import annotations

from pathlib import Path

from asr.lm import arpa, binary
from asr.lm.compact import CompactNGram, compact
from asr.lm.ngram import NGram

BINARY_SUFFIX = ".ngram"


def is_binary(path: str | Path) -> bool:
    """Return whether a file is a binary n-gram model."""
    return binary.FORMAT.matches(path)


def read(path: str | Path) -> NGram | CompactNGram:
    """Read a model from an ARPA file or a binary one, whatever its name.

    Raises:
        InputError: the file cannot be read, or is neither.
    """
    return binary.read(path) if is_binary(path) else arpa.read(path)


def write(model: NGram | CompactNGram, path: str | Path) -> None:
    """Write a model: a binary file if the name ends in ``.ngram``, or else an ARPA file (see `asr.lm.arpa.write`)."""
    if Path(path).suffix == BINARY_SUFFIX:
        binary.write(model if isinstance(model, CompactNGram) else compact(model), path)
    else:
        arpa.write(model.expand(), path)
