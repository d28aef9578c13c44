from __future__ import annotations

import io
from pathlib import Path

import kaldiio
import librosa
import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.features import MFCC, FilterBank, FrameStacking, Precomputed, read_kaldi, read_sphinx
from asr.features import blocks as blocks_module
from asr.features import extractor as extractor_module
from asr.features.filterbank import mel_filters
from asr.threads import torch_threads


def speech(samples: int, seed: int = 0) -> np.ndarray:
    """Noise and a gliding tone whose levels come and go: a wide range of powers, as in speech."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(samples) / 16000
    tone = np.sin(2 * np.pi * (300 + 500 * seconds) * seconds)
    envelope = np.abs(np.sin(2 * np.pi * 2.3 * seconds))
    return (0.3 * envelope * (tone + 0.1 * rng.standard_normal(samples))).astype(np.float32)


def one(extractor: torch.nn.Module, waveform: np.ndarray) -> np.ndarray:
    features, lengths = extractor(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    assert features.shape[1] == int(lengths)
    assert features.dtype == torch.float32
    return features[0].numpy()


def ragged(lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms of these lengths, padded with large garbage."""
    batch = torch.full((len(lengths), max(lengths)), 1e4)
    for row, length in enumerate(lengths):
        batch[row, :length] = torch.from_numpy(speech(length, seed + row))
    return batch, torch.tensor(lengths)


def fitted(extractor: torch.nn.Module) -> torch.nn.Module:
    extractor.fit([ragged([16000, 9000, 30000], seed=100)])
    return extractor


def librosa_power(waveform: np.ndarray, sample_rate: int, window: int, hop: int, fft: int) -> np.ndarray:
    """|STFT|² (bins, T) of librosa for windows that begin at t * hop."""
    before = (fft - window) // 2  # librosa centres the window in the FFT frame
    padded = np.pad(waveform.astype(np.float64), (before, fft - window - before))
    return (
        np.abs(librosa.stft(padded, n_fft=fft, win_length=window, hop_length=hop, center=False, dtype=np.complex128))
        ** 2
    )


