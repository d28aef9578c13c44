"""Speech manifests: the audio segment, transcript and speaker of each utterance.

In memory and on disk a manifest is a list of Lhotse ``MonoCut``, each with one recording (or one feature file) and
exactly one supervision. `read` also takes NeMo manifests, CSV and TSV tables, and folders of audio beside ``.txt``
files. Lhotse never opens audio: `asr.audio.info` describes it, `asr.audio.read` reads it.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from asr import audio
from asr.data import segments
from asr.data.annotated_audio import annotation_rows, folder_rows
from asr.data.manifest_files import (
    FORMATS,
    SHOWN_ROWS,
    ManifestRow,
    from_manifest_path,
    ignored_columns,
    parse,
    records,
    to_manifest_path,
    write_records,
)
from asr.data.sphinx import describe_sphinx
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

log = logging.getLogger(__name__)

EXTENSION = ".jsonl.gz"  # of the manifests that `asr prepare` writes

# Seconds by which a segment may exceed its file; it is clipped then. Other programs' manifests round times to two
# decimals, and the duration of an MP3 is known to a frame (26 ms) only.
TOLERANCE = 0.05

# Lhotse's names of the kinds of feature files that can be read
FEATURE_STORAGE = ("sphinx_mfc", "kaldiio")


class ManifestSummary(NamedTuple):
    """Size of a manifest; ``speakers`` counts only those with a name."""

    hours: float
    speakers: int
    utterances: int


def text(cut: MonoCut) -> str:
    """Return the transcript of a cut, as the corpus spells it."""
    return cut.supervisions[0].text


def speaker(cut: MonoCut) -> str:
    """Return the speaker of a cut; empty where unknown."""
    return cut.supervisions[0].speaker or ""


def phones(cut: MonoCut) -> str | None:
    """Return the phones of a cut, separated by spaces, or None where it has none."""
    return (cut.supervisions[0].custom or {}).get("phones")


def audio_path(cut: MonoCut) -> str | None:
    """Return the path of the audio file, or None for a cut that has features only."""
    return cut.recording.sources[0].source if cut.recording is not None else None


def summary(cuts: Iterable[MonoCut]) -> ManifestSummary:
    """Count hours, speakers and utterances of cuts."""
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
    info: audio.AudioInfo | None = None,
) -> MonoCut:
    """Make one utterance of a segment of an audio file, or of a feature file.

    Args:
        id: name of the utterance, unique in its manifest.
        audio_path: the audio file, of which only the header is read; None if ``features`` is given instead.
        text: transcript.
        speaker: name of the speaker; empty where unknown.
        start: of the segment, in seconds.
        duration: of the segment, in seconds; None: to the end of the file.
        phones: labels separated by spaces.
        features: a Sphinx ``.mfc`` file of 13 cepstra at 100 frames per second, used from beginning to end.
        gender: of the speaker.
        custom: anything else to keep with the supervision (JSON values).
        info: of the audio file, if it is known already.

    Raises:
        InputError: the segment is empty or exceeds the file, or the file is no audio (or no cepstra).
    """
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    extra = {**({"phones": phones} if phones is not None else {}), **(custom or {})}
    recording = cepstra = None
    if audio_path is not None:
        location = os.path.abspath(audio_path)
        info = info or audio.info(location, strict=True)  # its transcript is that of the whole
        num_samples = round(info.duration * info.sample_rate)
        total = num_samples / info.sample_rate
        # one channel, whatever the file has: asr.audio mixes all of them down
        source = AudioSource(type="file", channels=[0], source=location)
        recording = Recording(
            id=id, sources=[source], sampling_rate=info.sample_rate, num_samples=num_samples, duration=total
        )
    elif features is not None:
        location = os.path.abspath(features)
        cepstra = describe_sphinx(id, location)
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
    """Check the segment, and clip it to the file's end if it exceeds that by no more than TOLERANCE."""
    end = total if duration is None else start + duration
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or end > total + TOLERANCE:
        raise InputError(f"the segment {start:g}–{end:g} s is not inside {location} ({total:.2f} s)")
    if (length := min(end, total) - start) <= 0:
        raise InputError(f"the segment {start:g}–{end:g} s of {location} ({total:.2f} s) is empty")
    return start, round(length, ndigits=8)


