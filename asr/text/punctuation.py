"""Punctuation and letter case of bare words, by linear models over hashed n-grams of words and the pauses between them.

For each gap between two words a softmax over (no mark, comma, full stop); for each sentence a logistic regression that
tells questions; for each word within a sentence one that tells capitals. Their features are n-grams of the words around
the gap, of the sentence, and around the word. An n-gram's hash is its weight's row ("hashing trick", Weinberger et al.
2009), so the tables need no keys, and weights have 8 bits: the whole file has under 1 MB.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from asr.errors import InputError
from asr.text.punctuated import MARKS, NONE, QUESTION, STOP
from asr.utils.atomic import write_atomic
from asr.utils.permissions import check_readable

FORMAT = "asr punctuation 1"
# positions of the words of each n-gram: from the last word before a gap (0), the first word of a sentence or its last
# one, the word whose case is asked for
GAP = ((0,), (1,), (0, 1), (-1, 0), (1, 2), (-1,), (2,))
FIRST = ((0,), (0, 1), (0, 1, 2))
LAST = ((0,), (-1, 0), (-2, -1, 0))
INSIDE = ((0, 1), (0, 1, 2))
CAPITAL = ((0,), (-1, 0), (0, 1), (-1,), (1,), (-1, 0, 1))
_FACTORS = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], np.uint32)  # primes of xxHash
STOP_BONUS = 0.5  # added to the score of a full stop: F1 of ends of sentences is best so, in speech and in prose
MIN_QUESTION = 0.5  # log-odds above which a sentence is a question: more are wrong than it seems, as their ends are
MIN_PAUSE, USUAL_PAUSE, USUAL_PAUSES = 0.2, 0.6, 10  # seconds, seconds, their number; see `Pauses.relative`
MAX_REACH = 2  # words before or behind that an n-gram reaches
_TABLES = ("marks", "questions", "capitals")


def hash_words(words: Sequence[str]) -> np.ndarray:
    """Return 32-bit hashes of words (N,), the same on every machine."""
    return np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint32, len(words))


def ngram_rows(hashes: np.ndarray, ngrams: Sequence[Sequence[int]], bits: int, salt: int) -> np.ndarray:
    """Return the rows of n-grams in a table.

    Args:
        hashes: of all words (N,); before and behind them is the hash 0.
        ngrams: positions of the words of each, from each word, at most `MAX_REACH` away.
        bits: of the table's size.
        salt: tells apart sets of n-grams that share a table.

    Returns:
        (N, len(ngrams)) int64 rows below ``2 ** bits``.
    """
    count = len(hashes)
    padded = np.zeros(count + 2 * MAX_REACH, np.uint32)
    padded[MAX_REACH : MAX_REACH + count] = hashes
    rows = np.empty((count, len(ngrams)), np.int64)
    for column, positions in enumerate(ngrams):
        key = np.full(count, (16 * salt + column + 1) * 0x165667B1 & 0xFFFFFFFF, np.uint32)
        for position, factor in zip(positions, _FACTORS, strict=False):
            key += padded[MAX_REACH + position : MAX_REACH + position + count] * factor
            key ^= key >> np.uint32(15)
            key *= np.uint32(0x2C1B3C6D)
        key ^= key >> np.uint32(13)
        rows[:, column] = key & np.uint32(2**bits - 1)
    return rows


def sentence_rows(hashes: np.ndarray, firsts: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the n-grams that tell whether sentences are questions.

    Args:
        hashes: of all words (N,).
        firsts: indices (S,) of the first words of sentences, from 0.
        bits: of the table's size.

    Returns:
        Rows of all sentences, and where those of each begin and the last one's end (S + 1,).
    """
    ends = np.append(firsts[1:], len(hashes))
    first, last = ngram_rows(hashes, FIRST, bits, 1), ngram_rows(hashes, LAST, bits, 2)
    inside = ngram_rows(hashes, INSIDE, bits, 3)
    rows, offsets = [], [0]
    for begin, end in zip(firsts, ends, strict=True):
        rows += [first[begin], last[end - 1], inside[begin:end].ravel()]
        offsets.append(offsets[-1] + len(FIRST) + len(LAST) + (end - begin) * len(INSIDE))
    return np.concatenate(rows), np.array(offsets)


