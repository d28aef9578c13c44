"""The models of the CTC beam search: a lexicon, n-gram models of words and of labels, hot words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asr.decoding.ctc import lexicon_trie, phrases
from asr.decoding.ctc._lookahead import arc_bounds, best_below, max_begin
from asr.decoding.ctc.lexicon_trie import EMPTY, NONE, ROOT, LexiconTrie
from asr.decoding.ctc.phrases import PhraseAutomaton
from asr.errors import InputError
from asr.lm import compact
from asr.lm.compact import CompactNGram, CompactTrie
from asr.lm.ngram import EOS, UNK, NGram, Trie, lower_bound, step
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, INNER_KERNEL, KERNEL

if TYPE_CHECKING:
    from asr.decoding.ctc.neural_lm import NeuralModel

CACHE_SIZE = 1 << 16  # scores of the word model that are remembered
STATE_BITS = (1 << 32) - 1  # of a state of the word model: that of its n-gram model
MAX_SCORE = 300.0  # natural log that models may add at once, as probabilities are linear and exp(710) overflows


@dataclass(frozen=True)
class WordModel:
    """A lexicon, with an n-gram model of its words and hot words.

    A word adds ``weight`` times its natural-log probability, plus ``bonus``, to the score of a hypothesis.

    Args:
        lexicon: spellings or pronunciations; its word numbers are indices into ``words``.
        words: the words.
        ngram: the n-gram model; None: all words are equally likely.
        weight: factor of the model's natural logs (α).
        bonus: added for each word (β); above 0 it makes up for the cost of each word.
        unknown: None: only words of the lexicon are possible. Else others are possible too, at this natural-log score
            in addition to that of the model's <unk>; the lexicon needs a separator, or labels that begin words, then.
        hotwords: natural-log scores that are added for some of the words.
        phrases: natural-log scores that are added for phrases of two words or more, where their last word ends.
    """

    lexicon: LexiconTrie
    words: Sequence[str]
    ngram: NGram | CompactNGram | None = None
    weight: float = 0.5
    bonus: float = 0.0
    unknown: float | None = None
    hotwords: Mapping[str, float] = field(default_factory=dict)
    phrases: Mapping[tuple[str, ...], float] = field(default_factory=dict)

    @cached_property
    def number(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def ngram_ids(self) -> np.ndarray:
        """The id (words + 1,) of each word in the n-gram model, and of unknown words; 0 without a model."""
        if self.ngram is None:
            return np.zeros(len(self.words) + 1, dtype=np.int64)
        return self.ngram.word_ids([*self.words, UNK])

    def favor(self, hotwords: Mapping[str, float], phrases: Mapping[tuple[str, ...], float]) -> WordModel:
        """Return the model with other hot words and phrases; all large arrays are shared."""
        other = replace(self, hotwords=hotwords, phrases=phrases)
        other.__dict__.update(number=self.number, ngram_ids=self.ngram_ids)
        return other

    def plus(self, words: Sequence[str], lexicon: LexiconTrie) -> WordModel:
        """Return the model with some more words, whose numbers in ``lexicon`` are indices into ``words``."""
        size = len(self.words)
        other = replace(self, words=(*self.words, *words), lexicon=lexicon_trie.merge(self.lexicon, lexicon, size))
        if self.ngram is not None:
            ids = np.insert(self.ngram_ids, size, self.ngram.word_ids(words))
            other.__dict__.update(ngram_ids=ids)
        return other


@dataclass(frozen=True)
class LabelModel:
    """An n-gram model of labels.

    A label adds ``weight`` times its natural-log probability, plus ``bonus``, to the score of a hypothesis.

    Args:
        ngram: the n-gram model.
        names: word of the n-gram model for each label of the search; None for blank.
        weight: factor of the model's natural logs.
        bonus: added for each label.
    """

    ngram: NGram
    names: Sequence[str | None]
    weight: float = 0.3
    bonus: float = 0.0


class Graph(NamedTuple):
    """The models in the form that the compiled search reads; arrays of absent models are empty."""

    has_words: bool  # whether there is a lexicon
    arc_offsets: np.ndarray  # arrays of the lexicon, see `LexiconTrie`
    arc_label: np.ndarray
    arc_target: np.ndarray
    arc_word: np.ndarray
    separator: int
    has_pieces: bool  # whether labels begin words (``begins_word``), so that no separator ends them
    begins_word: np.ndarray
    node_word: np.ndarray
    is_open: bool  # whether words outside the lexicon are possible; the node within one is len(arc_offsets) - 1
    lookahead: np.ndarray  # (nodes + 1,): best score of a word below a node, which prefixes there have in advance
    arc_bound: np.ndarray  # (arcs,): the factor of a probability along an arc; an upper bound where a word ends
    word_bonus: np.ndarray  # (words + 1,): score of a word besides the n-gram model's; the last is of unknown words
    max_word_bonus: float
    max_begin: float  # of word pieces: the largest look-ahead after a label that begins a word
    ngram_id: np.ndarray  # (words + 1,): id of each word in the n-gram model of words
    has_word_lm: bool
    is_compact: bool  # whether the n-gram model of words is ``compact_lm`` instead of ``word_lm``
    word_lm: Trie
    compact_lm: CompactTrie
    word_lm_size: int  # size of its vocabulary
    word_lm_end: int  # NONE: the sentence goes on after the last frame
    word_lm_weight: float
    has_phrases: bool
    phrases: PhraseAutomaton
    word_start: int  # state of the word model at the beginning, see `join_states`
    has_label_lm: bool
    label_lm: Trie
    label_lm_id: np.ndarray  # (labels,): id of each label in the n-gram model of labels
    label_lm_start: int
    label_lm_end: int  # NONE: as above
    label_lm_weight: float
    label_lm_bonus: float
    has_neural_lm: bool  # whether each frame comes with the log-probabilities of a neural model
    neural_lm_weight: float
    neural_lm_bonus: float


class NGramCache(NamedTuple):
    """Scores of the word model, (CACHE_SIZE,) each, at the hash of a state and a word. One for each search."""

    key: np.ndarray  # int64: state and word
    state: np.ndarray  # int32: the state after the word
    log_prob: np.ndarray  # float64, natural log


def make_cache() -> NGramCache:
    """Return an empty cache."""
    key, state = np.full(CACHE_SIZE, NONE, dtype=np.int64), np.zeros(CACHE_SIZE, dtype=np.int32)
    return NGramCache(key, state, np.zeros(CACHE_SIZE))


def make_graph(
    labels: int,
    words: WordModel | None = None,
    label_lm: LabelModel | None = None,
    neural: NeuralModel | None = None,
) -> Graph:
    """Combine the models of a search.

    Args:
        labels: number of labels of the search, blank included.
        words: lexicon and n-gram model of words, if any.
        label_lm: n-gram model of labels, if any.
        neural: neural model of labels, if any.

    Returns:
        The models in one.

    Raises:
        InputError: the models do not fit the labels or each other: unknown words without a separator, labels of the
            lexicon or the label model outside the search's, hot words or phrases outside the lexicon; or a bonus above
            `MAX_SCORE`.
    """
    lexicon = words.lexicon if words else _no_lexicon()
    is_open = words is not None and words.unknown is not None
    if is_open and lexicon.separator == NONE and not lexicon.has_pieces:
        raise InputError("words outside the lexicon need a separator: a label that ends every word")
    if lexicon.has_pieces and len(lexicon.begins_word) != labels:
        raise InputError(f"the lexicon is of {len(lexicon.begins_word)} labels, the scores have {labels}")
    if len(lexicon.arc_label) and not 0 <= lexicon.arc_label.min() <= lexicon.arc_label.max() < labels:
        raise InputError(f"the lexicon has labels up to {lexicon.arc_label.max()}, the scores {labels} labels")
    if label_lm and len(label_lm.names) != labels:
        raise InputError(f"the label model names {len(label_lm.names)} labels, the scores have {labels}")
    word_bonus = _word_bonus(words) if words else np.zeros(1)
    word_lm = words.ngram if words else None
    weight = words.weight if words else 0.0
    numbers = {tuple(words.number[w] for w in phrase): s for phrase, s in words.phrases.items()} if words else {}
    automaton = phrases.build(numbers)
    # the score of each word at most, whatever precedes it
    most = word_bonus + phrases.best_scores(automaton, len(word_bonus))
    most += max(0.0, weight * word_lm.max_log_prob) if word_lm else 0.0
    ngram_ids = words.ngram_ids if words else np.zeros(1, dtype=np.int64)
    # Hot words with a score below 0 pay it where they end: prefixes that they share with other words do not.
    avoids = words is not None and min(words.hotwords.values(), default=0.0) < 0
    word_score = _word_bonus(words, floor=0.0) if words and avoids else word_bonus
    if word_lm:  # the unigram, as words below a node have different histories
        word_score = weight * word_lm.unigram_log_probs[ngram_ids].astype(np.float64) + word_score
    lookahead = best_below(lexicon, word_score)
    highest = max(float(most.max()), float(lookahead.max()))
    highest += max(0.0, label_lm.bonus if label_lm else 0.0) + max(0.0, neural.bonus if neural else 0.0)
    if highest > MAX_SCORE:
        raise InputError(
            f"bonuses and hot words add up to {highest:g} at once: use at most {MAX_SCORE:g} (natural log)"
        )
    names = [name if name is not None else UNK for name in label_lm.names] if label_lm else []
    return Graph(
        has_words=words is not None,
        arc_offsets=lexicon.arc_offsets,
        arc_label=lexicon.arc_label,
        arc_target=lexicon.arc_target,
        arc_word=lexicon.arc_word,
        separator=lexicon.separator,
        has_pieces=lexicon.has_pieces,
        begins_word=lexicon.begins_word,
        node_word=lexicon.node_word,
        is_open=is_open,
        lookahead=lookahead,
        arc_bound=arc_bounds(lexicon, lookahead, most),
        word_bonus=word_bonus,
        max_word_bonus=float(most.max()),
        max_begin=max_begin(lexicon, lookahead, is_open) if lexicon.has_pieces else 0.0,
        ngram_id=ngram_ids,
        has_word_lm=word_lm is not None,
        is_compact=isinstance(word_lm, CompactNGram),
        word_lm=word_lm.trie if isinstance(word_lm, NGram) else _no_trie(),
        compact_lm=word_lm.trie if isinstance(word_lm, CompactNGram) else _no_compact_trie(),
        word_lm_size=len(word_lm.words) if word_lm else 1,
        word_lm_end=word_lm.index[EOS] if word_lm else 0,
        word_lm_weight=weight,
        has_phrases=len(automaton.word) > 0,
        phrases=automaton,
        word_start=word_lm.start if word_lm else ROOT,
        has_label_lm=label_lm is not None,
        label_lm=label_lm.ngram.trie if label_lm else _no_trie(),
        label_lm_id=label_lm.ngram.word_ids(names) if label_lm else np.zeros(labels, dtype=np.int64),
        label_lm_start=label_lm.ngram.start if label_lm else ROOT,
        label_lm_end=label_lm.ngram.index[EOS] if label_lm else 0,
        label_lm_weight=label_lm.weight if label_lm else 0.0,
        label_lm_bonus=label_lm.bonus if label_lm else 0.0,
        has_neural_lm=neural is not None,
        neural_lm_weight=neural.weight if neural else 0.0,
        neural_lm_bonus=neural.bonus if neural else 0.0,
    )


def _no_lexicon() -> LexiconTrie:
    """Return a stand-in for an absent lexicon."""
    no_arcs = np.zeros(0, dtype=np.int32)
    return LexiconTrie(np.zeros(2, dtype=np.int32), no_arcs, no_arcs, no_arcs)


def _no_trie() -> Trie:
    """Return a stand-in for an absent n-gram model."""
    integers, floats = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.float32)
    return Trie(integers, np.zeros(2, dtype=np.int32), integers, floats, floats)


def _no_compact_trie() -> CompactTrie:
    """Return a stand-in for an absent compact n-gram model."""
    bits, integers, longs = np.zeros(1, dtype=np.uint64), np.zeros(2, dtype=np.int32), np.zeros(2, dtype=np.int64)
    codes, floats, books = np.zeros(1, dtype=np.uint8), np.zeros(1, dtype=np.float32), np.zeros((1, 1), np.float32)
    return CompactTrie(longs, 1, bits, floats, codes, books, bits, integers, integers, integers, codes, books, longs)


def _word_bonus(words: WordModel, floor: float = -np.inf) -> np.ndarray:
    """Return the score (words + 1,) of each word, and of unknown words, besides that of the n-gram model.

    Hot words add at least ``floor``.
    """
    number = words.number if words.hotwords or words.phrases else {}
    if missing := sorted(words.hotwords.keys() - number.keys()):
        raise InputError(f"hot words that the lexicon does not have: {', '.join(missing)}")
    if missing := sorted({word for phrase in words.phrases for word in phrase} - number.keys()):
        raise InputError(f"words of hot phrases that the lexicon does not have: {', '.join(missing)}")
    bonus = np.full(len(words.words) + 1, words.bonus, dtype=np.float64)
    for word, score in words.hotwords.items():
        bonus[number[word]] += max(score, floor)
    bonus[-1] += words.unknown or 0.0
    return bonus


@njit(**INLINE_KERNEL)
def join_states(ngram_state: int, phrase_state: int) -> int:
    """Return the state of the word model: that of its n-gram model, and above 32 bits that of its phrases."""
    return np.int64(phrase_state) << 32 | np.int64(ngram_state)


@njit(**INNER_KERNEL)
def _step_ngram(graph: Graph, state: int, ngram_id: int) -> tuple[int, float]:
    """Return the state of the n-gram model of words after a word, and the word's log-probability."""
    if graph.is_compact:
        return compact.step(graph.compact_lm, state, ngram_id)
    return step(graph.word_lm, state, ngram_id)


