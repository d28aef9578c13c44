"""Confidences that are fitted on speech, and on speech that cannot be understood."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr.data.batch import SpeechBatch, pad
from asr.evaluation.confidence import MAX_LOSS, MIN_CONFIDENCES, VOICES, fit_confidences, mix_voices, play_backwards
from asr.inference.decoders.beam import BeamDecoder
from asr.text.vocabulary import Vocabulary

LETTERS = Vocabulary("characters", ("<blank>", " ", *"abcdefghij"))


def batch_of(lengths: list[int]) -> SpeechBatch:
    generator = torch.Generator().manual_seed(0)
    inputs, sizes = pad([torch.randn(n, generator=generator) * (row + 1) for row, n in enumerate(lengths)])
    ids = [f"u{row}" for row in range(len(lengths))]
    return SpeechBatch(ids, inputs, sizes, references={"text": [f"text {id}" for id in ids]})


def test_speech_backwards() -> None:
    batch = batch_of([5, 3])
    reversed_ = play_backwards(batch)
    for row, length in enumerate((5, 3)):
        assert reversed_.inputs[row, :length].tolist() == batch.inputs[row, :length].tolist()[::-1]
    assert not reversed_.inputs[1, 3:].any()
    features = SpeechBatch(["u"], torch.arange(6.0).view(1, 3, 2), torch.tensor([2]))
    assert play_backwards(features).inputs.tolist() == [[[2, 3], [0, 1], [0, 0]]]


def test_voices_at_once_are_equally_loud() -> None:
    lengths = [50, 40, 45, 44, 43, 60, 61, 62, 63, 64, 65]
    batch = batch_of(lengths)
    mixed = mix_voices(batch)
    assert mixed is not None and mixed.lengths.tolist() == [40, 60] and mixed.ids == ["u0", "u1"]
    waveforms = [batch.inputs[row, :n].numpy() for row, n in enumerate(lengths[:VOICES])]
    expected = sum((w / np.sqrt(np.mean(w**2)))[:40] for w in waveforms)
    np.testing.assert_allclose(mixed.inputs[0, :40], expected / np.abs(expected).max() / 2, rtol=0.3, atol=0.02)
    assert np.corrcoef(mixed.inputs[0, :40], expected)[0, 1] > 0.9999
    assert not mixed.inputs[0, 40:].any()
    assert mix_voices(batch_of([5] * (VOICES - 1))) is None
    assert mix_voices(SpeechBatch(["u"] * 6, torch.zeros(6, 3, 2), torch.tensor([3] * 6))) is None


def scores_of(
    texts: list[str], p: float, rng: np.random.Generator
) -> tuple[SpeechBatch, dict[str, np.ndarray], np.ndarray]:
    """Frames of texts: a letter has a probability around ``p`` in one frame, but one in thirty is misheard."""
    longest = max(map(len, texts))
    probs = np.zeros((len(texts), 2 * longest, len(LETTERS)))
    probs[:, :, LETTERS.blank] = 1
    for row, text in enumerate(texts):
        for at, letter in enumerate(text):
            frame = np.full(len(LETTERS), 1e-6)
            own = rng.uniform(p - 0.1, p + 0.1) if letter != " " else 0.999
            others = rng.choice(10, 3, replace=False) + 2
            frame[others] += (1 - own) / 3
            heard = rng.integers(2, 12) if letter != " " and rng.random() < 1 / 30 else LETTERS.tokens.index(letter)
            frame[heard] += own
            probs[row, 2 * at] = frame / frame.sum()
    batch = SpeechBatch([f"{texts[0]}{row}" for row in range(len(texts))], torch.empty(0), torch.tensor([longest]))
    batch = SpeechBatch(batch.ids, batch.inputs, batch.lengths, references={"text": texts})
    return batch, {"text": np.log(np.maximum(probs, 1e-9)).astype(np.float32)}, np.full(len(texts), 2 * longest)


@pytest.mark.parametrize("given", [None, 0.0])
def test_speech_that_is_not_understood_has_a_low_confidence(given: float | None) -> None:
    rng = np.random.default_rng(0)

    def texts(count: int) -> list[str]:
        return [" ".join("".join(rng.choice(list("abcdefghij"), 3)) for _ in range(8)) for _ in range(count)]

    decoder = BeamDecoder(LETTERS)
    dev, others = [scores_of(texts(30), 0.7, rng)], [scores_of(texts(20), 0.45, rng)]
    alone, both = fit_confidences(decoder, dev, []), fit_confidences(decoder, dev, others, given)
    assert alone is not None and both is not None and alone.others == 0 and both.others == 160
    judged = decoder.with_confidences(alone.calibration, 0.0)
    found = [h for h, *_ in judged.search(others[0][1]["text"], others[0][2])]
    before = np.mean([p for h in found for p in judged.confidence(h)])
    assert both.others_confidence < 0.3 < before - 0.1
    assert both.min_confidence in (MIN_CONFIDENCES if given is None else (given,))
    assert both.errors[1] - both.errors[0] <= MAX_LOSS * 240
    assert (both.others_kept == both.others) == (both.min_confidence == 0)
    nothing = (dev[0][0], {"text": np.log(np.eye(12, dtype=np.float32)[np.zeros((30, 4), int)] + 1e-9)}, np.full(30, 4))
    assert fit_confidences(decoder, [nothing], others) is None
