"""File formats of transcripts: txt, json, srt, vtt, tsv, ctm, TextGrid."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path

from asr.errors import InputError
from asr.output.transcript import Transcript, Word
from asr.utils.escape import to_json
from asr.utils.options import check_choice

# What a viewer can read at a glance: the usual limits of subtitling guides.
CUE_LINE_CHARACTERS = 42
CUE_LINES = 2
# half-width katakana; Thai, Lao, Tibetan, Burmese, Khmer
UNSPACED = ((0xFF66, 0xFF9D), (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF))
NO_LINE_START = frozenset(
    "、。，．・：；？！」』）］｝〉》】〕〗〙〛’”…‥ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ々〻,.:;?!)]}%"
)
NO_LINE_END = frozenset("「『（［｛〈《【〔〖〘〚‘“([{")
CUE_MILLISECONDS = 7000
CUE_PAUSE_MILLISECONDS = 600


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        one: renders the content of a file with one transcript.
        several: renders the content of a file with a sequence of transcripts; None: a file holds only one recording.
        channels: renders the content of a file with the channels or speakers of one recording, where ``several`` is
            None.
    """

    one: Callable[[Transcript], str]
    several: Callable[[Sequence[Transcript]], str] | None = None
    channels: Callable[[Sequence[Transcript]], str] | None = None


def check_format(format: str) -> None:
    """Raise InputError unless a format is one of `FORMATS`."""
    check_choice("format", format, FORMATS)


def parse_formats(formats: str) -> list[str]:
    """Split the names of formats at commas, each once. Raises InputError for one that is not of `FORMATS`."""
    names = list(dict.fromkeys(name.strip() for name in formats.split(",")))
    for name in names:
        check_format(name)
    return names


def render(transcripts: Transcript | Sequence[Transcript], format: str) -> str:
    """Return the content of a file, which ends in a newline unless it is empty.

    Args:
        transcripts: one or a sequence. Formats that hold several render a sequence of one as a sequence (json: an
            array). The others hold one, or the channels or speakers of one recording.
        format: a key of `FORMATS`, which describes them.

    Raises:
        InputError: another format, or several transcripts in a format that holds one.
    """
    check_format(format)
    if isinstance(transcripts, Transcript):
        return FORMATS[format].one(transcripts)
    if (several := FORMATS[format].several) is not None:
        return several(transcripts)
    if (channels := FORMATS[format].channels) is not None and _are_channels(transcripts):
        return channels(transcripts)
    if len(transcripts) != 1:
        many = ", ".join(name for name, row in FORMATS.items() if row.several)
        raise InputError(f"a {format} file holds one transcript, not {len(transcripts)}; several fit in: {many}")
    return FORMATS[format].one(transcripts[0])


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


def _milliseconds(seconds: float) -> int:
    # Rounded before it is split up, so that 59.9996 s becomes 1:00.000 and never 0:60.000.
    return round(seconds * 1000)


def _object(transcript: Transcript) -> object:
    fields = asdict(transcript)
    for name in ("alternatives", "phones", "warnings", "speaker"):
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


@dataclass(frozen=True)
class _Cue:
    start: int  # milliseconds
    end: int
    text: str


def _cues(transcript: Transcript) -> Iterator[_Cue]:
    """Cues of the text; the whole text is one if there are no word times."""
    words = [part for word in transcript.words for part in _parts(word)]
    if not words:
        if text := _line(transcript.text):
            parts = _parts(Word(text, 0.0, max(0.001, transcript.duration), 1.0))
            for part in parts:
                start = _milliseconds(part.start)
                yield _Cue(start, max(start + 1, _milliseconds(part.end)), part.text)
        return
    first = 0
    for last in range(1, len(words) + 1):
        if last == len(words) or _ends_before(words[first:last], words[last]):
            start = _milliseconds(words[first].start)
            # WebVTT requires an end after the start.
            end = max(start + 1, _milliseconds(words[last - 1].end))
            if text := _joined(words[first:last]):
                yield _Cue(start, end, text)
            first = last


def _cues_of_channels(transcripts: Sequence[Transcript]) -> list[_Cue]:
    """Cues in order of time; each of several channels or speakers begins with its number or name."""
    if len(transcripts) == 1:
        return list(_cues(transcripts[0]))
    cues = [(cue, transcript) for transcript in transcripts for cue in _cues(transcript)]
    cues.sort(key=lambda pair: pair[0].start)
    return [_Cue(cue.start, cue.end, f"[{t.speaker or t.channel or '?'}] {cue.text}") for cue, t in cues]


def _ends_before(cue: Sequence[Word], following: Word) -> bool:
    """Whether a cue ends before the following word."""
    pause = _milliseconds(following.start) - _milliseconds(cue[-1].end)
    length = _milliseconds(following.end) - _milliseconds(cue[0].start)
    if pause > CUE_PAUSE_MILLISECONDS or length > CUE_MILLISECONDS:
        return True
    return len(_wrapped(_joined([*cue, following]))) > CUE_LINES


def _joined(words: Sequence[Word]) -> str:
    """The text of words, with a space between those of scripts that have it."""
    text = ""
    for word in words:
        part = _line(word.text)
        if text and part and not (_is_unspaced(text[-1]) and _is_unspaced(part[0])):
            text += " "
        text += part
    return text


