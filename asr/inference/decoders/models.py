"""Language models and pronunciation dictionaries in the form in which the beam search takes them."""

from __future__ import annotations

import logging
import unicodedata
from collections import ChainMap
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.fusion import LabelModel, WordModel
from asr.decoding.ctc.lexicon_trie import LexiconTrie
from asr.errors import InputError
from asr.inference.decoders.base import check_lexicon
from asr.inference.decoders.hotwords import HotWordsError
from asr.lm.compact import CompactNGram
from asr.lm.ngram import NGram
from asr.text.compiled_lexicon import CompiledLexicon
from asr.text.lexicon import Lexicon, lookup_form
from asr.text.lexicon import words as lexicon_words
from asr.text.normalization import TextNormalizer, look_alike
from asr.text.vocabulary import SPECIALS, Vocabulary

log = logging.getLogger(__name__)

SPACE = "|"  # the name of the space between words in a language model of characters

MAX_NAMED = 5  # names of what cannot be used in a message


def words_of_model(ngram: NGram | CompactNGram | None) -> list[str]:
    """Return the words of an n-gram model without <unk>, <s> and </s>; none of None."""
    return [] if ngram is None else list(ngram.words[3:])


@dataclass(frozen=True)
class WordSource:
    """What the models of words of a search are made of: one without hot words, and others with them.

    Args:
        vocabulary: of the head that is decoded, of kind characters (which spell the words) or phones.
        ngram: a model of words; None: all words of the lexicon (of phones), or hot words alone.
        lexicon: pronunciations, for a head of phones.
        pronounce: adds the pronunciations of words that ``lexicon`` lacks, if there is a model for that.
        weight: factor of a word's natural-log probability.
        bonus: added to the score for each word.
        unknown: score (natural log) of a word that ``ngram`` does not have, see `WordModel`; without effect for phones.
    """

    vocabulary: Vocabulary
    ngram: NGram | CompactNGram | None = None
    lexicon: Lexicon | None = None
    pronounce: Callable[[Sequence[str]], Lexicon] | None = None
    weight: float = 0.7
    bonus: float = 0.0
    unknown: float | None = None

    @cached_property
    def base(self) -> WordModel | None:
        """The model without hot words; None where there are neither words of an n-gram model nor of a lexicon.

        Words that cannot be spelled are logged.

        Raises:
            InputError: a vocabulary of another kind or with boundary spaces, a missing or superfluous lexicon, or no
                word that can be spelled.
        """
        if self.ngram is None and not self.lexicon:
            return None
        self._check()
        lexicon, ngram = self.lexicon, self.ngram
        if (
            isinstance(lexicon, CompiledLexicon)
            and ngram is not None
            and (trie := _compiled_trie(lexicon, self.vocabulary)) is not None
            and ((required := ngram.words[3:]) == lexicon.word_list or ngram.index.keys() >= set(lexicon))
        ):
            if required != lexicon.word_list:
                log_uncovered("words", len(required), [word for word in required if word not in lexicon])
            return WordModel(trie, lexicon.word_list, ngram, self.weight, self.bonus, None)
        return self._model(lexicon if ngram is None and lexicon is not None else words_of_model(ngram))

    def favor(self, hotwords: Mapping[str, float]) -> WordModel:
        """Return the model with hot words, which shares the large arrays of that without.

        Args:
            hotwords: what to add to the score of some words or phrases, natural log, see `normalize_hotwords`.

        Raises:
            InputError: see ``base``, or none of the hot words can be used.
        """
        self._check()
        lexicon = self.lexicon
        if self.pronounce and (unheard := [w for p in hotwords for w in lexicon_words(p) if w not in (lexicon or {})]):
            lexicon = ChainMap(dict(self.pronounce(unheard)), lexicon or {})  # type: ignore[arg-type]
        known = self.base.number if self.base else {}
        phrases = normalize_hotwords(hotwords, self.vocabulary, known, lexicon)
        single = {phrase[0]: bonus for phrase, bonus in phrases.items() if len(phrase) == 1}
        several = {phrase: bonus for phrase, bonus in phrases.items() if len(phrase) > 1}
        added = list(dict.fromkeys(word for phrase in phrases for word in phrase if word not in known))
        if self.base is None:
            return replace(self, lexicon=lexicon)._model(added).favor(single, several)
        model = self.base
        if added:
            names, entries = replace(self, lexicon=lexicon)._spell(added)
            model = model.plus(names, lexicon_trie.build(entries, self._separator))
        return model.favor(single, several)

    def _check(self) -> None:
        if self.vocabulary.kind not in ("characters", "phones"):
            raise InputError(
                f"words are spelled in characters or phones; this head's vocabulary is of kind {self.vocabulary.kind}"
            )
        check_lexicon(self.vocabulary, self.lexicon is not None or self.pronounce is not None)
        if self.vocabulary.boundary_spaces:
            raise InputError(
                "words cannot be searched with a head whose texts begin and end with a space (boundary_spaces)"
            )

    @property
    def _separator(self) -> int | None:
        tokens = self.vocabulary.tokens
        return tokens.index(" ") if self.vocabulary.kind == "characters" and " " in tokens else None

    def _model(self, words: Iterable[str]) -> WordModel:
        """Return the model of words of which some can be spelled."""
        unknown = self.unknown
        if self.vocabulary.kind == "phones":
            unknown = None
        elif self.ngram is None:
            unknown = unknown or 0.0  # hot words alone: all other words are possible, too
        names, entries = self._spell(words)
        trie = lexicon_trie.build(entries, self._separator)
        return WordModel(trie, names, self.ngram, self.weight, self.bonus, unknown)

    def _spell(self, words: Iterable[str]) -> tuple[list[str], list[tuple[int, tuple[int, ...]]]]:
        """Return the words that can be spelled, and pairs of a word's index and its labels; log the other words."""
        labels = {token: label for label, token in enumerate(self.vocabulary.tokens) if token not in SPECIALS}
        names: list[str] = []
        entries: list[tuple[int, tuple[int, ...]]] = []
        missing: list[str] = []
        for word in words:
            if self.lexicon is not None:
                variants = self.lexicon.get(word) or self.lexicon.get(lookup_form(word), [])
            else:
                variants = [tuple(word) if word.isascii() else plain_characters(word, labels)]
            usable = [tuple(labels[unit] for unit in units) for units in variants if set(units) <= labels.keys()]
            if not usable:
                missing.append(word)
                continue
            entries += [(len(names), units) for units in usable]
            names.append(word)
        log_uncovered("words", len(names) + len(missing), missing)
        return names, entries


