"""Utterances of audio files with their texts or annotations beside them, in a folder or alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr import audio
from asr.data import segments
from asr.data.kaldi_folder import is_kaldi_folder, kaldi_rows
from asr.data.manifest_files import SHOWN, ManifestRow
from asr.data.tables import TABLES
from asr.data.timed_text import TimedText
from asr.errors import InputError
from asr.utils.folders import list_files
from asr.utils.text_files import read_text

# what may stand beside an audio file, in the order in which it is looked for
_BESIDE = (
    *(".txt", ".TXT", ".TextGrid", ".textgrid", ".TEXTGRID", ".eaf", ".EAF", ".srt", ".SRT", ".vtt", ".VTT"),
    *(".stm", ".STM", ".ctm", ".CTM", ".lab"),
)
_OF_SEVERAL = (".stm", ".ctm")  # may hold the segments of several recordings


def folder_rows(folder: Path, tier: str = "", skip_bad: int = 0) -> list[ManifestRow | InputError]:
    """List the audio files below ``folder``, each with the text of the ``.txt`` beside it or with its segments.

    The speaker is the name of the file's folder; empty for files directly in ``folder``. Where there is no ``.txt``,
    the segments are those of a file of the same name for `segments.read`; its speakers, if it names any, are used.
    A ``.txt`` with labels of Audacity has segments too. A folder of Kaldi is read by `kaldi_rows`.

    Args:
        folder: the folder.
        tier: of the annotation files, see `segments.read`.
        skip_bad: number of audio files without text that are accepted.

    Returns:
        The rows, and an InputError for each file of text that cannot be read or that is not there.

    Raises:
        InputError: more audio files without text.
    """
    if is_kaldi_folder(folder):
        return kaldi_rows(folder)
    rows: list[ManifestRow | InputError] = []
    without_text, tables = [], []
    for file in list_files(folder, {*audio.INPUT_EXTENSIONS, *TABLES, *_OF_SEVERAL}):
        name = file.relative_to(folder)
        if file.suffix.lower() not in audio.INPUT_EXTENSIONS:
            tables.append(name.as_posix())
            continue
        beside = (file.with_suffix(suffix) for suffix in _BESIDE)
        texts = next((path for path in beside if path.is_file()), None)
        if texts is None:
            without_text.append(name.as_posix())
            rows.append(InputError(f"{file}: no .txt beside it"))
            continue
        try:
            if segments.is_annotation(texts):
                rows += _segment_rows(texts, name, _of_recording(segments.read(texts, tier), texts, file.stem))
            else:
                text = " ".join(read_text(texts).split())
                rows.append(ManifestRow(name.with_suffix("").as_posix(), name.as_posix(), text, name.parent.name))
        except InputError as error:
            rows.append(error)
    if (count := len(without_text)) > skip_bad:
        listed = ", ".join(without_text[:SHOWN]) + (", …" if count > SHOWN else "")
        hint = f"; there is {tables[0]}: if it has the texts, give it in place of the folder" if tables else ""
        raise InputError(f"{folder}: {count} audio files have no .txt beside them: {listed}{hint}")
    return rows


def annotation_rows(annotation: Path, tier: str = "") -> list[ManifestRow | InputError]:
    """List the segments of one annotation file as utterances of the audio files beside it.

    These have the names of the recordings that the file names (STM, CTM), or else its own.

    Args:
        annotation: the file.
        tier: see `segments.read`.

    Raises:
        InputError: the annotation file cannot be read, or an audio file is not there.
    """
    found = segments.read(annotation, tier)
    names = list(dict.fromkeys(s.recording for s in found if isinstance(s, TimedText)))
    files = {path.stem: path for path in sorted(annotation.parent.iterdir(), reverse=True) if _is_audio(path)}
    if len(names) < 2 and annotation.stem in files:
        return _segment_rows(annotation, Path(files[annotation.stem].name), found)
    if missing := [name for name in names or [""] if Path(name).stem not in files and name not in files]:
        listed = ", ".join(name or annotation.stem for name in missing[:SHOWN]) + (
            ", …" if len(missing) > SHOWN else ""
        )
        raise InputError(f"{annotation}: no audio file of the same name beside it: {listed}")
    rows: list[ManifestRow | InputError] = [line for line in found if isinstance(line, InputError)]
    for name in names:
        own = [s for s in found if isinstance(s, TimedText) and s.recording == name]
        rows += _segment_rows(annotation, Path((files.get(name) or files[Path(name).stem]).name), own)
    return rows


def _of_recording(found: Sequence[TimedText | InputError], annotation: Path, stem: str) -> list[TimedText | InputError]:
    """Return the segments of one recording, of a file that may have those of several."""
    names = list(dict.fromkeys(s.recording for s in found if isinstance(s, TimedText)))
    if len(names) > 1 and stem not in names:
        raise InputError(f"{annotation}: has no segments of {stem}, but those of {', '.join(names[:SHOWN])}")
    return [s for s in found if len(names) < 2 or not isinstance(s, TimedText) or s.recording == stem]


def _segment_rows(
    annotation: Path, audio_name: Path, found: Sequence[TimedText | InputError]
) -> list[ManifestRow | InputError]:
    """List segments as utterances of an audio file, whose path is as the rows name it."""
    name = audio_name.with_suffix("").as_posix()
    rows: list[ManifestRow | InputError] = []
    ids: set[str] = set()
    for segment in found:
        if isinstance(segment, InputError):
            rows.append(segment)
            continue
        id = f"{name}-{round(segment.start * 1000):07d}"
        id = id if id not in ids else f"{id}-{segment.speaker or len(ids)}"  # speakers who begin at the same time
        ids.add(id)
        speaker = segment.speaker or audio_name.parent.name
        length = round(segment.end - segment.start, ndigits=8)
        place = f"{annotation}, line {segment.line}" if segment.line else str(annotation)
        rows.append(ManifestRow(id, audio_name.as_posix(), segment.text, speaker, segment.start, length, place))
    return rows


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in audio.INPUT_EXTENSIONS and path.is_file()
