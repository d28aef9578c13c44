"""Manifests: which stretch of which audio file says what, and by whom.

In memory and on disk a manifest is a list of Lhotse ``MonoCut``: one recording (or one feature file) and
exactly one supervision each. :func:`read` also takes NeMo manifests, CSV/TSV tables and folders of audio
beside ``.txt`` files. Lhotse never opens audio: ``asr.audio.info`` describes it, ``asr.audio.read`` reads it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from asr import audio
from asr.data.manifest_files import (
    FORMATS,
    ManifestRow,
    check_files_exist,
    check_unique,
    folder_rows,
    from_manifest_path,
    parse,
    records,
    to_manifest_path,
    write_records,
)
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

EXTENSION = ".jsonl.gz"  # of the manifests that are made of a corpus

# Manifests of others round times to two decimals, and the length of an MP3 is known to a frame (26 ms) only:
# a segment that ends this many seconds behind the end of its file is cut there instead of refused.
TOLERANCE = 0.05

# CMU Sphinx cepstra as its front end writes them: 13 coefficients, 100 frames a second.
SPHINX_COEFFICIENTS = 13
SPHINX_FRAME_SECONDS = 0.01
SPHINX_SAMPLE_RATE = 16000


class ManifestSummary(NamedTuple):
    """Size of a manifest; ``speakers`` counts the named ones only."""

    hours: float
    speakers: int
    utterances: int


def text(cut: MonoCut) -> str:
    """What is said in the cut, as the corpus spells it."""
    return cut.supervisions[0].text


def speaker(cut: MonoCut) -> str:
    """The cut's speaker; empty where unknown."""
    return cut.supervisions[0].speaker or ""


def phones(cut: MonoCut) -> str | None:
    """Phones separated by blanks, or None where the corpus has none for this cut."""
    return (cut.supervisions[0].custom or {}).get("phones")


def audio_path(cut: MonoCut) -> str | None:
    """Path of the audio file, or None for a cut that has features only."""
    return cut.recording.sources[0].source if cut.recording is not None else None


def features_path(cut: MonoCut) -> str | None:
    """Path of the feature file, or None for a cut without features."""
    return cut.features.storage_path if cut.features is not None else None


def summary(cuts: Iterable[MonoCut]) -> ManifestSummary:
    """Hours, named speakers and utterances of the cuts."""
    cuts = list(cuts)
    speakers = {speaker(cut) for cut in cuts} - {""}
    return ManifestSummary(sum(cut.duration for cut in cuts) / 3600, len(speakers), len(cuts))


def make_cut(
    id: str,
    audio_path: str | Path | None,
    text: str,
    speaker: str = "",
    *,
    start: float = 0.0,
    duration: float | None = None,
    phones: str | None = None,
    features: str | Path | None = None,
    gender: str | None = None,
    custom: dict[str, Any] | None = None,
) -> MonoCut:
    """One utterance: ``duration`` seconds of an audio file from ``start`` seconds on (None: to its end).

    Args:
        audio_path: the audio file, of which only the header is read; None when ``features`` is given instead.
        phones: labels separated by blanks.
        features: a Sphinx ``.mfc`` file of 13 cepstra at 100 frames a second, used from beginning to end.
        custom: anything else to keep with the supervision (must be JSON).

    Raises:
        InputError: the segment is empty or leaves the file, or the file is no audio (or no cepstra).
    """
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    extra = {**({"phones": phones} if phones is not None else {}), **(custom or {})}
    recording = cepstra = None
    if audio_path is not None:
        location = os.path.abspath(audio_path)
        info = audio.info(location)
        num_samples = round(info.duration * info.sample_rate)
        total = num_samples / info.sample_rate
        # One channel, whatever the file has: asr.audio mixes all of them down.
        source = AudioSource(type="file", channels=[0], source=location)
        recording = Recording(
            id=id, sources=[source], sampling_rate=info.sample_rate, num_samples=num_samples, duration=total
        )
    elif features is not None:
        location = os.path.abspath(features)
        cepstra = _sphinx_features(id, location)
        total = cepstra.duration
    else:
        raise InputError(f"utterance {id}: neither audio nor features")
    start, duration = _segment(start, duration, total, location)
    supervision = SupervisionSegment(
        id=id,
        recording_id=id,
        start=0.0,
        duration=duration,
        text=text,
        speaker=speaker or None,
        gender=gender,
        custom=extra or None,
    )
    return MonoCut(
        id=id,
        start=start,
        duration=duration,
        channel=0,
        recording=recording,
        features=cepstra,
        supervisions=[supervision],
    )


