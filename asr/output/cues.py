"""Subtitle cues: where a transcript is divided into cues and lines, and how long a cue is shown."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asr.errors import InputError
from asr.output.transcript import Transcript, Word

# half-width katakana; Thai, Lao, Tibetan, Burmese, Khmer
UNSPACED = ((0xFF66, 0xFF9D), (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF))
NO_LINE_START = frozenset(
    "、。，．・：；？！」』）］｝〉》】〕〗〙〛’”…‥ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ々〻,.:;?!)]}%"
)
NO_LINE_END = frozenset("「『（［｛〈《【〔〖〘〚‘“([{")
SENTENCE_END = frozenset(".?!…。．？！｡؟۔।")
CLAUSE_END = frozenset(",;:、，；：،؛–—")
CLOSING = "\"'”’»›)]}」』）］｝〉》】〕"  # may stand behind the end of a sentence or clause

# Costs of a division into cues, whose sum is least. The cost of an end is that of the last word's punctuation, of which
# LEAST_END is left where a pause of PAUSE_MILLISECONDS or more follows.
CUE_COST = 0.3  # of each cue
END_COSTS = {"sentence": 0.25, "clause": 0.5, "word": 1.0}
LEAST_END = {"sentence": 0.0, "clause": 0.2, "word": 0.4}
PAUSE_MILLISECONDS = 600
PASSED_COST = 0.6  # of a good place for an end within a cue: this share of what its cost is below 1
LONG_PAUSE_COST = 1.0  # of each PAUSE_MILLISECONDS beyond the first ones of a pause within a cue
FULL_COST = 0.3  # of a cue as long as can be; of half of it a quarter, so that cues are evenly long
SHORT_COST = 2.0  # of a cue that is shown for no time, if a shorter time than is wished is all there is
HURRY_COST = 1.0  # of a cue that is to be read at twice the reading speed
MAX_PAUSE_MILLISECONDS = 1500  # a cue ends where the pause is longer
# Costs of the lines of a cue: of the ends of all but the last, and of lines that are not equally long.
WITHIN_WORD_COST = 1.0  # of a line that ends within a word of a script without spaces, beside that of the end


@dataclass(frozen=True)
class CueLimits:
    """How much a cue holds and how long it is shown: the usual limits of subtitling guides.

    A cue is beyond a limit only if a single word is. What is shorter than ``min_seconds``, or would have to be read
    faster than ``characters_per_second``, is shown for longer, as far as the pause after it allows.

    Args:
        characters: columns of a line; wide characters take two.
        lines: lines of a cue.
        seconds: from the start of a cue's first word to the end of its last one.
        min_seconds: for which a cue is shown at least.
        characters_per_second: reading speed.

    Raises:
        InputError: a number that is not above 0, or ``min_seconds`` above ``seconds``.
    """

    characters: int = 42
    lines: int = 2
    seconds: float = 7.0
    min_seconds: float = 1.0
    characters_per_second: float = 20.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise InputError(f"subtitles: {name}={value}: use a number above 0")
        if self.min_seconds > self.seconds:
            raise InputError(f"subtitles: seconds={self.seconds}: use {self.min_seconds} or more")


@dataclass(frozen=True)
class Cue:
    """A cue: start and end in milliseconds, its text, and the same in lines."""

    start: int
    end: int
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Timed:
    """A word, or a part of one of a script without spaces, with what the division looks at."""

    text: str
    start: int  # milliseconds
    end: int
    end_cost: float  # of a cue that ends with it
    passed_cost: float  # of a cue that goes on after it


def make_cues(transcript: Transcript, limits: CueLimits, prefix: str = "") -> list[Cue]:
    """Divide a transcript into cues, in order; they do not overlap and hold all words.

    Cues end at the ends of sentences, then of clauses, then at pauses: of all divisions within the limits the one with
    the least costs is taken (dynamic programming). A text without word times is spread evenly over the recording.

    Args:
        transcript: the text and its words.
        limits: of the cues.
        prefix: begins the first line of each cue, such as the name of a speaker.
    """
    parts = [part for word in _words(transcript) for part in _parts(word, limits)]
    words = list(_timed(parts))
    cues: list[Cue] = []
    begin = 0
    for end in _divide(words, limits, prefix):
        text = joined([word.text for word in words[begin:end]])
        text = f"{prefix} {text}" if prefix else text
        following = words[end].start if end < len(words) else _milliseconds(transcript.duration)
        start = max(words[begin].start, cues[-1].end if cues else 0)
        last = max(word.end for word in words[begin:end])
        shown = min(_wished(text, limits), round(1000 * limits.seconds))
        stop = max(last, min(words[begin].start + shown, following))
        if end < len(words):
            stop = min(stop, max(following, start))
        # WebVTT requires an end after the start
        cues.append(Cue(start, max(start + 1, stop), text, tuple(wrap(text, limits))))
        begin = end
    return cues


def _words(transcript: Transcript) -> Iterator[Word]:
    """The words of a transcript; those of a text without times share the time of the whole by their lengths."""
    for word in transcript.words or [Word(transcript.text, 0.0, max(0.001, transcript.duration), 1.0)]:
        texts = word.text.split()
        ends = list(accumulate(columns(text) for text in texts))
        for text, end in zip(texts, ends, strict=True):
            at = ((end - columns(text)) / ends[-1], end / ends[-1])
            yield word if len(texts) == 1 else Word(text, *_within(word, *at), word.confidence)


def _within(word: Word, begin: float, end: float) -> tuple[float, float]:
    """Start and end in seconds of a part of a word, from one share of its length to another."""
    start, stop = (round(word.start + (word.end - word.start) * min(1.0, share), 6) for share in (begin, end))
    return start, min(word.end, stop)


def _timed(words: Sequence[Word]) -> Iterator[_Timed]:
    for number, word in enumerate(words):
        text = word.text.strip()
        start, end = _milliseconds(word.start), _milliseconds(word.end)
        pause = max(0, _milliseconds(words[number + 1].start) - end) if number + 1 < len(words) else 0
        kind = _ending(text)
        share = min(1.0, pause / PAUSE_MILLISECONDS)
        cost = END_COSTS[kind] + share * (LEAST_END[kind] - END_COSTS[kind])
        beyond = max(0.0, pause / PAUSE_MILLISECONDS - 1)
        passed = math.inf if pause > MAX_PAUSE_MILLISECONDS else PASSED_COST * (1 - cost) + LONG_PAUSE_COST * beyond
        yield _Timed(text, start, end, cost, passed)


def _ending(text: str) -> str:
    """Whether a word ends a "sentence", a "clause", or neither ("word")."""
    last = text.rstrip(CLOSING)[-1:]
    return "sentence" if last in SENTENCE_END else "clause" if last in CLAUSE_END else "word"


def _divide(words: Sequence[_Timed], limits: CueLimits, prefix: str) -> list[int]:
    """Return the ends of the cues, as numbers of words, that have the least costs."""
    longest, capacity = round(1000 * limits.seconds), limits.characters * limits.lines
    least = [0.0] + [math.inf] * len(words)  # of the divisions of the first words
    begin_of = [0] * (len(words) + 1)  # of the last cue of the best one
    for begin, first in enumerate(words):
        lines = _Lines(limits.characters, prefix)
        passed, last = 0.0, first.end
        for end in range(begin + 1, len(words) + 1):
            word = words[end - 1]
            lines.add(word.text)
            last = max(last, word.end)
            duration = last - first.start
            if end > begin + 1 and (lines.count > limits.lines or duration > longest):
                break
            available = words[end].start - first.start if end < len(words) else longest
            shown = max(duration, min(_wished(lines.columns, limits), available, longest))
            cost = (
                least[begin]
                + CUE_COST
                + passed
                + (word.end_cost if end < len(words) else 0.0)
                + FULL_COST * (lines.columns / capacity) ** 2
                + SHORT_COST * max(0.0, 1 - shown / (1000 * limits.min_seconds))
                + HURRY_COST * max(0.0, 1000 * lines.columns / max(shown, 1) / limits.characters_per_second - 1)
            )
            if cost < least[end]:
                least[end], begin_of[end] = cost, begin
            passed += word.passed_cost
            if passed == math.inf:
                break
    ends = []
    end = len(words)
    while end:
        ends.append(end)
        end = begin_of[end]
    return ends[::-1]


def _wished(text: str | int, limits: CueLimits) -> int:
    """Milliseconds for which a text, or one of as many columns, is shown if it can be."""
    count = columns(text) if isinstance(text, str) else text
    return round(1000 * max(limits.min_seconds, count / limits.characters_per_second))


class _Lines:
    """Counts the lines that a growing text needs."""

    def __init__(self, width: int, text: str = "") -> None:
        self.width = width
        self.text = ""
        self.count = 0
        self.columns = 0  # of the whole text
        self._line = 0  # columns of the last line
        if text:
            self.add(text)

    def add(self, text: str) -> None:
        """Add a word."""
        before = self.text
        self.text = joined([before, text])
        after_space = len(self.text) > len(before) + len(text)
        if before and not after_space and not _is_break(before[-1], text[0]):  # of a piece with what is before it
            before, after_space, text = "", False, self.text
            self.count = self.columns = self._line = 0
        for number, (space, piece) in enumerate(pieces(text)):
            size = columns(piece)
            gap = len(space) if number else int(after_space)
            self.columns += gap + size
            if not self.count or self._line + gap + size > self.width:
                self.count += 1
                self._line = size
            else:
                self._line += gap + size


def joined(texts: Sequence[str]) -> str:
    """Return the text of words, with a space between those of scripts that have it."""
    result = ""
    for text in texts:
        if result and text and not (_is_unspaced(result[-1]) and _is_unspaced(text[0])):
            result += " "
        result += text
    return result


def _parts(word: Word, limits: CueLimits) -> list[Word]:
    """A word as it is, or what of a script without spaces is too long for a cue in parts that share its time.

    Parts are as long as a cue may be; or shorter, so that none takes longer than a cue may.
    """
    text = word.text.strip()
    broken = list(pieces(text))
    total, length = columns(text), word.end - word.start
    if not any(not space for space, _ in broken[1:]) or (
        _num_lines(text, limits) <= limits.lines and length <= limits.seconds
    ):
        return [word]
    limit = total * limits.seconds / length if length > 0 else math.inf  # columns of a cue's time
    texts: list[str] = []
    now = ""
    for space, piece in broken:
        longer = f"{now}{space}{piece}" if now else piece
        if now and (_num_lines(longer, limits) > limits.lines or columns(longer) > limit):
            texts.append(now)
            longer = piece
        now = longer
    texts.append(now)
    parts, before, all_columns = [], 0, sum(map(columns, texts))
    for text in texts:
        after = before + columns(text)
        parts.append(Word(text, *_within(word, before / all_columns, after / all_columns), word.confidence))
        before = after
    return parts


def _num_lines(text: str, limits: CueLimits) -> int:
    return _Lines(limits.characters, text).count


def wrap(text: str, limits: CueLimits) -> list[str]:
    """Divide a text into as few lines as its limits allow, which end at punctuation if they can and are evenly long.

    A word that is longer than a line has one of its own. Scripts without spaces may be broken anywhere but before
    closing and after opening punctuation.
    """
    broken = list(pieces(text))
    count = _num_lines(text, limits)
    if count < 2:
        return [text] if text else []
    offsets = list(accumulate((len(space) + columns(piece) for space, piece in broken), initial=0))
    even = offsets[-1] / count

    def width(begin: int, end: int) -> int:
        return offsets[end] - offsets[begin] - len(broken[begin][0])

    def cost(begin: int, end: int) -> float:
        uneven = (width(begin, end) / even - 1) ** 2
        if end == len(broken):
            return uneven
        within_word = 0.0 if broken[end][0] else WITHIN_WORD_COST
        return uneven + within_word + END_COSTS[_ending(broken[end - 1][1])]

    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]  # by number of lines: end to least cost, begin of line
    for _ in range(count):
        ends: dict[int, tuple[float, int]] = {}
        for begin, (least, _) in best[-1].items():
            for end in range(begin + 1, len(broken) + 1):
                if end > begin + 1 and width(begin, end) > limits.characters:
                    break
                new = least + cost(begin, end)
                if end not in ends or new < ends[end][0]:
                    ends[end] = new, begin
        best.append(ends)
    lines: list[str] = []
    end = len(broken)
    for ends in best[:0:-1]:
        begin = ends[end][1]
        lines.append("".join(space + piece for space, piece in broken[begin:end]).strip())
        end = begin
    return lines[::-1]


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield parts of a text between which a line may end, each with the space before it, or none."""
    for number, word in enumerate(text.split()):
        space = " " if number else ""
        begin = 0
        if not word.isascii():
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


def columns(text: str) -> int:
    """Columns that a text takes on a screen at most: combining characters count, as not all players combine them."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _milliseconds(seconds: float) -> int:
    # Rounded before it is split up, so that 59.9996 s becomes 1:00.000 and never 0:60.000.
    return round(seconds * 1000)
