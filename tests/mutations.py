"""Mutations of configuration trees and of bytes, for fuzz tests."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e9, 10**9, 10**30, float("nan"), float("inf"), "", " ", "a", "é"),
    *("none", "1", "../x", [], [1], ["a"], [[]], {}, {"a": 1}, {"type": "x"}, {1: 2}, [None], {"type": None}),
    *("characters", "phones", "words", "classes", "skip", "map", "rnn", "lstm", "mfcc", "beam", "global", 100_000),
]
PIECES = [
    b"\0",
    b"\n",
    b"\n  ",
    b": ",
    b"- ",
    b"{",
    b"[",
    b"'",
    b"\t",
    b"!!python/object:os.system ",
    b"&a ",
    b"*a ",
    b"${x}",
]
TEXTS = [
    *(
        "nan",
        "inf",
        "[",
        "{",
        '"',
        "'",
        "\\",
        "${x}",
        "${seed}",
        "${oc.env:HOME}",
        "???",
        "{a:1}",
        "[1,2",
        "1,2",
        "a=b",
    ),
    *("é", "\x01", "", "~", "null", "true", "1e400", "0x10", ".", "/", "*", "-1", "0", "1000", "glob(*)", "range(1,3)"),
    *("a:b", "{a: {b: 1}}", "@", "--help", "\n", "${", "sum(1)", "lstm", "[a,b]"),
]
Path = tuple[Any, ...]


def paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the keys that lead to every part of a tree, except those of what a model says of its training."""
    if path:
        yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if (*path, key) != ("training",):
            yield from paths(value, (*path, key))


def mutate_tree(tree: Any, rng: random.Random) -> Any:
    """Return a copy in which one or two parts are replaced, removed, renamed, added, wrapped or scaled."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 2)):
        places = list(paths(tree))
        if not places:
            break
        *above, key = rng.choice(places)
        parent = tree
        for step in above:
            parent = parent[step]
        kind = rng.choice(["set"] * 5 + ["delete", "rename", "add", "wrap", "scale"])
        if kind == "set":
            parent[key] = copy.deepcopy(rng.choice(ODD))
        elif kind == "delete":
            del parent[key]
        elif kind == "rename" and isinstance(parent, dict):
            parent[rng.choice([f"{key}x", 1, "type", "", "weights", None])] = parent.pop(key)
        elif kind == "add" and isinstance(parent, dict):
            parent[rng.choice(["x", "type", "deltas", "beam", "lm", "hotwords", 3])] = copy.deepcopy(rng.choice(ODD))
        elif kind == "wrap":
            parent[key] = [parent[key]]
        elif kind == "scale" and isinstance(parent[key], (int, float)) and not isinstance(parent[key], bool):
            parent[key] *= rng.choice([-1, 2, 0, 1.5, 100])
    return tree


def mutate_bytes(data: bytes, rng: random.Random, end: int | None = None) -> bytes:
    """Return bytes of which a few, before ``end``, are changed, removed, inserted or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(min(len(changed), end or len(changed)), 1))
        kind = rng.choice(["byte", "delete", "insert", "cut"])
        if kind == "byte" and changed:
            changed[min(at, len(changed) - 1)] = rng.randrange(256)
        elif kind == "delete":
            del changed[at : at + rng.randrange(1, 40)]
        elif kind == "insert":
            changed[at:at] = rng.choice(PIECES)
        elif rng.random() < 0.3:
            del changed[at:]
    return bytes(changed)
