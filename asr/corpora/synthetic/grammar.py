"""Grammars of sentences, written as rules in a text file.

::

    # Comments and empty lines are skipped; a line that begins with "|" continues the rule above it.
    <sentence> = <digit>{1,7}
               | set a timer for <number> (minutes | hours) [please]
    <number>   = two | ten | thirty
    <digit>    = zero | one | two

``|`` separates alternatives, all equally likely; ``( )`` groups; ``[ ]`` is optional, with probability 0.5; ``{m,n}``
repeats what precedes it, each number of times equally likely, and ``{n}`` is ``{n,n}``. Everything else is a word as it
is spoken: lower-case letters and apostrophes. Sentences are expansions of ``<sentence>``; no rule may use itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from asr.errors import InputError
from asr.utils.text_files import read_text

START = "sentence"
MAX_REPEATS = 100

RULE = re.compile(r"<([^<>\s]+)>\s*=(.*)")
TOKEN = re.compile(r"\s*(<[^<>\s]+>|[()\[\]|]|\{[^{}]*\}|[^\s<>()\[\]{}|]+|\S)")
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*'?")
COUNT = re.compile(r"\{\s*(\d+)\s*(?:,\s*(\d+)\s*)?\}")


@dataclass(frozen=True)
class Terminal:
    """A word as it is spoken."""

    text: str


@dataclass(frozen=True)
class RuleReference:
    """The use of a rule, and the line it is in."""

    rule: str
    line: int


@dataclass(frozen=True)
class Alternatives:
    """Sequences of nodes, all equally likely."""

    sequences: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Repetition:
    """A node that occurs ``low`` to ``high`` times, each number equally likely."""

    node: Node
    low: int
    high: int


Node = Terminal | RuleReference | Alternatives | Repetition


class Grammar:
    """A grammar parsed from text; see the module for the format.

    Args:
        text: the rules.
        name: of the grammar in error messages, usually the file's path.

    Raises:
        InputError: the text is not a grammar; the line is named.
    """

    def __init__(self, text: str, name: str = "grammar") -> None:
        self.name = name
        self.rules: dict[str, Alternatives] = {}
        for rule, tokens in self._split(text).items():
            self.rules[rule] = _Parser(tokens, name).parse()
        if START not in self.rules:
            raise InputError(f"{name}: there is no rule <{START}>, which sentences begin with")
        for rule in self.rules:
            self._check_references(self.rules[rule], (rule,))

    @classmethod
    def load(cls, path: str | Path) -> Grammar:
        """Read a grammar file. Raises InputError for a file that cannot be read or is not a grammar."""
        return cls(read_text(path), str(path))

    def sample(self, random: Random) -> str:
        """Draw a sentence; the same state of ``random`` gives the same one."""
        return " ".join(self._expand(self.rules[START], random))

    def _expand(self, node: Node, random: Random) -> list[str]:
        if isinstance(node, Terminal):
            return [node.text]
        if isinstance(node, RuleReference):
            return self._expand(self.rules[node.rule], random)
        if isinstance(node, Repetition):
            count = random.randint(node.low, node.high)
            return [word for _ in range(count) for word in self._expand(node.node, random)]
        sequence = random.choice(node.sequences)
        return [word for child in sequence for word in self._expand(child, random)]

    def _split(self, text: str) -> dict[str, list[tuple[str, int]]]:
        """Return the tokens of each rule with their line numbers."""
        rules: dict[str, list[tuple[str, int]]] = {}
        current: list[tuple[str, int]] | None = None
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            where = f"{self.name}, line {number}"
            if match := RULE.fullmatch(line):
                rule, line = match.groups()
                if rule in rules:
                    raise InputError(f"{where}: there is a rule <{rule}> already")
                current = rules[rule] = []
            elif not line.startswith("|") or current is None:
                raise InputError(f'{where}: expected "<rule> = …", or "| …" to continue the rule above')
            current.append(("", number))
            current += [(token, number) for token in TOKEN.findall(line)]
        return rules

    def _check_references(self, node: Node, path: tuple[str, ...]) -> None:
        if isinstance(node, Repetition):
            self._check_references(node.node, path)
        elif isinstance(node, Alternatives):
            for child in (child for sequence in node.sequences for child in sequence):
                self._check_references(child, path)
        elif isinstance(node, RuleReference):
            where = f"{self.name}, line {node.line}"
            if node.rule not in self.rules:
                raise InputError(f"{where}: there is no rule <{node.rule}>")
            if node.rule in path:
                raise InputError(f"{where}: <{node.rule}> uses itself; {{m,n}} repeats")
            self._check_references(self.rules[node.rule], (*path, node.rule))


class _Parser:
    """Recursive-descent parser of one rule's tokens, in which an empty token marks the beginning of a line."""

    def __init__(self, tokens: list[tuple[str, int]], name: str) -> None:
        self.name = name
        self.line = tokens[0][1]
        self.tokens = [token for token in tokens if token[0]]
        self.position = 0

    def parse(self) -> Alternatives:
        choice = self._choice("")
        if (token := self._peek()) != "":
            raise self._error(f'"{token}" closes nothing')
        return choice

    def _peek(self) -> str:
        if self.position == len(self.tokens):
            return ""
        token, self.line = self.tokens[self.position]
        return token

    def _next(self) -> str:
        token = self._peek()
        self.position += 1
        return token

    def _error(self, message: str) -> InputError:
        return InputError(f"{self.name}, line {self.line}: {message}")

    def _choice(self, closing: str) -> Alternatives:
        """Parse alternatives up to the closing bracket, which is not consumed, or the rule's end."""
        alternatives: list[tuple[Node, ...]] = []
        while True:
            sequence: list[Node] = []
            while (token := self._peek()) not in ("", "|", ")", "]"):
                if token.startswith("{"):
                    if not sequence or self.tokens[self.position - 1][0].startswith("{"):
                        raise self._error(f'"{token}" has nothing before it to repeat')
                    sequence[-1] = self._repeat(sequence[-1])
                else:
                    sequence.append(self._element())
            if not sequence:
                raise self._error("an alternative is empty; use [ ] for an optional part")
            alternatives.append(tuple(sequence))
            if token != "|":
                break
            self._next()
        if closing and token != closing:
            raise self._error(f'expected "{closing}"')
        return Alternatives(tuple(alternatives))

    def _element(self) -> Node:
        token = self._next()
        if token.startswith("<") and token.endswith(">"):
            return RuleReference(token[1:-1], self.line)
        if token in ("(", "["):
            choice = self._choice(")" if token == "(" else "]")
            self._next()
            return choice if token == "(" else Repetition(choice, 0, 1)
        if not WORD.fullmatch(token) or token != token.lower():
            raise self._error(f'"{token}" is not a word: write lower-case letters and apostrophes, as it is spoken')
        return Terminal(token)

    def _repeat(self, node: Node) -> Repetition:
        token = self._next()
        if not (match := COUNT.fullmatch(token)):
            raise self._error(f'"{token}" is no repetition; write {{3}} or {{1,7}}')
        low, high = int(match[1]), int(match[2] or match[1])
        if not low <= high <= MAX_REPEATS or high == 0:
            raise self._error(f'"{token}" must be an increasing range that ends between 1 and {MAX_REPEATS}')
        return Repetition(node, low, high)
