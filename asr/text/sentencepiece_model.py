"""SentencePiece models (Kudo & Richardson 2018), which vocabularies of pieces are made of."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.text.normalization import check_choice


def train(texts: Iterable[str], size: int, model_type: str, *, shown: int) -> bytes:
    """A model of ``size`` pieces, "unigram" or "bpe", in which every character of the texts has one.

    Raises InputError when they cannot give that many; it speaks of ``shown`` of them.
    """
    import sentencepiece

    check_choice("model_type", model_type, ("unigram", "bpe"))
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size,
            model_type=model_type,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=1 << 24,  # bytes; longer lines would be left out in silence
            bos_id=-1,
            eos_id=-1,
            num_threads=1,  # the result must not depend on the machine
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise InputError(f"SentencePiece cannot make {shown} pieces of these texts: {error}") from error
    return model.getvalue()


def units(model: bytes, name: str) -> list[str]:
    """The pieces of a model, without its control symbols; ``name`` is what errors call it."""
    loaded = processor(model, name)
    skip = (loaded.is_control, loaded.is_unknown, loaded.is_unused)
    ids = [i for i in range(loaded.get_piece_size()) if not any(test(i) for test in skip)]
    return [loaded.id_to_piece(i) for i in ids]


def read(path: Path) -> bytes:
    """A file's content; InputError naming it where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def processor(model: bytes, name: str) -> Any:
    """SentencePiece's own object of a model; InputError, by its ``name``, for what is none."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        loaded = bool(model) and processor.LoadFromSerializedProto(model)
    except RuntimeError:
        loaded = False
    if not loaded:
        raise InputError(f"{name}: not a SentencePiece model")
    return processor
