"""Sentences over a small grammar, written as rules in a text file.

::

    # Comments and empty lines are skipped; a line that begins with "|" continues the rule above it.
    <sentence> = <digit>{1,7}
               | set a timer for <number> (minutes | hours) [please]
    <number>   = two | ten | thirty
    <digit>    = zero | one | two

``|`` separates alternatives, all equally likely; ``( )`` groups; ``[ ]`` is there or not, equally likely;
``{m,n}`` repeats what stands before it, each count equally likely, and ``{n}`` is ``{n,n}``. Everything else
is a word as it is spoken: lower-case letters and apostrophes. Sentences come from ``<sentence>``; no rule may
use itself.
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
class Word:
    text: str


@dataclass(frozen=True)
class Reference:
    rule: str
    line: int


@dataclass(frozen=True)
class Choice:
    alternatives: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Repeat:
    node: Node
    low: int
    high: int


Node = Word | Reference | Choice | Repeat


class Grammar:
    """Rules parsed from text; see the module for the format.

    Args:
        text: the rules.
        name: what error messages call them, usually the file's path.

    Raises:
        InputError: naming file and line, for anything that is not a grammar.
    """

    def __init__(self, text: str, name: str = "grammar") -> None:
        self.name = name
        self.rules: dict[str, Choice] = {}
        for rule, tokens in self._split(text).items():
            self.rules[rule] = _Parser(tokens, name).parse()
        if START not in self.rules:
            raise InputError(f"{name}: there is no rule <{START}>, from which sentences are made")
        for rule in self.rules:
            self._check_references(self.rules[rule], (rule,))

    @classmethod
    def load(cls, path: str | Path) -> Grammar:
        """Read a grammar file (UTF-8)."""
        return cls(read_text(path), str(path))

    def sample(self, random: Random) -> str:
        """One sentence; the same state of ``random`` gives the same one."""
        return " ".join(self._expand(self.rules[START], random))

    def words(self) -> set[str]:
        """Every word that can occur in a rule."""
        found: set[str] = set()

        def visit(node: Node) -> None:
            if isinstance(node, Word):
                found.add(node.text)
            elif isinstance(node, Repeat):
                visit(node.node)
            elif isinstance(node, Choice):
                for child in (child for sequence in node.alternatives for child in sequence):
                    visit(child)

        for rule in self.rules.values():
            visit(rule)
        return found

    def _expand(self, node: Node, random: Random) -> list[str]:
        if isinstance(node, Word):
            return [node.text]
        if isinstance(node, Reference):
            return self._expand(self.rules[node.rule], random)
        if isinstance(node, Repeat):
            count = random.randint(node.low, node.high)
            return [word for _ in range(count) for word in self._expand(node.node, random)]
        sequence = random.choice(node.alternatives)
        return [word for child in sequence for word in self._expand(child, random)]

    def _split(self, text: str) -> dict[str, list[tuple[str, int]]]:
        """Tokens of each rule with their line numbers."""
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
        if isinstance(node, Repeat):
            self._check_references(node.node, path)
        elif isinstance(node, Choice):
            for child in (child for sequence in node.alternatives for child in sequence):
                self._check_references(child, path)
        elif isinstance(node, Reference):
            where = f"{self.name}, line {node.line}"
            if node.rule not in self.rules:
                raise InputError(f"{where}: there is no rule <{node.rule}>")
            if node.rule in path:
                raise InputError(f"{where}: <{node.rule}> uses itself; {{m,n}} repeats")
            self._check_references(self.rules[node.rule], (*path, node.rule))


class _Parser:
    """Recursive descent over one rule's tokens; an empty token stands at the beginning of every line."""

    def __init__(self, tokens: list[tuple[str, int]], name: str) -> None:
        self.name = name
        self.line = tokens[0][1]
        self.tokens = [token for token in tokens if token[0]]
        self.position = 0

    def parse(self) -> Choice:
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

    def _choice(self, closing: str) -> Choice:
        """Alternatives up to, not including, the closing bracket (or the rule's end)."""
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
                raise self._error("an alternative is empty; [ ] marks what may be left out")
            alternatives.append(tuple(sequence))
            if token != "|":
                break
            self._next()
        if closing and token != closing:
            raise self._error(f'expected "{closing}"')
        return Choice(tuple(alternatives))

    def _element(self) -> Node:
        token = self._next()
        if token.startswith("<") and token.endswith(">"):
            return Reference(token[1:-1], self.line)
        if token in ("(", "["):
            choice = self._choice(")" if token == "(" else "]")
            self._next()
            return choice if token == "(" else Repeat(choice, 0, 1)
        if not WORD.fullmatch(token) or token != token.lower():
            raise self._error(f'"{token}" is not a word: write lower-case letters and apostrophes, as it is spoken')
        return Word(token)

    def _repeat(self, node: Node) -> Repeat:
        token = self._next()
        if not (match := COUNT.fullmatch(token)):
            raise self._error(f'"{token}" is no repetition; write {{3}} or {{1,7}}')
        low, high = int(match[1]), int(match[2] or match[1])
        if not low <= high <= MAX_REPEATS or high == 0:
            raise self._error(f'"{token}" must count upwards, to between 1 and {MAX_REPEATS}')
        return Repeat(node, low, high)
