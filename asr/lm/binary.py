"""Binary files of n-gram models (`asr.utils.array_files`): the arrays of a `CompactNGram`, mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from asr.lm.compact import CompactNGram, CompactTrie
from asr.lm.ngram import BOS, EOS, UNK
from asr.lm.quantize import LEVELS
from asr.utils.array_files import ArrayFormat, pack_lines, unpack_lines

FORMAT = ArrayFormat(
    "n-gram model",
    "1",
    {
        "first": ("I64", 1),
        "first_context": ("I64", 1),
        "is_context": ("U64", 1),
        "word": ("U64", 1),
        "unigram": ("F32", 1),
        "log_prob_book": ("F32", 2),
        "backoff_book": ("F32", 2),
        "contexts_before": ("I32", 1),
        "children": ("I32", 1),
        "suffix": ("I32", 1),
        "log_prob": ("U8", 1),
        "backoff": ("U8", 1),
        "words": ("U8", 1),  # the vocabulary, a word a line
    },
)
_BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], dtype=np.uint8)


def write(model: CompactNGram, path: str | Path) -> None:
    """Write a model to a binary file."""
    arrays = {name: np.ascontiguousarray(getattr(model.trie, name)) for name in FORMAT.arrays if name != "words"}
    FORMAT.write(arrays | {"words": pack_lines(model.words)}, path)


def read(path: str | Path) -> CompactNGram:
    """Read the model of a binary file; all indices are checked, as compiled functions do not look.

    Raises:
        InputError: the file cannot be read, or is no binary n-gram model, of a later version, cut short or damaged.
    """
    arrays = FORMAT.read(path)
    try:
        words = unpack_lines(arrays.pop("words"))
        width = max(1, (len(words) - 1).bit_length())
        model = CompactNGram(words, len(arrays["first"]) - 1, CompactTrie(word_bits=width, **arrays))
        wrong = [name for name, right in _checks(model).items() if not right]
    except (ValueError, IndexError, OverflowError) as error:  # arrays that are too short for the checks themselves
        raise FORMAT.damaged(path, f"{type(error).__name__}: {error}") from error
    if wrong:
        raise FORMAT.damaged(path, f"its {', '.join(wrong)} do not fit")
    return model


def _checks(model: CompactNGram) -> dict[str, Any]:
    """Return what must hold of the arrays of a model, and whether it does."""
    words, order, trie = model.words, model.order, model.trie
    size, contexts = int(trie.first[-1]), len(trie.suffix)
    rest = size - 1 - len(words)
    bits = _BITS_OF_BYTE[trie.is_context.view(np.uint8)].reshape(-1, 8).sum(1, dtype=np.int64)
    return {
        "words": words[0] == UNK and set(words[:3]) == {UNK, BOS, EOS},
        "orders": order >= 1 and trie.first[0] == 1 and trie.first[1] == 1 + len(words) == 1 + len(trie.unigram),
        "sizes": (np.diff(trie.first) >= 0).all()
        and len(trie.word) == (rest * trie.word_bits + 63) // 64 + 1
        and len(trie.log_prob) == rest
        and trie.log_prob_book.shape == (order - 1, LEVELS)
        and trie.backoff_book.shape == (order + 1, LEVELS)
        and len(trie.is_context) == len(trie.contexts_before) == -(-size // 64)
        and len(trie.backoff) == contexts == len(trie.children) - 1,
        "contexts": bits.sum() == contexts
        and (trie.contexts_before == np.cumsum(bits) - bits).all()
        and len(trie.first_context) == order + 2
        and trie.first_context[0] == 0
        and trie.first_context[-1] == contexts
        and (np.diff(trie.first_context) >= 0).all(),
        "children": trie.children[0] == 1
        and trie.children[1] == 1 + len(words)
        and trie.children[-1] == size
        and (np.diff(trie.children) >= 0).all(),
        # a suffix is shorter, so that going from suffix to suffix comes to the root
        "suffixes": trie.suffix.min() >= 0 and (trie.suffix[1:] < np.arange(1, contexts)).all(),
    }
