"""Binary files of n-gram models: the arrays of a `CompactNGram`, which are mapped into memory, not read.

A file is in the format safetensors: the length of a header (8 bytes, little-endian), the header in JSON, with the type,
shape and place of each array, then the arrays. The header's metadata name the format and its version, and hold a
checksum of the arrays. ``words`` is the vocabulary in UTF-8, a word a line; the other arrays are those of
`asr.lm.compact.CompactTrie`.
"""

from __future__ import annotations

import json
import math
import mmap
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import InputError
from asr.lm.compact import CompactNGram, CompactTrie
from asr.lm.ngram import BOS, EOS, UNK
from asr.lm.quantize import LEVELS
from asr.utils.atomic import atomic_path
from asr.utils.text_files import first_bytes

FORMAT, VERSION = "asr n-gram model", "1"
MAX_HEADER = 1 << 16
_BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], dtype=np.uint8)
_TYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "U64": np.uint64, "F32": np.float32}
# type and number of dimensions of each array, in the file's order: wide types first, so that all are aligned
_ARRAYS: dict[str, tuple[str, int]] = {
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
    "words": ("U8", 1),
}


def is_binary(path: str | Path) -> bool:
    """Return whether a file is a binary n-gram model, by its first bytes; it may be compressed."""
    head = first_bytes(path, 8 + 200)
    return head[8:9] == b"{" and FORMAT.encode() in head


def write(model: CompactNGram, path: str | Path) -> None:
    """Write a model to a binary file."""
    arrays = {name: np.ascontiguousarray(getattr(model.trie, name)) for name in _ARRAYS if name != "words"}
    arrays["words"] = np.frombuffer("\n".join(model.words).encode(), dtype=np.uint8)
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "version": VERSION, "crc32": str(_checksum(arrays))}}
    end = 0
    for name, (dtype, _) in _ARRAYS.items():
        begin, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": dtype, "shape": arrays[name].shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    with atomic_path(Path(path)) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in _ARRAYS:
            file.write(arrays[name].tobytes())


def read(path: str | Path) -> CompactNGram:
    """Read the model of a binary file; the arrays stay in the file, unless that is compressed.

    Raises:
        InputError: the file cannot be read, or is no binary n-gram model, of a later version, cut short or damaged.
    """
    try:
        with open(path, "rb") as file:
            data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # compiled functions want writable arrays
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if data[8:9] != b"{":  # compressed
        data = bytearray(first_bytes(path, -1))
    try:
        arrays = _arrays(data, path)
        return _model(arrays, path)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the n-gram model is damaged ({type(error).__name__}: {error})") from error


def _arrays(data: Any, path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file's bytes, whose checksum is right."""
    size = int.from_bytes(data[:8], "little")
    if size > MAX_HEADER:
        raise ValueError(f"a header of {size} bytes")
    header = json.loads(bytes(data[8 : 8 + size]))
    metadata: Mapping[str, str] = header["__metadata__"]
    if metadata["format"] != FORMAT:
        raise ValueError(f"format {metadata['format']!r}")
    if metadata["version"] != VERSION:
        raise InputError(f"{path}: an n-gram model of version {metadata['version']}; this program reads {VERSION}")
    end = 8 + size + max(int(header[name]["data_offsets"][1]) for name in _ARRAYS)
    if len(data) < end:
        raise InputError(f"{path}: the n-gram model is cut short: it has {len(data)} of {end} bytes")
    arrays = {}
    for name, (dtype, dimensions) in _ARRAYS.items():
        entry = header[name]
        begin, shape = int(entry["data_offsets"][0]), tuple(entry["shape"])
        if entry["dtype"] != dtype or len(shape) != dimensions or begin < 0 or min(shape) < 0:
            raise ValueError(f"{name} has the type {entry['dtype']} and the shape {shape}")
        arrays[name] = np.frombuffer(data, _TYPES[dtype], math.prod(shape), 8 + size + begin).reshape(shape)
    if (found := str(_checksum(arrays))) != metadata["crc32"]:
        raise InputError(f"{path}: the n-gram model is damaged: its checksum is {found}, not {metadata['crc32']}")
    return arrays


def _model(arrays: dict[str, np.ndarray], path: str | Path) -> CompactNGram:
    """Return the model of arrays, all of whose indices are checked: compiled functions do not look."""
    words = tuple(bytes(arrays.pop("words")).decode().split("\n"))
    width = max(1, (len(words) - 1).bit_length())
    trie = CompactTrie(word_bits=width, **arrays)
    order, size, contexts = len(trie.first) - 1, int(trie.first[-1]), len(trie.suffix)
    rest, blocks = size - 1 - len(words), -(-size // 64)
    bits = _BITS_OF_BYTE[trie.is_context.view(np.uint8)].reshape(-1, 8).sum(1, dtype=np.int64)
    checks = {
        "words": set(words[:3]) == {UNK, BOS, EOS} and words[0] == UNK,
        "orders": order >= 1 and trie.first[0] == 1 and trie.first[1] == 1 + len(words) == 1 + len(trie.unigram),
        "sizes": (np.diff(trie.first) >= 0).all()
        and len(trie.word) == (rest * width + 63) // 64 + 1
        and len(trie.log_prob) == rest
        and trie.log_prob_book.shape == (order - 1, LEVELS)
        and trie.backoff_book.shape == (order + 1, LEVELS)
        and len(trie.is_context) == len(trie.contexts_before) == blocks
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
        # a suffix is shorter, so that following suffixes comes to the root
        "suffixes": trie.suffix.min() >= 0 and (trie.suffix[1:] < np.arange(1, contexts)).all(),
    }
    if wrong := [name for name, right in checks.items() if not right]:
        raise InputError(f"{path}: the n-gram model is damaged: its {', '.join(wrong)} do not fit")
    return CompactNGram(words, order, trie)


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """Return the CRC-32 of the arrays, one after another."""
    checksum = 0
    for name in _ARRAYS:
        checksum = zlib.crc32(arrays[name].data, checksum) if arrays[name].size else checksum
    return checksum
