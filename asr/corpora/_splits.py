"""Splits by a hash of names, which do not change when other recordings are added."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from asr.errors import InputError

MIN_TRAIN_SHARE = 0.5  # of the utterances, if whole speakers are held out


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


def hold_out_fractions(speakers: Mapping[str, str], shares: Mapping[str, float]) -> tuple[dict[str, str], bool]:
    """Assign utterances to splits by a hash, so that new ones do not move old ones, and each split gets one at least.

    Whole speakers are held out if that leaves `MIN_TRAIN_SHARE` of the utterances to train on, or single utterances.

    Args:
        speakers: speaker of each utterance by its name; empty where unknown.
        shares: expected share of the utterances in each split besides "train".

    Returns:
        The split of each utterance, and whether whole speakers were held out.

    Raises:
        InputError: shares that leave nothing to train on, or fewer utterances than splits.
    """
    if sum(shares.values()) >= 1:
        raise InputError(f"{' and '.join(shares)} take all utterances: no share is left to train on")
    if len(speakers) <= len(shares):
        raise InputError(f"{len(speakers)} utterances are too few for train and {' and '.join(shares)}")
    sizes = Counter(name for name in speakers.values() if name)
    if len(sizes) > len(shares):
        by_speaker = _assign(sizes, shares)
        splits = {id: by_speaker.get(name, "train") for id, name in speakers.items()}
        if sum(split == "train" for split in splits.values()) >= MIN_TRAIN_SHARE * len(splits):
            return splits, True
    return _assign(Counter(dict.fromkeys(speakers, 1)), shares), False


def _assign(names: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, str]:
    """Assign names to splits by their hashes; a split that would be empty gets the nearest name."""
    fractions = sorted((hash_fraction(name), name) for name in names)
    splits: dict[str, str] = {}
    low = 0.0
    for position, (split, share) in enumerate(shares.items()):
        free = [(fraction, name) for fraction, name in fractions if name not in splits]
        chosen = [name for fraction, name in free if low <= fraction < low + share] or [free[0][1]]
        rest = len(shares) - position  # of the splits to come, train included
        splits |= dict.fromkeys(chosen[: max(1, len(free) - rest)], split)
        low += share
    return {name: splits.get(name, "train") for name in names}
