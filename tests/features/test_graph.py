"""Features as graphs for export, against the extractors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from asr.errors import InputError
from asr.features import MFCC, Extractor, FilterBank, KaldiFilterBank, KaldiMFCC, Precomputed
from asr.features.graph import FeatureGraph

BOTH = {"normalization": "both", "mean_fraction": 0.7, "scale": False, "remove_level": True, "active": 7, "floor": 7}
EXTRACTORS: dict[str, tuple[type[Extractor], dict[str, Any]]] = {
    "123 features": (FilterBank, {}),
    "the English model's": (FilterBank, {"num_mels": 80, "energy": False, "deltas": 0, **BOTH}),
    "less noise": (FilterBank, {"denoise": True, **BOTH}),
    "between two limits": (FilterBank, {**BOTH, "active": (4.0, 9.0), "scale": True}),
    "utterance": (FilterBank, {"normalization": "utterance", "deltas": 1, "preemphasis": 0.97, "mel_scale": "htk"}),
    "none": (FilterBank, {"normalization": "none", "low_hz": 100.0, "high_hz": 3800.0, "sample_rate": 8000}),
    "mfcc": (MFCC, {}),
    "kaldi": (KaldiFilterBank, {}),
    "icefall": (KaldiFilterBank, {"high_hz": -400.0, "snip_edges": False, "int16_range": False, "deltas": 1}),
    "kaldi mfcc": (KaldiMFCC, {"window_type": "hamming", "remove_dc_offset": False}),
    "precomputed": (Precomputed, {"input_dim": 13}),
}


@pytest.fixture(params=EXTRACTORS)
def extractor(request: pytest.FixtureRequest) -> Extractor:
    kind, options = EXTRACTORS[request.param]
    made = kind(**options)
    made.fit([batch(made, seed=5)])
    return made.eval()


def batch(extractor: Extractor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise in syllables, padded with other noise; the last row is shorter than a window of 25 ms."""
    torch.manual_seed(seed)
    lengths = torch.tensor([9001, 16000, 150])
    if extractor.sample_rate is None:
        return torch.randn(3, 100, 13), torch.tensor([57, 100, 1])
    envelope = torch.arange(16000).mul(1e-3).sin().abs() * torch.tensor([[0.3], [0.002], [0.1]])
    return torch.randn(3, 16000) * envelope, lengths


def test_values_are_those_of_the_extractor(extractor: Extractor) -> None:
    inputs, lengths = batch(extractor)
    expected, frames = extractor(inputs, lengths)
    found, found_frames = FeatureGraph(extractor)(inputs, lengths)
    assert torch.equal(found_frames, frames)
    assert found.shape[1] >= expected.shape[1] and not found[:, expected.shape[1] :].any()
    torch.testing.assert_close(found[:, : expected.shape[1]], expected, atol=2e-4, rtol=1e-4)


def test_other_features_are_refused() -> None:
    with pytest.raises(InputError, match="features of the type KaldiFilterBank with energy cannot be exported"):
        FeatureGraph(KaldiFilterBank(energy=True))
