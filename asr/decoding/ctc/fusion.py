"""What besides the acoustic scores a search goes by: a lexicon, n-gram models of words and of labels, hot words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from asr.decoding.ctc.lexicon_trie import NONE, ROOT, LexiconTrie
from asr.errors import InputError
from asr.lm.ngram import EOS, UNK, NGram, Trie, lower_bound, step

if TYPE_CHECKING:
    from asr.decoding.ctc.neural_lm import NeuralModel

CACHE = 1 << 16  # answers of a word model that are remembered


@dataclass(frozen=True)
class WordModel:
    """Words that labels must, or may, form, and what an n-gram model says of them.

    A word adds ``weight`` times its natural-log probability, plus ``bonus``, to the score of a hypothesis.

    Args:
        lexicon: how words are spelled or pronounced; words are numbered as ``words`` are.
        words: their names.
        ngram: the model; None: all words are alike.
        weight: of the model's natural logs (α).
        bonus: for each word (β): above 0 it makes up for what each word costs.
        unknown: None: only words of the lexicon are possible. Else a word outside it is, at this natural-log score more
            than the model's <unk>; the lexicon needs a separator then.
        hotwords: what to add for some words, natural log.
    """

    lexicon: LexiconTrie
    words: Sequence[str]
    ngram: NGram | None = None
    weight: float = 0.5
    bonus: float = 0.0
    unknown: float | None = None
    hotwords: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelModel:
    """An n-gram model of labels: ``names[v]`` is what it calls label v, None for blank."""

    ngram: NGram
    names: Sequence[str | None]
    weight: float = 0.3
    bonus: float = 0.0


class Graph(NamedTuple):
    """The models as the search reads them; where there is none its arrays are empty."""

    has_words: bool
    first: np.ndarray  # the lexicon's, see there
    label: np.ndarray
    target: np.ndarray
    word: np.ndarray
    separator: int
    is_open: bool  # words outside the lexicon are possible; while in one the search is at node len(first) - 1
    ahead: np.ndarray  # (nodes + 1,): the best that a word which goes on from here can add, which the search adds ahead
    bound: np.ndarray  # (arcs,): what the probability is multiplied by along an arc; at most that, where a word ends
    add: np.ndarray  # (words + 1,): what a word adds besides its model's score; the last is of unknown words
    most: float  # that any word adds so
    number: np.ndarray  # (words + 1,): of a word in its model
    has_word_trie: bool
    word_trie: Trie
    word_start: int
    word_end: int
    weight: float
    has_letters: bool
    letter_trie: Trie
    letter_number: np.ndarray  # (labels,)
    letter_start: int
    letter_end: int
    letter_weight: float
    letter_bonus: float
    has_table: bool  # a neural model of labels: what it says of the beam's entries comes with each frame
    table_weight: float
    table_bonus: float


class Memory(NamedTuple):
    """Answers of the word model, each at a place that follows from the question: (CACHE,). One for each search."""

    question: np.ndarray  # int64: history and word
    state: np.ndarray
    log_prob: np.ndarray


def make_memory() -> Memory:
    """One that remembers nothing yet."""
    return Memory(np.full(CACHE, NONE, dtype=np.int64), np.zeros(CACHE, dtype=np.int32), np.zeros(CACHE))


def no_lexicon() -> LexiconTrie:
    """A stand-in for the lexicon that is not there."""
    nothing = np.zeros(0, dtype=np.int32)
    return LexiconTrie(np.zeros(2, dtype=np.int32), nothing, nothing, nothing)


def no_trie() -> Trie:
    """A stand-in for the model that is not there."""
    integers, floats = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.float32)
    return Trie(integers, np.zeros(2, dtype=np.int32), integers, floats, floats)


def make_graph(
    labels: int,
    words: WordModel | None = None,
    letters: LabelModel | None = None,
    neural: NeuralModel | None = None,
) -> Graph:
    """The models of a search over so many labels. Raises InputError for what does not fit together."""
    lexicon = words.lexicon if words else no_lexicon()
    is_open = words is not None and words.unknown is not None
    if is_open and lexicon.separator == NONE:
        raise InputError("words outside the lexicon need labels that say where they end: a separator")
    if len(lexicon.arc_label) and not 0 <= lexicon.arc_label.min() <= lexicon.arc_label.max() < labels:
        raise InputError(f"the lexicon has labels up to {lexicon.arc_label.max()}, the scores {labels}")
    add, number = np.zeros(1), np.zeros(1, dtype=np.int64)
    if words:
        if unknown := sorted(words.hotwords.keys() - set(words.words)):
            raise InputError(f"hot words that the lexicon does not have: {', '.join(unknown)}")
        add = np.array([words.bonus + words.hotwords.get(word, 0.0) for word in words.words] + [words.bonus])
        add[-1] += words.unknown or 0.0
        if words.ngram:
            number = words.ngram.word_ids([*words.words, UNK])
    if letters and len(letters.names) != labels:
        raise InputError(f"the label model names {len(letters.names)} labels, the scores have {labels}")
    names = [name if name is not None else UNK for name in letters.names] if letters else []
    word_trie = words.ngram.trie if words and words.ngram else no_trie()
    weight = words.weight if words else 0.0
    ahead = _look_ahead(lexicon, _alone(word_trie, number, weight) + add if words else add)
    return Graph(
        has_words=words is not None,
        first=lexicon.arc_offsets,
        label=lexicon.arc_label,
        target=lexicon.arc_target,
        word=lexicon.arc_word,
        separator=lexicon.separator,
        is_open=is_open,
        ahead=ahead,
        bound=_bounds(lexicon, ahead, add),
        add=add,
        most=float(add.max()),
        number=number,
        has_word_trie=words is not None and words.ngram is not None,
        word_trie=word_trie,
        word_start=words.ngram.start if words and words.ngram else ROOT,
        word_end=words.ngram.index[EOS] if words and words.ngram else 0,
        weight=weight,
        has_letters=letters is not None,
        letter_trie=letters.ngram.trie if letters else no_trie(),
        letter_number=letters.ngram.word_ids(names) if letters else np.zeros(labels, dtype=np.int64),
        letter_start=letters.ngram.start if letters else ROOT,
        letter_end=letters.ngram.index[EOS] if letters else 0,
        letter_weight=letters.weight if letters else 0.0,
        letter_bonus=letters.bonus if letters else 0.0,
        has_table=neural is not None,
        table_weight=neural.weight if neural else 0.0,
        table_bonus=neural.bonus if neural else 0.0,
    )


def _alone(trie: Trie, number: np.ndarray, weight: float) -> np.ndarray:
    """What the model says of words without a history."""
    return weight * trie.log_prob[1 + number].astype(np.float64) if len(trie.word) > 1 else np.zeros(len(number))


@njit(cache=True)
def _best_below(first: np.ndarray, target: np.ndarray, word: np.ndarray, score: np.ndarray, ahead: np.ndarray) -> None:
    for node in range(len(first) - 2, ROOT - 1, -1):
        for arc in range(first[node], first[node + 1]):
            ahead[node] = max(ahead[node], ahead[target[arc]] if word[arc] == NONE else score[word[arc]])


def _look_ahead(lexicon: LexiconTrie, score: np.ndarray) -> np.ndarray:
    """The best score of a word below each node, 0 at the root; and, last, what unknown words add."""
    ahead = np.full(lexicon.num_nodes + 1, -np.inf)
    if lexicon.num_nodes > 1 or len(lexicon.arc_label):
        _best_below(lexicon.arc_offsets, lexicon.arc_target, lexicon.arc_word, score, ahead)
    ahead[ROOT] = 0.0
    ahead[-1] = score[-1]
    return ahead


def _bounds(lexicon: LexiconTrie, ahead: np.ndarray, add: np.ndarray) -> np.ndarray:
    """What each arc multiplies the probability by: up to the next look-ahead, or at a word's end if it were certain."""
    start = np.repeat(np.arange(len(lexicon.arc_offsets) - 1), np.diff(lexicon.arc_offsets))
    return np.exp(np.where(lexicon.arc_word == NONE, ahead[lexicon.arc_target], add[lexicon.arc_word]) - ahead[start])


