"""Utterances of audio files with their texts or annotations beside them, in a folder or alone."""

from __future__ import annotations

from pathlib import Path

from asr import audio
from asr.data import segments
from asr.data.manifest_files import SHOWN, ManifestRow
from asr.data.tables import TABLES
from asr.errors import InputError
from asr.utils.folders import list_files
from asr.utils.text_files import read_text

# what may stand beside an audio file, in the order in which it is looked for
_BESIDE = (".txt", ".TXT", ".TextGrid", ".textgrid", ".TEXTGRID", ".eaf", ".EAF", ".srt", ".SRT", ".vtt", ".VTT")


def folder_rows(folder: Path, tier: str = "", skip_bad: int = 0) -> list[ManifestRow | InputError]:
    """List the audio files below ``folder``, each with the text of the ``.txt`` beside it or with its segments.

    The speaker is the name of the file's folder; empty for files directly in ``folder``. Where there is no ``.txt``,
    the segments are those of a file of the same name for `segments.read`; its speakers, if it names any, are used.

    Args:
        folder: the folder.
        tier: of the annotation files, see `segments.read`.
        skip_bad: number of audio files without text that are accepted.

    Returns:
        The rows, and an InputError for each file of text that cannot be read or that is not there.

    Raises:
        InputError: more audio files without text.
    """
    rows: list[ManifestRow | InputError] = []
    without_text, tables = [], []
    for file in list_files(folder, {*audio.INPUT_EXTENSIONS, *TABLES}):
        name = file.relative_to(folder)
        if file.suffix.lower() in TABLES:
            tables.append(name.as_posix())
            continue
        beside = (file.with_suffix(suffix) for suffix in _BESIDE)
        texts = next((path for path in beside if path.is_file()), None)
        if texts is None:
            without_text.append(name.as_posix())
            rows.append(InputError(f"{file}: no .txt beside it"))
            continue
        try:
            if texts.suffix.lower() in segments.READERS:
                rows += segment_rows(texts, name, tier)
            else:
                text = " ".join(read_text(texts).split())
                rows.append(ManifestRow(name.with_suffix("").as_posix(), name.as_posix(), text, name.parent.name))
        except InputError as error:
            rows.append(error)
    if (count := len(without_text)) > skip_bad:
        listed = ", ".join(without_text[:SHOWN]) + (", …" if count > SHOWN else "")
        hint = f"; there is a table, {tables[0]}: if it has the texts, give it in place of the folder" if tables else ""
        raise InputError(f"{folder}: {count} audio files have no .txt beside them: {listed}{hint}")
    return rows


def segment_rows(annotation: Path, audio_name: Path, tier: str = "") -> list[ManifestRow]:
    """List the segments of an annotation file for `segments.read` as utterances of an audio file.

    Args:
        annotation: the file.
        audio_name: path of the audio file, as the rows name it.
        tier: see `segments.read`.

    Raises:
        InputError: the annotation file cannot be read.
    """
    name = audio_name.with_suffix("").as_posix()
    rows: list[ManifestRow] = []
    ids: set[str] = set()
    for segment in segments.read(annotation, tier):
        id = f"{name}-{round(segment.start * 1000):07d}"
        id = id if id not in ids else f"{id}-{segment.speaker or len(ids)}"  # speakers who begin at the same time
        ids.add(id)
        speaker = segment.speaker or audio_name.parent.name
        length = round(segment.end - segment.start, ndigits=8)
        place = f"{annotation}, line {segment.line}" if segment.line else str(annotation)
        rows.append(ManifestRow(id, audio_name.as_posix(), segment.text, speaker, segment.start, length, place))
    return rows


def audio_beside(annotation: Path) -> Path:
    """Return the name of the audio file beside an annotation file. Raises InputError if there is none."""
    files = [path for path in sorted(annotation.parent.iterdir()) if path.stem == annotation.stem]
    for path in files:
        if path.suffix.lower() in audio.INPUT_EXTENSIONS and path.is_file():
            return Path(path.name)
    raise InputError(f"{annotation}: no audio file of the same name beside it")
