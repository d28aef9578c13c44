"""Splits by hashes of names: they must never change."""

from __future__ import annotations

import hashlib

from asr.corpora._splits import hash_fraction, recording_fraction, split_by_fraction


def test_fractions_are_the_first_32_bits_of_the_hash() -> None:
    assert hash_fraction("word") == int(hashlib.sha256(b"word").hexdigest()[:8], 16) / 2**32
    assert recording_fraction("a_nohash_0") == recording_fraction("a") == hash_fraction("a", "sha1")
    assert recording_fraction("a") == 0x86F7E437 / 2**32
    assert hash_fraction("a") == 0xCA978112 / 2**32


def test_splits_by_fraction() -> None:
    fractions = (0.0, 0.0999, 0.1, 0.1199, 0.1201, 0.9999)
    assert [split_by_fraction(fraction, dev=0.02, test=0.1) for fraction in fractions] == [
        *("test", "test", "dev", "dev", "train", "train")
    ]
    assert split_by_fraction(0.0, dev=0, test=0) == "train"