class Table:
    """Weights of a linear model over hashed n-grams.

    Args:
        weights: (2 ** bits, C) int8 by row and class.
        scale: (C,) what a weight of 1 is.
        bias: (C,) score of no n-gram.

    Raises:
        ValueError: shapes that do not fit.
    """

    def __init__(self, weights: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> None:
        rows, classes = weights.shape
        self.bits = rows.bit_length() - 1
        if weights.dtype != np.int8 or rows != 2**self.bits or scale.shape != (classes,) or bias.shape != (classes,):
            raise ValueError(f"weights {weights.dtype} {weights.shape}, scale {scale.shape}, bias {bias.shape}")
        self.weights, self.scale, self.bias = weights, scale, bias

    @classmethod
    def quantize(cls, weights: np.ndarray, bias: np.ndarray) -> Table:
        """Round weights (2 ** bits, C) to 8 bits; the few beyond 99.99 % of the others that are not 0 are clipped."""
        used = [np.abs(column[column != 0]) for column in weights.T]
        largest = np.array([np.quantile(column, 0.9999) if len(column) else 1.0 for column in used], np.float32)
        scale = largest / 127
        return cls(np.clip(np.rint(weights / scale), -127, 127).astype(np.int8), scale, bias.astype(np.float32))

    def scores(self, rows: np.ndarray, offsets: np.ndarray | None = None) -> np.ndarray:
        """Return scores (N, C) of the rows (N, F) of N items, or of rows (R,) that begin at ``offsets`` (N + 1,)."""
        weights = self.weights[rows]
        if offsets is None:
            total = weights.sum(axis=1, dtype=np.int64)
        else:
            total = np.add.reduceat(weights.astype(np.int64), offsets[:-1], axis=0)
        return total * self.scale + self.bias


class Pauses:
    """What the pauses between words say of the marks.

    They count in proportion to those of the same recording, see `relative`.

    Args:
        edges: (K,) seconds, ascending; they part the pauses into K + 1 ranges.
        scores: (K + 1, 2) added to the scores of comma and full stop by range.
        text_weights: (2,) factors of the scores of the text.
    """

    def __init__(self, edges: np.ndarray, scores: np.ndarray, text_weights: np.ndarray) -> None:
        if scores.shape != (len(edges) + 1, 2) or text_weights.shape != (2,):
            raise ValueError(f"edges {edges.shape}, scores {scores.shape}, text_weights {text_weights.shape}")
        self.edges, self.by_range, self.text_weights = edges, scores, text_weights

    def add(self, scores: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Return the scores of text and pause, from those of the text (N, 2) and pauses in seconds (N,)."""
        ranges = np.searchsorted(self.edges, self.relative(seconds), side="right")
        return scores * self.text_weights + self.by_range[ranges]

    @staticmethod
    def relative(seconds: np.ndarray) -> np.ndarray:
        """Return pauses (N,) of one recording as they would be if its reader's were as long as usual.

        That is by the geometric mean of those that are no mere gap between sounds; as if `USUAL_PAUSES` more of the
        usual length were there, so that a short recording says little.
        """
        logs = np.log(seconds[seconds >= MIN_PAUSE] / USUAL_PAUSE)
        return seconds / np.exp(logs.sum() / (len(logs) + USUAL_PAUSES))


class Punctuator:
    """Restores the marks, capitals and abbreviations of bare words.

    Args:
        marks: scores of comma and full stop for the n-grams `GAP`.
        questions: scores of `sentence_rows`.
        capitals: scores for the n-grams `CAPITAL`.
        forms: of words, in small letters, that are written otherwise than with a capital letter: mister, Mr.
        pauses: what pauses say; None: they are not used.
    """

    def __init__(
        self, marks: Table, questions: Table, capitals: Table, forms: Mapping[str, str], pauses: Pauses | None = None
    ) -> None:
        self.tables = {"marks": marks, "questions": questions, "capitals": capitals}
        self.forms = dict(forms)
        self.pauses = pauses

    @classmethod
    def load(cls, path: str | Path) -> Punctuator:
        """Read what `save` wrote.

        Raises:
            InputError: the file cannot be read or is another one; it is named.
        """
        path = Path(path)
        check_readable(path)
        try:
            with safe_open(path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: cannot be read as safetensors: {error}") from error
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path}: no model of punctuation that this version reads ({FORMAT})")
        try:
            tables = [Table(*(arrays[f"{name}.{part}"] for part in ("weights", "scale", "bias"))) for name in _TABLES]
            pauses = None
            if "pauses.edges" in arrays:
                pauses = Pauses(*(arrays[f"pauses.{part}"] for part in ("edges", "scores", "text_weights")))
            marks, questions, capitals = tables
            return cls(marks, questions, capitals, json.loads(metadata["forms"]), pauses)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: a damaged model of punctuation: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a file of safetensors."""
        arrays: dict[str, np.ndarray] = {}
        for name, table in self.tables.items():
            arrays |= {f"{name}.weights": table.weights, f"{name}.scale": table.scale, f"{name}.bias": table.bias}
        if self.pauses is not None:
            arrays |= {"pauses.edges": self.pauses.edges, "pauses.scores": self.pauses.by_range}
            arrays["pauses.text_weights"] = self.pauses.text_weights
        metadata = {"format": FORMAT, "forms": json.dumps(self.forms, ensure_ascii=False)}
        write_atomic(Path(path), save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata))

    def restore(
        self,
        words: Sequence[str],
        pauses: Sequence[float] | None = None,
        is_final: bool = True,
        known: Sequence[str] = (),
    ) -> list[tuple[str, str]]:
        """Return the written form of each word, and the mark behind it: one of `MARKS`.

        Args:
            words: bare words in small letters.
            pauses: seconds between each word and the next one (N - 1,); None: unknown.
            is_final: whether the text ends here, with a sentence; else nothing is said of the end.
            known: the marks behind the first words, where these have been written before.
        """
        if not words:
            return []
        hashes = hash_words(words)
        marks = self.marks(hashes, pauses)
        marks[-1] = STOP if is_final else NONE
        marks[: len(known)] = [MARKS.index(mark) for mark in known]
        marks[marks == QUESTION] = STOP
        ends = np.flatnonzero(marks == STOP)
        begins = np.append(0, ends + 1)
        begins = begins[begins < len(words)]
        rows, offsets = sentence_rows(hashes, begins, self.tables["questions"].bits)
        is_question = self.tables["questions"].scores(rows, offsets)[: len(ends), 0] > MIN_QUESTION
        marks[ends[is_question]] = QUESTION
        marks[: len(known)] = [MARKS.index(mark) for mark in known]
        is_capital = self.capitals(hashes)
        is_capital[begins] = True
        forms = [self._form(word) if capital else word for word, capital in zip(words, is_capital, strict=True)]
        return [(form, MARKS[mark]) for form, mark in zip(forms, marks, strict=True)]

    def marks(self, hashes: np.ndarray, pauses: Sequence[float] | None = None) -> np.ndarray:
        """Return what is between words: NONE, COMMA or STOP behind each (N,), from their hashes; see `restore`."""
        scores = self.mark_scores(hashes)
        if pauses is not None and self.pauses is not None:
            scores[:-1] = self.pauses.add(scores[:-1], np.asarray(pauses))
        scores[:, 1] += STOP_BONUS
        return np.concatenate([np.zeros((len(scores), 1)), scores], axis=1).argmax(axis=1)

    def mark_scores(self, hashes: np.ndarray) -> np.ndarray:
        """Return log-odds (N, 2) of a comma and of a full stop behind each word against no mark, by the text alone."""
        table = self.tables["marks"]
        return table.scores(ngram_rows(hashes, GAP, table.bits, 0))

    def capitals(self, hashes: np.ndarray) -> np.ndarray:
        """Return whether each word (N,) within a sentence has a capital."""
        table = self.tables["capitals"]
        return table.scores(ngram_rows(hashes, CAPITAL, table.bits, 4))[:, 0] > 0

    def _form(self, word: str) -> str:
        return self.forms.get(word) or word[:1].upper() + word[1:]