def compiled(words: Sequence[str], lexicon: Lexicon) -> CompiledLexicon:
    """Return the compiled dictionary of some of a dictionary's words."""
    phones = tuple(sorted({phone for word in words for variant in lexicon[word] for phone in variant}))
    label_of = {phone: label for label, phone in enumerate(phones)}
    entries = [
        (number, [label_of[phone] for phone in variant])
        for number, word in enumerate(words)
        for variant in lexicon[word]
    ]
    trie = lexicon_trie.build(entries)
    return CompiledLexicon(tuple(words), phones, trie.arc_offsets, trie.arc_label, trie.arc_target, trie.arc_word)


def _compiled_trie(lexicon: CompiledLexicon, vocabulary: Vocabulary) -> LexiconTrie | None:
    """Return the trie of a compiled dictionary over the labels of a vocabulary, None if these have another order."""
    labels = {token: label for label, token in enumerate(vocabulary.tokens) if token not in SPECIALS}
    label_of = np.array([labels.get(phone, -1) for phone in lexicon.phones], dtype=np.int32)
    if label_of[0] < 0 or (np.diff(label_of) <= 0).any():
        return None
    return LexiconTrie(lexicon.arc_offsets, label_of[lexicon.arc_label], lexicon.arc_target, lexicon.arc_word)


