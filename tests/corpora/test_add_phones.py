"""Phones added to utterances from a pronouncing dictionary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from asr.corpora.add_phones import add_phones
from asr.data import manifest

Write = Callable[..., Path]


def test_add_phones_counts(tmp_path: Path, sound: Write) -> None:
    file = sound(tmp_path / "a.wav")
    sentences = ["Ice cream.", "ice box", "box box", ""]
    cuts = [manifest.make_cut(str(n), file, text, custom={"age": 7}) for n, text in enumerate(sentences)]
    new, coverage = add_phones(cuts, {"ice": [("ay", "s")], "cream": [("k", "r", "iy", "m")]})
    assert [manifest.phones(cut) for cut in new] == ["ay s k r iy m", None, None, None]
    assert new[0].supervisions[0].custom["age"] == 7
    assert manifest.phones(cuts[0]) is None  # the cuts that were given have not changed
    assert (coverage.covered, coverage.utterances, coverage.unknown) == (1, 4, {"box": 3})