@njit(**KERNEL)
def state_after(graph: Graph, state: int, word: int) -> int:
    """Return the state of the word model (`join_states`) after a word; see `score_word`."""
    ngram_state, phrase_state = state & STATE_BITS, state >> 32
    if graph.has_word_lm:
        ngram_state, _ = _step_ngram(graph, ngram_state, graph.ngram_id[word])
    if graph.has_phrases:
        phrase_state, _ = phrases.step(graph.phrases, phrase_state, word)
    return join_states(ngram_state, phrase_state)


@njit(**INLINE_KERNEL)
def score_word(graph: Graph, cache: NGramCache, state: int, word: int) -> tuple[int, float]:
    """Return the state of the word model (`join_states`) after a word, and the word's score.

    ``len(graph.word_bonus) - 1`` is an unknown word.
    """
    score = graph.word_bonus[word]
    ngram_state, phrase_state = state & STATE_BITS, state >> 32
    if graph.has_word_lm:
        ngram_id = graph.ngram_id[word]
        key = ngram_state * graph.word_lm_size + ngram_id
        slot = (key ^ (key >> 16)) % CACHE_SIZE
        if cache.key[slot] != key:
            cache.state[slot], cache.log_prob[slot] = _step_ngram(graph, ngram_state, ngram_id)
            cache.key[slot] = key
        ngram_state = np.int64(cache.state[slot])
        score += graph.word_lm_weight * cache.log_prob[slot]
    if graph.has_phrases:
        phrase_state, added = phrases.step(graph.phrases, phrase_state, word)
        score += added
    return join_states(ngram_state, phrase_state), score


