"""Waveforms for tests of features."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

from asr.features import Extractor

E = TypeVar("E", bound=Extractor)


def speech(samples: int, seed: int = 0) -> np.ndarray:
    """Noise and a gliding tone whose levels come and go: a wide range of powers, as in speech."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(samples) / 16000
    tone = np.sin(2 * np.pi * (300 + 500 * seconds) * seconds)
    envelope = np.abs(np.sin(2 * np.pi * 2.3 * seconds))
    return (0.3 * envelope * (tone + 0.1 * rng.standard_normal(samples))).astype(np.float32)


def ragged(lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms of these lengths, padded with large garbage."""
    batch = torch.full((len(lengths), max(lengths)), 1e4)
    for row, length in enumerate(lengths):
        batch[row, :length] = torch.from_numpy(speech(length, seed + row))
    return batch, torch.tensor(lengths)


def one(extractor: torch.nn.Module, waveform: np.ndarray) -> np.ndarray:
    features, lengths = extractor(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    assert features.shape[1] == int(lengths)
    assert features.dtype == torch.float32
    return features[0].numpy()


def fitted(extractor: E) -> E:
    extractor.fit([ragged([16000, 9000, 30000], seed=100)])
    return extractor


def assert_batch_equals_singles(extractor: Extractor, lengths: list[int]) -> None:
    """Features of a padded batch are, bit for bit, those of its utterances alone, and zero beyond them."""
    batch, sizes = ragged(lengths)
    features, frames = extractor(batch, sizes)
    assert torch.equal(frames, extractor.output_lengths(sizes))
    for row, length in enumerate(lengths):
        alone, count = extractor(batch[row : row + 1, :length].clone(), sizes[row : row + 1])
        assert torch.equal(features[row, : int(count)], alone[0])
        assert not features[row, int(count) :].any()
