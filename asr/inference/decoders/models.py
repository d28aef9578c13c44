"""Word and label language models as the beam search takes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.fusion import LabelModel, WordModel
from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, UNK, NGram
from asr.text.vocabulary import SPECIALS, Vocabulary

log = logging.getLogger(__name__)

SPACE = "|"  # what a model of characters calls the blank between words

SHOWN = 5


def word_model(
    vocabulary: Vocabulary,
    ngram: NGram | None,
    dictionary: str | Path | None,
    pronouncer: str | Path | None,
    hotwords: Mapping[str, float],
    weight: float,
    bonus: float,
    unknown: float | None,
) -> WordModel:
    """Words as a search over the labels of ``vocabulary`` needs them; what of them it cannot write is said."""
    known = [word for word in ngram.words if word not in (UNK, BOS, EOS)] if ngram else list(hotwords)
    if vocabulary.kind == "characters":
        if dictionary is not None or pronouncer is not None:
            raise InputError("a pronouncing dictionary is for a head of phones; this one writes characters")
        if ngram is None:
            unknown = unknown or 0.0  # hot words alone: all others are possible
        spelled = {word: [tuple(word)] for word in dict.fromkeys([*known, *hotwords])}
    elif vocabulary.kind == "phones":
        if dictionary is None and pronouncer is None:
            raise InputError("words out of phones need a pronouncing dictionary (decoder.lexicon, decoder.pronouncer)")
        from asr.inference.decoders.factory import lexicon_for

        pronunciations = lexicon_for([*known, *hotwords], dictionary, pronouncer)
        spelled = {word: pronunciations.get(word, []) for word in (known if ngram else pronunciations)}
        unknown = None
    else:
        raise InputError(f"words are spelled in characters or phones; this head writes {vocabulary.kind}")
    if vocabulary.boundary_spaces:
        raise InputError(
            "words cannot be searched with a head whose texts begin and end with a space (boundary_spaces)"
        )
    labels = {token: label for label, token in enumerate(vocabulary.tokens) if token not in SPECIALS}
    names: list[str] = []
    entries: list[tuple[int, tuple[int, ...]]] = []
    missing: list[str] = []
    for word, variants in spelled.items():
        usable = [tuple(labels[unit] for unit in units) for units in variants if set(units) <= labels.keys()]
        if not usable:
            missing.append(word)
            continue
        entries += [(len(names), units) for units in usable]
        names.append(word)
    say_coverage("words", len(spelled), missing)
    separator = labels.get(" ") if vocabulary.kind == "characters" else None
    return WordModel(lexicon_trie.build(entries, separator), names, ngram, weight, bonus, unknown, hotwords)


def label_model(vocabulary: Vocabulary, ngram: NGram, weight: float, bonus: float) -> LabelModel:
    """A model of a head's labels; those that it does not have are said."""
    names = [None if t in SPECIALS else SPACE if t == " " else t for t in vocabulary.tokens]
    wanted = [name for name in names if name is not None]
    say_coverage("labels", len(wanted), [name for name in wanted if name not in ngram.index])
    return LabelModel(ngram, names, weight, bonus)


def say_coverage(what: str, count: int, missing: Iterable[str]) -> None:
    """Log how many cannot be used, and some of them; InputError if that is all of them."""
    if not (missing := list(missing)):
        return
    some = ", ".join(repr(name) for name in missing[:SHOWN]) + ("…" if len(missing) > SHOWN else "")
    if len(missing) == count:
        raise InputError(f"model and network have no {what} in common, of {count} ({some}): another case, or alphabet?")
    log.warning("%d of %d %s cannot be used here: %s", len(missing), count, what, some)