class TestFilterBank:
    @pytest.mark.parametrize(
        ("sample_rate", "num_mels", "scale", "low", "high"),
        [
            (16000, 40, "slaney", 0.0, None),
            (16000, 80, "slaney", 20.0, 7600.0),
            (16000, 40, "htk", 0.0, None),
            (8000, 23, "htk", 125.0, 3800.0),
            (44100, 64, "slaney", 0.0, 8000.0),
        ],
    )
    def test_filters_equal_librosa(
        self, sample_rate: int, num_mels: int, scale: str, low: float, high: float | None
    ) -> None:
        fft = FilterBank(sample_rate, num_mels, mel_scale=scale, low_hz=low, high_hz=high).fft_length
        theirs = librosa.filters.mel(
            sr=sample_rate,
            n_fft=fft,
            n_mels=num_mels,
            fmin=low,
            fmax=high,
            htk=scale == "htk",
            dtype=np.float64,
        )
        np.testing.assert_allclose(
            mel_filters(sample_rate, fft, num_mels, low, high, scale), theirs, rtol=1e-6, atol=1e-12
        )

    @pytest.mark.parametrize(("sample_rate", "window", "hop", "fft"), [(16000, 400, 160, 512), (8000, 200, 80, 256)])
    def test_equals_librosa(self, sample_rate: int, window: int, hop: int, fft: int) -> None:
        waveform = speech(20011)
        ours = one(FilterBank(sample_rate, deltas=0, normalization="none"), waveform)
        power = librosa_power(waveform, sample_rate, window, hop, fft)
        mel = librosa.feature.melspectrogram(S=power, sr=sample_rate, n_mels=40)
        assert ours.shape == (1 + (20011 - window) // hop, 41)
        np.testing.assert_allclose(np.exp(ours[:, :40]), np.maximum(mel.T, 1e-10), rtol=1e-4)
        frames = librosa.util.frame(waveform, frame_length=window, hop_length=hop)
        windowed = frames * librosa.filters.get_window("hann", window)[:, None]
        np.testing.assert_allclose(np.exp(ours[:, 40]), np.sum(windowed**2, axis=0), rtol=1e-4)

    @pytest.mark.parametrize("frames", [1, 3, 120, 700])
    def test_deltas_equal_librosa(self, frames: int) -> None:
        ours = one(FilterBank(normalization="none"), speech(400 + 160 * (frames - 1))).T
        static = ours[:41]
        for order in 1, 2:
            theirs = librosa.feature.delta(static.astype(np.float64), width=9, order=order, mode="nearest")
            np.testing.assert_allclose(ours[41 * order : 41 * (order + 1)], theirs, rtol=1e-4, atol=1e-5)

    def test_preemphasis_is_within_each_frame(self) -> None:
        waveform = speech(1000)
        frames = np.lib.stride_tricks.sliding_window_view(waveform, 400)[::160]
        emphasised = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        energy = np.sum((emphasised * np.hanning(401)[:-1]) ** 2, axis=1)
        ours = one(FilterBank(preemphasis=0.97, deltas=0, normalization="none"), waveform)
        np.testing.assert_allclose(np.exp(ours[:, -1]), energy, rtol=1e-4)

    def test_dither_only_in_training(self) -> None:
        silence = np.zeros(1600, dtype=np.float32)
        extractor = FilterBank(dither=1e-2, normalization="none")
        assert np.all(one(extractor.eval(), silence)[:, :41] == np.float32(np.log(np.float32(1e-10))))
        # the window's sum of squares is 150
        energy = one(extractor.train(), silence)[:, 40]
        np.testing.assert_allclose(np.exp(energy), 150e-4, rtol=0.5)

    def test_shapes_and_attributes(self) -> None:
        graves = FilterBank()
        assert (graves.dim, graves.frame_seconds, graves.sample_rate) == (123, 0.01, 16000)
        assert FilterBank(num_mels=80, energy=False, deltas=0).dim == 80
        assert graves.output_lengths(torch.tensor([1, 400, 559, 560])).tolist() == [1, 1, 1, 2]
        assert FilterBank(11025, window_ms=20, hop_ms=10).frame_seconds == 110 / 11025

    def test_shorter_than_a_window(self) -> None:
        extractor = FilterBank(deltas=0, normalization="none")
        waveform = speech(300)
        np.testing.assert_array_equal(one(extractor, waveform), one(extractor, np.pad(waveform, (0, 100))))


class TestBatchEqualsSingles:
    @settings(max_examples=25, deadline=None)
    @given(
        lengths=st.lists(st.integers(1, 60000), min_size=1, max_size=4),
        kind=st.sampled_from([FilterBank, MFCC]),
        normalization=st.sampled_from(["global", "utterance", "both", "none"]),
    )
    def test_bit_for_bit(self, lengths: list[int], kind: type, normalization: str) -> None:
        extractor = fitted(kind(normalization=normalization, mean_fraction=0.7))
        batch, sizes = ragged(lengths)
        features, frames = extractor(batch, sizes)
        assert torch.equal(frames, extractor.output_lengths(sizes))
        for row, length in enumerate(lengths):
            alone, count = extractor(batch[row : row + 1, :length].clone(), sizes[row : row + 1])
            assert torch.equal(features[row, : int(count)], alone[0])
            assert not features[row, int(count) :].any()

    @pytest.mark.parametrize("normalization", ["global", "utterance", "both", "none"])
    def test_the_whole_batch_at_once_as_on_a_gpu(self, normalization: str, monkeypatch: pytest.MonkeyPatch) -> None:
        extractor = fitted(FilterBank(normalization=normalization))
        batch, sizes = ragged([30000, 200, 16000, 401])
        batch = torch.nn.functional.pad(batch, (0, 5000), value=1e4)
        expected, frames = extractor(batch, sizes)
        monkeypatch.setattr(extractor_module, "one_by_one", lambda inputs: False)
        at_once, same_frames = extractor(batch, sizes)
        assert torch.equal(frames, same_frames)
        torch.testing.assert_close(at_once, expected, rtol=1e-5, atol=1e-5)
        for row, count in enumerate(frames.tolist()):
            assert not at_once[row, count:].any()

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    @pytest.mark.parametrize("normalization", ["global", "utterance", "both", "none"])
    def test_on_a_gpu(self, normalization: str) -> None:
        extractor = fitted(FilterBank(normalization=normalization))
        batch, sizes = ragged([30000, 200, 16000, 401])
        expected, _ = extractor(batch, sizes)
        extractor.cuda()
        together, frames = extractor(batch.cuda(), sizes)
        torch.testing.assert_close(together.cpu(), expected, rtol=1e-4, atol=1e-4)
        for row, length in enumerate(sizes.tolist()):
            alone, _ = extractor(batch[row : row + 1, :length].cuda(), sizes[row : row + 1])
            torch.testing.assert_close(together[row, : int(frames[row])], alone[0], rtol=1e-6, atol=1e-6)

    def test_blocks_do_not_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        extractor = FilterBank(normalization="none")
        waveform = speech(16000 * 7)
        blocked = one(extractor, waveform)
        monkeypatch.setattr(blocks_module, "block_frames", lambda frames: 10**6)
        np.testing.assert_allclose(one(extractor, waveform), blocked, rtol=1e-6, atol=1e-6)

    def test_scratch_space_is_shared_without_a_trace(self) -> None:
        short, long = (FilterBank(normalization="none", window_ms=ms) for ms in (20.0, 25.0))  # of one FFT length
        waveform = speech(16000)
        expected = one(short, waveform)
        with torch.inference_mode():
            one(long, waveform)
        np.testing.assert_array_equal(one(short, waveform), expected)

    def test_thread_count_is_left_as_it_was(self) -> None:
        extractor = FilterBank(normalization="none")
        with torch_threads(2):
            many, _ = extractor(*ragged([16000, 3000]))
            assert torch.get_num_threads() == 2
        with torch_threads(1):
            assert torch.equal(extractor(*ragged([16000, 3000]))[0], many)

    def test_non_contiguous_input(self) -> None:
        extractor = FilterBank(normalization="none")
        batch, sizes = ragged([5000, 4000])
        expected, _ = extractor(batch, sizes)
        assert torch.equal(extractor(batch.T.contiguous().T, sizes)[0], expected)


class TestMFCC:
    def test_equals_librosa(self) -> None:
        waveform = speech(16000)
        log_mel = one(FilterBank(energy=False, deltas=0, normalization="none"), waveform)
        ours = one(MFCC(normalization="none"), waveform)
        theirs = librosa.feature.mfcc(S=log_mel.T, n_mfcc=13, dct_type=2, norm="ortho").T
        assert ours.shape[1] == 39
        np.testing.assert_allclose(ours[:, :13], theirs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            ours[:, :13], scipy.fft.dct(log_mel, type=2, norm="ortho")[:, :13], rtol=1e-4, atol=1e-4
        )
        delta = librosa.feature.delta(theirs.T, width=9, mode="nearest").T
        np.testing.assert_allclose(ours[:, 13:26], delta, rtol=1e-4, atol=1e-4)

    def test_all_cepstra_keep_the_spectrum(self) -> None:
        waveform = speech(3000)
        log_mel = one(FilterBank(num_mels=20, energy=False, deltas=0, normalization="none"), waveform)
        cepstra = one(MFCC(num_mels=20, num_ceps=20, deltas=0, normalization="none"), waveform)
        np.testing.assert_allclose(scipy.fft.idct(cepstra, norm="ortho"), log_mel, atol=1e-4)


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
        centre = (1 - fraction) * trained.mean(0) + fraction * own.mean(0)
        expected = (own - centre) / (own if scale else trained).std(0)
        np.testing.assert_allclose(one(extractor, waveform), expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("normalization", ["utterance", "both"])
    def test_level(self, normalization: str) -> None:
        waveform, options = speech(16000), {"mean_fraction": 0.3, "scale": False, "normalization": normalization}
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

    def test_what_does_not_vary_is_not_blown_up(self) -> None:
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

    def test_fit_reads_nothing_where_nothing_is_to_fit(self) -> None:
        def batches():
            raise AssertionError("read")
            yield

        extractor = FilterBank(normalization="none")
        extractor.fit(batches())
        assert extractor.normalization.fitted


class TestPrecision:
    def test_autocast_and_low_precision_models_change_nothing(self) -> None:
        extractor = fitted(MFCC())
        waveform = speech(16000)
        expected = one(extractor, waveform)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            np.testing.assert_array_equal(one(extractor, waveform), expected)
        np.testing.assert_array_equal(one(extractor.to(torch.bfloat16), waveform), expected)
        try:
            torch.set_float32_matmul_precision("medium")  # bfloat16 inside float32 products
            np.testing.assert_allclose(one(extractor, waveform), expected, rtol=1e-5, atol=1e-5)
        finally:
            torch.set_float32_matmul_precision("highest")

    def test_no_gradient_and_inputs_untouched(self) -> None:
        extractor = fitted(FilterBank())
        waveform = torch.from_numpy(speech(4000))[None].requires_grad_()
        before = waveform.detach().clone()
        features, _ = extractor(waveform, torch.tensor([4000]))
        assert not features.requires_grad
        assert torch.equal(waveform, before)

    def test_double_input(self) -> None:
        extractor = FilterBank(normalization="none")
        waveform = torch.from_numpy(speech(4000))[None]
        lengths = torch.tensor([4000])
        assert torch.equal(extractor(waveform.double(), lengths)[0], extractor(waveform, lengths)[0])


class TestWrongInput:
    @pytest.mark.parametrize(
        ("shape", "lengths", "message"),
        [
            ((4000,), [4000], r"shape \(4000,\)"),
            ((1, 1, 4000), [4000], r"shape \(1, 1, 4000\)"),
            ((2, 4000), [4000, 0], "utterance 1 has length 0"),
            ((2, 4000), [4001, 100], "utterance 0 has length 4001; 1 to 4000"),
            ((2, 4000), [4000], "one integer per utterance"),
            ((2, 4000), [1.0, 0.5], "one integer per utterance"),
            ((0, 4000), [], "one integer per utterance"),
        ],
    )
    @pytest.mark.parametrize("kind", [FilterBank, MFCC])
    def test_batches(self, kind: type, shape: tuple[int, ...], lengths: list[int], message: str) -> None:
        extractor = kind(normalization="none")
        sizes = torch.tensor(lengths) if lengths else torch.zeros(0, dtype=torch.int64)
        with pytest.raises(InputError, match=message):
            extractor(torch.zeros(shape), sizes)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"deltas": 3}, "deltas=3"),
            ({"normalization": "batch"}, "global, utterance, both, none"),
            ({"mean_fraction": 1.5}, "mean_fraction"),
            ({"remove_level": True}, "remove_level: normalization='global'"),
            ({"mel_scale": "bark"}, "slaney, htk"),
            ({"high_hz": 9000.0}, "within 0 to 8000"),
            ({"low_hz": 4000.0, "high_hz": 3000.0}, "low_hz=4000"),
            ({"num_mels": 0}, "at least one filter"),
            ({"num_mels": 300}, "between two FFT bins"),
            ({"hop_ms": 0.01}, "hop_ms=0.01"),
        ],
    )
    def test_arguments(self, arguments: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            FilterBank(**arguments)

    def test_too_many_cepstra(self) -> None:
        with pytest.raises(InputError, match="num_ceps=41"):
            MFCC(num_ceps=41)


class TestFrameStacking:
    @settings(max_examples=50, deadline=None)
    @given(
        lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
        stack=st.integers(1, 4),
        stride=st.integers(1, 4),
    )
    def test_equals_the_definition(self, lengths: list[int], stack: int, stride: int) -> None:
        sizes = torch.tensor(lengths)
        features = torch.randn(len(lengths), max(lengths), 2)
        for row, length in enumerate(lengths):
            features[row, length:] = 0
        stacked, counts = FrameStacking(stack, stride)(features, sizes)
        assert counts.tolist() == [-(-length // stride) for length in lengths]
        assert stacked.shape == (len(lengths), -(-max(lengths) // stride), 2 * stack)
        padded = torch.nn.functional.pad(features, (0, 0, 0, stack + stride))
        for row in range(len(lengths)):
            for t in range(stacked.shape[1]):
                expected = padded[row, t * stride : t * stride + stack].flatten()
                assert torch.equal(stacked[row, t], expected)

    def test_garbage_beyond_the_end_is_not_stacked(self) -> None:
        features = torch.ones(1, 5, 1)
        stacked, counts = FrameStacking(2, 2)(features, torch.tensor([3]))
        assert counts.tolist() == [2]
        assert stacked[0].tolist() == [[1, 1], [1, 0], [0, 0]]

    def test_wrong_arguments(self) -> None:
        with pytest.raises(InputError, match="stride=0"):
            FrameStacking(3, 0)


class TestPrecomputed:
    def test_deltas_and_normalisation(self) -> None:
        inputs = torch.randn(2, 30, 13)
        lengths = torch.tensor([20, 12])
        extractor = Precomputed(13, frame_seconds=0.01)
        assert (extractor.dim, extractor.sample_rate) == (39, None)
        extractor.fit([(inputs, lengths)])
        features, frames = extractor(inputs, lengths)
        assert features.shape == (2, 20, 39)
        assert frames.tolist() == [20, 12]
        assert not features[1, 12:].any()
        own = torch.cat([features[0], features[1, :12]])
        torch.testing.assert_close(own.mean(0), torch.zeros(39), atol=1e-5, rtol=0)
        torch.testing.assert_close(own.std(0, correction=0), torch.ones(39), atol=1e-5, rtol=0)
        raw = Precomputed(13, normalization="none")(inputs, lengths)[0][1, :12].numpy()
        delta = librosa.feature.delta(inputs[1, :12].numpy(), axis=0, width=9, order=2, mode="nearest")
        np.testing.assert_allclose(raw[:, 26:], delta, rtol=1e-4, atol=1e-5)

    def test_wrong_dimension(self) -> None:
        with pytest.raises(InputError, match=r"\(N, T, 13\) is needed"):
            Precomputed(13, normalization="none")(torch.zeros(1, 5, 39), torch.tensor([5]))


def write_sphinx(path: Path, values: np.ndarray, order: str = ">", count: int | None = None) -> Path:
    count = values.size if count is None else count
    path.write_bytes(np.array(count, f"{order}i4").tobytes() + values.astype(f"{order}f4").tobytes())
    return path


class TestReadSphinx:
    @pytest.mark.parametrize("order", [">", "<"])
    def test_round_trip(self, tmp_path: Path, order: str) -> None:
        values = np.random.default_rng(0).standard_normal((7, 13)).astype(np.float32)
        read = read_sphinx(write_sphinx(tmp_path / "a.mfc", values, order))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, values)

    def test_other_dimension(self, tmp_path: Path) -> None:
        path = write_sphinx(tmp_path / "a.mfc", np.zeros((5, 39)))
        assert read_sphinx(path, 39).shape == (5, 39)
        with pytest.raises(InputError, match=r"a\.mfc: 195 numbers do not make frames of 11"):
            read_sphinx(path, 11)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "0 bytes"),
            (b"\0\0", "2 bytes"),
            (b"\0\0\0\0", "0 numbers"),
            (b"\0\0\0\x0d" + bytes(40), "44 bytes, but its header announces 13 numbers"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "not a Sphinx feature file"),
            (b"\0\0\0\x0d" + b"\x7f\xc0\0\0" * 13, "not finite"),
        ],
    )
    def test_damaged(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "bad.mfc"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"bad\.mfc: .*{message}"):
            read_sphinx(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none\.mfc: cannot be read"):
            read_sphinx(tmp_path / "none.mfc")

    def test_an4(self, shared_data: Path) -> None:
        path = min((shared_data / "an4").rglob("*.mfc"), default=None)
        if path is None:
            pytest.skip("no AN4 features in the shared data")
        features = read_sphinx(path)
        assert features.shape[1] == 13
        assert 20 < len(features) < 2000
        assert np.abs(features[:, 1:]).max() < 20


class TestReadKaldi:
    @pytest.mark.parametrize("compression", [None, 2])
    def test_archive(self, tmp_path: Path, compression: int | None) -> None:
        rng = np.random.default_rng(0)
        matrices = {f"utt{i}": rng.standard_normal((9 + i, 5)).astype(np.float32) for i in range(3)}
        ark, scp = tmp_path / "my feats.ark", tmp_path / "feats.scp"
        kaldiio.save_ark(str(ark), matrices, scp=str(scp), compression_method=compression)
        for line in scp.read_text().splitlines():
            name, spec = line.split(maxsplit=1)
            for entry in line, spec:
                read = read_kaldi(entry)
                assert read.dtype == np.float32
                np.testing.assert_allclose(read, matrices[name], atol=0.05 if compression else 0)

    def test_not_a_matrix(self, tmp_path: Path) -> None:
        ark = tmp_path / "a.ark"
        kaldiio.save_ark(str(ark), {"utt": np.zeros((4, 3), np.float32)})
        with pytest.raises(InputError, match=r"a\.ark: no binary Kaldi matrix"):
            read_kaldi(str(ark))  # the offset is missing
        with pytest.raises(InputError, match="no binary Kaldi matrix"):
            read_kaldi(f"{ark}:100000")
        ark.write_bytes(ark.read_bytes()[:-7])
        with pytest.raises(InputError, match=r"a\.ark:4: damaged"):
            read_kaldi(f"{ark}:4")

    def test_missing_and_commands(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none\.ark:3: cannot be read"):
            read_kaldi(f"{tmp_path}/none.ark:3")
        with pytest.raises(InputError, match="cannot be read"):
            read_kaldi(f"utt touch {tmp_path}/ran |")
        assert not (tmp_path / "ran").exists()

    def test_pickles_are_not_loaded(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ark"
        kaldiio.save_ark(str(path), {"u": np.zeros((2, 2), np.float32)}, write_function="pickle")
        with pytest.raises(InputError, match="no binary Kaldi matrix"):
            read_kaldi(f"{path}:2")


def test_parts_of_a_recording_are_normalised_as_the_whole() -> None:
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
