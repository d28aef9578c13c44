"""SentencePiece models (Kudo & Richardson 2018): training, reading, and their units."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.utils.options import check_choice


def train(texts: Iterable[str], size: int, model_type: str, *, reported_size: int) -> bytes:
    """Train a model in which every character of the texts has a unit.

    Args:
        texts: training data.
        size: number of units.
        model_type: "unigram" or "bpe".
        reported_size: number of units in an error message.

    Returns:
        The serialized model.

    Raises:
        InputError: another type, or the texts have too few distinct units.
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
            max_sentence_length=1 << 24,  # bytes; longer lines would be left out without a message
            bos_id=-1,
            eos_id=-1,
            num_threads=1,  # the result must not depend on the machine
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise InputError(f"SentencePiece cannot make {reported_size} units from these texts: {error}") from error
    return model.getvalue()


def units(model: bytes, name: str) -> list[str]:
    """List the units of a model without its control symbols; ``name`` is the model's in errors."""
    loaded = processor(model, name)
    skip = (loaded.is_control, loaded.is_unknown, loaded.is_unused)
    ids = [i for i in range(loaded.get_piece_size()) if not any(test(i) for test in skip)]
    return [loaded.id_to_piece(i) for i in ids]


def read(path: Path) -> bytes:
    """Read a model file. Raises InputError naming a file that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def processor(model: bytes, name: str) -> Any:
    """Load a model into SentencePiece's processor. Raises InputError, with ``name``, for what is no model."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        loaded = bool(model) and processor.LoadFromSerializedProto(model)
    except RuntimeError:
        loaded = False
    if not loaded:
        raise InputError(f"{name}: not a SentencePiece model")
    return processor
