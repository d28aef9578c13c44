"""Kaldi's features against torchaudio's and lhotse's functions, and against their definition."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waveforms import assert_batch_equals_singles, fitted, one, ragged, speech

from asr.errors import InputError
from asr.features import KaldiFilterBank, KaldiMFCC
from asr.features import extractor as extractor_module
from asr.utils.torchaudio import import_torchaudio

EPSILON = 1.1920929e-07


def torchaudio_kaldi(function: str, waveform: np.ndarray, **options: Any) -> np.ndarray:
    import_torchaudio()
    from torchaudio.compliance import kaldi

    return getattr(kaldi, function)(torch.from_numpy(waveform)[None], **options).numpy()


class TestAgainstTorchaudio:
    @pytest.mark.parametrize("samples", [400, 8000, 16011, 400000])
    @pytest.mark.parametrize("snip_edges", [True, False])
    @pytest.mark.parametrize("int16_range", [True, False])
    def test_filter_bank(self, samples: int, snip_edges: bool, int16_range: bool) -> None:
        waveform = speech(samples)
        ours = one(KaldiFilterBank(snip_edges=snip_edges, int16_range=int16_range, normalization="none"), waveform)
        scaled = waveform * np.float32(32768 if int16_range else 1)
        theirs = torchaudio_kaldi("fbank", scaled, num_mel_bins=80, snip_edges=snip_edges)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-3)

    @pytest.mark.parametrize("samples", [400, 16011])
    @pytest.mark.parametrize("snip_edges", [True, False])
    def test_mfcc(self, samples: int, snip_edges: bool) -> None:
        waveform = speech(samples)
        ours = one(KaldiMFCC(snip_edges=snip_edges, normalization="none"), waveform)
        theirs = torchaudio_kaldi(
            "mfcc", 32768 * waveform, num_mel_bins=40, num_ceps=40, high_freq=-400, snip_edges=snip_edges
        )
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-3)

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ({"sample_rate": 8000, "num_mels": 23}, {"sample_frequency": 8000.0}),
            ({"sample_rate": 22050}, {"sample_frequency": 22050.0}),  # 551.25 and 220.5 samples
            ({"energy": True}, {"use_energy": True, "energy_floor": 0.0}),
            ({"energy": True, "energy_floor": 3e8}, {"use_energy": True, "energy_floor": 3e8}),
            ({"window_ms": 20.0, "hop_ms": 30.0, "snip_edges": False}, {"frame_length": 20.0, "frame_shift": 30.0}),
            ({"low_hz": 100, "high_hz": 3000.0}, {"low_freq": 100.0, "high_freq": 3000.0}),
            ({"high_hz": -1000.0}, {"high_freq": -1000.0}),
            ({"preemphasis": 0.5, "remove_dc_offset": False}, {"preemphasis_coefficient": 0.5}),
            *[({"window_type": name}, {"window_type": name}) for name in ("hanning", "hamming", "blackman")],
            ({"window_type": "rectangular"}, {"window_type": "rectangular"}),
        ],
    )
    def test_options(self, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        waveform = speech(6000)
        options: dict[str, Any] = {"num_mels": 40, **ours}
        theirs = {"remove_dc_offset": options.get("remove_dc_offset", True), **theirs}
        theirs |= {"num_mel_bins": options["num_mels"], "snip_edges": options.get("snip_edges", True)}
        np.testing.assert_allclose(
            one(KaldiFilterBank(**options, normalization="none"), waveform),
            torchaudio_kaldi("fbank", 32768 * waveform, **theirs),
            atol=1e-3,
        )
        lifter: dict[str, Any] = {"cepstral_lifter": 10.0}
        np.testing.assert_allclose(
            one(KaldiMFCC(**{"high_hz": None, "num_ceps": 13} | options, **lifter, normalization="none"), waveform),
            torchaudio_kaldi("mfcc", 32768 * waveform, num_ceps=13, **lifter, **theirs),
            atol=2e-3,
        )


@pytest.mark.parametrize("samples", [16000, 16011, 30079])
def test_icefalls_features_by_lhotse(samples: int) -> None:
    from lhotse.features.kaldi.extractors import Fbank, FbankConfig

    waveform = speech(samples)
    ours = KaldiFilterBank(high_hz=-400, snip_edges=False, int16_range=False, normalization="none")
    theirs = Fbank(FbankConfig()).extract(waveform, 16000)
    np.testing.assert_allclose(one(ours, waveform), theirs, atol=1e-3)


def definition(frame: np.ndarray, num_mels: int, low: float, high: float) -> np.ndarray:
    """Log-mel energies of one frame, step by step as in Kaldi's sources (feature-window.cc, mel-computations.cc)."""
    size = len(frame)
    x = frame.astype(np.float64) * 32768
    x -= x.mean()
    x = x - 0.97 * np.concatenate([x[:1], x[:-1]])
    x *= (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))) ** 0.85
    power = np.abs(np.fft.rfft(x, 512)) ** 2
    corners = np.linspace(1127 * math.log(1 + low / 700), 1127 * math.log(1 + high / 700), num_mels + 2)
    energies = np.zeros(num_mels)
    for bin in range(256):  # without the one at half the sample rate
        mel = 1127 * math.log(1 + bin * 16000 / 512 / 700)
        for m, (left, center, right) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
            if left < mel < right:
                weight = (mel - left) / (center - left) if mel <= center else (right - mel) / (right - center)
                energies[m] += weight * power[bin]
    return np.log(np.maximum(energies, EPSILON))


