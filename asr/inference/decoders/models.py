"""Language models and pronunciation dictionaries in the form in which the beam search takes them."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

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
from asr.text.normalization import TextNormalizer, look_alike
from asr.text.vocabulary import SPECIALS, Vocabulary

log = logging.getLogger(__name__)

SPACE = "|"  # the name of the space between words in a language model of characters

MAX_NAMED = 5  # names of what cannot be used in a message


def words_of_model(ngram: NGram | CompactNGram | None) -> list[str]:
    """Return the words of an n-gram model without <unk>, <s> and </s>; none of None."""
    return [] if ngram is None else list(ngram.words[3:])


def word_model(
    vocabulary: Vocabulary,
    ngram: NGram | CompactNGram | None,
    lexicon: Lexicon | None,
    hotwords: Mapping[str, float],
    weight: float,
    bonus: float,
    unknown: float | None,
) -> WordModel:
    """Build the model of words for a search over the labels of ``vocabulary``; log words that it cannot spell.

    Args:
        vocabulary: of the head that is decoded, of kind characters (which spell the words) or phones.
        ngram: a model of words; None: all words of the lexicon (of phones) or hot words alone (of characters).
        lexicon: pronunciations, for a head of phones.
        hotwords: what to add to the score of some words or phrases, natural log, see `normalize_hotwords`.
        weight: factor of a word's natural-log probability.
        bonus: added to the score for each word.
        unknown: score (natural log) of a word that ``ngram`` does not have, see `WordModel`; without effect for phones.

    Raises:
        InputError: a vocabulary of another kind or with boundary spaces, a missing or superfluous lexicon, or no word
            that can be spelled.
    """
    if vocabulary.kind not in ("characters", "phones"):
        raise InputError(
            f"words are spelled in characters or phones; this head's vocabulary is of kind {vocabulary.kind}"
        )
    check_lexicon(vocabulary, lexicon is not None)
    if vocabulary.boundary_spaces:
        raise InputError(
            "words cannot be searched with a head whose texts begin and end with a space (boundary_spaces)"
        )
    phrases = normalize_hotwords(hotwords, vocabulary, words_of_model(ngram) if lexicon is None else lexicon, lexicon)
    single = {phrase[0]: bonus for phrase, bonus in phrases.items() if len(phrase) == 1}
    several = {phrase: bonus for phrase, bonus in phrases.items() if len(phrase) > 1}
    if (
        isinstance(lexicon, CompiledLexicon)
        and ngram is not None
        and (trie := _compiled_trie(lexicon, vocabulary)) is not None
        and ((required := ngram.words[3:]) == lexicon.word_list or ngram.index.keys() >= set(lexicon))
    ):
        if required != lexicon.word_list:
            log_uncovered("words", len(required), [word for word in required if word not in lexicon])
        return WordModel(trie, lexicon.word_list, ngram, weight, bonus, None, single, several)
    spellings = _spellings(ngram, lexicon, dict.fromkeys(word for phrase in phrases for word in phrase))
    if vocabulary.kind == "phones":
        unknown = None
    elif ngram is None:
        unknown = unknown or 0.0  # hot words alone: all other words are possible, too
    labels = {token: label for label, token in enumerate(vocabulary.tokens) if token not in SPECIALS}
    names: list[str] = []
    entries: list[tuple[int, tuple[int, ...]]] = []
    missing: list[str] = []
    for word, variants in spellings.items():
        if vocabulary.kind == "characters" and not word.isascii():
            variants = [plain_characters(word, labels)]
        usable = [tuple(labels[unit] for unit in units) for units in variants if set(units) <= labels.keys()]
        if not usable:
            missing.append(word)
            continue
        entries += [(len(names), units) for units in usable]
        names.append(word)
    log_uncovered("words", len(spellings), missing)
    separator = labels.get(" ") if vocabulary.kind == "characters" else None
    return WordModel(lexicon_trie.build(entries, separator), names, ngram, weight, bonus, unknown, single, several)


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
    hotwords: Mapping[str, float], vocabulary: Vocabulary, known: Collection[str], lexicon: Lexicon | None
) -> dict[tuple[str, ...], float]:
    """Return hot words as the search spells them: each phrase is a tuple of its words.

    A word is normalized as the texts are of which the network learned; where it cannot be written so, its small or
    capital letters are tried. Phrases that cannot be written, or have no pronunciation, are left out with a warning.

    Args:
        hotwords: words or phrases, and what each adds to the score.
        vocabulary: of the head that is decoded.
        known: words of the language model or of the dictionary, which stay as they are.
        lexicon: pronunciations, for a head of phones.

    Raises:
        InputError: none of the hot words can be used.
    """
    if not hotwords:
        return {}
    words = set(known)
    units = {token for token in vocabulary.tokens if token not in SPECIALS and token != " "}

    def usable(word: str) -> bool:
        if lexicon is not None:
            return any(units.issuperset(variant) for variant in lexicon.get(word, ()))
        return units.issuperset(word)

    normalization = vocabulary.normalization if lexicon is None else TextNormalizer.english()
    phrases: dict[tuple[str, ...], float] = {}
    missing: list[str] = []
    for phrase, bonus in hotwords.items():
        as_given = unicodedata.normalize("NFC", phrase)
        candidates = [as_given] if words.issuperset(as_given.split()) else []
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


def _spellings(
    ngram: NGram | CompactNGram | None, lexicon: Lexicon | None, hotwords: Iterable[str]
) -> Mapping[str, Sequence[tuple[str, ...]]]:
    """Characters or pronunciations of each word."""
    known = words_of_model(ngram)
    if lexicon is None:
        return {word: [tuple(word)] for word in dict.fromkeys([*known, *hotwords])}
    if ngram is None:
        return lexicon
    words = dict.fromkeys([*known, *hotwords])
    return {word: lexicon.get(word) or lexicon.get(lookup_form(word), []) for word in words}


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
