"""Segments of recordings from files with one on each line: NIST's CTM and STM, and Audacity's labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from asr.data.timed_text import TimedText, choose_tier
from asr.errors import InputError
from asr.utils.text_files import read_lines

PAUSE = 0.5  # seconds between two words of a CTM file that end a segment
MAX_SEGMENT = 20.0  # seconds; a longer segment is cut at its longest pauses
MARGIN = 0.1  # seconds of the pauses that a segment takes in, for the beginnings and ends of its sounds
_NO_WORDS = ("<eps>", "@", "<sil>", "SIL")  # entries of CTM files for silence
_STM_LABEL = re.compile(r"<[^<>\s]*,[^<>\s]*>\s*|<NA>\s*")  # as <o,f0,female>
_STM_UNSCORED = ("ignore_time_segment_in_scoring", "inter_segment_gap")
_ALTERNATIVES = re.compile(r"\{([^{}/]*)/[^{}]*\}")
_LABEL = re.compile(r"\s*(-?\d+(?:[.,]\d+)?)\t(-?\d+(?:[.,]\d+)?)(?:\t(.*))?")

Lines = Sequence[TimedText | InputError]


def is_label_file(path: Path) -> bool:
    """Return whether a text file holds Audacity's labels: two times and a text, with tabs between them.

    Raises:
        InputError: the file cannot be read.
    """
    return _LABEL.fullmatch(next((line for line in read_lines(path) if line.strip()), "")) is not None


def read_labels(path: Path, tier: str = "") -> Lines:
    r"""Read Audacity's labels, ``start\tend\ttext``; lines that begin with a backslash (frequencies) are left out.

    Returns:
        A text for each line, or an InputError for a line that is not a segment.
    """
    if tier:
        raise InputError(f"{path}: a file of labels has no tiers")
    return [_label(path, number, line) for number, line in _content(path) if not line.startswith("\\")]


def _label(path: Path, number: int, line: str) -> TimedText | InputError:
    where = f"{path}, line {number}"
    if (match := _LABEL.fullmatch(line)) is None:
        return InputError(f"{where}: {line[:60]!r} is not a label (start, end and text, with tabs between them)")
    start, end = (float(time.replace(",", ".")) for time in match.groups()[:2])
    text = " ".join((match[3] or "").split())
    if start == end and text:
        return InputError(f"{where}: the label {text[:40]!r} is a point in time; a segment has an end after its start")
    return _checked(where, start, end) or TimedText(start, end, text, line=number)


def read_stm(path: Path, tier: str = "") -> Lines:
    """Read a segment time mark file: ``recording channel speaker start end [<labels>] text``.

    Segments that are not scored are left out; of alternatives ``{a / b}`` the first one is taken.

    Returns:
        A text for each line, or an InputError for a line that is not a segment.
    """
    if tier:
        raise InputError(f"{path}: an STM file has no tiers")
    lines = [_segment(path, number, line) for number, line in _content(path)]
    return [line for line in lines if not isinstance(line, TimedText) or line.text not in _STM_UNSCORED]


def _segment(path: Path, number: int, line: str) -> TimedText | InputError:
    where = f"{path}, line {number}"
    recording, channel, speaker, *rest = [*line.split(maxsplit=5), "", "", ""]
    start, end = (_number(field) for field in rest[:2])
    if math.isnan(start) or math.isnan(end):
        return InputError(f"{where}: {line[:60]!r} is not: recording channel speaker start end text")
    text = _ALTERNATIVES.sub(lambda match: match[1].replace("@", ""), _STM_LABEL.sub("", rest[2], count=1))
    text = " ".join(text.split())
    return _checked(where, start, end) or TimedText(start, end, text, speaker, number, recording, channel)


def read_ctm(path: Path, tier: str = "") -> Lines:
    """Read the words of a time-marked conversation file, ``recording channel start duration word``, as segments.

    A segment ends at a pause of `PAUSE` seconds; where it is longer than `MAX_SEGMENT`, at its longest pauses. Several
    channels are tiers. Of alternatives the first one is taken.

    Raises:
        InputError: a line is not a word, so that a segment would lack it.
    """
    segments: list[TimedText] = []
    for channels in read_ctm_words(path).values():
        tiers = {name: list(_segments(own)) for name, own in channels.items()}
        segments += choose_tier(path, tiers, tier)
    return segments


def read_ctm_words(path: Path) -> dict[str, dict[str, list[TimedText]]]:
    """Read the words of a time-marked conversation file by recording and channel, in order of time.

    Of alternatives the first one is taken.

    Raises:
        InputError: a line is not a word.
    """
    words: dict[str, dict[str, list[TimedText]]] = {}
    is_alternative = False
    for number, line in _content(path):
        recording, channel, first, second, word, *_ = [*line.split(), "", "", "", "", ""]
        if first == second == "*":
            is_alternative = word == "<ALT>"
            continue
        start, length = _number(first), _number(second)
        if not word or not (math.isfinite(start) and length >= 0 and start >= 0):
            raise InputError(f"{path}, line {number}: {line[:60]!r} is not: recording channel start duration word")
        if not is_alternative and word not in _NO_WORDS:
            text = TimedText(start, start + length, word, line=number, recording=recording)
            words.setdefault(recording, {}).setdefault(channel, []).append(text)
    return {
        recording: {channel: sorted(own, key=lambda word: word.start) for channel, own in channels.items()}
        for recording, channels in words.items()
    }


def _segments(words: list[TimedText]) -> Iterator[TimedText]:
    """Yield the segments of words in order of time."""
    gaps = [after.start - before.end for before, after in pairwise(words)]
    ends = [0, *(n for n, gap in enumerate(gaps, start=1) if gap >= PAUSE), len(words)]
    parts = [part for first, last in pairwise(ends) for part in _short_parts(first, last, words, gaps)]
    for first, last in parts:
        before = words[first].start if first == 0 else gaps[first - 1] / 2
        after = gaps[last - 1] / 2 if last < len(words) else 0.0  # the end of the recording is not known
        start = words[first].start - max(0.0, min(MARGIN, before))
        end = max(word.end for word in words[first:last]) + max(0.0, min(MARGIN, after))
        text = " ".join(word.text for word in words[first:last])
        yield TimedText(round(start, 6), round(end, 6), text, line=words[first].line, recording=words[first].recording)


def _short_parts(first: int, last: int, words: list[TimedText], gaps: list[float]) -> list[tuple[int, int]]:
    """Return the parts (first, last) of a run of words that are not longer than `MAX_SEGMENT`."""
    parts, waiting = [], [(first, last)]
    while waiting:
        first, last = waiting.pop()
        if last - first > 1 and words[last - 1].end - words[first].start > MAX_SEGMENT:
            middle = max(range(first + 1, last), key=lambda n: gaps[n - 1])
            waiting += [(middle, last), (first, middle)]
        else:
            parts.append((first, last))
    return parts


def _content(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and content of each line that is neither blank nor a comment of NIST's (``;;``)."""
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip() and not line.startswith(";;"):
            yield number, line


def _number(text: str) -> float:
    try:
        return float(text) if math.isfinite(float(text)) else math.nan
    except ValueError:
        return math.nan


def _checked(where: str, start: float, end: float) -> InputError | None:
    if start < 0 or end < start:
        return InputError(f"{where}: the segment {start:g}–{end:g} s ends before it begins, or begins before 0")
    return None