@njit(**INNER_KERNEL)
def find_arcs(graph: Graph, node: int, label: int) -> tuple[int, int]:
    """Return the range (first, last + 1) of the arcs of a label from a node of the lexicon."""
    if node == len(graph.arc_offsets) - 1:  # in an unknown word
        return 0, 0
    end = graph.arc_offsets[node + 1]
    low = high = lower_bound(graph.arc_label, graph.arc_offsets[node], end, label)
    while high < end and graph.arc_label[high] == label:
        high += 1
    return low, high


@njit(**INNER_KERNEL)
def piece_target(graph: Graph, node: int, label: int) -> int:
    """Return the node that a word piece leads to from a node, or NONE; a text may begin within a word."""
    low, high = find_arcs(graph, ROOT if graph.begins_word[label] else max(node, EMPTY), label)
    if low < high:
        return graph.arc_target[low]
    return len(graph.arc_offsets) - 1 if graph.is_open else NONE  # an unknown word


@njit(**INNER_KERNEL)
def word_at(graph: Graph, node: int) -> int:
    """Return the word that may end at a node below `EMPTY`, of a lexicon of word pieces, or NONE."""
    word = NONE
    if node < len(graph.node_word):
        word = graph.node_word[node]
    if word == NONE and graph.is_open:
        word = len(graph.word_bonus) - 1
    return word