def _parts(word: Word) -> list[Word]:
    """A word as it is, or what of a script without spaces is too long for a cue in parts that share its time.

    Parts are as long as two lines; or shorter, so that none takes longer than a cue may.
    """
    text = _line(word.text)
    pieces = list(_pieces(text))
    total, length = _columns(text), _milliseconds(word.end) - _milliseconds(word.start)
    if not any(not space for space, _ in pieces[1:]) or (
        len(_wrapped(text)) <= CUE_LINES and length <= CUE_MILLISECONDS
    ):
        return [word]
    limit = total * CUE_MILLISECONDS / length if length > 0 else math.inf  # columns of a cue's time
    texts: list[str] = []
    now = ""
    for space, piece in pieces:
        longer = f"{now}{space}{piece}" if now else piece
        if now and (len(_wrapped(longer)) > CUE_LINES or _columns(longer) > limit):
            texts.append(now)
            longer = piece
        now = longer
    texts.append(now)
    seconds = word.end - word.start
    parts, before, all_columns = [], 0, sum(map(_columns, texts))
    for text in texts:
        after = before + _columns(text)
        start, end = (word.start + seconds * min(1.0, at / all_columns) for at in (before, after))
        parts.append(Word(text, round(start, 6), min(word.end, round(end, 6)), word.confidence))
        before = after
    return parts


def _wrapped(text: str) -> list[str]:
    """Lines of at most `CUE_LINE_CHARACTERS` columns; a word that is longer has a line of its own.

    Scripts without spaces may be broken anywhere but before closing and after opening punctuation. Wide characters take
    two columns.
    """
    lines: list[str] = []
    line = ""
    for space, piece in _pieces(text):
        longer = f"{line}{space}{piece}" if line else piece
        if line and _columns(longer) > CUE_LINE_CHARACTERS:
            lines.append(line)
            longer = piece
        line = longer
    return [*lines, line] if line else lines


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Parts of a text between which a line may end, each with the space before it, or none."""
    for number, word in enumerate(text.split()):
        space = " " if number else ""
        begin = 0
        for at in range(1, len(word)):
            if _is_break(word[at - 1], word[at]):
                yield space, word[begin:at]
                space, begin = "", at
        yield space, word[begin:]


def _is_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters of a word: beside one of a script without spaces."""
    if before in NO_LINE_END or after in NO_LINE_START or unicodedata.category(after)[0] == "M":
        return False
    return _is_unspaced(before) or _is_unspaced(after)


def _is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script that is written without spaces between words."""
    if character.isascii():
        return False
    if unicodedata.east_asian_width(character) in "WF":
        # Hangul has spaces, as syllables and as letters (in decomposed text)
        return not (0xAC00 <= ord(character) <= 0xD7A3 or 0x1100 <= ord(character) <= 0x115F)
    return any(first <= ord(character) <= last for first, last in UNSPACED)


def _columns(text: str) -> int:
    """Columns that a text takes on a screen at most: combining characters count, as not all players combine them."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _clock(milliseconds: int, decimal: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal}{fraction:03}"


def _srt(transcripts: Sequence[Transcript]) -> str:
    """SubRip: cues are numbered, followed by an empty line."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(_wrapped(cue.text)) + "\n\n"
        for number, cue in enumerate(_cues_of_channels(transcripts), 1)
    )


def _vtt(transcripts: Sequence[Transcript]) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/)."""
    cues = []
    for cue in _cues_of_channels(transcripts):
        text = "\n".join(_wrapped(cue.text))
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{text}\n")
    return "WEBVTT\n" + "".join(cues)


def _tsv(transcripts: Sequence[Transcript]) -> str:
    return "start\tend\ttext\n" + "".join(
        f"{cue.start}\t{cue.end}\t{cue.text}\n" for cue in _cues_of_channels(transcripts)
    )


def _ctm(transcripts: Sequence[Transcript]) -> str:
    """NIST's time-marked conversation; a file is named by its stem, or by more of its path if stems are equal."""
    stems = [Path(transcript.source).stem for transcript in transcripts]
    if len(set(stems)) < len({transcript.source for transcript in transcripts}):
        stems = [os.path.splitext(transcript.source)[0] for transcript in transcripts]
    if len(set(stems)) < len({transcript.source for transcript in transcripts}):
        stems = [transcript.source for transcript in transcripts]
    lines: list[tuple[str, int, float, str]] = []
    for stem, transcript in zip(stems, transcripts, strict=True):
        name = "_".join(stem.split()) or "audio"
        for word in transcript.words:
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
# - srt, vtt: cues of at most two lines of 42 characters and 7 s, which end at pauses above 0.6 s
# - tsv: the same cues in milliseconds, as Whisper writes them
# - ctm: NIST's ``file channel start duration word confidence``
# - TextGrid: Praat's interval tier ``words``, or a tier for each channel, and a tier ``phones`` if there are any
FORMATS = {
    "txt": Format(lambda transcript: _txt([transcript]), _txt),
    "json": Format(
        lambda transcript: _json(_object(transcript)), lambda transcripts: _json(list(map(_object, transcripts)))
    ),
    "srt": Format(lambda transcript: _srt([transcript]), channels=_srt),
    "vtt": Format(lambda transcript: _vtt([transcript]), channels=_vtt),
    "tsv": Format(lambda transcript: _tsv([transcript]), channels=_tsv),
    "ctm": Format(lambda transcript: _ctm([transcript]), _ctm),
    "TextGrid": Format(lambda transcript: _textgrid([transcript]), channels=_textgrid),
}
