"""How often classes were told right, and which were taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

SHOWN = 10  # confusions that are listed


def summary(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Figures of (class, class it was taken for), which are JSON.

    ``utterances``, ``errors``, ``accuracy``; ``recall`` of each class, the share of it that was told right; and
    ``confusions``, the `SHOWN` commonest as [class, taken for, times].
    """
    wrong = Counter((said, heard) for said, heard in pairs if said != heard)
    total = Counter(said for said, _ in pairs)
    right = Counter(said for said, heard in pairs if said == heard)
    ordered = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return {
        "utterances": len(pairs),
        "errors": wrong.total(),
        "accuracy": round(right.total() / len(pairs), 6),
        "recall": {name: round(right[name] / count, 6) for name, count in sorted(total.items())},
        "confusions": [[said, heard, count] for (said, heard), count in ordered[:SHOWN]],
    }


def line(figures: dict[str, Any]) -> str:
    """Figures of `summary` on one line."""
    errors, utterances = figures["errors"], figures["utterances"]
    text = f"accuracy {100 * figures['accuracy']:.2f}% ({errors} of {utterances} wrong)"
    if errors:
        worst = sorted(figures["recall"].items(), key=lambda item: item[1])[:3]
        text += "; lowest recall " + ", ".join(f"{name} {100 * recall:.1f}%" for name, recall in worst if recall < 1)
        text += "; " + ", ".join(f"{said} taken for {heard} {count} x" for said, heard, count in figures["confusions"])
    return text