@njit(**INNER_KERNEL)
def score_end(graph: Graph, cache: NGramCache, node: int, word_state: int, label_state: int) -> tuple[int, float]:
    """Score the end of the utterance after a prefix.

    Args:
        graph: the models.
        cache: of the word model.
        node: the prefix's node of the lexicon.
        word_state: its state of the word model, see `join_states`.
        label_state: its state of the label model.

    Returns:
        The word that ends with the utterance, NONE if no word does, and the score; that is -inf within a word that
        cannot end here.
    """
    word, score = NONE, 0.0
    if graph.has_words:
        if graph.has_pieces:
            if node > EMPTY:
                word, score = word_at(graph, node), -np.inf
                if word != NONE:
                    word_state, score = score_word(graph, cache, word_state, word)
            if node != ROOT:
                score -= graph.lookahead[node]
        elif node != ROOT:  # the last word may lack the separator
            score, state = -np.inf, word_state
            low, high = find_arcs(graph, node, graph.separator)
            for arc in range(low, high):
                arc_state, arc_score = score_word(graph, cache, word_state, graph.arc_word[arc])
                if arc_score > score:
                    score, state, word = arc_score, arc_state, graph.arc_word[arc]
            if word == NONE and graph.is_open:
                word = len(graph.word_bonus) - 1
                state, score = score_word(graph, cache, word_state, word)
            score -= graph.lookahead[node]
            word_state = state
        if graph.has_word_lm and graph.word_lm_end != NONE and score > -np.inf:
            score += graph.word_lm_weight * _step_ngram(graph, word_state & STATE_BITS, graph.word_lm_end)[1]
    if graph.has_label_lm and graph.label_lm_end != NONE:
        score += graph.label_lm_weight * step(graph.label_lm, label_state, graph.label_lm_end)[1]
    return word, score


def score_ends(
    graph: Graph,
    cache: NGramCache,
    node: np.ndarray,
    ngram_state: np.ndarray,
    phrase_state: np.ndarray,
    label_state: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Score the end of the utterance after each of several prefixes: `score_end` for arrays (n,)."""
    words, scores = np.empty(len(node), dtype=np.int64), np.empty(len(node))
    _score_ends(graph, cache, node, ngram_state, phrase_state, label_state, words, scores)
    return words, scores


@njit(**KERNEL)
def _score_ends(
    graph: Graph,
    cache: NGramCache,
    node: np.ndarray,
    ngram_state: np.ndarray,
    phrase_state: np.ndarray,
    label_state: np.ndarray,
    words: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Write what `score_ends` returns to ``words`` and ``scores``."""
    for i in range(len(node)):
        word_state = join_states(ngram_state[i], phrase_state[i])
        words[i], scores[i] = score_end(graph, cache, node[i], word_state, label_state[i])
