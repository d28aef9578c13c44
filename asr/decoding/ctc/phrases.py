"""Hot phrases: an automaton (Aho & Corasick 1975) that a search runs beside the n-gram model, which stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from asr.lm.ngram import lower_bound
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INNER_KERNEL

START = 0  # the state in which no phrase has begun


class PhraseAutomaton(NamedTuple):
    """The beginnings of all phrases as states: the longest one that the last words are. `START` is the empty one."""

    offsets: np.ndarray  # (states + 1,) int32: arcs of state s are offsets[s] to offsets[s + 1] - 1, sorted by word
    word: np.ndarray  # (arcs,) int32: number of the word
    target: np.ndarray  # (arcs,) int32: the state after it
    suffix: np.ndarray  # (states,) int32: the longest beginning of a phrase that a state ends with
    score: np.ndarray  # (states,): natural-log scores of all phrases that end here


def build(phrases: Mapping[tuple[int, ...], float]) -> PhraseAutomaton:
    """Build the automaton of phrases.

    Args:
        phrases: numbers of the words of each phrase, and the natural-log score of the phrase.

    Returns:
        The automaton; it has a state for each word of a phrase at most.
    """
    arcs: list[dict[int, int]] = [{}]
    score = [0.0]
    suffix = [START]
    longest = max(map(len, phrases), default=0)
    at = dict.fromkeys(phrases, START)
    for place in range(longest):  # the states of shorter beginnings come first
        for phrase in at:
            if place < len(phrase):
                here, word = at[phrase], phrase[place]
                if word not in arcs[here]:
                    arcs[here][word] = len(arcs)
                    arcs.append({})
                    score.append(0.0)
                    suffix.append(_suffix_after(arcs, suffix, here, word))
                at[phrase] = arcs[here][word]
    for phrase, bonus in phrases.items():
        score[at[phrase]] += bonus
    for state in range(1, len(arcs)):  # a suffix is shorter
        score[state] += score[suffix[state]]
    rows = sorted((state, word, target) for state, row in enumerate(arcs) for word, target in row.items())
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    offsets = np.searchsorted(table[:, 0], np.arange(len(arcs) + 1)).astype(np.int32)
    words, targets = np.ascontiguousarray(table[:, 1]), np.ascontiguousarray(table[:, 2])
    return PhraseAutomaton(offsets, words, targets, np.array(suffix, dtype=np.int32), np.array(score))


def _suffix_after(arcs: list[dict[int, int]], suffix: list[int], state: int, word: int) -> int:
    """Return the state of the longest proper suffix of a state's words and ``word`` that begins a phrase."""
    while state != START:
        state = suffix[state]
        if word in arcs[state]:
            return arcs[state][word]
    return START


def best_scores(phrases: PhraseAutomaton, words: int) -> np.ndarray:
    """Return the largest score (words,) that a phrase can add at each of a number of words; 0 where none does."""
    best = np.zeros(words)
    np.maximum.at(best, phrases.word, phrases.score[phrases.target])
    return best


@njit(**INNER_KERNEL)
def step(phrases: PhraseAutomaton, state: int, word: int) -> tuple[int, float]:
    """Return the state after a word, and the natural-log score of the phrases that end with it."""
    while True:
        end = phrases.offsets[state + 1]
        arc = lower_bound(phrases.word, phrases.offsets[state], end, word)
        if arc < end and phrases.word[arc] == word:
            return phrases.target[arc], phrases.score[phrases.target[arc]]
        if state == START:
            return START, 0.0
        state = phrases.suffix[state]
