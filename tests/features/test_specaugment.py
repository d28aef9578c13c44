from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.features.specaugment import SpecAugment, SpectrogramWarp


def runs(mask: torch.Tensor) -> list[int]:
    """Lengths of the runs of True in a 1-D mask."""
    edges = torch.diff(torch.cat([torch.zeros(1), mask.float(), torch.zeros(1)]))
    return (torch.where(edges == -1)[0] - torch.where(edges == 1)[0]).tolist()


class TestSpecAugment:
    @settings(max_examples=30, deadline=None)
    @given(lengths=st.lists(st.integers(1, 80), min_size=1, max_size=4), seed=st.integers(0, 1000))
    def test_one_mask_each_within_its_limits(self, lengths: list[int], seed: int) -> None:
        torch.manual_seed(seed)
        augment = SpecAugment(1, 12, 0.25, 1, 5, groups=3)
        features = torch.ones(len(lengths), 80, 30)
        masked, sizes = augment(features, torch.tensor(lengths))
        assert sizes.tolist() == lengths
        assert set(masked.unique().tolist()) <= {0.0, 1.0}
        for row, length in enumerate(lengths):
            times = (masked[row] == 0).all(dim=1)
            assert sum(runs(times)) <= min(12, int(0.25 * length))
            assert len(runs(times)) <= 1
            assert not times[length:].any()
            bands = (masked[row] == 0).all(dim=0)
            assert torch.equal(bands, bands[:10].repeat(3))
            assert sum(runs(bands[:10])) <= 5

    def test_widths_and_places_are_uniform(self) -> None:
        torch.manual_seed(0)
        n = 4000
        masked, _ = SpecAugment(1, 4, 1.0, 0, 0)(torch.ones(n, 10, 1), torch.full((n,), 10))
        widths = (masked[:, :, 0] == 0).sum(dim=1)
        np.testing.assert_allclose(torch.bincount(widths) / n, [0.2] * 5, atol=0.03)
        widest = masked[widths == 4, :, 0]
        starts = (widest == 0).float().argmax(dim=1)
        np.testing.assert_allclose(torch.bincount(starts) / len(widest), [1 / 7] * 7, atol=0.05)

    def test_utterances_differ_and_the_seed_decides(self) -> None:
        features, lengths = torch.ones(8, 200, 40), torch.full((8,), 200)
        torch.manual_seed(3)
        first, _ = SpecAugment()(features, lengths)
        torch.manual_seed(3)
        second, _ = SpecAugment()(features, lengths)
        assert torch.equal(first, second)
        assert len({row.numpy().tobytes() for row in first}) == 8
        assert features.all()  # the input is left as it was

    def test_identity_in_eval_and_without_masks(self) -> None:
        features, lengths = torch.randn(2, 50, 40), torch.tensor([50, 20])
        assert SpecAugment().eval()(features, lengths)[0] is features
        assert torch.equal(SpecAugment(0, 10, 0.5, 0, 10)(features, lengths)[0], features)

    def test_wrong_arguments(self) -> None:
        with pytest.raises(InputError, match="time_fraction=2"):
            SpecAugment(time_fraction=2)
        with pytest.raises(InputError, match="must not be negative"):
            SpecAugment(time_masks=-1)
        with pytest.raises(InputError, match="40 columns do not make 3"):
            SpecAugment(groups=3)(torch.zeros(1, 5, 40), torch.tensor([5]))


class TestSpectrogramWarp:
    @settings(max_examples=30, deadline=None)
    @given(
        lengths=st.lists(st.integers(1, 100), min_size=1, max_size=4),
        tempo=st.floats(0, 0.9),
        frequency=st.floats(0, 0.25),
        seed=st.integers(0, 1000),
    )
    def test_lengths_range_and_padding(self, lengths: list[int], tempo: float, frequency: float, seed: int) -> None:
        torch.manual_seed(seed)
        features = torch.rand(len(lengths), max(lengths), 20) + 1
        for row, length in enumerate(lengths):
            features[row, length:] = 100  # must not be mixed in
        warped, sizes = SpectrogramWarp(tempo, frequency)(features, torch.tensor(lengths))
        assert warped.shape == (len(lengths), int(sizes.max()), 20)
        for row, length in enumerate(lengths):
            size = int(sizes[row])
            assert max(1, length / (1 + tempo) - 0.51) <= size <= max(1, length / (1 - tempo) + 0.51)
            assert warped[row, :size].min() >= 1 and warped[row, :size].max() <= 2.0001
            assert not warped[row, size:].any()

    def test_tempo_is_linear_interpolation_between_the_ends(self) -> None:
        torch.manual_seed(0)
        features = torch.linspace(0, 1, 50)[None, :, None].repeat(6, 1, 3)
        warped, sizes = SpectrogramWarp(0.3, 0)(features, torch.full((6,), 50))
        assert len(set(sizes.tolist())) > 3
        for row, size in zip(warped, sizes.tolist(), strict=True):
            torch.testing.assert_close(row[:size], torch.linspace(0, 1, size)[:, None].repeat(1, 3))

    def test_frequency_moves_a_peak_by_one_factor_and_keeps_the_ends(self) -> None:
        torch.manual_seed(0)
        features = torch.arange(80.0).repeat(50, 4, 1)  # the value is the band, so the result is the band moved here
        warped, sizes = SpectrogramWarp(0, 0.1)(features, torch.full((50,), 4))
        assert sizes.tolist() == [4] * 50
        factors = warped[:, 0, 30] / 30
        assert 0.9 <= factors.min() < 0.93 and 1.07 < factors.max() <= 1.1
        torch.testing.assert_close(warped[:, 2, 10:50], factors[:, None] * torch.arange(10.0, 50))
        torch.testing.assert_close(warped[:, :, [0, 79]], features[:, :, [0, 79]])
        assert (warped.diff(dim=2) > 0).all()

    def test_only_the_mel_columns_are_warped(self) -> None:
        features = torch.randn(3, 9, 41)
        warped, _ = SpectrogramWarp(0, 0.1, num_mels=40)(features, torch.full((3,), 9))
        assert torch.equal(warped[:, :, 40], features[:, :, 40])
        assert not torch.equal(warped[:, :, :40], features[:, :, :40])

    def test_a_batch_gives_what_singles_give(self, monkeypatch: pytest.MonkeyPatch) -> None:
        features, lengths = torch.randn(3, 60, 20), torch.tensor([60, 31, 1])
        draws = torch.rand(2, 3)
        monkeypatch.setattr(torch, "rand", lambda *_, **__: draws)
        together, sizes = SpectrogramWarp(0.2, 0.1)(features, lengths)
        for row, length in enumerate(lengths.tolist()):
            monkeypatch.setattr(torch, "rand", lambda *_, row=row, **__: draws[:, row : row + 1])
            alone, size = SpectrogramWarp(0.2, 0.1)(features[row : row + 1, :length], lengths[row : row + 1])
            assert size == sizes[row]
            torch.testing.assert_close(together[row, : int(size)], alone[0])

    def test_identity_in_eval(self) -> None:
        features, lengths = torch.randn(2, 50, 40), torch.tensor([50, 20])
        same, sizes = SpectrogramWarp().eval()(features, lengths)
        assert same is features and sizes is lengths

    def test_wrong_arguments(self) -> None:
        for arguments in {"tempo": 1.0}, {"frequency": -0.1}, {"num_mels": 0}:
            with pytest.raises(InputError, match=next(iter(arguments))):
                SpectrogramWarp(**arguments)
