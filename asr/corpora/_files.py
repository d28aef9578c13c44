"""What the corpora's folders have in common: audio beside lists of transcripts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr.audio import INPUT_EXTENSIONS
from asr.errors import InputError
from asr.utils.text_files import read_lines

log = logging.getLogger(__name__)

# Where a corpus lies there twice, the copy that lost nothing is read.
_PREFERENCE = {".flac": 0, ".wav": 1, ".sph": 2}


def audio_files(paths: Iterable[Path]) -> dict[str, Path]:
    """The audio files among the paths by name without extension; FLAC and WAV go before other copies."""
    found = [path for path in paths if path.suffix.lower() in INPUT_EXTENSIONS and not path.name.startswith(".")]
    found.sort(key=lambda path: (_PREFERENCE.get(path.suffix.lower(), len(_PREFERENCE)), path), reverse=True)
    return {path.stem: path for path in found}


def lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a UTF-8 file that are not blank, each as its first word and the rest.

    Raises:
        InputError: the file is missing or not UTF-8.
    """
    split = [line.split(maxsplit=1) for line in read_lines(path) if line.strip()]
    return [(fields[0], fields[1].strip() if len(fields) > 1 else "") for fields in split]


def pair(transcripts: Mapping[str, object], audio: Mapping[str, object], where: str | Path) -> list[str]:
    """Names that have both, in the order of the transcripts; how many have one only is logged as a warning.

    Raises:
        InputError: no name has both.
    """
    both = [name for name in transcripts if name in audio]
    if not both:
        raise InputError(f"{where}: none of {len(transcripts)} transcripts has one of the {len(audio)} audio files")
    silent = [name for name in transcripts if name not in audio]
    untold = [name for name in audio if name not in transcripts]
    for count, what in ((silent, "transcripts without audio"), (untold, "audio files without transcript")):
        if count:
            log.warning("%s: %d %s were left out (the first: %s)", where, len(count), what, count[0])
    return both
