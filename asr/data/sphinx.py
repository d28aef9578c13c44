"""Feature files of CMU Sphinx in manifests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import Features

# CMU Sphinx cepstra as its front end writes them: 13 coefficients, 100 frames per second.
SPHINX_COEFFICIENTS = 13
SPHINX_FRAME_SECONDS = 0.01
SPHINX_SAMPLE_RATE = 16000


def describe_sphinx(id: str, location: str) -> Features:
    """Describe a Sphinx feature file (int32 count of values, then float32 in the same byte order) for Lhotse.

    Raises:
        InputError: the file cannot be read, or is no such file; it is named.
    """
    from lhotse import Features

    try:
        with open(location, "rb") as file:
            header = file.read(4)
    except OSError as error:
        raise InputError(f"{location}: {error.strerror}") from error
    values = os.path.getsize(location) // 4 - 1
    if values <= 0 or values not in (int.from_bytes(header, "big"), int.from_bytes(header, "little")):
        raise InputError(f"{location}: not a Sphinx feature file: it does not begin with its number of values")
    if values % SPHINX_COEFFICIENTS:
        raise InputError(f"{location}: {values} values are not a multiple of {SPHINX_COEFFICIENTS} cepstra")
    num_frames = values // SPHINX_COEFFICIENTS
    return Features(
        type="sphinx_mfc",
        num_frames=num_frames,
        num_features=SPHINX_COEFFICIENTS,
        frame_shift=SPHINX_FRAME_SECONDS,
        sampling_rate=SPHINX_SAMPLE_RATE,
        start=0.0,
        duration=round(num_frames * SPHINX_FRAME_SECONDS, ndigits=8),
        storage_type="sphinx_mfc",
        storage_path=location,
        storage_key="",
        recording_id=id,
        channels=0,
    )