@njit(cache=True, nogil=True)
def word_score(graph: Graph, memory: Memory, history: int, word: int) -> tuple[int, float]:
    """The history after a word (``len(graph.add) - 1``: an unknown one), and what the word adds to the score."""
    if not graph.has_word_trie:
        return history, graph.add[word]
    number = graph.number[word]
    question = np.int64(history) * len(graph.word_trie.word) + number
    place = (question ^ (question >> 16)) % CACHE
    if memory.question[place] != question:
        state, log_prob = step(graph.word_trie, history, number)
        memory.question[place] = question
        memory.state[place] = state
        memory.log_prob[place] = log_prob
    return memory.state[place], graph.weight * memory.log_prob[place] + graph.add[word]


@njit(cache=True, nogil=True)
def arcs(graph: Graph, node: int, label: int) -> tuple[int, int]:
    """The arcs of a label from a node of the lexicon: from the first to before the last of these two."""
    if node == len(graph.first) - 1:  # in an unknown word
        return 0, 0
    end = graph.first[node + 1]
    low = high = lower_bound(graph.label, graph.first[node], end, label)
    while high < end and graph.label[high] == label:
        high += 1
    return low, high


@njit(cache=True, nogil=True)
def end_score(graph: Graph, memory: Memory, node: int, history: int, letters: int) -> tuple[int, float]:
    """The word that ends with the utterance, and what the end adds to the score.

    The word is NONE where none does. The score is -inf within a word that the lexicon does not let end.
    """
    word, score = NONE, 0.0
    if graph.has_words:
        if node != ROOT:
            score, after = -np.inf, history
            low, high = arcs(graph, node, graph.separator)
            for arc in range(low, high):
                state, own = word_score(graph, memory, history, graph.word[arc])
                if own > score:
                    score, after, word = own, state, graph.word[arc]
            if word == NONE and graph.is_open:
                word = len(graph.add) - 1
                after, score = word_score(graph, memory, history, word)
            score -= graph.ahead[node]
            history = after
        if graph.has_word_trie and score > -np.inf:
            score += graph.weight * step(graph.word_trie, history, graph.word_end)[1]
    if graph.has_letters:
        score += graph.letter_weight * step(graph.letter_trie, letters, graph.letter_end)[1]
    return word, score


@njit(cache=True, nogil=True)
def end_scores(
    graph: Graph, memory: Memory, node: np.ndarray, history: np.ndarray, letters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`end_score` of many prefixes (n,): words (n,) and scores (n,)."""
    words, scores = np.empty(len(node), dtype=np.int64), np.empty(len(node))
    for i in range(len(node)):
        words[i], scores[i] = end_score(graph, memory, node[i], history[i], letters[i])
    return words, scores