def plain_characters(word: str, labels: Collection[str]) -> tuple[str, ...]:
    """Return the characters of a word, composed; in place of what ``labels`` lack, what looks alike (don’t: don't)."""
    return tuple("".join(c if c in labels else look_alike(c) for c in unicodedata.normalize("NFC", word)))


def normalize_hotwords(
    hotwords: Mapping[str, float], vocabulary: Vocabulary, known: Container[str], lexicon: Lexicon | None
) -> dict[tuple[str, ...], float]:
    """Return hot words as the search spells them: each phrase is a tuple of its words.

    A word is normalized as the texts are of which the network learned; where it cannot be written so, its small or
    capital letters are tried. Phrases that cannot be written, or have no pronunciation, are left out with a warning.

    Args:
        hotwords: words or phrases, and what each adds to the score.
        vocabulary: of the head that is decoded.
        known: words of the search, which stay as they are, as those of ``lexicon`` do.
        lexicon: pronunciations, for a head of phones.

    Raises:
        InputError: none of the hot words can be used.
    """
    if not hotwords:
        return {}
    units = {token for token in vocabulary.tokens if token not in SPECIALS and token != " "}

    def is_known(word: str) -> bool:
        return word in known or (lexicon is not None and word in lexicon)

    def usable(word: str) -> bool:
        if word in known:
            return True
        if lexicon is not None:
            return any(units.issuperset(variant) for variant in lexicon.get(word, ()))
        return units.issuperset(word)

    normalization = vocabulary.normalization if lexicon is None else TextNormalizer.english()
    phrases: dict[tuple[str, ...], float] = {}
    missing: list[str] = []
    for phrase, bonus in hotwords.items():
        as_given = unicodedata.normalize("NFC", phrase)
        candidates = [as_given] if all(map(is_known, as_given.split())) else []
        candidates += [normalization.apply(change(phrase)) for change in (str, str.lower, str.upper)] + [as_given]
        parts = next((tuple(c.split()) for c in candidates if c.split() and all(map(usable, c.split()))), None)
        if parts is None:
            missing.append(phrase)
        else:
            phrases[parts] = bonus
    if missing:
        why = (
            "the model has no labels for their characters"
            if lexicon is None
            else "the pronunciation dictionary does not have them, or not in phones of the model"
        )
        log_unusable(missing, why, fatal=not phrases)
    return phrases


def log_unusable(hotwords: Sequence[str], why: str, fatal: bool) -> None:
    """Log hot words that cannot be used; HotWordsError if none is left (``fatal``)."""
    some = ", ".join(repr(name) for name in hotwords[:MAX_NAMED]) + ("…" if len(hotwords) > MAX_NAMED else "")
    message = f"hot words that cannot be used: {some}: {why}"
    if fatal:
        raise HotWordsError(message)
    log.warning("%s", message)


def label_model(vocabulary: Vocabulary, ngram: NGram, weight: float, bonus: float) -> LabelModel:
    """Build the model of labels for a search over the labels of ``vocabulary``; log labels that it lacks.

    Args:
        vocabulary: of the head that is decoded.
        ngram: a model of its characters (the space is |) or phones.
        weight: factor of a label's natural-log probability.
        bonus: added to the score for each label.

    Raises:
        InputError: model and vocabulary have no label in common.
    """
    names = [None if token in SPECIALS else SPACE if token == " " else token for token in vocabulary.tokens]
    required = [name for name in names if name is not None]
    log_uncovered("labels", len(required), [name for name in required if name not in ngram.index])
    return LabelModel(ngram, names, weight, bonus)


def log_uncovered(what: str, count: int, missing: Iterable[str]) -> None:
    """Log how many of ``count`` words or labels cannot be used, and some of them.

    Raises:
        InputError: none of them can be used.
    """
    if not (missing := list(missing)):
        return
    some = ", ".join(repr(name) for name in missing[:MAX_NAMED]) + ("…" if len(missing) > MAX_NAMED else "")
    if len(missing) == count:
        raise InputError(
            f"model and network have none of {count} {what} in common ({some}): do case and alphabet agree?"
        )
    log.warning("%d of %d %s cannot be used here: %s", len(missing), count, what, some)
