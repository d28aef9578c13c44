"""Normalization of features."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waveforms import fitted, one, ragged, speech

from asr.errors import InputError
from asr.features import FilterBank
from asr.features.cmvn import FeatureNormalizer, mean_and_std
from asr.tasks.speech_frontend import build_speech_frontend


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


class TestActive:
    """Statistics of the frames that hold signal, so that silence around speech makes no difference."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "energy": False,
        "deltas": 0,
        "normalization": "utterance",
        "mean_fraction": 0.7,
        "remove_level": True,
        "active": 7.0,
        "floor": 7.0,
    }

    @staticmethod
    def syllables(samples: int = 16000) -> np.ndarray:
        """A sound that comes and goes, as syllables do."""
        return (speech(samples) * np.abs(np.sin(np.arange(samples) * 3 * np.pi / samples))).astype(np.float32)

    @pytest.mark.parametrize("scale", [False, True])
    def test_silence_around(self, scale: bool) -> None:
        bank = FilterBank(**self.OPTIONS, scale=scale)
        waveform, silence = self.syllables(), np.zeros(8000, np.float32)
        alone = one(bank, waveform)
        between = one(bank, np.concatenate([silence, waveform, silence]))
        assert np.abs(between[53:145] - alone[3:95]).mean() < 0.05  # frames at the edges see both
        rng = np.random.default_rng(0)
        quiet = [rng.normal(0, 1e-4, 8000).astype(np.float32) for _ in range(2)]
        between = one(bank, np.concatenate([quiet[0], waveform, quiet[1]]))
        assert np.abs(between[53:145] - alone[3:95]).mean() < 0.05  # frames at the edges see both

    def test_gain(self) -> None:
        bank = FilterBank(**self.OPTIONS, scale=False)
        # the loudness is quantized: frames at the limit may count or not
        np.testing.assert_allclose(one(bank, self.syllables() / 8), one(bank, self.syllables()), atol=0.1)

    def test_which_frames_count(self) -> None:
        raw = one(FilterBank(energy=False, deltas=0, normalization="none"), self.syllables())
        loud = np.floor(raw.max(1) / 0.25)
        counted = raw[loud > loud.max() - 28].astype(np.float64)
        assert 0.2 < len(counted) / len(raw) < 1
        bank = FilterBank(**self.OPTIONS | {"mean_fraction": 1.0, "floor": None}, scale=True)
        expected = (raw - counted.mean(0)) / counted.std(0)
        np.testing.assert_allclose(one(bank, self.syllables()), expected, rtol=1e-4, atol=1e-4)
        fitted = FilterBank(**self.OPTIONS | {"normalization": "both"})
        fitted.fit([(torch.from_numpy(self.syllables())[None], torch.tensor([16000]))])
        np.testing.assert_allclose(fitted.normalization.mean, counted.mean(0), rtol=1e-5, atol=1e-5)
        assert int(fitted.normalization.frames) == len(counted)

    @pytest.mark.parametrize(("before", "seconds"), [(0, 2), (0, 20), (30, 20)])
    @pytest.mark.parametrize("gain", [1.0, 1e-3])
    def test_long_noise_near_the_level_of_speech(self, before: int, seconds: int, gain: float) -> None:
        waveform = self.syllables()
        raw = one(FilterBank(energy=False, deltas=0, normalization="none"), waveform).max(1)
        # white noise of 0.1 has a median loudness of -2.06: as loud as frames 4.5 nats below the loudest of the sound
        level = gain * 0.1 * np.exp((raw.max() - 4.5 + 2.06) / 2)
        rng = np.random.default_rng(0)
        around = [rng.normal(0, level, 16000 * seconds).astype(np.float32) for _ in range(2)]
        noisy = np.concatenate([np.zeros(16000 * before, np.float32), around[0], gain * waveform, around[1]])
        begin = 100 * (before + seconds)

        def shift(active: float | tuple[float, float]) -> float:
            """How far silence, which may be long and partly digital, and noise move the sound's features."""
            options = self.OPTIONS | {"active": active, "floor": None, "mean_fraction": 1.0, "scale": False}
            bank = FilterBank(**options)
            between = one(bank, noisy.astype(np.float32))[begin + 3 : begin + 95]
            return float(np.abs(between - one(bank, gain * waveform)[3:95]).mean())

        assert shift((2.0, 5.0)) < 0.7
        assert shift(5.0) > 2.5

    def test_without_pauses_or_sound_most_frames_count(self) -> None:
        options = self.OPTIONS | {"mean_fraction": 1.0, "scale": False}
        steady = speech(16000)  # all of it is as loud: there is no noise floor
        adaptive, plain = FilterBank(**options | {"active": (2.0, 5.0)}), FilterBank(**options | {"active": 5.0})
        assert np.abs(one(adaptive, steady) - one(plain, steady)).mean() < 0.2
        for same in (np.zeros(16000, np.float32), np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)):
            np.testing.assert_allclose(one(adaptive, same), one(plain, same), atol=0.02)

    def test_floor(self) -> None:
        waveform = np.concatenate([self.syllables(), np.zeros(8000, np.float32)])
        options = self.OPTIONS | {"mean_fraction": 1.0}
        ours = one(FilterBank(**options, scale=False), waveform)
        without = one(FilterBank(**options | {"floor": None}, scale=False), waveform)
        np.testing.assert_allclose(ours, np.maximum(without, -7), atol=1e-4)
        assert without.min() < -7 and ours[110:].max() < -6.99

    def test_batch_and_pieces_give_what_the_whole_gives(self) -> None:
        bank = FilterBank(**self.OPTIONS, scale=True)
        waveform = np.concatenate([self.syllables(), np.zeros(4000, np.float32), self.syllables(12000) / 2])
        alone = one(bank, waveform)
        padded, lengths = torch.zeros(2, 40000), torch.tensor([len(waveform), 9000])
        padded[0, : len(waveform)] = torch.from_numpy(waveform)
        padded[1, :9000] = torch.from_numpy(self.syllables(9000))
        together, sizes = bank(padded, lengths)
        np.testing.assert_array_equal(together[0, : int(sizes[0])], alone)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"active": 0.0}, "active=0.0: use a number of nats above 0, or two"),
            ({"active": [5, 2]}, r"active=\[5, 2\]: use .*\[least, most\]"),
            ({"floor": -1.0}, "floor=-1"),
            ({"normalization": "global", "remove_level": False, "floor": 7.0}, "floor: normalization='global'"),
        ],
    )
    def test_wrong_options(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            FilterBank(**self.OPTIONS | options)


def bands(frames: int, seed: int) -> torch.Tensor:
    """Log energies of six bands, (1, frames, 6), of frames whose levels differ by up to 12 nats."""
    rng = np.random.default_rng(seed)
    values = rng.normal(-8, 1, (frames, 6)) + rng.uniform(-12, 0, (frames, 1))
    return torch.from_numpy(values.astype(np.float32))[None]


@settings(max_examples=50, deadline=None)
@given(
    frames=st.integers(1, 300),
    before=st.integers(0, 300),
    after=st.integers(0, 300),
    level=st.floats(-23, -19.5),
    active=st.floats(0.1, 7),
    seed=st.integers(0, 1000),
)
def test_statistics_of_active_frames_ignore_silence(
    frames: int, before: int, after: int, level: float, active: float, seed: int
) -> None:
    normalizer = FeatureNormalizer(6, "utterance", active=active, num_bands=6)
    alone = bands(frames, seed)
    loudest = alone[0, alone[0].amax(1).argmax()]
    alone = torch.cat([alone, (loudest + 6)[None, None]], 1)  # a frame that silence is more than `active` below
    between = torch.cat(
        [torch.full((1, n, 6), level) for n in (before,)] + [alone] + [torch.full((1, after, 6), level)], 1
    )
    expected = mean_and_std(*normalizer.sums(alone, torch.tensor([alone.shape[1]])))
    ours = mean_and_std(*normalizer.sums(between, torch.tensor([between.shape[1]])))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("kind", ["mfcc", "kaldi_fbank", "kaldi_mfcc"])
def test_other_features_have_no_active_frames(kind: str) -> None:
    with pytest.raises(InputError, match=f"{kind} has no option active"):
        build_speech_frontend({"features": {"type": kind, "active": 7.0}, "encoder": {}})
    with pytest.raises(InputError, match="these features have no band energies; use the type filterbank"):
        FeatureNormalizer(13, "utterance", active=7.0)
