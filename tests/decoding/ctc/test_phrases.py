"""Hot phrases: an automaton against its definition, and models that are shared, not copied."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from ctc_paths import phrase_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.ctc import lexicon_trie, phrases, pieces
from asr.decoding.ctc.fusion import Graph, WordModel, make_graph
from asr.decoding.ctc.lexicon_trie import LexiconTrie
from asr.decoding.ctc.model_scores import state_after
from asr.lm.compact import compact
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import NGram

WORDS = ["a", "b", "c", "ab", "bca"]
LABELS = {"a": 1, "b": 2, "c": 3, "d": 4}


def spelled(words: list[str], separator: int | None = None) -> LexiconTrie:
    return lexicon_trie.build([(i, [LABELS[c] for c in word]) for i, word in enumerate(words)], separator)


def python_step(automaton: phrases.PhraseAutomaton, state: int, word: int) -> tuple[int, float]:
    return phrases.step.py_func(automaton, state, word) if hasattr(phrases.step, "py_func") else phrases.step(
        automaton, state, word
    )  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(
    favored=st.dictionaries(
        st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple), st.floats(-3, 3), min_size=0, max_size=8
    ),
    words=st.lists(st.integers(0, 3), max_size=12),
)
def test_the_automaton_adds_each_phrase_where_it_ends(favored: dict[tuple[int, ...], float], words: list[int]) -> None:
    automaton = phrases.build(favored)
    best = phrases.best_scores(automaton, 4)
    state, total = phrases.START, 0.0
    for place, word in enumerate(words):
        state, added = python_step(automaton, state, word)
        total += added
        names, named = list(map(str, words[: place + 1])), {tuple(map(str, p)): s for p, s in favored.items()}
        assert total == pytest.approx(phrase_scores(names, named), abs=1e-9)
        assert added <= best[word] + 1e-12
    assert len(automaton.suffix) <= 1 + sum(map(len, favored))


def model_of(size: int, order: int = 3) -> NGram:
    rng = np.random.default_rng(0)
    return kneser_ney(encode_sentences([list(rng.choice(WORDS, 8)) for _ in range(size)]), order)


def scores_of(graph: Graph, words: WordModel, sentence: list[str]) -> float:
    """The score of a sentence by the model of words and its phrases."""
    state, total = graph.word_start, 0.0
    for word in sentence:
        _, added = python_step(graph.phrases, state >> 32, words.number.get(word, len(words.words)))
        state = int(state_after(graph, state, words.number.get(word, len(words.words))))
        total += added
    assert words.ngram is not None
    return words.weight * float(words.ngram.log_probs(sentence).sum()) + total


@pytest.mark.parametrize("in_few_bytes", [False, True])
def test_the_arrays_of_the_language_model_are_shared(in_few_bytes: bool) -> None:
    ngram = compact(model_of(50)) if in_few_bytes else model_of(50)
    base = WordModel(spelled(WORDS), WORDS, ngram, 0.7)
    favored = base.favor({"a": 1.0}, {("a", "b"): 2.0, ("b", "ab", "c"): 3.0})
    graph = make_graph(5, favored)
    trie = graph.compact_lm if in_few_bytes else graph.word_lm
    assert all(one is other for one, other in zip(trie, ngram.trie, strict=True))
    assert favored.lexicon is base.lexicon and favored.ngram_ids is base.ngram_ids
    assert graph.word_lm_weight == 0.7
    sentence = ["a", "b", "ab", "c", "zebra", "a", "b"]
    assert scores_of(graph, favored, sentence) == pytest.approx(0.7 * ngram.log_probs(sentence).sum() + 7.0)


@pytest.mark.parametrize("in_few_bytes", [False, True])
def test_preparing_phrases_takes_no_memory_of_the_size_of_the_model(in_few_bytes: bool) -> None:
    """It once built the model anew, which took 900 MB and tens of seconds for one of 5.7 million n-grams."""
    rng = np.random.default_rng(0)
    names = [f"w{i}" for i in range(300)]
    ngram = kneser_ney(encode_sentences([list(rng.choice(names, 20)) for _ in range(3000)]), 3)
    assert sum(ngram.ngram_counts) > 100_000
    if in_few_bytes:
        ngram = compact(ngram)  # type: ignore[assignment]
    lexicon = lexicon_trie.build([(i, [1 + i // 20, 1 + i % 20, 21]) for i in range(300)])
    base = WordModel(lexicon, names, ngram)
    make_graph(22, base.favor({}, {("w1", "w2"): 1.0}))  # what is made once
    size = sum(np.asarray(array).nbytes for array in ngram.trie)
    tracemalloc.start()
    make_graph(22, base.favor({"w9": 1.0}, {("w1", "w2"): 2.0, ("w3", "w4", "w5"): 1.0, ("w6", "w7"): -1.0}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 4 and peak < 200_000


def test_phrases_without_a_language_model() -> None:
    words = WordModel(spelled(WORDS), WORDS, phrases={("a", "b"): 2.0})
    graph = make_graph(5, words)
    assert not graph.has_word_lm and graph.has_phrases
    state = int(state_after(graph, graph.word_start, 0))
    assert python_step(graph.phrases, state >> 32, 1)[1] == 2.0
    assert python_step(graph.phrases, state >> 32, 2)[1] == 0.0


def paths(lexicon: LexiconTrie) -> set[tuple[tuple[int, ...], int]]:
    """The labels and the number of each word of a lexicon."""
    found = set()

    def walk(node: int, labels: tuple[int, ...]) -> None:
        if lexicon.has_pieces and lexicon.node_word[node] >= 0:
            found.add((labels, int(lexicon.node_word[node])))
        begin, end = lexicon.arc_offsets[node : node + 2]
        assert (np.diff(lexicon.arc_label[begin:end]) >= 0).all()
        for arc in range(begin, end):
            after, word = (*labels, int(lexicon.arc_label[arc])), int(lexicon.arc_word[arc])
            if word >= 0:
                assert lexicon.arc_target[arc] == lexicon_trie.ROOT
                found.add((after, word))
            else:
                assert lexicon.arc_target[arc] > node
                walk(int(lexicon.arc_target[arc]), after)

    walk(lexicon_trie.ROOT, ())
    return found


SOME_WORDS = st.lists(st.text("abcd", min_size=1, max_size=4), min_size=2, max_size=12, unique=True)


@settings(deadline=None, max_examples=100)
@given(words=SOME_WORDS, separator=st.sampled_from([None, 5]), data=st.data())
def test_a_merged_lexicon_equals_one_that_is_built_of_all_words(
    words: list[str], separator: int | None, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(words) - 1))
    merged = lexicon_trie.merge(spelled(words[:cut], separator), spelled(words[cut:], separator), cut)
    whole = spelled(words, separator)
    assert paths(merged) == paths(whole)
    assert merged.num_nodes == whole.num_nodes and len(merged.arc_label) == len(whole.arc_label)


@settings(deadline=None, max_examples=100)
@given(words=SOME_WORDS, separator=st.sampled_from([None, 9]), data=st.data())
def test_a_merged_lexicon_of_pieces(words: list[str], separator: int | None, data: st.DataObject) -> None:
    begin = "" if separator is not None else "▁"
    some = [begin + "a", begin + "b", "a", "bc", "b", begin + "ab", "d", "ca", begin]
    texts = dict(enumerate(dict.fromkeys(filter(None, some)), start=1))
    cut = data.draw(st.integers(1, len(words) - 1))
    merged = lexicon_trie.merge(
        pieces.build(words[:cut], texts, 10, separator)[0], pieces.build(words[cut:], texts, 10, separator)[0], cut
    )
    assert paths(merged) == paths(pieces.build(words, texts, 10, separator)[0])
