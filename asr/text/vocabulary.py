"""Vocabularies: text to labels and back, in characters, words, phones, SentencePiece units or classes.

The normalization of text before it is encoded is part of a vocabulary and of its file (see `vocabulary_file`).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.text import sentencepiece_model, vocabulary_file
from asr.text._tokens import BLANK, BOS, EOS, SPACED, SPECIALS, UNKNOWN, check_token, describe, with_specials
from asr.text.normalization import TextNormalizer, look_alike
from asr.text.phones import PHONE_SETS, fold
from asr.utils.options import check_choice

__all__ = ["BLANK", "BOS", "EOS", "KINDS", "SPECIALS", "UNKNOWN", "Vocabulary"]

log = logging.getLogger(__name__)

KINDS = ("characters", "words", "phones", "sentencepiece", "classes")
UNKNOWN_POLICIES = ("error", "skip", "map")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a SentencePiece unit of one byte


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a network's output (or input) labels, and the conversion of text to labels and back.

    Make one with `characters`, `words_of`, `phones`, `sentencepiece`, `train_sentencepiece`, `classes` or `load`.

    Args:
        kind: one of `KINDS`.
        tokens: ``tokens[i]`` is the token of label i: first the special ones, then the units.
        normalization: applied to a text before it is encoded.
        unknown: what becomes of units outside the vocabulary: "error" (InputError), "skip" (they are left out, see
            `asr.text.outside.log_skipped`) or "map" (to the label of ``<unk>``).
        fold: 48 or 39, the size of the phone set in which error rates are counted; None: as it is. Phones only.
        boundary_spaces: begin and end each text with the label of the space, which stands for silence there: words have
            better times then (see `asr.inference.decoders.aligner`). Characters only.
        model: the SentencePiece model, serialized; empty for other kinds.
        head: the head that is trained with it, for the advice of errors; empty for a model that is trained already.

    Raises:
        InputError: arguments that do not go together, or tokens that are not of the kind.
    """

    kind: str
    tokens: tuple[str, ...]
    normalization: TextNormalizer = field(default_factory=TextNormalizer)
    unknown: str = "error"
    fold: int | None = None
    boundary_spaces: bool = False
    model: bytes = field(default=b"", repr=False)
    head: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_choice("unknown", self.unknown, UNKNOWN_POLICIES)
        if self.fold is not None:
            check_choice("fold", self.fold, (48, 39))
            if self.kind != "phones":
                raise InputError(f"fold={self.fold} is for phones, not for {self.kind}")
            fold((token for token in self.tokens if token not in SPECIALS), self.fold)
        if self.boundary_spaces and (self.kind != "characters" or " " not in self.tokens):
            raise InputError(f"boundary_spaces is for characters with a space among them, not for these {self.kind}")
        seen: set[str] = set()
        for token in self.tokens:
            check_token(self.kind, token, seen)
        if seen <= set(SPECIALS):
            raise InputError(f"a vocabulary of {self.kind} needs one unit at least")
        if bool(self.model) != (self.kind == "sentencepiece"):
            raise InputError(f"a vocabulary of {self.kind} with{'' if self.model else 'out'} a SentencePiece model")
        if self.kind == "classes" and self.unknown != "error":
            raise InputError(f"unknown={self.unknown!r} is not for classes: every utterance must be of a known class")
        if self.unknown == "map" and UNKNOWN not in seen:
            raise InputError(f"unknown='map' needs the token {UNKNOWN}")

    # -- constructors

    @classmethod
    def characters(
        cls,
        source: str | Iterable[str],
        normalization: TextNormalizer | None = None,
        *,
        boundary_spaces: bool = False,
        unknown: str = "error",
        specials: Sequence[str] = (BLANK,),
    ) -> Vocabulary:
        """Make a vocabulary of the characters of an alphabet (a string, in its order), or of texts (sorted).

        Raises InputError for an alphabet with characters that the normalization changes.
        """
        normalization = normalization or TextNormalizer()
        if not isinstance(source, str):
            units = sorted(set().union(*map(normalization.apply, normalization.watch(source))))
        elif changed := [c for c in source if c != " " and normalization.apply(c) != c]:
            raise InputError(f"alphabet: normalization changes {describe(changed)}, so no text can contain them")
        else:
            units = list(source)
        tokens = with_specials(units, specials, unknown)
        return cls("characters", tokens, normalization, unknown, boundary_spaces=boundary_spaces)

    @classmethod
    def words_of(
        cls,
        texts: Iterable[str],
        normalization: TextNormalizer | None = None,
        *,
        min_count: int = 1,
        unknown: str = "error",
        specials: Sequence[str] = (BLANK,),
    ) -> Vocabulary:
        """Make a vocabulary of words that occur ``min_count`` times at least, by falling count, then by alphabet."""
        normalization = normalization or TextNormalizer()
        counts = Counter(word for text in normalization.watch(texts) for word in normalization.apply(text).split())
        units = [word for word, count in sorted(counts.items(), key=lambda e: (-e[1], e[0])) if count >= min_count]
        return cls("words", with_specials(units, specials, unknown), normalization, unknown)

    @classmethod
    def phones(
        cls,
        source: str | Iterable[str],
        fold: int | None = None,
        normalization: TextNormalizer | None = None,
        *,
        unknown: str = "error",
        specials: Sequence[str] = (BLANK,),
    ) -> Vocabulary:
        """Make a vocabulary of a phone set (timit61, timit48, timit39, arpabet), or of phones in order of first use."""
        if isinstance(source, str):
            check_choice("phones", source, tuple(PHONE_SETS))
            source = PHONE_SETS[source]
        normalization = normalization or TextNormalizer()
        # as they will stand in the texts
        units = list(dict.fromkeys(map(normalization.apply, normalization.watch(source))))
        return cls("phones", with_specials(units, specials, unknown), normalization, unknown, fold)

    @classmethod
    def sentencepiece(
        cls,
        model: bytes | str | Path,
        normalization: TextNormalizer | None = None,
        *,
        unknown: str = "error",
        specials: Sequence[str] = (BLANK,),
    ) -> Vocabulary:
        """Make a vocabulary of the units of a SentencePiece model (a path or its bytes), without its control symbols.

        The model's own normalization is applied too, after ours. Raises InputError for what is no model.
        """
        data = model if isinstance(model, bytes) else sentencepiece_model.read(Path(model))
        units = sentencepiece_model.units(data, "SentencePiece model" if isinstance(model, bytes) else str(model))
        tokens = with_specials(units, specials, unknown)
        return cls("sentencepiece", tokens, normalization or TextNormalizer(), unknown, model=data)

    @classmethod
    def train_sentencepiece(
        cls,
        texts: Iterable[str],
        size: int,
        normalization: TextNormalizer | None = None,
        *,
        model_type: str = "unigram",
        unknown: str = "error",
        specials: Sequence[str] = (BLANK,),
    ) -> Vocabulary:
        """Train a SentencePiece model ("unigram" or "bpe") of ``size`` tokens, the special ones included.

        Every character of the texts gets a unit. Raises InputError when the texts have too few distinct units.
        """
        normalization = normalization or TextNormalizer()
        added = len(with_specials([], specials, unknown))
        # the model counts its own <unk>, which we leave out
        model = sentencepiece_model.train(
            map(normalization.apply, normalization.watch(texts)), size - added + 1, model_type, reported_size=size
        )
        return cls.sentencepiece(model, normalization, unknown=unknown, specials=specials)

    @classmethod
    def classes(cls, source: Iterable[str], normalization: TextNormalizer | None = None) -> Vocabulary:
        """Make a vocabulary in which each distinct text (sorted) is one unit; there are no special tokens."""
        normalization = normalization or TextNormalizer()
        return cls("classes", with_specials(sorted(set(map(normalization.apply, source))), (), "error"), normalization)

    # -- labels of the special tokens

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def blank(self) -> int:
        """Label of ``<blank>``; InputError where there is none."""
        if (label := self._special(BLANK)) is None:
            raise InputError("this vocabulary has no blank, which CTC needs")
        return label

    @property
    def eos(self) -> int | None:
        """Label of ``<eos>``, or None."""
        return self._special(EOS)

    @property
    def unk(self) -> int | None:
        """Label of ``<unk>``, or None."""
        return self._special(UNKNOWN)

    def _special(self, token: str) -> int | None:
        return self.tokens.index(token) if token in self.tokens else None

    @cached_property
    def _units(self) -> dict[str, int]:
        """Label of each unit."""
        return {token: label for label, token in enumerate(self.tokens) if token not in SPECIALS}

    @cached_property
    def _characters(self) -> frozenset[str]:
        """All characters of the units."""
        return frozenset("".join(self._units))

    @cached_property
    def _processor(self) -> Any:
        return sentencepiece_model.processor(self.model, "vocabulary")

    # -- text to labels

    def encode(self, text: str, utterance: str = "") -> list[int]:
        """Encode a text, which is normalized first, as labels; a blank is never among them.

        Args:
            text: whole text of an utterance.
            utterance: its name, for errors.

        Raises:
            InputError: units outside the vocabulary, if ``unknown`` is "error"; they are named.
        """
        labels = self.spell(text, utterance)
        return [self._units[" "], *labels, self._units[" "]] if self.boundary_spaces and labels else labels

    def spell(self, text: str, utterance: str = "") -> list[int]:
        """Encode a part of a text, like `encode` but without ``boundary_spaces``."""
        text = self._normalize(text)
        units = self._split(text)
        unknown = self._outside(units)
        if not unknown:
            return [self._units[unit] for unit in units]
        if self.unknown == "error":
            raise InputError(self._complaint(unknown, utterance, text))
        if self.unknown == "map":
            assert self.unk is not None
            return [self._units.get(unit, self.unk) for unit in units]
        if self.kind not in SPACED:  # taken out of the text, so that "a & b" does not leave two spaces
            kept = text.translate(dict.fromkeys(map(ord, unknown)))
            units = self._split(kept if self.normalization.white_space == "keep" else " ".join(kept.split()))
        return [self._units[unit] for unit in units if unit in self._units]

    def outside(self, text: str) -> list[str]:
        """List what of a text, which is normalized first, is outside the vocabulary, repeats included.

        Returns:
            Characters, words or phones; of a vocabulary of classes the whole text.
        """
        return self._outside(self._split(self._normalize(text)))

    def skipped(self, text: str) -> list[str]:
        """List what `encode` leaves out of a text: what is `outside`, if ``unknown`` is "skip"."""
        return self.outside(text) if self.unknown == "skip" else []

    def _normalize(self, text: str) -> str:
        """Normalize a text; characters outside the vocabulary that nobody sees or can tell from others are replaced."""
        text = self.normalization.apply(text)
        if self.kind in ("words", "classes") or text.isascii():
            return text
        replaced = "".join(c if c in self._characters else look_alike(c) for c in text)
        return replaced if replaced == text or self.normalization.white_space == "keep" else " ".join(replaced.split())

    def _split(self, text: str) -> list[str]:
        if self.kind == "characters":
            return list(text)
        if self.kind == "classes":
            return [text]
        return text.split() if self.kind in SPACED else list(self._processor.encode(text, out_type=str))

    def _outside(self, units: Iterable[str]) -> list[str]:
        """List the words, phones or classes, or the single characters of units, that are outside the vocabulary."""
        unknown = [unit for unit in units if unit not in self._units]
        return unknown if self.kind in (*SPACED, "classes") else list("".join(unknown).replace("▁", " "))

    def _complaint(self, unknown: list[str], utterance: str, text: str) -> str:
        what = self.kind if self.kind in SPACED else "characters"
        where = f"utterance {utterance}: " if utterance else ""
        if self.kind == "classes":
            return f"{where}{text!r} is not one of the classes {', '.join(self.tokens)}"
        shown = text if len(text) <= 120 else text[:117] + "..."
        remedy = f"use only {what} that the model was trained on"
        if self.head:
            remedy = f"set task.heads.{self.head}.unknown to skip or map, or another normalization"
        return f"{where}{what} outside the vocabulary: {describe(unknown)} in {shown!r}; {remedy}"

    # -- labels to text

    def decode(self, labels: Iterable[int]) -> str:
        """Convert labels to text; blank, bos and eos are left out.

        Words, or phones, are separated by single spaces, unless the vocabulary is one of characters with all kinds of
        white space (``normalization.white_space`` is "keep").
        """
        if self.kind == "characters" and self.normalization.white_space == "keep":
            return "".join(token for token in map(self._token, labels) if token not in (BLANK, BOS, EOS))
        return " ".join(word for word, _, _ in self.words(labels))

    def words(self, labels: Iterable[int]) -> list[tuple[str, int, int]]:
        """Group labels into words (phones: every phone) with the span of each in ``labels``: (word, first, last + 1).

        Raises IndexError for a label outside the vocabulary, negative ones included.
        """
        groups: list[list[tuple[int, str]]] = [[]]
        for position, token in enumerate(map(self._token, labels)):
            if token in (BLANK, BOS, EOS):
                continue
            space = self.kind == "characters" and token == " "
            whole = self.kind in (*SPACED, "classes")
            if space or whole or (self.kind == "sentencepiece" and token.startswith("▁")):
                groups.append([])
            if not space:
                groups[-1].append((position, token))
        words = [(self._join([token for _, token in g]), g[0][0], g[-1][0] + 1) for g in groups if g]
        return [word for word in words if word[0]]

    def _token(self, label: int) -> str:
        if not 0 <= (label := int(label)) < len(self.tokens):
            raise IndexError(f"label {label} is outside the vocabulary of {len(self.tokens)}")
        return self.tokens[label]

    def _join(self, tokens: list[str]) -> str:
        if self.kind != "sentencepiece":
            return "".join(tokens)
        # units of a byte (<0xC3>) are joined as bytes, as several make one character
        parts = [bytes([int(t[3:5], 16)]) if _BYTE.fullmatch(t) else t.replace("▁", " ").encode() for t in tokens]
        return b"".join(parts).decode("utf-8", "replace").strip()

    def normalize_for_scoring(self, text: str) -> str:
        """Prepare a reference or hypothesis for error rates: normalize it, and fold its phones.

        Units outside the vocabulary stay: a reference keeps what the network cannot output.
        """
        text = self.normalization.apply(text)
        if self.fold is None:
            return text
        phones = [[unit] if unit == UNKNOWN else fold([unit], self.fold) for unit in text.split()]
        return " ".join(chain.from_iterable(phones))

    # -- file

    def save(self, path: str | Path) -> None:
        """Write the vocabulary to one text file, see `vocabulary_file`."""
        header = {
            "kind": self.kind,
            "unknown": self.unknown,
            "fold": self.fold,
            "boundary_spaces": self.boundary_spaces,
            "normalization": asdict(self.normalization),
        }
        vocabulary_file.write(path, header, self.tokens, self.model)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read a file of `save`. Raises InputError naming the file and the line."""
        header, tokens, model = vocabulary_file.read(path)
        seen: set[str] = set()
        for number, token in enumerate(tokens, start=2):
            try:
                check_token(header.get("kind"), token, seen)
            except InputError as error:
                raise InputError(f"{path}:{number}: {error}") from error
        try:
            header["normalization"] = TextNormalizer.from_config(header.get("normalization"))
            options = {f.name: header[f.name] for f in fields(cls) if f.name in header}
            vocabulary = cls(**{"kind": "", "unknown": "", **options, "tokens": tokens, "model": model})
            if vocabulary.kind == "sentencepiece" and set(vocabulary._units) - set(cls.sentencepiece(model).tokens):
                raise InputError("the tokens are not the units of the SentencePiece model that follows them")
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return vocabulary
