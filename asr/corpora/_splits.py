"""Splits by a hash of names, which do not change when other recordings are added."""

from __future__ import annotations

import hashlib


def hash_fraction(name: str, algorithm: str = "sha256") -> float:
    """Return a number from 0 to below 1 that depends on the name only."""
    digest = hashlib.new(algorithm, name.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def recording_fraction(name: str) -> float:
    """Return the `hash_fraction` of a recording's name up to ``_nohash_``.

    In Google's Speech Commands that is the speaker, whose recordings so stay together.
    """
    return hash_fraction(name.partition("_nohash_")[0], "sha1")


def split_by_fraction(fraction: float, dev: float, test: float) -> str:
    """Return the split of a fraction from `hash_fraction`: "test", "dev" or "train", with the expected shares."""
    return "test" if fraction < test else "dev" if fraction < test + dev else "train"
