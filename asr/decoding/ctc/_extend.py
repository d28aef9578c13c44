"""New prefixes of the CTC prefix beam search: each entry of the beam by each label that is worth it, in Numba."""

from __future__ import annotations

import numpy as np
from numba import njit

from asr.decoding.ctc import fusion
from asr.decoding.ctc._state import (
    ARC,
    ENTRIES,
    FRAMES,
    HISTORY,
    LABEL,
    LETTERS,
    NODE,
    NONE,
    ORIGIN,
    ROOT,
    WORD,
    Beam,
    Tree,
    Work,
)
from asr.decoding.ctc.fusion import CACHE, Graph, Memory
from asr.lm.ngram import step


@njit(cache=True, nogil=True)
def extend(p: np.ndarray, count: int, tree: Tree, beam: Beam, work: Work, worst: float) -> int:
    """List new prefixes of a probability above ``worst`` behind the entries; return the number of candidates.

    Entries and the ``count`` labels of ``work.order`` are both taken best first, so that a product not above ``worst``
    ends the loop. The i-th entry with the k-th label can be among the best ``width`` only if i * k is not more: each
    entry before it is as good with each label before that, but for one that it would repeat. Which of the rest are to
    be listed the processor could only guess, so no branch asks.
    """
    entries, frame, width = beam.counts[ENTRIES], beam.counts[FRAMES], len(beam.node)
    # names of their own: each access through a tuple counts references, atomically
    keys, place, mark, order = work.key, work.place, work.mark, work.order
    nodes, in_blank, in_label, rows = beam.node, beam.in_blank, beam.in_label, tree.rows
    totals, last = work.next_blank, work.next_node  # free until the best are kept
    for i in range(entries):
        totals[i] = in_blank[i] + in_label[i]
        last[i] = rows[nodes[i], LABEL]
    candidates = entries
    for k in range(count):
        label = order[k]
        heard = p[label]
        for i in range(entries if k == 0 else min(entries, (width + 1) // k)):
            key = totals[i] * heard
            if key <= worst:
                break
            if label == last[i]:  # a repeat needs a blank between
                key = in_blank[i] * heard
            keys[candidates] = key
            place[candidates, ORIGIN], place[candidates, LABEL] = i, label
            candidates += (key > worst) & (mark[label, i] != frame)
    return candidates


@njit(cache=True, nogil=True)
def extend_along(
    p: np.ndarray,
    count: int,
    tree: Tree,
    beam: Beam,
    work: Work,
    worst: float,
    graph: Graph,
    memory: Memory,
    table: np.ndarray,
) -> int:
    """`extend` along a graph, whose scores are part of the probability of a new prefix from here on.

    An entry goes on by the arcs of its node in the lexicon. Where words outside the lexicon are possible, or there is
    none, it goes on by the labels too that no arc has. ``table`` (entries, V) is what a neural model says.
    """
    entries, frame = beam.counts[ENTRIES], beam.counts[FRAMES]
    # names of their own: each access through a tuple counts references, atomically
    nodes, in_blank, in_label = beam.node, beam.in_blank, beam.in_label
    rows = tree.rows
    keys, place, factors, mark = work.key, work.place, work.factor, work.mark
    order, heard, seen = work.order, work.heard, work.seen
    first, arc_label, target, arc_word, bound = graph.first, graph.label, graph.target, graph.word, graph.bound
    ahead, add, number, letter_number = graph.ahead, graph.add, graph.number, graph.letter_number
    question, state_of, log_prob_of = memory.question, memory.state, memory.log_prob
    has_words, has_word_trie, has_letters, is_open = (
        graph.has_words,
        graph.has_word_trie,
        graph.has_letters,
        graph.is_open,
    )
    separator, weight, letter_weight, letter_bonus = (
        graph.separator,
        graph.weight,
        graph.letter_weight,
        graph.letter_bonus,
    )
    unknown_node, unknown_word, vocabulary = len(first) - 1, len(add) - 1, len(graph.word_trie.word)
    has_table, table_weight, table_bonus = graph.has_table, graph.table_weight, graph.table_bonus
    # models' log-probabilities are at most 0; so what a label adds is at most this
    letter_bound = np.exp(max(letter_bonus, 0.0) + max(table_bonus, 0.0))
    heard[:] = 0.0
    for k in range(count):
        heard[order[k]] = p[order[k]]
    candidates = entries
    for i in range(entries):
        prefix = nodes[i]
        node, history, letters = rows[prefix, NODE], rows[prefix, HISTORY], rows[prefix, LETTERS]
        last = rows[prefix, LABEL]
        total = in_blank[i] + in_label[i]
        begin, arcs = 0, 0
        if has_words and node != unknown_node:
            begin, arcs = first[node], first[node + 1] - first[node]
        # labels along no arc: of an unknown word; all, without a lexicon; a separator before the first word
        loose = count if is_open or not has_words or prefix == ROOT else 0
        loose_bound = letter_bound
        if has_words and loose:
            loose_bound *= np.exp(max(graph.most - ahead[node], 0.0))
        stamp = frame * len(nodes) + i
        for at in range(arcs + loose):
            if at < arcs:
                arc, branch = begin + at, len(letter_number) + at
                label = arc_label[arc]
                seen[label] = stamp
                limit = bound[arc] * letter_bound
            else:
                arc, label, limit = NONE, order[at - arcs], loose_bound
                branch = label
                if total * p[label] * limit <= worst:
                    break
                if has_words:
                    between = label == separator and node == fusion.ROOT
                    if seen[label] == stamp or (prefix != ROOT if between else not is_open):
                        continue
            here = (in_blank[i] if label == last else total) * heard[label]
            if here * limit <= worst or mark[branch, i] == frame:
                continue
            factor, word, after, to = 1.0, NONE, history, node
            if has_words:
                if arc != NONE:
                    to, word, factor = target[arc], arc_word[arc], bound[arc]
                elif label == separator:
                    to, word = fusion.ROOT, unknown_word if node != fusion.ROOT else NONE
                else:
                    to, factor = unknown_node, np.exp(ahead[unknown_node] - ahead[node])
                if word != NONE:
                    own = add[word]
                    if has_word_trie:
                        asked = np.int64(history) * vocabulary + number[word]
                        slot = (asked ^ (asked >> 16)) % CACHE
                        if question[slot] != asked:
                            state_of[slot], log_prob_of[slot] = step(graph.word_trie, history, number[word])
                            question[slot] = asked
                        after = state_of[slot]
                        own += weight * log_prob_of[slot]
                    factor = np.exp(own - ahead[node])
            spelled = letters
            if has_letters:
                spelled, log_prob = step(graph.letter_trie, letters, letter_number[label])
                factor *= np.exp(letter_weight * log_prob + letter_bonus)
            if has_table:
                factor *= np.exp(table_weight * table[i, label] + table_bonus)
            key = here * factor
            if key <= worst:
                continue
            if candidates == len(keys):
                candidates, worst = _tighten(work, entries, len(nodes))
                if key <= worst:
                    continue
            keys[candidates], factors[candidates] = key, factor
            place[candidates, ORIGIN], place[candidates, LABEL], place[candidates, ARC] = i, label, arc
            place[candidates, NODE], place[candidates, WORD] = to, word
            place[candidates, HISTORY], place[candidates, LETTERS] = after, spelled
            candidates += 1
    return candidates


@njit(cache=True, nogil=True)
def largest(key: np.ndarray, chosen: np.ndarray, count: int, keep: int, scratch: np.ndarray) -> int:
    """Move the indices of the ``keep`` largest keys, of ``count`` indices, to the front of ``chosen``; how many."""
    if count <= keep:
        return count
    for i in range(count):
        scratch[i] = key[chosen[i]]
    cut = _select(scratch, count, keep)
    room = keep  # for those at the cut
    for i in range(count):
        room -= key[chosen[i]] > cut
    kept = 0
    for i in range(count):
        k = chosen[i]
        tie = (key[k] == cut) & (room > 0)
        room -= tie
        chosen[kept] = k  # no branch: the processor could only guess
        kept += (key[k] > cut) | tie
    return kept


@njit(cache=True, nogil=True)
def _select(values: np.ndarray, count: int, keep: int) -> float:
    """The ``keep``-th largest of the first ``count`` values, whose order is changed (Hoare 1961, algorithm 65).

    It allocates nothing, unlike np.partition: where memory may be allocated, Numba counts the references to every array
    of the search, which takes longer than this does.
    """
    low, high, wanted = 0, count - 1, keep - 1
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return values[wanted]


@njit(cache=True, nogil=True)
def _tighten(work: Work, entries: int, width: int) -> tuple[int, float]:
    """Drop new prefixes that cannot be among the best ``width``; the candidates left, and what to beat from here on."""
    keys, place, factors, scratch = work.key, work.place, work.factor, work.scratch
    for k in range(len(keys)):
        scratch[k] = keys[k]
    worst = _select(scratch, len(keys), width)
    room = width
    for k in range(len(keys)):
        room -= (keys[k] > worst) | ((k < entries) & (keys[k] == worst))
    candidates = entries
    for k in range(entries, len(keys)):
        tie = keys[k] == worst and room > 0
        if keys[k] > worst or tie:
            room -= tie
            keys[candidates], factors[candidates] = keys[k], factors[k]
            for column in range(place.shape[1]):
                place[candidates, column] = place[k, column]
            candidates += 1
    return candidates, worst
