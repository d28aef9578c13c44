"""Normalization of features."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from waveforms import fitted, one, ragged, speech

from asr.errors import InputError
from asr.features import FilterBank


class TestNormalization:
    def test_global_statistics_ignore_padding(self) -> None:
        batches = [ragged([20000, 8000]), ragged([400, 16000, 300], seed=5)]
        extractor = FilterBank()
        extractor.fit(batches)
        raw = FilterBank(normalization="none")
        frames = np.concatenate(
            [one(raw, batch[row, :n].numpy()) for batch, sizes in batches for row, n in enumerate(sizes.tolist())]
        ).astype(np.float64)
        np.testing.assert_allclose(extractor.normalization.mean, frames.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(extractor.normalization.std, frames.std(0), rtol=1e-5)
        assert int(extractor.normalization.frames) == len(frames)
        waveform = speech(4000)
        np.testing.assert_allclose(
            one(extractor, waveform),
            (one(raw, waveform) - frames.mean(0)) / frames.std(0),
            rtol=1e-4,
            atol=1e-4,
        )

    @pytest.mark.parametrize(("fraction", "scale"), [(1.0, True), (0.7, False), (0.7, True)])
    def test_utterance(self, fraction: float, scale: bool) -> None:
        waveform = speech(16000)
        raw = one(FilterBank(normalization="none"), waveform).astype(np.float64)
        expected = (raw - fraction * raw.mean(0)) / (raw.std(0) if scale else 1)
        ours = one(FilterBank(normalization="utterance", mean_fraction=fraction, scale=scale), waveform)
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(("fraction", "scale"), [(0.0, False), (0.7, False), (0.7, True)])
    def test_both(self, fraction: float, scale: bool) -> None:
        waveform, others = speech(16000), [speech(8000, seed=1), speech(12000, seed=2)]
        raw = FilterBank(normalization="none")
        extractor = FilterBank(normalization="both", mean_fraction=fraction, scale=scale)
        extractor.fit((torch.from_numpy(other)[None], torch.tensor([len(other)])) for other in others)
        trained = np.concatenate([one(raw, other) for other in others]).astype(np.float64)
        own = one(raw, waveform).astype(np.float64)
        center = (1 - fraction) * trained.mean(0) + fraction * own.mean(0)
        expected = (own - center) / (own if scale else trained).std(0)
        np.testing.assert_allclose(one(extractor, waveform), expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("normalization", ["utterance", "both"])
    def test_level(self, normalization: str) -> None:
        waveform = speech(16000)
        options: dict[str, Any] = {"mean_fraction": 0.3, "scale": False, "normalization": normalization}
        kept, removed = (fitted(FilterBank(**options, remove_level=remove)) for remove in (False, True))
        ours, before = one(removed, waveform), one(kept, waveform)
        usual = kept.normalization.mean if normalization == "both" else torch.zeros(kept.dim)
        std = kept.normalization.std.numpy() if normalization == "both" else 1
        own = one(FilterBank(normalization="none"), waveform).mean(0)[:41]
        level = 0.7 * (own - usual.numpy()[:41]).mean()
        np.testing.assert_allclose((ours * std)[:, :41], (before * std)[:, :41] - level, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(ours[:, 41:], before[:, 41:])
        np.testing.assert_allclose(one(removed, waveform / 4), ours, atol=2e-4)
        assert np.abs(one(kept, waveform / 4) - before).max() > 0.1

    def test_columns_that_do_not_vary_are_not_scaled_up(self) -> None:
        silence = np.zeros(16000, dtype=np.float32)
        features = one(FilterBank(normalization="utterance", mean_fraction=0.7), silence)
        assert np.abs(features).max() < 10

    def test_before_fit(self) -> None:
        with pytest.raises(InputError, match=r"call fit\(batches\)"):
            one(FilterBank(), speech(1000))
        with pytest.raises(InputError, match="no frames"):
            FilterBank().fit([])

    def test_state_travels(self) -> None:
        trained = fitted(FilterBank())
        file = io.BytesIO()
        torch.save(trained.state_dict(), file)
        file.seek(0)
        loaded = FilterBank()
        loaded.load_state_dict(torch.load(file, weights_only=True))
        waveform = speech(8000)
        np.testing.assert_array_equal(one(loaded, waveform), one(trained, waveform))
        assert set(trained.state_dict()) == {f"normalization.{name}" for name in ("mean", "std", "frames")}
        assert not FilterBank(normalization="utterance").state_dict()

    def test_fit_reads_nothing_without_global_statistics(self) -> None:
        def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            raise AssertionError("read")
            yield

        extractor = FilterBank(normalization="none")
        extractor.fit(batches())
        assert extractor.normalization.fitted


def test_parts_of_a_recording_are_normalized_as_the_whole() -> None:
    bank = FilterBank(8000, num_mels=20, energy=False, deltas=0, normalization="utterance")
    hop = 80
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(1, 400 * hop, generator=generator) * torch.linspace(0.01, 1, 400 * hop)
    whole, _ = bank(waveform, torch.tensor([400 * hop]))
    pieces = [(piece, torch.tensor([piece.shape[1]])) for piece in waveform.split(100 * hop, dim=1)]
    statistics = bank.recording_statistics(pieces)
    assert statistics is not None
    part = waveform[:, 100 * hop : 200 * hop]
    given, lengths = bank(part.repeat(2, 1), torch.tensor([100 * hop] * 2), [statistics, None])
    inside = whole[0, 100 : 100 + int(lengths[0])]
    torch.testing.assert_close(given[0], inside, atol=0.05, rtol=0)  # the frames across two pieces are missed
    assert (given[1] - inside).abs().mean() > 0.5  # by its own loudness the part looks otherwise
    assert FilterBank(8000, normalization="none").recording_statistics(pieces) is None
