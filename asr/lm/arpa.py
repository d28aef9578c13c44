"""Read and write ARPA files, the exchange format of n-gram models (SRILM's manual page ngram-format(5))."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import ARPA_LOG_ZERO, BOS, EOS, UNK, NGram
from asr.lm.tables import NGramTable, build_from_tables
from asr.utils.atomic import atomic_path
from asr.utils.text_files import first_bytes, read_lines

LN10 = float(np.log(10))

# Fields of a line: tabs and blanks separate them, and no other white space, which can be in words (U+00A0, U+3000).
_fields = re.compile(r"[^ \t]+").findall
_SECTION = re.compile(r"\\(?:[0-9]+-grams:|end\\)\s*")
# first bytes of other programs' models
BINARIES = {
    b"mmap lm http://kheafield.com/code": "a KenLM binary",
    b"SRILM_BINARY_NGRAM": "an SRILM binary",
    b"blmt": "an IRSTLM binary",
    b"Qblmt": "an IRSTLM binary",
    b"\xd6\xfd\xb2\x7e": "an OpenFst file",
}


def read(path: str | Path) -> NGram:
    """Read the model of an ARPA file, plain or compressed.

    Prefixes of n-grams that the file lacks (SRILM prunes them) are added, with the probability that backing off gives
    them. A model without <unk> gives unknown words the probability 10^-99.

    Args:
        path: the file.

    Returns:
        The model.

    Raises:
        InputError: the file is missing, damaged or not an ARPA file, or has no ``</s>``; the message names the file and
            the line.
    """
    head = first_bytes(path, max(map(len, BINARIES)))
    if (kind := next((kind for begin, kind in BINARIES.items() if head.startswith(begin)), None)) is not None:
        raise InputError(f"{path}: this is {kind}; give the ARPA file that it was made from")
    return _parse(_LineReader(path))


def write(model: NGram, path: str | Path) -> None:
    """Write a model to an ARPA file, compressed if its name ends in .gz, .xz or .bz2."""
    path = Path(path)
    with atomic_path(path) as temporary, _open_to_write(temporary, path.suffix) as file:
        file.writelines(_format(model))


def _open_to_write(path: Path, suffix: str) -> IO[str]:
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
    return openers.get(suffix, open)(path, "wt", encoding="utf-8")


def _format(model: NGram) -> Iterator[str]:
    """Generate the lines of an ARPA file."""
    trie = model.trie
    ngrams = [model.ngrams(order) for order in range(1, model.order + 1)]
    yield "\\data\\\n"
    for order, (nodes, _) in enumerate(ngrams, start=1):
        yield f"ngram {order}={len(nodes)}\n"
    names = np.array(model.words, dtype=object)
    for order, (nodes, words) in enumerate(ngrams, start=1):
        yield f"\n\\{order}-grams:\n"
        log_probs, backoffs = trie.log_prob[nodes] / LN10, trie.backoff[nodes] / LN10
        for row, log_prob, backoff in zip(words, log_probs, backoffs, strict=True):
            tail = "" if order == model.order else f"\t{backoff:.7g}"
            yield f"{max(log_prob, ARPA_LOG_ZERO):.7g}\t{' '.join(names[row])}{tail}\n"
    yield "\n\\end\\\n"


class _LineReader:
    """Reads the lines of a file that are not empty, and counts all lines for error messages."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.number = path, 0
        self.missing = "\\data\\ is missing: this is not an ARPA file"  # at the end of the file
        self._lines = read_lines(path)

    def next(self) -> str:
        """Return the next line that is not empty; InputError at the end of the file."""
        for line in self._lines:
            self.number += 1
            if line and not line.isspace():
                return line
        raise self.error(f"the file ends here; {self.missing}")

    def error(self, what: str) -> InputError:
        """Return an error that names the file and the current line."""
        return InputError(f"{self.path}, line {self.number}: {what}")


def _parse(lines: _LineReader) -> NGram:
    counts = _header(lines)
    words: list[str] = []
    index: dict[str, int] = {}
    tables = []
    for order, count in enumerate(counts, start=1):
        tables.append(_table(lines, order, count, words, index))
        following = f"\\{order + 1}-grams:" if order < len(counts) else "\\end\\"
        if (line := lines.next().strip()) != following:
            what = "" if line.startswith("\\") else f" after the {count} {order}-grams that the header announces"
            raise lines.error(f"{line!r}; {following} is expected{what}")
    if EOS not in index:  # as KenLM, which refuses it too
        raise InputError(f"{lines.path}: {EOS} is not among the 1-grams, so no sentence could end")
    for special in (UNK, BOS):
        if special not in index:
            index[special] = len(words)
            words.append(special)
            tables[0] = tables[0].plus(np.array([[index[special]]]), ARPA_LOG_ZERO * LN10)
    try:
        return build_from_tables(words, tables)
    except InputError as error:
        raise InputError(f"{lines.path}: {error}") from error


def _header(lines: _LineReader) -> list[int]:
    r"""Read the numbers of n-grams of each order below ``\data\``; lines before it are comments."""
    while lines.next().strip() != "\\data\\":
        if lines.number > 1000:
            raise lines.error("no \\data\\ so far: this is not an ARPA file")
    lines.missing = "\\end\\ is missing"
    counts: list[int] = []
    while not (line := lines.next().strip()).endswith("-grams:"):
        name, _, count = line.partition("=")
        if name.split() != ["ngram", str(len(counts) + 1)] or not re.fullmatch(r"\s*[0-9]{1,12}\s*", count):
            raise lines.error(f"{line!r}; ngram {len(counts) + 1}=… or \\1-grams: is expected")
        counts.append(int(count))
    if not counts or line != "\\1-grams:":
        raise lines.error(f"{line!r}; \\1-grams: is expected")
    return counts


def _table(lines: _LineReader, order: int, count: int, words: list[str], index: dict[str, int]) -> NGramTable:
    """Read ``count`` n-grams of an order; unigrams are added to ``words`` and ``index``."""
    try:
        rows = np.empty((count, order), dtype=np.int32)
        weights = np.zeros((2, count), dtype=np.float32)  # base-10 logs: probability, back-off weight
    except MemoryError:
        raise lines.error(f"{count} {order}-grams do not fit into memory") from None
    for at in range(count):
        fields = _fields(lines.next())
        if len(fields) == 1 and _SECTION.fullmatch(fields[0]):
            raise lines.error(f"{fields[0]} after {at} of the {count} {order}-grams that the header announces")
        if len(fields) not in (order + 1, order + 2):
            raise lines.error(f"a log-probability, {order} words and perhaps a back-off weight are expected")
        if order == 1:
            word = UNK if fields[1] == "<UNK>" else fields[1]
            if word in index:
                raise lines.error(f"{fields[1]!r} is there twice")
            index[fields[1]] = index[word] = len(words)
            words.append(word)
        try:
            rows[at] = [index[word] for word in fields[1 : order + 1]]
        except KeyError as error:
            raise lines.error(f"{error.args[0]!r} is not among the 1-grams") from None
        try:
            weights[0, at] = float(fields[0])
            weights[1, at] = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
        except ValueError as error:
            raise lines.error(f"a base-10 logarithm is not a number: {error}") from None
        if not weights[0, at] <= 0:
            raise lines.error(f"a base-10 log-probability is at most 0, not {fields[0]}")
        if np.isnan(weights[1, at]):
            raise lines.error(f"a back-off weight is a number, not {fields[order + 1]}")
    return NGramTable(rows, weights[0] * np.float32(LN10), weights[1] * np.float32(LN10))
