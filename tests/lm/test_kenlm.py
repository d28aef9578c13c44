"""Scores of the same ARPA file by KenLM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.prune import prune

kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed (extra peers)")


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("threshold", [0.0, 1e-5])
def test_scores_are_the_same(order: int, threshold: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(order)
    words = [f"w{number}" for number in range(50)]
    draw = lambda: [words[min(int(rng.exponential(8)), 49)] for _ in range(rng.integers(0, 15))]  # noqa: E731
    model = prune(kneser_ney(encode_sentences([draw() for _ in range(300)]), order), threshold)
    path = tmp_path / "model.arpa"
    arpa.write(model, path)
    theirs = kenlm.Model(str(path))
    ours = arpa.read(path)
    for _ in range(100):
        sentence = [*draw(), "unseen", *draw()]
        expected = [log_prob for log_prob, _, _ in theirs.full_scores(" ".join(sentence))]
        np.testing.assert_allclose(ours.log_probs(sentence) / np.log(10), expected, atol=1e-4)
    assert theirs.order == order