def write(cuts: Iterable[MonoCut], path: str | Path) -> bool:
    """Write cuts to ``.jsonl`` or ``.jsonl.gz``; the same cuts always give the same bytes.

    The file is replaced as a whole or not at all. Audio below the manifest's folder is named relative to it, so that
    the folder can be moved; all other audio by its absolute path.

    Returns:
        Whether the file changed.

    Raises:
        InputError: no cuts, two cuts with one id, another extension, or a folder that cannot be written.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)
    return write_records(((cut.id, _portable(cut.to_dict(), folder)) for cut in cuts), path, "utterances")


def _portable(record: dict[str, Any], folder: str) -> dict[str, Any]:
    """Make the paths below ``folder`` in a cut's dictionary relative to it."""
    for source in record.get("recording", {}).get("sources", []):
        source["source"] = to_manifest_path(source["source"], folder)
    if "features" in record:
        record["features"]["storage_path"] = to_manifest_path(record["features"]["storage_path"], folder)
    return record


def read(path: str | Path, *, skip_bad: int = 0, tier: str = "") -> list[MonoCut]:
    """Read a manifest of any known format; every audio file in it must exist.

    - Lhotse cuts (``.jsonl``): ``MonoCut`` with one supervision each;
    - NeMo manifests and other JSON, one object a line or an array: ``audio_filepath``, ``text`` [``duration``,
      ``offset``, ``end``, ``speaker``, ``id``];
    - CSV, TSV or Excel tables with a header that names these columns, or others of `manifest_files.AUDIO_COLUMNS` and
      the lists after it;
    - a folder of audio files, each beside a ``.txt`` of the same name; the speaker is the name of the file's folder; or
      beside an annotation of its segments (``.TextGrid``, ``.eaf``, ``.srt``, ``.vtt``, ``.ctm``, ``.stm``, or
      labels of Audacity in a ``.txt``);
    - one such annotation file beside its audio file or files;
    - a data folder of Kaldi, see `kaldi_folder`.

    Files may be compressed (``.gz``, ``.xz``, ``.bz2``). Relative paths start at the manifest's folder or, where there
    is no such file (icefall and NeMo write them so), at the working directory. Columns without effect are logged.

    Args:
        path: the manifest or folder.
        skip_bad: number of utterances that may be left out because they cannot be read, with a warning.
        tier: of annotation files, see `segments.read`.

    Raises:
        InputError: a manifest or audio file that is missing or faulty; all faulty utterances are named with file and
            line.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    entries = _entries(path, tier, skip_bad)
    if not entries:
        what = "has no audio files" if path.is_dir() else "is empty"
        raise InputError(f"{path}: {what} (a manifest is {FORMATS})")
    seen: dict[str, str] = {}
    infos: dict[str, audio.AudioInfo] = {}
    results = [_read_entry(where, entry, folder, seen, infos) for where, entry in entries]
    errors = [result for result in results if isinstance(result, InputError)]
    if len(errors) > skip_bad:
        if len(entries) == 1:
            raise errors[0]
        limit = f"more than {skip_bad}" if skip_bad else f"asr prepare folder --skip-bad {len(errors)} leaves them out"
        raise InputError(_describe_errors(path, errors, len(entries), f" ({limit})"))
    if errors:
        log.warning("%s", _describe_errors(path, errors, len(entries), " and are left out"))
    if not (cuts := [result for result in results if not isinstance(result, InputError)]):
        raise InputError(f"{path}: no utterance is left")
    return cuts


def _entries(path: Path, tier: str, skip_bad: int) -> list[tuple[str, ManifestRow | MonoCut | InputError]]:
    """Return the utterances of a manifest or folder with the file and line of each; log columns without effect."""
    if path.is_dir():
        rows = folder_rows(path, tier, skip_bad)
        return [("", r) if isinstance(r, InputError) else (r.place or str(path / r.audio), r) for r in rows]
    if not path.exists():
        raise InputError(f"{path}: no such manifest or folder")
    if segments.is_annotation(path):
        return [(getattr(row, "place", ""), row) for row in annotation_rows(path, tier)]
    if tier:
        raise InputError(f"{path}: only TextGrid and ELAN files have tiers")
    known: list[dict[str, Any]] = []
    entries: list[tuple[str, ManifestRow | MonoCut | InputError]] = []
    for line, record in records(path):
        where = f"{path}, line {line}"
        entries.append((where, _entry(record, where)))
        if isinstance(record, dict) and isinstance(entries[-1][1], ManifestRow):
            known.append(record)
    if ignored := ignored_columns(known):
        log.warning("%s: columns without effect: %s", path, ", ".join(ignored))
    return entries


def _entry(record: dict[str, Any] | InputError, where: str) -> ManifestRow | MonoCut | InputError:
    if isinstance(record, InputError):
        return record
    is_lhotse = not record.keys().isdisjoint({"type", "supervisions", "sources", "recording_id"})
    try:
        return _parse_cut(record, where) if is_lhotse else parse(record, where)
    except InputError as error:
        return error


def _read_entry(
    where: str,
    entry: ManifestRow | MonoCut | InputError,
    folder: Path,
    seen: dict[str, str],
    infos: dict[str, audio.AudioInfo],
) -> MonoCut | InputError:
    """Return the cut of an entry, or what is wrong with it; add its id to ``seen``, its audio file to ``infos``."""
    if isinstance(entry, InputError):
        return entry
    entry, file = _locate(entry, folder)
    if (place := seen.setdefault(entry.id, where)) is not where:
        return InputError(f"{where}: the id {entry.id!r} was used already ({place})")
    if not os.path.isfile(file):
        return InputError(f"{where}: {file} does not exist")
    if not isinstance(entry, ManifestRow):
        return entry
    try:
        if file not in infos:
            infos[file] = audio.info(file, strict=True)
        return make_cut(
            *(entry.id, file, entry.text, entry.speaker), start=entry.start, duration=entry.duration, info=infos[file]
        )
    except InputError as error:
        return InputError(f"{where}: {error}")


def _describe_errors(path: Path, errors: Sequence[InputError], count: int, what: str) -> str:
    """List the utterances that cannot be read."""
    listed = [str(error).removeprefix(f"{path}, ") for error in errors[:SHOWN_ROWS]]
    if len(errors) > SHOWN_ROWS:
        listed.append(f"… and {len(errors) - SHOWN_ROWS} more")
    return "\n  ".join([f"{path}: {len(errors)} of {count} utterances cannot be read{what}:", *listed])


def _parse_cut(record: dict[str, Any], where: str) -> MonoCut:
    from lhotse import MonoCut

    kind = record.get("type")
    if kind != "MonoCut":
        raise InputError(f"{where}: a Lhotse {kind or 'recording or supervision'}, expected a MonoCut")
    fields = {key: value for key, value in record.items() if key != "type"}
    try:
        cut = MonoCut.from_dict(fields)
        count = len(cut.supervisions)
    except Exception as error:  # Lhotse's constructors raise many kinds
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
    """Raise InputError for recordings that asr.audio would read differently from Lhotse."""
    recording = cut.recording
    if recording is None:
        if cut.features is None:
            raise InputError(f"{where}: cut {cut.id} has neither a recording nor features")
        if (kind := cut.features.storage_type) not in FEATURE_STORAGE:
            raise InputError(
                f"{where}: the features of cut {cut.id} are stored as {kind}, which is not one of "
                f"{', '.join(FEATURE_STORAGE)}; give the cut a recording"
            )
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
    """Return the entry and the absolute path of its audio or feature file, which is stored in a cut too."""
    if isinstance(entry, ManifestRow):
        return entry, from_manifest_path(entry.audio, folder)
    if entry.features is not None:
        entry.features.storage_path = from_manifest_path(entry.features.storage_path, folder)
    if entry.recording is None:
        return entry, entry.features.storage_path
    source = entry.recording.sources[0]
    source.source = from_manifest_path(source.source, folder)
    return entry, source.source
