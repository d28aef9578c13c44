"""Print words as they are recognized: on a terminal, as lines of text, as JSON."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from asr.cli._streams import print_json
from asr.utils.escape import escape_control, to_json

if TYPE_CHECKING:
    from asr.inference.live import LiveEvent

DIM, NORMAL, ERASE = "\x1b[2m", "\x1b[0m", "\x1b[J"  # ERASE: from the cursor to the end of the screen
PARTIAL_LINES = 3  # of partial words at most


class Captions(Protocol):
    """Shows events of live recognition."""

    def show(self, event: LiveEvent) -> None:
        """Show what is new."""

    def end(self) -> None:
        """Leave the cursor at the beginning of a line."""


def make_captions(is_json: bool) -> Captions:
    """Return captions for standard output, as JSON or as what it is makes best."""
    if is_json:
        return JsonCaptions()
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return TerminalCaptions()
    return LineCaptions()


class JsonCaptions:
    """A line of JSON for each event."""

    def show(self, event: LiveEvent) -> None:
        """Print an event."""
        print_json(to_json(event.to_dict()))
        sys.stdout.flush()

    def end(self) -> None:
        """Nothing is open."""


class LineCaptions:
    """Committed words as they come, for files and pipes; a line ends where a stretch of speech does."""

    def __init__(self) -> None:
        self._is_open = False

    def show(self, event: LiveEvent) -> None:
        """Print committed words."""
        kind = event.to_dict()
        if kind["type"] != "committed":
            return
        if text := escape_control(event.text):
            print(f" {text}" if self._is_open else text, end="")
            self._is_open = True
        if kind["is_end"]:
            self.end()
        sys.stdout.flush()

    def end(self) -> None:
        """End the line."""
        if self._is_open:
            print(flush=True)
        self._is_open = False


class TerminalCaptions:
    """Committed words plain, partial ones dim behind them, which later events replace.

    The line that is not full yet, and the partial words, are drawn anew with each event; lines above never change.

    Args:
        columns: of the terminal; None: as it says, each time.
    """

    def __init__(self, columns: int | None = None) -> None:
        self._columns = columns
        self._line = ""  # committed words of the last line
        self._partial = ""
        self._below = 0  # lines of the last drawing below its first one

    def show(self, event: LiveEvent) -> None:
        """Draw the end of the text anew."""
        fields = event.to_dict()
        width = self._width()
        finished: list[str] = []  # lines
        if fields["type"] == "committed":
            self._partial = ""
            lines = wrap(self._line, event.text, width)
            finished, self._line = lines[:-1], lines[-1]
            if fields["is_end"] and self._line:
                finished.append(self._line)
                self._line = ""
        else:
            self._partial = event.text
        self._draw(finished, width)

    def end(self) -> None:
        """Erase the partial words, and end the line."""
        self._partial = ""
        self._draw([self._line] if self._line else [], self._width())
        self._line = ""

    def _width(self) -> int:
        return max(20, (self._columns or shutil.get_terminal_size().columns) - 1)

    def _draw(self, finished: Sequence[str], width: int) -> None:
        line = self._line if not finished or finished[-1] != self._line else ""
        first, *rest = wrap(line, self._partial, width)
        rest = rest[:PARTIAL_LINES]
        up = f"\x1b[{self._below}A" if self._below else ""
        done = "".join(f"{text}\n" for text in finished)
        dim = first[len(line) :] + "".join(f"\n{text}" for text in rest)
        print(f"{up}\r{ERASE}{done}{line}{DIM if dim else ''}{dim}{NORMAL if dim else ''}", end="", flush=True)
        self._below = len(rest)


def wrap(line: str, text: str, width: int) -> list[str]:
    """Return lines of ``width`` columns: what is in the first one already, and the words of a text behind it."""
    from rich.cells import cell_len

    lines = [line]
    for word in escape_control(text).split():
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