class TestDefinition:
    def test_one_frame(self) -> None:
        waveform = speech(2000, seed=3)
        ours = one(KaldiFilterBank(num_mels=23, normalization="none"), waveform)
        np.testing.assert_allclose(ours[5], definition(waveform[800:1200], 23, 20, 8000), atol=1e-3)

    def test_one_frame_of_cepstra(self) -> None:
        waveform = speech(2000, seed=3)
        ours = one(KaldiMFCC(num_ceps=13, num_mels=23, high_hz=None, normalization="none"), waveform)
        log_mel = definition(waveform[800:1200], 23, 20, 8000)
        expected = []
        for n in range(13):
            cosines = np.cos(np.pi * n * (np.arange(23) + 0.5) / 23)
            norm = math.sqrt((1 if n == 0 else 2) / 23)
            expected.append(norm * (log_mel @ cosines) * (1 + 11 * math.sin(math.pi * n / 22)))
        np.testing.assert_allclose(ours[5], expected, atol=2e-3)

    def test_energy_is_that_of_the_raw_frame(self) -> None:
        waveform = speech(2000, seed=3)
        frame = 32768 * waveform[800:1200].astype(np.float64)
        energy = math.log(np.sum((frame - frame.mean()) ** 2))
        fbank, mfcc = (kind(energy=True, normalization="none") for kind in (KaldiFilterBank, KaldiMFCC))
        assert one(fbank, waveform)[5, 0] == pytest.approx(energy, abs=1e-4)
        assert one(mfcc, waveform)[5, 0] == pytest.approx(energy, abs=1e-4)
        assert (fbank.dim, mfcc.dim) == (81, 40)

    @pytest.mark.parametrize("samples", [1, 30, 79, 80, 100, 239, 250, 400, 1000, 1040])
    def test_ends_are_mirrored(self, samples: int) -> None:
        """Also of utterances much shorter than a window, where torchaudio's own function would read beyond them."""
        waveform = speech(samples)
        frames = max(1, (samples + 80) // 160)
        mirrored = np.concatenate([waveform, waveform[::-1]])
        index = np.arange(-120, 160 * (frames - 1) + 280) % (2 * samples)
        ours = one(KaldiFilterBank(snip_edges=False, normalization="none"), waveform)
        padded = one(KaldiFilterBank(normalization="none"), mirrored[index])
        assert len(ours) == frames
        np.testing.assert_array_equal(ours, padded)

    def test_snipped_and_shorter_than_a_window(self) -> None:
        extractor, waveform = KaldiFilterBank(normalization="none"), speech(300)
        np.testing.assert_array_equal(one(extractor, waveform), one(extractor, np.pad(waveform, (0, 100))))

    def test_silence_is_the_logarithm_of_epsilon(self) -> None:
        silence = one(KaldiFilterBank(energy=True, normalization="none"), np.zeros(1000, np.float32))
        np.testing.assert_allclose(silence, math.log(EPSILON), rtol=1e-6)

    def test_dither_only_in_training(self) -> None:
        extractor = KaldiFilterBank(dither=1.0, energy=True, normalization="none")
        silence = np.zeros(16000, np.float32)
        assert one(extractor.eval(), silence).max() < -15
        energy = np.exp(one(extractor.train(), silence)[:, 0])
        assert energy.mean() == pytest.approx(400, rel=0.1)
        assert extractor.random


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40000), min_size=1, max_size=3),
    kind=st.sampled_from([KaldiFilterBank, KaldiMFCC]),
    snip_edges=st.booleans(),
    normalization=st.sampled_from(["global", "utterance", "none"]),
)
def test_a_batch_gives_what_singles_give(lengths: list[int], kind: type, snip_edges: bool, normalization: str) -> None:
    assert_batch_equals_singles(fitted(kind(snip_edges=snip_edges, deltas=1, normalization=normalization)), lengths)


