"""Text for terminals: tables, and token sequences under each other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

Cell = str | None  # a token; None where the row has none


def table(lines: Sequence[Sequence[str]]) -> str:
    """Format rows of equally many cells: the first column on the left, the others on the right of their columns."""
    widths = [max(map(text_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        (
            _pad(line[0], widths[0])
            + "".join("  " + " " * (w - text_width(c)) + c for c, w in zip(line[1:], widths[1:], strict=True))
        ).rstrip()
        for line in lines
    )


def aligned(rows: Mapping[str, Sequence[Cell]], marks: Sequence[str], width: int, gap: int = 1) -> Iterator[str]:
    """Yield lines with the tokens of each row under those of the others, wrapped.

    Args:
        rows: by label; all of them have equally many cells. Where a row has no token, stars fill the place.
        marks: what stands below each column; rows of which all marks are empty are left out.
        width: columns at which lines are wrapped.
        gap: blanks between two columns.
    """
    shown = {label: [cell if cell is None else _visible(cell) for cell in cells] for label, cells in rows.items()}
    labels = [*shown, ""]
    indent = max(map(text_width, labels)) + 1 if labels else 0
    columns = []
    for *cells, mark in zip(*shown.values(), marks, strict=True):
        wide = max(1, text_width(mark), *(text_width(cell) for cell in cells if cell is not None))
        columns.append((wide, [*("*" * wide if cell is None else cell for cell in cells), mark]))
    while columns:
        used = count = 0
        while count < len(columns) and (not count or used + columns[count][0] <= width - indent):
            used += columns[count][0] + gap
            count += 1
        for row, label in enumerate(labels):
            line = (" " * gap).join(_pad(cells[row], wide) for wide, cells in columns[:count]).rstrip()
            if line:
                yield _pad(label, indent) + line
        del columns[:count]


def text_width(text: str) -> int:
    """Return the number of terminal columns: two for a wide East Asian character, none for a combining one."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _visible(token: str) -> str:
    return "␣" if token == " " else token


def _pad(text: str, width: int) -> str:
    return text + " " * (width - text_width(text))
