"""Segments of recordings from annotation files: Praat TextGrid, ELAN, subtitles (SRT, WebVTT), CTM, STM, labels."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from asr.data.timed_lines import is_label_file, read_ctm, read_labels, read_stm
from asr.data.timed_text import TimedText, choose_tier
from asr.errors import InputError
from asr.utils.text_files import read_text

_TIME = r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,9}))?"
_MILLISECONDS = re.compile("[0-9]{1,12}")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")  # blocks of WebVTT, up to a blank line
_CUE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")


def is_annotation(path: Path) -> bool:
    """Return whether a file has segments for `read`: by its extension or, of ``.txt``, by its first line.

    Raises:
        InputError: a ``.txt`` file cannot be read.
    """
    suffix = path.suffix.lower()
    return suffix in READERS or (suffix == ".txt" and path.is_file() and is_label_file(path))


def read(path: Path, tier: str = "") -> list[TimedText | InputError]:
    """Read the segments that have a text, by time.

    Args:
        path: a file for which `is_annotation` holds.
        tier: name of the tier to read (TextGrid, ELAN; CTM: the channel); "": all tiers but those of words, phones and
            other parts of utterances. Where several are read, the tier's name is the speaker.

    Returns:
        The segments, and an InputError for each line that is not one, in files with a segment on each line.

    Raises:
        InputError: the file cannot be read, is damaged, or has no such tier.
    """
    found = READERS.get(path.suffix.lower(), read_labels)(path, tier)
    segments = [segment for segment in found if isinstance(segment, TimedText) and segment.text]
    errors = [error for error in found if isinstance(error, InputError)]
    return [*sorted(segments, key=lambda segment: (segment.start, segment.end)), *errors]


# -- Praat

# strings, flags, and numbers that stand free: the index in "intervals [3]:" is no value
_TOKEN = re.compile(r'(?<!\S)![^\n]*|"((?:[^"]|"")*)"|<(\w+)>|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?!\S)')


def _textgrid(path: Path, tier: str) -> list[TimedText]:
    """Read interval tiers of the long or the short text format, which have the same values in the same order."""
    text = read_text(path)
    if "ooTextFile" not in text[:200] or '"TextGrid"' not in text[:400]:
        raise InputError(f"{path}: not a TextGrid in a text format of Praat")
    tokens = _TextGridTokens(path, text)
    if tokens.string() != "ooTextFile" or tokens.string() != "TextGrid":
        raise tokens.error("a TextGrid begins with its type")
    tokens.number(), tokens.number()  # the times of the whole
    tiers: dict[str, list[TimedText]] = {}
    if (flag := tokens.flag()) != "exists":
        if flag != "absent":
            raise tokens.error("<exists> is expected, for the tiers")
        return []
    for _ in range(int(tokens.number())):
        kind, name = tokens.string(), tokens.string()
        tokens.number(), tokens.number()
        segments = tiers.setdefault(name, [])
        for _ in range(int(tokens.number())):
            start = tokens.number()
            end = tokens.number() if kind == "IntervalTier" else start
            line, label = tokens.line, " ".join(tokens.string().split())
            if kind == "IntervalTier" and label:
                segments.append(TimedText(start, end, label, line=line))
    return choose_tier(path, tiers, tier)


class _TextGridTokens:
    """The strings, flags and numbers of a TextGrid, in order; names and signs between them do not count."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self._text, self._at, self.line = path, text, 0, 1

    def error(self, what: str) -> InputError:
        return InputError(f"{self.path}, line {self.line}: {what}")

    def _next(self) -> re.Match[str]:
        while (match := _TOKEN.search(self._text, self._at)) is not None:
            self.line += self._text.count("\n", self._at, match.end())
            self._at = match.end()
            if not match[0].startswith("!"):  # a comment
                return match
        raise self.error("the TextGrid is cut short")

    def string(self) -> str:
        if (match := self._next())[1] is None:
            raise self.error(f"a text in quotation marks is expected, not {match[0][:40]!r}")
        return match[1].replace('""', '"')

    def flag(self) -> str:
        return self._next()[2] or ""

    def number(self) -> float:
        match = self._next()
        if match[3] is None or not math.isfinite(float(match[3])):
            raise self.error(f"a number is expected, not {match[0][:40]!r}")
        return float(match[3])


# -- ELAN


def _eaf(path: Path, tier: str) -> list[TimedText]:
    text = read_text(path)
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"{path}: not an ELAN file: {error}") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise InputError(f"{path}: not an ELAN file: it begins with {root.tag}")
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    tiers: dict[str, list[TimedText]] = {}
    for element in root.iter("TIER"):
        name = element.get("TIER_ID", "")
        if element.get("PARENT_REF") and name != tier:
            continue  # parts, translations and notes of another tier's annotations
        segments = tiers.setdefault(name, [])
        for annotation in element.iter("ALIGNABLE_ANNOTATION"):
            value = annotation.find("ANNOTATION_VALUE")
            text = "" if value is None else " ".join("".join(value.itertext()).split())
            begin, end = (times.get(annotation.get(f"TIME_SLOT_REF{n}")) for n in (1, 2))
            if not text:
                continue
            if not (begin and end and _MILLISECONDS.fullmatch(begin) and _MILLISECONDS.fullmatch(end)):
                raise InputError(f"{path}: the annotation {text[:40]!r} of tier {name!r} has no times")
            segments.append(TimedText(int(begin) / 1000, int(end) / 1000, text, element.get("PARTICIPANT", "")))
    return choose_tier(path, tiers, tier)


# -- subtitles


def _subtitles(path: Path, tier: str) -> list[TimedText]:
    """Read cues of SRT or WebVTT: a line of times, and lines of text: up to a blank one, or in SRT to the next cue."""
    segments = []
    lines = read_text(path).split("\n")
    number = 0
    is_vtt = path.suffix.lower() == ".vtt"
    while number < len(lines):
        if is_vtt and _NO_CUE.match(lines[number]):
            number = next((at for at in range(number, len(lines)) if not lines[at].strip()), len(lines))
            continue
        cue = _CUE.match(lines[number])
        number += 1
        if cue is None:
            if "-->" in lines[number - 1]:
                raise InputError(f"{path}, line {number}: {lines[number - 1].strip()[:60]!r} are no times of a cue")
            continue
        first = number
        while number < len(lines) and not _CUE.match(lines[number]):
            # the text of a cue of YouTube begins with a line of one blank
            if is_vtt and not lines[number].strip() and not (number == first and lines[number]):
                break
            number += 1
        body = lines[first:number]
        if number < len(lines) and _CUE.match(lines[number]) and body and body[-1].strip().isdigit():
            body.pop()  # the number of the next cue
        start, end = _seconds(*cue.groups()[:4]), _seconds(*cue.groups()[4:])
        voice = re.search(r"<v(?:\.[^\s>]*)?\s+([^>]+)>", " ".join(body))
        # markup of HTML, WebVTT and SSA
        text = html.unescape(re.sub(r"<[^>]*>|\{\\[^}]*\}", "", " ".join(body)))
        segments.append(TimedText(start, end, " ".join(text.split()), voice[1].strip() if voice else "", first))
    if not segments:
        raise InputError(f"{path}: no subtitle with times (00:00:01,000 --> 00:00:02,000) in it")
    return segments


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + (float(f"0.{fraction}") if fraction else 0.0)


READERS: dict[str, Callable[[Path, str], Sequence[TimedText | InputError]]] = {
    ".textgrid": _textgrid,
    ".eaf": _eaf,
    ".srt": _subtitles,
    ".vtt": _subtitles,
    ".ctm": read_ctm,
    ".stm": read_stm,
}