@pytest.mark.parametrize("snip_edges", [True, False])
def test_the_whole_batch_at_once_as_on_a_gpu(snip_edges: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = fitted(KaldiFilterBank(snip_edges=snip_edges))
    batch, sizes = ragged([30000, 200, 16000, 401])
    expected, _ = extractor(batch, sizes)
    monkeypatch.setattr(extractor_module, "per_utterance", lambda inputs: False)
    torch.testing.assert_close(extractor(batch, sizes)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("kind", [KaldiFilterBank, KaldiMFCC])
def test_on_a_gpu(kind: type) -> None:
    extractor = fitted(kind(snip_edges=False))
    batch, sizes = ragged([30000, 200, 16000, 401])
    expected, _ = extractor(batch, sizes)
    extractor.cuda()
    together, _ = extractor(batch.cuda(), sizes)
    torch.testing.assert_close(together.cpu(), expected, rtol=1e-3, atol=1e-3)


def test_lower_precision_of_products_changes_nothing() -> None:
    extractor, waveform = KaldiMFCC(normalization="none"), speech(16000)
    expected = one(extractor, waveform)
    try:
        torch.set_float32_matmul_precision("medium")  # bfloat16 inside float32 products
        np.testing.assert_allclose(one(extractor, waveform), expected, atol=1e-3)
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_mels": 3}, "num_mels=3: use 4 to 256"),
        ({"num_mels": 200}, "between two FFT bins"),
        ({"high_hz": 9000.0}, "within 0 to 8000"),
        ({"high_hz": -8000.0}, "within 0 to 8000"),
        ({"low_hz": 3000, "high_hz": 2000.0}, "band 3000 to 2000 Hz"),
        ({"window_type": "gauss"}, "window_type='gauss' is not one of povey"),
        ({"preemphasis": 1.5}, "preemphasis=1.5"),
        ({"energy_floor": -1.0}, "energy_floor=-1"),
        ({"hop_ms": 0.01}, "hop_ms=0.01"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KaldiFilterBank(**options)


def test_wrong_cepstra() -> None:
    with pytest.raises(InputError, match="num_ceps=41: 40 mels have 1 to 40 cepstra"):
        KaldiMFCC(num_ceps=41)
    with pytest.raises(InputError, match="cepstral_lifter=-1"):
        KaldiMFCC(cepstral_lifter=-1)


def test_other_features_import_neither_torchaudio_nor_librosa() -> None:
    code = (
        "import sys, torch, asr, asr.cli, asr.cli.transcribe, asr.inference.recognizer\n"
        "from asr.tasks.speech_frontend import FEATURES\n"
        "FEATURES['filterbank'](normalization='none')(torch.zeros(1, 1000), torch.tensor([1000]))\n"
        "FEATURES['mfcc'](), FEATURES['precomputed'](13)\n"
        "print([m for m in ('torchaudio', 'librosa') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
