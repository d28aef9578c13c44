"""Files of hypotheses: what `asr evaluate --details` and `asr transcribe --format json` write, and those of others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asr.data import manifest
from asr.data.manifest_files import manifest_kind, records
from asr.data.segments import READERS
from asr.data.tables import TABLES
from asr.data.timed_lines import read_ctm_words, read_stm
from asr.data.timed_text import TimedText
from asr.errors import InputError
from asr.utils.text_files import read_lines

# keys of JSON records: of ours, and of what NeMo, HTK's and Kaldi's users write
_IDS = ("id", "utt_id", "utterance_id", "source", "audio_filepath", "audio", "path")
_HYPOTHESES = ("hypothesis", "hyp", "pred_text", "prediction")
_REFERENCES = ("reference", "ref", "text")
TIME_MARKS = (".ctm", ".stm")  # NIST's formats of words and of segments with their times
_TRN = re.compile(r"(.*)\(([^()]+)\)\s*")
FORMATS = (
    "the JSON lines of asr evaluate --details, the JSON of asr transcribe, .trn ('text (id)'), .ctm (words with their "
    "times), or other text with an id and its text on each line"
)


@dataclass(frozen=True)
class Hypotheses:
    """Hypotheses by utterance id, and what their file says besides.

    Attributes:
        name: of the file or model, for people.
        texts: hypotheses.
        references: reference texts, of those utterances that have one.
        speakers: of those utterances whose speaker is known.
        is_phones: whether the texts are phones.
    """

    name: str
    texts: Mapping[str, str]
    references: Mapping[str, str] = field(default_factory=dict)
    speakers: Mapping[str, str] = field(default_factory=dict)
    is_phones: bool = False


def read(path: str | Path) -> Hypotheses:
    """Read a file of hypotheses, in one of `FORMATS`.

    JSON records have an id (or the path of the audio as ``source`` or ``audio_filepath``) and the text as
    ``hypothesis`` or ``pred_text``, with its reference as ``reference`` or ``text``; or only the hypothesis as
    ``text``. Files may be compressed.

    Raises:
        InputError: the file cannot be read, or a line is not of its format; file and line are named.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise InputError(f"{path}: {'a folder' if path.exists() else 'no such file'}; accepted is {FORMATS}")
    if manifest_kind(path) in (".json", ".jsonl"):
        return of_records(str(path), ((f"{path}, line {line}", record) for line, record in records(path)))
    return Hypotheses(str(path), _texts_by_id(path))


def of_records(name: str, rows: Iterator[tuple[str, Mapping[str, Any] | InputError]]) -> Hypotheses:
    """Return the hypotheses of JSON records, each given with its file and line; see `read`.

    Raises:
        InputError: there are no records, or one has no id or text, or an id is there twice.
    """
    texts: dict[str, str] = {}
    references: dict[str, str] = {}
    speakers: dict[str, str] = {}
    is_phones = True
    for where, record in rows:
        if isinstance(record, InputError):
            raise record
        id = _value(record, _IDS, where)
        if id is None:
            raise InputError(f"{where}: no {', '.join(_IDS[:4])} among the keys {', '.join(record)}")
        hypothesis, reference = _value(record, _HYPOTHESES, where), _value(record, _REFERENCES, where)
        if hypothesis is None and "text" in record:
            hypothesis, reference = _spoken(record) or reference, None
        if hypothesis is None:
            raise InputError(f"{where}: no hypothesis, pred_text or text among the keys {', '.join(record)}")
        if id in texts:
            raise InputError(f"{where}: utterance {id} is given twice")
        texts[id] = hypothesis
        if reference is not None:
            references[id] = reference
        if speaker := _value(record, ("speaker",), where):
            speakers[id] = speaker
        is_phones = is_phones and "phones" in record and "words" not in record
    if not texts:
        raise InputError(f"{name}: is empty; accepted is {FORMATS}")
    return Hypotheses(name, texts, references, speakers, is_phones)


def _spoken(record: Mapping[str, Any]) -> str | None:
    """The bare words of a transcript whose text has punctuation or digits."""
    words = record.get("spoken")
    if not isinstance(words, list) or not all(isinstance(word, dict) and "text" in word for word in words):
        return None
    return " ".join(str(word["text"]) for word in words)


def _value(record: Mapping[str, Any], names: tuple[str, ...], where: str) -> str | None:
    name = next((name for name in names if record.get(name) is not None), None)
    if name is None:
        return None
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"{where}: {name} is {value!r}, expected text")
    return " ".join(str(value).split())


