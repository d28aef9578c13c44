"""Grammars: what they generate, and errors about faults in them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from asr.corpora.synthetic.grammar import Grammar
from asr.errors import InputError

EXAMPLE = """
# a comment
<sentence> = <digit>{1,3}
           | turn (on | off) the light [please]

<digit> = one | two
"""


def samples(text: str, count: int = 500) -> set[str]:
    grammar, random = Grammar(text), Random(0)
    return {grammar.sample(random) for _ in range(count)}


def test_generates_exactly_its_language() -> None:
    digits = ["one", "two"]
    pairs = [f"{a} {b}" for a in digits for b in digits]
    triples = [f"{a} {b}" for a in pairs for b in digits]
    commands = [f"turn {state} the light{end}" for state in ("on", "off") for end in ("", " please")]
    assert samples(EXAMPLE) == {*digits, *pairs, *triples, *commands}


def test_repetition_and_groups() -> None:
    assert samples("<sentence> = (a b | c'd){2}") == {"a b a b", "a b c'd", "c'd a b", "c'd c'd"}
    assert samples("<sentence> = go [[very] far]{1}") == {"go", "go far", "go very far"}
    assert samples("<sentence> = été") == {"été"}


def test_is_deterministic() -> None:
    grammar = Grammar(EXAMPLE)
    first, second = ([grammar.sample(random) for _ in range(20)] for random in (Random(3), Random(3)))
    assert first == second != [grammar.sample(Random(4))] * 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rules.txt: there is no rule <sentence>"),
        ("<a> = b", "rules.txt: there is no rule <sentence>"),
        ("\nhello", 'rules.txt, line 2: expected "<rule> = …"'),
        ("| a", "rules.txt, line 1: expected"),
        ("<sentence> = a\n<sentence> = b", "line 2: there is a rule <sentence> already"),
        ("<sentence> = a\n  | <b>", "line 2: there is no rule <b>"),
        ("<sentence> = <a>\n<a> = b | c <a>", "line 2: <a> uses itself"),
        ("<sentence> = <a>\n<a> = <b>\n<b> = x [<a>]", "line 3: <a> uses itself"),
        ("<sentence> =", "line 1: an alternative is empty"),
        ("<sentence> = a |\n | b", "line 2: an alternative is empty"),
        ("<sentence> = a ()", "line 1: an alternative is empty"),
        ("<sentence> = (a | b", r'line 1: expected "\)"'),
        ("<sentence> = [a)", r'line 1: expected "\]"'),
        ("<sentence> = a ) b", r'line 1: "\)" closes nothing'),
        ("<sentence> = {2} a", "nothing before it to repeat"),
        ("<sentence> = a{2}{3}", "nothing before it to repeat"),
        ("<sentence> = a{x}", r'"\{x\}" is no repetition; write \{3\} or \{1,7\}'),
        ("<sentence> = a{3,1}", "must be an increasing range"),
        ("<sentence> = a{1,1000}", "must be an increasing range that ends between 1 and 100"),
        ("<sentence> = a{0}", "must be an increasing range"),
        ("<sentence> = call\n | 911", 'line 2: "911" is not a word: write lower-case letters'),
        ("<sentence> = Stop", '"Stop" is not a word'),
        ("<sentence> = a <b", '"<" is not a word'),
    ],
)
def test_faults_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grammar(text, "rules.txt")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt: cannot be read: No such file"):
        Grammar.load(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("<sentence> = été".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.txt, line 1: not UTF-8 text"):
        Grammar.load(tmp_path / "latin.txt")
