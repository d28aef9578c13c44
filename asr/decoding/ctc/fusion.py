"""The models of a beam search in one: a lexicon, n-gram models of words and of labels, hot words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asr.decoding.ctc import lexicon_trie, phrases
from asr.decoding.ctc._lookahead import arc_bounds, best_below, max_begin
from asr.decoding.ctc.lexicon_trie import NONE, ROOT, LexiconTrie
from asr.decoding.ctc.phrases import PhraseAutomaton
from asr.errors import InputError
from asr.lm.compact import CompactNGram, CompactTrie
from asr.lm.ngram import EOS, UNK, NGram, Trie

if TYPE_CHECKING:
    from asr.decoding.ctc.neural_lm import NeuralModel

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
    word_start: int  # state of the word model at the beginning, see `asr.decoding.ctc.model_scores.join_states`
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
    _check_labels(labels, lexicon, is_open, label_lm)
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


def _check_labels(labels: int, lexicon: LexiconTrie, is_open: bool, label_lm: LabelModel | None) -> None:
    """Raise InputError for a lexicon or a label model that does not fit the number of labels of the search."""
    if is_open and lexicon.separator == NONE and not lexicon.has_pieces:
        raise InputError("words outside the lexicon need a separator: a label that ends every word")
    if lexicon.has_pieces and len(lexicon.begins_word) != labels:
        raise InputError(f"the lexicon is of {len(lexicon.begins_word)} labels, the scores have {labels}")
    if len(lexicon.arc_label) and not 0 <= lexicon.arc_label.min() <= lexicon.arc_label.max() < labels:
        raise InputError(f"the lexicon has labels up to {lexicon.arc_label.max()}, the scores {labels} labels")
    if label_lm and len(label_lm.names) != labels:
        raise InputError(f"the label model names {len(label_lm.names)} labels, the scores have {labels}")


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
