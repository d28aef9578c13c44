"""ARPA files: the text format in which n-gram models are exchanged (doc: SRILM's ngram-format(5))."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, NEVER, NONE, ROOT, UNK, NGram, Order, build, step
from asr.utils.atomic import atomic_path
from asr.utils.text_files import read_lines

LN10 = float(np.log(10))


def read(path: str | Path) -> NGram:
    """The model of an ARPA file, plain or gzipped. Raises InputError that names the file and the line.

    n-grams whose own beginning is missing (SRILM prunes such) get it, with the probability that the model gives it. A
    model without <unk> gives unknown words the probability 10^-99.
    """
    return _parse(_Lines(path))


def write(model: NGram, path: str | Path) -> None:
    """Write an ARPA file; gzipped if its name ends in .gz."""
    path = Path(path)
    with atomic_path(path) as temporary, _to_write(temporary, path.suffix == ".gz") as file:
        file.writelines(_lines(model))


def _to_write(path: Path, zipped: bool) -> IO[str]:
    return gzip.open(path, "wt", encoding="utf-8") if zipped else path.open("w", encoding="utf-8")


def _lines(model: NGram) -> Iterator[str]:
    trie = model.trie
    found = [model.ngrams(order) for order in range(1, model.order + 1)]
    yield "\\data\\\n"
    for order, (nodes, _) in enumerate(found, start=1):
        yield f"ngram {order}={len(nodes)}\n"
    names = np.array(model.words, dtype=object)
    for order, (nodes, words) in enumerate(found, start=1):
        yield f"\n\\{order}-grams:\n"
        log_probs, backoffs = trie.log_prob[nodes] / LN10, trie.backoff[nodes] / LN10
        for row, log_prob, backoff in zip(words, log_probs, backoffs, strict=True):
            tail = "" if order == model.order else f"\t{backoff:.7g}"
            yield f"{max(log_prob, NEVER):.7g}\t{' '.join(names[row])}{tail}\n"
    yield "\n\\end\\\n"


class _Lines:
    """Lines of a file without blank ones, counted, for messages."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.number = path, 0
        self._lines = read_lines(path)

    def next(self) -> str:
        for line in self._lines:
            self.number += 1
            if line:
                return line
        raise self.error("the file ends here; \\end\\ is missing")

    def error(self, what: str) -> InputError:
        return InputError(f"{self.path}, line {self.number}: {what}")


def _parse(lines: _Lines) -> NGram:
    counts = _header(lines)
    words: list[str] = []
    index: dict[str, int] = {}
    sections = []
    for order, count in enumerate(counts, start=1):
        sections.append(_section(lines, order, count, words, index))
    if lines.next().strip() != "\\end\\":
        raise lines.error("\\end\\ is expected here")
    for special in (UNK, BOS, EOS):
        if special not in index:
            index[special] = len(words)
            words.append(special)
            sections[0] = sections[0].plus(np.array([[index[special]]]), NEVER * LN10)
    return from_sections(words, sections)


def _header(lines: _Lines) -> list[int]:
    """Numbers of n-grams that ``\\data\\`` announces; what stands before it is a comment."""
    while lines.next().strip() != "\\data\\":
        if lines.number > 1000:
            raise lines.error("no \\data\\ so far: this is not an ARPA file")
    counts: list[int] = []
    while not (line := lines.next().strip()).endswith("-grams:"):
        name, _, count = line.partition("=")
        if name.split() != ["ngram", str(len(counts) + 1)] or not count.strip().isdigit():
            raise lines.error(f"{line!r}; ngram {len(counts) + 1}=… or \\1-grams: is expected")
        counts.append(int(count))
    if not counts or line != "\\1-grams:":
        raise lines.error(f"{line!r}; \\1-grams: is expected")
    return counts


@dataclass
class _Section:
    """The n-grams of one order as a file gives them: words (n, order), natural logs (n,)."""

    rows: np.ndarray
    log_prob: np.ndarray  # not a number where the file has none
    backoff: np.ndarray

    def plus(self, rows: np.ndarray, log_prob: float) -> _Section:
        """With more n-grams, of the back-off weight 1."""
        return _Section(
            np.concatenate([self.rows, rows]),
            np.concatenate([self.log_prob, np.full(len(rows), log_prob, dtype=np.float32)]),
            np.concatenate([self.backoff, np.zeros(len(rows), dtype=np.float32)]),
        )


