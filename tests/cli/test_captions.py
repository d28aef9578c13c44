"""Captions on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from asr.cli._captions import DIM, ERASE, NORMAL, LineCaptions, TerminalCaptions
from asr.inference.live import Committed, Partial
from asr.output.transcript import Word


class Terminal(io.StringIO):
    """Follows what a terminal shows of lines and of the control sequences that captions use."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self.row = self.column = 0
        self.dim: list[str] = []  # what is written in dim type at present

    def write(self, text: str) -> int:
        while text:
            if text.startswith(ERASE):
                self.lines[self.row] = self.lines[self.row][: self.column]
                del self.lines[self.row + 1 :]
                self.dim = []
                text = text[len(ERASE) :]
            elif text.startswith((DIM, NORMAL)):
                self.is_dim = text.startswith(DIM)
                text = text[4:]
            elif text.startswith("\x1b["):
                self.row -= int(text[2 : text.index("A")])
                text = text[text.index("A") + 1 :]
            else:
                self._character(text[0])
                text = text[1:]
        return 0

    is_dim = False

    def _character(self, character: str) -> None:
        if character == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif character == "\r":
            self.column = 0
        else:
            line = self.lines[self.row]
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1
            if self.is_dim:
                self.dim.append(character)


def said(text: str, is_end: bool = False) -> Committed:
    words = tuple(Word(word, 0.0, 0.1, 1.0) for word in text.split())
    return Committed(words, words, is_end)


def maybe(text: str) -> Partial:
    return Partial(tuple(Word(word, 0.0, 0.1, 1.0) for word in text.split()))


def test_a_terminal_shows_partial_words_dim(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    captions = TerminalCaptions(columns=25)
    captions.show(maybe("hello word"))
    assert screen.lines == ["hello word"] and "".join(screen.dim) == "hello word"
    captions.show(said("Hello"))
    captions.show(maybe("world, this is a long partial text of many words that goes on and on and on and on"))
    assert screen.lines[0] == "Hello world, this is a" and len(screen.lines) == 4
    assert "".join(screen.dim).startswith(" world, this is along partial")
    captions.show(said("world, this is a long text."))
    assert screen.lines == ["Hello world, this is a", "long text."] and not screen.dim
    captions.show(said("It ends.", is_end=True))
    captions.show(maybe("more"))
    assert screen.lines == ["Hello world, this is a", "long text. It ends.", "more"]
    captions.show(said("", is_end=True))
    captions.end()
    captions.end()
    assert screen.lines == ["Hello world, this is a", "long text. It ends.", ""]
    assert all(len(line) < 25 for line in screen.lines)


def test_a_full_line_and_a_line_that_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    captions = TerminalCaptions(columns=21)
    captions.show(said("aaaaaaaaa bbbbbbbbbb", is_end=True))
    captions.show(said("aaaaaaaaa bbbbbbbbbb"))
    captions.show(maybe("c"))
    assert screen.lines == ["aaaaaaaaa bbbbbbbbbb", "aaaaaaaaa bbbbbbbbbb", "c"]
    captions.show(said("c d", is_end=True))
    assert screen.lines == ["aaaaaaaaa bbbbbbbbbb", "aaaaaaaaa bbbbbbbbbb", "c d", ""]


def test_lines_of_text_have_committed_words_only(capsys: pytest.CaptureFixture[str]) -> None:
    captions = LineCaptions()
    for event in (
        maybe("he"),
        said("Hello"),
        maybe("wor"),
        said("world."),
        said("", True),
        said("So", True),
        maybe(""),
    ):
        captions.show(event)
    captions.end()
    assert capsys.readouterr().out == "Hello world.\nSo\n"