def _segment(start: float, duration: float | None, total: float, location: str) -> tuple[float, float]:
    """The segment, clipped to the file's end when it misses that by no more than TOLERANCE."""
    end = total if duration is None else start + duration
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or end > total + TOLERANCE:
        raise InputError(f"the segment {start:g}–{end:g} s is not inside {location} ({total:.2f} s)")
    if (length := min(end, total) - start) <= 0:
        raise InputError(f"the segment {start:g}–{end:g} s of {location} ({total:.2f} s) is empty")
    return start, round(length, ndigits=8)


def _sphinx_features(id: str, location: str) -> Any:
    """Lhotse's view of a Sphinx feature file: int32 count of values, then float32 in the same byte order."""
    from lhotse import Features

    try:
        with open(location, "rb") as file:
            header = file.read(4)
    except OSError as error:
        raise InputError(f"{location}: {error.strerror}") from error
    values = os.path.getsize(location) // 4 - 1
    if values <= 0 or values not in (int.from_bytes(header, "big"), int.from_bytes(header, "little")):
        raise InputError(f"{location}: not a Sphinx feature file (it does not begin with its count of values)")
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


def write(cuts: Iterable[MonoCut], path: str | Path) -> bool:
    """Write cuts to ``.jsonl`` or ``.jsonl.gz``; the same cuts always give the same bytes.

    The file appears at once or not at all. Audio below the manifest's folder is named relative to it, so that
    the folder can be moved; all other audio by its absolute path.

    Returns:
        whether the file changed (False: it had these contents already and was left alone).

    Raises:
        InputError: no cuts, two cuts of one id, another extension, or a folder that cannot be written.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)
    return write_records(((cut.id, _portable(cut.to_dict(), folder)) for cut in cuts), path, "utterances")


def _portable(record: dict[str, Any], folder: str) -> dict[str, Any]:
    """The cut's dictionary with paths below ``folder`` made relative to it."""
    for source in record.get("recording", {}).get("sources", []):
        source["source"] = to_manifest_path(source["source"], folder)
    if "features" in record:
        record["features"]["storage_path"] = to_manifest_path(record["features"]["storage_path"], folder)
    return record


def read(path: str | Path) -> list[MonoCut]:
    """Read a manifest of any known kind; every audio file in it is checked to exist.

    - Lhotse cuts (``.jsonl``, ``.jsonl.gz``): ``MonoCut`` with one supervision each;
    - NeMo manifests and other JSON lines: ``audio_filepath``, ``text`` [``duration``, ``offset``,
      ``speaker``, ``id``];
    - CSV or TSV with a header that names such columns (also ``audio``, ``path``, ``file``, ``wav``;
      ``transcript``, ``sentence``; ``start``);
    - a folder of audio files, each beside a ``.txt`` of the same name; the speaker is the folder it lies in.

    Relative paths start at the manifest's folder or, where there is no such file (icefall and NeMo write them
    so), at the working directory.

    Raises:
        InputError: naming the file and line, for anything that cannot be understood or is not there.
    """
    path = Path(path)
    if path.is_dir():
        entries: list[tuple[str, ManifestRow | MonoCut]] = [(str(path / row.audio), row) for row in folder_rows(path)]
    elif path.exists():
        entries = [_entry(record, f"{path}, line {line}") for line, record in records(path)]
    else:
        raise InputError(f"{path}: no such manifest or folder")
    if not entries:
        what = "has no audio files" if path.is_dir() else "is empty"
        raise InputError(f"{path}: {what} (a manifest is {FORMATS})")
    check_unique((entry.id, where) for where, entry in entries)
    folder = path if path.is_dir() else path.parent
    located = [(where, *_locate(entry, folder)) for where, entry in entries]
    check_files_exist([(where, file) for where, _, file in located], path, "audio files")
    return [_cut(entry, file, where) for where, entry, file in located]