def _section(lines: _Lines, order: int, count: int, words: list[str], index: dict[str, int]) -> _Section:
    if order > 1 and (line := lines.next().strip()) != f"\\{order}-grams:":
        raise lines.error(f"{line!r}; \\{order}-grams: is expected")
    rows = np.empty((count, order), dtype=np.int32)
    numbers = np.zeros((2, count), dtype=np.float32)
    for at in range(count):
        # a tab or blanks: files of both kinds exist
        fields = lines.next().split()
        if len(fields) not in (order + 1, order + 2):
            raise lines.error(f"a log-probability, {order} words and perhaps a back-off weight are expected")
        if order == 1:
            word = UNK if fields[1] == "<UNK>" else fields[1]
            index[fields[1]] = index[word] = len(words)
            words.append(word)
        try:
            rows[at] = [index[word] for word in fields[1 : order + 1]]
        except KeyError as error:
            raise lines.error(f"{error.args[0]!r} is not among the 1-grams") from None
        try:
            numbers[0, at] = float(fields[0])
            numbers[1, at] = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
        except ValueError as error:
            raise lines.error(str(error)) from None
        if not numbers[0, at] <= 0:
            raise lines.error(f"a base-10 log-probability is at most 0, not {fields[0]}")
    return _Section(rows, numbers[0] * np.float32(LN10), numbers[1] * np.float32(LN10))


def from_sections(words: Sequence[str], sections: Sequence[_Section]) -> NGram:
    """The model of n-grams in any order, with <unk>, <s> and </s> moved to the front of the vocabulary."""
    special = (UNK, BOS, EOS)
    ordered = [*special, *(word for word in words if word not in special)]
    number = {word: i for i, word in enumerate(ordered)}
    renumber = np.array([number[word] for word in words])
    parts = [_Section(renumber[s.rows], s.log_prob, s.backoff) for s in sections]
    keys: list[np.ndarray] = []
    orders: list[Order] = []
    first = [1]  # node of each order
    for part in parts:
        parent = _positions(part.rows[:, :-1], keys, len(ordered))
        if (parent == NONE).any():
            return from_sections(ordered, _with_beginnings(parts))
        key = parent * len(ordered) + part.rows[:, -1]
        sort = np.argsort(key, kind="stable")
        keys.append(key[sort])
        if (twice := np.flatnonzero(np.diff(keys[-1]) == 0)).size:
            raise InputError(f"the n-gram {' '.join(ordered[w] for w in part.rows[sort[twice[0]]])!r} is there twice")
        suffix = _suffixes(part.rows[sort], keys, first, len(ordered))
        orders.append(Order(parent[sort], part.rows[sort, -1], suffix, part.log_prob[sort], part.backoff[sort]))
        first.append(first[-1] + len(key))
    model = build(ordered, orders)
    trie = model.trie
    for node in np.flatnonzero(np.isnan(trie.log_prob)):  # shorter ones first
        context = model.parents[node]
        trie.log_prob[node] = trie.backoff[context] + step(trie, trie.suffix[context], trie.word[node])[1]
    return model


def _positions(rows: np.ndarray, keys: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Where among the n-grams of its order each of ``rows`` (n, k) is, NONE where it is not; 0 for k = 0."""
    at = np.zeros(len(rows), dtype=np.int64)
    for column in range(rows.shape[1]):
        key = at * size + rows[:, column]
        place = np.minimum(np.searchsorted(keys[column], key), len(keys[column]) - 1)
        at = np.where((at != NONE) & (keys[column][place] == key), place, NONE) if len(keys[column]) else at * 0 + NONE
    return at


def _suffixes(rows: np.ndarray, keys: Sequence[np.ndarray], first: Sequence[int], size: int) -> np.ndarray:
    """Node of the longest proper suffix of each n-gram that there is."""
    found = np.full(len(rows), ROOT, dtype=np.int64)
    for length in range(1, rows.shape[1]):  # longer ones overwrite
        at = _positions(rows[:, rows.shape[1] - length :], keys, size)
        found = np.where(at == NONE, found, first[length - 1] + at)
    return found


def _with_beginnings(parts: Sequence[_Section]) -> list[_Section]:
    """Add what is missing of the beginnings of longer n-grams, without a probability."""
    parts = list(parts)
    for k in range(len(parts) - 1, 0, -1):
        there = set(map(tuple, parts[k - 1].rows.tolist()))
        wanted = set(map(tuple, parts[k].rows[:, :-1].tolist()))
        if missing := sorted(wanted - there):
            parts[k - 1] = parts[k - 1].plus(np.array(missing, dtype=parts[k - 1].rows.dtype), np.nan)
    return parts