def _texts_by_id(path: Path) -> dict[str, str]:
    """Read lines of sclite's trn format, ``text (id)``, or ``id text``; or of time marks, by recording."""
    kind = manifest_kind(path)
    if kind in TIME_MARKS:
        return _texts_by_recording(path, kind)
    is_trn = kind == ".trn"
    texts: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        where = f"{path}, line {number}"
        if is_trn:
            if (match := _TRN.fullmatch(line)) is None:
                raise InputError(f"{where}: {line.strip()[-40:]!r} does not end in the utterance's id in brackets")
            text, id = match.groups()
        else:
            id, *rest = line.split(maxsplit=1)
            text = rest[0] if rest else ""
        if id in texts:
            raise InputError(f"{where}: utterance {id} is given twice")
        texts[id] = " ".join(text.split())
    if not texts:
        raise InputError(f"{path}: is empty; accepted is {FORMATS}")
    return texts


def _texts_by_recording(path: Path, kind: str) -> dict[str, str]:
    """Read the texts of recordings, or of the channels of those that have several, from a file of time marks."""
    texts: dict[str, list[str]] = {}
    if kind == ".ctm":
        for recording, channels in read_ctm_words(path).items():
            for channel, words in channels.items():
                id = recording if len(channels) == 1 else f"{recording}-{channel}"
                texts[id] = [word.text for word in words]
    else:
        segments = stm_segments(path)
        channels_of: dict[str, set[str]] = {}
        for segment in segments:
            channels_of.setdefault(segment.recording, set()).add(segment.channel)
        for segment in sorted(segments, key=lambda segment: segment.start):
            several = len(channels_of[segment.recording]) > 1
            id = f"{segment.recording}-{segment.channel}" if several else segment.recording
            texts.setdefault(id, []).append(segment.text)
    if not texts:
        raise InputError(f"{path}: is empty; accepted is {FORMATS}")
    return {id: " ".join(parts) for id, parts in texts.items()}


def stm_segments(path: Path) -> list[TimedText]:
    """Return the segments of an STM file. Raises InputError for a line that is none."""
    segments = []
    for line in read_stm(path):
        if isinstance(line, InputError):
            raise line
        segments.append(line)
    return segments


@dataclass(frozen=True)
class References:
    """Reference texts by utterance id.

    Attributes:
        name: of their files.
        texts: references.
        speakers: of those utterances whose speaker is known.
        files: ids by the absolute path of the audio file, of whole recordings.
    """

    name: str
    texts: Mapping[str, str]
    speakers: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def complete(self, hypotheses: Hypotheses) -> Hypotheses:
        """Return hypotheses with these references and speakers, by these ids: paths of audio files are replaced."""
        ids = {id: self._find(id) for id in hypotheses.texts}
        return replace(
            hypotheses,
            texts={ids[id]: text for id, text in hypotheses.texts.items()},
            references={id: self.texts[id] for id in ids.values() if id in self.texts},
            speakers={ids[id]: name for id, name in hypotheses.speakers.items()} | dict(self.speakers),
        )

    def _find(self, id: str) -> str:
        if id in self.texts:
            return id
        path = os.path.splitext(id)[0]
        names = (self.files.get(os.path.abspath(id), ""), path, os.path.basename(path))
        return next((name for name in names if name in self.texts), id)


def read_references(paths: Sequence[str]) -> References:
    """Read references: manifests of speech, folders of audio beside ``.txt``, ``.trn`` files, or lines ``id text``.

    Raises:
        InputError: a file cannot be read, or an utterance is in two of them.
    """
    texts: dict[str, str] = {}
    speakers: dict[str, str] = {}
    files: dict[str, str] = {}
    for path in paths:
        kind = manifest_kind(Path(path))
        if Path(path).is_dir() or (kind in (".json", ".jsonl", *TABLES, *READERS) and kind not in TIME_MARKS):
            cuts = manifest.read(path)
            own = {cut.id: manifest.text(cut) for cut in cuts}
            speakers |= {cut.id: name for cut in cuts if (name := manifest.speaker(cut))}
            files |= {file: cut.id for cut in cuts if cut.start == 0 and (file := manifest.audio_path(cut))}
        else:
            own = _texts_by_id(Path(path))
        if twice := own.keys() & texts.keys():
            raise InputError(f"{path}: utterance {min(twice)} is in another file too")
        texts |= own
    return References(", ".join(paths), texts, speakers, files)
