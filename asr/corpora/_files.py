"""Audio files and lists of transcripts in the folders of corpora."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr.audio import INPUT_EXTENSIONS
from asr.errors import InputError
from asr.utils.text_files import read_lines

log = logging.getLogger(__name__)

# where a corpus has a recording twice, the lossless copy is read
_PREFERENCE = {".flac": 0, ".wav": 1, ".sph": 2}


def audio_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the audio files among the paths by name without extension; FLAC and WAV are preferred to other copies."""
    files = [path for path in paths if path.suffix.lower() in INPUT_EXTENSIONS and not path.name.startswith(".")]
    files.sort(key=lambda path: (_PREFERENCE.get(path.suffix.lower(), len(_PREFERENCE)), path), reverse=True)
    return {path.stem: path for path in files}


def key_values(path: Path) -> list[tuple[str, str]]:
    """Read the lines of a text file that are not blank, each as its first word and the rest.

    Raises:
        InputError: the file cannot be read as UTF-8 text.
    """
    fields = [line.split(maxsplit=1) for line in read_lines(path) if line.strip()]
    return [(first, rest[0].strip() if rest else "") for first, *rest in fields]


def pair(transcripts: Mapping[str, object], audio: Mapping[str, object], where: str | Path) -> list[str]:
    """List the utterances that have both, in the order of the transcripts; log a warning with the number of others.

    Raises:
        InputError: no utterance has both.
    """
    both = [name for name in transcripts if name in audio]
    if not both:
        raise InputError(f"{where}: none of {len(transcripts)} transcripts belongs to one of {len(audio)} audio files")
    without_audio = [name for name in transcripts if name not in audio]
    without_transcript = [name for name in audio if name not in transcripts]
    for names, what in (
        (without_audio, "transcripts without audio"),
        (without_transcript, "audio files without transcript"),
    ):
        if names:
            log.warning("%s: %d %s were left out (the first: %s)", where, len(names), what, names[0])
    return both
