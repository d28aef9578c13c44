"""Classification metrics: accuracy, recall of each class, and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

MAX_CONFUSIONS = 10  # in a summary


def summary(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Compute the metrics of (class, predicted class) pairs, of which there is one at least.

    Returns:
        JSON values: ``utterances``, ``errors``, ``accuracy``; ``recall`` of each class; and ``confusions``, the
        `MAX_CONFUSIONS` most frequent as [class, predicted class, count].
    """
    errors = Counter((ref, hyp) for ref, hyp in pairs if ref != hyp)
    total = Counter(ref for ref, _ in pairs)
    correct = Counter(ref for ref, hyp in pairs if ref == hyp)
    ranked = sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    return {
        "utterances": len(pairs),
        "errors": errors.total(),
        "accuracy": round(correct.total() / len(pairs), 6),
        "recall": {name: round(correct[name] / count, 6) for name, count in sorted(total.items())},
        "confusions": [[ref, hyp, count] for (ref, hyp), count in ranked[:MAX_CONFUSIONS]],
    }


def line(figures: dict[str, Any]) -> str:
    """Format the metrics of `summary` on one line."""
    errors, utterances = figures["errors"], figures["utterances"]
    text = f"accuracy {100 * figures['accuracy']:.2f}% ({errors} of {utterances} wrong)"
    if errors:
        worst = sorted(figures["recall"].items(), key=lambda item: item[1])[:3]
        text += "; lowest recall " + ", ".join(f"{name} {100 * recall:.1f}%" for name, recall in worst if recall < 1)
        text += "; " + ", ".join(f"{ref} taken for {hyp} {count} x" for ref, hyp, count in figures["confusions"])
    return text
