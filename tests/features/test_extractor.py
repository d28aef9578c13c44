"""Batches of features, and wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waveforms import assert_batch_equals_singles, fitted, one, ragged, speech

from asr.errors import InputError
from asr.features import MFCC, FilterBank
from asr.features import _blocks as blocks_module
from asr.features import extractor as extractor_module
from asr.utils.threads import torch_threads


class TestBatchEqualsSingles:
    @settings(max_examples=25, deadline=None)
    @given(
        lengths=st.lists(st.integers(1, 60000), min_size=1, max_size=4),
        kind=st.sampled_from([FilterBank, MFCC]),
        normalization=st.sampled_from(["global", "utterance", "both", "none"]),
    )
    def test_bit_for_bit(self, lengths: list[int], kind: type, normalization: str) -> None:
        assert_batch_equals_singles(fitted(kind(normalization=normalization, mean_fraction=0.7)), lengths)

    @pytest.mark.parametrize("normalization", ["global", "utterance", "both", "none"])
    def test_the_whole_batch_at_once_as_on_a_gpu(self, normalization: str, monkeypatch: pytest.MonkeyPatch) -> None:
        extractor = fitted(FilterBank(normalization=normalization))
        batch, sizes = ragged([30000, 200, 16000, 401])
        batch = torch.nn.functional.pad(batch, (0, 5000), value=1e4)
        expected, frames = extractor(batch, sizes)
        monkeypatch.setattr(extractor_module, "per_utterance", lambda inputs: False)
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
            ({"num_mels": 0}, "num_mels=0: use 1 to"),
            ({"num_mels": 200}, "between two FFT bins"),
            ({"hop_ms": 0.01}, "hop_ms=0.01"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            FilterBank(**arguments)

    def test_too_many_cepstra(self) -> None:
        with pytest.raises(InputError, match="num_ceps=41"):
            MFCC(num_ceps=41)
