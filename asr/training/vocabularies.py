"""Build vocabularies from the options of a head and the training texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from asr.errors import InputError
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import BLANK, KINDS, Vocabulary
from asr.text.vocabulary_file import OPTION_ALIASES
from asr.utils.aliases import rename_keys
from asr.utils.options import check_choice


def make_vocabulary(
    head: str,
    options: Mapping[str, Any],
    texts: Sequence[str],
    phones: Sequence[str] = (),
    specials: Sequence[str] = (BLANK,),
) -> Vocabulary:
    """Build the vocabulary of one head.

    Args:
        head: name of the head, for messages.
        options: of ``task.heads.HEAD``: ``kind`` and the options that this kind has; former names are accepted. With
            ``vocabulary`` that file is read, and nothing else counts.
        texts: training texts, from which most kinds take their labels.
        phones: phones of the training data, for kind "phones" without the option ``phones``.
        specials: labels that are no text, such as blank or <eos>, before all others.

    Raises:
        InputError: the kind is unknown, an option is wrong, there are no phones, or a file holds another kind.
    """
    return replace(_make(head, options, texts, phones, specials), head=head)


def _make(
    head: str, options: Mapping[str, Any], texts: Sequence[str], phones: Sequence[str], specials: Sequence[str]
) -> Vocabulary:
    options = rename_keys(options, OPTION_ALIASES)
    kind, unknown = options.get("kind"), options.get("unknown", "error")
    check_choice(f"task.heads.{head}.kind", kind, KINDS)
    if options.get("vocabulary"):
        vocabulary = Vocabulary.load(options["vocabulary"])
        if vocabulary.kind != kind:
            raise InputError(f"{options['vocabulary']}: of {vocabulary.kind}, where task.heads.{head}.kind is {kind}")
        return vocabulary
    normalization = TextNormalizer.from_config(options.get("normalization"))
    if kind == "characters":
        source = options.get("alphabet") or texts
        spaces = options.get("boundary_spaces", False)
        return Vocabulary.characters(source, normalization, boundary_spaces=spaces, unknown=unknown, specials=specials)
    if kind == "words":
        min_count = options.get("min_count", 1)
        return Vocabulary.words_of(texts, normalization, min_count=min_count, unknown=unknown, specials=specials)
    if kind == "phones":
        source = phones if options.get("phones") is None else options["phones"]
        if not source:
            raise InputError(f"task.heads.{head}: no training utterance has phones")
        return Vocabulary.phones(source, options.get("fold"), normalization, unknown=unknown, specials=specials)
    if kind == "sentencepiece":
        size = options.get("size", 500)
        return Vocabulary.train_sentencepiece(texts, size, normalization, unknown=unknown, specials=specials)
    return Vocabulary.classes(texts, normalization)
