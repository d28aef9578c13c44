"""Language models and pronunciation dictionaries in the form in which the beam search takes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.fusion import LabelModel, WordModel
from asr.errors import InputError
from asr.inference.decoders.base import check_lexicon
from asr.lm.ngram import BOS, EOS, UNK, NGram
from asr.text.lexicon import Lexicon
from asr.text.vocabulary import SPECIALS, Vocabulary

log = logging.getLogger(__name__)

SPACE = "|"  # the name of the space between words in a language model of characters

MAX_NAMED = 5  # names of what cannot be used in a message


def words_of_model(ngram: NGram | None) -> list[str]:
    """Return the words of an n-gram model without <unk>, <s> and </s>; none of None."""
    return [] if ngram is None else [word for word in ngram.words if word not in (UNK, BOS, EOS)]


def word_model(
    vocabulary: Vocabulary,
    ngram: NGram | None,
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
        hotwords: what to add to the score of some words, natural log.
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
    spellings = _spellings(ngram, lexicon, hotwords)
    if vocabulary.kind == "phones":
        unknown = None
    elif ngram is None:
        unknown = unknown or 0.0  # hot words alone: all other words are possible, too
    labels = {token: label for label, token in enumerate(vocabulary.tokens) if token not in SPECIALS}
    names: list[str] = []
    entries: list[tuple[int, tuple[int, ...]]] = []
    missing: list[str] = []
    for word, variants in spellings.items():
        usable = [tuple(labels[unit] for unit in units) for units in variants if set(units) <= labels.keys()]
        if not usable:
            missing.append(word)
            continue
        entries += [(len(names), units) for units in usable]
        names.append(word)
    log_uncovered("words", len(spellings), missing)
    separator = labels.get(" ") if vocabulary.kind == "characters" else None
    return WordModel(lexicon_trie.build(entries, separator), names, ngram, weight, bonus, unknown, hotwords)


def _spellings(
    ngram: NGram | None, lexicon: Lexicon | None, hotwords: Mapping[str, float]
) -> Mapping[str, Sequence[tuple[str, ...]]]:
    """Characters or pronunciations of each word."""
    known = words_of_model(ngram)
    if lexicon is None:
        return {word: [tuple(word)] for word in dict.fromkeys([*known, *hotwords])}
    return {word: lexicon.get(word, []) for word in (known if ngram else lexicon)}


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
