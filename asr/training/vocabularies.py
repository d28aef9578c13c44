"""Vocabularies that a configuration describes, of the training texts where it says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asr.errors import InputError
from asr.text.normalization import Normalization
from asr.text.vocabulary import BLANK, KINDS, Vocabulary


def make_vocabulary(
    head: str,
    options: Mapping[str, Any],
    texts: Sequence[str],
    phones: Sequence[str] = (),
    specials: Sequence[str] = (BLANK,),
) -> Vocabulary:
    """The vocabulary of one head, by its ``kind``; ``phones`` are those of the training data."""
    kind, unknown = options.get("kind"), options.get("unknown", "error")
    normalization = Normalization.from_config(options.get("normalization"))
    if kind == "characters":
        source = options.get("alphabet") or texts
        edges = options.get("edges", False)
        return Vocabulary.characters(source, normalization, edges=edges, unknown=unknown, specials=specials)
    if kind == "words":
        least = options.get("min_count", 1)
        return Vocabulary.words_of(texts, normalization, min_count=least, unknown=unknown, specials=specials)
    if kind == "phones":
        source = phones if options.get("phones") is None else options["phones"]
        if not source:
            raise InputError(f"task.heads.{head}: no training utterance has phones")
        return Vocabulary.phones(source, options.get("fold"), normalization, unknown=unknown, specials=specials)
    if kind == "sentencepiece":
        size = options.get("size", 500)
        return Vocabulary.train_sentencepiece(texts, size, normalization, unknown=unknown, specials=specials)
    if kind == "classes":
        return Vocabulary.classes(texts, normalization)
    raise InputError(f"task.heads.{head}: kind={kind!r} is not one of {', '.join(KINDS)}")
