"""Labels of other toolkits' CTC networks: which of them is blank, which the space, and what text the others make."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

from asr.errors import InputError
from asr.text.normalization import look_alike, without_accents
from asr.utils.options import is_whole
from asr.utils.text_files import read_text

log = logging.getLogger(__name__)

Labels: TypeAlias = "Sequence[str] | Mapping[str, int] | Path | str"

WORD_START = "▁"
BLANKS = ("", "<blank>", "<pad>", "[pad]", "<blk>", "<eps>", "_")  # by falling precedence, in any case
FIRST_BLANKS = ("-",)  # taken for blank where it is the first label, as torchaudio has it
SPACES = (" ", "|", "<space>", "[space]", WORD_START)
# Names of labels that are never written, in any case, within <…> or […]; and SentencePiece's own for what is unknown.
_CONTROLS = re.compile(r"[<\[](s|/s|unk|bos|eos|sos|sos/eos|pad|cls|sep|mask|blank|blk|eps)[>\]]|▁?⁇▁?", re.IGNORECASE)
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a piece of one byte
MAX_SPELLINGS = 8  # of a word in an alignment
_SHOWN = 8  # labels in a message


@dataclass(frozen=True)
class Alphabet:
    """The labels of a CTC network, and the text that they make; make one with `of`.

    Attributes:
        labels: names of the labels.
        blank: label of blank.
        space: label between words; None: there is none.
        hidden: labels of control symbols, such as ``</s>``, which are never written.
        kind: "characters" (which `space` separates into words), "pieces" (of which some begin a word), or "tokens":
            each label is a word, or a phone.
        texts: what each label that is written adds to the text; a piece that begins a word begins with ``▁``.
    """

    labels: tuple[str, ...]
    blank: int
    space: int | None
    hidden: tuple[int, ...]
    kind: Literal["characters", "pieces", "tokens"]
    texts: Mapping[int, str]

    @classmethod
    def of(cls, labels: Labels, blank: str | int | None = None, space: str | int | None = None) -> Alphabet:
        """Find out what the labels of a network are.

        Args:
            labels: names in the order of the scores; a mapping of names to numbers, as the ``get_vocab()`` of
                `transformers`; or a file: ``vocab.json``, or ``tokens.txt`` with a name, and its number or not, a line.
            blank: name or number of blank; None: the first of `BLANKS` that there is, "-" if it is the first label, or
                else a label after the last one, as in NeMo.
            space: name or number of the space between words; None: the first of `SPACES` that there is.

        Raises:
            InputError: names that are not strings or are there twice, or a blank or space that there is not.
        """
        names = _names(labels)
        if not names:
            raise InputError("labels: there are none")
        for name in names:
            if not isinstance(name, str):
                raise InputError(f"labels: {name!r} is not a string")
        names = tuple(map(str, names))  # numpy has strings of its own
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"labels: {twice!r} is there twice")
        has_pieces = any(map(_is_piece, names))
        # characters of pieces that are no marks there
        blank_label = _find(names, blank, [name for name in BLANKS if name != "_" or not has_pieces], "blank")
        if blank_label is None and names[0] in FIRST_BLANKS:
            blank_label = 0
        if blank_label is None:  # as NeMo's
            blank_label = len(names)
            names = (*names, "<blank>" if "<blank>" not in names else "")
        space_label = _find(names, space, () if has_pieces else SPACES, "space", taken=blank_label)
        if space_label == blank_label:
            raise InputError(f"blank and space are the same label, {names[blank_label]!r} ({blank_label})")
        hidden = tuple(
            number
            for number, name in enumerate(names)
            if number not in (blank_label, space_label) and (_CONTROLS.fullmatch(name) or name == "")
        )
        written = {n: name for n, name in enumerate(names) if n not in (blank_label, space_label, *hidden)}
        if not written:
            raise InputError(f"labels: none of {_some(names)} is a character, a piece or a word")
        if space_label is not None or (not has_pieces and all(len(name) == 1 for name in written.values())):
            return cls(names, blank_label, space_label, hidden, "characters", written)
        if not has_pieces:
            return cls(names, blank_label, None, hidden, "tokens", written)
        if any(name.startswith("##") for name in names):  # WordPiece marks what does not begin a word
            written = {
                n: name[2:] if name.startswith("##") else WORD_START + name.removeprefix(WORD_START)
                for n, name in written.items()
            }
        return cls(names, blank_label, None, hidden, "pieces", written)

    def describe(self) -> str:
        """Say in a line what was found."""
        blank, space = (None if n is None else f"{self.labels[n]!r} ({n})" for n in (self.blank, self.space))
        parts = [f"{len(self.labels)} labels, {self.kind}", f"blank {blank}"]
        if self.kind == "characters":
            parts.append(f"space {space}" if space else "no space")
        if self.hidden:
            parts.append("never written: " + _some([self.labels[label] for label in self.hidden], quoted=False))
        return ", ".join(parts)

    @cached_property
    def units(self) -> frozenset[str]:
        """All characters that words can have."""
        return frozenset("".join(self.texts.values())) - {WORD_START} if self.kind != "tokens" else frozenset()

    def words(self, labels: Sequence[int]) -> list[tuple[str, int, int]]:
        """Group labels into words, with the span of each in ``labels``: (word, first, last + 1)."""
        groups: list[list[tuple[int, str]]] = [[]]
        for position, label in enumerate(labels):
            if label == self.space:
                groups.append([])
                continue
            if (text := self.texts.get(label)) is None:
                continue
            if self.kind == "tokens" or (self.kind == "pieces" and text.startswith(WORD_START)):
                groups.append([])
            groups[-1].append((position, text))
        words = [(self._join([text for _, text in group]), group[0][0], group[-1][0] + 1) for group in groups if group]
        return [(word, self.first_written(labels, first), end) for word, first, end in words if word]

    def first_written(self, labels: Sequence[int], first: int) -> int:
        """Return the index of the first label from ``first`` on that has a character: ``▁`` alone has none."""
        while self.kind == "pieces" and self.texts.get(labels[first]) == WORD_START:
            first += 1
        return first

    def text(self, labels: Sequence[int]) -> str:
        """Return the text of labels: its words with single spaces between them."""
        return " ".join(word for word, _, _ in self.words(labels))

    def _join(self, texts: Sequence[str]) -> str:
        if self.kind != "pieces":
            return "".join(texts)
        # pieces of a byte are joined as bytes, as several make one character
        parts = [bytes([int(t[3:5], 16)]) if _BYTE.fullmatch(t) else t.replace(WORD_START, "").encode() for t in texts]
        return b"".join(parts).decode("utf-8", "replace")

    def spellings(self, word: str) -> list[tuple[int, ...]] | None:
        """Return label sequences that write a word, up to `MAX_SPELLINGS`, those of the fewest labels first.

        Where a word cannot be written as it is, it is in lower or upper case, without accents, or without punctuation.

        Returns:
            The sequences; of punctuation an empty one; None if the word cannot be written.
        """
        plain = unicodedata.normalize("NFC", word)
        plain = "".join(c if c in self._labels_of else look_alike(c) for c in plain)
        bare = "".join(c for c in plain if unicodedata.category(c)[0] not in "PS" or c in self.units)
        letters = "".join(c for c in plain if unicodedata.category(c)[0] not in "PS")
        for form in (plain, bare, letters, without_accents(letters)):
            for change in (str, str.lower, str.upper):
                if found := self._segment(change(form)):
                    return found
        return None if letters else [()]

    @cached_property
    def _labels_of(self) -> dict[str, int]:
        """The label of each text."""
        return {text: label for label, text in reversed(list(self.texts.items()))}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._labels_of))

    def _segment(self, word: str) -> list[tuple[int, ...]]:
        """Return the segmentations of a word into labels, those of the fewest labels first."""
        if not word:
            return []
        if self.kind == "tokens":
            return [(self._labels_of[word],)] if word in self._labels_of else []
        text = WORD_START + word if self.kind == "pieces" else word
        best: list[list[tuple[int, ...]]] = [[] for _ in text] + [[()]]  # of what follows each place
        for begin in range(len(text) - 1, -1, -1):
            for end in range(min(len(text), begin + self._longest), begin, -1):
                if (label := self._labels_of.get(text[begin:end])) is not None:
                    best[begin] += [(label, *rest) for rest in best[end]]
            best[begin] = sorted(best[begin], key=len)[:MAX_SPELLINGS]
        return best[0]

    def can_spell(self, word: str) -> bool:
        """Whether all characters of a word are among those of the labels."""
        return self.units.issuperset(word)


def _is_piece(name: str) -> bool:
    return len(name) > 1 and (name.startswith((WORD_START, "##"))) and not _CONTROLS.fullmatch(name)


def _find(
    names: Sequence[str], given: str | int | None, usual: Sequence[str], what: str, taken: int | None = None
) -> int | None:
    """Return the label that is given by name or number, or else the first of the usual ones, or None."""
    if isinstance(given, str):
        if given not in names:
            raise InputError(f"{what}={given!r} is not among the labels {_some(names)}")
        return names.index(given)
    if given is not None:
        if not is_whole(given) or not 0 <= given < len(names):
            raise InputError(f"{what}={given!r}: use a label's name, or its number from 0 to {len(names) - 1}")
        return int(given)
    lower = [name.lower() for name in names]
    return next((lower.index(name) for name in usual if name in lower and lower.index(name) != taken), None)


def _names(labels: Labels) -> tuple[str, ...]:
    """Return the names of labels in order."""
    if isinstance(labels, (str, Path)):
        labels = _read(Path(labels))
    if not isinstance(labels, Iterable) or isinstance(labels, Set):
        raise InputError(f"labels={labels!r}: use a list of names in the order of the scores, a mapping or a file")
    if not isinstance(labels, Mapping):
        return tuple(labels)
    by_number = {number: name for name, number in labels.items()}
    if missing := [n for n in range(len(labels)) if n not in by_number]:
        raise InputError(f"labels: no label has the number {missing[0]}; {len(labels)} labels have those from 0")
    return tuple(by_number[number] for number in range(len(labels)))


def _read(path: Path) -> Sequence[str] | Mapping[str, int]:
    """Read a file of labels."""
    text = read_text(path)
    if path.suffix == ".json":
        try:
            content = json.loads(text)
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}") from error
        if not isinstance(content, (list, dict)):
            raise InputError(f"{path}: a list of labels or a mapping of labels to numbers is needed")
        return content
    rows = [line.rsplit(maxsplit=1) for line in text.splitlines() if line.strip()]
    if rows and all(len(row) == 2 and row[1].isdigit() for row in rows):
        return {name: int(number) for name, number in rows}
    return [line for line in text.splitlines() if line]


def _some(names: Sequence[str], quoted: bool = True) -> str:
    shown = [repr(name) if quoted else name for name in names[:_SHOWN]]
    return (", " if quoted else " ").join(shown) + (" …" if len(names) > _SHOWN else "")
