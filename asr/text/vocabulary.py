"""Text to label ids and back: characters, words, phones (with the TIMIT folding tables), SentencePiece, whole texts.

How text is normalised before it is encoded is part of the vocabulary and of its file (see vocabulary_file).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.text import sentencepiece_model, vocabulary_file
from asr.text.normalization import TextNormalizer, check_choice
from asr.text.phones import PHONE_SETS, fold

log = logging.getLogger(__name__)

BLANK, BOS, EOS, UNKNOWN = SPECIALS = ("<blank>", "<bos>", "<eos>", "<unk>")
KINDS = ("characters", "words", "phones", "sentencepiece", "classes")
SPACED = ("words", "phones")  # kinds whose units stand apart in a text
UNKNOWN_POLICIES = ("error", "skip", "map")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens a network writes, and how text becomes their ids.

    Make one with `characters`, `words_of`, `phones`, `sentencepiece`, `train_sentencepiece`, `classes` or `load`.
    ``tokens[i]`` is the token of label i: first the special ones (``<blank>`` alone, unless asked otherwise), then the
    units. ``unknown`` says what happens to text outside it: "error", "skip" (dropped, counted in ``skipped``, logged
    once a character) or "map" (label ``<unk>``). ``fold`` (None, 48 or 39) is what `scoring` folds phones to. With
    ``boundary_spaces``, for characters, a text begins and ends with a space label, which so stands for silence too:
    words then have better times (see `asr.inference.decoders.aligner`).
    """

    kind: str
    tokens: tuple[str, ...]
    normalization: TextNormalizer = field(default_factory=TextNormalizer)
    unknown: str = "error"
    fold: int | None = None
    boundary_spaces: bool = False
    model: bytes = field(default=b"", repr=False)
    skipped: Counter[str] = field(default_factory=Counter, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_choice("vocabulary kind", self.kind, KINDS)
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
            _check_token(self.kind, token, seen)
        if seen <= set(SPECIALS):
            raise InputError(f"a vocabulary of {self.kind} without a single unit")
        if bool(self.model) != (self.kind == "sentencepiece"):
            raise InputError(f"a vocabulary of {self.kind} with{'' if self.model else 'out'} a SentencePiece model")
        if self.kind == "classes" and self.unknown != "error":
            raise InputError(f"unknown={self.unknown!r} is not for classes: every utterance is of one that is known")
        if self.unknown == "map" and UNKNOWN not in seen:
            raise InputError(f"unknown='map' needs the token {UNKNOWN}")

    # -- making one

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
        """Characters of an alphabet (a string, in its order), or of texts (normalised; sorted)."""
        normalization = normalization or TextNormalizer()
        if not isinstance(source, str):
            units = sorted(set().union(*(normalization.apply(text) for text in source)))
        elif changed := [c for c in source if c != " " and normalization.apply(c) != c]:
            raise InputError(f"alphabet: {_name(changed)}: normalisation changes these, so no text can contain them")
        else:
            units = list(source)
        tokens = _with_specials(units, specials, unknown)
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
        """Words that texts have ``min_count`` times at least, the commonest first (of equal ones by the alphabet)."""
        normalization = normalization or TextNormalizer()
        counts = Counter(word for text in texts for word in normalization.apply(text).split())
        units = [word for word, count in sorted(counts.items(), key=lambda e: (-e[1], e[0])) if count >= min_count]
        return cls("words", _with_specials(units, specials, unknown), normalization, unknown)

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
        """Phones of a set (timit61, timit48, timit39, arpabet), or of an iterable in order of first use."""
        if isinstance(source, str):
            check_choice("phone set", source, tuple(PHONE_SETS))
            source = PHONE_SETS[source]
        normalization = normalization or TextNormalizer()
        units = list(dict.fromkeys(map(normalization.apply, source)))  # as they will stand in the texts
        return cls("phones", _with_specials(units, specials, unknown), normalization, unknown, fold)

    @classmethod
    def sentencepiece(
        cls,
        model: bytes | str | Path,
        normalization: TextNormalizer | None = None,
        *,
        unknown: str = "error",
        specials: Sequence[str] = (BLANK,),
    ) -> Vocabulary:
        """The pieces of a SentencePiece model (a path or its bytes), without the model's own control symbols.

        The model's own normalisation still runs, after ours.
        """
        data = model if isinstance(model, bytes) else sentencepiece_model.read(Path(model))
        units = sentencepiece_model.units(data, "SentencePiece model" if isinstance(model, bytes) else str(model))
        tokens = _with_specials(units, specials, unknown)
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

        Every character of the texts gets a piece. Raises InputError when they cannot give that many pieces.
        """
        normalization = normalization or TextNormalizer()
        added = len(_with_specials([], specials, unknown))
        # the model counts its own <unk>, which we leave out
        model = sentencepiece_model.train(
            (normalization.apply(text) for text in texts), size - added + 1, model_type, shown=size
        )
        return cls.sentencepiece(model, normalization, unknown=unknown, specials=specials)

    @classmethod
    def classes(cls, source: Iterable[str], normalization: TextNormalizer | None = None) -> Vocabulary:
        """Each distinct text (normalised; sorted), spaces and all, is one unit; there are no special tokens."""
        normalization = normalization or TextNormalizer()
        return cls("classes", _with_specials(sorted(set(map(normalization.apply, source))), (), "error"), normalization)

    # -- ids of the special tokens

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def blank(self) -> int:
        """Label of ``<blank>``; InputError where there is none."""
        if (label := self._special(BLANK)) is None:
            raise InputError("this vocabulary has no blank, so it is not one for CTC")
        return label

    @property
    def bos(self) -> int | None:
        """Label of ``<bos>``, or None."""
        return self._special(BOS)

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
        return {token: label for label, token in enumerate(self.tokens) if token not in SPECIALS}

    @cached_property
    def _pieces(self) -> Any:
        return sentencepiece_model.processor(self.model, "vocabulary")

    # -- text to labels

    def encode(self, text: str, utterance: str = "") -> list[int]:
        """Labels of a text, which is normalised first; never a blank. ``utterance`` names it in errors.

        Raises InputError naming what is outside the vocabulary, unless ``unknown`` says otherwise.
        """
        labels = self.spell(text, utterance)
        return [self._units[" "], *labels, self._units[" "]] if self.boundary_spaces and labels else labels

    def spell(self, text: str, utterance: str = "") -> list[int]:
        """As `encode`, of a part of a text: without ``boundary_spaces``."""
        text = self.normalization.apply(text)
        units = self._split(text)
        unknown = [unit for unit in units if unit not in self._units]
        if not unknown:
            return [self._units[unit] for unit in units]
        if self.unknown == "error":
            raise InputError(self._complaint(unknown, utterance, text))
        if self.unknown == "map":
            unk = self.tokens.index(UNKNOWN)
            return [self._units.get(unit, unk) for unit in units]
        self._count_skipped(unknown, utterance)
        if self.kind not in SPACED:  # taken out of the text, so that "a & b" does not leave two spaces
            kept = text.translate(dict.fromkeys(map(ord, self._parts(unknown))))
            units = self._split(kept if self.normalization.white_space == "keep" else " ".join(kept.split()))
        return [self._units[unit] for unit in units if unit in self._units]

    def _split(self, text: str) -> list[str]:
        if self.kind == "characters":
            return list(text)
        if self.kind == "classes":
            return [text]
        return text.split() if self.kind in SPACED else list(self._pieces.encode(text, out_type=str))

    def _parts(self, unknown: Iterable[str]) -> list[str]:
        """The phones or words, or the single characters, that are to be named."""
        return list(unknown) if self.kind in SPACED else list("".join(unknown).replace("▁", " "))

    def _complaint(self, unknown: list[str], utterance: str, text: str) -> str:
        what = self.kind if self.kind in SPACED else "characters"
        where = f"utterance {utterance}: " if utterance else ""
        if self.kind == "classes":
            return f"{where}{text!r} is not one of the classes {', '.join(self.tokens)}"
        shown = text if len(text) <= 120 else text[:117] + "..."
        named = _name(self._parts(unknown))
        remedy = "normalise the text differently, or set unknown to skip or map"
        return f"{where}{what} outside the vocabulary: {named} in {shown!r}; {remedy}"

    def _count_skipped(self, unknown: list[str], utterance: str) -> None:
        for part in self._parts(unknown):
            if part not in self.skipped:
                where = f" in utterance {utterance}" if utterance else ""
                log.warning("skipped %s, which is outside the vocabulary, first%s", _name([part]), where)
            self.skipped[part] += 1

    # -- labels to text

    def decode(self, labels: Iterable[int]) -> str:
        """Text of labels; blank, bos and eos are left out.

        Words, or phones, have single spaces between them, unless the vocabulary is one of characters with all kinds of
        white space (``normalization.white_space`` is "keep").
        """
        if self.kind == "characters" and self.normalization.white_space == "keep":
            return "".join(token for token in map(self._token, labels) if token not in (BLANK, BOS, EOS))
        return " ".join(word for word, _, _ in self.words(labels))

    def words(self, labels: Iterable[int]) -> list[tuple[str, int, int]]:
        """Words (phones: every phone) with their span of indices into ``labels``: (word, first, last + 1).

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
        # byte pieces (<0xC3>) are joined as bytes, so that several make one character
        parts = [bytes([int(t[3:5], 16)]) if _BYTE.fullmatch(t) else t.replace("▁", " ").encode() for t in tokens]
        return b"".join(parts).decode("utf-8", "replace").strip()

    def scoring(self, text: str) -> str:
        """What error rates compare, of references and hypotheses: normalised text, phones folded.

        Nothing outside the vocabulary is dropped here: a reference keeps what the network cannot write.
        """
        text = self.normalization.apply(text)
        if self.fold is None:
            return text
        phones = [[unit] if unit == UNKNOWN else fold([unit], self.fold) for unit in text.split()]
        return " ".join(chain.from_iterable(phones))

    # -- file

    def save(self, path: str | Path) -> None:
        """Write the vocabulary to one text file."""
        normalization = asdict(self.normalization)
        header = {
            "kind": self.kind,
            "unknown": self.unknown,
            "fold": self.fold,
            "boundary_spaces": self.boundary_spaces,
            "normalization": normalization,
        }
        vocabulary_file.write(path, header, self.tokens, self.model)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read what `save` wrote. Raises InputError naming the file and the line."""
        header, tokens, model = vocabulary_file.read(path)
        seen: set[str] = set()
        for number, token in enumerate(tokens, start=2):
            try:
                _check_token(header.get("kind"), token, seen)
            except InputError as error:
                raise InputError(f"{path}:{number}: {error}") from error
        kind, unknown = header.get("kind", ""), header.get("unknown", "")
        try:
            normalization = TextNormalizer.from_config(header.get("normalization"))
            vocabulary = cls(
                kind, tokens, normalization, unknown, header.get("fold"), header.get("boundary_spaces", False), model
            )
            if kind == "sentencepiece" and set(vocabulary._units) - set(cls.sentencepiece(model).tokens):
                raise InputError("the tokens are not the pieces of the SentencePiece model that follows them")
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return vocabulary


_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def _check_token(kind: str | None, token: str, seen: set[str]) -> None:
    """Raise InputError unless the token can follow those already seen; adds it to them."""
    if token in seen:
        raise InputError(f"token {token!r} is there twice")
    if token not in SPECIALS:
        if kind == "characters" and len(token) != 1:
            raise InputError(f"token {token!r} is not a single character")
        if not token or (kind in SPACED and token.split() != [token]):
            raise InputError(f"token {token!r} is empty or has white space in it")
    seen.add(token)


def _with_specials(units: list[str], specials: Sequence[str], unknown: str) -> tuple[str, ...]:
    if strange := [token for token in specials if token not in SPECIALS]:
        raise InputError(f"special tokens {strange} are none of {', '.join(SPECIALS)}")
    if unknown == "map" and UNKNOWN not in specials:
        specials = (*specials, UNKNOWN)
    if clash := [unit for unit in units if unit in SPECIALS]:
        raise InputError(f"units must not be called like the special tokens: {' '.join(clash)}")
    return (*specials, *units)


def _name(parts: Iterable[str]) -> str:
    """Each distinct part once, single characters with their code point."""
    return ", ".join(f"{p!r} (U+{ord(p):04X})" if len(p) == 1 else repr(p) for p in dict.fromkeys(parts))
