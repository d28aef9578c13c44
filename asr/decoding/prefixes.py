"""From the prefixes of a beam to label sequences, words and texts: what the beam searches share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from asr.decoding.ctc.fusion import Graph

NONE = -1
NEGLIGIBLE = 20.0  # nats below the best score from which on a label sequence adds nothing to a text's probability

Labels = tuple[int, ...]
Words = tuple[tuple[int, int, int], ...]  # as in `Hypothesis`
TextOf = Callable[[Labels, Words], Hashable]


def find_words(labels: Labels, words: Sequence[int], last_word: int, graph: Graph) -> Words:
    """Return the words of a label sequence as in `Hypothesis`.

    Args:
        labels: the label sequence.
        words: for each label the word that it ends, or NONE. A separator ends the word before it, a word piece that
            begins a word ends the one before.
        last_word: the word that ends with the utterance, where no label says so, or NONE.
        graph: the models, which say how labels end words, and what number an unknown word has.
    """
    first_end = 0 if graph.has_pieces else 1
    ends = [(word, at) for at, word in enumerate(words, start=first_end) if word != NONE]
    if last_word != NONE:
        ends.append((last_word, len(labels)))
    found, first = [], 0
    for word, end in ends:
        first += labels[first] == graph.separator  # an utterance may begin with one
        last = end - (labels[end - 1] == graph.separator)
        found.append((word if word < len(graph.word_bonus) - 1 else NONE, first, last))
        first = end
    return tuple(found)


def merge_texts(
    entries: Iterable[tuple[int, Labels, Words, float]], text_of: TextOf, nbest: int
) -> list[tuple[int, float]]:
    """Add up the probabilities of label sequences that have one text.

    Of words that share their labels, as homophones do, the first counts alone: they share their paths too.

    Args:
        entries: of the beam: number, labels, words and score (natural log) of each, best first.
        text_of: the text of labels and words.
        nbest: number of texts that are needed.

    Returns:
        The best entry of each text, and the summed score, best first.
    """
    merged: dict[Hashable, int] = {}
    by_text: dict[Hashable, dict[Labels, float]] = {}
    best = None
    for rank, labels, words, score in entries:
        best = score if best is None else best
        if score < best - NEGLIGIBLE and len(merged) >= nbest:
            break
        text = text_of(labels, words)
        merged.setdefault(text, rank)
        by_text.setdefault(text, {}).setdefault(labels, score)
    totals = {
        text: next(iter(own.values())) if len(own) == 1 else float(np.logaddexp.reduce(list(own.values())))
        for text, own in by_text.items()
    }
    return [(merged[text], totals[text]) for text in sorted(totals, key=lambda text: -totals[text])]
