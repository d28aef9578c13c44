"""Tokens of vocabularies: the special ones, and checks of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from asr.errors import InputError

BLANK, BOS, EOS, UNKNOWN = SPECIALS = ("<blank>", "<bos>", "<eos>", "<unk>")
SPACED = ("words", "phones")  # kinds of vocabulary whose units are separated by white space in a text


def check_token(kind: str | None, token: str, seen: set[str]) -> None:
    """Add a token to those already seen; raise InputError if it is one of them or cannot be of this kind."""
    if token in seen:
        raise InputError(f"token {token!r} is there twice")
    if token not in SPECIALS:
        if kind == "characters" and len(token) != 1:
            raise InputError(f"token {token!r} is not a single character")
        if not token or (kind in SPACED and token.split() != [token]):
            raise InputError(f"token {token!r} is empty or has white space in it")
    seen.add(token)


def with_specials(units: list[str], specials: Sequence[str], unknown: str) -> tuple[str, ...]:
    """Return special tokens and units as one sequence; ``<unk>`` is added where ``unknown`` is "map".

    Raises:
        InputError: a special token that does not exist, or a unit with the name of one.
    """
    if strange := [token for token in specials if token not in SPECIALS]:
        raise InputError(f"special tokens {strange} are none of {', '.join(SPECIALS)}")
    if unknown == "map" and UNKNOWN not in specials:
        specials = (*specials, UNKNOWN)
    if clash := [unit for unit in units if unit in SPECIALS]:
        raise InputError(f"units cannot have the names of special tokens: {' '.join(clash)}")
    return (*specials, *units)


def describe(parts: Iterable[str]) -> str:
    """List each distinct part once, single characters with their code point."""
    return ", ".join(f"{p!r} (U+{ord(p):04X})" if len(p) == 1 else repr(p) for p in dict.fromkeys(parts))
