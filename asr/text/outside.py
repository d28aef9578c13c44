"""Warn of characters in texts that are outside a vocabulary."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from asr.text._tokens import describe
from asr.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

MAX_NAMED = 8  # characters, words or phones that warnings name


def log_skipped(vocabulary: Vocabulary, texts: Iterable[tuple[str, str]]) -> Counter[str]:
    """Count what `Vocabulary.encode` leaves out of texts, and log a warning for each character, word or phone.

    Beyond `MAX_NAMED` of them, the most frequent ones have a warning each and the others one in common.

    Args:
        vocabulary: nothing is counted unless its ``unknown`` is "skip".
        texts: (utterance, text) pairs; the warning names the first utterance.
    """
    counts: Counter[str] = Counter()
    if vocabulary.unknown != "skip":
        return counts
    first: dict[str, str] = {}
    for utterance, text in texts:
        for part in vocabulary.skipped(text):
            counts[part] += 1
            first.setdefault(part, utterance)
    for part, count in counts.most_common(MAX_NAMED):
        where = f", first in utterance {first[part]}" if first[part] else ""
        times = "once" if count == 1 else f"{count} times"
        log.warning("skipped %s, which is outside the vocabulary, %s%s", describe([part]), times, where)
    if others := counts.most_common()[MAX_NAMED:]:
        total = sum(count for _, count in others)
        log.warning("skipped %d more that are outside the vocabulary, %d times in all", len(others), total)
    return counts


def log_refused(where: str, split: str, refused: Mapping[str, Sequence[str]], total: int) -> None:
    """Log a warning about utterances that have no labels, as a vocabulary refuses their texts, if there are any.

    Args:
        where: what the vocabulary belongs to, "head text" say.
        split: "training" or "dev".
        refused: what is outside the vocabulary (`Vocabulary.outside`), by utterance.
        total: number of utterances of the split.
    """
    if not refused:
        return
    counts = Counter(unit for outside in refused.values() for unit in outside)
    first = {unit: id for id in reversed(list(refused)) for unit in refused[id]}
    named = [f"{describe([unit])} ({n}, first in {first[unit]})" for unit, n in counts.most_common(MAX_NAMED)]
    more = f" and {len(counts) - MAX_NAMED} more" if len(counts) > MAX_NAMED else ""
    log.warning(
        "%s: %d of %d %s utterances %s, as the vocabulary lacks %s%s; write them as they are said "
        "(numbers of English: asr prepare --spell-numbers)",
        where,
        len(refused),
        total,
        split,
        "are left out" if split == "training" else "count as errors",
        ", ".join(named),
        more,
    )
