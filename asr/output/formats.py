"""File formats of transcripts: txt, json, srt, vtt, tsv, ctm, TextGrid."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path

from asr.errors import InputError
from asr.output.cues import Cue, CueLimits, make_cues
from asr.output.transcript import Transcript, Word
from asr.utils.escape import to_json
from asr.utils.options import check_choice


@dataclass(frozen=True)
class Format:
    """A file format: functions of what a file holds and of the limits of its cues, if it has any.

    Attributes:
        one: renders the content of a file with one transcript.
        several: renders the content of a file with a sequence of transcripts; None: a file holds only one recording.
        channels: renders the content of a file with the channels or speakers of one recording, where ``several`` is
            None.
    """

    one: Callable[[Transcript, CueLimits], str]
    several: Callable[[Sequence[Transcript], CueLimits], str] | None = None
    channels: Callable[[Sequence[Transcript], CueLimits], str] | None = None


def check_format(format: str) -> None:
    """Raise InputError unless a format is one of `FORMATS`."""
    check_choice("format", format, FORMATS)


def parse_formats(formats: str) -> list[str]:
    """Split the names of formats at commas, each once. Raises InputError for one that is not of `FORMATS`."""
    names = list(dict.fromkeys(name.strip() for name in formats.split(",")))
    for name in names:
        check_format(name)
    return names


def render(transcripts: Transcript | Sequence[Transcript], format: str, limits: CueLimits | None = None) -> str:
    """Return the content of a file, which ends in a newline unless it is empty.

    Args:
        transcripts: one or a sequence. Formats that hold several render a sequence of one as a sequence (json: an
            array). The others hold one, or the channels or speakers of one recording.
        format: a key of `FORMATS`, which describes them.
        limits: of the cues of subtitles; None: the defaults.

    Raises:
        InputError: another format, or several transcripts in a format that holds one.
    """
    check_format(format)
    row, limits = FORMATS[format], limits or CueLimits()
    if isinstance(transcripts, Transcript):
        return row.one(transcripts, limits)
    if row.several is not None:
        return row.several(transcripts, limits)
    if row.channels is not None and _are_channels(transcripts):
        return row.channels(transcripts, limits)
    if len(transcripts) != 1:
        many = ", ".join(name for name, row in FORMATS.items() if row.several)
        raise InputError(f"a {format} file holds one transcript, not {len(transcripts)}; several fit in: {many}")
    return row.one(transcripts[0], limits)


def _are_channels(transcripts: Sequence[Transcript]) -> bool:
    """Whether transcripts are those of different channels or speakers of one recording."""
    voices = {(transcript.channel, transcript.speaker) for transcript in transcripts}
    sources = {transcript.source for transcript in transcripts}
    return len(transcripts) > 1 and len(sources) == 1 and len(voices) == len(transcripts)


def _txt(transcripts: Sequence[Transcript]) -> str:
    return "".join(f"{_line(transcript.text)}\n" for transcript in transcripts)


def _json(content: object) -> str:
    return to_json(content, indent=2) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def _object(transcript: Transcript) -> object:
    fields = asdict(transcript)
    for name in ("alternatives", "phones", "warnings", "speaker", "spoken"):
        if not fields[name]:
            del fields[name]
    for name in ("channel", "fits"):
        if fields[name] is None:
            del fields[name]
    return _rounded(fields)


def _rounded(value: object) -> object:
    """Nested dicts and tuples with floats rounded to a tenth of a millisecond."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(float(value), 4) if isinstance(value, Real) and not isinstance(value, int) else value


def _cues_of_channels(transcripts: Sequence[Transcript], limits: CueLimits) -> list[Cue]:
    """Cues in order of time; each of several channels or speakers begins with its number or name."""
    if len(transcripts) == 1:
        return make_cues(transcripts[0], limits)
    cues = [cue for t in transcripts for cue in make_cues(t, limits, f"[{t.speaker or t.channel or '?'}]")]
    return sorted(cues, key=lambda cue: cue.start)


def _clock(milliseconds: int, decimal: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal}{fraction:03}"


def _srt(transcripts: Sequence[Transcript], limits: CueLimits) -> str:
    """SubRip: cues are numbered, followed by an empty line."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n\n"
        for number, cue in enumerate(_cues_of_channels(transcripts, limits), 1)
    )


def _vtt(transcripts: Sequence[Transcript], limits: CueLimits) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/)."""
    cues = []
    for cue in _cues_of_channels(transcripts, limits):
        text = "\n".join(cue.lines)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{text}\n")
    return "WEBVTT\n" + "".join(cues)


def _tsv(transcripts: Sequence[Transcript], limits: CueLimits) -> str:
    return "start\tend\ttext\n" + "".join(
        f"{cue.start}\t{cue.end}\t{cue.text}\n" for cue in _cues_of_channels(transcripts, limits)
    )


