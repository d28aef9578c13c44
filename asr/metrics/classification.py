"""Classification metrics: accuracy, recall of each class, and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from asr.metrics.error_rate import ErrorCounts
from asr.metrics.significance import bootstrap_interval, json_interval, known_speakers, with_interval

MAX_CONFUSIONS = 10  # in a summary


def summary(pairs: Sequence[tuple[str, str]], speakers: Sequence[str] = ()) -> dict[str, Any]:
    """Compute the metrics of (class, predicted class) pairs, of which there is one at least.

    Args:
        pairs: of each utterance.
        speakers: of each utterance, empty where unknown; (): all are unknown.

    Returns:
        JSON values: ``utterances``, ``errors``, ``accuracy``; ``interval_95``, the bootstrap interval of the accuracy,
        and ``interval_over``, "speakers" or "utterances"; ``recall`` of each class; and ``confusions``, the
        `MAX_CONFUSIONS` most frequent as [class, predicted class, count].
    """
    known = known_speakers(speakers)
    low, high = bootstrap_interval([ErrorCounts.of_whole(r == h) for r, h in pairs], known)
    interval = json_interval((round(1 - high, 6), round(1 - low, 6)))
    errors = Counter((ref, hyp) for ref, hyp in pairs if ref != hyp)
    total = Counter(ref for ref, _ in pairs)
    correct = Counter(ref for ref, hyp in pairs if ref == hyp)
    ranked = sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    return {
        "utterances": len(pairs),
        "errors": errors.total(),
        "accuracy": round(correct.total() / len(pairs), 6),
        "interval_95": {"accuracy": interval},
        "interval_over": "speakers" if known else "utterances",
        "recall": {name: round(correct[name] / count, 6) for name, count in sorted(total.items())},
        "confusions": [[ref, hyp, count] for (ref, hyp), count in ranked[:MAX_CONFUSIONS]],
    }


def line(figures: dict[str, Any]) -> str:
    """Format the metrics of `summary` on one line."""
    errors, utterances = figures["errors"], figures["utterances"]
    accuracy = with_interval(figures["accuracy"], figures.get("interval_95", {}).get("accuracy", ()))
    text = f"accuracy {accuracy} % ({errors} of {utterances} wrong)"
    if errors:
        worst = sorted(figures["recall"].items(), key=lambda item: item[1])[:3]
        text += "; lowest recall " + ", ".join(f"{name} {100 * recall:.1f}%" for name, recall in worst if recall < 1)
        text += "; " + ", ".join(f"{ref} taken for {hyp} {count} x" for ref, hyp, count in figures["confusions"])
    return text