def _entry(record: dict[str, Any], where: str) -> tuple[str, ManifestRow | MonoCut]:
    is_lhotse = not record.keys().isdisjoint({"type", "supervisions", "sources", "recording_id"})
    return where, _parse_cut(record, where) if is_lhotse else parse(record, where)


def _parse_cut(record: dict[str, Any], where: str) -> MonoCut:
    from lhotse import MonoCut

    kind = record.get("type")
    if kind != "MonoCut":
        raise InputError(f"{where}: a Lhotse {kind or 'recording or supervision'}, expected a MonoCut")
    fields = {key: value for key, value in record.items() if key != "type"}
    try:
        cut = MonoCut.from_dict(fields)
        count = len(cut.supervisions)
    except Exception as error:  # whatever Lhotse's constructors stumble over
        raise InputError(f"{where}: not a Lhotse cut: {type(error).__name__}: {error}") from error
    if count != 1:
        hint = "; split it with CutSet.trim_to_supervisions()" if count > 1 else ""
        raise InputError(f"{where}: cut {cut.id} has {count} supervisions, expected exactly one{hint}")
    if not isinstance(cut.supervisions[0].text, str):
        raise InputError(f"{where}: the supervision of cut {cut.id} has no text")
    if not 0 < cut.duration < math.inf:
        raise InputError(f"{where}: duration of cut {cut.id} is {cut.duration:g}, expected seconds above 0")
    _check_recording(cut, where)
    return cut


def _check_recording(cut: MonoCut, where: str) -> None:
    """Refuse what asr.audio would read differently from Lhotse."""
    recording = cut.recording
    if recording is None:
        if cut.features is None:
            raise InputError(f"{where}: cut {cut.id} has neither a recording nor features")
        return
    if [source.type for source in recording.sources] != ["file"]:
        raise InputError(f"{where}: cut {cut.id} is not of one audio file (CutSet.save_audios() makes it so)")
    if recording.transforms or recording.num_channels > 1:
        what = "Lhotse transforms" if recording.transforms else f"{recording.num_channels} channels"
        raise InputError(f"{where}: cut {cut.id} has {what} (CutSet.save_audios() writes it as mono audio)")
    if cut.start < 0 or cut.start + cut.duration > recording.duration + TOLERANCE:
        raise InputError(
            f"{where}: cut {cut.id} is the segment {cut.start:g}–{cut.start + cut.duration:g} s "
            f"of a recording of {recording.duration:g} s"
        )


def _locate(entry: ManifestRow | MonoCut, folder: Path) -> tuple[ManifestRow | MonoCut, str]:
    """The entry and the absolute path of its audio or feature file; a cut is changed to hold that path."""
    if isinstance(entry, ManifestRow):
        return entry, from_manifest_path(entry.audio, folder)
    if entry.features is not None:
        entry.features.storage_path = from_manifest_path(entry.features.storage_path, folder)
    if entry.recording is None:
        return entry, entry.features.storage_path
    source = entry.recording.sources[0]
    source.source = from_manifest_path(source.source, folder)
    return entry, source.source


def _cut(entry: ManifestRow | MonoCut, file: str, where: str) -> MonoCut:
    if not isinstance(entry, ManifestRow):
        return entry
    try:
        return make_cut(entry.id, file, entry.text, entry.speaker, start=entry.start, duration=entry.duration)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
