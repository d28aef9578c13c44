"""Write audio that arrives to a file, of which nothing is lost if the program ends."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr.errors import InputError
from asr.utils.atomic import name_file

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
SYNC_SECONDS = 5.0  # after which what was written is brought to the disk


class AudioWriter:
    """Writes 16-bit mono samples to a file beside ``path``, with ``.part`` in its name, which `close` renames.

    Should the program be killed, the audio is in that file.

    Args:
        path: ends with .wav or .flac.
        rate: of the samples in Hz.
        overwrite: replace a file that exists.

    Raises:
        InputError: another kind of file, a file that exists, or one that an earlier program left.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, rate: int, overwrite: bool = False) -> None:
        if path.suffix.lower() not in FORMATS:
            raise InputError(f"{path}: audio is written as {' or '.join(FORMATS)}")
        if path.is_dir() or (path.exists() and not overwrite):
            raise InputError(f"{path}: exists; give another name" + ("" if path.is_dir() else ", or --overwrite"))
        self.path = path
        self.temporary = path.with_name(f"{path.stem}.part{path.suffix}")
        if self.temporary.exists():
            raise InputError(f"{self.temporary}: left by a recording that was cut short; rename or delete it")
        self.rate = rate
        self._unsynced = 0
        with name_file(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._raw: Any = self.temporary.open("xb")
            self._file: Any = soundfile.SoundFile(
                self._raw, "w", rate, 1, "PCM_16", format=FORMATS[path.suffix.lower()]
            )

    def write(self, samples: np.ndarray) -> None:
        """Write samples (S,) float32 within ±1."""
        with _writing(self.path):
            # not floats, of which libsndfile refuses those that are no numbers
            self._file.write((np.clip(np.nan_to_num(samples), -1, 1) * 32767).round().astype(np.int16))
            self._unsynced += len(samples)
            if self._unsynced >= SYNC_SECONDS * self.rate:
                self._file.flush()
                self._raw.flush()
                self._unsynced = 0

    def close(self) -> None:
        """End the file and give it its name; also after an error in writing."""
        with _writing(self.path):
            try:
                self._file.close()
            finally:
                self._raw.close()
                self.temporary.replace(self.path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise an OSError that names the file, also for what libsndfile says of a disk that is full."""
    try:
        with name_file(path):
            yield
    except (soundfile.SoundFileError, AssertionError) as error:  # the latter where less was written than given
        raise OSError(errno.EIO, str(error) or "less was written than there was", str(path)) from error
