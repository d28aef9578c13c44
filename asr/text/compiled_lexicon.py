"""Pronouncing dictionaries as the search reads them: a trie in arrays (`asr.utils.array_files`), ready at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from asr.utils.array_files import ArrayFormat, pack_lines, unpack_lines

FORMAT = ArrayFormat(
    "compiled dictionary",
    "1",
    {
        "arc_offsets": ("I32", 1),  # as those of asr.decoding.ctc.lexicon_trie.LexiconTrie
        "arc_label": ("I32", 1),  # indices of phones
        "arc_target": ("I32", 1),
        "arc_word": ("I32", 1),  # indices of words, or -1
        "phones": ("U8", 1),  # sorted, a phone a line
        "words": ("U8", 1),  # a word a line
    },
)
NONE = -1


class CompiledLexicon(Mapping[str, list[tuple[str, ...]]]):
    """A dictionary as a trie over its phones; also a mapping from words to pronunciations, as `Lexicon`.

    Args:
        words: the words.
        phones: the phones, sorted.
        arc_offsets: (nodes + 1,) int32, and the others (arcs,) int32: see `asr.decoding.ctc.lexicon_trie.LexiconTrie`.
            Labels are indices of ``phones``, words those of ``words``.
        arc_label: the label of each arc.
        arc_target: the node that an arc leads to.
        arc_word: the word that an arc ends, or -1.
    """

    def __init__(
        self,
        words: tuple[str, ...],
        phones: tuple[str, ...],
        arc_offsets: np.ndarray,
        arc_label: np.ndarray,
        arc_target: np.ndarray,
        arc_word: np.ndarray,
    ) -> None:
        self.word_list, self.phones = words, phones
        self.arc_offsets, self.arc_label, self.arc_target, self.arc_word = arc_offsets, arc_label, arc_target, arc_word

    @classmethod
    def read(cls, path: str | Path) -> CompiledLexicon:
        """Read the dictionary of a file; all indices are checked, as compiled functions do not look.

        Raises:
            InputError: the file cannot be read, or is no compiled dictionary, of a later version, cut short or damaged.
        """
        arrays = FORMAT.read(path)
        try:
            words, phones = unpack_lines(arrays.pop("words")), unpack_lines(arrays.pop("phones"))
            lexicon = cls(words, phones, **arrays)
            wrong = [name for name, right in lexicon._checks().items() if not right]
        except (ValueError, IndexError) as error:  # arrays that are too short for the checks themselves
            raise FORMAT.damaged(path, f"{type(error).__name__}: {error}") from error
        if wrong:
            raise FORMAT.damaged(path, f"its {', '.join(wrong)} do not fit")
        return lexicon

    def write(self, path: str | Path) -> None:
        """Write the dictionary to a file."""
        arrays = {name: getattr(self, name) for name in FORMAT.arrays if name.startswith("arc_")}
        FORMAT.write(arrays | {"phones": pack_lines(self.phones), "words": pack_lines(self.word_list)}, path)

    def _checks(self) -> dict[str, bool]:
        """Return what must hold of the arrays, and whether it does."""
        arcs, nodes = len(self.arc_label), len(self.arc_offsets) - 1
        inside = self.arc_word == NONE
        return {
            "arcs": arcs > 0
            and len(self.arc_target) == len(self.arc_word) == arcs
            and self.arc_offsets[0] == 0
            and self.arc_offsets[-1] == arcs
            and bool((np.diff(self.arc_offsets) >= 0).all()),
            "phones": list(self.phones) == sorted(self.phones)
            and self.arc_label.min() >= 0
            and self.arc_label.max() < len(self.phones),
            "words": self.arc_word.min() >= NONE and self.arc_word.max() < len(self.word_list),
            # each node but the root has one arc into it, from a node before it
            "nodes": bool((np.sort(self.arc_target[inside]) == np.arange(1, nodes)).all())
            and bool((self._source[inside] < self.arc_target[inside]).all())
            and not self.arc_target[~inside].any(),
        }

    @cached_property
    def _source(self) -> np.ndarray:
        """The node that each arc leaves."""
        return np.repeat(np.arange(len(self.arc_offsets) - 1), np.diff(self.arc_offsets))

    @cached_property
    def _arc_into(self) -> np.ndarray:
        """The arc into each node; that of the root has no meaning."""
        arc_into = np.zeros(len(self.arc_offsets) - 1, dtype=np.int64)
        inside = np.flatnonzero(self.arc_word == NONE)
        arc_into[self.arc_target[inside]] = inside
        return arc_into

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The arcs that end words, sorted by words, and the words."""
        arcs = np.flatnonzero(self.arc_word != NONE)
        arcs = arcs[np.argsort(self.arc_word[arcs], kind="stable")]
        return arcs, self.arc_word[arcs]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.word_list)}

    def __getitem__(self, word: str) -> list[tuple[str, ...]]:
        """Return the pronunciations of a word, in the order of their phones."""
        arcs, words = self._ends
        begin, end = np.searchsorted(words, [self._index[word], self._index[word] + 1])
        return [self._phones_to(arc) for arc in arcs[begin:end]]

    def _phones_to(self, arc: int) -> tuple[str, ...]:
        phones = [self.phones[self.arc_label[arc]]]
        while node := int(self._source[arc]):
            arc = int(self._arc_into[node])
            phones.append(self.phones[self.arc_label[arc]])
        return tuple(reversed(phones))

    def __iter__(self) -> Iterator[str]:
        return iter(self.word_list)

    def __len__(self) -> int:
        return len(self.word_list)

    def __contains__(self, word: object) -> bool:
        return word in self._index