def _ctm(transcripts: Sequence[Transcript]) -> str:
    """NIST's time-marked conversation, of the bare words, as scoring tools want them.

    A file is named by its stem, or by more of its path if stems are equal.
    """
    stems = [Path(transcript.source).stem for transcript in transcripts]
    if len(set(stems)) < len({transcript.source for transcript in transcripts}):
        stems = [os.path.splitext(transcript.source)[0] for transcript in transcripts]
    if len(set(stems)) < len({transcript.source for transcript in transcripts}):
        stems = [transcript.source for transcript in transcripts]
    lines: list[tuple[str, int, float, str]] = []
    for stem, transcript in zip(stems, transcripts, strict=True):
        name = "_".join(stem.split()) or "audio"
        for word in transcript.plain.words:
            if text := "_".join(word.text.split()):
                start, seconds = word.start, word.end - word.start
                channel = transcript.channel or 1
                line = f"{name} {channel} {start:.3f} {seconds:.3f} {text} {word.confidence:.4f}\n"
                lines.append((name, channel, start, line))
    if _are_channels(transcripts):  # the words of speakers are in order of time
        lines.sort(key=lambda line: line[:3])
    return "".join(line for *_, line in lines)


def _textgrid(transcripts: Sequence[Transcript]) -> str:
    """Praat's long text format, with a tier for each channel or speaker, and one for its phones if there are any.

    Intervals have a length and are adjacent: empty ones fill the gaps. The end is that of the sound to the microsecond,
    as Praat compares the two.
    """
    end = max(1000, *(_microseconds(transcript.duration) for transcript in transcripts), 0)
    named: list[tuple[str, Sequence[Word]]] = []
    for transcript in transcripts:
        words, phones = _tier_names(transcript, len(transcripts) == 1)
        named.append((words, transcript.words))
        if transcript.phones:
            named.append((phones, transcript.phones))
    tiers = [_intervals(words, end) for _, words in named]
    end = max(end, *(intervals[-1][1] for intervals in tiers), 0)
    tiers = [_intervals(words, end) for _, words in named]  # all of them end where the last one does
    names = [name.replace('"', '""') for name, _ in named]
    span = f"xmin = 0.000\n{{indent}}xmax = {_praat_time(end)}\n"
    lines = [
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n',
        span.format(indent=""),
        f"tiers? <exists>\nsize = {len(tiers)}\nitem []:\n",
    ]
    for tier, (name, intervals) in enumerate(zip(names, tiers, strict=True), 1):
        lines.append(f'    item [{tier}]:\n        class = "IntervalTier"\n        name = "{name}"\n        ')
        lines.append(span.format(indent=" " * 8) + f"        intervals: size = {len(intervals)}\n")
        for number, (first, last, text) in enumerate(intervals, 1):
            lines.append(f"        intervals [{number}]:\n")
            lines.append(f"            xmin = {_praat_time(first)}\n            xmax = {_praat_time(last)}\n")
            lines.append('            text = "{}"\n'.format(text.replace('"', '""')))
    return "".join(lines)


def _tier_names(transcript: Transcript, is_alone: bool) -> tuple[str, str]:
    """Names of the tiers of words and phones; those of speakers are as the Montreal Forced Aligner has them."""
    if is_alone or not (transcript.speaker or transcript.channel):
        return "words", "phones"
    if transcript.speaker:
        return f"{transcript.speaker} - words", f"{transcript.speaker} - phones"
    return f"channel {transcript.channel}", f"channel {transcript.channel} phones"


def _intervals(words: Sequence[Word], end: int) -> list[tuple[int, int, str]]:
    """Adjacent intervals of a tier from 0 to ``end`` or beyond: start and end in microseconds, and the text."""
    intervals: list[tuple[int, int, str]] = []
    position = 0
    for word in words:
        start = max(position, _microseconds(word.start))
        if start > position:
            intervals.append((position, start, ""))
        position = max(start + 1000, _microseconds(word.end))
        intervals.append((start, position, _line(word.text)))
    if end > position:
        intervals.append((position, end, ""))
    return intervals


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _praat_time(microseconds: int) -> str:
    """Seconds with three decimals, or as many as are needed."""
    text = f"{microseconds / 1e6:.6f}"
    return text[:-3] + text[-3:].rstrip("0")


# - txt: one line per transcript
# - json: an object for a transcript, an array for a sequence of them
# - srt, vtt: cues, see `asr.output.cues`
# - tsv: the same cues in milliseconds, as Whisper writes them
# - ctm: NIST's ``file channel start duration word confidence``, always of the bare words
# - TextGrid: Praat's interval tier ``words``, or a tier for each channel, and a tier ``phones`` if there are any
FORMATS = {
    "txt": Format(lambda transcript, _: _txt([transcript]), lambda transcripts, _: _txt(transcripts)),
    "json": Format(
        lambda transcript, _: _json(_object(transcript)), lambda transcripts, _: _json(list(map(_object, transcripts)))
    ),
    "srt": Format(lambda transcript, limits: _srt([transcript], limits), channels=_srt),
    "vtt": Format(lambda transcript, limits: _vtt([transcript], limits), channels=_vtt),
    "tsv": Format(lambda transcript, limits: _tsv([transcript], limits), channels=_tsv),
    "ctm": Format(lambda transcript, _: _ctm([transcript]), lambda transcripts, _: _ctm(transcripts)),
    "TextGrid": Format(
        lambda transcript, _: _textgrid([transcript]), channels=lambda transcripts, _: _textgrid(transcripts)
    ),
}
